"""Screening: measured peaks against every structure of a table, over common scales of the cell.

Lines of both are smeared on a logarithmic axis of 1/d, where a change of scale is a shift. The likeness is
the cosine of the two smeared lists of root intensities (and of fourth roots of the measured ones, which
preferred orientation changes less), at the best shift.
"""

import math
from typing import NamedTuple

import numpy as np

from xtinct.compiling import njit
from xtinct.recognition.known_structures import FIRST, LAST, UNIT, Table
from xtinct.recognition.targets import Targets
from xtinct.simd import add_scaled, load, store, zeros

#: Width of a bin in ln(1/d), and units of the table in it.
_UNITS = 40
BIN = _UNITS * UNIT
#: Shifts that are tried, in bins: cells larger or smaller by 4.8 %. They fill three vectors of 16.
REACH = 24
_SHIFTS = 2 * REACH
#: Standard deviation of the smearing of each list, in ln(1/d), and of the shift of the pattern, degree.
_SMEAR, _SHIFT = 0.005, 0.05
#: Mean of that shift, degree: as a rule patterns lie at too high angles (sample below the axis).
MEAN_SHIFT = 0.04
#: Powers of the measured areas that are tried.
POWERS = (0.5, 0.25)
#: Bins that hold the kernel of two smeared lines.
_KERNEL = 14


class Screened(NamedTuple):
    """Of each row (n,) and power of the measured areas (n, 2): likeness 0 to 1, and the shift in bins.

    1/d of the structure times exp(shift BIN) fits the peaks best.
    """

    likeness: np.ndarray
    shift: np.ndarray


def screen(table: Table, targets: Targets, rows: np.ndarray | None = None) -> Screened:
    """Likeness of structures (`rows` int64, or all) to measured peaks."""
    rows = np.arange(len(table)) if rows is None else np.asarray(rows, dtype=np.int64)
    low, high = (min(max(_bin(x), 0), _bins() - 1) for x in targets.reach)
    kernel = np.exp(-((np.arange(_KERNEL) * BIN / _SMEAR) ** 2) / 4).astype(np.float32)
    measured = np.stack([measured_axis(targets, power) for power in POWERS])
    limits = np.array([low, high], dtype=np.uint32)
    return Screened(*_correlate(table.offsets, table.place, table.strength, rows, measured, kernel, limits))


def _bins() -> int:
    return int(math.log(LAST / FIRST) / BIN) + 2


def _bin(d_star: float) -> int:
    return round(math.log(max(d_star, FIRST) / FIRST) / BIN)


def measured_axis(targets: Targets, power: float) -> np.ndarray:
    """Smeared peaks, float32 (bins + 2 REACH,), over their norm, with REACH bins more on both sides."""
    theta = np.radians((targets.two_theta - MEAN_SHIFT) / 2)
    place = np.log(2 * np.sin(theta) / targets.wavelength / FIRST)
    weight = targets.area**power
    variance = _SMEAR**2 + (math.radians(_SHIFT) / (2 * np.tan(theta))) ** 2

    def kernel(distance: np.ndarray, both: np.ndarray) -> np.ndarray:
        return np.exp(-(distance**2) / (2 * both)) * np.sqrt(2 * _SMEAR**2 / both)

    axis = BIN * np.arange(-REACH, _bins() + REACH)
    smeared = kernel(axis[:, None] - place, variance + _SMEAR**2) @ weight
    square = weight @ kernel(place[:, None] - place, variance[:, None] + variance) @ weight
    return (smeared / math.sqrt(square)).astype(np.float32)


@njit(cache=True, fastmath=True)
def _add_shifts(sums, axis, bins, weights, lines):
    """Sum of the weighted axis at every shift of the lines; sums and axis float32, sums (_SHIFTS,)."""
    first = second = third = zeros(sums)
    for i in range(lines):
        at = np.intp(bins[i])
        first = add_scaled(first, weights[i], load(axis, at))
        second = add_scaled(second, weights[i], load(axis, at + 16))
        third = add_scaled(third, weights[i], load(axis, at + 32))
    store(sums, 0, first)
    store(sums, 16, second)
    store(sums, 32, third)


@njit(cache=True, fastmath=True)
def _correlate(offsets, place, strength, rows, measured, kernel, limits):
    """Best likeness and its shift of each row and power; lines beyond `limits` (bins) are no lines."""
    powers = measured.shape[0]
    likeness = np.zeros((rows.size, powers), np.float32)
    shift = np.zeros((rows.size, powers), np.int8)
    bins, weights = np.empty(256, np.uint32), np.empty(256, np.float32)
    sums = np.empty(_SHIFTS, np.float32)
    for r in range(rows.size):
        lines = 0
        for i in range(offsets[rows[r]], offsets[rows[r] + 1]):
            at = (np.uint32(place[i]) + np.uint32(_UNITS // 2)) // np.uint32(_UNITS)
            if limits[0] <= at <= limits[1]:
                bins[lines], weights[lines] = at, np.float32(strength[i])
                lines += 1
        square = np.float32(0.0)
        for i in range(lines):
            near = np.float32(0.5) * weights[i]
            j = i + 1
            while j < lines and bins[j] - bins[i] < _KERNEL:
                near += weights[j] * kernel[bins[j] - bins[i]]
                j += 1
            square += 2 * weights[i] * near
        if square <= 0:
            continue
        for p in range(powers):
            _add_shifts(sums, measured[p], bins, weights, lines)
            best = np.argmax(sums)
            likeness[r, p] = sums[best] / np.sqrt(square)
            shift[r, p] = best - REACH
    return likeness, shift

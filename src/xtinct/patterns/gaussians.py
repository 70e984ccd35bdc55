"""Peaks to patterns: the compiled part of `rendering` and `ulbd_patterns`.

Peaks stand on multiples of 16 grid points. The draws of one lattice share its peaks, so
DRAWS_AT_ONCE of them are summed block by block in registers: nothing is added in memory.
"""

import functools
import math
from typing import NamedTuple

import numpy as np

from xtinct.compiling import njit
from xtinct.patterns.instrument import CUT_SIGMAS
from xtinct.simd import (
    add_product,
    add_scaled,
    filled,
    larger,
    largest_lane,
    load,
    product,
    scaled,
    store,
    stream,
    zeros,
)

#: Largest exponent z u left to the expansion: 0.04^4 / 24 = 1e-7.
_EXPANSION_LIMIT = 0.04
#: Sums of this many draws and what they need fit the registers of every machine. `superpose` names each of
#: them: numba keeps vectors in registers only under names of their own.
DRAWS_AT_ONCE = 6
#: Patterns of more memory than this are written past the caches, which could not hold them.
STREAMED_BYTES = 1 << 22

#: Grid points of a block.
LANES = 16


class GaussianTable(NamedTuple):
    """Windows of a Gaussian at some shifts below one grid step, and what corrects for the rest.

    values       float32 (shifts, LANES + 2 half + padding), zero but for 2 half points from LANES on:
                 point LANES + k lies on grid point j - half + 1 + k, for a line between j and j + 1
    offsets      float32, distance of each of these points from grid point j, in standard deviations
    width        points of a peak with the zeros that align it, a multiple of LANES
    half         points to either side
    step_sigmas  grid step in standard deviations
    """

    values: np.ndarray
    offsets: np.ndarray
    width: int
    half: int
    step_sigmas: float


class Windows(NamedTuple):
    """Peaks of height 1, written one after the other.

    block  int64 (n,), the block of LANES points where each begins, ascending
    peaks  float32, `width` points of each
    """

    block: np.ndarray
    peaks: np.ndarray
    width: int


@functools.lru_cache(maxsize=64)
def gaussian_table(step_sigmas: float) -> GaussianTable:
    """Table for a grid whose step is `step_sigmas` standard deviations."""
    half = math.ceil(CUT_SIGMAS / step_sigmas)
    shifts = max(1, math.ceil(step_sigmas * (half + 1) * step_sigmas / (2 * _EXPANSION_LIMIT)))
    width = (2 * half + 2 * LANES - 2) // LANES * LANES
    offsets = (np.arange(width + LANES) - LANES - half + 1) * step_sigmas
    centres = (np.arange(shifts) + 0.5) / shifts * step_sigmas
    values = np.exp(-0.5 * (offsets[None, :] - centres[:, None]) ** 2)
    values[:, :LANES] = values[:, LANES + 2 * half :] = 0.0
    return GaussianTable(values.astype(np.float32), offsets.astype(np.float32), width, half, step_sigmas)


@njit(cache=True, nogil=True)
def write_peak(x, table, peaks, at):
    """Write the peak of height 1 at grid coordinate x to `peaks` (float32) from flat index `at` on.

    Returns the number of the block of LANES grid points where it begins, negative before the grid.
    """
    values, offsets, width, half, step_sigmas = table
    j = math.floor(x)
    shift = x - j
    row = min(values.shape[0] - 1, int(shift * values.shape[0]))
    centre = (row + 0.5) / values.shape[0]
    rest = (shift - centre) * step_sigmas
    rest2 = rest * rest
    # exp(-rest^2 / 2) for |rest| < 0.02.
    scale = np.float32(1.0 - 0.5 * rest2 * (1.0 - 0.25 * rest2))
    u, u0 = np.float32(rest), np.float32(-rest * centre * step_sigmas)
    begin = j - half + 1
    block = begin // LANES
    source = LANES - (begin - block * LANES)
    one, minus_u0 = filled(peaks, np.float32(1)), filled(peaks, u0)
    for k in range(0, width, LANES):
        t = add_scaled(minus_u0, u, load(offsets, source + k))
        # exp(t), |t| < _EXPANSION_LIMIT
        expansion = add_scaled(filled(peaks, np.float32(0.5)), np.float32(1 / 6), t)
        expansion = add_product(one, add_product(one, expansion, t), t)
        peak = scaled(load(values, row * values.shape[1] + source + k), scale)
        store(peaks, at + k, product(peak, expansion))
    return block


@njit(cache=True, nogil=True)
def superpose(windows, weights, n, points, rows, largest):
    """Sum the first n of the windows with the weights of DRAWS_AT_ONCE patterns.

    weights  float32, DRAWS_AT_ONCE for each peak, not negative
    rows     float32 (DRAWS_AT_ONCE, points rounded up to LANES), written
    largest  float32 (DRAWS_AT_ONCE,), the maximum of each, written
    """
    block, peaks, width = windows
    row, full, long = rows.shape[1], points // LANES, width // LANES
    m0 = m1 = m2 = m3 = m4 = m5 = zeros(rows)
    first = last = 0
    for b in range(row // LANES):
        while last < n and block[last] <= b:
            last += 1
        while first < last and block[first] + long <= b:
            first += 1
        r0 = r1 = r2 = r3 = r4 = r5 = zeros(rows)
        for line in range(first, last):
            peak = load(peaks, line * width + (b - block[line]) * LANES)
            w = line * DRAWS_AT_ONCE
            r0 = add_scaled(r0, weights[w], peak)
            r1 = add_scaled(r1, weights[w + 1], peak)
            r2 = add_scaled(r2, weights[w + 2], peak)
            r3 = add_scaled(r3, weights[w + 3], peak)
            r4 = add_scaled(r4, weights[w + 4], peak)
            r5 = add_scaled(r5, weights[w + 5], peak)
        to = b * LANES
        store(rows, to, r0)
        store(rows, to + row, r1)
        store(rows, to + 2 * row, r2)
        store(rows, to + 3 * row, r3)
        store(rows, to + 4 * row, r4)
        store(rows, to + 5 * row, r5)
        if b < full:
            m0, m1, m2 = larger(m0, r0), larger(m1, r1), larger(m2, r2)
            m3, m4, m5 = larger(m3, r3), larger(m4, r4), larger(m5, r5)
    largest[0], largest[1], largest[2] = largest_lane(m0), largest_lane(m1), largest_lane(m2)
    largest[3], largest[4], largest[5] = largest_lane(m3), largest_lane(m4), largest_lane(m5)
    for draw in range(DRAWS_AT_ONCE):
        for k in range(full * LANES, points):
            largest[draw] = max(largest[draw], rows[draw, k])


_SUMMED = getattr(superpose, "py_func", superpose).__code__.co_varnames
if sum(name[0] == "r" and name[1:].isdigit() for name in _SUMMED) != DRAWS_AT_ONCE:
    raise AssertionError(f"superpose sums another number of draws than DRAWS_AT_ONCE = {DRAWS_AT_ONCE}")


@njit(cache=True, nogil=True)
def add_peak(row, begin, weight, peak):
    """Add weight x peak (float32, a multiple of LANES points) to row from index `begin` on."""
    for k in range(0, peak.size, LANES):
        store(row, begin + k, add_scaled(load(row, begin + k), weight, load(peak, k)))


@njit(cache=True, nogil=True)
def maximum(row, begin, points):
    """Largest of row[begin : begin + points], and 0 if none is positive."""
    vector, full = zeros(row), points // LANES * LANES
    for k in range(begin, begin + full, LANES):
        vector = larger(vector, load(row, k))
    largest = largest_lane(vector)
    for k in range(begin + full, begin + points):
        largest = max(largest, row[k])
    return largest


@njit(cache=True, nogil=True)
def finish(row, begin, largest, out, streamed):
    """Write row[begin : begin + out.size] / largest to out, zeros if largest is 0."""
    scale = np.float32(1) / largest if largest > 0 else np.float32(0)
    # Streamed vectors must begin at a multiple of 64 bytes.
    head = min(out.size, (-out.ctypes.data % 64) // 4) if streamed else 0
    end = head + (out.size - head) // LANES * LANES
    for k in range(head):
        out[k] = row[begin + k] * scale
    if streamed:
        for k in range(head, end, LANES):
            stream(out, k, scaled(load(row, begin + k), scale))
    else:
        for k in range(head, end, LANES):
            store(out, k, scaled(load(row, begin + k), scale))
    for k in range(end, out.size):
        out[k] = row[begin + k] * scale

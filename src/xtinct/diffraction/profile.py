"""Line lists to patterns on the CPU.

A Gaussian peak is written into a window of CUT_SIGMAS to either side. It comes from a table of the
Gaussian at some shifts below one grid step, corrected for the rest of the shift by three terms of
exp(z u), so no exponential is evaluated. The sum agrees with the exact one in float64 to 1e-6 of
the maximum.
"""

import functools
import math
from typing import NamedTuple

import numpy as np
from numba import njit

from xtinct.diffraction.conditions import Conditions
from xtinct.diffraction.instrument import CUT_SIGMAS, LORENTZ, Instrument
from xtinct.diffraction.linelists import LineLists
from xtinct.diffraction.peaks import render_any
from xtinct.errors import XtinctError

#: Largest exponent z u left to the expansion: 0.04^4 / 24 = 1e-7.
_EXPANSION_LIMIT = 0.04
#: Windows of one lattice are kept for its next draws up to this many numbers (16 MiB).
_KEPT_WINDOWS = 1 << 22


#: Peaks begin at multiples of this in a row that begins at a cache line: 64 bytes of float32. Sums
#: that keep to cache lines are a fifth faster.
_ALIGN = 16


class _Table(NamedTuple):
    """Gaussian windows: values (shifts, 2 half) and the offset of each point in sigma (2 half,)."""

    values: np.ndarray
    offsets: np.ndarray
    half: int
    step_sigmas: float


@functools.lru_cache(maxsize=64)
def gaussian_table(step_sigmas: float) -> _Table:
    """Windows for a grid whose step is `step_sigmas` standard deviations.

    Window point k lies on grid point j - half + 1 + k, for a line between grid points j and j + 1.
    """
    half = math.ceil(CUT_SIGMAS / step_sigmas)
    shifts = max(1, math.ceil(step_sigmas * (half + 1) * step_sigmas / (2 * _EXPANSION_LIMIT)))
    offsets = (np.arange(2 * half) - half + 1) * step_sigmas
    centres = (np.arange(shifts) + 0.5) / shifts * step_sigmas
    values = np.exp(-0.5 * (offsets[None, :] - centres[:, None]) ** 2)
    return _Table(values.astype(np.float32), offsets.astype(np.float32), half, step_sigmas)


def render(
    lines: LineLists,
    instrument: Instrument,
    out: np.ndarray | None = None,
    conditions: Conditions | None = None,
) -> np.ndarray:
    """Patterns float32 (len(lines), instrument.points), the maximum of each 1.

    A line beyond the grid contributes the part of its tail that lies on it; a line that the
    wavelength cannot reach contributes nothing; a sample with no line in range is a row of zeros.
    `out` is filled and returned if given (float32, C-contiguous): reusing it saves the cost of
    fresh memory. Samples in a row with equal positions (draws of one lattice) share their peaks.
    `conditions` of the samples; None is the instrument exactly as configured.
    """
    shape = (len(lines), instrument.points)
    if out is None:
        out = np.empty(shape, dtype=np.float32)
    elif out.shape != shape or out.dtype != np.float32 or not out.flags.c_contiguous:
        raise XtinctError(f"render: out is {out.dtype} {out.shape}, expected contiguous float32 {shape}")
    if conditions is not None or not instrument.plain:
        return render_any(lines, instrument, conditions, out)
    table = gaussian_table(instrument.step / instrument.sigma)
    _render(
        lines.offsets,
        lines.d_star,
        lines.intensity,
        instrument.wavelength,
        instrument.two_theta_min,
        instrument.step,
        LORENTZ.index(instrument.lorentz),
        table.values,
        table.offsets,
        table.half,
        table.step_sigmas,
        out,
    )
    return out


@njit(cache=True)
def lorentz_factor(sin_theta, kind):
    """Geometric factor of a line at `sin_theta` in (0, 1); kind is the index in LORENTZ."""
    s2 = sin_theta * sin_theta
    factor = 0.5 / (s2 * math.sqrt(1.0 - s2))
    if kind == 1:
        cos_2theta = 1.0 - 2.0 * s2
        factor *= 1.0 + cos_2theta * cos_2theta
    return factor


@njit(cache=True, nogil=True)
def place_lines(d_star, wavelength, first, step, kind, points, half, position, factor):
    """Grid coordinate and geometric factor of each line; factor 0 for lines that do not show."""
    for i in range(d_star.size):
        sin_theta = 0.5 * wavelength * d_star[i]
        factor[i] = 0.0
        position[i] = 0.0
        if 0.0 < sin_theta < 1.0:
            x = (math.degrees(2.0 * math.asin(sin_theta)) - first) / step
            if -half < x < points - 1 + half:
                position[i] = x
                factor[i] = lorentz_factor(sin_theta, kind)


@njit(cache=True)
def peak_width(half):
    """Points of a peak with the zeros that align it."""
    return (2 * half + 2 * _ALIGN - 2) // _ALIGN * _ALIGN


@njit(cache=True, nogil=True)
def new_row(points, half):
    """A row of zeros float32 with room for a peak on either side, and the index of its first point."""
    margin = peak_width(half) + _ALIGN
    size = points + 2 * margin
    memory = np.zeros(size + _ALIGN, np.float32)
    skip = (-memory.ctypes.data % 64) // 4
    return memory[skip : skip + size], margin


@njit(cache=True, nogil=True, fastmath=True)
def write_peak(x, margin, values, offsets, half, step_sigmas, peak):
    """Write the peak of a line at grid coordinate x, of height 1, to `peak` (peak_width(half),).

    Returns the index in a row (see `new_row`) where it begins, a multiple of _ALIGN.
    """
    j = math.floor(x)
    shift = x - j
    row = min(values.shape[0] - 1, int(shift * values.shape[0]))
    centre = (row + 0.5) / values.shape[0]
    rest = (shift - centre) * step_sigmas
    scale = np.float32(math.exp(-0.5 * rest * rest))
    u = np.float32(rest)
    u0 = np.float32(rest * centre * step_sigmas)
    table = values[row]
    begin = margin + j - half + 1
    lead = begin % _ALIGN
    peak[:lead] = np.float32(0)
    peak[lead + table.size :] = np.float32(0)
    inner = peak[lead : lead + table.size]
    for k in range(table.size):
        t = u * offsets[k] - u0
        inner[k] = (scale * table[k]) * (
            np.float32(1) + t * (np.float32(1) + t * (np.float32(0.5) + t * np.float32(1 / 6)))
        )
    return begin - lead


@njit(cache=True, nogil=True, fastmath=True)
def add_peak(row, start, weight, peak):
    """Add weight x peak to row from index start on."""
    part = row[start : start + peak.size]
    for k in range(peak.size):
        part[k] += weight * peak[k]


@njit(cache=True, nogil=True, fastmath=True)
def normalise(row, margin, out):
    """Write the row divided by its maximum to out, zeros if there is none, and clear the row."""
    inner = row[margin : margin + out.size]
    # Positive floats are ordered like the integers of their bits; the maximum of integers is
    # vectorised where that of floats is not.
    bits = inner.view(np.int32)
    largest = np.int32(0)
    for i in range(bits.size):
        largest = max(largest, bits[i])
    scale = np.float32(0)
    if largest > 0:
        scale = np.float32(1) / np.array([largest], np.int32).view(np.float32)[0]
    for i in range(out.size):
        out[i] = inner[i] * scale
        inner[i] = np.float32(0)
    row[:margin] = np.float32(0)
    row[margin + out.size :] = np.float32(0)


@njit(cache=True, nogil=True)
def _equal(a, b):
    if a.size != b.size:
        return False
    for i in range(a.size):  # noqa: SIM110 (numba has no generators)
        if a[i] != b[i]:
            return False
    return True


@njit(cache=True, nogil=True)
def _render(
    sample_offsets, d_star, intensity, wavelength, first, step, kind, values, offsets, half, step_sigmas, out
):
    n, points = out.shape
    width = peak_width(half)
    longest = 1
    for i in range(n):
        longest = max(longest, sample_offsets[i + 1] - sample_offsets[i])
    position = np.empty(longest)
    factor = np.empty(longest)
    start = np.empty(longest, np.int64)
    kept = np.empty((longest if longest * width <= _KEPT_WINDOWS else 1, width), np.float32)
    row, margin = new_row(points, half)
    have_peaks = False
    for i in range(n):
        begin, end = sample_offsets[i], sample_offsets[i + 1]
        lines = end - begin
        here = d_star[begin:end]
        if i == 0 or not _equal(here, d_star[sample_offsets[i - 1] : begin]):
            place_lines(here, wavelength, first, step, kind, points, half, position, factor)
            # Keep the peaks only if the next sample can use them.
            have_peaks = (
                kept.shape[0] >= lines and i + 1 < n and _equal(here, d_star[end : sample_offsets[i + 2]])
            )
            if have_peaks:
                for j in range(lines):
                    start[j] = write_peak(position[j], margin, values, offsets, half, step_sigmas, kept[j])
        # Relative to the strongest line, so that no sum leaves the range of float32.
        largest = 0.0
        for j in range(lines):
            largest = max(largest, factor[j] * intensity[begin + j])
        if largest > 0.0:
            for j in range(lines):
                weight = np.float32(factor[j] * intensity[begin + j] / largest)
                if weight > np.float32(0):
                    if have_peaks:
                        add_peak(row, start[j], weight, kept[j])
                    else:
                        s = write_peak(position[j], margin, values, offsets, half, step_sigmas, kept[0])
                        add_peak(row, s, weight, kept[0])
        normalise(row, margin, out[i])

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

from xtinct.diffraction.instrument import CUT_SIGMAS, LORENTZ, Instrument
from xtinct.diffraction.linelists import LineLists
from xtinct.errors import XtinctError

#: Largest exponent z u left to the expansion: 0.04^4 / 24 = 1e-7.
_EXPANSION_LIMIT = 0.04
#: Windows of one lattice are kept for its next draws up to this many numbers (16 MiB).
_KEPT_WINDOWS = 1 << 22


class _Table(NamedTuple):
    """Gaussian windows: values (shifts, width) and the offset of each point in sigma (width,)."""

    values: np.ndarray
    offsets: np.ndarray
    half: int
    step_sigmas: float


@functools.lru_cache(maxsize=64)
def _table(step_sigmas: float) -> _Table:
    """Windows for a grid whose step is `step_sigmas` standard deviations.

    Window point k lies on grid point j - half + 1 + k, for a line between grid points j and j + 1.
    """
    half = math.ceil(CUT_SIGMAS / step_sigmas)
    half = 8 * math.ceil(half / 8)  # whole SIMD registers
    shifts = max(1, math.ceil(step_sigmas * (half + 1) * step_sigmas / (2 * _EXPANSION_LIMIT)))
    offsets = (np.arange(2 * half) - half + 1) * step_sigmas
    centres = (np.arange(shifts) + 0.5) / shifts * step_sigmas
    values = np.exp(-0.5 * (offsets[None, :] - centres[:, None]) ** 2)
    return _Table(values.astype(np.float32), offsets.astype(np.float32), half, step_sigmas)


def render(lines: LineLists, instrument: Instrument, out: np.ndarray | None = None) -> np.ndarray:
    """Patterns float32 (len(lines), instrument.points), the maximum of each 1.

    A line beyond the grid contributes the part of its tail that lies on it; a line that the
    wavelength cannot reach contributes nothing; a sample with no line in range is a row of zeros.
    `out` is filled and returned if given (float32, C-contiguous): reusing it saves the cost of
    fresh memory. Samples in a row with equal positions (draws of one lattice) share their peaks.
    """
    shape = (len(lines), instrument.points)
    if out is None:
        out = np.empty(shape, dtype=np.float32)
    elif out.shape != shape or out.dtype != np.float32 or not out.flags.c_contiguous:
        raise XtinctError(f"render: out is {out.dtype} {out.shape}, expected contiguous float32 {shape}")
    table = _table(instrument.step / instrument.sigma)
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
def _place(d_star, wavelength, first, step, kind, points, half, position, factor):
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


@njit(cache=True, nogil=True, fastmath=True)
def _window(x, values, offsets, half, step_sigmas, peak):
    """Write the peak of a line at grid coordinate x to `peak`; returns its first grid point."""
    j = math.floor(x)
    shift = x - j
    row = min(values.shape[0] - 1, int(shift * values.shape[0]))
    centre = (row + 0.5) / values.shape[0]
    rest = (shift - centre) * step_sigmas
    scale = np.float32(math.exp(-0.5 * rest * rest))
    u = np.float32(rest)
    u0 = np.float32(rest * centre * step_sigmas)
    table = values[row]
    for k in range(table.size):
        t = u * offsets[k] - u0
        peak[k] = (scale * table[k]) * (
            np.float32(1) + t * (np.float32(1) + t * (np.float32(0.5) + t * np.float32(1 / 6)))
        )
    return j - half + 1


@njit(cache=True, nogil=True, fastmath=True)
def _add(row, start, weight, peak):
    part = row[start : start + peak.size]
    for k in range(peak.size):
        part[k] += weight * peak[k]


@njit(cache=True, nogil=True, fastmath=True)
def _normalise(row, out):
    """Write row divided by its maximum to out; a row without a positive value gives zeros."""
    # Positive floats are ordered like the integers of their bits; the maximum of integers is
    # vectorised where that of floats is not.
    bits = row.view(np.int32)
    largest = np.int32(0)
    for i in range(bits.size):
        largest = max(largest, bits[i])
    if largest == 0:
        out[:] = np.float32(0)
        return
    scale = np.float32(1) / np.array([largest], np.int32).view(np.float32)[0]
    for i in range(row.size):
        out[i] = row[i] * scale


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
    width = offsets.size
    longest = 1
    for i in range(n):
        longest = max(longest, sample_offsets[i + 1] - sample_offsets[i])
    position = np.empty(longest)
    factor = np.empty(longest)
    start = np.empty(longest, np.int64)
    kept = np.empty((longest if longest * width <= _KEPT_WINDOWS else 1, width), np.float32)
    padded = np.zeros(points + 2 * width, np.float32)
    row = padded[width : width + points]
    have_windows = False
    for i in range(n):
        begin, end = sample_offsets[i], sample_offsets[i + 1]
        lines = end - begin
        here = d_star[begin:end]
        if i == 0 or not _equal(here, d_star[sample_offsets[i - 1] : begin]):
            _place(here, wavelength, first, step, kind, points, half, position, factor)
            # Keep the peaks only if the next sample can use them.
            have_windows = (
                kept.shape[0] >= lines and i + 1 < n and _equal(here, d_star[end : sample_offsets[i + 2]])
            )
            if have_windows:
                for j in range(lines):
                    start[j] = _window(position[j], values, offsets, half, step_sigmas, kept[j]) + width
        # Relative to the strongest line, so that no sum leaves the range of float32.
        largest = 0.0
        for j in range(lines):
            largest = max(largest, factor[j] * intensity[begin + j])
        padded[:] = np.float32(0)
        if largest > 0.0:
            for j in range(lines):
                weight = np.float32(factor[j] * intensity[begin + j] / largest)
                if weight > np.float32(0):
                    if have_windows:
                        _add(padded, start[j], weight, kept[j])
                    else:
                        s = _window(position[j], values, offsets, half, step_sigmas, kept[0]) + width
                        _add(padded, s, weight, kept[0])
        _normalise(row, out[i])

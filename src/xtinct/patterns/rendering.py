"""Line lists to patterns on the CPU.

A Gaussian peak is written into a window of CUT_SIGMAS to either side. It comes from a table of the
Gaussian at some shifts below one grid step, corrected for the rest of the shift by three terms of
exp(z u), so no exponential is evaluated. The sum agrees with the exact one in float64 to 1e-6 of
the maximum.
"""

import math
from typing import NamedTuple

import numpy as np

from xtinct.compiling import njit
from xtinct.errors import XtinctError
from xtinct.linelists.line_lists import LineLists
from xtinct.patterns.conditions import Conditions
from xtinct.patterns.gaussians import (
    DRAWS_AT_ONCE,
    LANES,
    STREAMED_BYTES,
    Windows,
    add_peak,
    finish,
    gaussian_table,
    maximum,
    superpose,
    write_peak,
)
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.lorentz import geometric_factor
from xtinct.patterns.profiles import render_any

#: The peaks of one lattice are kept for its draws up to this many numbers (16 MiB).
_KEPT_PEAKS = 1 << 22


class LineArrays(NamedTuple):
    """The arrays of `LineLists`, for compiled code.

    Positions become float64, and those and intensities are only to be read: for every other combination of
    types all that takes them would be compiled once more.
    """

    offsets: np.ndarray
    d_star: np.ndarray
    intensity: np.ndarray

    @classmethod
    def of(cls, lines: LineLists) -> "LineArrays":
        """Those of line lists."""
        d_star, intensity = np.asarray(lines.d_star, np.float64).view(), lines.intensity.view()
        d_star.flags.writeable = intensity.flags.writeable = False
        return cls(lines.offsets, d_star, intensity)


class PlainInstrument(NamedTuple):
    """What compiled code needs of a plain instrument: angstrom, degrees, `Instrument.polarisation`."""

    wavelength: float
    first: float
    step: float
    polarisation: float
    points: int

    @classmethod
    def of(cls, instrument: Instrument) -> "PlainInstrument":
        """That of an instrument, whose numbers may be written as whole ones."""
        return cls(
            float(instrument.wavelength),
            float(instrument.two_theta_min),
            float(instrument.step),
            float(instrument.polarisation),
            int(instrument.points),
        )


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
        LineArrays.of(lines),
        PlainInstrument.of(instrument),
        table,
        out.nbytes > STREAMED_BYTES,
        out,
    )
    return out


@njit(cache=True, nogil=True)
def place_lines(d_star, grid, half, shown, position, factor):
    """Index, grid coordinate and geometric factor of each line that shows; returns how many do.

    half  points of a peak to either side. The arrays are arguments of their own: in a tuple they cost 1.7
    times as much.
    """
    wavelength, first, step, polarisation, points = grid
    kept = 0
    for i in range(d_star.size):
        sin_theta = 0.5 * wavelength * d_star[i]
        if 0.0 < sin_theta < 1.0:
            x = (math.degrees(2.0 * math.asin(sin_theta)) - first) / step
            if -half < x < points - 1 + half:
                shown[kept], position[kept] = i, x
                cosine = math.sqrt(1.0 - sin_theta * sin_theta)
                factor[kept] = geometric_factor(sin_theta, cosine, polarisation)
                kept += 1
    return kept


@njit(cache=True, nogil=True)
def _same_lattice(a, b):
    """Whether two samples have equal positions, ascending as sums of shared peaks need them."""
    if a.size != b.size:
        return False
    for i in range(a.size):  # noqa: SIM110 (numba has no generators)
        if a[i] != b[i] or (i > 0 and a[i] < a[i - 1]):
            return False
    return True


@njit(cache=True, nogil=True)
def _relative_weights(shown, factor, intensity, weights, every):
    """Weight of each line that shows relative to the strongest, so that no sum leaves float32."""
    largest = 0.0
    for j in range(shown.size):
        largest = max(largest, factor[j] * intensity[shown[j]])
    scale = 1.0 / largest if largest > 0.0 else 0.0
    for j in range(shown.size):
        weights[j * every] = np.float32(factor[j] * intensity[shown[j]] * scale)


@njit(cache=True, nogil=True)
def _render(lines, grid, table, streamed, out):
    offsets, d_star, intensity = lines
    n, points = out.shape
    width = table.width
    longest = 1
    for i in range(n):
        longest = max(longest, offsets[i + 1] - offsets[i])
    room = longest if longest * width <= _KEPT_PEAKS else 1
    position, factor = np.empty(longest), np.empty(longest)
    shown, block = np.empty(longest, np.int64), np.empty(longest, np.int64)
    peaks = np.empty((room, width), np.float32)
    windows = Windows(block, peaks, width)
    weights = np.empty(longest * DRAWS_AT_ONCE, np.float32)
    rows = np.empty((DRAWS_AT_ONCE, -(-points // LANES) * LANES if n > 1 else 0), np.float32)
    largest = np.empty(DRAWS_AT_ONCE, np.float32)
    # One sample is summed in a row with room for a peak on either side.
    row = np.zeros(points + 3 * width, np.float32)
    i = 0
    while i < n:
        here = d_star[offsets[i] : offsets[i + 1]]
        kept = place_lines(here, grid, table.half, shown, position, factor)
        # Draws of one lattice share its peaks.
        last = i + 1
        while kept <= room and last < n and _same_lattice(here, d_star[offsets[last] : offsets[last + 1]]):
            last += 1
        if last > i + 1:
            for j in range(kept):
                block[j] = write_peak(position[j], table, peaks, j * width)
            for chunk in range(i, last, DRAWS_AT_ONCE):
                draws = min(DRAWS_AT_ONCE, last - chunk)
                weights[:] = np.float32(0)
                for draw in range(draws):
                    own = intensity[offsets[chunk + draw] : offsets[chunk + draw + 1]]
                    _relative_weights(shown[:kept], factor, own, weights[draw:], DRAWS_AT_ONCE)
                superpose(windows, weights, kept, points, rows, largest)
                for draw in range(draws):
                    finish(rows[draw], 0, largest[draw], out[chunk + draw], streamed)
        else:
            _relative_weights(shown[:kept], factor, intensity[offsets[i] : offsets[i + 1]], weights, 1)
            for j in range(kept):
                if weights[j] > np.float32(0):
                    begin = write_peak(position[j], table, peaks, 0) * LANES + width
                    add_peak(row, begin, weights[j], peaks[0])
            finish(row, width, maximum(row, width, points), out[i], streamed)
            row[:] = np.float32(0)
        i = last

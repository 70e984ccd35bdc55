"""ULBD patterns in one pass: lattices to patterns, with no line list in between.

The peaks of a lattice are computed once; each draw then only weighs and adds them. The result is
that of `UlbdLines.draw` and `profile.render`, at the speed of writing it to memory.
"""

import numpy as np
from numba import njit

from xtinct.diffraction.instrument import LORENTZ, Instrument
from xtinct.diffraction.lines import UlbdLines
from xtinct.diffraction.profile import (
    add_peak,
    gaussian_table,
    new_row,
    normalise,
    peak_width,
    place_lines,
    write_peak,
)
from xtinct.errors import XtinctError
from xtinct.randomness import uniform


def ulbd_patterns(
    lines: UlbdLines,
    groups: np.ndarray,
    cells: np.ndarray,
    keys: np.ndarray,
    instrument: Instrument,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Patterns float32 (n, draws, points) of `groups` int (n,) on `cells` float64 (n, 6), law uniform.

    keys  uint64 (n, draws), the stream of each draw's intensities
    out   array to fill and return (float32, C-contiguous)

    Equal to `render(lines.draw(...))` within 1e-6. XtinctError as `UlbdLines.draw`.
    """
    instrument.check_reach(lines.d_star_max)
    keys = np.ascontiguousarray(keys, dtype=np.uint64)
    shape = (*keys.shape, instrument.points)
    if out is None:
        out = np.empty(shape, dtype=np.float32)
    elif out.shape != shape or out.dtype != np.float32 or not out.flags.c_contiguous:
        raise XtinctError(f"patterns: out is {out.dtype} {out.shape}, expected contiguous float32 {shape}")
    table = gaussian_table(instrument.step / instrument.sigma)
    # One draw of each lattice gives the positions; the intensities follow below.
    positions = lines.draw(groups, cells, keys[:, 0])
    _patterns(
        positions.offsets,
        positions.d_star,
        keys,
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


@njit(cache=True, nogil=True)
def _patterns(
    offsets, d_star, keys, wavelength, first, step, kind, values, table_offsets, half, step_sigmas, out
):
    n, draws, points = out.shape
    longest = 1
    for i in range(n):
        longest = max(longest, offsets[i + 1] - offsets[i])
    position, factor = np.empty(longest), np.empty(longest)
    shown, start = np.empty(longest, np.int64), np.empty(longest, np.int64)
    peaks = np.empty((longest, peak_width(half)), np.float32)
    weights = np.empty(longest, np.float32)
    row, margin = new_row(points, half)
    for i in range(n):
        lines = offsets[i + 1] - offsets[i]
        here = d_star[offsets[i] : offsets[i + 1]]
        place_lines(here, wavelength, first, step, kind, points, half, position, factor)
        largest = 0.0
        for line in range(lines):
            largest = max(largest, factor[line])
        kept = 0
        for line in range(lines):
            if factor[line] > 0.0:
                peak = peaks[kept]
                x = position[line]
                start[kept] = write_peak(x, margin, values, table_offsets, half, step_sigmas, peak)
                peak *= np.float32(factor[line] / largest)
                shown[kept] = line
                kept += 1
        for draw in range(draws):
            key = keys[i, draw]
            for line in range(kept):
                weights[line] = uniform(key, shown[line])
            for line in range(kept):
                add_peak(row, start[line], weights[line], peaks[line])
            normalise(row, margin, out[i, draw])

"""ULBD patterns in one pass: lattices to patterns, with no line list in between.

The peaks of a lattice are computed once; each draw then only weighs and adds them. The result is
that of `UlbdLines.draw` and `rendering.render`, at the speed of writing it to memory.
"""

import numpy as np

from xtinct.compiling import njit
from xtinct.errors import XtinctError
from xtinct.linelists.ulbd_lines import UlbdLines
from xtinct.patterns.gaussians import (
    DRAWS_AT_ONCE,
    LANES,
    STREAMED_BYTES,
    Windows,
    finish,
    gaussian_table,
    superpose,
    write_peak,
)
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.rendering import LineArrays, PlainInstrument, place_lines, render
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
    if not instrument.plain:
        repeated = (np.repeat(np.asarray(values), keys.shape[1], axis=0) for values in (groups, cells))
        render(lines.draw(*repeated, keys.reshape(-1)), instrument, out.reshape(-1, instrument.points))
        return out
    table = gaussian_table(instrument.step / instrument.sigma)
    # One draw of each lattice gives the positions; the intensities follow below.
    positions = lines.draw(groups, cells, keys[:, 0])
    _patterns(
        LineArrays.of(positions),
        keys,
        PlainInstrument.of(instrument),
        table,
        out.nbytes > STREAMED_BYTES,
        out,
    )
    return out


@njit(cache=True, nogil=True)
def _patterns(lines, keys, grid, table, streamed, out):
    offsets = lines.offsets
    n, draws, points = out.shape
    longest = 1
    for i in range(n):
        longest = max(longest, offsets[i + 1] - offsets[i])
    position, factor = np.empty(longest), np.empty(longest)
    shown, block = np.empty(longest, np.int64), np.empty(longest, np.int64)
    peaks = np.empty((longest, table.width), np.float32)
    windows = Windows(block, peaks, table.width)
    weights = np.empty(longest * DRAWS_AT_ONCE, np.float32)
    rows = np.empty((DRAWS_AT_ONCE, -(-points // LANES) * LANES), np.float32)
    largest = np.empty(DRAWS_AT_ONCE, np.float32)
    for i in range(n):
        here = lines.d_star[offsets[i] : offsets[i + 1]]
        kept = place_lines(here, grid, table.half, shown, position, factor)
        strongest = 0.0
        for line in range(kept):
            strongest = max(strongest, factor[line])
            block[line] = write_peak(position[line], table, peaks, line * table.width)
        for line in range(kept):
            factor[line] /= strongest
        for chunk in range(0, draws, DRAWS_AT_ONCE):
            for draw in range(DRAWS_AT_ONCE):
                key = keys[i, min(chunk + draw, draws - 1)]
                for line in range(kept):
                    weights[line * DRAWS_AT_ONCE + draw] = factor[line] * uniform(key, shown[line])
            superpose(windows, weights, kept, points, rows, largest)
            for draw in range(min(DRAWS_AT_ONCE, draws - chunk)):
                finish(rows[draw], 0, largest[draw], out[i, chunk + draw], streamed)

"""Samples to judge a model by, read from the line-list files of the families that it tells apart."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from xtinct.files.parquet import open_parquet
from xtinct.files.schema import CELL
from xtinct.learning.streams import read_lines
from xtinct.linelists.line_lists import LabelledLines, LineLists


def read_parts(
    paths: Sequence[str | Path], scope: str, split: str | None
) -> Iterator[tuple[LabelledLines, list[str]]]:
    """(samples, their ids) of a split (None: all), a row group at a time, one file after the other."""
    for path in paths:
        yield from read_lines(path, family=scope, split=split)


def read_cells(paths: Sequence[str | Path], split: str | None) -> np.ndarray:
    """Cells float64 (n, 6) of the samples that `read_parts` gives, in its order."""
    cells = []
    for path in paths:
        with open_parquet(path) as file:
            table = file.read(columns=[*CELL, "split"])
        if split is not None:
            table = table.filter(pc.equal(table["split"], split))
        cells.append(np.stack([table[name].to_numpy() for name in CELL], axis=1))
    return np.concatenate(cells)


def numbered(cells: np.ndarray) -> np.ndarray:
    """Numbers int (n,) of `cells` (n, 6): equal cells have equal numbers."""
    return np.unique(cells, axis=0, return_inverse=True)[1].reshape(-1)


def read_spread(
    paths: Sequence[str | Path], scope: str, split: str | None, count: int
) -> tuple[LabelledLines, np.ndarray]:
    """`count` samples spread evenly over the split, or all if there are fewer, and their cells (n, 6).

    Files are ordered, so the first samples alone would be of few lattices or groups.
    """
    cells = read_cells(paths, split)
    n = len(cells)
    rows = np.arange(n) if n <= count else (np.arange(count) * n + n // 2) // count
    none = LineLists(np.zeros(1, np.int64), np.empty(0, np.float32), np.empty(0, np.float32))
    found, first = [LabelledLines(none, np.empty(0, np.int16))], 0
    for samples, _ in read_parts(paths, scope, split):
        inside = rows[(rows >= first) & (rows < first + len(samples))] - first
        found += [
            LabelledLines(samples.lines.slice(row, row + 1), samples.groups[row : row + 1]) for row in inside
        ]
        first += len(samples)
    return LabelledLines.concatenate(found), cells[rows]

"""Samples to judge a method by, read from the line-list files of the families that it tells apart."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from xtinct.files.parquet import open_parquet
from xtinct.files.schema import CELL
from xtinct.linelists.line_lists import LabelledLines, LineLists
from xtinct.linelists.line_tables import read_lines
from xtinct.patterns.instrument import Instrument
from xtinct.randomness import spread_over


@dataclass(frozen=True)
class LabelledSamples:
    """What is true of n samples: ids, space groups int (n,), cells float64 (n, 6)."""

    ids: list[str]
    groups: np.ndarray
    cells: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def lattices(self) -> np.ndarray:
        """Numbers int (n,) of the cells: equal cells have equal numbers."""
        return np.unique(self.cells, axis=0, return_inverse=True)[1].reshape(-1)


@dataclass(frozen=True)
class TestSet:
    """Samples that methods are judged on, and how they are measured.

    name        of the test set, for the records
    paths       line lists (schema.LINES) of each family that the method tells apart
    instrument  section of the configuration
    split       part of the files; None takes all of it
    confidence  of every interval
    """

    __test__ = False  # no class of tests, whatever pytest takes it for

    name: str
    paths: Sequence[str | Path]
    instrument: Mapping[str, Any]
    split: str | None = "test"
    confidence: float = 0.95

    @cached_property
    def optics(self) -> Instrument:
        """The instrument."""
        return Instrument.from_config(self.instrument)

    def parts(self, scope: str) -> Iterator[tuple[LabelledLines, list[str]]]:
        """(samples, their ids), a row group at a time, one file after the other.

        XtinctError for a sample that is not of `scope`, a crystal family or all.
        """
        for path in self.paths:
            yield from read_lines(path, family=scope, split=self.split)

    def cells(self) -> np.ndarray:
        """Cells float64 (n, 6) of the samples that `parts` gives, in its order."""
        cells = []
        for path in self.paths:
            with open_parquet(path) as file:
                table = file.read(columns=[*CELL, "split"])
            if self.split is not None:
                table = table.filter(pc.equal(table["split"], self.split))
            cells.append(np.stack([table[name].to_numpy() for name in CELL], axis=1))
        return np.concatenate(cells)

    def spread(self, scope: str, count: int) -> tuple[LabelledSamples, LineLists]:
        """`count` samples from all over the test set, or all if there are fewer, and their lines.

        Files are ordered by group and lattice, so the first samples alone would be of few groups, and
        samples at even steps of few lattices.
        """
        cells = self.cells()
        n = len(cells)
        rows = np.arange(n) if n <= count else np.sort(spread_over(n, count))
        ids: list[str] = []
        groups = [np.empty(0, np.int16)]
        lines = [LineLists(np.zeros(1, np.int64), np.empty(0, np.float32), np.empty(0, np.float32))]
        first = 0
        for part, part_ids in self.parts(scope):
            inside = rows[(rows >= first) & (rows < first + len(part))] - first
            ids += [part_ids[row] for row in inside]
            groups.append(part.groups[inside])
            lines.append(part.lines.take(inside))
            first += len(part)
        return LabelledSamples(ids, np.concatenate(groups), cells[rows]), LineLists.concatenate(lines)

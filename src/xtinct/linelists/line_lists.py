"""The in-memory form of many line lists: one ragged array in compressed-row form."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xtinct.errors import XtinctError


@dataclass(frozen=True)
class LineLists:
    """Lines of `len(self)` samples; sample i owns lines offsets[i] to offsets[i + 1].

    offsets    int64 (n + 1,), ascending from 0
    d_star     float64 or float32 (m,), 1/angstrom, ascending within a sample
    intensity  float32 (m,), |F|^2 summed over the hkl of the line (any common scale), >= 0
    """

    offsets: np.ndarray
    d_star: np.ndarray
    intensity: np.ndarray

    def __post_init__(self) -> None:
        n_lines = int(self.offsets[-1])
        if len(self.d_star) != n_lines or len(self.intensity) != n_lines:
            raise XtinctError(
                f"line lists: offsets end at {n_lines}, but there are {len(self.d_star)} positions "
                f"and {len(self.intensity)} intensities"
            )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """(d_star, intensity) of sample i."""
        lines = slice(self.offsets[i], self.offsets[i + 1])
        return self.d_star[lines], self.intensity[lines]

    def slice(self, start: int, stop: int) -> "LineLists":
        """Samples start to stop - 1 (as far as there are), sharing memory."""
        offsets = self.offsets[start : min(stop, len(self)) + 1]
        lines = slice(offsets[0], offsets[-1])
        return LineLists(offsets - offsets[0], self.d_star[lines], self.intensity[lines])

    def take(self, rows: np.ndarray) -> "LineLists":
        """The samples number `rows` (int (k,)), in that order."""
        lengths = np.diff(self.offsets)[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        index = np.repeat(self.offsets[rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return LineLists(offsets, self.d_star[index], self.intensity[index])

    @classmethod
    def concatenate(cls, parts: "list[LineLists]") -> "LineLists":
        """All samples of `parts`, one part after the other."""
        lengths = np.concatenate([np.diff(part.offsets) for part in parts])
        return cls(
            offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            d_star=np.concatenate([part.d_star for part in parts]),
            intensity=np.concatenate([part.intensity for part in parts]),
        )


@dataclass(frozen=True)
class LabelledLines:
    """Line lists, the space group number of each, int16 (n,), and its conventional cell.

    cells  float64 (n, 6), angstrom and degrees; None where they are not known
    """

    lines: LineLists
    groups: np.ndarray
    cells: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def crystals(self) -> np.ndarray:
        """Numbers int64 (n,) of the crystals: samples of equal group and cell have equal ones.

        Where the cells are not known, every sample counts as another crystal.
        """
        return numbers_of_crystals(self.groups, self.cells)

    def take(self, rows: np.ndarray) -> "LabelledLines":
        """The samples number `rows` (int (k,)), in that order."""
        cells = None if self.cells is None else self.cells[rows]
        return LabelledLines(self.lines.take(rows), self.groups[rows], cells)

    @classmethod
    def concatenate(cls, parts: "Sequence[LabelledLines]") -> "LabelledLines":
        """The samples of all parts, in order; without cells if one of them has none."""
        cells = [part.cells for part in parts]
        return cls(
            LineLists.concatenate([part.lines for part in parts]),
            np.concatenate([part.groups for part in parts]),
            None if any(own is None for own in cells) else np.concatenate(cells),
        )


def numbers_of_crystals(groups: np.ndarray, cells: np.ndarray | None) -> np.ndarray:
    """Numbers int64 (n,), equal for equal space group, int (n,), and cell, float (n, 6); None: all differ."""
    if cells is None:
        return np.arange(len(groups))
    marks = np.column_stack([groups.astype(np.float64), cells])
    return np.unique(marks, axis=0, return_inverse=True)[1].reshape(-1)

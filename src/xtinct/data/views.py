"""How samples are handed out: as patterns of an instrument, or as lines."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array
from torch.utils.data import default_collate

from xtinct.data.scales import PatternAxis, from_d_star, to_d_star
from xtinct.errors import XtinctError
from xtinct.learning.loading import Batch
from xtinct.patterns.default_instrument import DEFAULT_INSTRUMENT
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.rendering import render


@dataclass(frozen=True)
class Patterns:
    """Patterns of an instrument, on its own points or on another axis.

    On another axis a point is the mean of the pattern over the interval around it, so narrow peaks are not
    lost where the axis is coarser; the intervals of the first and the last point are cut at the ends. Values
    are those that the instrument measures there: no factor dx / d2theta changes them.
    """

    instrument: Instrument = DEFAULT_INSTRUMENT
    axis: PatternAxis = field(default_factory=PatternAxis)

    def __post_init__(self) -> None:
        self.axis.ends(self.instrument)

    @cached_property
    def abscissa(self) -> np.ndarray:
        """Where the points stand, float64 (points,)."""
        return self.axis.grid(self.instrument)

    def __call__(self, batch: Batch) -> list[torch.Tensor]:
        """Patterns of a batch, float32 (points,) each."""
        found = render(batch.lines, self.instrument, conditions=batch.conditions)
        if not self.axis.is_own(self.instrument):
            found = (self._means @ found.T).T.astype(np.float32)
        return list(torch.from_numpy(np.ascontiguousarray(found)))

    @cached_property
    def _means(self) -> csr_array:
        """What makes the points of the axis from those of the instrument, (points, instrument.points)."""
        instrument, grid = self.instrument, self.abscissa
        step = grid[1] - grid[0]
        edges = np.clip(np.append(grid - step / 2, grid[-1] + step / 2), grid[0], grid[-1])
        widest = np.abs(np.diff(self._two_theta(edges))).max()
        # As finely as the instrument's points; the mean of linear interpolations in the middle of each part.
        parts = max(1, int(np.ceil(widest / instrument.step)))
        share = (np.arange(parts) + 0.5) / parts
        places = edges[:-1, None] + np.diff(edges)[:, None] * share
        if parts == 1:
            places = grid[:, None]
        position = (self._two_theta(places) - instrument.two_theta_min) / instrument.step
        left = np.clip(np.floor(position), 0, instrument.points - 2).astype(np.int64)
        right = np.clip(position - left, 0.0, 1.0)
        row = np.broadcast_to(np.arange(len(grid))[:, None], left.shape)
        columns = np.concatenate([left.ravel(), left.ravel() + 1])
        weights = np.concatenate([(1 - right).ravel(), right.ravel()]) / parts
        shape = (len(grid), instrument.points)
        return csr_array((weights, (np.tile(row.ravel(), 2), columns)), shape=shape)

    def _two_theta(self, position: np.ndarray) -> np.ndarray:
        wavelength = self.instrument.wavelength
        return from_d_star("2theta", to_d_star(self.axis.name, position, wavelength), wavelength)


@dataclass(frozen=True)
class LineView:
    """Lines as they stand on an axis, ascending; those beyond its ends are cut off.

    Intensities are |F|^2 summed over the hkl of a line, the strongest that is left 1, without
    any factor of an instrument. `axis.points` does not matter. Measuring conditions change no line.
    """

    instrument: Instrument = DEFAULT_INSTRUMENT
    axis: PatternAxis = field(default_factory=PatternAxis)

    def __post_init__(self) -> None:
        self.axis.ends(self.instrument)

    def __call__(self, batch: Batch) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """(positions, intensities) of each sample of a batch, float32 (lines,) each."""
        low, high = self.axis.ends(self.instrument)
        position = from_d_star(self.axis.name, batch.lines.d_star, self.instrument.wavelength)
        inside = (position >= low) & (position <= high)
        found = []
        for first, last in zip(batch.lines.offsets[:-1], batch.lines.offsets[1:], strict=True):
            kept = np.arange(first, last)[inside[first:last]]
            own, intensity = position[kept], batch.lines.intensity[kept].astype(np.float32)
            if self.axis.name == "d":
                own, intensity = own[::-1], intensity[::-1]
            highest = intensity.max(initial=0.0)
            scaled = intensity / highest if highest > 0 else intensity
            found.append(
                (torch.from_numpy(own.astype(np.float32)), torch.from_numpy(np.ascontiguousarray(scaled)))
            )
        return found


class LineBatch(NamedTuple):
    """Lines of n samples, filled up with zeros to the longest: float32, float32 and bool, (n, longest).

    `mask` is true where there is a line.
    """

    position: torch.Tensor
    intensity: torch.Tensor
    mask: torch.Tensor


def collate_lines(samples: Sequence[tuple[tuple[torch.Tensor, torch.Tensor], Any]]) -> tuple[LineBatch, Any]:
    """(LineBatch, labels) of samples with lines: what a DataLoader takes as its `collate_fn`.

    XtinctError for samples that are no lines.
    """
    for lines, _ in samples:
        if not isinstance(lines, tuple):
            raise XtinctError(
                "collate_lines: samples are patterns; leave collate_fn out, or ask for a LineView"
            )
    position, intensity, present = (
        torch.nn.utils.rnn.pad_sequence(list(parts), batch_first=True)
        for parts in zip(
            *((p, i, torch.ones(len(p), dtype=torch.bool)) for (p, i), _ in samples), strict=True
        )
    )
    return LineBatch(position, intensity, present), default_collate([label for _, label in samples])

"""Endless streams of labelled line lists for training.

A stream is a pure function of the sample's index: `take(start, count)` gives the same samples
whenever and wherever it is asked, so a resumed run continues the same stream and prefetching
changes nothing.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from xtinct.errors import XtinctError
from xtinct.generators.group_draws import GroupDraws, WeighedDraws
from xtinct.lattices.distributions import LatticeSpec
from xtinct.linelists.line_lists import LabelledLines, LineLists
from xtinct.linelists.line_tables import read_lines
from xtinct.linelists.ulbd_lines import UlbdLines
from xtinct.randomness import stream_key, subkeys
from xtinct.symmetry.families import space_groups

#: Samples after which a mixture of arbitrary weights begins anew.
_PERIOD = 4096


class EmptySplitError(XtinctError):
    """A line-list file without any sample of the split that was asked for."""


class Stream(Protocol):
    """An endless sequence of labelled line lists of the space groups `groups`."""

    groups: np.ndarray

    def take(self, start: int, count: int) -> LabelledLines:
        """Samples number start to start + count - 1."""
        ...


class UlbdStream:
    """Line lists drawn while training: fresh lattices, random intensities, groups equally often.

    `role` names the stream ("train", "validation"). Its lattices come from random numbers of their
    own, so none is a lattice of the stored ULBD or of another role; a mesh is replaced by the
    continuous range that it covers, where a coincidence has probability zero. With `weights`, float (231,),
    groups are as frequent as these say.

    Attributes: groups, int16 (n,); shares, float64 (n,), how often each of them is drawn.
    """

    def __init__(
        self,
        *,
        family: str,
        spec: LatticeSpec,
        d_star_max: float,
        intensities: str,
        seed: int,
        role: str,
        weights: np.ndarray | None = None,
    ) -> None:
        self.family = family
        self.spec = replace(spec, kind="continuous", count=1) if spec.kind == "mesh" else spec
        self.intensities = intensities
        group_key = stream_key(seed, "ulbd-online", role, family, "group")
        self._groups = GroupDraws(space_groups(family), weights, group_key)
        self.groups, self.shares = self._groups.groups, self._groups.shares
        self._lines = UlbdLines(family, d_star_max, self.spec.length_max, self.spec.angles)
        self._lattice_seed = int(stream_key(seed, "ulbd-online", role, family, "lattice"))
        self._line_key = stream_key(seed, "ulbd-online", role, family, "lines")

    def take(self, start: int, count: int) -> LabelledLines:
        """Samples number start to start + count - 1."""
        keys = np.empty(count, dtype=np.uint64)
        groups = self._groups.take(start, count)
        cells = self.spec.cells(self.family, self._lattice_seed, np.arange(start, start + count))
        subkeys(self._line_key, start, keys)
        lines = self._lines.draw(groups, cells, keys, intensities=self.intensities)
        return LabelledLines(lines, groups, cells)


def _mapped(file: BinaryIO) -> np.ndarray:
    """The float32 values written to `file`, mapped into memory; valid after the file is closed."""
    file.flush()
    # An empty file cannot be mapped.
    return np.memmap(file, dtype=np.float32, mode="r") if file.tell() else np.empty(0, np.float32)


class StoredSamples:
    """The samples of one split of a line-list file (None: of all), by their place in the file.

    The lines are unpacked once into an unlinked temporary file that is mapped into memory, so a
    set may be larger than the memory. Pickling hands over the name of the file: it is read again.

    Attribute groups: space group numbers, int16 (n,).
    """

    def __init__(self, path: str | Path, *, family: str, split: str | None) -> None:
        self.path, self.family, self.split = Path(path), family, split
        groups, cells, lengths = [], [], []
        # The files have no name and live as long as their mapping: nothing is left behind.
        with tempfile.TemporaryFile() as d_star, tempfile.TemporaryFile() as intensity:
            for part, _ in read_lines(path, family=family, split=split):
                groups.append(part.groups)
                cells.append(part.cells)
                lengths.append(np.diff(part.lines.offsets))
                d_star.write(part.lines.d_star.astype(np.float32).tobytes())
                intensity.write(part.lines.intensity.astype(np.float32).tobytes())
            if not groups:
                raise EmptySplitError(f"{path}: no sample of the split {split!r}")
            self.groups, self._cells = np.concatenate(groups), np.concatenate(cells)
            self._offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
            self._d_star, self._intensity = _mapped(d_star), _mapped(intensity)

    def __len__(self) -> int:
        return len(self.groups)

    def __reduce__(self) -> tuple:
        return partial(StoredSamples, family=self.family, split=self.split), (self.path,)

    def take(self, rows: np.ndarray) -> LabelledLines:
        """The samples at the places `rows`, int (k,), in that order."""
        slices = [slice(self._offsets[row], self._offsets[row + 1]) for row in rows]
        lengths = self._offsets[rows + 1] - self._offsets[rows]
        lines = LineLists(
            offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            d_star=np.concatenate([self._d_star[s] for s in slices]),
            intensity=np.concatenate([self._intensity[s] for s in slices]),
        )
        return LabelledLines(lines, self.groups[rows], self._cells[rows])


class ParquetStream:
    """The samples of one split of a line-list file, in a new random order every epoch.

    A training set may be larger than the memory and is still shuffled as a whole.
    """

    def __init__(self, path: str | Path, *, family: str, split: str, seed: int) -> None:
        self.samples = StoredSamples(path, family=family, split=split)
        self.path, self.groups = self.samples.path, self.samples.groups
        self._key = stream_key(seed, "shuffle", family, split)
        self._shuffled = -1, np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.groups)

    def _permutation(self, epoch: int) -> np.ndarray:
        # Epoch and order in one: threads that prepare batches of two epochs must not mix them up.
        last, order = self._shuffled
        if epoch != last:
            keys = np.empty(len(self), dtype=np.uint64)
            subkeys(self._key + np.uint64(epoch), 0, keys)
            order = np.argsort(keys, kind="stable")
            self._shuffled = epoch, order
        return order

    def take(self, start: int, count: int) -> LabelledLines:
        """Samples number start to start + count - 1; epoch e holds numbers e * len to (e + 1) * len - 1."""
        positions = np.arange(start, start + count)
        rows = np.empty(count, dtype=np.int64)
        for epoch in np.unique(positions // len(self)):
            inside = positions // len(self) == epoch
            rows[inside] = self._permutation(int(epoch))[positions[inside] % len(self)]
        return self.samples.take(rows)


class WeighedStream:
    """Stored samples, drawn so that space groups are as frequent as `weights` say.

    weights  float (231,), of every space group number
    key      uint64, that of the stream

    Samples of one group are equally frequent, and are drawn with replacement: those of a group with few
    samples and much weight come often. XtinctError where no group of the samples has a weight.

    Attributes: groups, int16 (n,), of the samples that are drawn from; shares, float64 (n,), how often each.
    """

    def __init__(self, samples: StoredSamples, weights: np.ndarray, key: np.uint64) -> None:
        self._samples, self.path = samples, samples.path
        self._rows = np.flatnonzero(weights[samples.groups] > 0)
        self.groups = samples.groups[self._rows]
        each = weights / np.maximum(np.bincount(samples.groups, minlength=len(weights)), 1)
        self._draws = WeighedDraws(each[self.groups], key)
        self.shares = self._draws.shares

    def __len__(self) -> int:
        return len(self.groups)

    def take(self, start: int, count: int) -> LabelledLines:
        """Samples number start to start + count - 1."""
        return self._samples.take(self._rows[self._draws.take(start, count)])


class MixedStream:
    """Samples of several streams in fixed proportions, spread evenly over every stretch.

    Whole weights up to a sum of _PERIOD are kept exactly; others are rounded to 1 / _PERIOD. Which
    stream a sample comes from depends on its number alone. Attribute groups: all of the streams'.
    """

    def __init__(self, streams: Sequence[Stream], weights: Sequence[float]) -> None:
        weights = np.asarray(weights, dtype=np.float64)
        if len(weights) != len(streams) or not (weights > 0).all() or not np.isfinite(weights).all():
            raise XtinctError("mixture: every training set needs a weight above zero")
        self.streams = list(streams)
        self.groups = np.unique(np.concatenate([stream.groups for stream in streams]))
        counts = whole_counts(weights)
        # Sample k of n stands at (k + 1/2) / n of the period; streams are merged in that order.
        place = np.concatenate([(np.arange(n) + 0.5) / n for n in counts])
        order = np.argsort(place, kind="stable")
        self._counts = counts
        self._stream = np.repeat(np.arange(len(counts)), counts)[order]
        self._rank = np.concatenate([np.arange(n) for n in counts])[order]

    def take(self, start: int, count: int) -> LabelledLines:
        """Samples number start to start + count - 1."""
        cycle, slot = np.divmod(np.arange(start, start + count), len(self._stream))
        source = self._stream[slot]
        number = cycle * self._counts[source] + self._rank[slot]
        parts = []
        for j, stream in enumerate(self.streams):
            own = number[source == j]
            if len(own):
                parts.append(stream.take(int(own[0]), len(own)))
        joined = LabelledLines.concatenate(parts)
        # The parts stand one after the other; back to the order of the numbers.
        rows = np.empty(count, dtype=np.int64)
        rows[np.argsort(source, kind="stable")] = np.arange(count)
        return joined.take(rows)


def whole_counts(weights: np.ndarray) -> np.ndarray:
    """Whole numbers int64 in the proportions of `weights`, none of them zero."""
    if (weights == np.round(weights)).all() and weights.sum() <= _PERIOD:
        return weights.astype(np.int64)
    return np.maximum(1, np.round(weights / weights.sum() * _PERIOD)).astype(np.int64)

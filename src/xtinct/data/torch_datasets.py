"""Datasets for `torch.utils.data.DataLoader`: stored line lists, and samples that are drawn for ever."""

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import torch
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from xtinct.data.class_labels import Labels
from xtinct.data.views import LineView, Patterns
from xtinct.errors import XtinctError
from xtinct.files.parquet import open_parquet
from xtinct.learning.loading import Batch, Loader
from xtinct.learning.streams import StoredSamples
from xtinct.learning.training_sets import LATTICES, Sources
from xtinct.learning.training_settings import Experiment, SampleSettings
from xtinct.linelists.line_lists import LabelledLines
from xtinct.patterns.variation import Variation

#: What stands in place of the configuration's `lines` where crystals are drawn; d_star_max comes beside it.
CRYSTAL_LINES = {"radiation": "xray", "b_iso": 0.5, "max_reflections": 2_000_000, "intensity_floor": 1e-9}

Files = str | Path | Sequence[str | Path]


class LineListDataset(Dataset):
    """The samples of line-list files (`schema.LINES`), by their place: (what `view` shows, label).

    paths    a file, or one for each family
    family   crystal family that the samples are of, or all
    split    train, validation or test; None for all samples
    view     `Patterns` or `LineView`
    target   what the label is (`Labels`): an int, or a mapping of several

    Attribute `labels` says what the labels mean. The lines stand in memory-mapped temporary files. Pickling,
    as for worker processes that are spawned, hands over the names of the files. XtinctError for a file
    that is no table of line lists, holds another family, or no sample of the split.
    """

    def __init__(
        self,
        paths: Files,
        *,
        family: str,
        split: str | None = "train",
        view: Patterns | LineView | None = None,
        target: str | tuple[str, ...] = "extinction_class",
    ) -> None:
        self.split, self.view = split, view or Patterns()
        self.labels = Labels(family, target)
        self._files = [StoredSamples(path, family=family, split=split) for path in _as_list(paths)]
        self._ends = np.cumsum([len(file) for file in self._files])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, i: int) -> tuple[Any, Any]:
        return self.__getitems__([i])[0]

    def __getitems__(self, places: Sequence[int]) -> list[tuple[Any, Any]]:
        """Samples at several places at once: what a DataLoader asks for."""
        rows = np.asarray(places, dtype=np.int64)
        if len(rows) and not (-len(self) <= rows.min() and rows.max() < len(self)):
            raise IndexError(f"sample {places}: there are {len(self)}")
        rows = rows % len(self)
        file = np.searchsorted(self._ends, rows, side="right")
        starts = self._ends - [len(f) for f in self._files]
        parts = [self._files[j].take(rows[file == j] - starts[j]) for j in np.unique(file)]
        # The parts stand file by file; back to the order asked for.
        back = np.argsort(np.argsort(file, kind="stable"), kind="stable")
        joined = LabelledLines.concatenate(parts)
        batch = Batch(joined.lines.take(back), joined.groups[back], None)
        return list(zip(self.view(batch), self.labels(batch.groups), strict=True))

    @property
    def spacegroups(self) -> np.ndarray:
        """Space group number of every sample, int16 (len(self),)."""
        return np.concatenate([file.groups for file in self._files])

    @cached_property
    def ids(self) -> list[str]:
        """The sample_id of every sample."""
        found: list[str] = []
        for file in self._files:
            with open_parquet(file.path) as table:
                columns = table.read(columns=["sample_id", "split"])
            if self.split is not None:
                columns = columns.filter(pc.equal(columns["split"], self.split))
            found += columns["sample_id"].to_pylist()
        return found


@dataclass(frozen=True)
class SampleSource:
    """What endless samples are drawn from.

    train        ulbd-online (with `intensities`), wilson-online, physical-online, gcdd-online, a name of
                 `files`, or a mapping of several to their weights
    family       crystal family, or all
    seed         of everything that is drawn
    role         train or validation: no sample of one is in the other
    lattices     family -> lattices to draw from, with the keys of the configuration's `ulbd.lattices`;
                 kind: continuous is what is taken if nothing is said
    intensities  law of ulbd-online: uniform, wilson or physical
    occupations  occupations.json of a build, for gcdd-online
    lines        keys of the configuration's `lines` that are not as in CRYSTAL_LINES; d_star_max
                 (1/angstrom), without which lines reach as far as the instrument shows
    files        name -> line-list files, one for each family; their split is `role`
    variation    law of measuring conditions (`patterns.variation.Variation`): name -> [low, high], and shares
    prior        how frequent space groups are, as in an experiment: balanced, natural, mp, a table, or a
                 mapping with of, power and added; None draws them equally and leaves those of files
    """

    train: str | Mapping[str, float]
    family: str
    seed: int = 0
    role: str = "train"
    lattices: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    intensities: str = "uniform"
    occupations: str | Path | None = None
    lines: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Files] = field(default_factory=dict)
    variation: Mapping[str, Any] = field(default_factory=dict)
    prior: str | Mapping[str, Any] | None = None

    def settings(self, d_star_reach: float) -> SampleSettings:
        """The settings of the same samples in a training of the workflow; lines up to `d_star_reach`."""
        experiment = Experiment(
            "samples",
            self.train,
            "extinction_class",
            "",
            0,
            lattices=self._lattices(),
            variation=self.variation,
            prior=self.prior,
        )
        return SampleSettings(
            experiment=experiment,
            family=self.family,
            seed=self.seed,
            lines={"d_star_max": d_star_reach, **CRYSTAL_LINES, **self.lines},
            ulbd={"intensities": self.intensities, "lattices": {}},
            datasets={name: _as_list(paths) for name, paths in self.files.items()},
            occupations=self.occupations,
        )

    def _lattices(self) -> dict[str, dict]:
        return {name: {"kind": "continuous", **dict(lattices)} for name, lattices in self.lattices.items()}


class StreamDataset(IterableDataset):
    """Samples that are drawn for ever, or `count` of them: (what `view` shows, label).

    source  a `SampleSource`; or the `SampleSettings` of a training, whose very samples these then are
    view, target  as for `LineListDataset`
    count   samples of all workers and ranks together; None for no end
    start   number of the first sample, to go on where another run stopped
    block   samples that are drawn at a time
    rank    (rank, number of ranks) of a distributed training; None takes those of torch.distributed, or else
            of the environment variables RANK and WORLD_SIZE, as torchrun sets them

    A sample is a function of the seed and its number. Rank r of R has the blocks r, r + R, ..., and its
    workers take turns: no sample is drawn twice. With a batch size of `block` the batches of a rank are the
    same, in the same order, whatever the number of workers. Ranks get equally many samples if `count` is
    a multiple of R x block. Iterating again begins anew: for another epoch of other samples, change `start`.

    Attribute `labels` says what the labels mean. XtinctError for a source without its files or lattices.
    """

    def __init__(
        self,
        source: SampleSource | SampleSettings,
        *,
        view: Patterns | LineView | None = None,
        target: str | tuple[str, ...] = "extinction_class",
        count: int | None = None,
        start: int = 0,
        block: int = 64,
        rank: tuple[int, int] | None = None,
    ) -> None:
        self.view = view or Patterns()
        self.role = getattr(source, "role", "train")
        reach = self.view.instrument.d_star_reach
        self.settings = source.settings(reach) if isinstance(source, SampleSource) else source
        self.view.instrument.check_reach(self.settings.lines["d_star_max"])
        law = Variation.from_config(self.settings.experiment.variation)
        law.check(self.view.instrument, self.settings.lines["d_star_max"])
        self.labels = Labels(self.settings.family, target)
        if block < 1 or start < 0 or (count is not None and count < 0):
            raise XtinctError(
                f"block {block}, start {start}, count {count}: expected block >= 1, others >= 0"
            )
        if rank is not None and not 0 <= rank[0] < rank[1]:
            raise XtinctError(f"rank {rank[0]} of {rank[1]}: expected 0 to {rank[1] - 1}")
        self.count, self.start, self.block, self.rank = count, start, block, rank
        _check_lattices(self.settings)
        self._sources: Sources | None = Sources(self.settings)

    def __getstate__(self) -> dict:
        # Streams are made anew in a worker; a group of processes does not come along, its rank does.
        rank = self.rank
        if rank is None and _process_group():
            rank = _rank()
        return {**self.__dict__, "_sources": None, "rank": rank}

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        shard, shards = self._shard()
        for first in itertools.count(self.start + shard * self.block, shards * self.block):
            left = self.block if self.count is None else self.start + self.count - first
            if left <= 0:
                return
            batch = self._loader.take(first, min(self.block, left))
            yield from zip(self.view(batch), self.labels(batch.groups), strict=True)

    def __len__(self) -> int:
        """Samples of this rank; TypeError where there is no end."""
        if self.count is None:
            raise TypeError("the samples have no end; give `count`")
        rank, ranks = self.rank or _rank()
        whole, rest = divmod(self.count, self.block)
        mine = len(range(rank, whole, ranks))
        return mine * self.block + (rest if whole % ranks == rank else 0)

    @property
    def _loader(self) -> Loader:
        if self._sources is None:
            self._sources = Sources(self.settings)
        return self._sources.samples(self.role)

    def _shard(self) -> tuple[int, int]:
        """(number of this shard, number of shards)."""
        rank, ranks = self.rank or _rank()
        info = get_worker_info()
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        # A rank has the same blocks whatever the number of its workers.
        return worker * ranks + rank, ranks * workers


def _check_lattices(settings: SampleSettings) -> None:
    """XtinctError for the first family whose lattices are needed and not there."""
    for name in settings.experiment.weights:
        for family in Labels(settings.family).names("family") if name in LATTICES else ():
            if family not in settings.experiment.lattices and family not in settings.ulbd["lattices"]:
                raise XtinctError(
                    f"{name}: no lattices of the {family} family; give them, as "
                    f"lattices={{{family!r}: {{'lengths': [5, 15]}}}}"
                )


def _process_group() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _rank() -> tuple[int, int]:
    """(rank, number of ranks) of this process, (0, 1) where it is alone."""
    if _process_group():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def _as_list(paths: Files) -> list[str | Path]:
    return [paths] if isinstance(paths, str | Path) else list(paths)

"""What an experiment trains on and is watched on: streams made from its settings."""

import hashlib
import logging
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np

from xtinct.errors import XtinctError
from xtinct.generators.online import CrystalStream
from xtinct.lattices.distributions import LatticeSpec
from xtinct.learning.balanced_streams import BalancedStream
from xtinct.learning.group_priors import GroupPrior
from xtinct.learning.loading import Batch, Loader
from xtinct.learning.streams import (
    EmptySplitError,
    MixedStream,
    ParquetStream,
    StoredSamples,
    Stream,
    UlbdStream,
    WeighedStream,
    whole_counts,
)
from xtinct.learning.training_settings import SampleSettings
from xtinct.linelists.line_tables import read_lines
from xtinct.patterns.variation import Variation
from xtinct.randomness import stream_key
from xtinct.scores.outputs import Outputs, families_of
from xtinct.symmetry.families import N_SPACE_GROUPS, space_groups

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Training sets of lattices that are drawn while training -> the intensity law; None is that of
#: `ulbd.intensities`.
LATTICES = {"ulbd-online": None, "wilson-online": "wilson", "physical-online": "physical"}
#: The training set of crystals that are drawn while training.
CRYSTALS = "gcdd-online"
_STORED = (ParquetStream, WeighedStream)


class Sources:
    """The streams that the samples of one training run come from.

    XtinctError for a training set without its files.
    """

    def __init__(self, settings: SampleSettings) -> None:
        self.settings, self.experiment = settings, settings.experiment
        self.families = families_of(settings.family)
        for name in self.experiment.weights:
            if name == CRYSTALS:
                there = settings.occupations is not None
            else:
                there = name in LATTICES or len(settings.datasets.get(name, ())) == len(self.families)
            if not there:
                raise XtinctError(f"experiment {self.experiment.name!r}: train {name!r} needs its files")
        self._made: dict[str, list[tuple[Stream, float]]] = {}
        prior = self.experiment.prior
        self._prior = None if prior is None else GroupPrior.from_config(prior)

    def record(self) -> dict:
        """What the samples are a function of, beside the seed: laws, and the digests of files."""
        settings = self.settings
        record: dict[str, object] = {"variation": dict(self.experiment.variation)}
        if self._prior is not None:
            weights = self._group_weights
            record["prior"] = {str(group): float(weights[group]) for group in np.flatnonzero(weights)}
        for name in self.experiment.weights:
            if name in LATTICES:
                record[name] = {
                    "intensities": LATTICES[name] or settings.ulbd["intensities"],
                    "lattices": {family: self._lattices(family) for family in self.families},
                }
            elif name == CRYSTALS:
                record[name] = {
                    "occupations": _file_digest(settings.occupations),
                    "lines": dict(settings.lines),
                }
            else:
                record[name] = [_file_digest(path) for path in settings.datasets[name]]
        return record

    def training(self) -> Loader:
        """The endless samples to train on."""
        return self.samples("train")

    def samples(self, role: str) -> Loader:
        """The endless samples of a role, "train" or "validation": none of one is in the other."""
        return self._loader(self._mixture(role), role)

    def validation(self, count: int) -> Batch | None:
        """`count` samples of the same kind that training never sees; None for none.

        Of a stored training set they are its validation split, as many as there are. Under a prior they are
        drawn from it with replacement, so that groups are as frequent as it says; the intervals and the
        calibration made of them count a crystal once (`Batch.crystals`). A family without a sample in it is
        left out, and where a training set has none at all there is no validation; a warning says so.
        """
        if not count:
            return None
        try:
            stream = self._mixture("validation")
        except EmptySplitError as error:
            log.warning("%s: training without validation", error)
            return None
        stored = [part for part in self._parts("validation") if isinstance(part[0], _STORED)]
        if stored:
            # No more than there are, and without a prior no stored sample twice.
            total = sum(weight for _, weight in self._parts("validation"))
            count = min(count, *(max(1, int(len(part) * total / weight)) for part, weight in stored))
        return self._loader(stream, "validation").take(0, count)

    def group_counts(self) -> dict[str, float] | None:
        """Samples of each space group, or their relative frequency in a mixture; None if all are equal."""
        parts = self._parts("train")
        if self._prior is not None:
            return _per_million(parts)
        if not any(isinstance(part, ParquetStream) for part, _ in parts):
            return None
        scale = sum(len(part) for part, _ in parts if isinstance(part, ParquetStream))
        total = sum(weight for _, weight in parts)
        counts = np.zeros(N_SPACE_GROUPS + 1)
        for part, weight in parts:
            np.add.at(counts, part.groups, scale * weight / total / len(part.groups))
        return {str(number): round(float(counts[number]), 6) for number in np.flatnonzero(counts)}

    def _loader(self, stream: Stream, role: str) -> Loader:
        settings, law = self.settings, self.experiment.variation
        variation = Variation.from_config(law) if law else None
        return Loader(stream, variation, int(stream_key(settings.seed, "variation", role, settings.family)))

    def _mixture(self, role: str) -> Stream:
        parts = self._parts(role)
        if role == "train" and self.experiment.training.get("sampling") == "class-balanced":
            parts = self._balanced(parts)
        if len(parts) == 1:
            return parts[0][0]
        return MixedStream([part for part, _ in parts], [weight for _, weight in parts])

    def _balanced(self, parts: list[tuple[Stream, float]]) -> list[tuple[Stream, float]]:
        """The parts with every output of the model equally frequent in each stored set.

        Sets keep their weights; what is drawn while training has no rare groups and stays as it is.
        XtinctError where all of it is drawn.
        """
        settings, balanced = self.settings, []
        if not any(isinstance(stream, ParquetStream) for stream, _ in parts):
            raise XtinctError(
                f"experiment {self.experiment.name!r}: training.sampling: class-balanced needs a stored "
                f"training set, and {self.experiment.train_name} has none"
            )
        table = Outputs.of(settings.family, self.experiment.target).output_of_group
        for first in range(0, len(parts), len(self.families)):
            of_set = parts[first : first + len(self.families)]
            if not isinstance(of_set[0][0], ParquetStream):
                balanced += of_set
                continue
            streams = [BalancedStream(stream, table, settings.seed) for stream, _ in of_set]
            unit = sum(w for _, w in of_set) / sum(stream.n_outputs for stream in streams)
            balanced += [(stream, unit * stream.n_outputs) for stream in streams]
        return balanced

    def _parts(self, role: str) -> list[tuple[Stream, float]]:
        """Streams with weights, one for each training set and family.

        Within a set every group counts the same, or every sample if they are stored; under a prior of the
        experiment, groups as it says.
        """
        if role not in self._made:
            weighed = self._prior is not None
            self._made[role] = self._weighed_parts(role) if weighed else self._equal_parts(role)
        return self._made[role]

    def _equal_parts(self, role: str) -> list[tuple[Stream, float]]:
        parts = []
        for name, weight in self.experiment.weights.items():
            of_set = self._there(role, lambda family, i, name=name: self._stream(name, family, i, role))
            sizes = [len(stream.groups) for stream in of_set]
            # In units that keep whole weights whole, which a mixture obeys exactly.
            n_groups = sum(len(space_groups(family)) for family in self.families)
            parts += [
                (stream, weight * n_groups * size / sum(sizes))
                for stream, size in zip(of_set, sizes, strict=True)
            ]
        return parts

    def _there(self, role: str, of_family: Callable[[str, int], T]) -> list[T]:
        """What the families of a training set give, in their order.

        Of a validation those alone that have a sample; EmptySplitError where none has, and in training where
        one has none.
        """
        found, missing = [], []
        for i, family in enumerate(self.families):
            try:
                found.append(of_family(family, i))
            except EmptySplitError as error:
                if role == "train":
                    raise
                missing.append(error)
        if not found:
            raise missing[0]
        for error in missing:
            log.warning("%s: its family is not in the validation", error)
        return found

    def _weighed_parts(self, role: str) -> list[tuple[Stream, float]]:
        """As frequent as the experiment's prior says, among the groups that a set has at all."""
        parts = []
        for name, weight in self.experiment.weights.items():
            of_set = self._there(role, lambda family, i, name=name: self._weighed(name, family, i, role))
            total = sum(mass for _, mass in of_set)
            if not total:
                error = XtinctError if role == "train" else EmptySplitError
                raise error(
                    f"experiment {self.experiment.name!r}: the prior {self._prior.of!r} gives no weight "
                    f"to any space group of {name!r}" + ("" if role == "train" else f" in its {role} part")
                )
            parts += [(stream, weight * mass / total) for stream, mass in of_set if stream is not None]
        return parts

    def _weighed(self, name: str, family: str, index: int, role: str) -> tuple[Stream | None, float]:
        """Stream of one family of a training set, and the weight of its groups; (None, 0) without any."""
        weights = self._group_weights
        if name == CRYSTALS or name in LATTICES:
            mass = float(weights[list(space_groups(family))].sum())
            return (self._stream(name, family, index, role, weights) if mass else None), mass
        samples = StoredSamples(self.settings.datasets[name][index], family=family, split=role)
        mass = float(weights[np.unique(samples.groups)].sum())
        key = stream_key(self.settings.seed, "weighed", family, role)
        return (WeighedStream(samples, weights, key) if mass else None), mass

    @cached_property
    def _group_weights(self) -> np.ndarray:
        """Weight of every space group number under the experiment's prior, float64 (231,)."""
        stored = {
            name: _stored_groups(self.settings.datasets[name], self.families)
            for name in self.experiment.weights
            if name != CRYSTALS and name not in LATTICES
        }
        if not stored:
            return self._prior.weights(None)
        # As frequent as in the mixture, which takes of a set as many samples as its weight says, however many
        # it has; in units of samples.
        total = sum(map(len, stored.values())) / sum(self.experiment.weights[name] for name in stored)
        counts = np.zeros(N_SPACE_GROUPS + 1)
        for name, groups in stored.items():
            share = self.experiment.weights[name] * total / max(1, len(groups))
            counts += share * np.bincount(groups, minlength=len(counts))
        return self._prior.weights(counts)

    def _stream(
        self, name: str, family: str, index: int, role: str, weights: np.ndarray | None = None
    ) -> Stream:
        settings = self.settings
        if name == CRYSTALS:
            return CrystalStream(
                settings.occupations,
                family=family,
                lines=settings.lines,
                seed=settings.seed,
                role=role,
                weights=weights,
            )
        if name in LATTICES:
            return UlbdStream(
                family=family,
                spec=LatticeSpec.from_config({**self._lattices(family), "count": 1}),
                d_star_max=settings.lines["d_star_max"],
                intensities=LATTICES[name] or settings.ulbd["intensities"],
                seed=settings.seed,
                # The laws of a mixture draw lattices of their own.
                role=f"{name} {role}",
                weights=weights,
            )
        return ParquetStream(settings.datasets[name][index], family=family, split=role, seed=settings.seed)

    def _lattices(self, family: str) -> dict:
        own = self.experiment.lattices
        lattices = own[family] if family in own else self.settings.ulbd["lattices"][family]
        return {key: value for key, value in lattices.items() if key not in ("count", "draws")}


def _per_million(parts: list[tuple[Stream, float]]) -> dict[str, float]:
    """Samples of each space group in a million of the mixture of `parts`, as often as it holds them."""
    counts = np.zeros(N_SPACE_GROUPS + 1)
    # Those of a mixture are whole numbers in a period.
    times = np.ones(1) if len(parts) == 1 else whole_counts(np.array([weight for _, weight in parts]))
    for (part, _), share in zip(parts, times / times.sum(), strict=True):
        np.add.at(counts, part.groups, 1e6 * share * part.shares)
    return {str(number): round(float(counts[number]), 6) for number in np.flatnonzero(counts)}


def _stored_groups(paths: Sequence[str | Path], families: Sequence[str]) -> np.ndarray:
    """Space groups of the training samples of line-list files, one of each family, int16 (n,)."""
    found = []
    for path, family in zip(paths, families, strict=True):
        found += [part.groups for part, _ in read_lines(path, family=family, split="train")]
    return np.concatenate(found) if found else np.empty(0, np.int16)


def _file_digest(path: str | Path) -> str:
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise XtinctError(f"{path}: no such file") from None

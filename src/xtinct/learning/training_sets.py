"""What an experiment trains on and is watched on: streams made from its settings."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from xtinct.errors import XtinctError
from xtinct.generators.online import CrystalStream
from xtinct.lattices.distributions import LatticeSpec
from xtinct.learning.loading import Batch, Loader
from xtinct.learning.streams import EmptySplitError, MixedStream, ParquetStream, Stream, UlbdStream
from xtinct.patterns.measuring import Variation
from xtinct.randomness import stream_key
from xtinct.scores.outputs import families_of
from xtinct.symmetry.families import N_SPACE_GROUPS, space_groups

log = logging.getLogger(__name__)

#: Training sets of lattices that are drawn while training -> the intensity law; None is that of
#: `ulbd.intensities`.
LATTICES = {"ulbd-online": None, "wilson-online": "wilson", "physical-online": "physical"}
#: The training set of crystals that are drawn while training.
CRYSTALS = "gcdd-online"


def weights_of(train: str | Mapping[str, float]) -> dict[str, float]:
    """Training sets and their weights: an experiment's `train` names one, or gives each its weight."""
    return {train: 1.0} if isinstance(train, str) else {name: float(w) for name, w in train.items()}


def name_of(train: str | Mapping[str, float]) -> str:
    """`ulbd-online`, or `ulbd-online + 2 physical-online`."""
    return " + ".join(name if w == 1 else f"{w:g} {name}" for name, w in weights_of(train).items())


class Sources:
    """Everything that the samples of one training run are made from.

    experiment   entry of the configuration's `experiments`: train, and perhaps lattices and variation
    scope        crystal family, or outputs.ALL
    seed         of the experiment
    lines, ulbd  those sections (of `ulbd.lattices` the families of the scope)
    datasets     stored training set -> its line-list files, one for each family of the scope
    occupations  file of confirmed occupations, for CRYSTALS
    """

    def __init__(
        self,
        *,
        experiment: Mapping,
        scope: str,
        seed: int,
        lines: Mapping,
        ulbd: Mapping,
        datasets: Mapping[str, Sequence[str | Path]],
        occupations: str | Path | None,
    ) -> None:
        for name in weights_of(experiment["train"]):
            if name == CRYSTALS:
                there = occupations is not None
            else:
                there = name in LATTICES or len(datasets.get(name, ())) == len(families_of(scope))
            if not there:
                raise XtinctError(f"experiment {experiment['name']!r}: train {name!r} needs its files")
        self.experiment, self.scope, self.seed = experiment, scope, seed
        self.lines, self.ulbd, self.datasets, self.occupations = lines, ulbd, datasets, occupations
        self._made: dict[str, list[tuple[Stream, float]]] = {}

    def record(self) -> dict:
        """What the samples are a function of, beside the seed: laws, and the digests of files."""
        record: dict[str, object] = {"variation": dict(self.experiment.get("variation") or {})}
        for name in weights_of(self.experiment["train"]):
            if name in LATTICES:
                record[name] = {
                    "intensities": LATTICES[name] or self.ulbd["intensities"],
                    "lattices": {family: self._lattices(family) for family in families_of(self.scope)},
                }
            elif name == CRYSTALS:
                record[name] = {"occupations": _file_digest(self.occupations), "lines": dict(self.lines)}
            else:
                record[name] = [_file_digest(path) for path in self.datasets[name]]
        return record

    def training(self) -> Loader:
        """The endless samples to train on."""
        return self._loader(self._mixture("train"), "train")

    def validation(self, count: int) -> Batch | None:
        """`count` samples of the same kind that training never sees; None for none.

        Of a stored training set they are its validation split, as many as there are; where that is empty, a
        warning says so.
        """
        if not count:
            return None
        try:
            stream = self._mixture("validation")
        except EmptySplitError as error:
            log.warning("%s: training without validation", error)
            return None
        stored = [part for part in self._parts("validation") if isinstance(part[0], ParquetStream)]
        if stored:
            # No stored sample twice.
            total = sum(weight for _, weight in self._parts("validation"))
            count = min(count, *(max(1, int(len(part) * total / weight)) for part, weight in stored))
        return self._loader(stream, "validation").take(0, count)

    def group_counts(self) -> dict[str, float] | None:
        """Samples of each space group, or their relative frequency in a mixture; None if all are equal."""
        parts = self._parts("train")
        if not any(isinstance(part, ParquetStream) for part, _ in parts):
            return None
        scale = sum(len(part) for part, _ in parts if isinstance(part, ParquetStream))
        total = sum(weight for _, weight in parts)
        counts = np.zeros(N_SPACE_GROUPS + 1)
        for part, weight in parts:
            np.add.at(counts, part.groups, scale * weight / total / len(part.groups))
        return {str(number): round(float(counts[number]), 6) for number in np.flatnonzero(counts)}

    def _loader(self, stream: Stream, role: str) -> Loader:
        settings = self.experiment.get("variation") or {}
        variation = Variation.from_config(settings) if settings else None
        return Loader(stream, variation, int(stream_key(self.seed, "variation", role, self.scope)))

    def _mixture(self, role: str) -> Stream:
        parts = self._parts(role)
        if len(parts) == 1:
            return parts[0][0]
        return MixedStream([part for part, _ in parts], [weight for _, weight in parts])

    def _parts(self, role: str) -> list[tuple[Stream, float]]:
        """Streams with weights, one for each training set and family.

        Within a set every group counts the same, or every sample if they are stored.
        """
        if role not in self._made:
            parts = []
            for name, weight in weights_of(self.experiment["train"]).items():
                of_set = [
                    self._stream(name, family, i, role) for i, family in enumerate(families_of(self.scope))
                ]
                sizes = [len(stream.groups) for stream in of_set]
                # In units that keep whole weights whole, which a mixture obeys exactly.
                n_groups = sum(len(space_groups(family)) for family in families_of(self.scope))
                parts += [
                    (stream, weight * n_groups * size / sum(sizes))
                    for stream, size in zip(of_set, sizes, strict=True)
                ]
            self._made[role] = parts
        return self._made[role]

    def _stream(self, name: str, family: str, index: int, role: str) -> Stream:
        if name == CRYSTALS:
            return CrystalStream(self.occupations, family=family, lines=self.lines, seed=self.seed, role=role)
        if name in LATTICES:
            return UlbdStream(
                family=family,
                spec=LatticeSpec.from_config({**self._lattices(family), "count": 1}),
                d_star_max=self.lines["d_star_max"],
                intensities=LATTICES[name] or self.ulbd["intensities"],
                seed=self.seed,
                # The laws of a mixture draw lattices of their own.
                role=f"{name} {role}",
            )
        return ParquetStream(self.datasets[name][index], family=family, split=role, seed=self.seed)

    def _lattices(self, family: str) -> dict:
        own = self.experiment.get("lattices") or {}
        lattices = own[family] if family in own else self.ulbd["lattices"][family]
        return {key: value for key, value in lattices.items() if key not in ("count", "draws")}


def _file_digest(path: str | Path) -> str:
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise XtinctError(f"{path}: no such file") from None

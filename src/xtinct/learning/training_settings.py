"""What one training is told: sections of the configuration as objects with named fields."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from xtinct.errors import XtinctError

T = TypeVar("T")

#: What some keys of an experiment's `training` may say.
_CHOICES = {
    "loss": ("cross-entropy", "focal", "logit-adjusted"),
    "sampling": ("as-drawn", "class-balanced"),
    "correction": ("none", "prior"),
}
#: Of them, what makes a model's answers those for outputs of equal frequency.
REMEDIES = {"loss": "logit-adjusted", "sampling": "class-balanced", "correction": "prior"}


def from_section(kind: type[T], section: Mapping[str, Any], name: str) -> T:
    """A dataclass from the section `name` of a configuration; XtinctError for a key too many or missing."""
    known = {f.name: f.default is MISSING and f.default_factory is MISSING for f in fields(kind)}
    for key in section:
        if key not in known:
            raise XtinctError(f"{name}: no key {key!r}; it has {', '.join(known)}")
    for key, required in known.items():
        if required and key not in section:
            raise XtinctError(f"{name}: the key {key!r} is missing")
    return kind(**section)


@dataclass(frozen=True)
class TrainSettings:
    """How a network is fitted: the configuration's `train`, which explains every key, and what an
    experiment's `training` says otherwise.

    XtinctError for a loss, a sampling or a correction that does not exist, for two that both do away
    with the prior, and for a rate that follows a validation which there is not.
    """

    device: str
    threads: int
    precision: str
    processes: int
    compile: str
    batch_size: int
    ghost_batch: int
    gradient_clip: float
    optimizer: str
    learning_rate: float
    muon_learning_rate: float
    weight_decay: float
    schedule: str
    warmup: float
    validation_patterns: int
    validations: int
    stop_confidence: float
    loss: str = "cross-entropy"
    focusing: float = 2.0
    sampling: str = "as-drawn"
    correction: str = "none"
    patience: int = 10
    factor: float = 0.1
    l1: float = 0.0
    l2: float = 0.0

    def __post_init__(self) -> None:
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise XtinctError(f"training.{name}: {getattr(self, name)!r}, expected {' or '.join(known)}")
        remedies = self.remedies()
        if len(remedies) > 1:
            raise XtinctError(f"training: {' and '.join(remedies)} each do away with the prior; take one")
        if self.schedule == "plateau" and not self.validation_patterns:
            raise XtinctError(
                "training.schedule: plateau follows the validation; set train.validation_patterns"
            )

    def remedies(self) -> list[str]:
        """Settings that make the answers those for outputs of equal frequency."""
        return [f"{name}: {value}" for name, value in REMEDIES.items() if getattr(self, name) == value]

    def recipe(self) -> dict[str, Any]:
        """What the weights depend on: all but where and how fast they are computed."""
        values = asdict(self)
        for f in fields(self):
            if f.name in ("device", "processes", "compile") or values[f.name] == f.default:
                del values[f.name]
        if self.loss != "focal":
            values.pop("focusing", None)
        if self.schedule != "plateau":
            values.pop("patience", None)
            values.pop("factor", None)
        return values


def check_frequencies(prior: object, training: Mapping[str, Any], where: str) -> None:
    """XtinctError, beginning with `where`, if an experiment says twice how often space groups are drawn."""
    if prior is not None and training.get("sampling") == "class-balanced":
        raise XtinctError(
            f"{where}: prior and training.sampling: class-balanced both say how often groups are drawn; "
            "take one"
        )


@dataclass(frozen=True)
class Experiment:
    """An entry of the configuration's `experiments`, with its name.

    train      a training set, or training sets and their weights
    target     what the outputs are (`outputs.TARGETS`)
    model      a name of `models`
    patterns   the budget: patterns seen in training
    training   keys of TrainSettings, in place of those of the configuration's `train`
    lattices   family -> lattices to draw from in place of `ulbd.lattices`
    variation  law of the measuring conditions (`variation.Variation`); empty: as the instrument says
    transform  what is done to a pattern before the network sees it (`pattern_transform.PatternTransform`)
    prior      how frequent space groups are (`group_priors.GroupPrior`); None: equally where samples are
               drawn, as they are where samples are stored
    """

    name: str
    train: str | Mapping[str, float]
    target: str
    model: str
    patterns: int
    training: Mapping[str, Any] = field(default_factory=dict)
    lattices: Mapping[str, Mapping] = field(default_factory=dict)
    variation: Mapping[str, Any] = field(default_factory=dict)
    prior: str | Mapping[str, Any] | None = None
    transform: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_frequencies(self.prior, self.training, f"experiment {self.name!r}")

    @property
    def weights(self) -> dict[str, float]:
        """Training sets and their weights."""
        if isinstance(self.train, str):
            return {self.train: 1.0}
        return {name: float(weight) for name, weight in self.train.items()}

    @property
    def train_name(self) -> str:
        """`ulbd-online`, or `ulbd-online + 2 physical-online`."""
        return " + ".join(name if w == 1 else f"{w:g} {name}" for name, w in self.weights.items())

    def recipe(self) -> dict[str, Any]:
        """What the model depends on, but for the data, which `Sources.record` tells."""
        recipe = {"train": self.train, "target": self.target, "model": self.model, "patterns": self.patterns}
        return recipe | ({"transform": dict(self.transform)} if self.transform else {})


@dataclass(frozen=True)
class SampleSettings:
    """What the samples of one training are made from.

    family       a crystal family, or outputs.ALL
    lines, ulbd  those sections of the configuration (of `ulbd.lattices` the families concerned)
    datasets     stored training set -> its line-list files, one for each family; empty for online training
    occupations  file of confirmed occupations; needed where crystals are drawn while training
    """

    experiment: Experiment
    family: str
    seed: int
    lines: Mapping[str, Any]
    ulbd: Mapping[str, Any]
    datasets: Mapping[str, Sequence[str | Path]] = field(default_factory=dict)
    occupations: str | Path | None = None


@dataclass(frozen=True)
class Architecture:
    """A network by its name in `models`, its kind (a key of `learning.models.MODELS`) and its options."""

    name: str
    kind: str
    hyperparameters: Mapping[str, Any]

    @classmethod
    def of(cls, experiment: Experiment, models: Mapping[str, Mapping]) -> "Architecture":
        """The network of an experiment; XtinctError if `models` does not have it."""
        if experiment.model not in models:
            raise XtinctError(
                f"experiment {experiment.name!r}: model {experiment.model!r} is not in `models`"
            )
        options = dict(models[experiment.model])
        kind = options.pop("kind", experiment.model)
        # Those of a network of the user's own stand below a key of their own.
        return cls(experiment.model, kind, {**options.pop("arguments", {}), **options})


@dataclass(frozen=True)
class TrainingSettings:
    """Everything that a training depends on, but for the contents of files and the code.

    instrument   that section of the configuration, as it will stand in the model's card
    """

    samples: SampleSettings
    fit: TrainSettings
    architecture: Architecture
    instrument: Mapping[str, Any]

    @classmethod
    def from_config(cls, values: Mapping[str, Any]) -> "TrainingSettings":
        """From `experiments.training_settings`: sections of the configuration that one model depends on.

        Keys: experiment (with its name), family, seed, datasets, occupations, and the sections train, models,
        instrument, lines and ulbd. XtinctError for a key of `train` or of the experiment that does not exist.
        """
        experiment = from_section(Experiment, values["experiment"], "experiment")
        return cls(
            SampleSettings(experiment, **{k: values[k] for k in _OF_SAMPLES}),
            from_section(TrainSettings, {**values["train"], **experiment.training}, "train"),
            Architecture.of(experiment, values["models"]),
            dict(values["instrument"]),
        )


_OF_SAMPLES = ("family", "seed", "lines", "ulbd", "datasets", "occupations")

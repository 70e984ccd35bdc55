"""The records of an evaluation, whatever method made the predictions: the one way to results/metrics.json."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from xtinct.ceiling.hypotheses import Window
from xtinct.ceiling.single_patterns import pattern_ceilings
from xtinct.evaluation.test_sets import LabelledSamples
from xtinct.files.parquet import write_parquet
from xtinct.files.schema import PREDICTIONS
from xtinct.files.writing import write_json
from xtinct.scores.calibration import calibration_error_interval, expected_calibration_error, log_loss
from xtinct.scores.metrics import in_top_k, macro_averages, rank, share
from xtinct.scores.outputs import Outputs, class_name_of_groups
from xtinct.scores.prediction import Prediction
from xtinct.symmetry.families import family_of

KS = (1, 2, 3, 4, 5)
TARGETS = ("extinction_class", "spacegroup")
#: Predictions that are made into a table at a time.
_ROWS = 4096


@dataclass(frozen=True)
class EvaluationIdentity:
    """What tells one evaluation from another; the first columns of every table.

    family   crystal family, or outputs.ALL
    model    of a network its name in `models`, else the method
    """

    experiment: str
    train_set: str
    test_set: str
    family: str
    model: str
    seed: int


@dataclass(frozen=True)
class Choices:
    """n samples and the m labels of one target.

    names          of the labels
    probabilities  float64 (n, m)
    labels         true ones, int64 (n,)
    class_of       extinction class of every label, int64 (m,)
    """

    names: list
    probabilities: np.ndarray
    labels: np.ndarray
    class_of: np.ndarray

    @cached_property
    def first(self) -> np.ndarray:
        """Most probable labels, int64 (n,)."""
        return rank(self.probabilities, 1)[:, 0]


@dataclass(frozen=True)
class Evaluation:
    """What a method says about the samples of a test set.

    found          its predictions
    uncalibrated   those without its temperature; None for a method that is not calibrated
    window         range of 1/d that the patterns show, for the ceilings
    more           what else stands in every record
    """

    identity: EvaluationIdentity
    samples: LabelledSamples
    found: Prediction
    uncalibrated: Prediction | None
    window: Window
    confidence: float
    more: Mapping[str, object] = field(default_factory=dict)

    @cached_property
    def class_of_group(self) -> np.ndarray:
        """Extinction class of every space group number, int64 (231,)."""
        return Outputs.of(self.identity.family, "spacegroup").class_of_group

    @property
    def targets(self) -> tuple[str, ...]:
        """TARGETS, and the crystal system for a model that was trained on it."""
        trained = self.more.get("trained_target")
        return (*TARGETS, "crystal_system") if trained == "crystal_system" else TARGETS

    def choices(self, target: str, prediction: Prediction) -> Choices:
        """What a prediction names in terms of a target, one of `targets`."""
        groups = self.samples.groups
        if target == "crystal_system":
            return _of_systems(Outputs.of(self.identity.family, target), prediction, groups)
        if target == "extinction_class":
            names, labels = prediction.class_symbols, self.class_of_group[groups]
            return Choices(names, prediction.class_probabilities, labels, np.arange(len(names)))
        return Choices(
            list(prediction.groups),
            prediction.group_probabilities,
            np.searchsorted(prediction.groups, groups),
            self.class_of_group[prediction.groups],
        )

    def records(self) -> list[dict]:
        """One record for each of `targets`; fractions, not percentages, and None where there is no sample.

        `ceiling1` to `ceiling5` are those of exactly these samples: the means of
        `xtinct.ceiling.single_patterns.pattern_ceilings` over their lattices within the window, with the
        frequencies of their groups as the prior. `within_class` is the share of samples of which the class is
        right and the group wrong, which is no error of a method, `across_class` the share of which the class
        is wrong; of crystal systems there are none. `_low` and `_high` are intervals of the stated
        `confidence`. `ece_raw` and `log_loss_raw`
        are those of `uncalibrated`.
        """
        common = {
            **asdict(self.identity),
            "n": len(self.samples),
            "confidence": self.confidence,
            **self.more,
        }
        return [{**common, "target": target, **self._metrics(target)} for target in self.targets]

    def _metrics(self, target: str) -> dict[str, float | None]:
        if not len(self.samples):
            return _no_metrics(self.uncalibrated is not None)
        choices = self.choices(target, self.found)
        metrics: dict[str, float | None] = {}
        for k in KS:
            right = in_top_k(choices.probabilities, choices.labels, k)
            metrics |= share(f"top{k}", right, self.confidence, self.samples.lattices)
        metrics |= macro_averages(choices.first, choices.labels, self.confidence, self.samples.lattices)
        metrics |= {
            "ece": expected_calibration_error(choices.probabilities, choices.labels),
            "log_loss": log_loss(choices.probabilities, choices.labels),
        }
        if self.uncalibrated is not None:
            raw = self.choices(target, self.uncalibrated)
            metrics |= {
                "ece_raw": expected_calibration_error(raw.probabilities, raw.labels),
                "log_loss_raw": log_loss(raw.probabilities, raw.labels),
                **self._error_interval("ece", choices),
                **self._error_interval("ece_raw", raw),
            }
            if target != "crystal_system":
                metrics |= self._class_errors(choices)
        ceilings = ceilings_of(self.samples.groups, self.samples.cells, self.window, target)
        return metrics | {f"ceiling{k}": float(ceilings[k].mean()) for k in KS}

    def _error_interval(self, name: str, choices: Choices) -> dict[str, float]:
        low, high = calibration_error_interval(
            choices.probabilities, choices.labels, confidence=self.confidence, cells=self.samples.lattices
        )
        return {f"{name}_low": low, f"{name}_high": high}

    def _class_errors(self, choices: Choices) -> dict[str, float]:
        """Errors by whether the class is right."""
        same = choices.class_of[choices.first] == self.class_of_group[self.samples.groups]
        wrong = choices.first != choices.labels
        return share("within_class", same & wrong, self.confidence, self.samples.lattices) | share(
            "across_class", ~same, self.confidence, self.samples.lattices
        )

    def predictions(self) -> Iterator[pa.Table]:
        """Tables of PREDICTIONS: the five most probable classes and groups of every sample."""
        name_of = class_name_of_groups(self.identity.family)
        symbols = np.array(self.found.class_symbols, dtype=object)
        for first in range(0, len(self.samples), _ROWS):
            part = slice(first, first + _ROWS)
            by_class, by_group = self.found.class_probabilities[part], self.found.group_probabilities[part]
            classes, groups = rank(by_class, 5), rank(by_group, 5)
            numbers = self.samples.groups[part]
            columns = [
                self.samples.ids[part],
                numbers.astype(np.int16),
                [name_of[int(number)] for number in numbers],
                [list(row) for row in symbols[classes]],
                list(np.take_along_axis(by_class, classes, axis=1).astype(np.float32)),
                list(self.found.groups[groups].astype(np.int16)),
                list(np.take_along_axis(by_group, groups, axis=1).astype(np.float32)),
            ]
            yield pa.table(columns, schema=PREDICTIONS)

    def write(self, output_json: str | Path, output_parquet: str | Path) -> list[dict]:
        """Write the records and the predictions, and return the records."""
        write_parquet(output_parquet, self.predictions(), PREDICTIONS)
        records = self.records()
        write_json(output_json, records)
        return records


def _of_systems(systems: Outputs, prediction: Prediction, groups: np.ndarray) -> Choices:
    """Crystal systems: each is as probable as its groups together, and stands for itself among classes."""
    of_group = systems.output_of_group
    member = np.eye(len(systems))[of_group[prediction.groups]]
    probabilities = prediction.group_probabilities @ member
    return Choices(list(systems.symbols), probabilities, of_group[groups], np.arange(len(systems)))


def _no_metrics(calibrated: bool) -> dict[str, None]:
    """The keys of the metrics without any sample."""
    shares = [f"top{k}" for k in KS] + [f"macro_{name}" for name in ("precision", "recall", "f1")]
    single = ["ece", "log_loss", *(f"ceiling{k}" for k in KS)]
    if calibrated:
        shares += ["within_class", "across_class", "ece", "ece_raw"]
        single.append("log_loss_raw")
    return dict.fromkeys([name + end for name in shares for end in ("", "_low", "_high")] + single)


def ceilings_of(groups: np.ndarray, cells: np.ndarray, window: Window, target: str) -> dict[int, np.ndarray]:
    """`pattern_ceilings` of samples that may be of several families, which their metric tells apart."""
    families = np.array([family_of(int(number)) for number in groups])
    joined = {k: np.empty(len(groups)) for k in KS}
    for family in np.unique(families):
        rows = np.flatnonzero(families == family)
        found = pattern_ceilings(str(family), groups[rows], cells[rows], window, target=target, ks=KS)
        for k in KS:
            joined[k][rows] = found[k]
    return joined

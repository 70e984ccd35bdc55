"""Whether probabilities are what they say, and how to make them so."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from xtinct.errors import XtinctError
from xtinct.learning.metrics import proportion, rank
from xtinct.learning.outputs import Outputs

#: Coverages for which a calibrated model gives sets of classes.
COVERAGES = (0.8, 0.9, 0.95, 0.99)
#: Range of temperatures, and the probability below which a logarithm is cut.
_COLDEST, _HOTTEST, _LEAST = 1 / 16, 16.0, 1e-30


@dataclass(frozen=True)
class Calibration:
    """What samples that a model was not trained on say about its probabilities.

    temperature    divides the logarithms of the probabilities (Guo et al. 2017, section 4.2)
    thresholds     coverage (as text, "0.95") -> least probability of a class in the set of that
                   coverage; 0 where there were too few samples to promise it
    n              number of samples
    samples        what they were, in words
    log_loss, log_loss_raw, ece, ece_raw    of the classes on these samples, after and before
    """

    temperature: float
    thresholds: dict[str, float]
    n: int
    samples: str
    log_loss: float
    log_loss_raw: float
    ece: float
    ece_raw: float

    def to_dict(self) -> dict:
        """Plain values, for a card."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping) -> "Calibration":
        """Inverse of `to_dict`; XtinctError if a value is missing or makes no sense."""
        try:
            found = cls(**values)
            sound = found.temperature > 0 and all(0 <= t <= 1 for t in found.thresholds.values())
        except (TypeError, AttributeError) as error:
            raise XtinctError(f"calibration: {error}") from None
        if not sound:
            raise XtinctError(f"calibration: temperature {found.temperature}, thresholds {found.thresholds}")
        return found

    def threshold(self, coverage: float) -> float:
        """The threshold of `coverage`, or XtinctError naming the coverages that there are."""
        if (key := _key(coverage)) not in self.thresholds:
            known = ", ".join(self.thresholds)
            raise XtinctError(f"coverage {coverage:g}: the model's sets are calibrated for {known}")
        return self.thresholds[key]


def _key(coverage: float) -> str:
    return f"{coverage:g}"


def tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """softmax(log p / temperature), float64 (n, m). The order of the columns stays."""
    logarithms = np.log(np.maximum(probabilities.astype(np.float64), _LEAST)) / temperature
    powers = np.exp(logarithms - logarithms.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature of least log loss: probabilities (n, m) and the true columns int64 (n,).

    1 where every sample is right: the colder, the better then, and no sample says where to stop.
    """
    if (rank(probabilities, 1)[:, 0] == labels).all():
        return 1.0
    logarithms = np.log(np.maximum(probabilities.astype(np.float64), _LEAST))
    observed = logarithms[np.arange(len(labels)), labels].sum()
    # The log loss is convex in 1 / temperature: its slope, the sum of log p that the tempered
    # probabilities expect less the observed one, rises.
    low, high = math.log(1 / _HOTTEST), math.log(1 / _COLDEST)
    for _ in range(50):
        middle = (low + high) / 2
        expected = (tempered(probabilities, math.exp(-middle)) * logarithms).sum(axis=1)
        low, high = (low, middle) if expected.sum() > observed else (middle, high)
    return math.exp(-(low + high) / 2)


def fit_calibration(
    outputs: Outputs,
    probabilities: np.ndarray,
    groups: np.ndarray,
    *,
    prior: Mapping[int, float] | None,
    samples: str,
) -> Calibration:
    """Calibration of a model's `outputs` by samples that it was not trained on.

    `probabilities` (n, n_outputs) as the model gives them, `groups` (n,) the true space groups,
    `prior` the weights of the groups within an output. The temperature is of the outputs; the
    thresholds are of extinction classes.
    """
    if not len(groups):
        raise XtinctError(f"calibration: no sample in {samples}")
    temperature = fit_temperature(probabilities, outputs.output_of_group[groups])
    raw, calibrated = (
        outputs.class_probabilities(p, prior) for p in (probabilities, tempered(probabilities, temperature))
    )
    labels = outputs.class_of_group[groups]
    own = calibrated[np.arange(len(labels)), labels]
    return Calibration(
        temperature=temperature,
        thresholds={_key(coverage): set_threshold(own, coverage) for coverage in COVERAGES},
        n=len(labels),
        samples=samples,
        log_loss=log_loss(calibrated, labels),
        log_loss_raw=log_loss(raw, labels),
        ece=expected_calibration_error(calibrated, labels),
        ece_raw=expected_calibration_error(raw, labels),
    )


def set_threshold(own: np.ndarray, coverage: float) -> float:
    """Least probability of a class in a set that holds the true one with probability `coverage`.

    `own` (n,): probabilities of the true classes of n samples. Split conformal prediction with one
    minus the probability as the score (least ambiguous sets; Sadinle, Lei and Wasserman 2019, JASA
    114, 223): the set of all classes at least as probable as the ceil((n + 1) coverage)-th largest of
    `own` holds the true class of a further sample at least so often, whatever the model, as long as
    the further sample could have been exchanged for any of the n. 0 if n is too small to promise it.
    """
    place = math.ceil(round((len(own) + 1) * coverage, 9))
    return 0.0 if place > len(own) else float(np.sort(own)[::-1][place - 1])


def prediction_sets(class_probabilities: np.ndarray, threshold: float) -> np.ndarray:
    """Sets bool (n, m): classes at least as probable as `threshold`, and always the first one.

    A model that is right more often than the coverage asks would otherwise give empty sets.
    """
    sets = class_probabilities >= threshold
    sets[np.arange(len(sets)), rank(class_probabilities, 1)[:, 0]] = True
    return sets


def log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean of -log p(label), p at least 1e-12; a label of -1 (no column) has p = 0."""
    given = np.where(labels >= 0, probabilities[np.arange(len(labels)), labels], 0.0)
    return float(-np.log(np.maximum(given, 1e-12)).mean())


def reliability(
    probabilities: np.ndarray, labels: np.ndarray, *, bins: int = 15, confidence: float = 0.95
) -> list[dict]:
    """How often the first choice is right, by its probability; one row for each bin with samples.

    `bins` equal ranges of the first choice's probability: low and high ends, samples, their mean
    probability, and the share that is right with Wilson's interval.
    """
    first = probabilities.max(axis=1)
    right = rank(probabilities, 1)[:, 0] == labels
    bin_of = np.minimum((first * bins).astype(np.int64), bins - 1)
    rows = []
    for b in np.unique(bin_of):
        inside = bin_of == b
        n = int(inside.sum())
        row = {"low": b / bins, "high": (b + 1) / bins, "n": n, "probability": float(first[inside].mean())}
        rows.append(row | proportion("accuracy", int(right[inside].sum()), n, confidence))
    return rows


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray, *, bins: int = 15) -> float:
    """|accuracy - probability| of the first choice over the bins of `reliability`, weighted by samples.

    Guo et al. 2017 (ICML, PMLR 70, 1321), section 2.
    """
    rows = reliability(probabilities, labels, bins=bins)
    return sum(row["n"] * abs(row["accuracy"] - row["probability"]) for row in rows) / len(labels)

"""Whether probabilities are what they say, and how to make them so."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from xtinct.errors import XtinctError
from xtinct.scores.metrics import independent_samples, rank, share
from xtinct.scores.outputs import Outputs

#: Coverages for which a calibrated model gives sets of classes.
COVERAGES = (0.8, 0.9, 0.95, 0.99)
#: Range of temperatures, and the probability below which a logarithm is cut.
_COLDEST, _HOTTEST, _LEAST = 1 / 16, 16.0, 1e-30


@dataclass(frozen=True)
class Calibration:
    """What samples that a model was not trained on say about its probabilities.

    temperature    divides the logarithms of the probabilities (Guo et al. 2017, section 4.2)
    thresholds     coverage (as text, "0.95") -> least probability of a class in the set of that
                   coverage, at most `saturation(n)`; 0 where there were too few samples to promise it
    n              number of samples that the thresholds were found with
    samples        what they were, in words
    log_loss, log_loss_raw, ece, ece_raw    of the classes on these samples, after and before
    n_temperature  number of other samples that the temperature was found with; 0 where it was found with
                   the same, so that the coverage of sets is approximate
    """

    temperature: float
    thresholds: dict[str, float]
    n: int
    samples: str
    log_loss: float
    log_loss_raw: float
    ece: float
    ece_raw: float
    n_temperature: int = 0

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
        """The threshold of `coverage`, or XtinctError naming the coverages that there are.

        No higher than `saturation` of the samples, also in cards that were written without it.
        """
        if (key := _key(coverage)) not in self.thresholds:
            known = ", ".join(self.thresholds)
            raise XtinctError(f"coverage {coverage:g}: the model's sets are calibrated for {known}")
        return min(self.thresholds[key], saturation(self.n))


def _key(coverage: float) -> str:
    return f"{coverage:g}"


def tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """softmax(log p / temperature), float64 (n, m). The order of the columns stays."""
    logarithms = np.log(np.maximum(probabilities.astype(np.float64), _LEAST)) / temperature
    powers = np.exp(logarithms - logarithms.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def fit_temperature(
    probabilities: np.ndarray, labels: np.ndarray, frequencies: np.ndarray | None = None
) -> float:
    """The temperature of least log loss: probabilities (n, m) and the true columns int64 (n,).

    1 where every sample is right: the colder, the better then, and no sample says where to stop.
    `frequencies`, float (m,): how frequent the columns are among the samples, where the probabilities are
    those for columns of equal frequency; the loss is then that of the tempered ones times these, normalised.
    None: the probabilities hold them.
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
        here = tempered(probabilities, math.exp(-middle))
        if frequencies is not None:
            here *= frequencies
            here /= here.sum(axis=1, keepdims=True)
        expected = (here * logarithms).sum(axis=1)
        low, high = (low, middle) if expected.sum() > observed else (middle, high)
    return math.exp(-(low + high) / 2)


def fit_calibration(
    outputs: Outputs,
    probabilities: np.ndarray,
    groups: np.ndarray,
    *,
    prior: Mapping[int, float] | None,
    samples: str,
    crystals: np.ndarray | None = None,
    frequencies: np.ndarray | None = None,
) -> Calibration:
    """Calibration of a model's `outputs` by samples that it was not trained on.

    `probabilities` (n, n_outputs) as the model gives them, `groups` (n,) the true space groups,
    `prior` the weights of the groups within an output. The temperature is of the outputs; the
    thresholds are of extinction classes. Half of the samples, drawn at random (and always the same ones),
    give the temperature and the other half all else: sets promise their coverage for a fixed model, and
    the temperature is part of it. `crystals`, int (n,): which samples are of one crystal; all of them are in
    one half, and thresholds promise what `independent_samples` allow. None: all differ. `frequencies`, float
    (n_outputs,), of the outputs among the samples: as of `fit_temperature`.
    """
    if not len(groups):
        raise XtinctError(f"calibration: no sample in {samples}")
    crystals = np.arange(len(groups)) if crystals is None else crystals
    first, rest = _halves(crystals)
    labels = outputs.output_of_group[groups[first]]
    temperature = fit_temperature(probabilities[first], labels, frequencies)
    probabilities, groups = probabilities[rest], groups[rest]
    raw, calibrated = (
        outputs.class_probabilities(p, prior) for p in (probabilities, tempered(probabilities, temperature))
    )
    labels = outputs.class_of_group[groups]
    own = calibrated[np.arange(len(labels)), labels]
    return Calibration(
        temperature=temperature,
        thresholds={_key(coverage): set_threshold(own, coverage, crystals[rest]) for coverage in COVERAGES},
        n=len(labels),
        samples=samples,
        log_loss=log_loss(calibrated, labels),
        log_loss_raw=log_loss(raw, labels),
        ece=expected_calibration_error(calibrated, labels),
        ece_raw=expected_calibration_error(raw, labels),
        n_temperature=len(first),
    )


def _halves(crystals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places of two halves of the samples, drawn at random; those of one crystal, int (n,), in one of them.

    The first is empty where there is one crystal.
    """
    _, first, number = np.unique(crystals, return_index=True, return_inverse=True)
    order = np.random.Generator(np.random.PCG64(0)).permutation(len(first))
    # Crystals are numbered as they come, so that nothing but their being equal counts.
    drawn = np.argsort(order)[np.argsort(np.argsort(first))][number]
    return tuple(np.split(np.argsort(drawn, kind="stable"), [int((drawn < len(first) // 2).sum())]))


def set_threshold(own: np.ndarray, coverage: float, crystals: np.ndarray | None = None) -> float:
    """Least probability of a class in a set that holds the true one with probability `coverage`.

    `own` (n,): probabilities of the true classes of n samples. Split conformal prediction with one
    minus the probability as the score (least ambiguous sets; Sadinle, Lei and Wasserman 2019, JASA
    114, 223): the set of all classes at least as probable as the ceil((n + 1) coverage)-th largest of
    `own` holds the true class of a further sample at least so often, whatever the model, as long as
    the further sample could have been exchanged for any of the n. 0 if n is too small to promise it.

    Probabilities above `saturation` count as equal: the score is that of min(p, n / (n + 1)). The promise
    holds for any score, and a tie only adds classes. A model that is never wrong would otherwise get a
    threshold of, say, 0.9999993, which a perfect pattern with 0.999997 fails.

    `crystals`, int (n,): which samples are of one crystal, and count as one (`independent_samples`); None:
    all differ.
    """
    n = len(own) if crystals is None or not len(own) else independent_samples(crystals)
    # Of n independent samples, the ceil((n + 1) coverage)-th; of all, that of the same share.
    place = math.ceil(round((n + 1) * coverage * (len(own) / n if n else 1.0), 9))
    return 0.0 if place > len(own) else min(float(np.sort(own)[::-1][place - 1]), saturation(n))


def saturation(n: float) -> float:
    """n / (n + 1): the probability above which n samples tell no difference.

    Of n samples that were all right, the next may be wrong with a probability of 1 / (n + 1) for all that
    they say: by exchangeability it is the worst of n + 1 so often. To hold a class with a higher
    probability against another such one would read differences that no sample has tested.
    """
    return n / (n + 1)


def prediction_sets(class_probabilities: np.ndarray, threshold: float) -> np.ndarray:
    """Sets bool (n, m): classes at least as probable as `threshold`; empty where there is none.

    An empty set has one cause: the model is undecided. Among samples like those of its calibration that
    happens to one minus the coverage of them at most, and never where a class is more probable than
    `saturation`.
    """
    return class_probabilities >= threshold


def log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean of -log p(label), p at least 1e-12; a label of -1 (no column) has p = 0."""
    given = np.where(labels >= 0, probabilities[np.arange(len(labels)), labels], 0.0)
    return float(-np.log(np.maximum(given, 1e-12)).mean())


def reliability(
    probabilities: np.ndarray,
    labels: np.ndarray,
    *,
    bins: int = 15,
    confidence: float = 0.95,
    cells: np.ndarray | None = None,
) -> list[dict]:
    """How often the first choice is right, by its probability; one row for each bin with samples.

    `bins` equal ranges of the first choice's probability: low and high ends, samples, their mean
    probability, and the share that is right with its interval (`cells` as in `metrics.share`).
    """
    first, right, bin_of = _first_choices(probabilities, labels, bins)
    rows = []
    for b in np.unique(bin_of):
        inside = bin_of == b
        n = int(inside.sum())
        row = {"low": b / bins, "high": (b + 1) / bins, "n": n, "probability": float(first[inside].mean())}
        of_cells = None if cells is None else cells[inside]
        rows.append(row | share("accuracy", right[inside], confidence, of_cells))
    return rows


def _first_choices(
    probabilities: np.ndarray, labels: np.ndarray, bins: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the first choices: probability float (n,), whether right bool (n,), bin int (n,)."""
    first = probabilities.max(axis=1)
    right = rank(probabilities, 1)[:, 0] == labels
    return first, right, np.minimum((first * bins).astype(np.int64), bins - 1)


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray, *, bins: int = 15) -> float:
    """|accuracy - probability| of the first choice over the bins of `reliability`, weighted by samples.

    Guo et al. 2017 (ICML, PMLR 70, 1321), section 2.
    """
    first, right, bin_of = _first_choices(probabilities, labels, bins)
    return float(abs(np.bincount(bin_of, weights=right - first)).sum() / len(labels))


def calibration_error_interval(
    probabilities: np.ndarray,
    labels: np.ndarray,
    *,
    bins: int = 15,
    confidence: float = 0.95,
    cells: np.ndarray | None = None,
    draws: int = 400,
) -> tuple[float, float]:
    """Interval of `expected_calibration_error`, by a bootstrap of always the same `draws`.

    What is drawn anew are cells (`cells`, int (n,), as in `metrics.share`). The error is the sum over
    the bins of |b|, with b the share of samples in a bin times (accuracy - probability) there;
    by the triangle inequality it is off by at most the sum of the |b - true b|. The quantile of what
    redrawn samples have for the latter is taken off and added, so that the interval also holds for a
    true error of 0.
    """
    first, right, bin_of = _first_choices(probabilities, labels, bins)
    cell = np.arange(len(labels)) if cells is None else np.unique(cells, return_inverse=True)[1]
    m = int(cell.max()) + 1
    excess = np.zeros((m, bins))
    np.add.at(excess, (cell, bin_of), right - first)
    size = np.bincount(cell)
    found = excess.sum(axis=0) / len(labels)
    generator = np.random.Generator(np.random.PCG64(0))
    off = np.empty(draws)
    for draw in range(draws):
        times = np.bincount(generator.integers(m, size=m), minlength=m)
        off[draw] = abs(times @ excess / (times @ size) - found).sum()
    error, most = float(abs(found).sum()), float(np.quantile(off, confidence))
    return max(0.0, error - most), min(1.0, error + most)

"""Measures of a classifier: top-k, confidence intervals, averages over labels, abstention."""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np


def wilson_interval(right: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927, JASA 22, 209); (0, 1) for n = 0."""
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    p = right / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # 0 and 1 of a proportion of 0 or 1 are exact; rounding must not leave the interval.
    return (0.0 if right == 0 else centre - half), (1.0 if right == n else centre + half)


def proportion(name: str, right: int, n: int, confidence: float = 0.95) -> dict[str, float]:
    """`name`, `name_low` and `name_high`: right / n with Wilson's interval; 0 in (0, 1) for n = 0."""
    low, high = wilson_interval(right, n, confidence)
    return {name: right / max(n, 1), f"{name}_low": low, f"{name}_high": high}


def share(
    name: str, right: np.ndarray, confidence: float = 0.95, cells: np.ndarray | None = None
) -> dict[str, float]:
    """`name`, `name_low` and `name_high`: mean of `right`, bool (n,), with Wilson's interval.

    `cells`, int (n,): which samples share a lattice; None where each has its own. The interval is that of
    `effective_samples`; without any sample 0 in (0, 1).
    """
    if cells is None:
        return proportion(name, int(np.sum(right)), len(right), confidence)
    mean = float(np.mean(right)) if len(right) else 0.0
    n = effective_samples(right, confidence, cells)
    low, high = wilson_interval(n * mean, n, confidence)
    return {name: mean, f"{name}_low": min(low, mean), f"{name}_high": max(high, mean)}


def effective_samples(right: np.ndarray, confidence: float = 0.95, cells: np.ndarray | None = None) -> float:
    """Number of independent samples that tell as much about the mean of `right`, bool (n,), as these.

    Samples of one cell (`cells`, int (n,); None: all differ) tend to be right or wrong together, and it
    is to further cells that an accuracy is meant to carry over. n is divided by the design effect, the
    variance of the mean with cells as the units over that of n independent samples, at least 1, and by
    (t / z)^2 for the few cells that the former was estimated from (Korn and Graubard 1998, Survey
    Methodology 24, 193). Those are the cells with any of the rarer outcome, which make up its variance,
    and their number is the degrees of freedom of t. The result is never below `independent_samples`, where
    each cell is right or wrong as a whole; that is also what stays where every sample is right, or none.
    """
    n = len(right)
    if n == 0 or cells is None:
        return float(n)
    _, cell = np.unique(cells, return_inverse=True)
    size, hits = np.bincount(cell), np.bincount(cell, weights=right)
    fewest = independent_samples(cells)
    telling = int(min((hits > 0).sum(), (hits < size).sum()))
    if telling == 0:
        return fewest
    mean = hits.sum() / n
    effect = max(1.0, variance_of_mean(right, cells) * n / (mean * (1 - mean)))
    # t by Wallace's formula (1959, Annals of Mathematical Statistics 30, 1124): 4 % too large with 2
    # degrees of freedom, 1 % with 3.
    z2 = NormalDist().inv_cdf(0.5 + confidence / 2) ** 2
    t2 = telling * math.expm1(z2 / telling * ((8 * telling + 3) / (8 * telling + 1)) ** 2)
    return max(fewest, n / effect * z2 / t2)


def independent_samples(cells: np.ndarray) -> float:
    """Number of samples that count where those of one cell, of `cells` int (n,), say the same.

    (sum of m)^2 / (sum of m^2) of the sizes m of the cells (Kish 1965, Survey Sampling, section 11.7).
    """
    size = np.unique(cells, return_counts=True)[1].astype(np.float64)
    return float(len(cells)) ** 2 / float((size**2).sum())


def variance_of_mean(values: np.ndarray, cells: np.ndarray | None = None) -> float:
    """Variance of the mean of `values` (n,) with `cells`, int (n,), as the units; inf for a single one.

    None: every value is a unit of its own.
    """
    deviations = values - np.mean(values)
    if cells is not None:
        deviations = np.bincount(np.unique(cells, return_inverse=True)[1], weights=deviations)
    m = len(deviations)
    return math.inf if m < 2 else m / (m - 1) * float((deviations**2).sum()) / len(values) ** 2


def average(
    name: str,
    values: np.ndarray,
    confidence: float = 0.95,
    cells: np.ndarray | None = None,
    *,
    most: float = math.inf,
) -> dict[str, float]:
    """`name`, `name_low` and `name_high`: mean of `values` (n,) with its normal interval, cut to 0 to `most`.

    `cells` as in `share`. A single cell tells nothing: its interval is all of 0 to `most`.
    """
    mean = float(np.mean(values))
    half = NormalDist().inv_cdf(0.5 + confidence / 2) * math.sqrt(variance_of_mean(values, cells))
    return {name: mean, f"{name}_low": max(0.0, mean - half), f"{name}_high": min(most, mean + half)}


def rank(probabilities: np.ndarray, k: int) -> np.ndarray:
    """Columns by falling probability, int64 (n, k); equal ones in the order of the columns."""
    return np.argsort(-probabilities, axis=1, kind="stable")[:, :k]


def in_top_k(probabilities: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """Whether the label is among the k most probable columns, bool (n,); a label of -1 never is."""
    return (rank(probabilities, k) == labels[:, None]).any(axis=1)


def confusion_matrix(predicted: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(the m labels that occur on either side, ascending; counts int64 (m, m) of true and predicted)."""
    names, index = np.unique(np.concatenate([labels, predicted]), return_inverse=True)
    true, found = index[: len(labels)], index[len(labels) :]
    m = len(names)
    return names, np.bincount(true * m + found, minlength=m * m).reshape(m, m)


def macro_averages(
    predicted: np.ndarray,
    labels: np.ndarray,
    confidence: float = 0.95,
    cells: np.ndarray | None = None,
) -> dict[str, float]:
    """Precision, recall and F1 (Sokolova and Lapalme 2009), averaged over the labels that occur.

    A label that is never predicted has precision 0. A label of -1 (no column of the model) is a
    label of its own, so what the model cannot know costs recall. `_low` and `_high` bound the
    average by the delta method on the entries of the confusion matrix (Takahashi et al. 2022, Applied
    Intelligence 52, 4961, who treat F1), cut to [0, 1]; `cells`, int (n,), as in `share`.
    """
    names, counts = confusion_matrix(predicted, labels)
    p = counts / counts.sum()
    entry = np.searchsorted(names, labels), np.searchsorted(names, predicted)
    true, found, hit = p.sum(axis=1), p.sum(axis=0), np.diag(p)
    # F1 = hit / ((true + found) / 2), precision = hit / found, recall = hit / true.
    parts = {"precision": (0.0, 1.0), "recall": (1.0, 0.0), "f1": (0.5, 0.5)}
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    averages: dict[str, float] = {}
    for name, (of_true, of_found) in parts.items():
        share = of_true * true + of_found * found
        counted = (true > 0) & (share > 0)
        below = np.where(counted, share, 1.0)
        value = np.where(counted, hit / below, 0.0)
        mean = float(value.sum() / (true > 0).sum())
        # Derivative of the average by the entry (i, j): label i gains in `true`, label j in `found`.
        slope = np.where(counted, value / below, 0.0)
        gradient = -of_true * slope[:, None] - of_found * slope[None, :] + np.diag(counted / below)
        gradient /= (true > 0).sum()
        half = z * math.sqrt(variance_of_mean(gradient[entry], cells))
        averages |= {
            f"macro_{name}": mean,
            f"macro_{name}_low": max(0.0, mean - half),
            f"macro_{name}_high": min(1.0, mean + half),
        }
    return averages


def label_table(
    names: Sequence,
    predicted: np.ndarray,
    labels: np.ndarray,
    confidence: float = 0.95,
    *,
    class_of: np.ndarray,
    cells: np.ndarray | None = None,
) -> list[dict]:
    """One row for every label that occurs or is predicted, with the intervals of `share`.

    `class_of`, int (len(names),): extinction class of each label; confusing labels of one class is no
    error of a model.

    label         its name: of `names`, or "none" for -1
    n, n_predicted, right    samples of the label, samples said to be of it, both
    recall, precision (_low, _high), f1    0 where nothing is divided by nothing
    n_within, n_across    samples of the label that got a wrong one of its class, and one of another class
    mistaken_for, n_mistaken    the wrong label that is most often given to it; empty if none is
    mistaken_across, n_mistaken_across    the same among the labels of other classes
    """
    present, counts = confusion_matrix(predicted, labels)
    own_class = np.where(present < 0, -1, np.asarray(class_of)[present])

    def worst(wrong: np.ndarray) -> tuple[str, int]:
        most = int(wrong.argmax())
        return (_label_name(names, present[most]), int(wrong[most])) if wrong[most] else ("", 0)

    rows = []
    for i, label in enumerate(present):
        n, n_predicted, right = int(counts[i].sum()), int(counts[:, i].sum()), int(counts[i, i])
        wrong = np.where(np.arange(len(present)) == i, 0, counts[i])
        across = np.where(own_class == own_class[i], 0, wrong)
        row = {"label": _label_name(names, label), "n": n, "n_predicted": n_predicted, "right": right}
        for name, of_label in (("recall", labels == label), ("precision", predicted == label)):
            hits = (predicted == labels)[of_label]
            row |= share(name, hits, confidence, None if cells is None else cells[of_label])
        row["f1"] = 2 * right / (n + n_predicted)
        row |= {"n_within": int((wrong - across).sum()), "n_across": int(across.sum())}
        row["mistaken_for"], row["n_mistaken"] = worst(wrong)
        row["mistaken_across"], row["n_mistaken_across"] = worst(across)
        rows.append(row)
    return rows


def _label_name(names: Sequence, label: int) -> str:
    return "none" if label < 0 else str(names[label])


def abstention_curve(
    certainty: np.ndarray,
    right: np.ndarray,
    coverages: Sequence[float],
    confidence: float = 0.95,
    cells: np.ndarray | None = None,
) -> list[dict]:
    """Accuracy of the answers that are kept when the least certain are left out.

    `certainty` (n,) and `right` bool (n,). For each of `coverages` the answers at least as certain as
    that share of them are kept (all that are equally certain, so `kept` may exceed it): accuracy with
    its interval (`cells` as in `share`), `risk` = 1 - accuracy, and the least certainty that was kept.
    """
    falling = np.sort(certainty)[::-1]
    rows = []
    for coverage in coverages:
        threshold = falling[max(1, math.ceil(coverage * len(falling))) - 1]
        kept = certainty >= threshold
        n, n_right = int(kept.sum()), int(right[kept].sum())
        row = {"coverage": coverage, "kept": n / len(falling), "threshold": float(threshold), "n": n}
        row |= share("accuracy", right[kept], confidence, None if cells is None else cells[kept])
        rows.append(row | {"risk": 1 - n_right / n})
    return rows

"""Measures of a classifier: top-k, confidence intervals, averages over labels, abstention."""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np


def wilson_interval(right: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
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


def rank(probabilities: np.ndarray, k: int) -> np.ndarray:
    """Columns by falling probability, int64 (n, k); equal ones in the order of the columns."""
    return np.argsort(-probabilities, axis=1, kind="stable")[:, :k]


def top_k_right(probabilities: np.ndarray, labels: np.ndarray, k: int) -> int:
    """Samples whose label is among the k most probable columns; a label of -1 never is."""
    return int((rank(probabilities, k) == labels[:, None]).any(axis=1).sum())


def confusion_matrix(predicted: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(the m labels that occur on either side, ascending; counts int64 (m, m) of true and predicted)."""
    names, index = np.unique(np.concatenate([labels, predicted]), return_inverse=True)
    true, found = index[: len(labels)], index[len(labels) :]
    m = len(names)
    return names, np.bincount(true * m + found, minlength=m * m).reshape(m, m)


def macro_averages(predicted: np.ndarray, labels: np.ndarray, confidence: float = 0.95) -> dict[str, float]:
    """Precision, recall and F1 (Sokolova and Lapalme 2009), averaged over the labels that occur.

    A label that is never predicted has precision 0. A label of -1 (no column of the model) is a
    label of its own, so what the model cannot know costs recall. `_low` and `_high` bound the
    average of independent samples by the delta method on the cells of the confusion matrix
    (Takahashi et al. 2022, Applied Intelligence 52, 4961, who treat F1), cut to [0, 1].
    """
    _, counts = confusion_matrix(predicted, labels)
    n = counts.sum()
    p = counts / n
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
        # Derivative of the average by the cell (i, j): label i gains in `true`, label j in `found`.
        slope = np.where(counted, value / below, 0.0)
        gradient = -of_true * slope[:, None] - of_found * slope[None, :] + np.diag(counted / below)
        gradient /= (true > 0).sum()
        variance = ((p * gradient**2).sum() - (p * gradient).sum() ** 2) / n
        half = z * math.sqrt(max(0.0, variance))
        averages |= {
            f"macro_{name}": mean,
            f"macro_{name}_low": max(0.0, mean - half),
            f"macro_{name}_high": min(1.0, mean + half),
        }
    return averages


def label_table(
    names: Sequence, predicted: np.ndarray, labels: np.ndarray, confidence: float = 0.95
) -> list[dict]:
    """One row for every label that occurs or is predicted, with Wilson intervals.

    label         its name: of `names`, or "none" for -1
    n, n_predicted, right    samples of the label, samples said to be of it, both
    recall, precision (_low, _high), f1    0 where nothing is divided by nothing
    mistaken_for, n_mistaken    the wrong label that is most often given to it; empty if none is
    """
    present, counts = confusion_matrix(predicted, labels)
    rows = []
    for i, label in enumerate(present):
        n, n_predicted, right = int(counts[i].sum()), int(counts[:, i].sum()), int(counts[i, i])
        wrong = counts[i].copy()
        wrong[i] = 0
        worst = int(wrong.argmax())
        rows.append(
            {
                "label": _label_name(names, label),
                "n": n,
                "n_predicted": n_predicted,
                "right": right,
                **proportion("recall", right, n, confidence),
                **proportion("precision", right, n_predicted, confidence),
                "f1": 2 * right / (n + n_predicted),
                "mistaken_for": _label_name(names, present[worst]) if wrong[worst] else "",
                "n_mistaken": int(wrong[worst]),
            }
        )
    return rows


def _label_name(names: Sequence, label: int) -> str:
    return "none" if label < 0 else str(names[label])


def abstention_curve(
    certainty: np.ndarray, right: np.ndarray, coverages: Sequence[float], confidence: float = 0.95
) -> list[dict]:
    """Accuracy of the answers that are kept when the least certain are left out.

    `certainty` (n,) and `right` bool (n,). For each of `coverages` the answers at least as certain as
    that share of them are kept (all that are equally certain, so `kept` may exceed it): accuracy with
    its interval, `risk` = 1 - accuracy, and the least certainty that was kept.
    """
    falling = np.sort(certainty)[::-1]
    rows = []
    for coverage in coverages:
        threshold = falling[max(1, math.ceil(coverage * len(falling))) - 1]
        kept = certainty >= threshold
        n, n_right = int(kept.sum()), int(right[kept].sum())
        row = {"coverage": coverage, "kept": n / len(falling), "threshold": float(threshold), "n": n}
        row |= proportion("accuracy", n_right, n, confidence)
        rows.append(row | {"risk": 1 - n_right / n})
    return rows

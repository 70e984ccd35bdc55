"""Measures of a classifier: top-k, confidence intervals, macro averages."""

import math
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


def rank(probabilities: np.ndarray, k: int) -> np.ndarray:
    """Columns by falling probability, int64 (n, k); equal ones in the order of the columns."""
    return np.argsort(-probabilities, axis=1, kind="stable")[:, :k]


def top_k_right(probabilities: np.ndarray, labels: np.ndarray, k: int) -> int:
    """Samples whose label is among the k most probable columns; a label of -1 never is."""
    return int((rank(probabilities, k) == labels[:, None]).any(axis=1).sum())


def macro_averages(predicted: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Precision, recall and F1 (Sokolova and Lapalme 2009), averaged over the labels that occur.

    A label that is never predicted has precision 0. A label of -1 (no column of the model) is a
    label of its own, so what the model cannot know costs recall.
    """
    present = np.unique(labels)
    precision, recall = np.zeros(len(present)), np.zeros(len(present))
    for i, label in enumerate(present):
        hits = float(((predicted == label) & (labels == label)).sum())
        precision[i] = hits / max(float((predicted == label).sum()), 1.0)
        recall[i] = hits / float((labels == label).sum())
    both = precision + recall
    f1 = np.where(both > 0, 2 * precision * recall / np.where(both > 0, both, 1.0), 0.0)
    return {
        "macro_precision": float(precision.mean()),
        "macro_recall": float(recall.mean()),
        "macro_f1": float(f1.mean()),
    }


def calibration(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> dict[str, float]:
    """Whether the probability of the first choice is how often it is right.

    `ece`: expected calibration error (Guo et al. 2017, section 2), |accuracy - confidence| averaged
    over `bins` equal bins of confidence, weighted by their samples. `log_loss`: mean of -log p(label),
    p at least 1e-12 (a label of -1 has p = 0).
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bin_of = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(bin_of, right - confidence, bins)
    given = np.where(labels >= 0, probabilities[np.arange(len(labels)), labels], 0.0)
    return {
        "ece": float(np.abs(gaps).sum() / len(labels)),
        "log_loss": float(-np.log(np.maximum(given, 1e-12)).mean()),
    }

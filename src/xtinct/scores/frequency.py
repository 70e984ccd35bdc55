"""Accuracy by how frequent a group or class is in training: head, middle, tail, never seen."""

from collections.abc import Mapping, Sequence

import numpy as np

from xtinct.scores.metrics import share

#: The strata, the most frequent first.
STRATA = ("head", "middle", "tail", "never seen")


def strata(counts: Sequence[float]) -> list[str]:
    """Stratum of every label by its training samples `counts` (m,).

    The labels that training has seen are put in order, the most frequent first (of equally frequent ones
    that of the smaller place), and cut into thirds: head, middle and tail. Where three do not divide them,
    the former thirds have one more.
    """
    counts = np.asarray(counts, dtype=np.float64)
    seen = np.flatnonzero(counts > 0)
    ordered = seen[np.argsort(-counts[seen], kind="stable")]
    names = np.full(len(counts), STRATA[3], dtype=object)
    for name, labels in zip(STRATA, np.array_split(ordered, 3), strict=False):
        names[labels] = name
    return list(names)


def by_frequency(
    predicted: np.ndarray,
    labels: np.ndarray,
    counts: Sequence[float],
    confidence: float = 0.95,
    cells: np.ndarray | None = None,
) -> list[dict]:
    """Rows for the STRATA that have a label: how often first choices are right.

    predicted, labels   int (n,), places in `counts`
    counts              training samples of every label (m,)
    cells               which samples share a lattice, int (n,): see `metrics.share`

    Keys: stratum, labels (of the stratum), trained (their training samples), n (test samples), accuracy with
    _low and _high, macro_recall (mean over the labels that the test set has).
    """
    names = np.array(strata(counts))
    rows = []
    for stratum in STRATA:
        inside = names == stratum
        if not inside.any():
            continue
        own = inside[labels]
        right = (predicted == labels)[own]
        recalls = [right[labels[own] == label].mean() for label in np.unique(labels[own])]
        rows.append(
            {
                "stratum": stratum,
                "labels": int(inside.sum()),
                "trained": float(np.asarray(counts, dtype=np.float64)[inside].sum()),
                "n": int(own.sum()),
                **share("accuracy", right, confidence, None if cells is None else cells[own]),
                "macro_recall": float(np.mean(recalls)) if recalls else None,
            }
        )
    return rows


def label_counts(group_counts: Mapping[int, float] | None, members: Sequence[Sequence[int]]) -> np.ndarray:
    """Training samples float64 (m,) of labels that stand for the space groups `members`; None: one each."""
    if group_counts is None:
        return np.array([float(len(groups)) for groups in members])
    return np.array([sum(float(group_counts.get(int(g), 0.0)) for g in groups) for groups in members])

"""From measures of agreement to a ranking, to doubt, and to probabilities of symmetries.

The score of a structure is a weighted sum of its measures: the logarithm of how much more probable it is to
be the right one than another, learned as a conditional logit. Whether the best is right at all is a second
question, with a logistic answer; what is left for "none of these" goes to the structures that are alike, and
to how frequent groups are. Weights: `benchmarks/recognition/weights.py`.
"""

from typing import NamedTuple

import numpy as np

from xtinct.recognition.learned_weights import DOUBT, SCORE, VOTES
from xtinct.recognition.matching import Matched
from xtinct.symmetry.families import N_SPACE_GROUPS

#: Hits beyond which more of them say nothing more, and the largest cosine that is told from 1.
_MOST_HITS, _ALIKE = 40, 0.995


def features(matched: Matched, likeness: np.ndarray) -> np.ndarray:
    """What scores are made of, float64 (n, k) in the order of SCORE; likeness (n, 2) of the screening."""
    free = matched["free"]
    columns = {
        "evidence": matched["evidence"] / 10,
        "free": free / 3,
        "strain": matched["strain"] ** 2 * free / 2,
        "scale": (matched["scale"] / 0.03) ** 2,
        "cosine": 2.5 * (matched["cosine"] + matched["broad"]),
        "likeness": 5 * likeness[:, 0],
        "fourth": 5 * matched["fourth"],
        "textured": 5 * matched["textured"],
        "texture": matched["texture"],
    }
    return np.stack([columns[name] for name in SCORE], axis=1)


def scores(matched: Matched, likeness: np.ndarray) -> np.ndarray:
    """Score (n,) of structures; those without a line in the pattern have -inf."""
    value = features(matched, likeness) @ np.array(list(SCORE.values()))
    return np.where(matched["lines"] > 0, value, -np.inf)


class Best(NamedTuple):
    """What the doubt of the best structure is judged by: row in the arrays, scores, space groups, peaks."""

    at: int
    scores: np.ndarray
    numbers: np.ndarray
    peaks: int


def doubt_features(matched: Matched, best: Best) -> np.ndarray:
    """What the probability of the best structure is made of, float64 (k,) in the order of DOUBT."""
    at = best.at
    others = best.scores[best.numbers != best.numbers[at]]
    others = others[np.isfinite(others)]
    looked = min(best.peaks, _MOST_HITS)
    columns = {
        "one": 1.0,
        "score": best.scores[at] / 10,
        "textured": 5 * matched["textured"][at],
        "fourth": 5 * matched["fourth"][at],
        "evidence": matched["evidence"][at] / max(looked, 1),
        "explained": 3 * matched["explained"][at],
        "ten": 3 * matched["ten"][at],
        "seen": 3 * matched["seen"][at],
        "peaks": np.log(best.peaks),
        "lines": np.log(max(matched["lines"][at], 1.0)),
        "free": matched["free"][at] / 3,
        "strain": min(matched["strain"][at], 4.0),
        "gap": min(best.scores[at] - others.max(), 5.0) if len(others) else 5.0,
        "residual": 10 * matched["residual"][at],
    }
    return np.array([columns[name] for name in DOUBT])


def probability_of_best(matched: Matched, best: Best) -> float:
    """Probability that lattice and space group of the best structure are those of the sample."""
    value = float(doubt_features(matched, best) @ np.array(list(DOUBT.values())))
    return float(1 / (1 + np.exp(-np.clip(value, -30, 30))))


def shares(values: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Softmax float64 (n,) of scores over a temperature; -inf gives 0."""
    weight = np.exp((values - values.max()) / temperature)
    return weight / weight.sum()


def group_probabilities(
    values: np.ndarray, numbers: np.ndarray, right: float, frequency: np.ndarray
) -> np.ndarray:
    """Probability float64 (231,) of every space group number (0: never).

    values     scores (n,) of structures that are each counted once; numbers, their space groups
    right      probability that the best is right
    frequency  float64 (231,), of groups: `frequencies`
    """
    own = np.bincount(numbers, shares(values, VOTES["temperature"]), minlength=N_SPACE_GROUPS + 1)
    alike = np.bincount(numbers, shares(values, VOTES["wide"]), minlength=N_SPACE_GROUPS + 1)
    other = (1 - VOTES["floor"]) * alike + VOTES["floor"] * frequency
    return right * own + (1 - right) * other


def frequencies(numbers: np.ndarray) -> np.ndarray:
    """Frequency float64 (231,) of space groups among structures (n,).

    Every group counts half a structure more: what a table does not have may be measured all the same.
    """
    counts = np.bincount(numbers, minlength=N_SPACE_GROUPS + 1) + 0.5
    counts[0] = 0.0
    return counts / counts.sum()

"""How probable each candidate lattice is, and that none is right: a conditional logit of a few figures.

The evidence of a whole-pattern fit supposes exact profiles and is far too sure of itself; the score of
the lines is a good gauge, but knows nothing of heights. What each is worth was fitted once, on simulated
measurements of known crystals (`benchmarks/observer/`), and is checked on measured patterns there.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from xtinct.lattices.bravais import same
from xtinct.observer.judging.court import Judged
from xtinct.symmetry.classes import class_symbol
from xtinct.symmetry.families import BY_SYMMETRY, family_of


class Weights(NamedTuple):
    """Coefficients of the logit, of the figures of `figures` and of `none_of_them`; then powers.

    temper     of the space groups of a lattice, by its absences
    votes      of what suggests lattices
    sharpness  of the extinction classes in the end
    """

    candidate: tuple[float, ...]
    none: tuple[float, ...]
    temper: float
    suggestion: tuple[float, ...] = (0.0, 0.0, 0.0)
    votes: float = 0.0
    sharpness: float = 1.0


class Beside(NamedTuple):
    """What is known beside the candidates.

    second  score of another lattice that explains what the first by score leaves of the lines, None without
            one: what it leaves then does not speak against it
    trust   probability that the strongest suggestion is right
    """

    second: float | None = None
    trust: float = 0.0


ALONE = Beside()


#: Figures of a candidate, in order.
FIGURES = (
    "score",
    "listed",
    "missing",
    "spurious",
    "evidence",
    "foreign",
    "strong",
    "higher twin",
    "lower twin",
    "volume",
    "misfit",
    "far below",
    "left",
)


#: Share of lengths and degrees within which two candidates are one lattice, refined twice.
_ONE = 0.004, 0.3
#: Candidates, the best by their score, of which the best has to be ahead where a lattice is right.
_FIRST = 5
#: Figures that speak of what a lattice leaves of the lines.
_LEFT = [FIGURES.index(name) for name in ("spurious", "foreign", "strong", "left")]


def figures(judged: list[Judged]) -> np.ndarray:
    """What speaks for each candidate, float64 (n, 13), as FIGURES names them.

    score         below the best one, over 10
    listed        evidence of the list of peaks below the best one, over 10
    missing       lines that should have been seen, over 3; spurious, peaks left over, over 5
    evidence      of the whole pattern: minus half the logarithm of what it lacks, over 5; far below, the same
                  itself, over 20
    foreign       peaks beside the lattice's lines, over 5; strong, of the ten highest ones, over 2
    higher twin   whether the same lattice is judged in a higher family too; lower twin, in a lower one
    volume        logarithm of the primitive cell's volume over 500 angstrom^3
    misfit        logarithm of chi^2 over the best one's
    left          logarithm of the share of the intensity that is not the lattice's, over 1 %
    """
    score = np.array([x.candidate.score for x in judged])
    evidence = np.array([x.evidence for x in judged])
    rank = np.array([BY_SYMMETRY.index(x.candidate.family) for x in judged])
    misfit = np.array([x.fit.chi2 for x in judged])
    listed = np.array([x.listed.value if x.listed else -np.inf for x in judged])
    best = listed.max() if np.isfinite(listed).any() else 0.0
    twins = _twins(judged)
    below = evidence - evidence.max()
    return np.stack(
        [
            np.clip((score - score.max()) / 10, -4, 0),
            np.clip((listed - best) / 10, -6, 0),
            np.minimum([x.listed.missing if x.listed else 9.0 for x in judged], 12) / 3,
            np.minimum([x.listed.spurious if x.listed else 15.0 for x in judged], 15) / 5,
            -0.5 * np.log1p(np.minimum(-below, 3000) / 5),
            np.minimum([x.foreign for x in judged], 15) / 5,
            np.array([x.strong for x in judged]) / 2,
            (twins & (rank[None] < rank[:, None])).any(axis=1).astype(float),
            (twins & (rank[None] > rank[:, None])).any(axis=1).astype(float),
            np.log(np.array([x.candidate.volume for x in judged]) / 500),
            np.clip(np.log(misfit / misfit.min()), 0, 2),
            np.clip(below / 20, -3, 0),
            _of_share(np.array([x.left for x in judged])),
        ],
        axis=1,
    )


def _of_share(left: np.ndarray) -> np.ndarray:
    """0 for nothing, 1 for all of the intensity; a tenth of it counts half."""
    return np.log1p(100 * left) / np.log(101)


def distinct(judged: list[Judged]) -> list[Judged]:
    """The lattices without further descriptions of one in the same family, as by a cell twice as large whose
    absences show its centring: the one of the highest score stays, with the strongest suggestion."""
    kept: list[Judged] = []
    for one in sorted(judged, key=lambda x: -x.candidate.score):
        for i, other in enumerate(kept):
            if one.candidate.family == other.candidate.family and same(one.reduced, other.reduced, *_ONE):
                told = [s for x in (one, other) if (s := x.candidate.suggestion) is not None]
                if told:
                    kept[i] = replace(other, candidate=replace(other.candidate, suggestion=max(told)))
                break
        else:
            kept.append(one)
    return kept


def of_cells(cells: list[np.ndarray], probability: np.ndarray) -> np.ndarray:
    """Probability (n,) of each reduced cell: those of lattices (n,) that have about the same one added."""
    alike = np.eye(len(cells))
    for i, one in enumerate(cells):
        for j in range(i):
            alike[i, j] = alike[j, i] = same(one, cells[j])
    return alike @ probability


def _twins(judged: list[Judged]) -> np.ndarray:
    """bool (n, n): pairs of one lattice, judged in two families."""
    n = len(judged)
    twins = np.zeros((n, n), dtype=bool)
    for i in range(n):
        for j in range(i):
            twins[i, j] = twins[j, i] = same(judged[i].reduced, judged[j].reduced)
    return twins


def suggestions(judged: list[Judged], trust: float) -> np.ndarray:
    """What is said for the candidates that were suggested, float64 (n, 3); 0 for the others.

    suggested     1
    below         how much weaker than the strongest, over 5
    trust         logit of the probability that the strongest is right, over 3; of the strongest alone
    """
    strength = np.array([-np.inf if (s := x.candidate.suggestion) is None else s for x in judged])
    told = np.isfinite(strength)
    if not told.any():
        return np.zeros((len(judged), 3))
    below = np.clip((np.where(told, strength, 0.0) - strength[told].max()) / 5, -3, 0)
    bounded = min(max(trust, 1e-3), 1 - 1e-3)
    logit = np.log(bounded / (1 - bounded)) / 3
    return np.stack([told, np.where(told, below, 0.0), np.where(told & (below == 0), logit, 0.0)], axis=1)


def none_of_them(judged: list[Judged], peaks: int) -> np.ndarray:
    """What speaks for a lattice that is not among the candidates, float64 (6,).

    1, the best score over 10, the number of peaks over 30 less 1; of the candidate of that score, those of
    the ten highest peaks that it leaves, over 2, and the logarithm of the intensity that it leaves; and how
    far the evidence of the best cell lies above that of all others, among the five candidates of the best
    scores: where none is right, several are alike. Among all, it would fall with the number of candidates.
    """
    by_score = sorted(judged, key=lambda x: -x.candidate.score)
    first = by_score[0]
    best = first.candidate.score
    left = float(_of_share(np.array(first.left)))
    ahead = _ahead(by_score[:_FIRST])
    return np.array([1.0, max(best, -10.0) / 10, min(peaks, 60) / 30 - 1, first.strong / 2, left, ahead])


def _ahead(judged: list[Judged]) -> float:
    """Logarithm of how far the best evidence lies above that of every other cell, over 5, bounded."""
    best = max(judged, key=lambda x: x.evidence)
    others = [x.evidence for x in judged if not same(x.reduced, best.reduced)]
    return float(np.log1p(min(best.evidence - max(others, default=-np.inf), 60.0) / 5))


def probabilities(
    judged: list[Judged], peaks: int, weights: Weights, beside: Beside = ALONE
) -> tuple[np.ndarray, float]:
    """(probability of each candidate float64 (n,), that it is none of them)."""
    each, none = figures(judged), none_of_them(judged, peaks)
    if beside.second is not None:
        first = int(np.argmax([x.candidate.score for x in judged]))
        each[first, _LEFT] = 0.0
        none[1] += beside.second / 10
        none[3:5] = 0.0
    value = each @ np.array(weights.candidate)
    value += suggestions(judged, beside.trust) @ np.array(weights.suggestion)
    with_none = np.append(value, none @ np.array(weights.none))
    share = np.exp(with_none - with_none.max())
    share /= share.sum()
    return share[:-1], float(share[-1])


#: Fitted on simulated and measured patterns; see `benchmarks/observer/README.md`.
WEIGHTS = Weights(
    candidate=(1.37, 0.12, 0.0, 0.0, 0.75, -0.83, -0.3, -0.55, 1.35, 0.0, 0.0, 0.37, -0.5),
    none=(0.43, -0.52, -0.85, 0.03, 1.06, -1.0),
    temper=0.8,
)

#: The same where lattices are suggested by structures that were recognised; see `benchmarks/joint/README.md`.
SUGGESTED = Weights(
    candidate=(0.95, 0.06, 0.11, -0.3, 0.51, -0.61, -0.77, -0.96, 1.06, -0.07, -2.69, 0.0, 0.0),
    none=(0.01, -0.42, -1.4, -1.12, 0.0, 0.0),
    temper=0.5,
    suggestion=(2.83, 1.67, 0.15),
    votes=1.0,
    sharpness=1.1,
)
#: Share of the usual frequencies of the groups beside the votes of known structures.
UNVOTED = 0.15


def voted(probability: np.ndarray, votes: np.ndarray, usual: np.ndarray, power: float) -> np.ndarray:
    """Probabilities (n,) of space groups weighted with their votes (n,), to a power; normalised.

    usual: (n,), how frequent the groups are where no structure of the table is of the sample's type. They
    have a share beside the votes, and speak alone where there are none.
    """
    total = votes.sum()
    share = usual / usual.sum()
    if total > 0:
        share = (1.0 - UNVOTED) * votes / total + UNVOTED * share
    out = probability * share**power
    return out / out.sum()


def tempered(probability: np.ndarray, power: float) -> np.ndarray:
    """Probabilities made less sure: their power, normalised."""
    out = np.power(np.maximum(probability, 1e-300), power)
    return out / out.sum()


def sharpened(groups: Mapping[int, float], power: float) -> dict[int, float]:
    """Probabilities of space groups whose extinction classes are brought to a power; normalised.

    Within a class, groups keep their shares.
    """
    if power == 1.0:
        return dict(groups)
    classes: dict[tuple[str, str], float] = {}
    for number, p in groups.items():
        name = (family_of(number), class_symbol(number))
        classes[name] = classes.get(name, 0.0) + p
    factor = {name: p ** (power - 1) if p > 0 else 0.0 for name, p in classes.items()}
    out = {number: p * factor[(family_of(number), class_symbol(number))] for number, p in groups.items()}
    total = sum(out.values())
    return {number: p / total for number, p in out.items()}

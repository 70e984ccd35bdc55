"""Extinction classes of a lattice, by what its lines show.

Every line of the lattice within the pattern is *seen* or *not seen*, or cannot be judged because it
overlaps with others; lines that are only known together count together. With the lattice given, a
class is judged line by line (Markvardsen, David, Johnson and Shankland 2001, Acta Cryst. A57, 47):

    not seen, allowed    probability that the intensity law makes a line that weak
    seen, not allowed    improbable as the cube of its height over its error, within SURPRISE
    otherwise            certain

times the prior of the groups. Names of axes that the lattice leaves open are summed over.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from xtinct.ceiling.extinction import Weight
from xtinct.ceiling.hypotheses import Hypotheses
from xtinct.errors import XtinctError
from xtinct.lattices.cells import form_indices
from xtinct.lattices.conventional import conventional_hkl
from xtinct.observer.exact.line_fit import Decomposition
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.lorentz import geometric_factor
from xtinct.symmetry.absences import absent
from xtinct.symmetry.classes import extinction_classes
from xtinct.symmetry.families import MONOCLINIC

#: Errors that a height must exceed to be seen.
SEEN = 6.0
#: Largest and smallest cost (natural logarithm) of a line that is seen and not allowed.
SURPRISE = (3.0, 25.0)
#: A line can be judged when its error is below this share of its expected height.
_JUDGED = 0.02
#: hkl of another cell choice of a monoclinic lattice, as hkl @ matrix (ITA 2016, Table 1.5.1.1).
_CELL_CHOICES = (
    np.eye(3, dtype=np.int64),
    np.array([[-1, 0, 1], [0, 1, 0], [-1, 0, 0]]),
    np.array([[0, 0, -1], [0, 1, 0], [1, 0, -1]]),
)


@dataclass(frozen=True)
class IntensityLaw:
    """How often an allowed line is weak.

    name   uniform: heights over the geometric factor are uniform between 0 and their maximum;
           physical: exponential around a mean that changes slowly with angle (Wilson 1949)
    lost   share of allowed lines that are too weak to be seen whatever the threshold
    """

    name: str
    lost: float

    def __post_init__(self) -> None:
        if self.name not in ("uniform", "physical"):
            raise XtinctError(f"intensity law {self.name!r}: expected uniform or physical")
        if not 0 <= self.lost < 1:
            raise XtinctError(f"intensity law: lost {self.lost}, expected 0 or more and less than 1")

    def weaker(self, share: np.ndarray) -> np.ndarray:
        """Probability of a height below `share` of the largest (uniform) or mean (physical) one."""
        share = np.maximum(share, 0.0)
        below = np.minimum(share, 1.0) if self.name == "uniform" else -np.expm1(-share)
        return np.clip(self.lost + (1 - self.lost) * below, 1e-9, 1.0)


UNIFORM, PHYSICAL = IntensityLaw("uniform", 0.0), IntensityLaw("physical", 0.15)
LAWS = {law.name: law for law in (UNIFORM, PHYSICAL)}


@dataclass(frozen=True)
class Evidence:
    """Lines that can be judged, alone or together.

    lines       list of int64 arrays: the lines of the decomposition that each item holds
    seen        bool (n,)
    ratio       float64 (n,), height over error
    weak        float64 (n,), probability that one allowed line would go unseen
    """

    lines: list[np.ndarray]
    seen: np.ndarray
    ratio: np.ndarray
    weak: np.ndarray


def evidence(found: Decomposition, instrument: Instrument, law: IntensityLaw) -> Evidence:
    """What the heights of a lattice's lines say, under an intensity law."""
    theta = np.radians(found.two_theta / 2)
    factor = geometric_factor(np.sin(theta), np.cos(theta), instrument.polarisation)
    expected = factor * _scale(found, factor, law)
    judged = found.error <= _JUDGED * expected
    groups = [np.array([j]) for j in np.flatnonzero(judged)]
    # What cannot be judged alone may be known in sum: neighbours within a peak's width are joined.
    loose = np.flatnonzero(~judged)
    if len(loose):
        gap = np.diff(found.two_theta[loose]) > 0.5 * instrument.sigma
        groups += [part for part in np.split(loose, np.flatnonzero(gap) + 1) if len(part) > 1]
    height = np.array([found.height[part].sum() for part in groups])
    error = np.array(
        [
            np.sqrt(max(0.0, found.covariance[np.ix_(part, part)].sum())) * found.local[part].max()
            for part in groups
        ]
    )
    mean = np.array([expected[part].mean() for part in groups])
    error = np.maximum(error, 1e-300)
    useful = error <= _JUDGED * mean
    ratio = height / error
    return Evidence(
        lines=[part for part, use in zip(groups, useful, strict=True) if use],
        seen=(ratio > SEEN)[useful],
        ratio=ratio[useful],
        weak=law.weaker(2.0 * SEEN * error / mean)[useful],
    )


def _scale(found: Decomposition, factor: np.ndarray, law: IntensityLaw) -> np.ndarray:
    """Largest (uniform) or mean (physical) height over the geometric factor, for every line (n,)."""
    seen = found.height > SEEN * found.error
    ratio = np.where(seen, found.height, 0.0) / factor
    if not seen.any():
        return np.ones(len(factor))
    if law.name == "uniform":
        return np.full(len(factor), 2.0 * ratio[seen].mean())
    # A mean over the nearest 20 seen lines.
    known = np.flatnonzero(seen)
    sums = np.concatenate([[0.0], np.cumsum(ratio[known])])
    place = np.searchsorted(known, np.arange(len(factor)))
    low = np.clip(place - 10, 0, max(0, len(known) - 20))
    high = np.minimum(low + 20, len(known))
    return (sums[high] - sums[low]) / (high - low)


@dataclass(frozen=True)
class Sets:
    """Absence sets of a family on the forms of one lattice.

    forms    float64 (n_forms, p)
    allowed  bool (n_sets, n_forms)
    share    int64 (n_sets, n_groups), namings of the axes that lead a group to a set, of `namings` in all
    groups   int64 (n_groups,)
    """

    forms: np.ndarray
    allowed: np.ndarray
    share: np.ndarray
    namings: int
    groups: np.ndarray


def absence_sets(hypotheses: Hypotheses, used: np.ndarray) -> Sets:
    """The sets of `hypotheses` on the forms number `used` (n_forms,), every naming of the axes included.

    A monoclinic cell is known up to the three cell choices; the other families' namings are those of
    `Hypotheses`.
    """
    if hypotheses.family != MONOCLINIC:
        allowed = hypotheses.allowed[:, used]
        return Sets(
            hypotheses.lines.forms[used], allowed, hypotheses.share, hypotheses.relabelled, hypotheses.groups
        )
    forms = hypotheses.lines.forms[used].astype(np.int64)
    h, k, l = (np.rint(np.sqrt(forms[:, i])).astype(np.int64) for i in range(3))  # noqa: E741
    hkl = np.stack([h, k, np.where(forms[:, 3] < 0, -l, l)], axis=1)
    representative = [int(hypotheses.groups[row > 0][0]) for row in hypotheses.share]
    allowed = [~absent(number, hkl @ choice) for choice in _CELL_CHOICES for number in representative]
    share = np.tile(hypotheses.share, (len(_CELL_CHOICES), 1))
    return Sets(hypotheses.lines.forms[used], np.array(allowed), share, len(_CELL_CHOICES), hypotheses.groups)


def line_costs(sets: Sets, found: Decomposition, seen: Evidence) -> np.ndarray:
    """What every item of the evidence adds to the logarithm, float64 (n_sets, n_items)."""
    shown = np.zeros((len(found.two_theta), len(sets.allowed)), dtype=np.int64)
    np.maximum.at(shown, found.line, sets.allowed.T.astype(np.int64))
    numbers = np.array([shown[part].sum(axis=0) for part in seen.lines]).reshape(-1, len(sets.allowed))
    surprise = np.clip(3.0 * np.log(np.maximum(seen.ratio, 1.0)), *SURPRISE)
    missing = numbers * np.log(seen.weak)[:, None]
    forbidden = np.where(numbers == 0, -surprise[:, None], 0.0)
    return np.where(seen.seen[:, None], forbidden, missing).T


@lru_cache(maxsize=8)
def _class_columns(family: str) -> tuple[tuple[str, ...], np.ndarray]:
    classes = extinction_classes(family)
    groups = sorted(number for c in classes for number in c.members)
    of_class = np.zeros((len(groups), len(classes)))
    for column, c in enumerate(classes):
        for number in c.members:
            of_class[groups.index(number), column] = 1.0
    return tuple(c.symbol for c in classes), of_class


@dataclass(frozen=True)
class Posterior:
    """Probabilities of one pattern within a family.

    evidence       logarithm of the probability of the evidence, summed over the groups by their prior
    groups         int64 (n_groups,), ascending
    group          float64 (n_groups,)
    class_symbols  of the family, in the order of `extinction_classes`
    classes        float64 (n_classes,)
    """

    evidence: float
    groups: np.ndarray
    group: np.ndarray
    class_symbols: tuple[str, ...]
    classes: np.ndarray


def prior_of(family: str, prior: Mapping[int, Weight] | None) -> np.ndarray:
    """Probability float64 (n_groups,) of the groups of a family, ascending; None: all alike."""
    groups = sorted(number for c in extinction_classes(family) for number in c.members)
    weights = np.array([1.0 if prior is None else float(prior.get(g, 0)) for g in groups])
    if not weights.sum() > 0:
        raise XtinctError(f"prior: no weight on any group of the {family} family")
    return weights / weights.sum()


def posterior(
    family: str, sets: Sets, log_likelihood: np.ndarray, prior: Mapping[int, Weight] | None = None
) -> Posterior:
    """Probabilities of groups and classes from those of the absence sets (n_sets,)."""
    highest = log_likelihood.max()
    weights = prior_of(family, prior) / sets.namings
    group = weights * np.einsum("s,sg->g", np.exp(log_likelihood - highest), sets.share)
    total = group.sum()
    if not total > 0:  # a prior that excludes everything the lines support
        group, total = prior_of(family, prior), 1.0
    group = group / total
    symbols, of_class = _class_columns(family)
    return Posterior(
        float(highest + np.log(total)), sets.groups, group, symbols, np.einsum("g,gc->c", group, of_class)
    )


def shown_share(found: Decomposition, sets: Sets, seen: Evidence) -> float:
    """Of the lines that can be judged and that the best absence set allows, the share that is seen."""
    best = line_costs(sets, found, seen).sum(axis=1).argmax()
    allowed = np.zeros(len(found.two_theta), dtype=bool)
    np.logical_or.at(allowed, found.line, sets.allowed[best])
    allowed = np.array([allowed[part].any() for part in seen.lines], dtype=bool)
    return float(seen.seen[allowed].mean()) if allowed.any() else 0.0


def deciding_lines(
    family: str,
    found: Decomposition,
    sets: Sets,
    seen: Evidence,
    prior: Mapping[int, Weight] | None = None,
) -> list[tuple[tuple[int, int, int], float, bool, float]]:
    """The lines that speak most for or against the best class, compared with the second.

    (hkl, 2theta, whether it is seen, natural logarithm of the ratio of probabilities), at most five.
    """
    costs = line_costs(sets, found, seen)
    weights = prior_of(family, prior)
    with np.errstate(divide="ignore"):
        scored = costs.sum(axis=1) + np.log((sets.share * weights).sum(axis=1))
    order = np.argsort(-scored, kind="stable")
    best = order[0]
    own = set(sets.groups[sets.share[best] > 0].tolist())
    members = next(set(c.members) for c in extinction_classes(family) if own & set(c.members))
    others = [s for s in order if not set(sets.groups[sets.share[s] > 0].tolist()) & members]
    if not others:
        return []
    ratio = costs[best] - costs[others[0]]
    hkl = conventional_hkl(family, form_indices(family, sets.forms))
    result = []
    for item in np.argsort(-np.abs(ratio), kind="stable")[:5]:
        if ratio[item] == 0:
            break
        line = int(seen.lines[item][0])
        first = int(np.searchsorted(found.line, line))
        result.append(
            (
                tuple(int(x) for x in hkl[first]),
                float(found.two_theta[line]),
                bool(seen.seen[item]),
                float(ratio[item]),
            )
        )
    return result

"""Extinction classes and space groups of a lattice, with their probabilities and the lines that decide."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from xtinct.ceiling.extinction import Weight, prior_weights
from xtinct.observer.fitting.line_sets import AbsenceSets, Lines, absence_sets
from xtinct.observer.fitting.pawley import LatticeFit
from xtinct.observer.judging.known_lines import KnownLines, of_lattice, too_weak
from xtinct.observer.judging.pattern_evidence import LAW, Law, SetEvidence, heights_of, set_evidence

_DECIBANS = 10.0 / math.log(10.0)
#: Share of the prior that is spread evenly, so that no table rules a group out.
_EVEN = 1e-3
#: Absence sets that the evidence of a lattice is summed over.
_SETS = 6
#: How much more probable than those without weak lines the known structures must be that answer for theirs.
_ANSWER = 0.5
#: Most that the logarithm of a probability gains by weak lines of a known structure: numbers stay finite.
_MOST_GAIN = 600.0


@dataclass(frozen=True)
class DecidingLine:
    """A line, or lines that overlap, on which two classes differ.

    hkl        int64 (k, 3): of the lines that one class allows and the other does not
    two_theta  of the first, true, degree
    allowed    whether the more probable class is the one that allows them
    area       fitted, all of them together
    decibans   evidence for the more probable class, 10 log10 of the ratio of probabilities
    """

    hkl: np.ndarray
    two_theta: float
    allowed: bool
    area: float
    decibans: float


@dataclass(frozen=True)
class ClassPosterior:
    """Probabilities of the extinction classes and groups of a family, given its lattice.

    family     crystal family
    symbols    extinction symbols, most probable first; probability float64 (n_classes,) of each
    groups     int64 (n_groups,): space group numbers, most probable first; group_probability (n_groups,)
    evidence   log p(pattern | lattice), relative to no line at all
    """

    family: str
    symbols: tuple[str, ...]
    probability: np.ndarray
    groups: np.ndarray
    group_probability: np.ndarray
    evidence: float
    _lines: Lines
    _sets: AbsenceSets
    _of_sets: SetEvidence
    _angle: np.ndarray
    _area: np.ndarray

    def members(self, symbol: str) -> tuple[int, ...]:
        """Space group numbers of a class, ascending."""
        index = self._sets.symbols.index(symbol)
        return tuple(int(number) for number in self._sets.groups[self._sets.class_of == index])

    def class_of(self, number: int) -> str:
        """Symbol of the class of a space group of the family."""
        return self._sets.symbols[self._sets.class_of[list(self._sets.groups).index(number)]]

    def rank(self, number: int) -> int:
        """Place of a group's class among all, 1 for the most probable."""
        return self.symbols.index(self.class_of(number)) + 1

    def ordered(self, groups: np.ndarray, weight: np.ndarray) -> "ClassPosterior":
        """The same with the classes in the order of other weights (n,) of their space groups (n,)."""
        sums = dict.fromkeys(self.symbols, 0.0)
        for number, w in zip(groups.tolist(), weight.tolist(), strict=True):
            sums[self.class_of(number)] += w
        order = sorted(range(len(self.symbols)), key=lambda i: -sums[self.symbols[i]])
        symbols = tuple(self.symbols[i] for i in order)
        return replace(self, symbols=symbols, probability=self.probability[order])

    def whole_evidence(self, fit: LatticeFit, inflation: float, *, law: Law = LAW) -> float:
        """log p(pattern | lattice), comparable between all lattices of a pattern.

        Relative to no line at all, with one inflation of the variance for all lattices; foreign lines count
        with the likelihood that they were fitted with. Of the absence sets those that matter are summed over.
        """
        weight = self._of_sets.total + np.log(self._sets.share.sum(axis=1) / self._sets.share.sum())
        likely = np.argsort(-weight, kind="stable")[:_SETS]
        heights = heights_of(fit, law, inflation=inflation)
        total = set_evidence(heights, self._sets.allowed[likely], law).total
        total += np.log(self._sets.share.sum(axis=1)[likely] / self._sets.share.sum())
        return float(np.logaddexp.reduce(total)) + heights.foreign

    def by_known(
        self, fit: LatticeFit, known: Sequence[KnownLines], votes: Mapping[int, float], power: float
    ) -> np.ndarray:
        """What known structures make of the probabilities of `groups`, to a power: factors (n_groups,).

        The best absence set of all forbids lines that a group allows. If a known structure of this lattice
        and group has none of these strong enough to be seen, they do not speak against the group, with the
        probability that the sample is this structure where it has the group. Known structures answer so only
        where those of the lattice and group are together more probable, by _ANSWER, than those that obey the
        best absence set: databases of calculated structures have many distorted copies of crystals.

        votes  probability of every space group by what knows the structures
        """
        sets, before = self._sets, self._of_sets.total
        factors = np.ones(len(self.groups))
        first = np.argmax(before + np.log(sets.share.sum(axis=1)))
        best, place = sets.allowed[first], {number: i for i, number in enumerate(sets.groups)}
        known = [one for one in known if of_lattice(one, fit)]
        heights, obeying, together = None, 0.0, Counter()
        for one in known:
            together[one.number] += one.probability
            obeying += one.probability * bool(sets.share[first, place[one.number]])
        for one in known:
            if not together[one.number] - obeying > _ANSWER:
                continue
            heights = heights_of(fit) if heights is None else heights
            share = sets.share[:, place[one.number]]
            own = np.flatnonzero(share)
            unseen = sets.allowed[own] & ~best
            alike = unseen.any(axis=1) & ~unseen[:, ~too_weak(one, fit, heights)].any(axis=1)
            if not alike.any():
                continue
            after = before[own].copy()
            after[alike] = set_evidence(heights, sets.allowed[own[alike]] & best).total
            gain = _whole(after, share[own]) - _whole(before[own], share[own])
            chance = min(1.0, one.probability / max(votes.get(one.number, 0.0), 1e-300))
            factors[self.groups == one.number] += chance * math.expm1(min(power * gain, _MOST_GAIN))
        return factors

    def _best_set(self, symbol: str) -> int:
        """The absence set by which a class explains the pattern best."""
        index = self._sets.symbols.index(symbol)
        share = self._sets.share[:, self._sets.class_of == index].sum(axis=1)
        with np.errstate(divide="ignore"):
            return int(np.argmax(self._of_sets.total + np.log(share)))

    def allowed(self, symbol: str) -> np.ndarray:
        """bool (m,): lines that a class allows, on the axes by which it explains the pattern best."""
        return self._sets.allowed[self._best_set(symbol)]

    def deciding(self, rival: str, against: str | None = None, most: int = 10) -> list[DecidingLine]:
        """The lines that decide for a class (the most probable one) against a rival, the strongest first.

        Every class stands for its best naming of the axes. Lines on which both agree can still carry a
        little evidence, since the mean height of what a class allows differs; it is not listed.
        """
        one, other = against or self.symbols[0], rival
        by_clump = self._of_sets.by_clump
        difference = _DECIBANS * (by_clump[self._best_set(one)] - by_clump[self._best_set(other)])
        first, second = self.allowed(one), self.allowed(other)
        written = self._lines.representative(obverse=one.startswith("R"))
        found = []
        for number, part in enumerate(self._of_sets.clumps):
            unlike = part[first[part] != second[part]]
            if not len(unlike):
                continue
            found.append(
                DecidingLine(
                    hkl=written[unlike],
                    two_theta=float(self._angle[unlike[0]]),
                    allowed=bool(first[unlike[0]]),
                    area=float(self._area[unlike].sum()),
                    decibans=float(difference[number]),
                )
            )
        found.sort(key=lambda line: -abs(line.decibans))
        return found[:most]


def _whole(evidence: np.ndarray, share: np.ndarray) -> float:
    """Logarithm of the evidence of a group, of that of its absence sets (n,) and their shares (n,)."""
    return float(np.logaddexp.reduce(LAW.sharpness * evidence + np.log(share)))


def class_posterior(
    fit: LatticeFit, prior: Mapping[int, Weight] | None = None, *, law: Law = LAW
) -> ClassPosterior:
    """Posterior over the classes and groups of the fit's family.

    prior  weight of every space group (`xtinct.ceiling.priors`); None: all groups of the family alike. A
           thousandth of it is spread evenly.
    """
    sets = absence_sets(fit.lines)
    heights = heights_of(fit, law)
    of_sets = set_evidence(heights, sets.allowed, law)
    weights = prior_weights(fit.family, prior)
    weight = np.array([float(weights.get(int(number), 0)) for number in sets.groups])
    weight = (1 - _EVEN) * weight / weight.sum() + _EVEN / len(weight)
    top = of_sets.total.max()
    by_group = np.exp(law.sharpness * (of_sets.total - top)) @ sets.share * weight
    total = by_group.sum()
    by_class = np.bincount(sets.class_of, weights=by_group, minlength=len(sets.symbols)) / total
    order = np.argsort(-by_class, kind="stable")
    by_number = np.argsort(-by_group, kind="stable")
    return ClassPosterior(
        family=fit.family,
        symbols=tuple(sets.symbols[i] for i in order),
        probability=by_class[order],
        groups=sets.groups[by_number],
        group_probability=by_group[by_number] / total,
        evidence=float(top + math.log((np.exp(of_sets.total - top) @ sets.share) @ weight)),
        _lines=fit.lines,
        _sets=sets,
        _of_sets=of_sets,
        _angle=fit.angle,
        _area=fit.area,
    )

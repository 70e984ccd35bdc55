"""The observer who reads a pattern as a crystallographer does: lines, cell, absences, class."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from xtinct.ceiling.extinction import Weight
from xtinct.errors import XtinctError
from xtinct.lattices.cells import LONGEST, SHORTEST, indices
from xtinct.lattices.conventional import conventional_hkl
from xtinct.observer.exact import triclinic
from xtinct.observer.exact.exact_classes import LAWS, IntensityLaw, deciding_lines
from xtinct.observer.exact.finding import Finding, Lattice, LatticeFinder
from xtinct.observer.exact.lattice_judge import LatticeJudge, axes_of_groups
from xtinct.observer.exact.observed_lines import ObservedLines
from xtinct.patterns.instrument import Instrument
from xtinct.symmetry.classes import extinction_classes
from xtinct.symmetry.families import BY_SYMMETRY, FAMILIES, TRICLINIC, space_groups


@dataclass(frozen=True)
class Answer:
    """What the observer says about one pattern.

    family       most probable crystal family
    lattice      None if no lattice was found; the probabilities are then those of the prior
    lines        observed lines, at their true angles where the lattice has a zero
    hkl          int64 (n_lines, 3), indices of the observed lines, zeros where there are none
    classes      extinction symbols of `families` with their probability, falling
    groups       space group numbers with their probability, falling
    absences     lines that decide between the best and the second class:
                 (hkl, 2theta, seen, natural logarithm of the ratio of probabilities)
    axes         orthorhombic and monoclinic: of every group of the best class int64 (3, 3), hkl @ this are
                 those of its standard setting; the axes of the lattice are named by their lengths
    """

    family: str | None
    lattice: Lattice | None
    lines: ObservedLines
    hkl: np.ndarray
    classes: list[tuple[str, str, float]]
    groups: list[tuple[int, float]]
    absences: list[tuple[tuple[int, int, int], float, bool, float]] = field(default_factory=list)
    axes: dict[int, np.ndarray] = field(default_factory=dict)


class Observer:
    """Indexes patterns and ranks extinction classes and space groups, without training.

    instrument  of the patterns
    family      a crystal family that is known, or "all"
    law         intensity law: uniform | physical, or an IntensityLaw
    prior       weight of every space group; None: all groups alike
    lengths     range of axes, angstrom: what is expected decides where a small cell shows too few lines
                to tell it from a fraction of it

    Attributes: instrument; families, high symmetry first; groups int64 (n,), the space groups it chooses
    from; finder, which finds the lattices.
    """

    def __init__(
        self,
        instrument: Instrument,
        family: str = "all",
        law: str | IntensityLaw = "uniform",
        prior: Mapping[int, Weight] | None = None,
        lengths: tuple[float, float] = (SHORTEST, LONGEST),
    ) -> None:
        if family != "all" and family not in FAMILIES:
            raise XtinctError(f"crystal family {family!r}: expected all or one of {', '.join(FAMILIES)}")
        if isinstance(law, str) and law not in LAWS:
            raise XtinctError(f"intensity law {law!r}: expected one of {', '.join(LAWS)}")
        self.families = [family] if family != "all" else list(BY_SYMMETRY)
        self.groups = np.array(sorted(g for f in self.families for g in space_groups(f)), dtype=np.int64)
        weights = [1.0 if prior is None else float(prior.get(int(g), 0)) for g in self.groups]
        if not sum(weights) > 0:
            raise XtinctError(f"prior: no weight on any group of {family}")
        self._weights = np.array(weights) / sum(weights)
        # A family that the prior excludes is not looked for.
        weight_of = {f: self._weights[np.isin(self.groups, space_groups(f))].sum() for f in self.families}
        law = LAWS[law] if isinstance(law, str) else law
        judge = LatticeJudge(law, prior, lengths, instrument.d_star_reach)
        self.finder = LatticeFinder(instrument, [f for f in self.families if weight_of[f] > 0], judge)
        self.instrument = instrument
        self.prior = prior

    def group_probabilities(self, patterns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(probabilities float64 (n, len(groups)), found bool (n,)) of patterns float32 (n, points)."""
        out = np.empty((len(patterns), len(self.groups)))
        found = np.zeros(len(patterns), dtype=bool)
        for i, pattern in enumerate(patterns):
            _, finding = self.finder.find(self._checked(pattern))
            out[i], found[i] = self._spread(finding), finding is not None
        return out, found

    def predict(self, patterns: np.ndarray) -> list[Answer]:
        """Answers for patterns float32 (n, points) or (points,), any scale."""
        return [self._answer(self._checked(pattern)) for pattern in np.atleast_2d(patterns)]

    def _checked(self, pattern: np.ndarray) -> np.ndarray:
        pattern = np.asarray(pattern, dtype=np.float64)
        if pattern.shape != (self.instrument.points,):
            raise XtinctError(
                f"pattern of shape {pattern.shape}: the instrument has {self.instrument.points} points"
            )
        highest = pattern.max()
        if not (np.isfinite(pattern).all() and highest > 0):
            raise XtinctError("pattern: intensities must be finite and somewhere positive")
        return pattern / highest

    def _spread(self, finding: Finding | None) -> np.ndarray:
        """Probability float64 (len(groups),) of every group; the prior, where no lattice was found."""
        if finding is None:
            return self._weights
        result = finding.judged.posterior
        out = np.zeros(len(self.groups))
        out[np.searchsorted(self.groups, result.groups)] = result.group
        return out

    def _answer(self, pattern: np.ndarray) -> Answer:
        lines, finding = self.finder.find(pattern)
        group = self._spread(finding)
        order = np.argsort(-group, kind="stable")
        classes = [
            (family, cls.symbol, float(group[np.isin(self.groups, cls.members)].sum()))
            for family in self.families
            for cls in extinction_classes(family)
        ]
        answer = Answer(
            family=finding.lattice.family if finding else None,
            lattice=finding.lattice if finding else None,
            lines=lines,
            hkl=np.zeros((len(lines), 3), dtype=np.int64),
            classes=sorted(classes, key=lambda item: -item[2]),
            groups=[(int(self.groups[i]), float(group[i])) for i in order],
        )
        if finding is None:
            return answer
        best = answer.classes[0][1]
        return replace(
            answer,
            hkl=_indexed(finding, best.startswith("R")),
            absences=self._absences(finding),
            axes=axes_of_groups(finding.judged, best),
        )

    def _absences(self, finding: Finding) -> list[tuple[tuple[int, int, int], float, bool, float]]:
        judged = finding.judged
        return deciding_lines(judged.family, judged.fit, judged.sets, judged.seen, self.prior)


def _indexed(finding: Finding, rhombohedral: bool) -> np.ndarray:
    """hkl int64 (n_lines, 3) of the lines on conventional axes, zeros where the lattice has none."""
    family, metric, positions = finding.lattice.family, finding.lattice.metric, finding.positions
    read = triclinic.indices if family == TRICLINIC else partial(indices, family)
    return conventional_hkl(family, read(metric, positions.q, positions.tolerance), obverse=rhombohedral)


def hybrid(observer: np.ndarray, found: np.ndarray, network: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Product of experts: group probabilities float64 (n, n_groups) of observer and network together.

    The network's own prior is divided out, so that what both have learned of the groups' frequencies
    counts once. Where no lattice was `found` (bool (n,)) the network speaks alone.

    observer  float64 (n, n_groups), under the prior that shall hold
    network   float64 (n, n_groups)
    prior     float64 (n_groups,), of the network; groups it never saw are left to the observer
    """
    share = prior / prior.sum()
    ratio = np.where(share > 0, network / np.where(share > 0, share, 1.0), 1.0)
    product = observer * np.maximum(ratio, 1e-6)
    total = product.sum(axis=1, keepdims=True)
    product = np.where(total > 0, product / np.where(total > 0, total, 1.0), observer)
    return np.where(found[:, None], product, network)

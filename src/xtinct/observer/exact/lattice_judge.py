"""A lattice held against a pattern: the fit of its lines, and what these say of its extinction classes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from xtinct.ceiling.extinction import Weight
from xtinct.ceiling.hypotheses import Hypotheses
from xtinct.lattices.bravais import namings
from xtinct.lattices.cells import LONG, LONG_CELLS, form_indices, smallest, standard_axes
from xtinct.lattices.metric import cell_of
from xtinct.observer.exact.exact_classes import (
    SEEN,
    Evidence,
    IntensityLaw,
    Posterior,
    Sets,
    absence_sets,
    evidence,
    line_costs,
    posterior,
    shown_share,
)
from xtinct.observer.exact.line_fit import Decomposition, decompose
from xtinct.observer.exact.readings import Reading
from xtinct.symmetry.absences import absent
from xtinct.symmetry.classes import extinction_classes
from xtinct.symmetry.families import MONOCLINIC, ORTHORHOMBIC

_ANGLES = 58.0, 122.0  # monoclinic, degrees, of the cells that can be judged
#: Share of the range of 1/d that is looked at on cells with an axis longer than LONG: lines are many.
_LONG_REACH = 0.6
#: Share of the lines that its best class allows which a lattice must show: one cell of many has lines
#: wherever the pattern has some, and many more. Crystals of the Materials Project show 0.35 or more.
_SHOWN = 0.3


@dataclass(frozen=True)
class JudgedLattice:
    """A lattice and what its lines say.

    family     crystal family
    metric     float64 (p,), as `form_metric`, refined
    fit        heights of its lines
    sets       absence sets on its lines; seen, which lines are seen
    posterior  probabilities of classes and groups with this lattice
    """

    family: str
    metric: np.ndarray
    fit: Decomposition
    sets: Sets
    seen: Evidence
    posterior: Posterior

    @property
    def shows_enough(self) -> bool:
        """Whether enough of the lines that the best class allows are seen."""
        return shown_share(self.fit, self.sets, self.seen) > _SHOWN


class LatticeJudge:
    """Fits lattices to patterns and ranks their classes.

    law      intensity law; prior, weight of every space group, None: all groups alike
    lengths  range of axes that is expected, angstrom
    reach    1/d up to which patterns reach, 1/angstrom
    """

    def __init__(
        self,
        law: IntensityLaw,
        prior: Mapping[int, Weight] | None,
        lengths: tuple[float, float],
        reach: float,
    ) -> None:
        self.law = law
        self.prior = prior
        self.lengths = (float(lengths[0]), float(lengths[1]))
        self._reach = reach
        self._hypotheses: dict[tuple[str, bool], Hypotheses] = {}

    def expects(self, cell: np.ndarray) -> bool:
        """Whether the axes of a cell (6,) lie in the range that is expected, with 1 % to spare."""
        low, high = self.lengths
        return cell[:3].min() >= 0.99 * low and cell[:3].max() <= 1.01 * high

    def fit(self, reading: Reading, family: str, start: np.ndarray) -> tuple[np.ndarray, Decomposition]:
        """Refined metric float64 (p,) of a lattice, from `start`, and the heights of its lines."""
        lines = self._of_cell(family, start).lines
        return decompose(
            reading.pattern,
            reading.instrument,
            lines.forms,
            start,
            reading.lines.noise,
            lines.d_star_max,
            refine_zero=reading.refines_zero,
        )

    def judge(self, reading: Reading, family: str, start: np.ndarray) -> JudgedLattice:
        """Refine the metric of a lattice, from `start` (p,), on a pattern and rank its classes."""
        metric, fit = self.fit(reading, family, start)
        sets = absence_sets(self._of_cell(family, start), fit.forms)
        seen = evidence(fit, reading.instrument, self.law)
        costs = line_costs(sets, fit, seen).sum(axis=1)
        return JudgedLattice(family, metric, fit, sets, seen, posterior(family, sets, costs, self.prior))

    def smallest(self, reading: Reading, judged: JudgedLattice) -> JudgedLattice:
        """The smallest lattice that explains the pattern and has all lines which an accepted one shows."""
        while True:
            fit, family = judged.fit, judged.family
            shown = np.flatnonzero(fit.height > SEEN * fit.error)
            first = np.searchsorted(fit.line, shown)
            less = smallest(family, judged.metric, form_indices(family, judged.sets.forms[first]))
            if less is None:
                return judged
            tried = self.judge(reading, family, standard_axes(family, less))
            if not reading.explained(tried.fit):
                return judged
            judged = tried

    def _of_cell(self, family: str, metric: np.ndarray) -> Hypotheses:
        long = family in LONG_CELLS and cell_of(family, metric)[:3].max() > LONG
        if (family, long) not in self._hypotheses:
            reach = self._reach * (_LONG_REACH if long else 1.0)
            longest = LONG_CELLS[family] if long else LONG
            self._hypotheses[family, long] = Hypotheses(family, reach, longest, _ANGLES)
        return self._hypotheses[family, long]


def axes_of_groups(judged: JudgedLattice, symbol: str) -> dict[int, np.ndarray]:
    """Of every group of a class int64 (3, 3): hkl @ this are those of its standard setting, by the naming of
    the axes that explains the pattern best; empty for families whose axes are named by their metric."""
    if judged.family not in (ORTHORHOMBIC, MONOCLINIC):
        return {}
    sets = judged.sets
    members = next(c.members for c in extinction_classes(judged.family) if c.symbol == symbol)
    share = sets.share[:, np.isin(sets.groups, members)].sum(axis=1)
    with np.errstate(divide="ignore"):
        best = np.argmax(line_costs(sets, judged.fit, judged.seen).sum(axis=1) + np.log(share))
    hkl, allowed = form_indices(judged.family, sets.forms), sets.allowed[best]
    tried = namings(judged.family, cell_of(judged.family, judged.metric))
    found = {
        number: [matrix for matrix in tried if (~absent(number, hkl @ matrix) == allowed).all()]
        for number in members
    }
    return {number: matrices[0] for number, matrices in found.items() if matrices}

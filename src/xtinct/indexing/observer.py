"""The observer who reads a pattern as a crystallographer does: lines, cell, absences, class."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from xtinct.diffraction.instrument import Instrument
from xtinct.errors import XtinctError
from xtinct.indexing.cells import (
    LONG,
    LONG_CELLS,
    LONGEST,
    SEARCHED,
    SHORTEST,
    cell_of,
    figure_of_merit,
    form_indices,
    indices,
    smallest,
    standard_axes,
)
from xtinct.indexing.fit import Decomposition, decompose
from xtinct.indexing.peaks import ObservedLines, find_lines
from xtinct.indexing.posterior import (
    LAWS,
    SEEN,
    Evidence,
    IntensityLaw,
    Posterior,
    Sets,
    absence_sets,
    deciding_lines,
    evidence,
    line_costs,
    posterior,
    prior_of,
    shown_share,
)
from xtinct.indexing.related import of_higher, related
from xtinct.indexing.search import search
from xtinct.limits.hypotheses import Hypotheses
from xtinct.randomness import stream_key, uniform
from xtinct.symmetry.ceilings import Weight
from xtinct.symmetry.classes import extinction_classes
from xtinct.symmetry.families import FAMILIES, space_groups

_ANGLES = 58.0, 122.0  # monoclinic, degrees, of the cells that can be judged
#: A lattice is accepted when its residual is below this many times what noise and storage leave.
_ACCEPTED = 5.0
_STORED = 5e-6  # residual that the storage of line positions in single precision leaves
#: Attempts to find a lattice: lines that are looked for, lines that a cell must explain, how many of
#: these may stay unexplained, and the distance in standard deviations of the profile within which two
#: lines may in truth be three. A dominant zone needs many lines before the third axis shows; nearly
#: equal axes leave few lines alone.
_ATTEMPTS = ((40, 25, 0, 0.5), (80, 50, 0, 2.0), (80, 50, 2, 1.0))
#: A lattice that leaves this much may be right but for small differences of its axes and angles.
_NEAR = 0.03
#: Largest relative changes of the metric from which its fit is begun anew.
_CHANGES = (1e-3, 3e-3, 5e-4, 1e-3)
#: Share of the range of 1/d that is looked at on such cells: lines are many.
_LONG_REACH = 0.6
#: With fewer observed lines than this, cells that explain them all are weighed against each other.
_FEW = 15
#: Share of the lines that its best class allows which a lattice must show: one cell of many has lines
#: wherever the pattern has some, and many more. Crystals of the Materials Project show 0.35 or more.
_SHOWN = 0.3
#: Smallest error of a line position that is asked for, degree 2theta.
_POSITION = 1e-3


@dataclass(frozen=True)
class Lattice:
    """A lattice found in a pattern, with what was measured on it.

    family      crystal family
    cell        float64 (6,), angstrom and degrees
    metric      float64 (p,), as `form_metric`
    merit       de Wolff's M20
    residual    of the whole-pattern fit over the pattern, root mean squares
    """

    family: str
    cell: np.ndarray
    metric: np.ndarray
    merit: float
    residual: float


@dataclass(frozen=True)
class Answer:
    """What the observer says about one pattern.

    family       most probable crystal family
    lattice      None if no lattice was found; the probabilities are then those of the prior
    lines        observed lines
    hkl          int64 (n_lines, 3), indices of the observed lines, zeros where there are none
    classes      extinction symbols of `families` with their probability, falling
    groups       space group numbers with their probability, falling
    absences     lines that decide between the best and the second class:
                 (hkl, 2theta, seen, natural logarithm of the ratio of probabilities)
    """

    family: str | None
    lattice: Lattice | None
    lines: ObservedLines
    hkl: np.ndarray
    classes: list[tuple[str, str, float]]
    groups: list[tuple[int, float]]
    absences: list[tuple[tuple[int, int, int], float, bool, float]] = field(default_factory=list)


class Observer:
    """Indexes patterns and ranks extinction classes and space groups, without training.

    instrument  of the patterns
    family      a crystal family that is known, or "all"
    law         intensity law: uniform | physical, or an IntensityLaw
    prior       weight of every space group; None: all groups alike
    lengths     range of axes, angstrom: what is expected decides where a small cell shows too few lines
                to tell it from a fraction of it

    Attributes: groups int64 (n,), the space groups it chooses from.
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
        if not instrument.plain or instrument.sigma < 2 * instrument.step:
            raise XtinctError(
                "observer: needs an instrument with one wavelength, Gaussian peaks of one width, two points "
                "a standard deviation or more, and no background, shift or noise"
            )
        self.instrument = instrument
        self.families = [family] if family != "all" else ["cubic", "trigonal-hexagonal", "tetragonal"]
        if family == "all":
            self.families += ["orthorhombic", "monoclinic", "triclinic"]
        self.law = LAWS[law] if isinstance(law, str) else law
        self.prior = prior
        self.lengths = (float(lengths[0]), float(lengths[1]))
        self.groups = np.array(sorted(g for f in self.families for g in space_groups(f)), dtype=np.int64)
        weights = [1.0 if prior is None else float(prior.get(int(g), 0)) for g in self.groups]
        if not sum(weights) > 0:
            raise XtinctError(f"prior: no weight on any group of {family}")
        self._weights = np.array(weights) / sum(weights)
        self._hypotheses: dict[tuple[str, bool], Hypotheses] = {}

    def group_probabilities(self, patterns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(probabilities float64 (n, len(groups)), found bool (n,)) of patterns float32 (n, points)."""
        out = np.empty((len(patterns), len(self.groups)))
        found = np.zeros(len(patterns), dtype=bool)
        for i, pattern in enumerate(patterns):
            _, lattice, _, result = self._observe(self._checked(pattern))
            out[i], found[i] = self._spread(result), lattice is not None
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

    def _spread(self, result: Posterior | None) -> np.ndarray:
        if result is None:
            return self._weights
        out = np.zeros(len(self.groups))
        out[np.searchsorted(self.groups, result.groups)] = result.group
        return out

    def _of_cell(self, family: str, metric: np.ndarray) -> Hypotheses:
        long = family in LONG_CELLS and cell_of(family, metric)[:3].max() > LONG
        if (family, long) not in self._hypotheses:
            reach = self.instrument.d_star_reach * (_LONG_REACH if long else 1.0)
            longest = LONG_CELLS[family] if long else LONG
            self._hypotheses[family, long] = Hypotheses(family, reach, longest, _ANGLES)
        return self._hypotheses[family, long]

    def _fit(
        self, pattern: np.ndarray, family: str, start: np.ndarray, noise: float
    ) -> tuple[np.ndarray, Decomposition]:
        lines = self._of_cell(family, start).lines
        return decompose(pattern, self.instrument, lines.forms, start, noise, lines.d_star_max)

    def judge(
        self, pattern: np.ndarray, family: str, start: np.ndarray, noise: float
    ) -> tuple[np.ndarray, Decomposition, Sets, Evidence, Posterior]:
        """Refine the metric of a lattice, from `start`, on one pattern (maximum 1) and rank its classes."""
        metric, found = self._fit(pattern, family, start, noise)
        sets = absence_sets(self._of_cell(family, start), found.forms)
        seen = evidence(found, self.instrument, self.law)
        costs = line_costs(sets, found, seen).sum(axis=1)
        return metric, found, sets, seen, posterior(family, sets, costs, self.prior)

    def _observe(self, pattern: np.ndarray):
        """(lines, lattice or None, what was measured on it or None, posterior or None for the prior)."""
        size = float(np.sqrt(np.mean(pattern**2)))
        lines = find_lines(pattern, self.instrument, _ATTEMPTS[0][0])
        for attempt, (count, tested, missed, apart) in enumerate(_ATTEMPTS):
            if attempt:
                lines = find_lines(pattern, self.instrument, count)
            limit = _ACCEPTED * max(lines.noise / size, _STORED)
            q, tolerance, sure = self._positions(lines, apart)
            for family in self.families:
                if family not in SEARCHED:
                    continue
                accepted, near = [], []
                longest = LONG_CELLS.get(family, LONG) if attempt else LONG
                cells = search(family, q, tolerance, sure, missed=missed, tested=tested, longest=longest)
                for cell in sorted(cells, key=lambda cell: cell.possible):
                    if not self._in_range(cell.cell):
                        continue
                    judged = self.judge(pattern, family, cell.metric, lines.noise)
                    if self._accepts(judged[1], lines, limit):
                        if len(lines) < _FEW:
                            accepted.append(judged)
                            continue
                        judged = self._smaller(pattern, family, judged, lines, limit)
                        if shown_share(*judged[1:4]) > _SHOWN:
                            accepted = [judged]
                            break
                    elif judged[1].residual < _NEAR:
                        near.append((judged[1].residual, judged[0]))
                if attempt and not accepted:
                    accepted = self._changed(pattern, family, near, lines, limit)
                if accepted:
                    return lines, *self._of_cells(family, accepted, q, tolerance)
        return lines, None, None, self._without_lattice()

    def _positions(self, lines: ObservedLines, apart: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of the observed lines 1/d^2 and its largest error, 1/angstrom^2, and whether it is sure.

        Where lines are closer than `apart` standard deviations of the profile there may be more of them.
        """
        sigma = self.instrument.sigma
        q = (2 * np.sin(np.radians(lines.two_theta / 2)) / self.instrument.wavelength) ** 2
        close = np.diff(lines.two_theta) < apart * sigma
        close = np.concatenate([close, [False]]) | np.concatenate([[False], close])
        sure = lines.clean & ~close
        width = np.maximum(5 * lines.error, 1.2 * lines.merged)
        width = np.maximum(width, np.where(sure, _POSITION, 0.4 * apart * sigma))
        return q, self._in_q(lines, np.minimum(width, 3.0 * sigma)), sure & (lines.merged < 0.1 * sigma)

    def _in_q(self, lines: ObservedLines, width: np.ndarray | float) -> np.ndarray:
        """Widths in 2theta, degree, at the lines as widths in 1/d^2, 1/angstrom^2."""
        slope = 2 * np.sin(np.radians(lines.two_theta)) / self.instrument.wavelength**2
        return slope * np.radians(width)

    def _in_range(self, cell: np.ndarray) -> bool:
        """Whether the axes lie in the range that is expected, with 1 % to spare."""
        low, high = self.lengths
        return cell[:3].min() >= 0.99 * low and cell[:3].max() <= 1.01 * high

    def _accepts(self, found: Decomposition, lines: ObservedLines, limit: float) -> bool:
        """Whether a lattice leaves no more than noise, in a range that holds enough of the lines.

        Too large a cell may have lines beside those of the crystal that imitate them, but not all with
        positive heights.
        """
        end = self.instrument.two_theta_min + self.instrument.step * found.points
        on_grid = (lines.two_theta < self.instrument.two_theta_max).sum()
        enough = (lines.two_theta < end).sum() >= min(_FEW, on_grid)
        return bool(found.residual < limit and enough and (found.height > -SEEN * found.error).all())

    def _changed(
        self,
        pattern: np.ndarray,
        family: str,
        near: list[tuple[float, np.ndarray]],
        lines: ObservedLines,
        limit: float,
    ) -> list[tuple]:
        """What `judge` says of a lattice close to one that nearly explains the pattern, or nothing.

        `near`: (residual, metric) of such; those of higher families are looked for as well. A fit that
        begins at equal axes or right angles, where lines coincide, cannot choose how they differ."""
        key = stream_key(0, "changed lattice")
        starts = [metric for _, metric in sorted(near, key=lambda item: item[0])[:2]]
        q, tolerance, _ = self._positions(lines, apart=0.0)
        wide = np.maximum(tolerance, self._in_q(lines, self.instrument.sigma))
        for start in starts + of_higher(family, q, wide):
            for metric in related(family, start):
                cell = cell_of(family, metric)
                if not self._in_range(cell) or cell[:3].max() > LONG_CELLS.get(family, LONG):
                    continue
                unit = np.abs(metric)
                if family == "monoclinic":
                    unit[3] = math.sqrt(metric[0] * metric[2])
                for turn, change in enumerate(_CHANGES):
                    draws = np.array([uniform(key, 8 * turn + i) for i in range(len(metric))])
                    found = self._fit(pattern, family, metric + change * (2 * draws - 1) * unit, lines.noise)
                    if found[1].residual > _NEAR:
                        break  # not near after all
                    if self._accepts(found[1], lines, limit):
                        tried = self.judge(pattern, family, found[0], lines.noise)
                        tried = self._smaller(pattern, family, tried, lines, limit)
                        if shown_share(*tried[1:4]) > _SHOWN:
                            return [tried]
        return []

    def _of_cells(self, family: str, accepted: list[tuple], q: np.ndarray, tolerance: np.ndarray):
        """Lattice, measurements and posterior; cells that explain few lines alike share the probability."""
        evidences = np.array([judged[4].evidence for judged in accepted])
        best = int(np.argmax(evidences))
        metric, found, sets, seen, result = accepted[best]
        if len(accepted) > 1:
            share = np.exp(evidences - evidences.max())
            share /= share.sum()
            result = replace(
                result,
                group=sum(s * judged[4].group for s, judged in zip(share, accepted, strict=True)),
                classes=sum(s * judged[4].classes for s, judged in zip(share, accepted, strict=True)),
            )
        merit = figure_of_merit(family, metric, q)
        lattice = Lattice(family, cell_of(family, metric), metric, merit, found.residual)
        return lattice, (found, sets, seen, q, tolerance), result

    def _smaller(self, pattern: np.ndarray, family: str, judged: tuple, lines: ObservedLines, limit: float):
        """What `judge` says of the smallest cell that has all lines which the accepted one shows."""
        while True:
            metric, found = judged[0], judged[1]
            shown = np.flatnonzero(found.height > SEEN * found.error)
            first = np.searchsorted(found.line, shown)
            hkl = form_indices(family, judged[2].forms[first])
            less = smallest(family, metric, hkl)
            if less is None:
                return judged
            tried = self.judge(pattern, family, standard_axes(family, less), lines.noise)
            if not self._accepts(tried[1], lines, limit):
                return judged
            judged = tried

    def _without_lattice(self) -> Posterior | None:
        """All families were searched: what is left is triclinic, where that is among the choices."""
        if "triclinic" not in self.families or len(self.families) == 1:
            return None
        groups = np.array(space_groups("triclinic"))
        weight = prior_of("triclinic", None)
        symbols = tuple(c.symbol for c in extinction_classes("triclinic"))
        return Posterior(0.0, groups, weight, symbols, np.ones(1))

    def _answer(self, pattern: np.ndarray) -> Answer:
        lines, lattice, measured, result = self._observe(pattern)
        group = self._spread(result)
        order = np.argsort(-group, kind="stable")
        classes = [
            (family, cls.symbol, float(group[np.isin(self.groups, cls.members)].sum()))
            for family in self.families
            for cls in extinction_classes(family)
        ]
        answer = Answer(
            family=lattice.family if lattice else None,
            lattice=lattice,
            lines=lines,
            hkl=np.zeros((len(lines), 3), dtype=np.int64),
            classes=sorted(classes, key=lambda item: -item[2]),
            groups=[(int(self.groups[i]), float(group[i])) for i in order],
        )
        if lattice is None:
            return answer
        found, sets, seen, q, tolerance = measured
        hkl = indices(lattice.family, lattice.metric, q, tolerance)
        absences = deciding_lines(lattice.family, found, sets, seen, self.prior)
        return replace(answer, hkl=hkl, absences=absences)


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

"""From a pattern to its lattice: search, fit, and what counts as found."""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from xtinct.ceiling.extinction import Weight
from xtinct.ceiling.hypotheses import Hypotheses
from xtinct.errors import XtinctError
from xtinct.lattices.cells import (
    GENERAL,
    LONG,
    LONG_CELLS,
    SHORTEST,
    cell_of,
    figure_of_merit,
    form_indices,
    smallest,
    standard_axes,
)
from xtinct.lattices.metric import form_metric
from xtinct.observer.exact import triclinic
from xtinct.observer.exact.class_posterior import (
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
from xtinct.observer.exact.observed_lines import NOISE_FLOOR, ObservedLines, find_lines
from xtinct.observer.exact.related import of_higher, related, symmetric
from xtinct.observer.exact.search import search
from xtinct.observer.exact.setting import fwhm_of, shifted, zeros
from xtinct.patterns.instrument import Instrument
from xtinct.randomness import stream_key, uniform

_ANGLES = 58.0, 122.0  # monoclinic, degrees, of the cells that can be judged
#: A lattice is accepted when its residual is below this many times what storage, or what noise leaves.
_ACCEPTED, _NOISY = 5.0, 1.5
_STORED = 5e-6  # residual that the storage of line positions in single precision leaves
#: Attempts to find a lattice: lines that are looked for, lines that a cell must explain, how many of
#: these may stay unexplained, and the distance in standard deviations of the profile within which two
#: lines may in truth be three. A dominant zone needs many lines before the third axis shows; nearly
#: equal axes leave few lines alone.
_ATTEMPTS = ((40, 25, 0, 0.5), (80, 50, 0, 2.0), (80, 50, 2, 1.0))
#: The same for lattices found by the parallelogram law, which wants lines that are alone.
_OBLIQUE = ((40, 25, 0, 0.5), (40, 25, 2, 0.25), (80, 40, 3, 0.5))
#: Largest angle between a row and the normal of a plane of a twofold axis of symmetry, degree.
_OBLIQUITY = 0.02
#: Errors of position of a line that stands alone: of the fit, and in degree.
_ALONE = 5.0, 2e-5
#: Relative difference from the instrument's width that counts.
_OTHER_WIDTH = 1e-5
#: Lines that a lattice must explain beyond as many as it has free parameters.
_SPARE = {"cubic": 1, "tetragonal": 3, "trigonal-hexagonal": 3, "orthorhombic": 4, "monoclinic": 6}
#: A lattice that leaves this much may be right but for small differences of its axes and angles.
_NEAR = 0.03
#: Largest relative changes of the metric from which its fit is begun anew.
_CHANGES = (1e-3, 3e-3, 5e-4, 1e-3)
#: Share of the range of 1/d that is looked at on such cells: lines are many.
_LONG_REACH = 0.6
#: With fewer observed lines than this, cells that explain them all are weighed against each other.
_FEW = 15
#: M20 that a lattice needs there: nearly cubic cells whose split lines imitate a shifted zero reach 400,
#: cells that are right 1e4 and more.
_MERIT = 1e3
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
    zero        observed minus true 2theta, degree; 0 where the instrument's zero explains the pattern
    fwhm        width of the peaks, degree: the instrument's where that explains the pattern
    """

    family: str
    cell: np.ndarray
    metric: np.ndarray
    merit: float
    residual: float
    zero: float
    fwhm: float


class LatticeFinder:
    """Finds the lattice of a pattern and measures its lines.

    instrument  of the patterns; families, those whose lattices are looked for, high symmetry first
    law         intensity law; prior, weight of every space group, None: all groups alike
    lengths     range of axes, angstrom
    """

    def __init__(
        self,
        instrument: Instrument,
        families: Sequence[str],
        law: IntensityLaw,
        prior: Mapping[int, Weight] | None,
        lengths: tuple[float, float],
    ) -> None:
        if not instrument.plain or instrument.sigma < 2 * instrument.step:
            raise XtinctError(
                "observer: needs an instrument with one wavelength, Gaussian peaks of one width, two points "
                "a standard deviation or more, and no background, shift or noise"
            )
        self.instrument = instrument
        self.law = law
        self.prior = prior
        self.lengths = (float(lengths[0]), float(lengths[1]))
        self._looked_for = tuple(families)
        self._reach = instrument.d_star_reach
        self._refine_zero = False
        self._hypotheses: dict[tuple[str, bool], Hypotheses] = {}

    def _of_cell(self, family: str, metric: np.ndarray) -> Hypotheses:
        long = family in LONG_CELLS and cell_of(family, metric)[:3].max() > LONG
        if (family, long) not in self._hypotheses:
            reach = self._reach * (_LONG_REACH if long else 1.0)
            longest = LONG_CELLS[family] if long else LONG
            self._hypotheses[family, long] = Hypotheses(family, reach, longest, _ANGLES)
        return self._hypotheses[family, long]

    def _fit(
        self, pattern: np.ndarray, family: str, start: np.ndarray, noise: float
    ) -> tuple[np.ndarray, Decomposition]:
        lines = self._of_cell(family, start).lines
        return decompose(
            pattern,
            self.instrument,
            lines.forms,
            start,
            noise,
            lines.d_star_max,
            refine_zero=self._refine_zero,
        )

    def judge(
        self, pattern: np.ndarray, family: str, start: np.ndarray, noise: float
    ) -> tuple[np.ndarray, Decomposition, Sets, Evidence, Posterior]:
        """Refine the metric of a lattice, from `start`, on one pattern (maximum 1) and rank its classes."""
        metric, found = self._fit(pattern, family, start, noise)
        sets = absence_sets(self._of_cell(family, start), found.forms)
        seen = evidence(found, self.instrument, self.law)
        costs = line_costs(sets, found, seen).sum(axis=1)
        return metric, found, sets, seen, posterior(family, sets, costs, self.prior)

    def find(self, pattern: np.ndarray):
        """(lines, lattice or None, what was measured on it or None, posterior or None for the prior).

        With the instrument as it is; where that finds nothing, with the width that the pattern shows and
        with shifts of the zero that its lines suggest. A shift on which clearly more lines agree than on
        none is tried first.
        """
        observer, lines = self, find_lines(pattern, self.instrument, _ATTEMPTS[0][0])
        shifts, pairs = zeros(lines)
        likely = pairs > max(2, 2 * pairs[shifts == 0].max(initial=0))
        found = observer._index_shifted(pattern, shifts[likely]) or observer._index(pattern, lines)
        if found[1] is not None:
            return found
        fwhm = fwhm_of(pattern, self.instrument)
        if abs(fwhm / self.instrument.fwhm - 1) > _OTHER_WIDTH:
            instrument = replace(self.instrument, fwhm=fwhm)
            if instrument.sigma >= 2 * instrument.step:
                observer = self._with(instrument)
                lines = find_lines(pattern, instrument, _ATTEMPTS[0][0])
                shifts, pairs = zeros(lines)
                likely = np.zeros(len(shifts), dtype=bool)
                found = observer._index(pattern, lines)
                if found[1] is not None:
                    return found
        return observer._index_shifted(pattern, shifts[~likely]) or found

    def _index_shifted(self, pattern: np.ndarray, shifts: np.ndarray):
        """What `_index` says with the first of some shifts of the zero that leads to a lattice, or None."""
        for zero in shifts[(shifts != 0) & (shifts <= self.instrument.two_theta_min)]:
            other = self._with(shifted(self.instrument, float(zero)), refine_zero=True)
            lines = find_lines(pattern, other.instrument, _ATTEMPTS[0][0])
            lines, lattice, *rest = other._index(pattern, lines)
            if lattice is not None:
                return lines, replace(lattice, zero=float(zero + lattice.zero)), *rest
        return None

    def _with(self, instrument: Instrument, *, refine_zero: bool = False) -> "LatticeFinder":
        """The same with nearly the same instrument; the hypotheses are shared."""
        other = copy.copy(self)
        other.instrument, other._refine_zero = instrument, refine_zero
        return other

    def _index(self, pattern: np.ndarray, lines: ObservedLines):
        """What `find` says, for the instrument as it is and the first lines."""
        attempts = _ATTEMPTS[:1] if self._refine_zero else _ATTEMPTS
        for attempt, (count, tested, missed, apart) in enumerate(attempts):
            if attempt:
                lines = find_lines(pattern, self.instrument, count)
            limit = self._limit(pattern, lines)
            q, tolerance, sure = self._positions(lines, apart)
            for family in self._looked_for:
                if family == "triclinic" or not self._enough(family, lines):
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
                            if shown_share(*judged[1:4]) > _SHOWN:
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
                    found = self._of_cells(family, accepted, lines, apart)
                    if len(lines) >= _FEW or found[1].merit > _MERIT:
                        return found
        return self._oblique(pattern) or (lines, None, None, None)

    def _oblique(self, pattern: np.ndarray):
        """What `_index` says of a lattice found without guessed indices, or None.

        Of lattices that have twofold axes of symmetry the monoclinic or orthorhombic cell is judged; that
        such a one does not explain the pattern is no sign of a triclinic crystal.
        """
        families = [f for f in ("orthorhombic", "monoclinic", "triclinic") if f in self._looked_for]
        for count, tested, missed, apart in _OBLIQUE if families else ():
            lines = find_lines(pattern, self.instrument, count)
            if len(lines) < _FEW:
                continue
            q, tolerance, sure = self._positions(lines, apart)
            alone = self._in_q(lines, np.maximum(_ALONE[0] * lines.error, _ALONE[1]))
            limit = self._limit(pattern, lines)
            metrics = triclinic.metrics(
                q, alone, tolerance, sure, tested=tested, missed=missed, shortest=SHORTEST, longest=LONG
            )
            for metric in metrics[:_FEW]:
                cell = cell_of("triclinic", metric)
                starts = [
                    (family, start)
                    for family in ("orthorhombic", "monoclinic")
                    for start in symmetric(family, cell, _OBLIQUITY)
                ]
                for family, start in starts or [("triclinic", cell)]:
                    if family not in families or not self._in_range(start):
                        continue
                    start = form_metric(family, start[None])[0]
                    judged = self.judge(pattern, family, start, lines.noise)
                    if not self._accepts(judged[1], lines, limit):
                        continue
                    judged = self._smaller(pattern, family, judged, lines, limit)
                    if shown_share(*judged[1:4]) > _SHOWN:
                        return self._of_cells(family, [judged], lines, apart)
        return None

    def _limit(self, pattern: np.ndarray, lines: ObservedLines) -> float:
        """Residual below which a lattice leaves nothing but noise."""
        size = float(np.sqrt(np.mean(pattern**2)))
        exact = _ACCEPTED * max(NOISE_FLOOR / size, _STORED)
        return max(exact, _NOISY * lines.noise / size)

    def _enough(self, family: str, lines: ObservedLines) -> bool:
        """Whether the lines are enough more than the free parameters, which could explain as many."""
        spare = max(_SPARE[family], 6 if self._refine_zero else 0)
        return len(lines) >= len(GENERAL[family]) + spare

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

    def _of_cells(self, family: str, accepted: list[tuple], lines: ObservedLines, apart: float):
        """What `_index` says; cells that explain few lines alike share the probability."""
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
        lines = replace(lines, two_theta=lines.two_theta - found.zero)
        q, tolerance, _ = self._positions(lines, apart)
        lattice = Lattice(
            family=family,
            cell=cell_of(family, metric),
            metric=metric,
            merit=figure_of_merit(family, metric, q),
            residual=found.residual,
            zero=found.zero,
            fwhm=self.instrument.fwhm,
        )
        return lines, lattice, (found, sets, seen, q, tolerance), result

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

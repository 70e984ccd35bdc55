"""From a pattern to its lattice: search, fit, and what counts as found."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from xtinct.errors import XtinctError
from xtinct.lattices.cells import GENERAL, figure_of_merit
from xtinct.lattices.metric import cell_of
from xtinct.observer.exact.lattice_judge import JudgedLattice, LatticeJudge
from xtinct.observer.exact.observed_lines import ObservedLines
from xtinct.observer.exact.readings import Reading, readings
from xtinct.observer.exact.search import SearchLines
from xtinct.observer.exact.strategies import GUESSED, OBLIQUE, changed, guessed, oblique
from xtinct.patterns.instrument import EXACT_LAW_NEEDS, Instrument
from xtinct.symmetry.families import (
    CUBIC,
    MONOCLINIC,
    ORTHORHOMBIC,
    TETRAGONAL,
    TRICLINIC,
    TRIGONAL_HEXAGONAL,
)

#: Lines that a lattice must explain beyond as many as it has free parameters, and where the zero is refined.
_SPARE = {CUBIC: 1, TETRAGONAL: 3, TRIGONAL_HEXAGONAL: 3, ORTHORHOMBIC: 4, MONOCLINIC: 6}
_SPARE_OF_ZERO = 6
#: M20 that a lattice needs where lines are few: nearly cubic cells whose split lines imitate a shifted zero
#: reach 400, cells that are right 1e4 and more.
_MERIT = 1e3


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


@dataclass(frozen=True)
class Finding:
    """A lattice and the evidence for it.

    positions  of the lines, with the errors that the search allowed
    judged     the lattice's lines, and its classes; these count for all lattices that explain few lines alike
    """

    lattice: Lattice
    positions: SearchLines
    judged: JudgedLattice


class LatticeFinder:
    """Finds the lattice of a pattern.

    instrument  of the patterns; families, those whose lattices are looked for, high symmetry first
    judge       of the lattices
    """

    def __init__(self, instrument: Instrument, families: Sequence[str], judge: LatticeJudge) -> None:
        if not instrument.suits_exact_law:
            raise XtinctError(f"observer: needs {EXACT_LAW_NEEDS}")
        self.instrument = instrument
        self.judge = judge
        self._families = tuple(families)

    def find(self, pattern: np.ndarray) -> tuple[ObservedLines, Finding | None]:
        """Lines and lattice of a pattern float64 (points,), maximum 1; None where no lattice explains it.

        With the instrument as it is; where that finds nothing, with the width that the pattern shows and
        with shifts of the zero that its lines suggest. Lines of a lattice are at their true angles.
        """
        lines = None
        for reading in readings(pattern, self.instrument):
            last, found = self._index(reading)
            if found is not None:
                return last.lines, found
            if not reading.refines_zero:
                lines = last.lines
        return lines, None

    def _index(self, reading: Reading) -> tuple[Reading, Finding | None]:
        """The reading with the lines that were used last, and the lattice found on them or None."""
        for attempt in GUESSED[:1] if reading.refines_zero else GUESSED:
            reading = reading.with_lines(attempt.lines)
            for family in self._families:
                if family == TRICLINIC or not _enough(family, reading):
                    continue
                near: list[JudgedLattice] = []
                ways = guessed(self.judge, reading, family, attempt, near)
                accepted = _all_shown(ways) if reading.few else self._first(reading, ways)
                if attempt.thorough and not accepted:
                    accepted = self._first(reading, changed(self.judge, reading, family, near))
                if accepted:
                    used, found = _found(reading, accepted, attempt.apart)
                    if not reading.few or found.lattice.merit > _MERIT:
                        return used, found
        return self._oblique(reading) or (reading, None)

    def _oblique(self, reading: Reading) -> tuple[Reading, Finding] | None:
        """What `_index` says of a lattice found without guessed indices."""
        families = [f for f in (ORTHORHOMBIC, MONOCLINIC, TRICLINIC) if f in self._families]
        for attempt in OBLIQUE if families else ():
            reading = reading.with_lines(attempt.lines)
            if reading.few:
                continue
            accepted = self._first(reading, oblique(self.judge, reading, families, attempt))
            if accepted:
                return _found(reading, accepted, attempt.apart)
        return None

    def _first(self, reading: Reading, lattices: Iterable[JudgedLattice]) -> list[JudgedLattice]:
        """The first lattice whose smallest cell shows enough of its lines, alone in a list, or none."""
        for judged in lattices:
            smallest = self.judge.smallest(reading, judged)
            if smallest.shows_enough:
                return [smallest]
        return []


def _all_shown(lattices: Iterable[JudgedLattice]) -> list[JudgedLattice]:
    return [judged for judged in lattices if judged.shows_enough]


def _enough(family: str, reading: Reading) -> bool:
    """Whether the lines are enough more than the free parameters, which could explain as many."""
    spare = max(_SPARE[family], _SPARE_OF_ZERO if reading.refines_zero else 0)
    return len(reading.lines) >= len(GENERAL[family]) + spare


def _found(reading: Reading, accepted: Sequence[JudgedLattice], apart: float) -> tuple[Reading, Finding]:
    """The most probable of the accepted lattices, and the reading with its zero taken off.

    Cells that explain few lines alike share the probability.
    """
    evidences = np.array([judged.posterior.evidence for judged in accepted])
    best = accepted[int(np.argmax(evidences))]
    if len(accepted) > 1:
        share = np.exp(evidences - evidences.max())
        share /= share.sum()
        posteriors = [judged.posterior for judged in accepted]
        posterior = replace(
            best.posterior,
            group=sum(s * p.group for s, p in zip(share, posteriors, strict=True)),
            classes=sum(s * p.classes for s, p in zip(share, posteriors, strict=True)),
        )
        best = replace(best, posterior=posterior)
    lines = replace(reading.lines, two_theta=reading.lines.two_theta - best.fit.zero)
    reading = replace(reading, lines=lines)
    positions = reading.positions(apart)
    lattice = Lattice(
        family=best.family,
        cell=cell_of(best.family, best.metric),
        metric=best.metric,
        merit=figure_of_merit(best.family, best.metric, positions.q),
        residual=best.fit.residual,
        zero=float(reading.zero + best.fit.zero) if reading.refines_zero else best.fit.zero,
        fwhm=reading.instrument.fwhm,
    )
    return reading, Finding(lattice, positions, best)

"""A pattern as one instrument reads it: its lines, how well they are known, and what counts as explained."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from xtinct.observer.exact.exact_classes import SEEN
from xtinct.observer.exact.line_fit import Decomposition
from xtinct.observer.exact.observed_lines import NOISE_FLOOR, ObservedLines, find_lines
from xtinct.observer.exact.search import SearchLines
from xtinct.observer.exact.setting import fwhm_of, shifted, zeros
from xtinct.patterns.instrument import Instrument

#: With fewer observed lines than this, cells that explain them all are weighed against each other.
FEW = 15
#: Lines that are looked for at first.
FIRST_LINES = 40
#: A lattice is accepted when its residual is below this many times what storage, or what noise leaves.
_ACCEPTED, _NOISY = 5.0, 1.5
_STORED = 5e-6  # residual that the storage of line positions in single precision leaves
#: Smallest error of a line position that is asked for, degree 2theta.
_POSITION = 1e-3
#: Errors of position of a line that stands alone: of the fit, and in degree.
_ALONE = 5.0, 2e-5
#: Relative difference from the instrument's width that counts.
_OTHER_WIDTH = 1e-5


@dataclass(frozen=True)
class Reading:
    """A pattern with its first lines, for an instrument that may have measured it.

    pattern     float64 (points,), maximum 1
    instrument  with true angles where those of the pattern are larger by `zero`
    count       lines that were looked for; lines, those found
    zero        shift that was assumed, degree; None: the instrument's own zero holds and is not refined
    """

    pattern: np.ndarray
    instrument: Instrument
    count: int
    lines: ObservedLines
    zero: float | None = None

    @classmethod
    def of(cls, pattern: np.ndarray, instrument: Instrument, zero: float | None = None) -> "Reading":
        """The pattern with its first lines; `zero` is taken off the angles of `instrument`."""
        instrument = shifted(instrument, zero) if zero is not None else instrument
        lines = find_lines(pattern, instrument, FIRST_LINES)
        return cls(pattern, instrument, FIRST_LINES, lines, zero)

    def with_lines(self, count: int) -> "Reading":
        """The same with the first `count` lines."""
        if count == self.count:
            return self
        return replace(self, count=count, lines=find_lines(self.pattern, self.instrument, count))

    @property
    def refines_zero(self) -> bool:
        """Whether a fit refines the shift of the zero."""
        return self.zero is not None

    @property
    def few(self) -> bool:
        """Whether several lattices may explain lines that are so few."""
        return len(self.lines) < FEW

    @cached_property
    def limit(self) -> float:
        """Residual below which a lattice leaves nothing but noise."""
        size = float(np.sqrt(np.mean(self.pattern**2)))
        exact = _ACCEPTED * max(NOISE_FLOOR / size, _STORED)
        return max(exact, _NOISY * self.lines.noise / size)

    def explained(self, fit: Decomposition) -> bool:
        """Whether a lattice leaves no more than noise, in a range that holds enough of the lines.

        Too large a cell may have lines beside those of the crystal that imitate them, but not all with
        positive heights.
        """
        two_theta = self.lines.two_theta
        end = self.instrument.two_theta_min + self.instrument.step * fit.points
        on_grid = (two_theta < self.instrument.two_theta_max).sum()
        enough = (two_theta < end).sum() >= min(FEW, on_grid)
        return bool(fit.residual < self.limit and enough and (fit.height > -SEEN * fit.error).all())

    def positions(self, apart: float, *, tested: int = 25, missed: int = 0) -> SearchLines:
        """The lines for a search, which must explain the first `tested` but for `missed`.

        Where lines are closer than `apart` standard deviations of the profile there may be more of them.
        """
        lines, sigma = self.lines, self.instrument.sigma
        q = (2 * np.sin(np.radians(lines.two_theta / 2)) / self.instrument.wavelength) ** 2
        close = np.diff(lines.two_theta) < apart * sigma
        close = np.concatenate([close, [False]]) | np.concatenate([[False], close])
        sure = lines.clean & ~close
        width = np.maximum(5 * lines.error, 1.2 * lines.merged)
        width = np.maximum(width, np.where(sure, _POSITION, 0.4 * apart * sigma))
        tolerance = self.in_q(np.minimum(width, 3.0 * sigma))
        sure &= lines.merged < 0.1 * sigma
        return SearchLines.of(q, tolerance, sure, tested=tested, missed=missed)

    def alone(self) -> np.ndarray:
        """Errors float64 (n,) of 1/d^2 of lines that stand alone, 1/angstrom^2."""
        return self.in_q(np.maximum(_ALONE[0] * self.lines.error, _ALONE[1]))

    def in_q(self, width: np.ndarray | float) -> np.ndarray:
        """Widths in 2theta, degree, at the lines as widths in 1/d^2, 1/angstrom^2."""
        slope = 2 * np.sin(np.radians(self.lines.two_theta)) / self.instrument.wavelength**2
        return slope * np.radians(width)


def readings(pattern: np.ndarray, instrument: Instrument) -> Iterator[Reading]:
    """The pattern as `instrument` reads it, and nearly the same instruments, the likely ones first.

    First shifts of the zero on which clearly more lines agree than on none, then the instrument as it is,
    then with the width that the pattern shows, and last other shifts that its lines suggest.
    """
    own = Reading.of(pattern, instrument)
    shifts, pairs = zeros(own.lines)
    likely = pairs > max(2, 2 * pairs[shifts == 0].max(initial=0))
    yield from _shifted(own, shifts[likely])
    yield own
    shifts = shifts[~likely]
    fwhm = fwhm_of(pattern, instrument)
    if abs(fwhm / instrument.fwhm - 1) > _OTHER_WIDTH:
        other = replace(instrument, fwhm=fwhm)
        if other.sigma >= 2 * other.step:
            own = Reading.of(pattern, other)
            yield own
            shifts, _ = zeros(own.lines)
    yield from _shifted(own, shifts)


def _shifted(own: Reading, shifts: np.ndarray) -> Iterator[Reading]:
    for zero in shifts[(shifts != 0) & (shifts <= own.instrument.two_theta_min)]:
        yield Reading.of(own.pattern, own.instrument, float(zero))

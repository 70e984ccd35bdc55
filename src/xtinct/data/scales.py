"""Axes that a pattern can stand on: 2theta, d, Q and log Q."""

import math
from dataclasses import dataclass

import numpy as np

from xtinct.errors import XtinctError
from xtinct.patterns.instrument import Instrument

#: 2theta in degrees, d in angstrom, Q = 2 pi / d in 1/angstrom, the natural logarithm of Q.
AXES = ("2theta", "d", "Q", "log Q")

#: Ends that differ by rounding alone, as a share of the range.
_ROUNDING = 1e-9


def from_d_star(axis: str, d_star: np.ndarray, wavelength: float) -> np.ndarray:
    """Positions float64 on an axis of AXES of 1/d (1/angstrom); NaN on 2theta where Bragg's law has none."""
    d_star = np.asarray(d_star, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        if axis == "2theta":
            return 2 * np.degrees(np.arcsin(d_star * (wavelength / 2)))
        if axis == "d":
            return 1 / d_star
        if axis == "Q":
            return 2 * np.pi * d_star
        if axis == "log Q":
            return np.log(2 * np.pi * d_star)
    raise _unknown(axis)


def to_d_star(axis: str, position: np.ndarray, wavelength: float) -> np.ndarray:
    """Inverse of `from_d_star`."""
    position = np.asarray(position, dtype=np.float64)
    if axis == "2theta":
        return np.sin(np.radians(position) / 2) * (2 / wavelength)
    if axis == "d":
        return 1 / position
    if axis == "Q":
        return position / (2 * np.pi)
    if axis == "log Q":
        return np.exp(position) / (2 * np.pi)
    raise _unknown(axis)


def _unknown(axis: str) -> XtinctError:
    return XtinctError(f"axis {axis!r}: expected one of {', '.join(AXES)}")


@dataclass(frozen=True)
class PatternAxis:
    """Equidistant points of an axis, within what an instrument measures.

    name       one of AXES
    low, high  first and last point; None for the ends of the instrument's range
    points     their number; None for as many as the instrument has
    """

    name: str = "2theta"
    low: float | None = None
    high: float | None = None
    points: int | None = None

    def __post_init__(self) -> None:
        if self.name not in AXES:
            raise _unknown(self.name)
        if self.points is not None and self.points < 2:
            raise XtinctError(f"axis {self.name}: {self.points} points, expected at least 2")

    def ends(self, instrument: Instrument) -> tuple[float, float]:
        """First and last point; XtinctError for a range that the instrument does not measure."""
        measured = np.array([instrument.two_theta_min, instrument.two_theta_max], dtype=np.float64)
        # There and back would change the last digit of 2theta on some processors.
        if self.name != "2theta":
            d_star = to_d_star("2theta", measured, instrument.wavelength)
            measured = from_d_star(self.name, d_star, instrument.wavelength)
        least, most = float(measured.min()), float(measured.max())
        low = least if self.low is None else self.low
        high = most if self.high is None else self.high
        room = _ROUNDING * (abs(low) + abs(high)) if math.isfinite(low + high) else 0.0
        if not (math.isfinite(low + high) and least - room <= low < high <= most + room):
            raise XtinctError(
                f"axis {self.name}: {low:g} to {high:g}, expected an ascending finite range within "
                f"{least:g} to {most:g}, which the instrument measures"
            )
        return max(low, least), min(high, most)

    def grid(self, instrument: Instrument) -> np.ndarray:
        """The points, float64 (points,), ascending."""
        return np.linspace(*self.ends(instrument), self.points or instrument.points)

    def is_own(self, instrument: Instrument) -> bool:
        """Whether these are the instrument's own points."""
        own = (instrument.two_theta_min, instrument.two_theta_max)
        as_many = self.points in (None, instrument.points)
        return self.name == "2theta" and self.ends(instrument) == own and as_many

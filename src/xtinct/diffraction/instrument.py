"""The measurement that turns line lists into patterns, as one immutable object."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from xtinct.errors import XtinctError

#: Geometric factors: 1 / (sin 2theta sin theta), and the same times (1 + cos^2 2theta) / 2 of an
#: unpolarised source without monochromator (ITC vol. C, section 6.2.5). Scale is free: maximum 1.
LORENTZ = ("lorentz", "lorentz-polarisation")

#: Full width at half maximum of a Gaussian in units of its standard deviation.
FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))

#: Standard deviations after which a Gaussian may be cut; exp(-5.7^2 / 2) = 9e-8.
CUT_SIGMAS = 5.7


@dataclass(frozen=True)
class Instrument:
    """Wavelength, 2theta grid, geometric factor and peak width.

    wavelength       angstrom
    two_theta_min    first point, degree
    two_theta_max    last point, degree
    points           number of equidistant points, both ends included
    lorentz          lorentz | lorentz-polarisation
    fwhm             full width at half maximum of the Gaussian peaks, degree 2theta
    """

    wavelength: float
    two_theta_min: float
    two_theta_max: float
    points: int
    lorentz: str
    fwhm: float

    def __post_init__(self) -> None:
        for key in ("wavelength", "fwhm"):
            value = getattr(self, key)
            if not 0 < value < math.inf:
                raise XtinctError(f"instrument.{key}: {value}, expected a positive number")
        if not 0 <= self.two_theta_min < self.two_theta_max < 180:
            raise XtinctError(
                f"instrument.two_theta: {self.two_theta_min}-{self.two_theta_max} degrees, "
                "expected 0 <= min < max < 180"
            )
        if self.points < 2:
            raise XtinctError(f"instrument.two_theta.points: {self.points}, expected at least 2")
        if self.lorentz not in LORENTZ:
            raise XtinctError(f"instrument.lorentz: {self.lorentz!r}, expected one of {', '.join(LORENTZ)}")

    @classmethod
    def from_config(cls, settings: Mapping[str, object]) -> "Instrument":
        """From the configuration's `instrument`."""
        grid = settings["two_theta"]
        return cls(
            wavelength=float(settings["wavelength"]),
            two_theta_min=float(grid["min"]),
            two_theta_max=float(grid["max"]),
            points=int(grid["points"]),
            lorentz=str(settings["lorentz"]),
            fwhm=float(settings["fwhm"]),
        )

    def to_dict(self) -> dict[str, object]:
        """Plain values, for metadata; `Instrument(**d)` gives the same instrument."""
        return asdict(self)

    def digest(self) -> str:
        """SHA-256 (hexadecimal) of everything that shapes a pattern."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    @property
    def two_theta(self) -> np.ndarray:
        """Grid float64 (points,), degree."""
        return np.linspace(self.two_theta_min, self.two_theta_max, self.points)

    @property
    def step(self) -> float:
        """Distance of neighbouring points, degree."""
        return (self.two_theta_max - self.two_theta_min) / (self.points - 1)

    @property
    def sigma(self) -> float:
        """Standard deviation of the Gaussian peaks, degree."""
        return self.fwhm / FWHM_PER_SIGMA

    @property
    def d_star_reach(self) -> float:
        """Largest 1/d (1/angstrom) of a line that reaches into the grid with its tail."""
        last = min(180.0, self.two_theta_max + CUT_SIGMAS * self.sigma)
        return 2.0 * math.sin(math.radians(last / 2.0)) / self.wavelength

    def check_reach(self, d_star_max: float) -> None:
        """XtinctError if lines up to `d_star_max` (1/angstrom) would leave the grid's end empty."""
        if d_star_max < self.d_star_reach:
            raise XtinctError(
                f"lines.d_star_max: {d_star_max:g} 1/angstrom is below {self.d_star_reach:.4f}, what the "
                f"instrument shows up to {self.two_theta_max:g} degrees at {self.wavelength:g} angstrom"
            )

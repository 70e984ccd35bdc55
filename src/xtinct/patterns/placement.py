"""Where a line falls on a diffractometer, how strong and how wide.

Written once for numpy and torch: `xp` is either module, arrays are its own, and every operation is
one that both offer.
"""

import math
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from xtinct.errors import XtinctError
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.lorentz import geometric_factor
from xtinct.patterns.widths import widths

#: Lines of a tube beside those of the instrument, as `Instrument.ghost_wavelength` names them.
GHOSTS = ("k_beta", "tungsten")


class PlacedLines(NamedTuple):
    """Peaks of m lines at each of w wavelengths, float64 (w, m).

    two_theta  observed position, degree; 0 for lines that the wavelength cannot reach
    area       integrated intensity, any scale; 0 for lines that the wavelength cannot reach
    fwhm       full width at half maximum, degree
    eta        share of the Lorentzian in the area
    """

    two_theta: Any
    area: Any
    fwhm: Any
    eta: Any


class Shifts(NamedTuple):
    """What moves and widens the peaks of m lines, as in `Conditions`: one number or (m,), caglioti (m, 3).

    None is as the instrument has it.
    """

    width_factor: Any = 1.0
    zero_shift: Any = 0.0
    displacement: Any = 0.0
    caglioti: Any = None
    microstrain: Any = None
    crystallite_size: Any = None
    eta: Any = None
    k_beta: Any = None
    tungsten: Any = None


def in_points(peaks: PlacedLines, instrument: Instrument) -> PlacedLines:
    """The peaks with positions and widths in points of the instrument's grid."""
    position = (peaks.two_theta - instrument.two_theta_min) / instrument.step
    return peaks._replace(two_theta=position, fwhm=peaks.fwhm / instrument.step)


def place(
    xp: ModuleType,
    instrument: Instrument,
    d_star: Any,
    intensity: Any,
    shifts: Shifts,
    *,
    geometric: bool = True,
) -> PlacedLines:
    """Peaks of lines at `d_star` (m,), 1/angstrom, of |F|^2 `intensity` (m,).

    Wavelengths are the instrument's, and after them those of `GHOSTS` that the shifts tell. Without
    `geometric`, `intensity` has the Lorentz factor in it already.
    """
    width_factor, zero_shift, displacement = shifts[:3]
    ghosts = [
        (instrument.ghost_wavelength(name), getattr(shifts, name))
        for name in GHOSTS
        if getattr(shifts, name) is not None
    ]
    peaks = []
    for wavelength, weight in (*instrument.wavelengths, *ghosts):
        sine = 0.5 * wavelength * d_star
        reached = (sine > 0) & (sine < 1)
        sine = xp.where(reached, sine, 0.5)
        theta = xp.arcsin(sine)
        cosine = xp.sqrt(1 - sine * sine)
        shift = (displacement + instrument.displacement) * (math.degrees(-2.0) / instrument.goniometer_radius)
        two_theta = xp.rad2deg(2 * theta) + (zero_shift + instrument.zero_shift) + shift * cosine
        factor = geometric_factor(sine, cosine, instrument.polarisation) if geometric else 1.0
        area = intensity * (weight * factor)
        fwhm, eta = _widths(xp, instrument, theta, wavelength, shifts)
        peaks.append(
            (xp.where(reached, two_theta, 0.0), xp.where(reached, area, 0.0), fwhm * width_factor, eta)
        )
    return PlacedLines(*(xp.stack(column, 0) for column in zip(*peaks, strict=True)))


def width_in_the_middle(instrument: Instrument, shifts: Shifts) -> float:
    """FWHM, degree, in the middle of the instrument's range, under the shifts of one line."""
    theta = np.radians(np.array([instrument.two_theta_min + instrument.two_theta_max]) / 4)
    fwhm, _ = _widths(np, instrument, theta, instrument.wavelength, shifts)
    return float((fwhm * shifts.width_factor)[0])


def _widths(
    xp: ModuleType, instrument: Instrument, theta: Any, wavelength: float, shifts: Shifts
) -> tuple[Any, Any]:
    """FWHM (degree 2theta) and Lorentzian share of lines at `theta` (radians)."""
    profile, eta, size = instrument.profile, instrument.eta, instrument.crystallite_size
    u, v, w = instrument.caglioti if shifts.caglioti is None else shifts.caglioti.T
    if shifts.microstrain is not None:
        u = u + (math.degrees(4.0) * shifts.microstrain) ** 2
    if shifts.crystallite_size is not None:
        size = shifts.crystallite_size
    if shifts.eta is not None:
        if profile == "thompson-cox-hastings":
            raise XtinctError(
                "conditions: eta follows from the widths in an instrument of profile thompson-cox-hastings"
            )
        profile, eta = "pseudo-voigt", shifts.eta
    return widths(xp, theta, wavelength, profile, (u, v, w), size, eta=eta)

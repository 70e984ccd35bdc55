"""Where a line falls on a diffractometer, how strong and how wide.

Written once for numpy and torch: `xp` is either module, arrays are its own, and every operation is
one that both offer.
"""

import math
from types import ModuleType
from typing import Any, NamedTuple

from xtinct.patterns.instrument import Instrument
from xtinct.patterns.lorentz import geometric_factor


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
    """What moves and widens the peaks of m lines, as in `Conditions`: one number or (m,)."""

    width_factor: Any = 1.0
    zero_shift: Any = 0.0
    displacement: Any = 0.0


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

    Without `geometric`, `intensity` has the Lorentz factor in it already.
    """
    width_factor, zero_shift, displacement = shifts
    peaks = []
    for wavelength, weight in instrument.wavelengths:
        sine = 0.5 * wavelength * d_star
        reached = (sine > 0) & (sine < 1)
        sine = xp.where(reached, sine, 0.5)
        theta = xp.arcsin(sine)
        cosine = xp.sqrt(1 - sine * sine)
        shift = (displacement + instrument.displacement) * (math.degrees(-2.0) / instrument.goniometer_radius)
        two_theta = xp.rad2deg(2 * theta) + (zero_shift + instrument.zero_shift) + shift * cosine
        factor = geometric_factor(sine, cosine, instrument.polarisation) if geometric else 1.0
        area = intensity * (weight * factor)
        fwhm, eta = instrument.widths_at(xp, theta, wavelength)
        peaks.append(
            (xp.where(reached, two_theta, 0.0), xp.where(reached, area, 0.0), fwhm * width_factor, eta)
        )
    return PlacedLines(*(xp.stack(column, 0) for column in zip(*peaks, strict=True)))

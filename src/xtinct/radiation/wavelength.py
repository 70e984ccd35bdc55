"""Whether a number can be a wavelength in angstrom, and what it looks like if it is none."""

import math

from xtinct.errors import XtinctError
from xtinct.radiation.anodes import HC, TUBES

#: Wavelengths of powder diffraction, angstrom: photons of 248 keV to cold neutrons.
SHORTEST, LONGEST = 0.05, 6.2
#: Largest 1/d of a powder line, 1/angstrom; total scattering goes as far as this. Below _SHORT a wavelength
#: that would reach further over the range of a pattern is none, but may be nanometres.
_FURTHEST, _SHORT = 6.5, 0.4
#: Up to this 1/d a number that is a tube's line in nm is believed to be angstrom: hard X-rays, small angles.
_MODEST = 3.0
#: Relative deviation from the doublet of a tube at which a number is taken for it: three to four figures.
_SAME = 1e-3

#: Unit -> wavelength in angstrom of a number in that unit.
_UNITS = {
    "nm": lambda x: 10 * x,
    "keV": lambda x: HC / x,
    "pm": lambda x: x / 100,
    "eV": lambda x: 1000 * HC / x,
    "m": lambda x: 1e10 * x,
}


def check_wavelength(name: str, wavelength: float, two_theta_max: float = 0.0) -> None:
    """XtinctError, with the unit that it looks like, unless `wavelength` can be one in angstrom.

    name           of the value, for the message
    two_theta_max  last angle that is measured with it, degree; 0 where that is not known

    Nothing is computed with a wavelength before: one in nanometres asks for a thousand times as many
    reflections.
    """
    if not 0 < wavelength < math.inf:
        raise XtinctError(
            f"{name}: {wavelength:g}, expected a positive number of angstrom (Cu K-alpha1: 1.5406)"
        )
    reason = _objection(wavelength, two_theta_max)
    if not reason:
        return
    read = {unit: angstrom(wavelength) for unit, angstrom in _UNITS.items()}
    read = {unit: value for unit, value in read.items() if SHORTEST <= value <= LONGEST}
    tubes = {unit: value for unit, value in read.items() if _is_tube(value)}
    likely = " or ".join(f"{unit}: did you mean {value:.5g}?" for unit, value in (tubes or read).items())
    raise XtinctError(
        f"{name}: {wavelength:g} angstrom, {reason}" + (f"; looks like {likely}" if likely else "")
    )


def _objection(wavelength: float, two_theta_max: float) -> str:
    """Why a positive number is no wavelength in angstrom, "" if it can be one."""
    if not SHORTEST <= wavelength <= LONGEST:
        return f"expected {SHORTEST:g} to {LONGEST:g} angstrom"
    reach = 2 * math.sin(math.radians(two_theta_max / 2)) / wavelength
    if _is_tube_elsewhere(wavelength) and not (wavelength < _SHORT and 0 < reach < _MODEST):
        return "is a line of an X-ray tube in another unit"
    if wavelength < _SHORT and reach > _FURTHEST:
        return (
            f"reaches lines of d = {1 / reach:.2g} angstrom at {two_theta_max:g} degrees, which no powder has"
        )
    return ""


def _is_tube(wavelength: float) -> bool:
    return any(x.alpha1 * (1 - _SAME) < wavelength < x.alpha2 * (1 + _SAME) for x in TUBES.values())


def _is_tube_elsewhere(wavelength: float) -> bool:
    """Whether the number is no line of a tube in angstrom, but one in nm (0.154) or keV (5.41)."""
    return not _is_tube(wavelength) and any(_is_tube(_UNITS[unit](wavelength)) for unit in ("nm", "keV"))

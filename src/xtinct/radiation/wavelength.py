"""Wavelengths: those of tubes, and whether a number can be one in angstrom."""

import math

from xtinct.errors import XtinctError

#: K-alpha1 and K-alpha2 of X-ray tubes, angstrom: ITC vol. C (2004), table 4.2.2.4, after Hoelzer et al.,
#: Phys. Rev. A 56, 4554-4568 (1997), and Deslattes et al. K-alpha2 has half the intensity of K-alpha1,
#: the ratio of the electrons in the two levels.
TUBES = {
    "Cr": (2.2897260, 2.2936510),
    "Fe": (1.9360410, 1.9399730),
    "Co": (1.7889960, 1.7928350),
    "Ni": (1.6579300, 1.6617560),
    "Cu": (1.5405929, 1.5444274),
    "Mo": (0.70931715, 0.713607),
    "Ag": (0.55942178, 0.5638131),
}
KALPHA2_WEIGHT = 0.5

#: Photon energy times wavelength, keV angstrom (CODATA 2018: exact constants h, c and e).
KEV_ANGSTROM = 12.398419843

#: Wavelengths of powder diffraction, angstrom: photons of 124 keV to cold neutrons.
SHORTEST, LONGEST = 0.1, 6.0
#: Largest 1/d of a powder line, 1/angstrom; total scattering goes as far as this. Below _SHORT a wavelength
#: that would reach further over the range of a pattern is none, but may be nanometres.
_FURTHEST, _SHORT = 6.5, 0.4
#: Up to this 1/d a number that is a tube's line in nm is believed to be angstrom: hard X-rays, small angles.
_MODEST = 3.0
#: Relative deviation from a line of a tube at which a number is taken for it: rounding, and the mean of both.
_SAME = 3e-3

#: Unit -> wavelength in angstrom of a number in that unit.
_UNITS = {
    "nm": lambda x: 10 * x,
    "keV": lambda x: KEV_ANGSTROM / x,
    "pm": lambda x: x / 100,
    "eV": lambda x: 1000 * KEV_ANGSTROM / x,
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
        raise XtinctError(f"{name}: {wavelength}, expected a positive number of angstrom")
    reach = 2 * math.sin(math.radians(two_theta_max / 2)) / wavelength
    within = SHORTEST <= wavelength <= LONGEST
    if within and _is_tube_elsewhere(wavelength) and not (wavelength < _SHORT and 0 < reach < _MODEST):
        reason = "is a line of an X-ray tube in another unit"
    elif within and wavelength < _SHORT and reach > _FURTHEST:
        reason = (
            f"reaches lines of d = {1 / reach:.2g} angstrom at {two_theta_max:g} degrees, which no powder has"
        )
    elif within:
        return
    else:
        reason = f"expected {SHORTEST:g} to {LONGEST:g} angstrom"
    read = {unit: angstrom(wavelength) for unit, angstrom in _UNITS.items()}
    read = {unit: value for unit, value in read.items() if SHORTEST <= value <= LONGEST}
    tubes = {unit: value for unit, value in read.items() if _is_tube(value)}
    likely = " or ".join(f"{unit}: did you mean {value:.5g}?" for unit, value in (tubes or read).items())
    raise XtinctError(
        f"{name}: {wavelength:g} angstrom, {reason}" + (f"; looks like {likely}" if likely else "")
    )


def _is_tube(wavelength: float) -> bool:
    lines = [line for pair in TUBES.values() for line in pair]
    return any(abs(wavelength / line - 1) < _SAME for line in lines)


def _is_tube_elsewhere(wavelength: float) -> bool:
    """Whether the number is no line of a tube in angstrom, but one in nm (0.154) or keV (5.41)."""
    return not _is_tube(wavelength) and any(_is_tube(_UNITS[unit](wavelength)) for unit in ("nm", "keV"))

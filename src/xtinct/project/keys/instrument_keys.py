"""Keys of `instrument`: the measurement that turns line lists into patterns."""

from typing import Annotated

from pydantic import Field

from xtinct.patterns.instrument import PROFILES, RANGES
from xtinct.patterns.lorentz import LORENTZ
from xtinct.project.keys.declaring import Pair, Positive, StrictSection, by_type, key, one_of
from xtinct.radiation.anodes import TUBES

Angle = Annotated[float, Field(gt=0, lt=180)]
Tube = one_of(f"{element}{line}" for element in TUBES for line in ("Ka", "Ka1"))
#: That with an option is a mapping.
PlainProfile = one_of(profile for profile in PROFILES if profile != "pseudo-voigt")


class TwoThetaGrid(StrictSection):
    """Grid of the pattern, degree."""

    min: Angle = key("first angle in degree")
    max: Angle = key("last angle in degree")
    points: int = key("number of equidistant angles", **RANGES["points"])


class PseudoVoigt(StrictSection):
    """Sum of a Gaussian and a Lorentzian of the same width."""

    eta: float = key("share of the Lorentzian", **RANGES["eta"])


class PseudoVoigtProfile(StrictSection):
    """A profile with its option."""

    pseudo_voigt: PseudoVoigt = key(
        "sum of a Gaussian and a Lorentzian of the same width", alias="pseudo-voigt"
    )


class Caglioti(StrictSection):
    """Caglioti's width: fwhm^2 = u tan^2 theta + v tan theta + w."""

    u: float = key("of tan^2 theta, degree^2")
    v: float = key("of tan theta, degree^2")
    w: float = key("constant part, degree^2")


class Hump(StrictSection):
    """A Gaussian hump of amorphous matter."""

    height: Positive = key("in units of the highest peak")
    two_theta: float = key("of the top, degree")
    fwhm: Positive = key("full width at half maximum, degree")


class BackgroundKeys(StrictSection):
    """Under the peaks, in units of the highest point of the peaks."""

    chebyshev: list[float] = key(
        "coefficients of Chebyshev polynomials over the 2theta range; negative sums count as 0"
    )
    humps: list[Hump] = key("Gaussian humps of amorphous matter")


class InstrumentKeys(StrictSection):
    """The measurement that turns line lists into patterns."""

    wavelength: by_type(
        number=Annotated[float, Field(gt=0, le=100)],
        text=Tube,
        list=Annotated[list[Pair[Positive]], Field(min_length=1)],
    ) = key(
        "angstrom; or the K-alpha lines of a tube of Cr, Fe, Co, Ni, Cu, Mo or Ag (CuKa both, CuKa1 the "
        "first); or a list of [angstrom, weight]"
    )
    two_theta: TwoThetaGrid
    lorentz: one_of(LORENTZ) = key("angular factor of the intensities")
    monochromator: float = key(
        "2theta of the monochromator's reflection, degree, for lorentz-polarisation; 0 for none",
        **RANGES["monochromator"],
    )
    profile: by_type(text=PlainProfile, mapping=PseudoVoigtProfile) = key(
        "shape of a peak: gaussian, lorentzian, {pseudo-voigt: {eta: share of the Lorentzian}}, or "
        "thompson-cox-hastings (Gaussian instrument, Lorentzian crystallites)"
    )
    fwhm: by_type(number=Annotated[float, Field(ge=0, le=10)], mapping=Caglioti) = key(
        "full width of a peak at half its maximum, degree; or Caglioti's u, v, w in degree^2, for "
        "fwhm^2 = u tan^2 theta + v tan theta + w"
    )
    crystallite_size: float = key(
        "size of the crystallites, angstrom, broadens by Scherrer's formula; 0 for no broadening",
        **RANGES["crystallite_size"],
    )
    zero_shift: float = key("observed minus true 2theta, degree", ge=-10, le=10)
    displacement: float = key(
        "of the specimen from the goniometer's axis, mm; moves lines by -2 s cos(theta) / R", ge=-10, le=10
    )
    goniometer_radius: float = key("R, mm", **RANGES["goniometer_radius"])
    background: BackgroundKeys
    impurities: list[Pair[Positive]] = key(
        "lines that are not the sample's, [1/d in 1/angstrom, intensity in units of the strongest line]"
    )
    counts: float = key("at the maximum, for Poisson noise; 0 for no noise", **RANGES["counts"])

"""The geometric factor of a powder line, Lorentz or Lorentz and polarisation: one for everything."""

import math
from typing import Any

from numba.extending import register_jitable

#: Geometric factors: that of `geometric_factor` with A = 0, and with A of an unpolarised source.
#: Neutrons are not polarised by scattering: lorentz.
LORENTZ = ("lorentz", "lorentz-polarisation")

#: A of an unpolarised source without a monochromator.
UNPOLARISED = 1.0


def polarisation_of(lorentz: str, monochromator: float) -> float:
    """A of one of LORENTZ: cos^2 of the monochromator's 2theta (degree; 0: none), or 0 for lorentz."""
    return UNPOLARISED * math.cos(math.radians(monochromator)) ** 2 if lorentz == LORENTZ[1] else 0.0


@register_jitable
def geometric_factor(sine: Any, cosine: Any, polarisation: Any) -> Any:
    """1 / (sin 2theta sin theta) x (1 + A cos^2 2theta) of lines at theta.

    sine, cosine  of theta: numbers, or arrays of numpy or torch; 0 < sine < 1
    polarisation  A: `polarisation_of`, 0 where nothing is polarised

    ITC vol. C (2004), section 6.2.5, for an unpolarised source and crystals at random. A constant
    factor such as its 1 / (1 + A) is left out, because scale is free. Compiled code calls it as it stands.
    """
    square = sine * sine
    cos_2theta = 1.0 - 2.0 * square
    return 0.5 / (square * cosine) * (1.0 + polarisation * (cos_2theta * cos_2theta))

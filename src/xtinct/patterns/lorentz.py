"""The geometric factor of a powder line, Lorentz or Lorentz and polarisation: one for everything."""

from typing import Any

from numba.extending import register_jitable


@register_jitable
def geometric_factor(sine: Any, cosine: Any, polarisation: Any) -> Any:
    """1 / (sin 2theta sin theta) x (1 + A cos^2 2theta) of lines at theta.

    sine, cosine  of theta: numbers, or arrays of numpy or torch; 0 < sine < 1
    polarisation  A: `Instrument.polarisation`, 0 where nothing is polarised

    ITC vol. C (2004), section 6.2.5, for an unpolarised source and crystals at random; the constant
    1 / (1 + A) is left out, because scale is free. Compiled code calls it as it stands.
    """
    square = sine * sine
    cos_2theta = 1.0 - 2.0 * square
    return 0.5 / (square * cosine) * (1.0 + polarisation * (cos_2theta * cos_2theta))

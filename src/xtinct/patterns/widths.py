"""Widths and shapes of peaks over the angle, for numpy and torch alike.

Thompson, Cox and Hastings, J. Appl. Cryst. 20, 79-83 (1987).
"""

import math
from types import ModuleType
from typing import Any

#: Shape factor of Scherrer's formula, FWHM = K wavelength / (size cos theta) in radians, for the FWHM
#: of roughly spherical crystallites (Langford and Wilson, J. Appl. Cryst. 11, 102-113, 1978).
SCHERRER_K = 0.9


def widths(
    xp: ModuleType,
    theta: Any,
    wavelength: float,
    profile: str,
    caglioti: tuple[float, float, float],
    crystallite_size: float,
    *,
    eta: float,
) -> tuple[Any, Any]:
    """FWHM (degree 2theta) and share of the Lorentzian of lines at `theta` (radians).

    `xp`: numpy or torch, as `theta`. The rest is of `Instrument`: `caglioti` in degrees squared,
    `crystallite_size` (0: large) and `wavelength` in angstrom, `eta` of a pseudo-Voigt.
    """
    u, v, w = caglioti
    tan = xp.tan(theta)
    # Outside the grid, where it is not checked, Caglioti's polynomial may fall below zero.
    squares = xp.clip((u * tan + v) * tan + w, 0.0, None)
    size = 0.0 * theta
    if not isinstance(crystallite_size, int | float) or crystallite_size > 0:
        size = math.degrees(SCHERRER_K * wavelength) / crystallite_size / xp.cos(theta)
    if profile == "thompson-cox-hastings":
        return _thompson_cox_hastings(xp.sqrt(squares), size)
    if profile == "lorentzian":
        return xp.sqrt(squares) + size, 0.0 * theta + 1.0
    share = eta if profile == "pseudo-voigt" else 0.0
    return xp.sqrt(squares + size * size), 0.0 * theta + share


def _thompson_cox_hastings(gaussian: Any, lorentzian: Any) -> tuple[Any, Any]:
    """FWHM and mixing of the pseudo-Voigt nearest to a Voigt function (equations 3 and 5 there)."""
    g, l = gaussian, lorentzian  # noqa: E741
    # Powers as products: those of arrays are slow.
    terms = g + 2.69269 * l
    gl, g2, l2 = g * l, g * g, l * l
    terms = g2 * g2 * terms + gl * l * (2.42843 * g2 + 4.47163 * gl + 0.07842 * l2) + l2 * l2 * l
    fwhm = terms**0.2
    q = l / fwhm
    return fwhm, ((0.11116 * q - 0.47719) * q + 1.36603) * q

"""Axial divergence: at low angles a peak has a tail to lower angles, because diffraction cones are curved.

Finger, Cox and Jephcoat, J. Appl. Cryst. 27, 892-900 (1994), for a slit as high as the sample. A line at
2theta is seen at the angles phi with cos(phi) = cos(2theta) sqrt(1 + z^2), where z, the height of a ray over
the radius, goes from 0 to twice the asymmetry a. Its weight is (2 a - z) / ((1 + z^2) sin(phi)): equation 8
there, in z, where nothing is singular. A peak becomes a sum of peaks at the nodes of a Gauss-Legendre
quadrature over z, more of them the longer its tail is. The area stays. Written once for numpy and torch.
"""

from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from xtinct.patterns.placement import PlacedLines

#: Most nodes of a peak, and nodes for a tail of one FWHM.
MOST_NODES, NODES_PER_WIDTH = 64, 3.0
#: Share of a FWHM below which a tail is not seen.
_SHORTEST = 0.02


def _table() -> tuple[np.ndarray, np.ndarray]:
    """Nodes in 0 to 1 and weights of the quadratures with 1, 2, ... nodes, one row each."""
    nodes, weights = np.zeros((2, MOST_NODES, MOST_NODES))
    for n in range(1, MOST_NODES + 1):
        x, w = np.polynomial.legendre.leggauss(n)
        nodes[n - 1, :n], weights[n - 1, :n] = (x + 1) / 2, w / 2
    return nodes, weights


_NODES, _WEIGHTS = _table()


def divided(xp: ModuleType, peaks: PlacedLines, asymmetry: Any) -> tuple[PlacedLines, Any]:
    """The peaks (p,) that these (m,) become with asymmetries (m,), and the number of each one's peak (p,).

    Positions in degrees; peaks that the wavelength cannot reach (area 0) stay as they are.
    """
    two_theta = peaks.two_theta
    cosine = xp.cos(xp.deg2rad(two_theta))
    # Near 0 and 180 degrees cones close; no tail reaches beyond half the way to them.
    half = xp.cos(0.5 * xp.deg2rad(xp.where(cosine > 0, two_theta, 180.0 - two_theta)))
    size = xp.clip(xp.abs(cosine), 1e-9, None)
    highest = xp.sqrt(xp.clip((half / size) ** 2 - 1.0, 0.0, None))
    z_max = xp.where(2.0 * asymmetry < highest, 2.0 * asymmetry, highest)
    length = xp.abs(two_theta - _seen(xp, cosine, z_max))
    count = xp.ceil(NODES_PER_WIDTH * length / peaks.fwhm)
    count = xp.where((length > _SHORTEST * peaks.fwhm) & (peaks.area > 0), count + 1, 1.0)
    count = xp.clip(count, 1, MOST_NODES)
    plain = count == 1
    if xp is np:
        count = count.astype(np.int64)
        source = np.repeat(np.arange(len(count)), count)
        place = np.arange(len(source)) - np.repeat(np.cumsum(count) - count, count)
        nodes, weights, added = _NODES, _WEIGHTS, lambda weight: np.bincount(source, weight, len(count))
    else:
        count = count.long()
        source = xp.repeat_interleave(xp.arange(len(count), device=count.device), count)
        place = xp.arange(len(source), device=count.device) - (xp.cumsum(count, 0) - count)[source]
        nodes, weights = (xp.from_numpy(x).to(count.device) for x in (_NODES, _WEIGHTS))
        # On a GPU bincount adds in no certain order, which a reproducible training refuses.
        nothing = xp.zeros(len(count), dtype=weights.dtype, device=count.device)
        added = partial(nothing.index_add, 0, source)
    row = count[source] - 1
    z = z_max[source] * nodes[row, place]
    seen = _seen(xp, cosine[source], z)
    sine = xp.clip(xp.sin(xp.deg2rad(seen)), 1e-9, None)
    weight = weights[row, place] * (z_max[source] - z) / ((1.0 + z * z) * sine)
    weight = xp.where(plain[source], 1.0, weight)
    share = weight / added(weight)[source]
    return (
        PlacedLines(
            xp.where(plain[source], two_theta[source], seen),
            peaks.area[source] * share,
            peaks.fwhm[source],
            peaks.eta[source],
        ),
        source,
    )


def _seen(xp: ModuleType, cosine: Any, z: Any) -> Any:
    """Angle, degree, at which a ray of height z of a line with this cos(2theta) is seen."""
    return xp.rad2deg(xp.arccos(xp.clip(cosine * xp.sqrt(1.0 + z * z), -1.0, 1.0)))

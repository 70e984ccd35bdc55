"""Tails of Lorentzians, which reach over a whole pattern: written at the points near the centre, and farther
away on grids that become coarser with the distance.

Near its centre a Lorentzian is written less a parabola in the distance squared, which joins the tail with
the same value, slope and curvature at the radius of the part. Parabola and tail are smooth on that radius.
They go to a grid of NODES nodes to the radius, again up to GROWTH times the radius and less the next
parabola, and so on. Cubic interpolation brings each grid to the next finer one. Nothing is cut: the sum
agrees with the exact one to 1e-5 of the maximum.
"""

from typing import Any, NamedTuple

import numpy as np
from numba.extending import register_jitable

from xtinct.compiling import njit

#: Smallest radius that is written point by point, in FWHM.
NEAR_WIDTHS = 6.0
#: Nodes of a grid to the radius of the parabola that it holds.
NODES = 12
#: Step of a grid over that of the next finer one, and radius of a part over that of the one inside.
GROWTH = 4
#: Nodes of every grid before the pattern's first point, which the cubics need.
PADDING = 2
#: A grid of at most this many nodes has no coarser one above it.
_FEW = 80


class Grids(NamedTuple):
    """The grids above a pattern of some points, finest first.

    steps   int64 (g,), in points
    starts  int64 (g + 1,), where each begins in one array of all nodes, and its end. Node j of a grid stands
            on point (j - PADDING) x step
    """

    steps: np.ndarray
    starts: np.ndarray


@njit(cache=True, nogil=True)
def grids_for(narrowest, points):
    """Grids for Lorentzians of at least the FWHM `narrowest` (points) on so many points."""
    step = max(2, min(int(NEAR_WIDTHS * narrowest / NODES), max(2, points // NODES)))
    steps, starts = np.empty(32, np.int64), np.zeros(33, np.int64)
    n, count = points, 0
    while True:
        # The last node of the finer grid, and the two after it that its cubic needs.
        finer = PADDING if count else 0
        n = (n - 1 - finer) // (GROWTH if count else step) + PADDING + 3
        steps[count], starts[count + 1] = step, starts[count] + n
        count += 1
        if n <= _FEW or count == 32:
            return Grids(steps[:count].copy(), starts[: count + 1].copy())
        step *= GROWTH


@register_jitable
def centre(u: Any) -> tuple[Any, Any, Any]:
    """Coefficients of 1, t, t^2 with the value, slope and curvature of 1 / (1 + u t) at t = 1."""
    a = 1.0 / (1.0 + u)
    value, slope, half_curvature = a, -u * a * a, u * u * a * a * a
    return value - slope + half_curvature, slope - 2.0 * half_curvature, half_curvature


@register_jitable
def cubic_weights(t: Any) -> tuple[Any, Any, Any, Any]:
    """Weights of the values at -1, 0, 1 and 2 in the cubic through them, at t: a number or a tensor."""
    return (
        -t * (t - 1.0) * (t - 2.0) / 6.0,
        (t + 1.0) * (t - 1.0) * (t - 2.0) / 2.0,
        -(t + 1.0) * t * (t - 2.0) / 2.0,
        (t + 1.0) * t * (t - 1.0) / 6.0,
    )


@njit(cache=True, nogil=True)
def radius_of(fwhm, step):
    """Radius of the part of a Lorentzian that is written point by point; `step` of the finest grid."""
    return max(NODES * step, NEAR_WIDTHS * fwhm)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "arcp", "nsz"})
def _write_near(part, ramp, first, scale, u, height, parabola):
    """Add height x (1 / (1 + u t) - parabola) with t = (scale (ramp + first))^2, all float32."""
    c0, c1, c2 = parabola
    one = np.float32(1)
    for k in range(part.size):
        t = scale * (ramp[k] + first)
        t *= t
        part[k] += height * (one / (one + u * t) - (c0 + t * (c1 + t * c2)))


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "arcp", "nsz"})
def _write_far(part, ramp, first, scale, u, height, parabola, outer):
    """Add the parabola inside t = 1 and the tail outside it, less the parabola `outer`."""
    c0, c1, c2 = parabola
    o0, o1, o2 = outer
    one = np.float32(1)
    for k in range(part.size):
        t = scale * (ramp[k] + first)
        t *= t
        tail = one / (one + u * t)
        inside = c0 + t * (c1 + t * c2)
        part[k] += height * ((inside if t < one else tail) - (o0 + t * (o1 + t * o2)))


@njit(cache=True, nogil=True)
def _single(values, factor):
    """Coefficients of a parabola in t, for t in units in which it is `factor` times as large; float32."""
    a, b, c = values
    return np.float32(a), np.float32(b * factor), np.float32(c * factor * factor)


@njit(cache=True, nogil=True)
def add_lorentzian(row, nodes, grids, ramp, x, area, fwhm):
    """Add a Lorentzian at grid coordinate x to `row`, float32 (points,), and to `nodes`, float32, of `grids`.

    ramp  float32, 0, 1, 2, ..., at least as long as each of them
    """
    steps, starts = grids
    height, s = 2.0 * area / (np.pi * fwhm), 4.0 / (fwhm * fwhm)
    radius = radius_of(fwhm, steps[0])
    u = s * radius * radius
    parabola = centre(u)
    first = max(0, int(np.ceil(x - radius)))
    last = min(row.size - 1, int(np.floor(x + radius)))
    if last >= first:
        _write_near(
            row[first : last + 1],
            ramp,
            np.float32(first - x),
            np.float32(1.0 / radius),
            np.float32(u),
            np.float32(height),
            _single(parabola, 1.0),
        )
    for g in range(steps.size):
        step = steps[g]
        part = nodes[starts[g] : starts[g + 1]]
        begin, end = 0, part.size
        wider = parabola
        outer = (0.0, 0.0, 0.0)
        if g < steps.size - 1:
            wider = centre(u * (GROWTH * GROWTH))
            outer = wider
            begin = max(0, int(np.ceil((x - GROWTH * radius) / step)) + PADDING)
            end = min(part.size, int(np.floor((x + GROWTH * radius) / step)) + PADDING + 1)
        if end > begin:
            _write_far(
                part[begin:end],
                ramp,
                np.float32(begin - PADDING - x / step),
                np.float32(step / radius),
                np.float32(u),
                np.float32(height),
                _single(parabola, 1.0),
                _single(outer, 1.0 / (GROWTH * GROWTH)),
            )
        radius *= GROWTH
        u *= GROWTH * GROWTH
        parabola = wider


@njit(cache=True, nogil=True, fastmath={"contract"})
def _refine(coarse, shift, ratio, fine):
    """Add the cubics through `coarse` to `fine`: point k stands at node (k - shift) / ratio + PADDING."""
    for phase in range(ratio):
        # Elements k = first, first + ratio, ... lie at the same place between their nodes.
        first = phase
        place = first - shift
        node = place // ratio
        t = (place - node * ratio) / ratio
        w = cubic_weights(t)
        a, b, c, d = np.float32(w[0]), np.float32(w[1]), np.float32(w[2]), np.float32(w[3])
        base = node + PADDING - 1
        count = (fine.size - first + ratio - 1) // ratio
        for m in range(count):
            i = base + m
            fine[first + m * ratio] += (
                a * coarse[i] + b * coarse[i + 1] + c * coarse[i + 2] + d * coarse[i + 3]
            )


@njit(cache=True, nogil=True)
def gather(row, nodes, grids):
    """Bring what stands on the grids to `row`, and clear them."""
    steps, starts = grids
    for g in range(steps.size - 1, 0, -1):
        _refine(nodes[starts[g] : starts[g + 1]], PADDING, GROWTH, nodes[starts[g - 1] : starts[g]])
    _refine(nodes[: starts[1]], 0, steps[0], row)
    nodes[: starts[-1]] = np.float32(0)

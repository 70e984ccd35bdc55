"""What `patterns.superposition` does, in torch: any peaks, differentiable in their areas."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch

from xtinct.patterns.instrument import CUT_SIGMAS, FWHM_PER_SIGMA
from xtinct.patterns.placement import PlacedLines
from xtinct.patterns.tails import GROWTH, NEAR_WIDTHS, NODES, PADDING, centre, cubic_weights, grids_for

#: Points of peaks that are made at a time.
_HELD = 1 << 22


def sum_peaks(
    sample: torch.Tensor, peaks: PlacedLines, dtype: torch.dtype, n: int, points: int
) -> torch.Tensor:
    """Sums of peaks (n, points) in `dtype`; gradients flow to the areas.

    sample  int64 (m,), the pattern that a peak belongs to, 0 to n - 1
    peaks   float64 (m,), positions and widths in points of the grid
    """
    x, area, fwhm, eta = peaks
    area, eta = area.to(dtype), eta.to(dtype)
    out = torch.zeros(n * points, dtype=dtype, device=x.device)
    if not len(x):
        return out.view(n, points)
    if eta.min() < 1:
        sigma = fwhm / FWHM_PER_SIGMA
        height = area * (1 - eta) / (sigma * math.sqrt(2 * math.pi)).to(dtype)
        out = _add(out, points, _Curves(sample, x, height, CUT_SIGMAS * sigma, _gaussian, (sigma,)))
    if eta.max() > 0:
        height = area * eta * (2 / (math.pi * fwhm)).to(dtype)
        narrowest = float(fwhm[(eta > 0) & (area > 0)].min()) if ((eta > 0) & (area > 0)).any() else 1.0
        out = _add_lorentzians(out, points, (sample, x, height, fwhm), narrowest)
    return out.view(n, points)


class _Curves(NamedTuple):
    """Curves height x shape(distance from x, *parameters) of m peaks, for distances up to reach."""

    sample: torch.Tensor
    x: torch.Tensor
    height: torch.Tensor
    reach: torch.Tensor
    shape: Callable[..., torch.Tensor]
    parameters: tuple[torch.Tensor, ...]


def _add(out: torch.Tensor, points: int, curves: _Curves) -> torch.Tensor:
    """out, patterns of so many points one after the other, and the curves."""
    *columns, shape, parameters = curves
    sample, x, height, reach = columns
    shown = ((x > -reach) & (x < points + reach)).nonzero()[:, 0]
    if not len(shown):
        return out
    sample, x, height, reach = (column[shown] for column in columns)
    parameters = tuple(p[shown, None] for p in parameters)
    span = min(points, 2 * math.ceil(float(reach.max())) + 1)
    held = max(1, _HELD // span)
    for first in range(0, len(x), held):
        part = slice(first, first + held)
        begin = torch.ceil(x[part] - reach[part]).clamp(0, max(0, points - span))
        k = begin[:, None].long() + torch.arange(span, device=x.device)
        distance = k - x[part, None]
        value = shape(distance, *(p[part] for p in parameters)).to(out.dtype)
        value = torch.where(distance.abs() <= reach[part, None], value, 0.0)
        index = (sample[part, None] * points + k).reshape(-1)
        out = out.index_add(0, index, (height[part, None] * value).reshape(-1))
    return out


def _gaussian(distance: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    return torch.exp(-0.5 * (distance / sigma) ** 2)


def _lorentzian(distance: torch.Tensor, fwhm: torch.Tensor) -> torch.Tensor:
    return 1 / (1 + (2 * distance / fwhm) ** 2)


def _parabola(distance: torch.Tensor, fwhm: torch.Tensor, radius: torch.Tensor) -> torch.Tensor:
    """What takes the place of a Lorentzian within the radius; see `tails`."""
    c0, c1, c2 = centre((2 * radius / fwhm) ** 2)
    t = (distance / radius) ** 2
    return c0 + t * (c1 + t * c2)


def _near(distance: torch.Tensor, fwhm: torch.Tensor, radius: torch.Tensor) -> torch.Tensor:
    return _lorentzian(distance, fwhm) - _parabola(distance, fwhm, radius)


def _farthest(distance: torch.Tensor, fwhm: torch.Tensor, radius: torch.Tensor) -> torch.Tensor:
    inside = distance.abs() < radius
    return torch.where(inside, _parabola(distance, fwhm, radius), _lorentzian(distance, fwhm))


def _far(distance: torch.Tensor, fwhm: torch.Tensor, radius: torch.Tensor) -> torch.Tensor:
    return _farthest(distance, fwhm, radius) - _parabola(distance, fwhm, GROWTH * radius)


def _add_lorentzians(
    out: torch.Tensor, points: int, peaks: tuple[torch.Tensor, ...], narrowest: float
) -> torch.Tensor:
    """out, and the Lorentzians (sample, x, height, fwhm), of at least the FWHM `narrowest`, by `tails`."""
    sample, x, height, fwhm = peaks
    steps, starts = (values.tolist() for values in grids_for(narrowest, points))
    radius = (NEAR_WIDTHS * fwhm).clamp_min(NODES * steps[0])
    out = _add(out, points, _Curves(sample, x, height, radius, _near, (fwhm, radius)))
    n = len(out) // points
    grids = []
    for g, step in enumerate(steps):
        nodes, last = starts[g + 1] - starts[g], g == len(steps) - 1
        place = x / step + PADDING
        reach = (nodes + place).abs() + 2 if last else GROWTH * radius / step
        parameters = fwhm / step, radius / step
        shape = _farthest if last else _far
        grid = torch.zeros(n * nodes, dtype=out.dtype, device=out.device)
        curves = _Curves(sample, place, height, reach, shape, parameters)
        grids.append(_add(grid, nodes, curves).view(n, nodes))
        radius = radius * GROWTH
    coarse = grids[-1]
    for finer in grids[-2::-1]:
        coarse = finer + _interpolated(coarse, PADDING, GROWTH, finer.shape[1])
    return out + _interpolated(coarse, 0, steps[0], points).reshape(-1)


def _interpolated(coarse: torch.Tensor, shift: int, ratio: int, count: int) -> torch.Tensor:
    """The cubics through coarse (n, nodes): point k of `count` stands as in `tails._refine`."""
    k = torch.arange(count, device=coarse.device) - shift
    node = torch.div(k, ratio, rounding_mode="floor")
    t = (k - node * ratio).to(coarse.dtype) / ratio
    first = node + PADDING - 1
    return sum(coarse[:, first + j] * weight for j, weight in enumerate(cubic_weights(t)))

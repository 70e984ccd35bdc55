"""What `patterns.profiles` does, in torch: any peaks, differentiable in their areas."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch

from xtinct.patterns.instrument import CUT_SIGMAS, FWHM_PER_SIGMA
from xtinct.patterns.placement import PlacedLines
from xtinct.patterns.profiles import LARGEST_STEP, NEAR_STEPS, STEPS_PER_WIDTH, cubic_weights, smooth_centre

#: Points of peaks that are made at a time.
_HELD = 1 << 22


def sum_peaks(
    sample: torch.Tensor, peaks: PlacedLines, dtype: torch.dtype, n: int, points: int
) -> torch.Tensor:
    """Sums of peaks (n, points) in `dtype`; gradients flow to the areas.

    sample  int64 (m,), the pattern that a line belongs to, 0 to n - 1
    peaks   float64 (w, m), positions and widths in points of the grid
    """
    sample = sample.expand(peaks.area.shape[0], -1).reshape(-1)
    x, area, fwhm, eta = (column.reshape(-1) for column in peaks)
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
        step = max(1, min(LARGEST_STEP, int(fwhm[eta > 0].min() / STEPS_PER_WIDTH)))
        if step == 1:
            # Every point is as near as any other.
            far = torch.full_like(x, points) + (x - 0.5 * points).abs()
            out = _add(out, points, _Curves(sample, x, height, far, _lorentzian, (fwhm,)))
        else:
            reach = NEAR_STEPS * (fwhm / STEPS_PER_WIDTH).clamp_min(step)
            out = _add(out, points, _Curves(sample, x, height, reach, _near, (fwhm, reach)))
            nodes = (points - 1) // step + 4
            coarse = torch.zeros(n * nodes, dtype=dtype, device=x.device)
            scaled = (
                x / step + 1,
                height,
                (nodes + x / step).abs() + 2,
                _smooth,
                (fwhm / step, reach / step),
            )
            coarse = _add(coarse, nodes, _Curves(sample, *scaled))
            out = out + _interpolated(coarse.view(n, nodes), step, points).reshape(-1)
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


def _centre(distance: torch.Tensor, fwhm: torch.Tensor, reach: torch.Tensor) -> torch.Tensor:
    c0, c1, c2 = smooth_centre.py_func((2 * reach / fwhm) ** 2)
    t = (distance / reach) ** 2
    return c0 + t * (c1 + t * c2)


def _near(distance: torch.Tensor, fwhm: torch.Tensor, reach: torch.Tensor) -> torch.Tensor:
    return _lorentzian(distance, fwhm) - _centre(distance, fwhm, reach)


def _smooth(distance: torch.Tensor, fwhm: torch.Tensor, reach: torch.Tensor) -> torch.Tensor:
    inside = distance.abs() <= reach
    return torch.where(inside, _centre(distance, fwhm, reach), _lorentzian(distance, fwhm))


def _interpolated(coarse: torch.Tensor, step: int, points: int) -> torch.Tensor:
    """The cubics through the four nearest of coarse (n, nodes), point k at grid point (k - 1) step."""
    k = torch.arange(points, device=coarse.device)
    i, t = k // step, (k % step).to(coarse.dtype) / step
    return sum(coarse[:, i + j] * weight for j, weight in enumerate(cubic_weights(t)))

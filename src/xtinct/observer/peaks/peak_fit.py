"""Least squares of the heights, positions and shapes of single peaks over a background of straight pieces."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from xtinct.observer.peaks.gridded import Measured
from xtinct.observer.peaks.peak_shapes import (
    REACH,
    SHAPE,
    Columns,
    DoubletLines,
    Profile,
    Shapes,
    add_up,
    against,
    columns,
    doublet,
    products,
    shapes,
)

#: Distance of the knots of what is left of the background, degree, or in widths of broad peaks.
_KNOTS, _KNOTS_IN_WIDTHS = 6.0, 8.0
#: Expected deviation of the shape's parameters from `Profile()`, and the largest change of some in one step;
#: W, V and U are those of peaks of 0.12 degrees, and scale with the square of the width.
_EXPECTED = {"W": 0.05, "V": 0.05, "U": 0.05, "eta0": 0.3, "eta1": 0.3, "asymmetry": 0.05}
_STEP = {"eta0": 0.2, "eta1": 0.2, "asymmetry": 0.02}
#: Largest movement and largest change of width of one step, in widths; a step that makes it worse is cut
#: to a third this many times.
_FURTHEST, _WIDER, _HALVED = 0.33, 0.3, 3
_RIDGE = 1e-4


def hats(two_theta: np.ndarray, width: float = 0.0) -> np.ndarray:
    """Straight pieces between knots, float64 (knots, n): a background is a sum of them.

    width  of the peaks, degree, so that no piece takes the place of a broad one
    """
    apart = max(_KNOTS, _KNOTS_IN_WIDTHS * width)
    knots = np.linspace(
        two_theta[0], two_theta[-1], max(3, round((two_theta[-1] - two_theta[0]) / apart) + 1)
    )
    return np.maximum(0.0, 1 - np.abs(two_theta - knots[:, None]) / (knots[1] - knots[0]))


@dataclass(frozen=True)
class PeakFit:
    """Peaks fitted to a pattern.

    two_theta   float64 (m,), observed positions of the first component, ascending, degrees; error of them
    area        float64 (m,), intensity times degree; area_error
    profile     shapes; fitted, residual, variance: float64 (n,) over the pattern; background (n,)
    chi2        weighted sum of squares
    """

    two_theta: np.ndarray
    error: np.ndarray
    area: np.ndarray
    area_error: np.ndarray
    profile: Profile
    background: np.ndarray
    fitted: np.ndarray
    residual: np.ndarray
    variance: np.ndarray
    chi2: float


class _Points(NamedTuple):
    """What peaks are fitted to.

    base    float64 (k, n), pieces of the background that is fitted along
    y       float64 (n,), intensity over the first background; weight, float64 (n,), one over the variance
    """

    measured: Measured
    base: np.ndarray
    y: np.ndarray
    weight: np.ndarray

    def chi2(self, fitted: np.ndarray) -> float:
        """Weighted sum of squares of what a model (n,) leaves."""
        return self.weight @ (self.y - fitted) ** 2


class _Model(NamedTuple):
    """Peaks at observed positions (m,), degrees, with a profile; heights and background of least squares."""

    two_theta: np.ndarray
    profile: Profile
    shapes: Shapes
    columns: Columns
    area: np.ndarray
    slow: np.ndarray
    fitted: np.ndarray


def profiles(
    measured: Measured, lines: DoubletLines, form: Shapes, *, reach: float = REACH, derivatives: bool = True
):
    """`columns` of lines of these shapes on the grid of a pattern."""
    return columns(measured.grid, lines, form.fwhm, form.eta, form.skew, reach, derivatives)


def fit_peaks(
    measured: Measured,
    two_theta: np.ndarray,
    profile: Profile,
    *,
    shape: tuple[str, ...] = ("W", "eta0"),
    steps: int = 3,
    misfit: float = 0.03,
) -> PeakFit:
    """Fit peaks that begin at observed positions `two_theta` (m,), degrees, with shapes `profile`.

    shape   the parameters of `SHAPE` that are refined
    misfit  share of a peak's height that its profile may be wrong by (`Measured.variance`)
    """
    base = hats(measured.two_theta, measured.width)
    y = measured.intensity - measured.background
    two_theta = np.sort(np.asarray(two_theta, dtype=np.float64))
    smooth = np.convolve(np.pad(measured.intensity, 3, mode="edge"), np.full(7, 1 / 7), "valid")
    variance = measured.variance(np.maximum(smooth, measured.background), misfit)
    points = _Points(measured, base, y, 1 / variance)
    model = _solve(points, two_theta, profile)
    for _ in range(steps):
        points = points._replace(weight=1 / variance)
        step = _step(*_normal(points, model, shape))
        chi2 = points.chi2(model.fitted)
        for _ in range(_HALVED):
            tried = _solve(points, *_moved(step, shape, model))
            if points.chi2(tried.fitted) < 1.001 * chi2:
                model = tried
                break
            step = step / 3
        variance = measured.variance(model.fitted + measured.background, misfit)
    points = points._replace(weight=1 / variance)
    model = _solve(points, np.sort(model.two_theta, kind="stable"), model.profile)
    normal, _ = _normal(points, model, ())
    m = len(two_theta)
    spread = np.abs(np.diag(_inverse(normal)))
    residual = y - model.fitted
    return PeakFit(
        two_theta=model.two_theta,
        error=np.sqrt(spread[m : 2 * m]),
        area=model.area,
        area_error=np.sqrt(spread[:m]),
        profile=model.profile,
        background=measured.background + model.slow @ base,
        fitted=model.fitted + measured.background,
        residual=residual,
        variance=variance,
        chi2=float(points.weight @ residual**2),
    )


def _solve(points: _Points, two_theta: np.ndarray, profile: Profile) -> _Model:
    """Areas, none negative, and background of least squares for peaks at observed `two_theta`."""
    measured, base, y, weight = points
    m = len(two_theta)
    form = shapes(two_theta, profile, measured.narrowest)
    column = profiles(measured, doublet(two_theta, measured.radiation, Profile()), form)
    weighted = base * weight
    normal = np.empty((m + len(base), m + len(base)))
    normal[:m, :m] = products(column, 0, column, 0, weight)
    normal[:m, m:] = against(column, 0, weighted)
    normal[m:, :m] = normal[:m, m:].T
    normal[m:, m:] = weighted @ base.T + np.eye(len(base)) * 1e-9 * weight.sum()
    right = np.concatenate([against(column, 0, (weight * y)[None])[:, 0], weighted @ y])
    diagonal = np.diag(normal)[:m]
    normal[np.arange(m), np.arange(m)] += _RIDGE * diagonal + 1e-9 * max(diagonal.max(initial=0), 1e-30)
    free = np.ones(len(right), dtype=bool)
    solution = np.zeros(len(right))
    for _ in range(6):
        part = np.flatnonzero(free)
        solution[:] = 0
        solution[part] = cho_solve(cho_factor(normal[np.ix_(part, part)]), right[part])
        negative = np.flatnonzero(solution[:m] < 0)
        if not len(negative):
            break
        free[negative] = False
    area = np.maximum(solution[:m], 0.0)
    slow = solution[m:]
    fitted = add_up(column, 0, area, len(y)) + slow @ base
    return _Model(two_theta, profile, form, column, area, slow, fitted)


def _shape_rows(model: _Model, shape: tuple[str, ...], points: int) -> np.ndarray:
    """Change of the pattern with each of the parameters `shape`, float64 (k, points)."""
    rows = np.zeros((len(shape), points))
    for row, name in zip(rows, shape, strict=True):
        i = SHAPE.index(name)
        for which, by in ((2, model.shapes.by_fwhm), (3, model.shapes.by_eta), (4, model.shapes.by_skew)):
            if by[i].any():
                row += add_up(model.columns, which, model.area * by[i], points)
    return rows


def _normal(points: _Points, model: _Model, shape: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Normal equations of areas, positions, shapes and background.

    Matrix float64 (2 m + k, 2 m + k) and right side (2 m + k,), k the shapes and pieces of background.
    """
    measured, base, y, weight = points
    m, profile = len(model.two_theta), model.profile
    rows = np.concatenate([_shape_rows(model, shape, len(y)), base])
    weighted = rows * weight
    column, area = model.columns, np.maximum(model.area, 1e-9 * max(model.area.max(initial=0), 1e-30))
    total = 2 * m + len(rows)
    normal = np.empty((total, total))
    normal[:m, :m] = products(column, 0, column, 0, weight)
    normal[:m, m : 2 * m] = products(column, 0, column, 1, weight) * area
    normal[m : 2 * m, :m] = normal[:m, m : 2 * m].T
    normal[m : 2 * m, m : 2 * m] = products(column, 1, column, 1, weight) * area * area[:, None]
    normal[:m, 2 * m :] = against(column, 0, weighted)
    normal[m : 2 * m, 2 * m :] = against(column, 1, weighted) * area[:, None]
    normal[2 * m :, : 2 * m] = normal[: 2 * m, 2 * m :].T
    normal[2 * m :, 2 * m :] = weighted @ rows.T
    residual = weight * (y - model.fitted)
    gradient = np.concatenate(
        [
            against(column, 0, residual[None])[:, 0],
            against(column, 1, residual[None])[:, 0] * area,
            rows @ residual,
        ]
    )
    place = np.arange(m, 2 * m)
    normal[place, place] += 1 / (0.4 * measured.width) ** 2
    scale = _scale(model.shapes)
    for i, name in enumerate(shape):
        expected = _EXPECTED[name] * (scale if name in "WVU" else 1.0)
        middle = profile.W if name == "W" else getattr(Profile(), name)
        normal[2 * m + i, 2 * m + i] += 1 / expected**2
        gradient[2 * m + i] -= (getattr(profile, name) - middle) / expected**2
    diagonal = np.arange(total)
    normal[diagonal, diagonal] = normal[diagonal, diagonal] * (1 + 1e-6) + 1e-12
    return normal, gradient


def _scale(form: Shapes) -> float:
    """Square of the widths over that of peaks of 0.12 degrees."""
    return float(np.median(form.fwhm) ** 2) / 0.0144


def _inverse(normal: np.ndarray) -> np.ndarray:
    scale = 1 / np.sqrt(np.maximum(np.diag(normal), 1e-300))
    scaled = normal * scale * scale[:, None]
    try:
        return cho_solve(cho_factor(scaled), np.eye(len(normal))) * scale * scale[:, None]
    except LinAlgError:
        return np.linalg.pinv(scaled) * scale * scale[:, None]


def _step(normal: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """One step of Gauss and Newton."""
    scale = 1 / np.sqrt(np.maximum(np.diag(normal), 1e-300))
    scaled = normal * scale * scale[:, None]
    try:
        return cho_solve(cho_factor(scaled), gradient * scale) * scale
    except LinAlgError:
        return np.zeros(len(gradient))


def _moved(step: np.ndarray, shape: tuple[str, ...], model: _Model) -> tuple[np.ndarray, Profile]:
    """Positions and profile after a step, no peak moved or widened by more than a part of its width."""
    m, profile, form = len(model.two_theta), model.profile, model.shapes
    most = _FURTHEST * form.fwhm
    two_theta = model.two_theta + np.clip(step[m : 2 * m], -most, most)
    changes = dict(zip(shape, step[2 * m : 2 * m + len(shape)], strict=True))
    wider = sum(form.by_fwhm[SHAPE.index(name)] * change for name, change in changes.items())
    limit = min(1.0, float((_WIDER * form.fwhm / np.maximum(np.abs(wider), 1e-12)).min())) if m else 1.0
    changed = {}
    for name, change in changes.items():
        limited = change * limit if name in "WVU" else float(np.clip(change, -_STEP[name], _STEP[name]))
        changed[name] = getattr(profile, name) + float(limited)
    if "eta0" in changed:
        changed["eta0"] = min(max(changed["eta0"], 0.0), 1.0)
    return two_theta, profile._replace(**changed)

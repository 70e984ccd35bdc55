"""A whole-pattern fit from a cell that is only roughly known: starts, stages, foreign lines."""

from dataclasses import replace
from itertools import product

import numpy as np

from xtinct.errors import XtinctError
from xtinct.lattices.metric import cell_of, cell_volume
from xtinct.observer.fitting import normal_equations
from xtinct.observer.fitting.line_sets import lines_of
from xtinct.observer.fitting.pawley import FEWEST_POINTS, FitSettings, LatticeFit, fit_lattice
from xtinct.observer.peaks.peak_shapes import Grid, Profile, columns, doublet, q_of, shapes, shift, true_angle

#: Lines of the lattice that are fitted at most; the range ends where there are more.
MOST_LINES = 220
#: Factors of the metric, zeros (degree) and widths (FWHM, degree) that are tried, when they are not known.
_SCALES = (0.98, 0.985, 0.99, 0.995, 1.0, 1.005, 1.01, 1.015, 1.02)
_ZEROS = (-0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2)
_WIDTHS = (0.07, 0.14, 0.28)
#: Starts that are refined, and the angle, degree, up to which they are.
_REFINED, _FIRST_RANGE = 4, 45.0
#: Significance of a foreign line; its distance from lattice lines and from other foreign ones, in FWHM.
_SIGNIFICANT, _AWAY, _APART = 7.0, 0.7, 1.2
#: Height of a foreign line at least, as a share of the fitted pattern around it.
_ABOVE_MISFIT = 0.04
_MOST_FOREIGN = 40
#: Area over its error below which a foreign line is given up at the end.
_KEPT = 4.0


def fit_cell(
    measured,
    family: str,
    metric: np.ndarray,
    profile: Profile | None = None,
    *,
    known: bool = False,
    settings: FitSettings | None = None,
) -> LatticeFit:
    """Whole-pattern fit of a cell that is off by up to 1 % in length, zero by 0.2 degrees.

    profile   that of the peaks, where it is known; its shift is not taken over
    known     the metric and the shift of `profile` come from a fit: no starts beside them
    settings  range, misfit and errors as wanted; the range ends where the lattice has MOST_LINES lines
    """
    settings = settings or FitSettings(errors=True)
    metric = np.asarray(metric, dtype=np.float64)
    end = _end(measured, family, metric, settings.range[1])
    begin = max(settings.range[0], float(measured.two_theta[0]))
    last, step = float(measured.two_theta[-1]), float(measured.two_theta[1] - measured.two_theta[0])
    if end < min(begin + FEWEST_POINTS * step, last):
        size = cell_volume(cell_of(family, metric))
        raise XtinctError(
            f"{family} cell of {size:.0f} cubic angstrom: {MOST_LINES} of its lines are below "
            f"{end:.1f} degrees, and the pattern begins at {begin:.1f}; take a smaller cell, or a pattern "
            "from lower angles on"
        )
    if not known:
        first = end if end <= 60.0 else max(_FIRST_RANGE, begin + 15.0)
        metric, profile = _started(measured, family, metric, profile, replace(settings, range=(begin, first)))
    settings = replace(settings, range=(begin, end))
    quick = replace(settings, errors=False)
    few = replace(quick, refine=("W", "zero", "eta0"), steps=4)
    fit = fit_lattice(measured, family, metric, profile, settings=few)
    # Strong foreign lines would bend the profile: they are looked for before it is refined.
    for number, share in enumerate((0.2, 0.0, 0.0)):
        new = foreign_lines(measured, fit, share=share)[: _MOST_FOREIGN - len(fit.foreign)]
        if number and not len(new):
            break
        fit = _again(measured, fit, np.sort(np.concatenate([fit.foreign, new])), quick)
    kept = fit.area[len(fit.lines) :] > _KEPT * fit.area_error[len(fit.lines) :]
    if settings.errors or not kept.all():
        # The lines of the refined metric, and no foreign line that it made needless.
        fit = _again(measured, fit, fit.foreign[kept], replace(settings, steps=4))
    return fit


def on_other_axes(measured, fit: LatticeFit, metric: np.ndarray) -> LatticeFit:
    """The fit of the same lattice with its axes named otherwise, `metric` (p,): what was found stays."""
    half = 0.5 * fit.step
    ends = float(fit.two_theta[0]) - half, float(fit.two_theta[-1]) + half
    settings = FitSettings(errors=True, steps=4, range=ends)
    return fit_lattice(measured, fit.family, metric, fit.profile, foreign=fit.foreign, settings=settings)


def _again(measured, fit: LatticeFit, foreign: np.ndarray, settings: FitSettings) -> LatticeFit:
    return fit_lattice(measured, fit.family, fit.metric, fit.profile, foreign=foreign, settings=settings)


def _end(measured, family: str, metric: np.ndarray, limit: float) -> float:
    """2theta up to which the lattice has no more than MOST_LINES lines."""
    wavelength = measured.radiation.wavelength
    last = min(float(measured.two_theta[-1]), limit, 170.0)
    q = lines_of(family, metric, 1e-9, float(q_of(last, wavelength)))
    q = q.forms @ metric
    if len(q) > MOST_LINES:
        last = min(last, float(true_angle(q[MOST_LINES], wavelength)) + 0.3)
    return last


def _started(measured, family: str, metric: np.ndarray, profile: Profile | None, settings: FitSettings):
    """(metric, profile) of the best of several starts."""
    widths = _WIDTHS if profile is None else (None,)
    profile = profile or Profile()
    tried = []
    still = replace(settings, refine=(), metric=False, steps=0, errors=False)
    for scale, zero, width in product(_SCALES, _ZEROS, widths):
        start = profile._replace(zero=zero, displacement=0.0)
        if width is not None:
            start = start._replace(W=width**2)
        fit = fit_lattice(measured, family, metric * scale, start, settings=still)
        tried.append((fit.chi2, scale, start))
    if not tried:
        raise XtinctError(f"{family} cell: nothing to fit")
    tried.sort(key=lambda item: item[0])
    chosen = tried[:_REFINED]
    # The cell as it is told, too: where lines are dense, a wrong scale can lie under more of them at first.
    told = next(item for item in tried if item[1] == 1.0)
    if told not in chosen:
        chosen.append(told)
    best = None
    for _, scale, start in chosen:
        moving = replace(still, refine=("zero",), metric=True, steps=4, farthest=0.1)
        fit = fit_lattice(measured, family, metric * scale, start, settings=moving)
        wider = replace(moving, refine=("W", "zero", "eta0"), steps=8, farthest=0.05)
        fit = fit_lattice(measured, family, fit.metric, fit.profile, settings=wider)
        if best is None or fit.chi2 < best.chi2:
            best = fit
    return best.metric, best.profile


def foreign_lines(measured, fit: LatticeFit, share: float = 0.0) -> np.ndarray:
    """2theta, as observed, of lines in the residual away from those that were fitted: float64 (k,).

    The most significant come first; none is returned below `share` of the first one's significance.
    """
    t = fit.two_theta
    grid = Grid(float(t[0]), fit.step, len(t))
    shape = shapes(t, fit.profile, measured.narrowest)
    placed = doublet(t, measured.radiation, Profile())
    profiles = columns(grid, placed, shape.fwhm, shape.eta, shape.skew, 3.0, False)
    stat = normal_equations.matched(profiles, 1.0 / fit.variance, fit.residual)
    inside = stat[1:-1]
    least = max(_SIGNIFICANT, share * float(stat.max()))
    top = np.flatnonzero((inside > stat[:-2]) & (inside >= stat[2:]) & (inside > least)) + 1
    top = top[np.argsort(-stat[top], kind="stable")]
    centre = np.sort(fit.centre)
    height = fit.fitted - fit.background
    found: list[float] = []
    for i in top:
        width = shape.fwhm[i]
        half = max(1, round(0.5 * width / fit.step))
        near = slice(max(0, i - half), i + half + 1)
        if (
            t[i] < t[0] + 0.5
            or fit.residual[max(0, i - 1) : i + 2].mean() < _ABOVE_MISFIT * height[near].max()
        ):
            continue
        if len(centre) and np.abs(centre - t[i]).min() < _AWAY * width:
            continue
        if any(abs(t[i] - other) < _APART * width for other in found):
            continue
        found.append(float(t[i]))
    return np.array(found)


def unexplained(peaks: np.ndarray, fit: LatticeFit, width: np.ndarray, away: float = _AWAY) -> np.ndarray:
    """bool (n,): peaks (observed 2theta, FWHM `width`) farther than `away` widths from every lattice line."""
    own = true_angle(fit.q, fit.wavelength)
    own = own + shift(own, fit.profile)
    distance = np.array([np.abs(own - peak).min(initial=np.inf) for peak in peaks])
    return distance > np.maximum(0.05, away * width)

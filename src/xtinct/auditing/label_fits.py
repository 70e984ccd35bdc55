"""The label of a pattern held against it: its cell fitted by Pawley's method, its group against the lines."""

from dataclasses import dataclass

import numpy as np

from xtinct.auditing.pattern_sets import PatternLabel
from xtinct.errors import XtinctError
from xtinct.lattices.conventional import conventional_cell_errors
from xtinct.lattices.metric import form_metric
from xtinct.observer.fitting.pawley import LatticeFit
from xtinct.observer.fitting.refinement import fit_cell, unexplained
from xtinct.observer.judging.lattice_classes import ClassPosterior, class_posterior
from xtinct.observer.peaks.radiation_found import Found
from xtinct.symmetry.families import family_of
from xtinct.symmetry.operations import group_name

#: Peaks that count as strong, those of the highest.
_HIGHEST = 10
#: A line that the group forbids is seen: area over its error, share of the largest, widths to the nearest
#: line that it allows, at least, and to the nearest peak, at most.
_SEEN, _SHARE, _ALONE, _AT_PEAK = 7.0, 0.03, 1.0, 0.5
#: Relative error of a conventional cell, as its label is rounded.
_ROUNDED = 2e-3


@dataclass(frozen=True)
class LabelFit:
    """What a pattern says of its label.

    fit             of the label's cell; posterior, of the extinction classes on it
    foreign         bool (n,): peaks away from every line of the cell
    unexplained     their share of the area of all peaks; strong, those among the ten highest
    forbidden       2theta of lines that are seen and that the group forbids, degrees
    chance          share of the range within reach of a line: what peaks of another crystal would meet
    probability     of the extinction class of the label's group
    cell_change     largest relative change of a length
    """

    fit: LatticeFit
    posterior: ClassPosterior
    foreign: np.ndarray
    unexplained: float
    strong: int
    forbidden: np.ndarray
    chance: float
    probability: float
    cell_change: float


def fit_label(found: Found, label: PatternLabel) -> LabelFit:
    """The cell and the group of a label on a pattern; XtinctError where the cell is not one of the group."""
    number, cell = label.number, label.cell
    if number is None or cell is None:
        raise XtinctError("the label has no space group with a cell")
    family = family_of(number)
    error = float(conventional_cell_errors(family, cell[None]).max())
    if error > _ROUNDED:
        raise XtinctError(
            f"the cell {' '.join(f'{x:g}' for x in cell)} is no conventional cell of space group "
            f"{group_name(number)}"
        )
    fit = fit_cell(found.measured, family, form_metric(family, cell[None])[0], found.peaks.profile)
    posterior = class_posterior(fit)
    peaks = found.peaks
    inside = peaks.two_theta <= fit.two_theta[-1]
    away = np.zeros(len(peaks), dtype=bool)
    away[inside] = unexplained(peaks.two_theta[inside], fit, peaks.fwhm[inside])
    highest = np.argsort(-peaks.area, kind="stable")[:_HIGHEST]
    symbol = posterior.class_of(number)
    return LabelFit(
        fit,
        posterior,
        away,
        float(peaks.area[away].sum() / peaks.area[inside].sum()) if inside.any() else 1.0,
        int(away[highest].sum()),
        _forbidden(fit, posterior.allowed(symbol), found),
        _chance(fit, found),
        float(posterior.probability[posterior.symbols.index(symbol)]),
        float(np.abs(fit.cell()[0][:3] / cell[:3] - 1).max()),
    )


def _width(found: Found) -> float:
    return float(np.median(found.peaks.fwhm))


def _forbidden(fit: LatticeFit, allowed: np.ndarray, found: Found) -> np.ndarray:
    """2theta of lines that are seen clearly, alone, and not allowed."""
    m = len(fit.lines)
    area, error, centre = fit.area[:m], fit.area_error[:m], fit.centre[:m]
    seen = ~allowed & (area > _SEEN * error) & (area > _SHARE * fit.area.max(initial=1e-300))
    near = np.array([np.abs(centre[allowed] - x).min(initial=np.inf) for x in centre])
    # Where there is no peak a line only mends the background, as it does at the lowest angles.
    peak = np.array([np.abs(found.peaks.two_theta - x).min(initial=np.inf) for x in centre])
    width = _width(found)
    return np.sort(centre[seen & (near > _ALONE * width) & (peak < _AT_PEAK * width)])


def _chance(fit: LatticeFit, found: Found) -> float:
    """Share of the fitted range within reach of a line of the cell."""
    reach = max(0.05, 0.7 * _width(found))
    centre = np.sort(fit.centre[: len(fit.lines)])
    at = np.clip(np.searchsorted(centre, fit.two_theta), 1, len(centre) - 1) if len(centre) > 1 else 0
    near = np.minimum(np.abs(fit.two_theta - centre[at]), np.abs(fit.two_theta - centre[at - 1]))
    return float(np.mean(near < reach))

"""What the observer reads from one pattern of a file, as plain values."""

from dataclasses import replace

import numpy as np

from xtinct.api import DEFAULT_INSTRUMENT
from xtinct.errors import XtinctError
from xtinct.indexing.observer import Answer, Observer
from xtinct.measured import checked_pattern, without_background
from xtinct.peaks import require_peaks

#: Deviation of a point from an equidistant grid, in steps, that the rounding of a file explains.
_ROUNDED = 0.1


def index_pattern(
    two_theta: np.ndarray,
    intensity: np.ndarray,
    wavelength: float,
    *,
    fwhm: float = DEFAULT_INSTRUMENT.fwhm,
    family: str = "all",
    law: str = "physical",
    subtract_background: bool = False,
) -> dict[str, object]:
    """Cell, indexed lines and ranked classes of a pattern float (n,), on its own equidistant grid.

    two_theta   degrees; wavelength in angstrom; fwhm of its Gaussian peaks, degree: another width that the
                pattern shows is tried too
    family      a crystal family, or "all"
    law         intensity law: uniform | physical

    Returns a dict: family, cell (a b c alpha beta gamma), merit (M20), residual, zero (observed minus true
    2theta, degree) and the fwhm of the peaks, all None if no lattice was found; lines, dicts of hkl (None
    where the cell has no line), d (angstrom), two_theta and intensity; classes, lists of family, symbol and
    probability; groups, of number and probability; absences, of hkl, two_theta, seen, and the natural
    logarithm of the ratio of the probabilities of the best two classes.
    XtinctError where the pattern's points or the instrument do not suit.
    """
    two_theta, intensity = checked_pattern(two_theta, intensity, wavelength)
    grid = np.linspace(two_theta[0], two_theta[-1], len(two_theta))
    if np.abs(two_theta - grid).max() > _ROUNDED * (grid[1] - grid[0]):
        raise XtinctError("pattern: the points must be equidistant in 2theta to be indexed")
    require_peaks(two_theta, intensity)
    if subtract_background:
        intensity = without_background(two_theta, intensity)
    instrument = replace(
        DEFAULT_INSTRUMENT,
        wavelength=float(wavelength),
        two_theta_min=float(two_theta[0]),
        two_theta_max=float(two_theta[-1]),
        points=len(two_theta),
        fwhm=float(fwhm),
    )
    return _plain(Observer(instrument, family, law).predict(intensity)[0], wavelength)


def _once_each(answer: Answer) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(hkl int64 (n, 3), two_theta and height float64 (n,)) of the lines, each reflection once.

    The fit of a peak that is not quite the instrument's may put a second, weak line beside the first;
    both are one reflection, at their mean by height.
    """
    lines, hkl = answer.lines, answer.hkl
    first = np.ones(len(lines), dtype=bool)
    first[1:] = ~(hkl[1:] == hkl[:-1]).all(axis=1) | ~hkl[1:].any(axis=1)
    line = np.cumsum(first) - 1
    height = np.bincount(line, weights=lines.height, minlength=int(first.sum()))
    moment = np.bincount(line, weights=lines.height * lines.two_theta, minlength=int(first.sum()))
    return hkl[first], moment / np.where(height > 0, height, 1.0), height


def _plain(answer: Answer, wavelength: float) -> dict[str, object]:
    lattice = answer.lattice
    hkl, two_theta, height = _once_each(answer)
    d = wavelength / (2 * np.sin(np.radians(two_theta / 2)))
    return {
        "family": answer.family,
        "cell": lattice.cell.tolist() if lattice else None,
        "merit": lattice.merit if lattice else None,
        "residual": lattice.residual if lattice else None,
        "zero": lattice.zero if lattice else None,
        "fwhm": lattice.fwhm if lattice else None,
        "lines": [
            {
                "hkl": index.tolist() if index.any() else None,
                "d": float(spacing),
                "two_theta": float(angle),
                "intensity": float(top),
            }
            for index, spacing, angle, top in zip(hkl, d, two_theta, height, strict=True)
        ],
        "classes": [list(row) for row in answer.classes[:5]],
        "groups": [list(row) for row in answer.groups[:5]],
        "absences": [
            {"hkl": list(hkl), "two_theta": angle, "seen": seen, "log_ratio": ratio}
            for hkl, angle, seen, ratio in answer.absences
        ],
    }

"""What the page draws of an answer, as plain numbers: pattern, background, fit, found lines, ticks."""

from typing import Any

import numpy as np

from xtinct.observer.answer.answer_data import AnswerData
from xtinct.observer.answer.picture import tick_rows
from xtinct.observer.peaks.gridded import Measured, within

#: Significant digits of intensities: more than any screen shows.
_DIGITS = 6


def chart_of(observation: AnswerData) -> dict[str, Any]:
    """Plain values; angles in degrees, intensities in the unit of the file.

    `measured`: two_theta, intensity, background, (n,) each, None for a list of peaks; `fit`: two_theta,
    fitted, background, residual, (m,) each, None without a fit; intensity and residual hold None where
    nothing was measured; `found`: the observed lines; `ticks`: rows of
    marks, each with kind, name, two_theta and hkl.
    """
    measured, fit = observation.measured, observation.fit
    highest = max((line.area for line in observation.lines), default=1.0)
    return {
        "measured": None
        if measured is None
        else {
            "two_theta": _angles(measured.two_theta),
            "intensity": _seen(measured, measured.two_theta, measured.intensity),
            "background": _short(measured.background),
        },
        "fit": None
        if fit is None
        else {
            "two_theta": _angles(fit.two_theta),
            "fitted": _short(fit.fitted),
            "background": _short(fit.background),
            "residual": _seen(measured, fit.two_theta, fit.residual),
        },
        "found": [
            {
                "two_theta": round(line.two_theta, 4),
                "d": round(line.d, 5),
                "area": round(100 * line.area / highest, 2),
                "hkl": "" if line.hkl is None else " ".join(map(str, line.hkl)),
            }
            for line in observation.lines
        ],
        "ticks": [
            {
                "kind": row.kind,
                "name": row.name,
                "two_theta": _angles(row.two_theta),
                "hkl": list(row.hkl),
            }
            for row in tick_rows(observation)
        ],
    }


def _seen(measured: Measured, two_theta: np.ndarray, values: np.ndarray) -> list[float | None]:
    """Values (n,) at angles (n,), None in the gaps of the pattern."""
    gap = within(measured.gaps, two_theta)
    return [None if out else x for out, x in zip(gap.tolist(), _short(values), strict=True)]


def _angles(two_theta: np.ndarray) -> list[float]:
    return np.round(two_theta, 4).tolist()


def _short(values: np.ndarray) -> list[float]:
    """Rounded to so many digits of the largest; what is not finite (nothing is) would be no JSON."""
    values = np.nan_to_num(np.asarray(values, dtype=np.float64))
    largest = float(np.abs(values).max(initial=0.0))
    digits = _DIGITS - 1 - int(np.floor(np.log10(largest))) if largest > 0 else 0
    return np.round(values, digits).tolist()

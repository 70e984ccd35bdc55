"""Measured peaks as structures are held against them."""

import math
from dataclasses import dataclass

import numpy as np

from xtinct.errors import XtinctError
from xtinct.observer.peaks.peak_search import Peaks
from xtinct.observer.peaks.radiation_found import Found
from xtinct.patterns.lorentz import UNPOLARISED, geometric_factor
from xtinct.recognition.known_structures import FIRST, LAST, WAVELENGTH

#: Fewest peaks that anything can be recognised by.
FEWEST = 3
#: Relative uncertainty that an area has at least, and of areas that a list does not say.
_UNSURE = 0.02


class TooFewPeaksError(XtinctError):
    """A pattern shows too few peaks within reach of the tables to recognise anything by."""


@dataclass(frozen=True)
class Targets:
    """Peaks that are to be explained, ascending; float64 (n,).

    two_theta   observed, degrees; error, its uncertainty
    area        over the largest, brought to the Lorentz-polarisation factor of the table; area_error
    fwhm        degrees
    open        share of the area that no phase has explained yet, 0 to 1
    wavelength  angstrom; first and last angle of the pattern, degrees
    gaps        float64 (m, 2), first and last angle of every range in which nothing was measured, degrees
    """

    two_theta: np.ndarray
    error: np.ndarray
    area: np.ndarray
    area_error: np.ndarray
    fwhm: np.ndarray
    open: np.ndarray
    wavelength: float
    first: float
    last: float
    gaps: np.ndarray

    def __len__(self) -> int:
        return len(self.two_theta)

    @property
    def reach(self) -> tuple[float, float]:
        """Least and largest 1/d of the pattern, 1/angstrom, within the table's."""
        low, high = (2 * math.sin(math.radians(x / 2)) / self.wavelength for x in (self.first, self.last))
        return max(low, FIRST), min(high, LAST)


def targets_of(found: Found) -> Targets:
    """The peaks of a pattern, for recognition; TooFewPeaksError where there are too few."""
    measured = found.measured
    return from_peaks(found.peaks, float(measured.two_theta[0]), float(measured.two_theta[-1]))


def from_peaks(peaks: Peaks, first: float, last: float) -> Targets:
    """`peaks` of a pattern from `first` to `last`, degrees; TooFewPeaksError where there are too few."""
    factor = _factor(peaks.two_theta, WAVELENGTH / peaks.wavelength) / _factor(peaks.two_theta, 1.0)
    d_star = 2 * np.sin(np.radians(peaks.two_theta / 2)) / peaks.wavelength
    kept = (d_star > FIRST) & (d_star < LAST) & np.isfinite(factor) & (peaks.area > 0)
    if kept.sum() < FEWEST:
        raise TooFewPeaksError(
            f"pattern: {kept.sum()} peaks between d = {1 / FIRST:.3g} and {1 / LAST:.3g} angstrom, too few "
            f"to recognise anything by (at least {FEWEST})"
        )
    area, area_error = (x[kept] * factor[kept] for x in (peaks.area, peaks.area_error))
    top = area.max()
    return Targets(
        two_theta=np.ascontiguousarray(peaks.two_theta[kept]),
        error=np.ascontiguousarray(peaks.error[kept]),
        area=area / top,
        area_error=np.maximum(area_error / top, _UNSURE * area / top),
        fwhm=np.ascontiguousarray(peaks.fwhm[kept]),
        open=np.ones(int(kept.sum())),
        wavelength=peaks.wavelength,
        first=first,
        last=last,
        gaps=np.array(peaks.gaps, dtype=np.float64).reshape(-1, 2),
    )


def _factor(two_theta: np.ndarray, scale: float) -> np.ndarray:
    """Lorentz-polarisation factor of peaks at a wavelength that is `scale` times theirs; nan beyond it."""
    sine = np.sin(np.radians(two_theta / 2)) * scale
    sine = np.where(sine < 0.9999, sine, np.nan)
    return geometric_factor(sine, np.sqrt(1 - sine**2), UNPOLARISED)

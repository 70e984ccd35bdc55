"""Which lines of a lattice the peaks are, and how certain a whole-pattern fit's shift is."""

from dataclasses import dataclass

import numpy as np

from xtinct.observer.fitting.pawley import LatticeFit
from xtinct.observer.peaks.peak_shapes import shift

#: A peak belongs to a line within this many of its widths, or degrees, whichever is more.
_WITHIN_WIDTHS, _WITHIN = 0.6, 0.05


@dataclass(frozen=True)
class Indexed:
    """Peaks and the lattice's lines they are; arrays (n,) go with the peaks.

    line        int64: index of the fit's line that is nearest, -1 for a peak that is none of the lattice's
    observed    2theta as observed, degree; error, its uncertainty
    calculated  2theta that the fit expects there, shift included; NaN without a line
    hkl         int64 (n, 3): written indices of the line, 0 without one
    lines       int64: lines of the lattice within the peak's width
    unseen      int64 (k,): allowed lines that have no peak
    """

    line: np.ndarray
    observed: np.ndarray
    error: np.ndarray
    calculated: np.ndarray
    hkl: np.ndarray
    lines: np.ndarray
    unseen: np.ndarray

    @property
    def unindexed(self) -> np.ndarray:
        """Peaks that are no line of the lattice: int64 indices."""
        return np.flatnonzero(self.line < 0)


def index_peaks(peaks, fit: LatticeFit, allowed: np.ndarray | None = None) -> Indexed:
    """Assign `peaks` (xtinct.observer.peaks.peak_search.Peaks) to the lines of a fit.

    allowed   bool (m,): lines that may be there, such as `ClassPosterior.allowed`; None: all
    """
    centre = fit.centre[: len(fit.lines)]
    usable = np.arange(len(centre)) if allowed is None else np.flatnonzero(allowed)
    inside = (centre > fit.two_theta[0]) & (centre < fit.two_theta[-1])
    usable = usable[inside[usable]]
    observed = np.asarray(peaks.two_theta, dtype=np.float64)
    n = len(observed)
    within = np.maximum(_WITHIN, _WITHIN_WIDTHS * np.asarray(peaks.fwhm))
    line = np.full(n, -1)
    calculated, hkl = np.full(n, np.nan), np.zeros((n, 3), dtype=np.int64)
    lines, seen = np.zeros(n, dtype=np.int64), np.zeros(len(centre), dtype=bool)
    written = fit.lines.representative()
    for i, at in enumerate(observed):
        distance = np.abs(centre[usable] - at)
        close = usable[distance <= within[i]]
        seen[close] = True
        lines[i] = len(close)
        if len(close):
            # Of lines that overlap, the stronger one is what was seen, unless it lies farther than its share.
            area = np.maximum(fit.area[close], 1e-3 * fit.area.max())
            best = close[np.argmax(np.log(area) - 0.5 * ((centre[close] - at) / (0.3 * within[i])) ** 2)]
            line[i], calculated[i], hkl[i] = best, centre[best], written[best]
    return Indexed(line, observed, np.asarray(peaks.error), calculated, hkl, lines, usable[~seen[usable]])


def mean_shift(fit: LatticeFit) -> tuple[float, float]:
    """Mean of observed minus true 2theta over the lines (weighted by area), and its range: degrees.

    Zero and displacement are hardly told apart; their sum at the lines is what a pattern tells.
    """
    moved = shift(fit.angle[: len(fit.lines)], fit.profile)
    area = fit.area[: len(fit.lines)]
    if not area.sum() > 0:
        return 0.0, 0.0
    return float(np.average(moved, weights=area)), float(np.ptp(moved))

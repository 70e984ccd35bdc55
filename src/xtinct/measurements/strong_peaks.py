"""Whether a measured pattern has peaks at all, and where the strong ones are.

Nothing is known of the instrument here: a peak is what rises out of the noise and is narrower than the
halo of a glass.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d, uniform_filter1d
from scipy.signal import find_peaks

from xtinct.errors import XtinctError

#: Standard deviations of the Gaussians that a pattern is smoothed with in turn, degree; never below a step.
_SMOOTHINGS = (0.05, 0.1, 0.2)
#: Full width at half prominence above which a bump is no peak, and the window it is looked at in, degree.
#: A parabola, which is what the top of a halo looks like, is 2.8 degrees wide in this window.
WIDEST, _WINDOW = 1.6, 4.0
#: Prominence of the highest peak over its noise below which a pattern has none. 540 patterns of noise on
#: flat, falling and halo backgrounds of 0.05 to 50,000 counts, raw and smoothed, stay below 15 but for 2; of
#: 514 measured patterns 2 do. Patterns of ULBD and the same with counting noise have 20 and more.
SIGNIFICANT = 15.0
#: The same for a single line, and its least share of the highest prominence.
_LINE, _WEAKEST = 8.0, 0.02
#: Where fewer lines than this are certain, lines of this significance are taken.
_ENOUGH, _POSSIBLE = 10, 3.0
#: A pattern whose quietest fifth varies by less than this share of its range is calculated: it has no
#: counting noise.
_EXACT = 1e-5
#: Distance of points whose difference tells the noise, degree and smoothings: smoothed noise is correlated.
_LAG = 0.3, 3.0


@dataclass(frozen=True)
class StrongPeaks:
    """Peaks that rise out of the noise, ascending.

    two_theta    float64 (n,), degree
    prominence   float64 (n,), in the unit of the pattern
    significance float64 (n,), prominence over noise; inf where there is none
    """

    two_theta: np.ndarray
    prominence: np.ndarray
    significance: np.ndarray

    def __len__(self) -> int:
        return len(self.two_theta)


def require_peaks(two_theta: np.ndarray, intensity: np.ndarray) -> None:
    """XtinctError unless the pattern float (n,) over `two_theta` (n,), degree, has a peak."""
    if intensity.max() == intensity.min():
        raise XtinctError(f"pattern: no peaks: every intensity is {intensity[0]:g}")
    highest = 0.0
    for smoothing in _SMOOTHINGS:
        found = peaks_of(two_theta, intensity, smoothing)
        highest = max(highest, found.significance.max(initial=0.0))
        if highest >= SIGNIFICANT:
            return
    raise XtinctError(
        f"pattern: no peaks: nothing narrower than {WIDEST:g} degrees rises above {SIGNIFICANT:g} times the "
        f"noise (the highest is {highest:.1f} times); a glass or an empty measurement has no lines to read"
    )


def strong_lines(two_theta: np.ndarray, intensity: np.ndarray) -> StrongPeaks:
    """Peaks of a pattern float (n,) that are certain, and not weaker than 2 % of the most prominent one."""
    found = peaks_of(two_theta, intensity, _SMOOTHINGS[0])
    certain = found.significance > _LINE
    kept = certain & (found.prominence >= _WEAKEST * found.prominence.max(initial=0.0))
    if kept.sum() < _ENOUGH:
        # Few lines, or a noise that crowded lines pretend: the strongest, as far as they are no chance.
        possible = np.flatnonzero(found.significance > _POSSIBLE)
        strongest = possible[np.argsort(-found.prominence[possible], kind="stable")[:_ENOUGH]]
        kept[strongest] = True
    return StrongPeaks(found.two_theta[kept], found.prominence[kept], found.significance[kept])


def peaks_of(two_theta: np.ndarray, intensity: np.ndarray, smoothing: float) -> StrongPeaks:
    """Maxima of the pattern smoothed by a Gaussian of standard deviation `smoothing` (degree)."""
    grid = np.linspace(two_theta[0], two_theta[-1], len(two_theta))
    step = grid[1] - grid[0]
    sigma = max(1.0, smoothing / step)
    y = gaussian_filter1d(np.interp(grid, two_theta, intensity), sigma, mode="nearest")
    window = 2 * round(_WINDOW / 2 / step) + 1
    # A least prominence keeps out the last digits of a flat pattern.
    tops, found = find_peaks(
        y, prominence=1e-9 * np.abs(intensity).max(), width=0, rel_height=0.5, wlen=max(3, window)
    )
    narrow = found["widths"] * step < WIDEST
    tops, prominence = tops[narrow], found["prominences"][narrow]
    noise = _noise_at(y, tops, prominence, step, max(1, round(max(_LAG[0], _LAG[1] * smoothing) / step)))
    significance = np.full(len(tops), np.inf)
    np.divide(prominence, noise, out=significance, where=noise > 0)
    before, here, after = y[tops - 1], y[tops], y[tops + 1]
    bend = before - 2 * here + after
    shift = 0.5 * (before - after) / np.where(bend < 0, bend, -np.inf)
    return StrongPeaks(grid[tops] + step * shift, prominence, significance)


def _noise_at(y: np.ndarray, tops: np.ndarray, prominence: np.ndarray, step: float, lag: int) -> np.ndarray:
    """Standard deviation of the smoothed pattern `y` (n,) at its peaks, float64 (len(tops),).

    From the points `lag` before and after each: constant where the pattern is quietest, and a share of the
    level, as counting gives, that most of the pattern keeps to.
    """
    if len(y) < 4 * lag:
        return np.zeros(len(tops))
    difference = np.abs(y[lag:-lag] - (y[: -2 * lag] + y[2 * lag :]) / 2)
    parts = max(4, len(difference) // max(2 * lag, 32))
    # 1.2533: standard deviation over mean size of a Gaussian; 1.5: variance of the difference.
    sigma = np.array([1.2533 * part.mean() for part in np.array_split(difference, parts)]) / np.sqrt(1.5)
    level = np.array([part.mean() for part in np.array_split(y[lag:-lag], parts)])
    quiet = np.sort(sigma)[parts // 5]
    high = level > 1e-3 * max(level.max(), 0.0)
    gain = float(np.quantile(sigma[high] ** 2 / level[high], 0.2)) if high.any() else 0.0
    if quiet < _EXACT * np.ptp(y):
        return np.full(len(tops), quiet)
    around = np.maximum(uniform_filter1d(y, max(3, round(2.5 / step)))[tops], 0.0)
    # Beneath a strong peak the mean of its surroundings is the peak's own.
    around = np.minimum(around, np.maximum(y[tops] - prominence, around / 2))
    return np.sqrt(quiet**2 + gain * around)

"""A measured pattern on an equidistant grid, with its background and what is known of its noise."""

import math
import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from pybaselines import Baseline
from pybaselines.utils import ParameterWarning
from scipy.ndimage import uniform_filter1d
from scipy.signal import find_peaks, peak_widths

from xtinct.compiling import njit
from xtinct.errors import XtinctError
from xtinct.observer.peaks.peak_shapes import Grid, Wavelengths

#: A pattern is joined to coarser steps, up to the second number (degree), as long as a peak keeps this many
#: within its full width.
_STEPS_A_PEAK, _COARSEST = 5.0, 0.03
#: Stiffness of the background: its shortest bend, degree, at the wavelength of copper.
_BEND = 0.63
#: Peaks wider than this, degree, are humps; and the widest range that a broad peak is held against.
_WIDEST, _WIDEST_REACH = 2.5, 20.0
#: A step is a gap, where nothing was measured, if it is so many times the median step and those beside it,
#: and longer than the last number, degree.
_OF_MEDIAN, _OF_NEIGHBOURS, _LONGEST_STEP = 5.0, 3.0, 0.3
#: Standard deviations of a point by which the level between peaks lies below zero where it does so clearly.
_CLEARLY = 3.0
#: Variance of the points in a gap, over the largest of the others: they say nothing.
_SAYING_NOTHING = 1e9
#: Fewest points that can be judged.
_FEWEST = 50


class Noise(NamedTuple):
    """Variance of a point: gain times level, plus floor. `correlated`: neighbours share their noise."""

    gain: float
    floor: float
    correlated: bool = False


@dataclass(frozen=True)
class Measured:
    """A pattern on an equidistant grid.

    two_theta   float64 (n,), degrees; intensity and background alike, in units of the file
    radiation   wavelengths; noise, of the points
    width       about the FWHM of the strongest peaks, degree
    gaps        first and last angle, degrees, of every range in which nothing was measured: the intensities
                there join its ends
    raised      what was added to all intensities of a file whose level between the peaks is below zero
    """

    two_theta: np.ndarray
    intensity: np.ndarray
    background: np.ndarray
    radiation: Wavelengths
    noise: Noise
    width: float
    gaps: tuple[tuple[float, float], ...] = ()
    raised: float = 0.0

    @property
    def step(self) -> float:
        """Distance of two points, degree."""
        return float(self.two_theta[1] - self.two_theta[0])

    @property
    def grid(self) -> Grid:
        """The points, for the kernels."""
        return Grid(float(self.two_theta[0]), self.step, len(self.two_theta))

    @property
    def narrowest(self) -> float:
        """Smallest FWHM that the points can show, degree."""
        return 1.5 * self.step

    def between(self, low: float, high: float) -> "Measured":
        """The part from `low` to `high`, degrees."""
        inside = (self.two_theta >= low) & (self.two_theta <= high)
        cut = {name: getattr(self, name)[inside] for name in ("two_theta", "intensity", "background")}
        return replace(self, **cut)

    @cached_property
    def occupied(self) -> np.ndarray:
        """bool (n,): points that peaks occupy: the mean over a peak's width is above the background by more
        than the noise of a point."""
        over = uniform_filter1d(self.intensity - self.background, max(1, round(self.width / self.step)))
        return over > np.sqrt(self.variance(self.background, 0.0))

    def variance(self, fitted: np.ndarray, misfit: float) -> np.ndarray:
        """Variance (n,) of the points around `fitted` (n,): noise, and a share `misfit` of the peaks.

        No profile fits perfectly: where a peak is high, its misfit exceeds the noise of counting.
        """
        peaks = np.maximum(fitted - self.background, 0.0)
        variance = self.noise.gain * np.maximum(fitted, 0.0) + self.noise.floor + (misfit * peaks) ** 2
        if self.gaps:
            variance[within(self.gaps, self.two_theta)] = _SAYING_NOTHING * variance.max()
        return variance


def measured(
    two_theta: np.ndarray, intensity: np.ndarray, radiation: Wavelengths, sigma: np.ndarray | None = None
) -> Measured:
    """`two_theta` (n,) ascending, degrees, `intensity` (n,) and its uncertainty (n,) or None, as `Measured`.

    XtinctError where there is nothing to be judged: too few points, or no variation.
    """
    two_theta, intensity = np.asarray(two_theta, dtype=np.float64), np.asarray(intensity, dtype=np.float64)
    if len(two_theta) < _FEWEST:
        raise XtinctError(f"pattern: {len(two_theta)} points, too few to hold peaks (at least {_FEWEST})")
    if not np.ptp(intensity) > 0:
        raise XtinctError("pattern: the intensity is the same everywhere, so there are no peaks")
    gaps = _gaps(two_theta)
    two_theta, intensity, sigma = _equidistant(two_theta, intensity, sigma)
    width = peak_width(two_theta, intensity)
    join = max(1, int(min(width / _STEPS_A_PEAK, _COARSEST) / (two_theta[1] - two_theta[0]) + 1e-6))
    two_theta, intensity, sigma = _joined(two_theta, intensity, sigma, join)
    background = _slow(two_theta, intensity, width, radiation.wavelength)
    raised = _below_zero(intensity, background)
    intensity, background = intensity + raised, np.maximum(background + raised, 0.0)
    # What joins the ends of a gap has no noise.
    seen = ~within(gaps, two_theta)
    own = intensity[seen], background[seen]
    noise = noise_of(*own, two_theta[1] - two_theta[0], width, None if sigma is None else sigma[seen])
    return Measured(two_theta, intensity, background, radiation, noise, width, gaps, raised)


def _below_zero(intensity: np.ndarray, background: np.ndarray) -> float:
    """How far a pattern (n,) lies below zero, where its level between the peaks clearly does; else 0.

    Too large a background was taken off such a one, and neither counts nor their noise begin at zero there.
    """
    scatter = _scatter_of_neighbours(intensity)
    if float(np.median(background)) > -max(_CLEARLY * scatter, 1e-4 * float(np.ptp(intensity))):
        return 0.0
    return -float(background.min())


def _scatter_of_neighbours(intensity: np.ndarray) -> float:
    """Standard deviation of a point, of differences of neighbours."""
    return 1.4826 * float(np.median(np.abs(np.diff(intensity)))) / math.sqrt(2)


def _gaps(two_theta: np.ndarray) -> tuple[tuple[float, float], ...]:
    """First and last angle of the gaps between points (n,), degrees."""
    steps = np.diff(two_theta)
    beside = np.maximum(np.append(steps[1:], 0.0), np.insert(steps[:-1], 0, 0.0))
    long = steps > np.maximum(_OF_NEIGHBOURS * beside, max(_OF_MEDIAN * np.median(steps), _LONGEST_STEP))
    return tuple((float(two_theta[i]), float(two_theta[i + 1])) for i in np.flatnonzero(long))


def within(gaps: tuple[tuple[float, float], ...], two_theta: np.ndarray) -> np.ndarray:
    """bool (n,): which angles lie in a gap."""
    inside = np.zeros(len(two_theta), dtype=bool)
    for low, high in gaps:
        inside |= (two_theta > low) & (two_theta < high)
    return inside


@njit(cache=True)
def in_gap(gaps, two_theta):
    """Whether an angle lies in one of `gaps` float64 (m, 2), for compiled code."""
    inside = False
    for i in range(gaps.shape[0]):
        inside |= gaps[i, 0] < two_theta < gaps[i, 1]
    return inside


def _equidistant(two_theta: np.ndarray, intensity: np.ndarray, sigma: np.ndarray | None):
    """The pattern on equal steps; of unequal ones about the longest, each point the mean of its step."""
    steps = np.diff(two_theta)
    step = float(np.median(steps))
    if np.abs(steps - step).max() < 0.02 * step:
        grid = np.linspace(two_theta[0], two_theta[-1], len(two_theta))
        return grid, intensity, sigma
    step = float(np.quantile(steps, 0.9))
    grid = np.arange(two_theta[0] + step / 2, two_theta[-1] - step / 2, step)
    edges = np.append(grid - step / 2, grid[-1] + step / 2)
    means = [_means(edges, two_theta, y) if y is not None else None for y in (intensity, sigma)]
    return grid, *means


def _means(edges: np.ndarray, two_theta: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Means of straight lines through the points between `edges` (n + 1,)."""
    points = np.union1d(two_theta, edges)
    values = np.interp(points, two_theta, y)
    area = np.concatenate([[0.0], np.cumsum(np.diff(points) * (values[1:] + values[:-1]) / 2)])
    return np.diff(area[np.searchsorted(points, edges)]) / np.diff(edges)


def _joined(two_theta: np.ndarray, intensity: np.ndarray, sigma: np.ndarray | None, k: int):
    """Means of `k` points each."""
    if k == 1:
        return two_theta, intensity, sigma
    n = len(two_theta) // k * k
    mean = [y[:n].reshape(-1, k).mean(axis=1) for y in (two_theta, intensity)]
    if sigma is not None:
        sigma = np.sqrt((sigma[:n].reshape(-1, k) ** 2).mean(axis=1) / k)
    return *mean, sigma


def peak_width(two_theta: np.ndarray, intensity: np.ndarray, reach: float = 6.0) -> float:
    """About the FWHM of the strongest peaks, degree; points (n,) equidistant.

    The pattern is smoothed over as few points as make its peaks stand out of the noise of differences.
    A peak rises above what lies within `reach` degrees; broad ones are looked at over a wider range.
    """
    step = two_theta[1] - two_theta[0]
    noise = _scatter_of_neighbours(intensity)
    for window in (1, 3, 7, 19):
        smooth = uniform_filter1d(intensity, window)
        least = max(0.1 * float(np.ptp(smooth)), 8 * noise / math.sqrt(window))
        tops, found = find_peaks(smooth, prominence=least, wlen=max(9, round(reach / step)))
        if len(tops):
            strong = tops[np.argsort(-found["prominences"], kind="stable")[:12]]
            wide = float(np.median(peak_widths(smooth, strong, rel_height=0.5)[0]))
            width = max(math.sqrt(max(wide**2 - (window**2 - 1) / 2, 1.0)), 2) * step
            if width < 0.1 * reach or reach > _WIDEST_REACH:
                return min(width, _WIDEST)
            return peak_width(two_theta, intensity, 2 * reach)
    return 0.12


def _slow(two_theta: np.ndarray, intensity: np.ndarray, width: float, wavelength: float) -> np.ndarray:
    """What varies slowly, float64 (n,) (arPLS: Baek et al. 2015, Analyst 140, 250)."""
    step = two_theta[1] - two_theta[0]
    bend = max(_BEND * min(1.0, wavelength / 1.54), 4 * width)
    # Smoothed first: the lower envelope of a few counts lies below their mean.
    half = max(1, round(0.5 * width / step))
    smooth = uniform_filter1d(intensity, 2 * half + 1, mode="nearest")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ParameterWarning)  # 40 steps are enough, converged or not
        found, _ = Baseline(two_theta).arpls(smooth, lam=(bend / step) ** 4, max_iter=40, tol=1e-4)
    return found


#: Noise counts as correlated where the scatter over a peak's width exceeds that of neighbours by this.
_CORRELATED = 2.0
#: Widths, in FWHM, over which what scatters more than neighbours do is noise to a search for peaks.
_SCALES = 0.85, 1.35
#: From one scale to the next, where the scale of smoothing is looked for.
_NEXT_SCALE = 1.4
#: Scatter of neighbours that share their noise grows faster than this power of the scale, that of noise and
#: weak lines more slowly.
_GROWTH = 1.2
#: What the scatter of quieter parts is multiplied by: over the width of a peak, and at the scale of
#: smoothing, where fewer weak lines add to it.
_MARGIN, _MARGIN_SMOOTHED = 1.15, 1.4
#: Peaks of this FWHM, degree, leave no part of a pattern quiet; correlated noise of such patterns must show
#: over this many points already.
_BROAD, _SHORT = 0.45, 2


def noise_of(
    intensity: np.ndarray, background: np.ndarray, step: float, width: float, sigma: np.ndarray | None
) -> Noise:
    """Noise of a pattern (n,): of its uncertainties, or of its own scatter.

    Raw counts scatter independently, and differences of neighbours tell the gain (1, or less where counts
    were scaled or joined). Where the pattern was smoothed or resampled, neighbours agree and differences
    call the noise far too small: the scatter over as many points as share their noise, in the quieter parts,
    counts there. Of raw counts that scatter more over the width of a peak than neighbours do, that counts.
    """
    gain = _gain_of(intensity) if sigma is None else _gain_of_sigma(intensity, sigma)
    if sigma is None and abs(gain - 1) < 0.5 and np.mean(intensity == np.round(intensity)) > 0.9:
        gain = 1.0  # counts
    floor = 0.5 * gain * max(1.0 if gain > 0.3 else 0.0, 0.5 * float(np.percentile(intensity, 5)))
    highest = float(intensity.max())
    level = float(np.median(background))
    correlated = False
    found = _scatter_at_peak_scale(intensity, step, width)
    if found is not None:
        a, b, ratio = found
        was = gain * level + floor
        if level < 3e-3 * highest:  # background taken off: the level says nothing of the noise
            if np.mean(intensity <= intensity.min() + 1e-9 * highest) > 0.1:
                a *= 3  # clipped at zero: half of the noise is gone
            a, b = max(a, (7e-4 * highest) ** 2), min(b, 1e-3 * highest)
        if ratio > _CORRELATED and a + b * level > 1.6 * was:
            gain, floor, correlated = max(b, 1e-12), max(a, (1e-4 * highest) ** 2), True
    if gain < 1e-6 * highest and gain * level + 2 * floor < 1e-8 * highest**2:  # no noise at all
        gain, floor, correlated = max(gain, 1e-5 * highest), max(floor, (3e-4 * highest) ** 2), True
    # Where most points of a scaled pattern are zero, they would else have no variance.
    return Noise(gain, floor if floor > 0 else (1e-4 * highest) ** 2, correlated)


def _gain_of(intensity: np.ndarray) -> float:
    """Variance over level, from fourth differences in blocks of 100 points; 1 for raw counts."""
    differences = np.convolve(intensity, [1, -4, 6, -4, 1], "valid") / math.sqrt(70)
    blocks = len(differences) // 100
    if not blocks:
        return 1.0
    scatter = np.median(np.abs(differences[: 100 * blocks].reshape(-1, 100)), axis=1)
    level = intensity[2 : 2 + 100 * blocks].reshape(-1, 100).mean(axis=1)
    ok = level > 0
    return float(max(np.median((1.4826 * scatter[ok]) ** 2 / level[ok]), 1e-12)) if ok.any() else 1.0


def _gain_of_sigma(intensity: np.ndarray, sigma: np.ndarray) -> float:
    ok = (intensity > 0) & np.isfinite(sigma) & (sigma > 0)
    if not ok.any():
        return _gain_of(intensity)
    return float(max(np.median(sigma[ok] ** 2 / intensity[ok]), 1e-12))


def _contrast(y: np.ndarray, points: int) -> np.ndarray:
    """Mean over `points` less the mean beside them; white noise keeps its variance."""
    kernel = np.concatenate([np.full(points, -0.5), np.ones(points), np.full(points, -0.5)])
    return np.convolve(y, kernel / math.sqrt(1.5 * points), "valid")


def _neighbours_agree(y: np.ndarray) -> bool:
    """Whether neighbours share their noise.

    Where broad peaks follow each other over the whole range, no part is quiet at the width of a peak, and
    their curvature would count as noise.
    """
    near, wide = (np.quantile(np.abs(_contrast(y, n)), 0.25) for n in (1, _SHORT))
    return not wide < math.sqrt(_CORRELATED) * near


def _scale_of_noise(y: np.ndarray, block: int, widest: int) -> int:
    """Points over which neighbours no longer share their noise; 1 where they never do, at most `widest`.

    Of smoothed counts the scatter of means grows fast with their length, until it is that of
    independent ones; beyond that it grows by what weak lines add.
    """
    scales = [1]
    while (longer := max(scales[-1] + 1, round(_NEXT_SCALE * scales[-1]))) <= widest:
        scales.append(longer)
    starts = range(0, len(y) - block + 1, block // 2)
    scatter = np.array(
        [[np.median(np.abs(_contrast(y[i : i + block], n))) for n in scales] for i in starts]
    ).reshape(-1, len(scales))
    scatter = scatter[(scatter > 0).all(axis=1)]
    if not len(scatter):
        return widest
    quiet = np.log(scatter[scatter[:, -1] <= np.median(scatter[:, -1])])
    growth = 2 * np.median(np.diff(quiet, axis=1), axis=0) / np.diff(np.log(scales))
    slow = growth < _GROWTH
    slow[:-1] &= slow[1:]  # of moving averages it grows slowly at first, then fast
    if not slow.any():
        return scales[-1]
    first = int(np.argmax(slow))
    return scales[first + 1] if first else 1


def _scatter_at_peak_scale(y: np.ndarray, step: float, width: float) -> tuple[float, float, float] | None:
    """(a, b, ratio): variance a + b * level of independent points, and how far it exceeds neighbours'."""
    block = max(24, round(13 * width / step))
    scales = [max(2, round(scale * width / step)) for scale in _SCALES]
    if width > _BROAD and not _neighbours_agree(y):
        return None
    if block > len(y) or block <= 3 * scales[-1] + 4:
        return None
    smoothed = _scale_of_noise(y, block, scales[-1])
    margin = _MARGIN
    if smoothed > 1:  # there weak lines are no noise
        scales, margin = [smoothed], _MARGIN_SMOOTHED
    first = _contrast(y, 1)
    rows = []
    for i in range(0, len(y) - block + 1, block // 2):
        part, near = y[i : i + block], first[i : i + block - 2]
        wide = [_contrast(part, points) for points in scales]
        variance = max(max((1.4826 * np.median(np.abs(c))) ** 2, 0.35 * np.mean(c**2)) for c in wide)
        rows.append((np.median(part), variance, (1.4826 * np.median(np.abs(near))) ** 2, np.mean(near**2)))
    rows = np.array(rows).reshape(-1, 4)
    rows = rows[(rows[:, 1] > 0) & (rows[:, 3] > 0)]  # a constant says nothing of noise
    if len(rows) < 5:
        return None
    level, variance = rows[:, 0], rows[:, 1]
    neighbours = np.maximum(rows[:, 2], 0.3 * rows[:, 3])
    unit, above = max(float(np.median(np.abs(level))), 1e-9), np.maximum(level, 0.0)

    def fitted(chosen: np.ndarray) -> tuple[float, float]:
        """Share of the floor, and the logarithm of the scale, of the lower third of the scatter."""
        best = (math.inf, 0.0, 0.0)
        for share in (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0):
            excess = np.log(variance[chosen] / (share + (1 - share) * above[chosen] / unit + 1e-6))
            centre = np.quantile(excess, 0.35)
            excess = excess - centre
            loss = np.mean(np.where(excess > 0, 0.35 * np.minimum(excess, 1.5), -0.65 * excess))
            best = min(best, (float(loss) + 0.01 * share, share, float(centre)))
        return best[1], best[2]

    chosen = np.ones(len(rows), dtype=bool)
    for _ in range(3):
        share, centre = fitted(chosen)
        excess = np.log(variance / (share + (1 - share) * above / unit + 1e-6)) - centre
        chosen = excess < np.quantile(excess, 0.6)
        if chosen.sum() < 5:
            chosen = excess < np.quantile(excess, 0.9)
        if chosen.sum() < 3:
            break
    quiet = excess <= np.quantile(excess, 0.35)
    ratio = float(np.median(variance[quiet] / np.maximum(neighbours[quiet], 1e-30)))
    size = margin * math.exp(centre)
    return size * share, size * (1 - share) / unit, ratio

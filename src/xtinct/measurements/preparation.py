"""Measured patterns: reading them, taking off their background, bringing them to a model's grid and width."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks, peak_widths

from xtinct.errors import XtinctError
from xtinct.linelists.line_lists import LineLists
from xtinct.patterns.instrument import FWHM_PER_SIGMA, Instrument
from xtinct.patterns.lorentz import geometric_factor
from xtinct.patterns.rendering import render
from xtinct.radiation.wavelength import check_wavelength

#: Half-width of the widest thing that is taken for a peak and not for background, degree.
PEAK_HALF_WIDTH = 1.0
#: Shares of the widths that a model was trained for at which peaks count as too wide, and as too narrow.
#: At these widths the default models lose at most six and one percentage points of their accuracy.
TOO_WIDE, TOO_NARROW = 1.1, 0.95
#: Only peaks that rise by this share of the highest one are measured.
_STRONG = 0.1
#: A peak stands alone if its two feet are as high as each other, its sides as wide, and its foot as wide
#: beside its half as that of a single line, all within these shares of its height and its width.
_UNEVEN, _UNLIKE = 0.1, 0.15
#: How far around a peak its feet are looked for, in the model's widths: in turn, until peaks are found.
_REACHES = (5.0, 15.0, 50.0)
#: A step of so many median steps is a gap, if a peak finds room in it.
_GAP = 5.0


def checked_pattern(
    two_theta: np.ndarray, intensity: np.ndarray, wavelength: float
) -> tuple[np.ndarray, np.ndarray]:
    """The pattern as float64 (n,) arrays, negative intensities set to 0; XtinctError if it is none."""
    two_theta = np.asarray(two_theta, dtype=np.float64)
    intensity = np.asarray(intensity, dtype=np.float64)
    if two_theta.ndim != 1 or two_theta.shape != intensity.shape:
        raise XtinctError(
            f"pattern: two_theta {two_theta.shape} and intensity {intensity.shape} must be (n,)"
        )
    if len(two_theta) < 2:
        raise XtinctError(f"pattern: {len(two_theta)} points, expected at least 2")
    if not (np.isfinite(two_theta).all() and np.isfinite(intensity).all() and (np.diff(two_theta) > 0).all()):
        raise XtinctError("pattern: two_theta must ascend, and all values must be finite")
    if not (two_theta[0] >= 0 and two_theta[-1] < 180):
        raise XtinctError(
            f"pattern: two_theta {two_theta[0]}-{two_theta[-1]} degrees, expected 0 to less than 180"
        )
    check_wavelength("pattern: wavelength", wavelength, float(two_theta[-1]))
    if not (intensity > 0).any():
        raise XtinctError("pattern: intensities must be somewhere positive")
    return two_theta, np.clip(intensity, 0.0, None)


def without_background(two_theta: np.ndarray, intensity: np.ndarray) -> np.ndarray:
    """`intensity` (n,) less what varies slowly over `two_theta` (n,), degree; nowhere negative.

    SNIP (Ryan et al. 1988, Nucl. Instrum. Methods B 34, 396) with windows that narrow from
    PEAK_HALF_WIDTH (Morhac et al. 1997, Nucl. Instrum. Methods A 401, 113), on a regular grid of the
    pattern's mean step. Noise above the background stays.
    """
    grid = np.linspace(two_theta[0], two_theta[-1], len(two_theta))
    y = np.interp(grid, two_theta, intensity)
    y = np.log(np.log(np.sqrt(y + 1) + 1) + 1)
    for half in range(max(1, round(PEAK_HALF_WIDTH / (grid[1] - grid[0]))), 0, -1):
        padded = np.pad(y, half, mode="edge")
        y = np.minimum(y, (padded[: -2 * half] + padded[2 * half :]) / 2)
    background = (np.exp(np.exp(y) - 1) - 1) ** 2 - 1
    return np.clip(intensity - np.interp(two_theta, grid, background), 0.0, None)


def on_grid(
    two_theta: np.ndarray,
    intensity: np.ndarray,
    wavelength: float,
    instrument: Instrument,
    *,
    fill_missing: bool = False,
) -> np.ndarray:
    """The pattern on the instrument's grid, float32 (points,): each point the mean of its neighbourhood.

    Points are carried over by equal sin(theta) / wavelength, and intensities by the ratio of the
    instrument's geometric factors at the two angles: the measurement is taken to have the same
    monochromator angle. A pattern that does not cover the grid is an XtinctError if more than a peak's
    width is missing, at an end or in a gap; what is missing is zero, as if no line were there, which
    `fill_missing` allows for any part of the range.
    """
    step = instrument.step
    edges = np.concatenate([instrument.two_theta - step / 2, [instrument.two_theta_max + step / 2]])
    sine = np.sin(np.radians(edges / 2)) * (wavelength / instrument.wavelength)
    reached = np.degrees(2 * np.arcsin(np.minimum(sine, 1.0)))
    low, high = reached[:-1], reached[1:]
    covered = (sine[1:] < 1) & (high > two_theta[0]) & (low < two_theta[-1])
    # A peak's width at either end may be missing: no line that is cut there could be read anyway.
    slack = instrument.resolution + step
    reaches = sine[-1] < 1 and low[0] >= two_theta[0] - slack and high[-1] <= two_theta[-1] + slack
    if not reaches and not fill_missing:
        needed = f"{max(0.0, reached[0]):.2f}-" + (f"{reached[-1]:.2f}" if sine[-1] < 1 else "over 180")
        raise XtinctError(
            f"pattern: {two_theta[0]:g}-{two_theta[-1]:g} degrees at {wavelength:g} angstrom, but the model "
            f"needs {needed} degrees at that wavelength; what is missing can be filled with zeros on demand"
        )
    gaps = _gaps(two_theta, wavelength, instrument)
    gaps = gaps[(gaps[:, 0] < reached[-1]) & (gaps[:, 1] > reached[0])]
    if len(gaps) and not fill_missing:
        raise XtinctError(
            f"pattern: nothing was measured between {gaps[0, 0]:.2f} and {gaps[0, 1]:.2f} degrees, which the "
            "model needs; what is missing can be filled with zeros on demand"
        )
    for first, last in gaps:
        covered &= (high <= first) | (low >= last)
    if not covered.any():
        raise XtinctError(
            f"pattern: {two_theta[0]:g}-{two_theta[-1]:g} degrees at {wavelength:g} angstrom has nothing of "
            "the range that the model looks at"
        )
    area = np.concatenate([[0.0], np.cumsum(np.diff(two_theta) * (intensity[1:] + intensity[:-1]) / 2)])
    pattern = np.zeros(instrument.points)
    # Integrals between points of the measurement: the integral of a line is a parabola.
    integral = _integral(np.clip(reached, two_theta[0], two_theta[-1]), two_theta, intensity, area)
    width = np.clip(high, two_theta[0], two_theta[-1]) - np.clip(low, two_theta[0], two_theta[-1])
    inside = covered & (width > 0)
    pattern[inside] = np.diff(integral)[inside] / width[inside]
    theta_model = np.radians(instrument.two_theta[inside] / 2)
    theta_measured = np.radians((low + high)[inside] / 4)
    factor_model, factor_measured = (
        geometric_factor(np.sin(theta), np.cos(theta), instrument.polarisation)
        for theta in (theta_model, theta_measured)
    )
    pattern[inside] *= factor_model / factor_measured
    return pattern.astype(np.float32)


def _gaps(two_theta: np.ndarray, wavelength: float, instrument: Instrument) -> np.ndarray:
    """First and last angle (m, 2), degrees, of gaps between points that hide a peak of the instrument."""
    steps = np.diff(two_theta)
    long = np.flatnonzero(steps > _GAP * np.median(steps))
    ends = np.stack([two_theta[long], two_theta[long + 1]], axis=1)
    sine = np.sin(np.radians(ends / 2)) * (instrument.wavelength / wavelength)
    of_model = np.degrees(2 * np.arcsin(np.minimum(sine, 1.0)))
    return ends[np.diff(of_model, axis=1)[:, 0] > instrument.resolution]


def _integral(x: np.ndarray, two_theta: np.ndarray, intensity: np.ndarray, area: np.ndarray) -> np.ndarray:
    i = np.clip(np.searchsorted(two_theta, x, side="right") - 1, 0, len(two_theta) - 2)
    t = x - two_theta[i]
    slope = (intensity[i + 1] - intensity[i]) / (two_theta[i + 1] - two_theta[i])
    return area[i] + t * (intensity[i] + slope * t / 2)


def width_factor(pattern: np.ndarray, instrument: Instrument) -> float | None:
    """Width of the peaks of `pattern`, float (points,), in units of the instrument's; None if not measurable.

    Strong peaks that stand alone are measured at half their height above the feet, and so are single
    lines of the instrument at the same places. The lower quartile of the ratios counts: overlap that
    went unseen can only widen a peak.
    """
    # A little smoothing, which the widths are corrected for, keeps noise from making peaks of its own.
    sigma = 0.1 * instrument.resolution / instrument.step
    smooth = gaussian_filter1d(np.asarray(pattern, dtype=np.float64), sigma, mode="nearest")
    for reach in _REACHES:
        window = 2 * round(reach * instrument.resolution / instrument.step) + 1
        ratios = list(_lone_peaks(smooth, instrument, sigma, window))
        if ratios:
            return float(np.quantile(ratios, 0.25))
    return None


def _lone_peaks(smooth: np.ndarray, instrument: Instrument, sigma: float, window: int) -> Iterator[float]:
    """Width of each peak that stands alone, over that of a single line there, `sigma` (points) taken off."""
    tops, found = find_peaks(smooth, prominence=_STRONG * smooth.max(), wlen=window)
    feet = smooth[np.stack([found["left_bases"], found["right_bases"]])] if len(tops) else np.empty((2, 0))
    tops = tops[abs(feet[0] - feet[1]) < _UNEVEN * found["prominences"]]
    if not len(tops):
        return
    # The optics alone: nothing that moves lines, and nothing beside them.
    optics = replace(
        instrument, zero_shift=0.0, displacement=0.0, background=(), humps=(), counts=0.0, impurities=()
    )
    d_star = 2 * np.sin(np.radians(instrument.two_theta[tops] / 2)) / instrument.wavelength
    lines = LineLists(np.arange(len(tops) + 1), d_star, np.ones(len(tops), dtype=np.float32))
    singles = gaussian_filter1d(render(lines, optics).astype(np.float64), sigma, axis=1, mode="nearest")

    def shape(curve: np.ndarray, top: int) -> tuple[float, float, float]:
        """Width at half height (points); over it: width near the foot, difference of the sides."""
        (foot,) = peak_widths(curve, [top], rel_height=0.85, wlen=window)[0]
        (full,), _, (left,), (right,) = peak_widths(curve, [top], rel_height=0.5, wlen=window)
        return full, foot / full, (left + right - 2 * top) / full

    smoothing = (FWHM_PER_SIGMA * sigma) ** 2
    for top, single in zip(tops, singles, strict=True):
        full, foot, skew = shape(smooth, top)
        full_1, foot_1, skew_1 = shape(single, int(single.argmax()))
        # Of peaks as narrow as a few steps the grid does not show the shape any better than to a step.
        alike = max(_UNLIKE, 1 / full)
        if abs(foot / foot_1 - 1) < alike and abs(skew - skew_1) < alike:
            yield float(np.sqrt(max(full**2 - smoothing, 0.0) / (full_1**2 - smoothing)))


def with_model_widths(
    pattern: np.ndarray,
    instrument: Instrument,
    trained: tuple[float, float] = (1.0, 1.0),
    *,
    any_width: bool = False,
) -> tuple[np.ndarray, list[str]]:
    """(`pattern` float (points,) with peaks as wide as the model's, what is to be said of it).

    `trained`: the least and greatest widths that the model was trained for, in units of the
    instrument's. Narrower peaks are broadened by the Gaussian that makes up the difference, which for
    Gaussian peaks gives exactly the model's. Wider ones, and narrower ones of another shape, are an
    XtinctError, or left as they are and said with `any_width`. Widths that cannot be measured are said.
    """
    factor = width_factor(pattern, instrument)
    if factor is None:
        return pattern, ["no peak stands alone, so it is not known whether the widths are the model's"]
    low, high = trained
    if TOO_NARROW * low <= factor <= TOO_WIDE * high:
        return pattern, []
    gaussian = instrument.profile == "gaussian" or (
        instrument.profile == "pseudo-voigt" and not instrument.eta
    )
    if factor < low and gaussian:
        return _broadened(pattern, instrument, low**2 - factor**2), []
    widths = sorted({round(x * instrument.resolution, 3) for x in trained})
    difference = (
        f"peaks are {factor * instrument.resolution:.3f} degrees wide (FWHM, on the model's grid), but those "
        f"of the model {' to '.join(f'{width:.3f}' for width in widths)}"
    )
    if not any_width:
        raise XtinctError(
            f"pattern: {difference}, so its answer would not be reliable; train a model for this width "
            "(instrument.fwhm, or variation.width_factor of an experiment), or ask for an answer all the "
            "same with any_width (--any-width)"
        )
    return pattern, [f"{difference}: the answer is not to be relied on"]


def _broadened(pattern: np.ndarray, instrument: Instrument, squares: float) -> np.ndarray:
    """`pattern` (points,) smeared by Gaussians; `squares`: of their widths, in units of the instrument's."""
    fwhm, _ = instrument.widths_at(np, np.radians(instrument.two_theta / 2), instrument.wavelength)
    sigma = np.sqrt(squares) * fwhm / FWHM_PER_SIGMA / instrument.step
    reach = int(np.ceil(5 * sigma.max()))
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / sigma[:, None]) ** 2)
    weights *= (pattern / weights.sum(axis=1))[:, None]
    broad = np.zeros(len(pattern) + 2 * reach)
    for column, offset in enumerate(offsets):
        broad[reach + offset : reach + offset + len(pattern)] += weights[:, column]
    return broad[reach : reach + len(pattern)].astype(np.float32)

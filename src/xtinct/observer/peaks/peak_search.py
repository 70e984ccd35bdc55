"""Peaks of a measured pattern: found on what a fit leaves, judged against noise and the tails of others."""

from dataclasses import dataclass

import numpy as np

from xtinct.compiling import njit
from xtinct.observer.peaks.gridded import Measured
from xtinct.observer.peaks.peak_fit import PeakFit, fit_peaks, profiles
from xtinct.observer.peaks.peak_shapes import Profile, doublet, q_of, shapes, true_angle
from xtinct.radiation.anodes import ANODES, TUNGSTEN_L_ALPHA

#: Largest 1/d^2 that is looked at first, 1/angstrom^2, and the number of peaks below which all is.
_REACH, _FEW = 0.6246, 15
#: A search begins this many widths after the first point.
BEGIN = 2.5
#: Points up to which a part is too short to be searched.
_SHORTEST = 20
#: Most peaks that are looked for.
_MOST = 110
#: Widths of peaks that a search begins with: the widest, degree, or this many times the width of the
#: strongest peaks, and the ratio of one to the next.
_WIDEST, _OF_STRONGEST, _RATIO = 0.95, 1.3, 1.75
#: A known width is tried within this factor.
_NEAR = 2.0
#: Height over its error that a peak needs at the end, and share of the highest peak.
_SIGNIFICANT, _LEAST = 4.0, 0.006
#: Height over its error at which a bump is tried; more in the first rounds.
_TRIED = 5.0
#: Distance from a higher peak, in widths, and share of its height that a bump there must exceed: profiles
#: do not fit perfectly, and what they leave looks like peaks.
_TAILS = ((9.0, 0.006), (5.0, 0.018), (2.5, 0.05), (1.2, 0.10))
#: The same for areas, of peaks on the flanks: distance below, share.
_FLANKS = ((5.0, 0.015), (2.0, 0.05))
#: Shares of a peak's area that its K-beta and its tungsten L-alpha line stay below.
_GHOSTS = 0.04, 0.03
#: Median width, degree, below which errors besides those of counting are smaller in proportion: an instrument
#: of sharper peaks is better aligned too.
_SHARP = 0.055


@dataclass(frozen=True)
class Peaks:
    """Peaks of a pattern, ascending; float64 (n,) each.

    two_theta    observed position of the first wavelength's component, degrees; error, its uncertainty
    area         intensity times degree; area_error
    fwhm         degrees; gap, distance to the nearest other peak, degrees
    wavelength   angstrom; profile, the shapes
    gaps         first and last angle, degrees, of every range in which nothing was measured
    """

    two_theta: np.ndarray
    error: np.ndarray
    area: np.ndarray
    area_error: np.ndarray
    fwhm: np.ndarray
    gap: np.ndarray
    wavelength: float
    profile: Profile
    gaps: tuple[tuple[float, float], ...] = ()

    def __len__(self) -> int:
        return len(self.two_theta)

    @property
    def q(self) -> np.ndarray:
        """1/d^2, 1/angstrom^2, as if there were no shift."""
        return q_of(self.two_theta, self.wavelength)


def error_share(fwhm: np.ndarray) -> float:
    """Share of the usual systematic errors that peaks of these widths (n,), degree, have; at most 1."""
    return min(1.0, float(np.median(fwhm)) / _SHARP) if len(fwhm) else 1.0


def find_peaks(measured: Measured, width: float | None = None) -> tuple[Peaks, PeakFit | None]:
    """Peaks of a pattern, and the fit that they are of (None where there is no peak).

    width  about the FWHM of the peaks, degree, where it is known; None: all widths are tried
    """
    low = measured.two_theta[0] + BEGIN * measured.width
    end = measured.two_theta[-1]
    reach = float(true_angle(np.array([_REACH]), measured.radiation.wavelength)[0])
    part = measured.between(low, min(end, reach))
    found = _search(part, width) if len(part.two_theta) > _SHORTEST else None
    if (found is None or len(found[0]) < _FEW) and end > reach:
        part = measured.between(low, end)
        found = (_search(part, width) if len(part.two_theta) > _SHORTEST else None) or found
    if found is None:
        nothing = np.zeros(0)
        return Peaks(*([nothing] * 6), measured.radiation.wavelength, Profile()), None
    return found


def _search(measured: Measured, known: float | None) -> tuple[Peaks, PeakFit] | None:
    widths = [w for w in _widths(measured) if known is None or 1 / _NEAR < w / known < _NEAR]
    starts = [fit for w in widths if (fit := _begin(measured, w)) is not None]
    if not starts:
        return None
    fit = min(starts, key=lambda fit: fit.chi2)
    for turn in range(6):
        new = _bumps(measured, fit, _TRIED + (2 if turn < 2 else 0))
        if not len(new) and turn > 1:
            break
        two_theta = np.sort(np.concatenate([fit.two_theta, new]))[:_MOST]
        shape = ("W", "V", "U", "eta0", "asymmetry") if len(two_theta) > 8 else ("W", "eta0")
        for _ in range(2):
            fit = _pruned(measured, fit_peaks(measured, two_theta, fit.profile, shape=shape, steps=2), shape)
            two_theta = fit.two_theta
    return _judged(measured, fit)


def _widths(measured: Measured) -> list[float]:
    widths = [max(_WIDEST, _OF_STRONGEST * measured.width)]
    while widths[-1] / _RATIO > 2.5 * measured.step:
        widths.append(widths[-1] / _RATIO)
    return widths


def _begin(measured: Measured, width: float) -> PeakFit | None:
    """A fit of the strongest peaks of about this width, or None where there are none."""
    profile = Profile(W=width**2)
    variance = measured.variance(measured.background, 0.0)
    strength = matched(measured, measured.intensity - measured.background, variance, profile)
    nothing, wide = np.zeros(0), np.full(len(strength), width)
    least = max(8 * np.median(_scatter(measured, strength, nothing, wide)) ** 0.5, 0.08 * strength.max())
    found = _maxima(strength, measured.two_theta, least, wide, nothing)[:25]
    if not len(found):
        found = _maxima(strength, measured.two_theta, 6.0, wide, nothing)[:8]
    if not len(found):
        return None
    return fit_peaks(measured, found, profile, steps=4)


def matched(measured: Measured, residual: np.ndarray, variance: np.ndarray, profile: Profile) -> np.ndarray:
    """Height over its error of a peak at every point, float64 (n,), above a constant and a slope there."""
    form = shapes(measured.two_theta, profile, measured.narrowest)
    lines = doublet(measured.two_theta, measured.radiation, Profile())
    column = profiles(measured, lines, form, reach=3.0, derivatives=False)
    return _matched(column, 1 / variance, residual)


@njit(cache=True)
def _matched(column, weight, residual):
    out = np.zeros(column.start.size)
    for j in range(out.size):
        first, length = column.start[j], column.length[j]
        s0, s1, s2, p0, p1 = 1e-30, 0.0, 0.0, 0.0, 0.0
        for i in range(length):
            w, u = weight[first + i], i - 0.5 * length
            s0 += w
            s1 += w * u
            s2 += w * u * u
            p0 += w * column.values[0, j, i]
            p1 += w * u * column.values[0, j, i]
        det = s0 * s2 - s1 * s1 + 1e-30
        constant, slope = (p0 * s2 - p1 * s1) / det, (p1 * s0 - p0 * s1) / det
        top, square = 0.0, 1e-30
        for i in range(length):
            w = weight[first + i]
            peak = column.values[0, j, i] - constant - slope * (i - 0.5 * length)
            top += peak * w * residual[first + i]
            square += peak * peak * w
        out[j] = top / np.sqrt(square)
    return out


def _maxima(
    strength: np.ndarray, two_theta: np.ndarray, least: float, width: np.ndarray, known: np.ndarray
) -> np.ndarray:
    """Angles of the maxima above `least`, highest first, away from each other and from `known` peaks."""
    top = (strength[1:-1] > strength[:-2]) & (strength[1:-1] >= strength[2:]) & (strength[1:-1] > least)
    places = np.flatnonzero(top) + 1
    out: list[float] = []
    for i in places[np.argsort(-strength[places], kind="stable")]:
        angle = two_theta[i]
        if len(known) and np.abs(known - angle).min() < 0.45 * width[i]:
            continue
        if all(abs(angle - other) >= 1.2 * width[i] for other in out):
            out.append(angle)
    return np.array(out)


def _scatter(measured: Measured, strength: np.ndarray, peaks: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Scatter (n,) of `matched` away from peaks, 1 or more: that of its negative values."""
    two_theta = measured.two_theta
    free = strength < 0
    if len(peaks):
        right = np.clip(np.searchsorted(peaks, two_theta), 1, max(1, len(peaks) - 1))
        right = np.minimum(right, len(peaks) - 1)
        left = np.maximum(right - 1, 0)
        near = np.minimum(np.abs(two_theta - peaks[right]), np.abs(two_theta - peaks[left]))
        free &= near > 0.6 * width
    size = np.abs(strength)
    whole = np.median(size[free]) / 0.6745 if free.sum() > 20 else 1.0
    half = 33 * measured.width
    centres = np.arange(two_theta[0], two_theta[-1] + half / 2, half / 2)
    values = []
    for centre in centres:
        here = free & (np.abs(two_theta - centre) < half)
        n = int(here.sum())
        local = np.median(size[here]) / 0.6745 if n > 10 else whole
        values.append((n * local + 40 * whole) / (n + 40))
    return np.maximum(1.0, np.interp(two_theta, centres, values))


def _bumps(measured: Measured, fit: PeakFit, least: float) -> np.ndarray:
    """Angles at which the fit leaves a peak that the misfit of its neighbours does not explain."""
    width = shapes(measured.two_theta, fit.profile, measured.narrowest).fwhm
    strength = matched(measured, fit.residual, fit.variance, fit.profile)
    new = _maxima(strength, measured.two_theta, least, width, fit.two_theta)[:25]
    if not len(new):
        return new
    peaks = fit.fitted - fit.background
    half = max(1, round(0.5 * float(np.median(width)) / measured.step))
    places = np.clip(np.searchsorted(measured.two_theta, new), 0, len(peaks) - 1)
    around = np.array([peaks[max(0, i - half) : i + half + 1].max() for i in places])
    left = np.array([fit.residual[max(0, i - 1) : i + 2].mean() for i in places])
    return new[left > 0.04 * around]


def _pruned(measured: Measured, fit: PeakFit, shape: tuple[str, ...]) -> PeakFit:
    """The fit without peaks that ran into others or vanish in their errors."""
    width = shapes(fit.two_theta, fit.profile, measured.narrowest).fwhm
    keep = fit.area > 2.5 * fit.area_error
    for j in np.flatnonzero(np.diff(fit.two_theta) < 0.3 * width[:-1]):
        keep[j if fit.area[j] < fit.area[j + 1] else j + 1] = False
    if keep.all():
        return fit
    if not keep.any():
        keep[np.argmax(fit.area)] = True
    return fit_peaks(measured, fit.two_theta[keep], fit.profile, shape=shape, steps=1)


def _judged(measured: Measured, fit: PeakFit) -> tuple[Peaks, PeakFit]:
    """The peaks of a fit that stand out of noise, misfit and tails, and are no ghosts of others."""
    two_theta, area = fit.two_theta, fit.area
    width = shapes(two_theta, fit.profile, measured.narrowest).fwhm
    # The residual around a peak tells its errors better than the noise does.
    square = fit.residual**2 / fit.variance
    half = max(3, round(4 * measured.width / measured.step))
    local = np.convolve(np.pad(square, half, mode="edge"), np.full(2 * half + 1, 1 / (2 * half + 1)), "valid")
    factor = np.sqrt(np.maximum(1.0, np.interp(two_theta, measured.two_theta, local)))
    strength = matched(measured, fit.residual, fit.variance, fit.profile)
    everywhere = shapes(measured.two_theta, fit.profile, measured.narrowest).fwhm
    scatter = _scatter(measured, strength, two_theta, everywhere)
    factor = np.maximum(factor, np.interp(two_theta, measured.two_theta, scatter))
    height = area / width
    keep = (area > _SIGNIFICANT * factor * fit.area_error) & (area > 0)
    keep &= height > _tail_limit(measured, two_theta, height, width)
    keep &= height > _LEAST * height.max()
    keep &= ~_ghosts(measured, two_theta, area, width)
    gap = np.full(len(two_theta), 75 * measured.width)
    if len(two_theta) > 1:
        gaps = np.diff(two_theta)
        gap[:-1], gap[1:] = gaps, np.minimum(np.append(gaps[1:], np.inf), gaps)
    columns = (
        two_theta,
        np.minimum(factor * fit.error, 0.4 * width),
        area,
        factor * fit.area_error,
        width,
        gap,
    )
    return Peaks(*(x[keep] for x in columns), measured.radiation.wavelength, fit.profile, measured.gaps), fit


def _tail_limit(
    measured: Measured, two_theta: np.ndarray, height: np.ndarray, width: np.ndarray
) -> np.ndarray:
    """Height (m,) that the misfit of higher peaks, and of their tails, may feign where each peak is."""
    second = doublet(two_theta, measured.radiation, Profile()).second
    apart = np.minimum(
        np.abs(two_theta[:, None] - two_theta), np.abs(two_theta[:, None] - second)
    ) / np.maximum(width, width[:, None])
    higher = height > height[:, None]
    limit = np.zeros(len(two_theta))
    for distance, share in _TAILS:
        limit = np.maximum(limit, share * np.where(higher & (apart < distance), height, 0.0).max(axis=1))
    return limit


def _ghosts(measured: Measured, two_theta: np.ndarray, area: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Whether a peak (m,) is another's K-beta or tungsten line, or a bump on its flank."""
    ghost = np.zeros(len(two_theta), dtype=bool)
    sine = np.sin(np.radians(two_theta / 2))
    wavelength = measured.radiation.wavelength
    for anode in ANODES.values():
        if abs(wavelength / anode.alpha1 - 1) > 5e-4:
            continue
        for other, share in zip((anode.beta, TUNGSTEN_L_ALPHA), _GHOSTS, strict=True):
            place = 2 * np.degrees(np.arcsin(np.minimum(1, sine * other / wavelength)))
            near = np.abs(place - two_theta[:, None]) < np.maximum(0.12, 0.6 * width)[:, None]
            ghost |= (near & (area[:, None] < share * area)).any(axis=1)
    apart = np.abs(two_theta - two_theta[:, None])
    for distance, share in _FLANKS:
        near = (apart > 0) & (apart < distance * width[:, None])
        ghost |= (near & (area[:, None] < share * area)).any(axis=1)
    return ghost

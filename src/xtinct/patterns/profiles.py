"""Line lists to patterns on the CPU for any instrument and any measuring conditions.

Peaks have the area of their line, whatever their width. Gaussians are cut after CUT_SIGMAS; the tails
of Lorentzians are not cut: near its centre a Lorentzian is written point by point less a smooth
function that takes its place there, and that function and the tails go to a coarse grid, which one
cubic interpolation brings to all points. The sum agrees with the exact one to 1e-6 of the maximum
(Gaussians) and 1e-5 (Lorentzians).
"""

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numba.extending import register_jitable

from xtinct.compiling import njit
from xtinct.linelists.line_lists import LineLists
from xtinct.patterns.conditions import Conditions
from xtinct.patterns.instrument import CUT_SIGMAS, FWHM_PER_SIGMA, Instrument
from xtinct.patterns.noise import add_counting_noise, line_keys
from xtinct.patterns.placement import PlacedLines, Shifts, in_points, place

#: Half the part of a Lorentzian that is written point by point, in coarse steps.
NEAR_STEPS = 16
#: Coarse steps to the narrowest width; largest coarse step in points.
STEPS_PER_WIDTH, LARGEST_STEP = 2.0, 64


def render_any(
    lines: LineLists, instrument: Instrument, conditions: Conditions | None, out: np.ndarray
) -> np.ndarray:
    """Fill `out` float32 (len(lines), points) with patterns, the maximum of each 1, and return it."""
    conditions = with_noise_of_lines(lines, instrument, conditions or Conditions())
    n = len(lines)
    conditions.check(n)
    impurities = impurity_lines(instrument, conditions, n)
    if impurities is None:
        impurities = LineLists(np.zeros(n + 1, np.int64), np.empty(0), np.empty(0, np.float32))
    quiet = conditions.counts is None
    _render(
        lines.offsets.astype(np.int64),
        _placed(lines, instrument, conditions),
        impurities.offsets.astype(np.int64),
        _placed(impurities, instrument, conditions, geometric=False),
        background_of(instrument, conditions),
        CountingNoise(
            np.full(n, np.inf) if quiet else np.asarray(conditions.counts, np.float64),
            np.zeros(n, np.uint64) if quiet else conditions.noise_keys.astype(np.uint64),
        ),
        out,
    )
    return out


class CountingNoise(NamedTuple):
    """Counts at the maximum, float64 (n,), inf for none, and the stream of each sample, uint64 (n,)."""

    counts: np.ndarray
    keys: np.ndarray


def shifts(conditions: Conditions) -> dict[str, np.ndarray]:
    """What of the conditions are fields of `Shifts`."""
    given = {key: getattr(conditions, key) for key in Shifts._fields}
    return {key: values for key, values in given.items() if values is not None}


def impurity_lines(instrument: Instrument, conditions: Conditions, n: int) -> LineLists | None:
    """Impurity lines of n samples: the instrument's and those of the conditions, in any order."""
    given = [conditions.impurities] if conditions.impurities is not None else []
    if instrument.impurities:
        d_star, intensity = np.array(instrument.impurities).T
        given.append(
            LineLists(
                np.arange(n + 1) * len(d_star), np.tile(d_star, n), np.tile(intensity, n).astype(np.float32)
            )
        )
    if len(given) < 2:
        return given[0] if given else None
    parts = [part.slice(i, i + 1) for i in range(n) for part in given]
    if not parts:
        return None
    joined = LineLists.concatenate(parts)
    return LineLists(joined.offsets[:: len(given)].copy(), joined.d_star, joined.intensity)


def background_of(instrument: Instrument, conditions: Conditions) -> np.ndarray:
    """Background float64 (n, points), (1, points) if it is the same for all, (0, points) if there is none."""
    x = np.linspace(-1, 1, instrument.points)
    background = np.zeros((0, instrument.points))
    if instrument.background or instrument.humps:
        background = np.polynomial.chebyshev.chebval(x, instrument.background or [0.0])[None]
        for height, centre, width in instrument.humps:
            background = background + height * np.exp(
                -4 * np.log(2) * ((instrument.two_theta - centre) / width) ** 2
            )
    if conditions.background is not None:
        drawn = np.polynomial.chebyshev.chebval(x, np.asarray(conditions.background, np.float64).T)
        background = drawn + background if len(background) else drawn
    return np.maximum(background, 0.0)


def with_noise_of_lines(lines: LineLists, instrument: Instrument, conditions: Conditions) -> Conditions:
    """The conditions, with the instrument's counting noise where they state none.

    The noise of a sample follows from its lines.
    """
    if conditions.counts is not None or not instrument.counts:
        return conditions
    keys = np.empty(len(lines), np.uint64)
    line_keys(lines.offsets, lines.d_star.astype(np.float32), lines.intensity, keys)
    return replace(conditions, counts=np.full(len(lines), float(instrument.counts)), noise_keys=keys)


def _placed(
    lines: LineLists, instrument: Instrument, conditions: Conditions, geometric: bool = True
) -> PlacedLines:
    """All peaks, positions and widths in points of the grid."""
    owner = np.repeat(np.arange(len(lines)), np.diff(lines.offsets))
    peaks = place(
        np,
        instrument,
        lines.d_star.astype(np.float64),
        lines.intensity.astype(np.float64),
        Shifts(**{key: np.asarray(values, np.float64)[owner] for key, values in shifts(conditions).items()}),
        geometric=geometric,
    )
    return in_points(peaks, instrument)


@njit(cache=True, nogil=True)
def add_gaussian(row, x, area, fwhm):
    """Add a Gaussian at grid coordinate x, of FWHM in points, to row float64 (points,)."""
    sigma = fwhm / FWHM_PER_SIGMA
    first = max(0, math.ceil(x - CUT_SIGMAS * sigma))
    last = min(row.size - 1, math.floor(x + CUT_SIGMAS * sigma))
    if last < first:
        return
    # g(k + 1) = g(k) r(k) and r(k + 1) = r(k) q: no exponential per point.
    t, h = (first - x) / sigma, 1.0 / sigma
    g = area / (sigma * math.sqrt(2.0 * math.pi)) * math.exp(-0.5 * t * t)
    r, q = math.exp(-h * (t + 0.5 * h)), math.exp(-h * h)
    for k in range(first, last + 1):
        row[k] += g
        g *= r
        r *= q


@njit(cache=True, nogil=True)
def add_lorentzian(row, coarse, step, x, area, fwhm):
    """Add a Lorentzian at grid coordinate x to row and coarse, whose point k is grid point (k - 1) step."""
    height, s = 2.0 * area / (math.pi * fwhm), 4.0 / (fwhm * fwhm)
    if step == 1:
        for k in range(row.size):
            t = k - x
            row[k] += height / (1.0 + s * t * t)
        return
    reach = NEAR_STEPS * max(float(step), fwhm / STEPS_PER_WIDTH)
    u = s * reach * reach
    c0, c1, c2 = smooth_centre(u)
    first, last = max(0, math.ceil(x - reach)), min(row.size - 1, math.floor(x + reach))
    for k in range(first, last + 1):
        t = (k - x) / reach
        t *= t
        row[k] += height * (1.0 / (1.0 + u * t) - (c0 + t * (c1 + t * c2)))
    for k in range(coarse.size):
        t = ((k - 1) * step - x) / reach
        t *= t
        coarse[k] += height * (1.0 / (1.0 + u * t) if t > 1.0 else c0 + t * (c1 + t * c2))


@njit(cache=True)
def smooth_centre(u):
    """Coefficients of 1, t, t^2 with the value, slope and curvature of 1 / (1 + u t) at t = 1."""
    a = 1.0 / (1.0 + u)
    value, slope, half_curvature = a, -u * a * a, u * u * a * a * a
    return value - slope + half_curvature, slope - 2.0 * half_curvature, half_curvature


@register_jitable
def cubic_weights(t: Any) -> tuple[Any, Any, Any, Any]:
    """Weights of the values at -1, 0, 1 and 2 in the cubic through them, at t: a number or a tensor."""
    return (
        -t * (t - 1.0) * (t - 2.0) / 6.0,
        (t + 1.0) * (t - 1.0) * (t - 2.0) / 2.0,
        -(t + 1.0) * t * (t - 2.0) / 2.0,
        (t + 1.0) * t * (t - 1.0) / 6.0,
    )


@njit(cache=True, nogil=True)
def interpolate(coarse, step, row):
    """Add the cubic through the four nearest points of coarse (see `add_lorentzian`) to row; clear coarse."""
    for k in range(row.size):
        i = k // step
        t = k / step - i
        a, b, c, d = cubic_weights(t)
        row[k] += a * coarse[i] + b * coarse[i + 1] + c * coarse[i + 2] + d * coarse[i + 3]
    coarse[:] = 0.0


@njit(cache=True, nogil=True)
def coarse_step(fwhm, eta, step):
    """Largest coarse step, at most `step`, that resolves these Lorentzians (FWHM in points)."""
    for i in range(fwhm.size):
        if eta[i] > 0.0:
            step = min(step, int(fwhm[i] / STEPS_PER_WIDTH))
    return max(1, step)


@njit(cache=True, nogil=True)
def _add_all(row, coarse, step, scale, begin, end, peaks):
    position, area, fwhm, eta = peaks
    for w in range(position.shape[0]):
        for j in range(begin, end):
            weight = area[w, j] * scale
            if weight > 0.0:
                if eta[w, j] < 1.0:
                    add_gaussian(row, position[w, j], weight * (1.0 - eta[w, j]), fwhm[w, j])
                if eta[w, j] > 0.0:
                    add_lorentzian(row, coarse, step, position[w, j], weight * eta[w, j], fwhm[w, j])


@njit(cache=True, nogil=True)
def _render(offsets, peaks, impurity_offsets, impurities, background, noise, out):
    counts, keys = noise
    area = peaks.area
    n, points = out.shape
    row = np.empty(points)
    memory = np.zeros(points + 4)
    for i in range(n):
        begin, end = offsets[i], offsets[i + 1]
        first, last = impurity_offsets[i], impurity_offsets[i + 1]
        step = LARGEST_STEP
        for w in range(area.shape[0]):
            step = coarse_step(peaks.fwhm[w, begin:end], peaks.eta[w, begin:end], step)
            step = coarse_step(impurities.fwhm[w, first:last], impurities.eta[w, first:last], step)
        coarse = memory[: (points - 1) // step + 4]
        row[:] = 0.0
        # In units of the strongest line, so that no sum leaves the range of numbers.
        strongest = 0.0
        for w in range(area.shape[0]):
            for j in range(begin, end):
                strongest = max(strongest, area[w, j])
        if strongest > 0.0:
            _add_all(row, coarse, step, 1.0 / strongest, begin, end, peaks)
            _add_all(row, coarse, step, 1.0, first, last, impurities)
            interpolate(coarse, step, row)
        normalise_row(row)
        if background.shape[0]:
            row += background[min(i, background.shape[0] - 1)]
            normalise_row(row)
        if counts[i] < np.inf and row.max() > 0.0:
            add_counting_noise(row, counts[i], keys[i])
            normalise_row(row)
        out[i] = row


@njit(cache=True, nogil=True)
def normalise_row(row):
    """Divide by the maximum, if it is positive."""
    largest = row.max()
    if largest > 0.0:
        row *= 1.0 / largest

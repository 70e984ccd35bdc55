"""Peaks, background and noise of each sample to its pattern: the compiled part of `profiles`."""

import math
from typing import NamedTuple

import numpy as np

from xtinct.compiling import assign, njit
from xtinct.patterns.instrument import CUT_SIGMAS, FWHM_PER_SIGMA
from xtinct.patterns.noise import add_counting_noise
from xtinct.patterns.placement import PlacedLines
from xtinct.patterns.tails import add_lorentzian, gather, grids_for


class SamplePeaks(NamedTuple):
    """Peaks of n samples in points of the grid: sample i owns columns offsets[i] to offsets[i + 1]."""

    offsets: np.ndarray
    placed: PlacedLines


class CountingNoise(NamedTuple):
    """Counts at the maximum, float64 (n,), inf for none, and the stream of each sample, uint64 (n,)."""

    counts: np.ndarray
    keys: np.ndarray


class Scales(NamedTuple):
    """Factors of the areas, float64 (n,): of the own lines, 0 without any, and of foreign phases."""

    own: np.ndarray
    foreign: np.ndarray


class SampleBackground(NamedTuple):
    """Under the peaks, in units of their highest point; no rows where there is none.

    common     float64 (0 or 1, points), the instrument's
    chebyshev, hump, air  of each sample, as in `Conditions`
    first, step  of the grid, degree
    """

    common: np.ndarray
    chebyshev: np.ndarray
    hump: np.ndarray
    air: np.ndarray
    first: float
    step: float


@njit(cache=True, nogil=True)
def largest_of_samples(offsets, values):
    """Largest of the values offsets[i] to offsets[i + 1] - 1, float64 (n,); 0 where none is positive."""
    out = np.zeros(offsets.size - 1)
    for i in range(out.size):
        for j in range(offsets[i], offsets[i + 1]):
            out[i] = max(out[i], values[j])
    return out


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
def _add_all(row, tails, begin, end, scale, peaks):
    """Add the peaks of columns begin to end - 1: Gaussians to row, float64, Lorentzians to the tails."""
    position, area, fwhm, eta = peaks
    single, nodes, grids, ramp = tails
    for w in range(position.shape[0]):
        for j in range(begin, end):
            weight = area[w, j] * scale
            if weight > 0.0:
                if eta[w, j] < 1.0:
                    add_gaussian(row, position[w, j], weight * (1.0 - eta[w, j]), fwhm[w, j])
                if eta[w, j] > 0.0:
                    add_lorentzian(single, nodes, grids, ramp, position[w, j], weight * eta[w, j], fwhm[w, j])


@njit(cache=True, nogil=True)
def _narrowest(i, peaks):
    """Least FWHM, points, of a sample's peaks with a Lorentzian part; inf without any."""
    offsets, placed = peaks
    least = np.inf
    for w in range(placed.area.shape[0]):
        for j in range(offsets[i], offsets[i + 1]):
            if placed.eta[w, j] > 0.0 and placed.area[w, j] > 0.0:
                least = min(least, placed.fwhm[w, j])
    return least


@njit(cache=True, nogil=True)
def _add_peaks(row, i, groups, scales, tails):
    """Add the own lines, the impurities and the foreign phase of sample i."""
    single, nodes, ramp = tails
    own, impurities, foreign = groups
    least = min(_narrowest(i, own), _narrowest(i, impurities), _narrowest(i, foreign))
    grids = grids_for(least if least < np.inf else 1.0, row.size)
    memory = single, nodes, grids, ramp
    _add_all(row, memory, own.offsets[i], own.offsets[i + 1], scales.own[i], own.placed)
    _add_all(row, memory, impurities.offsets[i], impurities.offsets[i + 1], 1.0, impurities.placed)
    _add_all(row, memory, foreign.offsets[i], foreign.offsets[i + 1], scales.foreign[i], foreign.placed)
    if least < np.inf:
        gather(single, nodes, grids)
        for k in range(row.size):
            row[k] += single[k]
        single[:] = np.float32(0)


@njit(cache=True, nogil=True)
def _add_background(row, level, i, background):
    """Add the background of sample i, cut at 0; `level`: memory as long as the row."""
    common, chebyshev, hump, air, first, step = background
    if not (common.shape[0] or chebyshev.shape[0] or hump.shape[0] or air.shape[0]):
        return False
    level[:] = 0.0
    if common.shape[0]:
        level += common[0]
    if chebyshev.shape[0]:
        _add_series(level, chebyshev[i])
    if air.shape[0] and air[i, 0] > 0.0:
        value, factor = air[i, 0], math.exp(-step / air[i, 1])
        for k in range(level.size):
            level[k] += value
            value *= factor
    if hump.shape[0] and hump[i, 0] > 0.0:
        # exp(-4 ln 2 (x / w)^2) is a Gaussian of this area.
        width = hump[i, 2] / step
        area = hump[i, 0] * width / FWHM_PER_SIGMA * math.sqrt(2.0 * math.pi)
        add_gaussian(level, (hump[i, 1] - first) / step, area, width)
    for k in range(row.size):
        row[k] += max(level[k], 0.0)
    return True


@njit(cache=True, nogil=True)
def _add_series(level, coefficients):
    """Add a Chebyshev series over the whole row by Clenshaw's recurrence."""
    for k in range(level.size):
        x = 2.0 * k / (level.size - 1) - 1.0
        after, here = 0.0, 0.0
        for j in range(coefficients.size - 1, 0, -1):
            after, here = here, coefficients[j] + 2.0 * x * here - after
        level[k] += coefficients[0] + x * here - after


@njit(cache=True, nogil=True)
def sum_samples(groups, scales, background, noise, measured, out):
    """Fill out, float32 (n, points).

    groups      own lines, impurities, foreign phases: three `SamplePeaks`
    background  `SampleBackground`
    noise       `CountingNoise`
    measured    int64 (n, 2), first and last point that is measured
    """
    counts, keys = noise
    n, points = out.shape
    row, level = np.empty(points), np.empty(points)
    single, ramp = np.zeros(points, np.float32), np.arange(points + 64).astype(np.float32)
    nodes = np.zeros(2 * points + 512, np.float32)
    for i in range(n):
        row[:] = 0.0
        if scales.own[i] > 0.0:
            _add_peaks(row, i, groups, scales, (single, nodes, ramp))
        normalise_row(row)
        if _add_background(row, level, i, background):
            normalise_row(row)
        if counts[i] < np.inf and row.max() > 0.0:
            add_counting_noise(row, counts[i], keys[i])
            normalise_row(row)
        first, last = measured[i]
        if first > 0 or last < points - 1:
            row[:first] = 0.0
            row[max(last + 1, 0) :] = 0.0
            normalise_row(row)
        assign(out[i], row)


@njit(cache=True, nogil=True)
def normalise_row(row):
    """Divide by the maximum, if it is positive."""
    largest = row.max()
    if largest > 0.0:
        row *= 1.0 / largest

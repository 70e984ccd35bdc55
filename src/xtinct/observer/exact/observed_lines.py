"""Observed lines of a pattern: positions, heights and their uncertainties.

A first set of lines are the maxima of the negative second derivative (Mariscotti 1967, Nucl. Instrum.
Methods 50, 309), which has no false maxima beside a true one and separates lines closer than the
pattern itself does. Positions and heights of all of them are then fitted together with the known
profile; what the fit leaves is searched in the same way, until nothing above the noise is left.
"""

import math
from dataclasses import dataclass

import numpy as np

from xtinct.compiling import assign, njit
from xtinct.observer.exact.bands import cholesky, solve
from xtinct.patterns.instrument import CUT_SIGMAS, Instrument

#: Smallest error of a pattern, in units of its maximum: single precision and the cut of the peaks.
NOISE_FLOOR = 3e-7
#: Errors that the second derivative of a line must exceed.
_SIGNIFICANT = 8.0
_ROUNDS = 6
#: Least-squares steps of a round, at most; close lines separate slowly.
_STEPS = 16


@dataclass(frozen=True)
class ObservedLines:
    """Lines found in a pattern, ascending.

    two_theta  float64 (n,), degree
    error      float64 (n,), standard error of two_theta, degree
    merged     float64 (n,), distance at which two lines of equal height would go for this one, each as
               far from its position, degree
    height     float64 (n,), of the fitted peak; the pattern's maximum is about 1
    clean      bool (n,), the fit around the line leaves nothing but noise
    noise      standard deviation of a point of the pattern
    last       2theta up to which lines were searched, degree
    """

    two_theta: np.ndarray
    error: np.ndarray
    merged: np.ndarray
    height: np.ndarray
    clean: np.ndarray
    noise: float
    last: float

    def __len__(self) -> int:
        return len(self.two_theta)


def noise_of(pattern: np.ndarray) -> float:
    """Standard deviation of the noise of a pattern float (points,), in the pattern's unit.

    From differences of order 8, in which peaks of several points a sigma vanish; the median keeps
    out what is left of the strongest. Never below NOISE_FLOOR of the maximum.
    """
    order = 8
    difference = np.abs(np.diff(np.asarray(pattern, dtype=np.float64), order))
    spread = float(np.median(difference)) / 0.6745 / math.sqrt(math.comb(2 * order, order))
    return max(spread, NOISE_FLOOR * float(pattern.max()))


def find_lines(pattern: np.ndarray, instrument: Instrument, count: int = 40) -> ObservedLines:
    """The first `count` lines (more or fewer by overlap) of one pattern float32 (instrument.points,)."""
    y = np.asarray(pattern, dtype=np.float64)
    noise = noise_of(y)
    sigma = instrument.sigma / instrument.step
    position, height, error, merged, clean, points = _find(y, sigma, noise, count, CUT_SIGMAS)
    return ObservedLines(
        two_theta=instrument.two_theta_min + instrument.step * position,
        error=instrument.step * error,
        merged=instrument.step * merged,
        height=height,
        clean=clean,
        noise=noise,
        last=instrument.two_theta_min + instrument.step * (points - 1),
    )


@njit(cache=True)
def _maxima(y, n, stride, threshold):
    """Grid coordinates of the maxima above `threshold` of the negative second difference of y[:n]."""
    found = np.empty(n)
    count = 0
    before, here = 0.0, 0.0
    for i in range(n):
        left = y[max(0, i - stride)]
        right = y[min(y.size - 1, i + stride)]
        after = 2.0 * y[i] - left - right
        if here > threshold and here >= before and here > after and i > 1:
            bend = before - 2.0 * here + after
            found[count] = i - 1 + (0.5 * (before - after) / bend if bend < 0.0 else 0.0)
            count += 1
        before, here = here, after
    return found[:count].copy()


@njit(cache=True)
def _model(position, height, sigma, cut, residual, y, n):
    assign(residual, y[:n])
    for j in range(position.size):
        low = max(0, math.ceil(position[j] - cut * sigma))
        high = min(n - 1, math.floor(position[j] + cut * sigma))
        for i in range(low, high + 1):
            z = (i - position[j]) / sigma
            residual[i] -= height[j] * math.exp(-0.5 * z * z)


@njit(cache=True)
def _normal(position, height, sigma, cut, residual, n):
    """Factor of the banded normal matrix and right side of (height, shift in sigma x height) of all lines."""
    m = position.size
    width = 2 * math.ceil(cut * sigma) + 3
    peak = np.zeros((2 * m, width))
    low = np.empty(m, np.int64)
    high = np.empty(m, np.int64)
    side = np.zeros(2 * m)
    start, near = 0, 0
    for j in range(m):
        low[j] = max(0, math.ceil(position[j] - cut * sigma))
        high[j] = min(n - 1, math.floor(position[j] + cut * sigma))
        for i in range(low[j], high[j] + 1):
            z = (i - position[j]) / sigma
            value = math.exp(-0.5 * z * z)
            peak[2 * j, i - low[j]] = value
            peak[2 * j + 1, i - low[j]] = value * z
            side[2 * j] += value * residual[i]
            side[2 * j + 1] += value * z * residual[i]
        while start < j and high[start] < low[j]:
            start += 1
        near = max(near, j - start)
    band = np.zeros((2 * m, 2 * near + 2))
    for j in range(m):
        for k in range(max(0, j - near), j + 1):
            start, stop = max(low[j], low[k]), min(high[j], high[k])
            for p in range(2):
                for q in range(2):
                    if 2 * j + p < 2 * k + q:
                        continue
                    total = 0.0
                    for i in range(start, stop + 1):
                        total += peak[2 * j + p, i - low[j]] * peak[2 * k + q, i - low[k]]
                    band[2 * j + p, 2 * j + p - 2 * k - q] = total
        for p in range(2):
            band[2 * j + p, 0] = band[2 * j + p, 0] * (1.0 + 1e-9) + 1e-12
    cholesky(band)
    return band, side


@njit(cache=True)
def _find(y, sigma, noise, count, cut):
    stride = max(1, round(0.6 * sigma))
    threshold = _SIGNIFICANT * noise * math.sqrt(6.0)
    n = y.size
    position = _maxima(y, n, stride, threshold)
    if position.size > count:
        # Up to the middle of a gap, so that the first line beyond does not reach in unseen.
        n = min(n, int(position[count - 1] + 0.5 * (position[count] - position[count - 1])) + 1)
        position = position[:count].copy()
    height = np.empty(position.size)
    for j in range(position.size):
        height[j] = max(y[min(y.size - 1, round(position[j]))], noise)
    residual = np.zeros(y.size)
    for rounds in range(_ROUNDS):
        for _ in range(_STEPS):
            _model(position, height, sigma, cut, residual, y, n)
            band, change = _normal(position, height, sigma, cut, residual, n)
            solve(band, change)
            furthest = 0.0
            for j in range(position.size):
                height[j] += change[2 * j]
                shift = change[2 * j + 1] / max(abs(height[j]), noise)
                position[j] += sigma * min(0.3, max(-0.3, shift))
                furthest = max(furthest, abs(shift))
            if furthest < 1e-7:
                break
        keep = np.ones(position.size, np.bool_)
        order = np.argsort(position)
        position, height = position[order], height[order]
        for j in range(position.size):
            keep[j] = height[j] > 3.0 * noise and -cut * sigma < position[j] < n - 1 + cut * sigma
            if j and position[j] - position[j - 1] < 0.02 * sigma:
                keep[j] = False
        position, height = position[keep], height[keep]
        _model(position, height, sigma, cut, residual, y, n)
        if rounds == _ROUNDS - 1:
            break
        more = _maxima(residual, n, stride, threshold)
        more = more[more < n - 1 - 2.0 * sigma]
        # A line is added where none is within a small part of the width: there the fit would split hairs.
        fresh = np.ones(more.size, np.bool_)
        for i in range(more.size):
            for j in range(position.size):
                if abs(more[i] - position[j]) < 0.1 * sigma:
                    fresh[i] = False
        more = more[fresh]
        if more.size == 0 or position.size + more.size > 3 * count:
            break
        position = np.concatenate((position, more))
        extra = np.empty(more.size)
        for i in range(more.size):
            extra[i] = max(residual[round(more[i])], noise)
        height = np.concatenate((height, extra))
        order = np.argsort(position)
        position, height = position[order], height[order]
    band, column = _normal(position, height, sigma, cut, residual, n)
    error = np.empty(position.size)
    merged = np.empty(position.size)
    clean = np.empty(position.size, np.bool_)
    for j in range(position.size):
        low = max(0, int(position[j] - 3.0 * sigma))
        high = min(n - 1, int(position[j] + 3.0 * sigma))
        total, points = 0.0, 0
        for i in range(low, high + 1):
            total += residual[i] * residual[i]
            points += 1
        local = math.sqrt(total / points) if points else np.inf
        clean[j] = local < 5.0 * max(noise, 2e-5 * height[j])
        column[:] = 0.0
        column[2 * j + 1] = 1.0
        solve(band, column)
        error[j] = sigma * max(noise, local) * math.sqrt(abs(column[2 * j + 1])) / height[j]
        # Two equal Gaussians x sigma beside their mean, less the best single one, leave within three
        # sigma a root mean square of 0.19 x^2 of the height.
        merged[j] = sigma * math.sqrt(max(noise, local) / (0.19 * height[j]))
    return position, height, error, merged, clean, n

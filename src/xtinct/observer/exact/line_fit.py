"""A pattern as the lines of a lattice: heights of all lines and the metric, by least squares.

Whole-pattern decomposition (Pawley 1981, J. Appl. Cryst. 14, 357) with the known profile: every line of
the lattice has a free height, positions follow from the metric. Heights enter linearly; only peaks
that overlap are coupled, so their normal matrix is banded. The metric is refined by Gauss-Newton
steps with the heights eliminated (Kaufman 1975, BIT 15, 49).
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from xtinct.compiling import assign, njit
from xtinct.linelists.ordering import EQUAL_D
from xtinct.observer.exact.bands import cholesky, solve
from xtinct.patterns.instrument import CUT_SIGMAS, Instrument

#: Lines that are decomposed at most; a dense pattern is read up to there, which holds the deciding lines.
MOST_LINES = 320
#: Gauss-Newton steps of the metric, at most.
_STEPS = 8
#: Relative error of 1/d of single precision, in which line lists are stored.
_POSITION_ERROR = 3e-8
#: Relative addition to the diagonal: heights of lines that cannot be separated stay finite.
_RIDGE = 1e-11


@dataclass(frozen=True)
class Decomposition:
    """Heights of the lines of a lattice in a pattern.

    two_theta  float64 (n,), position of each line, degree
    forms      int64 (n_forms,), indices of the quadratic forms that were used, ascending in 1/d
    line       int64 (n_forms,), line of each form: forms of equal d are one line
    height     float64 (n,), of the fitted peaks; negative ones are not physical but say what noise does
    error      float64 (n,), their standard errors, from the residual around each line
    covariance float64 (n, n), of the heights for noise of 1 at every point
    local      float64 (n,), root mean square of the residual around each line
    residual   root mean square of the residual over that of the pattern
    points     number of grid points that were fitted
    zero       observed minus true 2theta, degree; 0 unless it was refined
    """

    two_theta: np.ndarray
    forms: np.ndarray
    line: np.ndarray
    height: np.ndarray
    error: np.ndarray
    covariance: np.ndarray
    local: np.ndarray
    residual: float
    points: int
    zero: float = 0.0


def lattice_lines(
    forms: np.ndarray, metric: np.ndarray, instrument: Instrument, reach: float, most: int = MOST_LINES
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """(two_theta (n,), indices of forms, line of each form, grid points) of the lines of a lattice in range.

    forms   float64 (n_forms, p), metric float64 (p,)
    reach   1/d up to which the forms are complete, 1/angstrom
    most    lines, at most
    """
    q = forms @ metric
    first = 2.0 * math.sin(
        math.radians(max(0.0, instrument.two_theta_min - CUT_SIGMAS * instrument.sigma) / 2)
    )
    low = (first / instrument.wavelength) ** 2
    reach = min(reach, instrument.d_star_reach)
    used = np.flatnonzero((q > low) & (q < reach**2))
    used = used[np.argsort(q[used], kind="stable")]
    q = q[used]
    new = np.concatenate([[True], np.diff(q) > EQUAL_D * q[1:]])[: len(q)]
    line = np.cumsum(new) - 1
    two_theta = 2.0 * np.degrees(np.arcsin(np.minimum(1.0, np.sqrt(q[new]) * instrument.wavelength / 2)))
    # Lines beyond the last one that is counted must not reach into the points that are fitted.
    end = 2.0 * math.degrees(math.asin(min(1.0, reach * instrument.wavelength / 2)))
    if len(two_theta) > most:
        end = two_theta[most - 1]
    points = instrument.points
    if len(two_theta) > most or reach < instrument.d_star_reach:
        points = int((end - CUT_SIGMAS * instrument.sigma - instrument.two_theta_min) / instrument.step)
    points = min(instrument.points, max(points, instrument.points // 50))
    if len(two_theta) > most:
        inside = line < most
        used, line, two_theta = used[inside], line[inside], two_theta[:most]
    return two_theta, used, line, points


class _Peaks(NamedTuple):
    """Lines on the grid.

    position  float64 (m,), in grid points from the first
    sigma     standard deviation, in grid points
    gradient  float64 (m, p), change of each position with the parameters that are refined
    """

    position: np.ndarray
    sigma: float
    gradient: np.ndarray


def decompose(
    pattern: np.ndarray,
    instrument: Instrument,
    forms: np.ndarray,
    metric: np.ndarray,
    noise: float,
    reach: float,
    *,
    refine_zero: bool = False,
) -> tuple[np.ndarray, Decomposition]:
    """Refined metric float64 (p,) and heights of the lines of a lattice in one pattern (points,).

    forms  float64 (n_forms, p), all forms that may be in range; metric float64 (p,), close to the truth
    noise  standard deviation of a point, in the pattern's unit
    reach  1/d up to which the forms are complete, 1/angstrom
    refine_zero  whether a shift of the zero is refined along, from 0
    """
    y = np.asarray(pattern, dtype=np.float64)
    zero = 0.0
    for _ in range(_STEPS):
        two_theta, used, line, points = lattice_lines(forms, metric, instrument, reach)
        if not len(two_theta):
            break
        peaks = _peaks(instrument, two_theta, zero, forms[used[_first_of(line)]], refine_zero)
        change = _change(y[:points], peaks)
        if refine_zero:
            zero += change[-1]
            change = change[:-1]
        change = np.clip(change, -2e-3 * np.abs(metric).max(), 2e-3 * np.abs(metric).max())
        metric = metric + change
        if np.abs(change).max() < 1e-10 * np.abs(metric).max():
            break
    two_theta, used, line, points = lattice_lines(forms, metric, instrument, reach)
    if not len(two_theta):
        empty = np.empty(0)
        return metric, Decomposition(empty, used, line, empty, empty, np.empty((0, 0)), empty, 1.0, points)
    peaks = _peaks(instrument, two_theta, zero, forms[used[_first_of(line)]], refine_zero)
    height, local, covariance, residual = _heights(y[:points], peaks, noise)
    local = np.maximum(local, _stored(instrument, two_theta, height))
    error = np.sqrt(np.maximum(0.0, np.diagonal(covariance))) * local
    return metric, Decomposition(
        two_theta, used, line, height, error, covariance, local, residual, points, zero
    )


def _first_of(line: np.ndarray) -> np.ndarray:
    """bool (n_forms,), the first form of each line: forms of equal d move as it."""
    return np.concatenate([[True], np.diff(line) > 0])


def _trigonometry(two_theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sine and cosine of theta for two_theta in degrees; the cosine stays positive."""
    sine = np.sin(np.radians(two_theta / 2))
    return sine, np.sqrt(np.maximum(1e-6, 1 - sine * sine))


def _peaks(
    instrument: Instrument, two_theta: np.ndarray, zero: float, forms: np.ndarray, refine_zero: bool
) -> _Peaks:
    """Lines at two_theta (m,), of forms (m, p), where the zero of the pattern shifts them."""
    sine, cosine = _trigonometry(two_theta)
    slope = np.degrees(instrument.wavelength**2 / (4 * sine * cosine)) / instrument.step
    gradient = forms * slope[:, None]
    if refine_zero:
        gradient = np.column_stack([gradient, np.full(len(gradient), 1.0 / instrument.step)])
    position = (two_theta + zero - instrument.two_theta_min) / instrument.step
    return _Peaks(position, instrument.sigma / instrument.step, gradient)


def _stored(instrument: Instrument, two_theta: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Residual float64 (n,) that errors of position leave around each line.

    These errors pass from a line to its neighbours as errors of height; they are no noise that
    averages out over the points of a peak, hence the factor (the square root of those points).
    """
    sine, cosine = _trigonometry(two_theta)
    shift = _POSITION_ERROR * 2.0 * sine / cosine / math.radians(instrument.sigma)
    return 3.0 * shift * _largest_near(two_theta, np.abs(height), 6.0 * instrument.sigma)


@njit(cache=True)
def _largest_near(position, height, reach):
    """Largest height within `reach` of each position (ascending)."""
    out = np.zeros(position.size)
    start = 0
    for i in range(position.size):
        while position[i] - position[start] > reach:
            start += 1
        j = start
        while j < position.size and position[j] - position[i] <= reach:
            out[i] = max(out[i], height[j])
            j += 1
    return out


class _Profiles(NamedTuple):
    """Peaks of height 1 on the grid, and the factor of their normal matrix.

    low, high  int64 (m,), first and last grid point of each
    values     float64 (m, points), from `low` on
    band       float64 (m, width), as `cholesky` leaves it
    """

    low: np.ndarray
    high: np.ndarray
    values: np.ndarray
    band: np.ndarray


@njit(cache=True)
def _profiles(peaks, n):
    """The _Profiles of peaks on a grid of n points."""
    position, sigma = peaks.position, peaks.sigma
    m = position.size
    low = np.empty(m, np.int64)
    high = np.empty(m, np.int64)
    peak = np.zeros((m, 2 * math.ceil(CUT_SIGMAS * sigma) + 3))
    width = 1
    start = 0
    for j in range(m):
        low[j] = min(n, max(0, math.ceil(position[j] - CUT_SIGMAS * sigma)))
        high[j] = max(-1, min(n - 1, math.floor(position[j] + CUT_SIGMAS * sigma)))
        for i in range(low[j], high[j] + 1):
            z = (i - position[j]) / sigma
            peak[j, i - low[j]] = math.exp(-0.5 * z * z)
        while high[start] < low[j] and start < j:
            start += 1
        width = max(width, j - start + 1)
    band = np.zeros((m, width))
    for j in range(m):
        for k in range(min(width - 1, j) + 1):
            i = j - k
            total = 0.0
            for x in range(max(low[j], low[i]), min(high[j], high[i]) + 1):
                total += peak[j, x - low[j]] * peak[i, x - low[i]]
            band[j, k] = total
        band[j, 0] = band[j, 0] * (1.0 + _RIDGE) + 1e-9
    cholesky(band)
    return _Profiles(low, high, peak, band)


@njit(cache=True)
def _projected(profiles, y, out):
    """Write to out (m,) the heights that fit y (n,) best."""
    low, high = profiles.low, profiles.high
    for j in range(low.size):
        out[j] = 0.0
        for i in range(low[j], high[j] + 1):
            out[j] += profiles.values[j, i - low[j]] * y[i]
    solve(profiles.band, out)


@njit(cache=True)
def _subtract(profiles, height, y):
    """Take peaks of some heights (m,) off y (n,), in place."""
    low, high = profiles.low, profiles.high
    for j in range(low.size):
        for i in range(low[j], high[j] + 1):
            y[i] -= height[j] * profiles.values[j, i - low[j]]


@njit(cache=True)
def _change(y, peaks):
    """Gauss-Newton step float64 (p,) of the parameters, the heights eliminated, for a pattern y (n,)."""
    m, p = peaks.gradient.shape
    n = y.size
    profiles = _profiles(peaks, n)
    height = np.empty(m)
    _projected(profiles, y, height)
    residual = y.copy()
    _subtract(profiles, height, residual)
    columns = np.zeros((p, n))
    for j in range(m):
        first = profiles.low[j]
        for i in range(first, profiles.high[j] + 1):
            z = (i - peaks.position[j]) / peaks.sigma
            value = height[j] * profiles.values[j, i - first] * z / peaks.sigma
            for c in range(p):
                columns[c, i] += value * peaks.gradient[j, c]
    part = np.empty(m)
    for c in range(p):
        _projected(profiles, columns[c], part)
        _subtract(profiles, part, columns[c])
    matrix = np.zeros((p, p))
    side = np.zeros(p)
    for a in range(p):
        for i in range(n):
            side[a] += columns[a, i] * residual[i]
        for b in range(a + 1):
            total = 0.0
            for i in range(n):
                total += columns[a, i] * columns[b, i]
            matrix[a, b] = matrix[b, a] = total
    for a in range(p):
        matrix[a, a] = matrix[a, a] * (1.0 + 1e-12) + 1e-300
    return np.linalg.solve(matrix, side)


@njit(cache=True)
def _heights(y, peaks, noise):
    """Heights of the peaks in a pattern y (n,).

    Returns heights float64 (m,), root mean square of the residual around each line (m,), at least `noise`,
    covariance of the heights for noise of 1 (m, m), and the residual over the pattern, root mean squares.
    """
    m = peaks.position.size
    n = y.size
    profiles = _profiles(peaks, n)
    height = np.empty(m)
    _projected(profiles, y, height)
    residual = y.copy()
    _subtract(profiles, height, residual)
    square, whole = 0.0, 0.0
    for i in range(n):
        square += residual[i] * residual[i]
        whole += y[i] * y[i]
    relative = math.sqrt(square / whole) if whole > 0.0 else 1.0
    covariance = np.empty((m, m))
    column = np.empty(m)
    for j in range(m):
        column[:] = 0.0
        column[j] = 1.0
        solve(profiles.band, column)
        assign(covariance[:, j], column)
    return height, _around(residual, peaks, noise), covariance, relative


@njit(cache=True)
def _around(residual, peaks, noise):
    """Root mean square of the residual (n,) within 4 sigma of each peak, float64 (m,), at least `noise`."""
    n = residual.size
    local = np.empty(peaks.position.size)
    sums = np.zeros(n + 1)
    for i in range(n):
        sums[i + 1] = sums[i] + residual[i] * residual[i]
    for j in range(local.size):
        left = max(0, min(n - 1, int(peaks.position[j] - 4.0 * peaks.sigma)))
        right = max(left, min(n - 1, int(peaks.position[j] + 4.0 * peaks.sigma)))
        local[j] = max(noise, math.sqrt((sums[right + 1] - sums[left]) / (right - left + 1)))
    return local

"""Profiles of measured peaks: split pseudo-Voigt functions on a doublet, of smoothly changing widths.

    FWHM^2    W + V tan(theta) + U tan(theta)^2                  (Caglioti, Paoletti and Ricci 1958)
    eta       eta0 + eta1 (2theta - 40) / 40                     share of the Lorentzian, 0 to 1
    skew      asymmetry / tan(2theta), below 85 degrees          (left width - right width) / FWHM
    position  true 2theta + zero + displacement cos(theta)       (Bragg-Brentano)

Every profile has unit area, both components of a doublet together.
"""

import math
from typing import NamedTuple, Protocol

import numpy as np

from xtinct.compiling import njit

LN2 = math.log(2.0)
#: Profiles are cut at this many full widths from their centre: a Lorentzian has fallen to 0.3 % there.
REACH = 9.0
#: FWHM, degree, that no profile exceeds; and the asymmetry ends here, since diffraction cones flatten.
WIDEST, SYMMETRIC_FROM = 3.5, 85.0
#: Share of a width that the two sides differ by at most.
_MOST_SKEWED = 0.5


class Wavelengths(Protocol):
    """Wavelengths of a measurement, as `xtinct.measurements.Radiation`."""

    wavelength: float
    second: float | None
    ratio: float


class Profile(NamedTuple):
    """Where peaks lie and how wide they are; degrees 2theta, W V U in degrees squared."""

    zero: float = 0.0
    displacement: float = 0.0
    W: float = 0.0144
    V: float = 0.0
    U: float = 0.0
    eta0: float = 0.5
    eta1: float = 0.0
    asymmetry: float = 0.0


#: The parameters of `Profile` that shape a peak, in the order of `Shapes.derivatives`.
SHAPE = ("W", "V", "U", "eta0", "eta1", "asymmetry")


class Shapes(NamedTuple):
    """Of peaks (m,): FWHM (degree), eta, skew, and how these change with each parameter of SHAPE (6, m)."""

    fwhm: np.ndarray
    eta: np.ndarray
    skew: np.ndarray
    by_fwhm: np.ndarray
    by_eta: np.ndarray
    by_skew: np.ndarray


class DoubletLines(NamedTuple):
    """Peaks (m,) on a pattern, degrees 2theta.

    first, second  where the two components lie; ratio, height of the second over the first (0: none)
    stretch        change of `second` with `first`
    """

    first: np.ndarray
    second: np.ndarray
    stretch: np.ndarray
    ratio: float


class Grid(NamedTuple):
    """Equidistant points of a pattern, degrees 2theta."""

    start: float
    step: float
    points: int


class Columns(NamedTuple):
    """Profiles of peaks on a grid, each on its own stretch of points.

    values  float64 (k, m, width): the profiles, and for k = 5 their derivatives by position, FWHM, eta, skew
    start   int64 (m,), first point; length, number of points
    """

    values: np.ndarray
    start: np.ndarray
    length: np.ndarray


def shapes(two_theta: np.ndarray, profile: Profile, narrowest: float) -> Shapes:
    """Shapes of peaks at true angles `two_theta` (m,), degree; no FWHM below `narrowest`."""
    tan = np.tan(np.radians(two_theta / 2))
    square = profile.W + profile.V * tan + profile.U * tan**2
    free = (square > narrowest**2) & (square < WIDEST**2)
    fwhm = np.sqrt(np.clip(square, narrowest**2, WIDEST**2))
    raw = profile.eta0 + profile.eta1 * (two_theta - 40) / 40
    eta = np.clip(raw, 0.0, 1.0)
    inside = (raw > 0) & (raw < 1)
    slope = np.where(
        two_theta < SYMMETRIC_FROM, 1 / np.maximum(np.tan(np.radians(np.minimum(two_theta, 85))), 0.05), 0.0
    )
    skew = np.clip(profile.asymmetry * slope, -_MOST_SKEWED, _MOST_SKEWED)
    half = free / (2 * fwhm)
    zero, one = np.zeros_like(fwhm), inside.astype(np.float64)
    return Shapes(
        fwhm,
        eta,
        skew,
        np.stack([half, half * tan, half * tan**2, zero, zero, zero]),
        np.stack([zero, zero, zero, one, one * (two_theta - 40) / 40, zero]),
        np.stack([zero, zero, zero, zero, zero, slope * (abs(skew) < _MOST_SKEWED)]),
    )


def true_angle(q: np.ndarray, wavelength: float) -> np.ndarray:
    """2theta, degree, of q = 1/d^2, 1/angstrom^2."""
    return 2 * np.degrees(np.arcsin(np.clip(np.sqrt(np.maximum(q, 0)) * wavelength / 2, 0, 1)))


def q_of(two_theta: np.ndarray, wavelength: float) -> np.ndarray:
    """q = 1/d^2, 1/angstrom^2, of true angles 2theta, degree."""
    return (2 * np.sin(np.radians(np.asarray(two_theta, dtype=np.float64) / 2)) / wavelength) ** 2


def shift(true: np.ndarray, profile: Profile) -> np.ndarray:
    """Observed minus true 2theta, degree."""
    return profile.zero + profile.displacement * np.cos(np.radians(true / 2))


def doublet(true: np.ndarray, radiation: Wavelengths, profile: Profile) -> DoubletLines:
    """The peaks of lines at true angles `true` (m,), degree, of the first wavelength."""
    moved = shift(true, profile)
    if not radiation.ratio:
        return DoubletLines(true + moved, true + moved, np.ones_like(true), 0.0)
    sine = np.sin(np.radians(true / 2)) * (radiation.second / radiation.wavelength)
    second = 2 * np.degrees(np.arcsin(np.minimum(sine, 0.99999)))
    cosine = np.maximum(np.cos(np.radians(second / 2)), 0.05)
    stretch = (radiation.second / radiation.wavelength) * np.cos(np.radians(true / 2)) / cosine
    return DoubletLines(true + moved, second + moved, stretch, radiation.ratio)


#: Coefficients of 2^x, of which x within 0.5 needs no more, and half widths beyond which 2^-x^2 is nothing.
_POWERS = tuple(LN2**n / math.factorial(n) for n in range(13))
_NOTHING = 8.0


@njit(cache=True, fastmath=True, error_model="numpy")
def _half_to(u):
    """0.5^u, u of 0 to 100: a Gaussian at sqrt(u) half widths. Compiled to vectors, as exp is not."""
    whole = np.rint(u)
    x = whole - u
    value = _POWERS[12]
    value = value * x + _POWERS[11]
    value = value * x + _POWERS[10]
    value = value * x + _POWERS[9]
    value = value * x + _POWERS[8]
    value = value * x + _POWERS[7]
    value = value * x + _POWERS[6]
    value = value * x + _POWERS[5]
    value = value * x + _POWERS[4]
    value = value * x + _POWERS[3]
    value = value * x + _POWERS[2]
    value = value * x + _POWERS[1]
    value = value * x + _POWERS[0]
    return value * np.int64((1023 - np.int64(whole)) << 52).view(np.float64)


@njit(cache=True, fastmath=True, error_model="numpy")
def _add_profile(out, j, points, z0, step, h, e, weight, factors):
    """Adds one side of one component to `columns` on some points, with its derivatives where out has them.

    points   first and last + 1, and whether the Gaussian is more than nothing there
    z0       distance of the first point of the column from the centre; h, half width of this side
    factors  of the derivatives by position, FWHM, eta and skew
    """
    first, last, near = points
    inverse, gaussian = 1.0 / h, (1.0 - e) if near else 0.0
    by_place, by_fwhm, by_eta, by_skew = factors
    if len(out) == 1:
        for i in range(first, last):
            z = (z0 + i * step) * inverse
            out[0, j, i] += weight * (e / (1.0 + z * z) + gaussian * _half_to(min(z * z, 100.0)))
        return
    if not near:
        for i in range(first, last):
            z = (z0 + i * step) * inverse
            u = z * z
            lorentz = 1.0 / (1.0 + u)
            value = e * lorentz
            fall = value * lorentz
            out[0, j, i] += weight * value
            out[1, j, i] += by_place * z * fall
            out[2, j, i] += by_fwhm * (2.0 * u * fall - value)
            out[3, j, i] += weight * (lorentz - value * by_eta)
            out[4, j, i] += by_skew * u * fall
        return
    for i in range(first, last):
        z = (z0 + i * step) * inverse
        u = z * z
        lorentz, gauss = 1.0 / (1.0 + u), _half_to(u)
        value = e * lorentz + gaussian * gauss
        fall = e * lorentz * lorentz + gaussian * LN2 * gauss  # -d value / d u
        out[0, j, i] += weight * value
        out[1, j, i] += by_place * z * fall
        out[2, j, i] += by_fwhm * (2.0 * u * fall - value)
        out[3, j, i] += weight * (lorentz - gauss - value * by_eta)
        out[4, j, i] += by_skew * u * fall


@njit(cache=True)
def _point(x, low, high):
    """The first point at x (in steps) or beyond, within low and high."""
    return int(min(max(math.ceil(x), low), high))


@njit(cache=True)
def columns(grid, lines, fwhm, eta, skew, reach, derivatives):
    """Profiles of `lines` on `grid`, cut `reach` widths from their centres, as `Columns`.

    fwhm, eta, skew: float64 (m,). With `derivatives` those by position, FWHM, eta and skew as well.
    """
    m = fwhm.size
    width = 1
    for j in range(m):
        width = max(width, int((lines.second[j] - lines.first[j] + 2 * reach * fwhm[j]) / grid.step) + 3)
    width = min(width, grid.points)
    out = np.zeros((5 if derivatives else 1, m, width))
    start, length = np.zeros(m, np.int64), np.zeros(m, np.int64)
    parts = 2 if lines.ratio > 0 else 1
    root = math.sqrt(math.pi / LN2)
    for j in range(m):
        low = max(0, math.ceil((lines.first[j] - reach * fwhm[j] - grid.start) / grid.step))
        high = math.floor((lines.second[j] + reach * fwhm[j] - grid.start) / grid.step)
        high = min(grid.points - 1, high)
        start[j] = min(low, grid.points)
        if high < low:
            continue
        n = min(high - low + 1, width)
        length[j] = n
        e = eta[j]
        shape = 0.5 * (e * math.pi + (1 - e) * root)
        by_eta = 0.5 * (math.pi - root) / shape
        for part in range(parts):
            weight = (lines.ratio if part else 1.0) / (fwhm[j] * shape * (1 + lines.ratio))
            moves = lines.stretch[j] if part else 1.0
            z0 = grid.start + low * grid.step - (lines.second[j] if part else lines.first[j])
            top = _point(-z0 / grid.step, 0, n)
            for sign in (-1, 1):
                side = 1 - sign * skew[j]
                h = 0.5 * fwhm[j] * side
                factors = (weight * moves * 2 / h, weight / fwhm[j], by_eta, -2 * sign * weight / side)
                # Around the centre, and where the Gaussian has ended.
                edge = _point((sign * _NOTHING * h - z0) / grid.step, 0, n)
                core = (top, edge, True) if sign > 0 else (edge, top, True)
                tail = (edge, n, False) if sign > 0 else (0, edge, False)
                for points in (core, tail):
                    _add_profile(out, j, points, z0, grid.step, h, e, weight, factors)
    return Columns(out, start, length)


@njit(cache=True, fastmath=True)
def add_up(columns, which, heights, points):
    """Sum of the profiles (`which` 0) or of a derivative times `heights` (m,): float64 (points,)."""
    out = np.zeros(points)
    for j in range(heights.size):
        if heights[j] != 0.0:
            for i in range(columns.length[j]):
                out[columns.start[j] + i] += heights[j] * columns.values[which, j, i]
    return out


@njit(cache=True, fastmath=True)
def products(left, a, right, b, weight):
    """Weighted scalar products of the profiles (or derivatives) `a` of `left` with those `b` of `right`.

    weight: float64 (points,). Returns float64 (m_left, m_right); both ascend in `start`, more or less.
    """
    out = np.zeros((left.start.size, right.start.size))
    for j in range(left.start.size):
        end = left.start[j] + left.length[j]
        for k in range(right.start.size):
            low = max(left.start[j], right.start[k])
            high = min(end, right.start[k] + right.length[k])
            total = 0.0
            for i in range(low, high):
                total += (
                    left.values[a, j, i - left.start[j]] * right.values[b, k, i - right.start[k]] * weight[i]
                )
            out[j, k] = total
    return out


@njit(cache=True, fastmath=True)
def against(columns, which, rows):
    """Scalar products of the profiles (or derivatives) with rows float64 (r, points): float64 (m, r)."""
    out = np.zeros((columns.start.size, rows.shape[0]))
    for j in range(columns.start.size):
        for r in range(rows.shape[0]):
            total = 0.0
            for i in range(columns.length[j]):
                total += columns.values[which, j, i] * rows[r, columns.start[j] + i]
            out[j, r] = total
    return out

"""How well a lattice explains found lines: likelihood against chance, and its refinement.

The probability of a line at its distance from the nearest line of the lattice is compared with that of a
chance hit at the lattice's local density of lines; every line may be foreign with a probability of its
own, and the whole list may be shifted.
"""

import math
from typing import NamedTuple

import numpy as np

from xtinct.compiling import njit
from xtinct.observer.peaks.gridded import in_gap
from xtinct.symmetry.families import BY_SYMMETRY, FAMILIES

#: Kinds of lattices, by the hkl that are equivalent in them.
KINDS = {family: code for code, family in enumerate(reversed(BY_SYMMETRY))}
#: Codes of the centrings.
CODES = {centring: code for code, centring in enumerate("PABCIFR")}
#: Half-width of the window in which the density of a lattice's lines is counted, degree, at most, and as a
#: share of the angle of the last line.
_WINDOW, _OF_LAST = 4.0, 0.25
#: Share of a lattice's lines that are absent or weak beyond what chance does.
_ABSENT = 0.35
#: Prior that a pattern has many foreign lines, and the probability of each line to be foreign then.
_CONTAMINATED, _MANY_FOREIGN = 0.1, 0.35
#: Most lines that a lattice may show where there are found lines.
MOST_LINES = 3000
_DEGREE = math.pi / 180.0


class FoundLines(NamedTuple):
    """Found lines, ascending; float64 (n,) each."""

    two_theta: np.ndarray  # degree
    error: np.ndarray  # degree, of one line that belongs to the lattice
    foreign: np.ndarray  # probability that the line is foreign
    area: np.ndarray  # share of the strongest
    width: np.ndarray  # degree, full width at half maximum
    limit: float  # area of the weakest line that would have been found
    wavelength: float  # angstrom
    gaps: np.ndarray  # float64 (m, 2), first and last angle of what was not measured, degree


class Kind(NamedTuple):
    """The lattices of a family with one centring.

    general  float64 (p, 6), general metric (6,) = metric (p,) @ this
    kind     of KINDS; code, of CODES
    """

    general: np.ndarray
    kind: int
    code: int


def kind_of(family: str, centring: str = "P") -> Kind:
    """The lattices of a family with a centring."""
    return Kind(FAMILIES[family].general, KINDS[family], CODES[centring])


class ShiftPrior(NamedTuple):
    """Normal prior of the shift (observed less true 2theta), degree."""

    shift: float
    spread: float


@njit(cache=True)
def q_of(two_theta, wavelength):
    """1/d^2 at 2theta (degree)."""
    return (2.0 * math.sin(0.5 * two_theta * _DEGREE) / wavelength) ** 2


@njit(cache=True)
def angle_of(q, wavelength):
    """2theta (degree) of 1/d^2; 180 where it lies beyond reach."""
    sine = 0.5 * wavelength * math.sqrt(q)
    return 180.0 if sine >= 1.0 else 2.0 * math.asin(sine) / _DEGREE


@njit(cache=True)
def slope_of(two_theta, wavelength):
    """d(1/d^2) / d(2theta in degree)."""
    return math.sin(two_theta * _DEGREE) * _DEGREE * 2.0 / (wavelength * wavelength)


@njit(cache=True)
def determinant(g):
    """Determinant of the reciprocal tensor of a general metric (6,)."""
    d, e, f = 0.5 * g[3], 0.5 * g[4], 0.5 * g[5]
    return g[0] * g[1] * g[2] + 2.0 * d * e * f - g[0] * d * d - g[1] * e * e - g[2] * f * f


@njit(cache=True)
def shows(code, h, k, l):  # noqa: E741
    """Whether a centring lets hkl (or its equivalent) show."""
    if code == 0:
        return True
    if code == 1:
        return (k + l) % 2 == 0
    if code == 2:
        return (h + l) % 2 == 0
    if code == 3:
        return (h + k) % 2 == 0
    if code == 4:
        return (h + k + l) % 2 == 0
    if code == 5:
        return (h + k) % 2 == 0 and (k + l) % 2 == 0
    return (-h + k + l) % 3 == 0 or (h - k + l) % 3 == 0


@njit(cache=True)
def _equivalents(kind, h, k, l):  # noqa: E741
    """Number of hkl equivalent to hkl (Friedel mates included) in the symmetry of the lattice."""
    zeros = (h == 0) + (k == 0) + (l == 0)
    if kind == 0:
        return 2.0
    if kind == 1:
        return 2.0 if k == 0 or (h == 0 and l == 0) else 4.0
    if kind == 2:
        return 8.0 / 2.0**zeros
    if kind == 3:
        plane = 1.0 if h == 0 and k == 0 else (4.0 if k == 0 or h == k else 8.0)
        return plane * (1.0 if l == 0 else 2.0)
    if kind == 4:
        plane = 1.0 if h == 0 and k == 0 else (6.0 if k == 0 or h == k else 12.0)
        return plane * (1.0 if l == 0 else 2.0)
    alike = 1.0 if h == k and k == l else (3.0 if h == k or k == l else 6.0)
    return alike * 8.0 / 2.0**zeros


@njit(cache=True)
def lines_of(g, q_max, kind):
    """hkl int64 (m, 3), 1/d^2 (m,) ascending and numbers of equivalents (m,) of a general metric up to q_max.

    Empty if the metric is not positive or has more than MOST_LINES lines.
    """
    none = np.empty((0, 3), np.int64), np.empty(0), np.empty(0)
    size = determinant(g)
    if g[0] <= 0.0 or g[1] <= 0.0 or g[2] <= 0.0 or size <= 0.0:
        return none
    a = math.sqrt(max(0.0, (g[1] * g[2] - 0.25 * g[3] * g[3]) / size))
    b = math.sqrt(max(0.0, (g[0] * g[2] - 0.25 * g[4] * g[4]) / size))
    root = math.sqrt(q_max)
    if not (a * root < 200.0 and b * root < 200.0):
        return none
    hkl = np.empty((MOST_LINES, 3), np.int64)
    q = np.empty(MOST_LINES)
    many = np.empty(MOST_LINES)
    count = 0
    for h in range(int(a * root) + 1):
        k_low = 0
        k_high = int(b * root)
        if kind == 0 and h > 0:
            k_low = -k_high
        if kind >= 3:
            k_high = min(k_high, h)
        for k in range(k_low, k_high + 1):
            rest = g[0] * h * h + g[1] * k * k + g[5] * h * k - q_max
            half = 0.5 * (g[3] * k + g[4] * h)
            inside = half * half - g[2] * rest
            if inside < 0.0:
                continue
            width = math.sqrt(inside)
            low = math.ceil((-half - width) / g[2])
            high = math.floor((-half + width) / g[2])
            if kind >= 2 or (h == 0 and (k == 0 or kind == 1)):
                low = max(low, 0)
            if kind == 5:
                high = min(high, k)
            for l in range(low, high + 1):  # noqa: E741
                if h == 0 and k == 0 and l == 0:
                    continue
                if count == MOST_LINES:
                    return none
                hkl[count, 0], hkl[count, 1], hkl[count, 2] = h, k, l
                q[count] = rest + q_max + g[2] * l * l + 2.0 * half * l
                many[count] = _equivalents(kind, h, k, l)
                count += 1
    order = np.argsort(q[:count])
    return hkl[order], q[order], many[order]


@njit(cache=True)
def distinct(hkl, q, many, code):
    """Indices (m,) of the different lines that a centring shows, and their numbers of equivalents (m,)."""
    kept = np.empty(q.size, np.int64)
    total = np.empty(q.size)
    count = 0
    for i in range(q.size):
        if not shows(code, hkl[i, 0], hkl[i, 1], hkl[i, 2]):
            continue
        if count and q[i] - q[kept[count - 1]] < 1e-8 * q[i]:
            total[count - 1] += many[i]
            continue
        kept[count] = i
        total[count] = many[i]
        count += 1
    return kept[:count], total[:count]


@njit(cache=True)
def nearest(values, x):
    """Index of the value nearest to x in ascending values."""
    right = np.searchsorted(values, x)
    if right == 0:
        return 0
    if right == values.size or x - values[right - 1] < values[right] - x:
        return right - 1
    return right


@njit(cache=True)
def window(found):
    """Half-width of the window in which lines are counted, degree."""
    return min(_WINDOW, _OF_LAST * found.two_theta[-1])


@njit(cache=True)
def density(angles, x, width):
    """Lines per degree around x, of ascending angles; width, half of that of the window."""
    low = np.searchsorted(angles, x - width)
    high = np.searchsorted(angles, x + width)
    return (high - low) / (2.0 * width) + 0.02


@njit(cache=True)
def line_scores(angles, found, shift):
    """Log-likelihood ratio (n,) of every found line over chance, and its distance (n,) from the lattice's."""
    n = found.two_theta.size
    score, distance = np.empty(n), np.empty(n)
    width = window(found)
    for i in range(n):
        x = found.two_theta[i] - shift
        off = x - angles[nearest(angles, x)]
        rho = density(angles, x, width)
        s = found.error[i]
        inside = (1.0 - found.foreign[i]) * math.exp(-0.5 * (off / s) ** 2) / (s * 2.5066282746)
        chance = 2.0 * rho * math.exp(-2.0 * rho * abs(off))
        score[i] = math.log(found.foreign[i] + inside / chance)
        distance[i] = off
    return score, distance


@njit(cache=True)
def _general(metric, general):
    """General metric (6,) of a family's metric (p,)."""
    out = np.zeros(6)
    for c in range(metric.size):
        for i in range(6):
            out[i] += metric[c] * general[c, i]
    return out


@njit(cache=True)
def refined(metric, shift, kind, found, n, prior, widths):
    """Metric (p,) and shift after weighted least squares on the first n lines; shift nan if it failed.

    kind     of the lattice, a Kind
    widths   float64 (rounds,): least error of a line in each round, degree; the last is best 0
    """
    p, general = metric.size, kind.general
    failed = metric, math.nan
    around = window(found)
    for width in widths:
        q_max = q_of(found.two_theta[n - 1] - shift + 1.0, found.wavelength)
        hkl, q, many = lines_of(_general(metric, general), q_max, kind.kind)
        if q.size < 2:
            return failed
        kept, _ = distinct(hkl, q, many, kind.code)
        if kept.size < 2:
            return failed
        angles = np.empty(kept.size)
        for j in range(kept.size):
            angles[j] = angle_of(q[kept[j]], found.wavelength)
        normal = np.zeros((p + 1, p + 1))
        right = np.zeros(p + 1)
        row = np.zeros(p + 1)
        for i in range(n):
            x = found.two_theta[i] - shift
            j = nearest(angles, x)
            off = x - angles[j]
            rho = density(angles, x, around)
            s = max(found.error[i], width)
            inside = (1.0 - found.foreign[i]) * math.exp(-0.5 * (off / s) ** 2) / (s * 2.5066282746)
            outside = found.foreign[i] * 2.0 * rho * math.exp(-2.0 * rho * abs(off)) + 1e-9
            slope = slope_of(x, found.wavelength)
            weight = inside / (inside + outside) / (s * slope) ** 2
            h, k, l = hkl[kept[j], 0], hkl[kept[j], 1], hkl[kept[j], 2]  # noqa: E741
            for c in range(p):
                g = general[c]
                row[c] = (
                    g[0] * h * h + g[1] * k * k + g[2] * l * l + g[3] * k * l + g[4] * h * l + g[5] * h * k
                )
            row[p] = slope
            # 1/d^2 at the present shift = forms @ metric + slope * change of shift
            value = q_of(x, found.wavelength)
            for c in range(p + 1):
                right[c] += weight * row[c] * value
                for d in range(p + 1):
                    normal[c, d] += weight * row[c] * row[d]
        normal[p, p] += 1.0 / prior.spread**2
        right[p] += (prior.shift - shift) / prior.spread**2
        # A weak pull to the present metric keeps the equations regular where few lines fit.
        for c in range(p):
            pull = 1e-6 * normal[c, c] + 1e-9
            normal[c, c] += pull
            right[c] += pull * metric[c]
        solution = np.linalg.solve(normal, right)
        metric = solution[:p].copy()
        shift = min(
            max(shift + solution[p], prior.shift - 4.0 * prior.spread), prior.shift + 4.0 * prior.spread
        )
        general_metric = _general(metric, general)
        if not (
            general_metric[0] > 0.0
            and general_metric[1] > 0.0
            and general_metric[2] > 0.0
            and determinant(general_metric) > 1e-9
        ):
            return failed
    return metric, shift


@njit(cache=True)
def unseen(angles, many, found, shift):
    """Log-likelihood of the lines of a lattice that were not found where they might have been: not in a gap.

    angles   float64 (m,), ascending, degree; many (m,), numbers of equivalents
    found    every found line, foreign or not

    Areas around a line are taken for exponentially distributed about the mean of an equivalent there
    (Wilson 1949, Acta Cryst. 2, 318); a share of lines is absent for other reasons.
    """
    total = 0.0
    n, reach = found.two_theta.size, 2.0 * window(found)
    low, high = found.two_theta[0] - shift - 0.5, found.two_theta[n - 1] - shift + 0.1
    for j in range(angles.size):
        x = angles[j]
        if x < low or x > high or in_gap(found.gaps, x + shift):
            continue
        power, equivalents, near = 0.0, 0.0, 180.0
        for i in range(n):
            off = found.two_theta[i] - shift - x
            if abs(off) < reach:
                power += found.area[i]
            near = min(near, abs(off) - 2.0 * found.error[i] - 0.4 * found.width[i])
        if near <= 0.0:
            continue
        first = np.searchsorted(angles, x - reach)
        last = np.searchsorted(angles, x + reach)
        for i in range(first, last):
            equivalents += many[i]
        seen = math.exp(-found.limit * equivalents / (many[j] * (power + found.limit)))
        total += math.log(1.0 - (1.0 - _ABSENT) * seen)
    return total


@njit(cache=True)
def total_score(score, foreign):
    """Log-likelihood ratio of all lines: few are foreign, or (with a small prior) many are.

    score   float64 (n,), of `line_scores`; foreign (n,), probabilities that they were reckoned with
    """
    clean, dirty = 0.0, math.log(_CONTAMINATED)
    for i in range(score.size):
        clean += score[i]
        # exp(score) = foreign + (1 - foreign) * ratio, with the ratio of a line that belongs.
        ratio = max(math.exp(score[i]) - foreign[i], 0.0) / (1.0 - foreign[i])
        more = max(foreign[i], _MANY_FOREIGN)
        dirty += math.log(more + (1.0 - more) * ratio)
    high = max(clean, dirty)
    return high + math.log(math.exp(clean - high) + math.exp(dirty - high))


@njit(cache=True)
def assessed(general, kind, found, every, shift):
    """How a lattice with the general metric (6,), of a Kind, stands.

    Returns scores (n,) and distances (n,) of the lines, log-likelihood of what is unseen, q (12,) of the
    lattice's first lines and the number of its lines in reach.
    """
    q_max = q_of(found.two_theta[-1] - shift + 1.0, found.wavelength)
    hkl, q, many = lines_of(general, q_max, kind.kind)
    kept, total = distinct(hkl, q, many, kind.code)
    first = np.zeros(12)
    angles = np.empty(kept.size)
    for j in range(kept.size):
        angles[j] = angle_of(q[kept[j]], found.wavelength)
        if j < 12:
            first[j] = q[kept[j]]
    if kept.size < 2:
        return np.empty(0), np.empty(0), 0.0, first, 0
    score, distance = line_scores(angles, found, shift)
    reach = np.searchsorted(angles, found.two_theta[-1] - shift + 0.1)
    return score, distance, unseen(angles, total, every, shift), first, reach


@njit(cache=True)
def all_at(two_theta, shift, wavelength):
    """1/d^2 (n,) and its change per degree (n,) of lines whose list is shifted."""
    q, slope = np.empty(two_theta.size), np.empty(two_theta.size)
    for i in range(two_theta.size):
        q[i] = q_of(two_theta[i] - shift, wavelength)
        slope[i] = slope_of(two_theta[i] - shift, wavelength)
    return q, slope

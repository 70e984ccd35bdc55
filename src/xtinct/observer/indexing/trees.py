"""Search of lattices: few lines are given small indices, the metric that follows is tested on all.

A family of p free numbers needs p lines. Where p is large, the numbers are found one after the other:
plane lattices of the lines first (zones: Ito 1949, Nature 164, 755; de Wolff 1958, Acta Cryst. 11, 664;
Visser 1969, J. Appl. Cryst. 2, 89), ordered by how many lines they explain beyond chance, then
lattices that share their rows. Nothing is assumed of the lines but that most belong to the lattice.
"""

import itertools
import math
from typing import NamedTuple

import numpy as np

from xtinct.compiling import assign, njit
from xtinct.observer.indexing.likelihood import determinant

#: Steps of the table of chance hits per factor e of the volume.
_PER_E = 16
#: Share by which a lattice has more lines than its volume says (those on planes of symmetry count once).
_MORE = 1.15
#: Longest axis, angstrom, and the square of its reciprocal.
LONGEST = 80.0
THINNEST = 1.0 / LONGEST**2


class Test(NamedTuple):
    """What a metric is tested on: n lines, and the range of volumes."""

    q: np.ndarray  # float64 (n,), 1/angstrom^2, at the expected shift
    slope: np.ndarray  # float64 (n,), change of q per degree of shift
    coarse: np.ndarray  # float64 (n,), tolerance of a metric of few lines, 1/angstrom^2
    fine: np.ndarray  # float64 (n,), tolerance of a metric refined on all lines, 1/angstrom^2
    missed: np.ndarray  # float64 (n,), log-likelihood ratio of a line without hkl
    gain: np.ndarray  # float64 (2, steps, n), that of a hit, coarse and fine, by volume
    total: np.ndarray  # float64 (2, steps), sums of the gains
    general: np.ndarray  # float64 (p, 6), from a metric of the family to a general one
    kind: int  # 0 triclinic, 1 monoclinic, 2 higher
    early: int  # number of first lines that a metric of few lines is tested on
    allowed: float  # log-likelihood that misses among them may cost
    stiffness: float  # weight of no shift in units of the lines' weights, 1 / degree^2
    smallest: float  # volume, angstrom^3
    largest: float
    longest: float  # axis, angstrom


class Kept(NamedTuple):
    """The best metrics so far: float64 (most, 6), their scores (most,), number and lowest score (1,) each."""

    metric: np.ndarray
    score: np.ndarray
    count: np.ndarray
    lowest: np.ndarray


class Tolerance(NamedTuple):
    """How far lines may lie from a lattice's, degree, and how far their list may be shifted."""

    coarse: float
    fine: float
    spread: float


def test_of(lines, window, general, kind, order, volumes) -> Test:
    """The test of lines.

    lines     (q, slope, foreign), float64 (n,) each: 1/d^2, its change per degree, chance to be foreign
    window    Window
    general   float64 (p, 6), see `xtinct.symmetry.families.Family.general`
    order     of the point group of the lattice; volumes: range, angstrom^3
    """
    q, slope, foreign = lines
    steps = int(_PER_E * math.log(volumes[1] / volumes[0])) + 2
    volume = volumes[0] * np.exp((np.arange(steps) + 0.5) / _PER_E)
    density = 2.0 * math.pi * np.sqrt(q) * volume[:, None] / order * _MORE
    tolerance = np.stack([slope * window.coarse, slope * window.fine])
    gain = -np.log(-np.expm1(-2.0 * tolerance[:, None] * density))
    stiffness = (0.5 * window.fine / window.spread) ** 2
    # Few lines are asked of lattices of few free numbers, where most are foreign.
    allowed = {1: -40.0, 2: -6.0}.get(len(general), -7.0)
    # A miss is cheap where a lattice has few free numbers, since its hits can hardly be chance.
    missed = np.log(np.maximum(foreign, 0.2 if len(general) <= 2 else 0.0))
    return Test(
        q, slope, tolerance[0], tolerance[1], missed, gain, gain.sum(axis=2), general, kind,
        min(len(q), 9), allowed, stiffness, *volumes, LONGEST,
    )  # fmt: skip


class Work(NamedTuple):
    """Room for the arithmetic of one metric."""

    axes: np.ndarray  # float64 (3,)
    hkl: np.ndarray  # float64 (n, 3)
    normal: np.ndarray  # float64 (8, 9)
    row: np.ndarray  # float64 (9,)
    metric: np.ndarray  # float64 (6,)
    out: np.ndarray  # float64 (6,)
    tensor: np.ndarray  # float64 (3, 3)


def kept(most: int, lowest: float) -> Kept:
    """Room for `most` metrics of scores above `lowest`."""
    return Kept(np.zeros((most, 6)), np.full(most, -np.inf), np.zeros(1, np.int64), np.array([lowest]))


@njit(cache=True, fastmath=True, error_model="numpy")
def _hit(g, a, b, q, tolerance, kind, hkl, i):
    """Whether some hkl of the metric lies within tolerance of q; writes the first one found into row i, or 0.

    Here and below no rows of arrays are taken inside of loops: counting who uses them costs as much as the
    arithmetic.
    """
    g0, g1, g2, g3, g4, g5 = g[0], g[1], g[2], g[3], g[4], g[5]
    root = math.sqrt(q + tolerance)
    high = int(b * root)
    for h in range(int(a * root) + 1):
        for k in range(-high if kind == 0 and h > 0 else 0, high + 1):
            rest = g0 * h * h + g1 * k * k + g5 * h * k - q
            half = 0.5 * (g3 * k + g4 * h)
            inside = half * half - g2 * rest
            if inside < 0.0:
                if inside < -g2 * tolerance:
                    continue
                inside = 0.0
            width = math.sqrt(inside)
            l = np.rint((width - half) / g2)  # noqa: E741
            if abs(g2 * l * l + 2.0 * half * l + rest) <= tolerance and (h or k or l != 0.0):
                hkl[i, 0], hkl[i, 1], hkl[i, 2] = h, k, l
                return True
            if half != 0.0:
                l = np.rint((-half - width) / g2)  # noqa: E741
                if abs(g2 * l * l + 2.0 * half * l + rest) <= tolerance and (h or k or l != 0.0):
                    hkl[i, 0], hkl[i, 1], hkl[i, 2] = h, k, l
                    return True
    hkl[i, 0], hkl[i, 1], hkl[i, 2] = 0.0, 0.0, 0.0
    return False


@njit(cache=True, fastmath=True, error_model="numpy")
def _axes(g, test, axes):
    """Volume of a metric (6,) whose direct axes are written; 0 if it is out of range."""
    if g[0] <= 0.0 or g[1] <= 0.0 or g[2] <= 0.0:
        return 0.0
    size = determinant(g)
    if size <= 1.0 / test.largest**2 or size >= 1.0 / test.smallest**2:
        return 0.0
    v = 1.0 / math.sqrt(size)
    axes[0] = math.sqrt(max(0.0, g[1] * g[2] - 0.25 * g[3] * g[3])) * v
    axes[1] = math.sqrt(max(0.0, g[0] * g[2] - 0.25 * g[4] * g[4])) * v
    axes[2] = math.sqrt(max(0.0, g[0] * g[1] - 0.25 * g[5] * g[5])) * v
    for i in range(3):
        if axes[i] < 1.5 or axes[i] > test.longest:
            return 0.0
    return v


@njit(cache=True, fastmath=True, error_model="numpy")
def _rejected(g, test, least, work):
    """Whether a metric (6,) of few lines misses too many of the first, or cannot score above `least`."""
    v = _axes(g, test, work.axes)
    if v == 0.0:
        return True
    step = int(_PER_E * math.log(v / test.smallest))
    if test.total[1, step] <= least:
        return True
    lines, tolerance, missed, hkl = test.q, test.coarse, test.missed, work.hkl
    a, b = work.axes[0], work.axes[1]
    spent = 0.0
    for i in range(test.early):
        if not _hit(g, a, b, lines[i], tolerance[i], test.kind, hkl, i):
            spent += missed[i]
            if spent < test.allowed:
                return True
    return False


@njit(cache=True, fastmath=True, error_model="numpy")
def _score(g, shift, test, fine, least, work):
    """Log-likelihood ratio over chance of a metric (6,); -inf below `least`. Writes the hkl of the hits."""
    v = _axes(g, test, work.axes)
    if v == 0.0:
        return -np.inf
    step = int(_PER_E * math.log(v / test.smallest))
    score = test.total[fine, step]
    lines, slope, missed, gain, hkl = test.q, test.slope, test.missed, test.gain, work.hkl
    tolerance = test.fine if fine else test.coarse
    a, b = work.axes[0], work.axes[1]
    for i in range(lines.size):
        if not _hit(g, a, b, lines[i] - shift * slope[i], tolerance[i], test.kind, hkl, i):
            score += missed[i] - gain[fine, step, i]
            if score <= least:
                return -np.inf
    return score


@njit(cache=True, fastmath=True, error_model="numpy")
def _fitted(g, test, n, work):
    """Least squares of the metric and a shift on the hkl of the first n lines; writes g, gives the shift."""
    t, hkl, row, m = test.general, work.hkl, work.row, work.normal
    lines, slope, fine = test.q, test.slope, test.fine
    p = len(t)
    m[:] = 0.0
    for i in range(n):
        h, k, l = hkl[i, 0], hkl[i, 1], hkl[i, 2]  # noqa: E741
        if h == 0.0 and k == 0.0 and l == 0.0:
            continue
        weight = 1.0 / fine[i] ** 2
        for c in range(p):
            row[c] = (
                t[c, 0] * h * h
                + t[c, 1] * k * k
                + t[c, 2] * l * l
                + t[c, 3] * k * l
                + t[c, 4] * h * l
                + t[c, 5] * h * k
            )
        row[p] = slope[i]
        row[p + 1] = lines[i]
        for c in range(p + 1):
            for d in range(c, p + 2):
                m[c, d] += weight * row[c] * row[d]
    # One line's weight per degree^2 is 1 / (fine in degrees)^2.
    scale = (slope[0] / fine[0]) ** 2
    m[p, p] += scale * test.stiffness * 4.0
    for c in range(p):
        pull = 1e-7 * m[c, c] + 1e-12
        value = 0.0
        # The present metric of the family: its first general number that only it sets.
        for i in range(6):
            if t[c, i] != 0.0:
                value = g[i]
                break
        m[c, c] += pull
        m[c, p + 1] += pull * value
        for d in range(c):
            m[c, d] = m[d, c]
    for d in range(p):
        m[p, d] = m[d, p]
    for c in range(p + 1):
        if not m[c, c] > 0.0:
            return np.inf
        for r in range(c + 1, p + 1):
            factor = m[r, c] / m[c, c]
            if factor != 0.0:
                for d in range(c, p + 2):
                    m[r, d] -= factor * m[c, d]
    for c in range(p, -1, -1):
        value = m[c, p + 1]
        for d in range(c + 1, p + 1):
            value -= m[c, d] * row[d]
        row[c] = value / m[c, c]
    for i in range(6):
        value = 0.0
        for c in range(p):
            value += row[c] * t[c, i]
        g[i] = value
    return row[p]


@njit(cache=True)
def _tested(metrics, test, found):
    """Tests metrics float64 (n, 6) of few lines, one after the other.

    One compiled loop for all searches: in each of them what it calls would be compiled anew.
    """
    work = Work(
        np.zeros(3),
        np.zeros((test.q.size, 3)),
        np.zeros((8, 9)),
        np.zeros(9),
        np.zeros(6),
        np.zeros(6),
        np.zeros((3, 3)),
    )
    g = np.empty(6)
    for i in range(len(metrics)):
        for c in range(6):
            g[c] = metrics[i, c]
        _try(g, test, found, work)


@njit(cache=True)
def _try(g, test, found, work):
    """Tests a metric (6,) of few lines; if it may be good, refines it on more and keeps it."""
    least = found.lowest[0]
    if _rejected(g, test, least, work):
        return
    best = work.metric
    assign(best, g)
    # The second round needs the hkl of all lines, the last its score alone.
    score = 0.0
    for rounds in range(3):
        shift = _fitted(best, test, test.early if rounds == 0 else test.q.size, work)
        if not abs(shift) < 0.5:
            return
        lowest = least - 12.0 if rounds == 0 else (-1e9 if rounds == 1 else least)
        score = _score(best, shift, test, min(rounds, 1), lowest, work)
        if rounds == 0 and score == -np.inf:
            return
    if score > least:
        if test.kind == 0:
            _shortened(best, work.out, work.tensor)
        elif test.kind == 1:
            _plane_reduced(best, work.out)
        else:
            assign(work.out, best)
            if len(test.general) == 3:
                _ordered(work.out)
        _keep(found, work.out, score)


@njit(cache=True)
def _ordered(g):
    """Brings the first three numbers of g (6,) in ascending order."""
    for i, j in ((0, 1), (1, 2), (0, 1)):
        if g[i] > g[j]:
            g[i], g[j] = g[j], g[i]


@njit(cache=True)
def _alike(one, two):
    """Whether two metrics (6,) on shortened, ordered axes are nearly the same."""
    near = 0.0012 * (one[0] + one[1] + one[2])
    for c in range(3):
        if abs(one[c] - two[c]) > near or abs(abs(one[3 + c]) - abs(two[3 + c])) > 2.0 * near:
            return False
    return True


@njit(cache=True)
def _keep(found, g, score):
    """Keeps a metric unless nearly the same one is kept; of those the better one stays."""
    count, most = found.count[0], found.score.size
    for i in range(count):
        if _alike(found.metric[i], g):
            if score > found.score[i]:
                found.score[i] = score
                assign(found.metric[i], g)
            return
    if count < most:
        place = count
        found.count[0] = count + 1
    else:
        place = _lowest(found.score)
        if score <= found.score[place]:
            return
    assign(found.metric[place], g)
    found.score[place] = score
    if count + 1 >= most:
        found.lowest[0] = max(found.lowest[0], found.score[_lowest(found.score)])


@njit(cache=True)
def _lowest(score):
    """Index of the first of the lowest scores (n,)."""
    place = 0
    for i in range(1, score.size):
        if score[i] < score[place]:
            place = i
    return place


def one_number(base, forms, test, found):
    """Cubic lattices: every base line (n,) with every form (m,) h^2 + k^2 + l^2."""
    x = (base[:, None] / forms).ravel()
    _tested(_metrics(x, x, x), test, found)


def two_numbers(base, forms, hexagonal, test, found):
    """Tetragonal or hexagonal lattices: every two base lines with forms float64 (m, 2)."""
    size = forms[:, 0, None] * forms[:, 1] - forms[:, 1, None] * forms[:, 0]
    s, t = np.nonzero(size)
    i, j = (base[index][:, None] for index in np.triu_indices(base.size, 1))
    x = (i * forms[t, 1] - j * forms[s, 1]) / size[s, t]
    z = (j * forms[s, 0] - i * forms[t, 0]) / size[s, t]
    allowed = (x >= THINNEST) & (z >= THINNEST)
    x, z = x[allowed], z[allowed]
    _tested(_metrics(x, x, z, hk=x if hexagonal else 0.0), test, found)


def _metrics(*squares, hl=0.0, hk=0.0):
    """Metrics float64 (n, 6) of the squares of their axes (n,), and of two of their products."""
    out = np.zeros((squares[0].size, 6))
    for column, values in enumerate(squares):
        out[:, column] = values
    out[:, 4], out[:, 5] = hl, hk
    return out


@njit(cache=True)
def _with_room(metrics, count, more):
    """The metrics (n, 6), of which `count` are written, or a longer copy if `more` do not fit."""
    if count + more <= len(metrics):
        return metrics
    longer = np.empty((2 * len(metrics) + more, 6))
    for i in range(count):
        for c in range(6):
            longer[i, c] = metrics[i, c]
    return longer


def three_numbers(base, squares, first, test, found):
    """Orthorhombic lattices: every three base lines with squares float64 (m, 3) of hkl.

    first   bool (m,), the hkl that the lowest of the three may have (axes are named by it)
    """
    _tested(_three_numbers(base, squares, first), test, found)


@njit(cache=True)
def _three_numbers(base, squares, first):
    n, m = base.size, len(squares)
    out, count = np.empty((4096, 6)), np.int64(0)
    for i in range(n):
        for j in range(i + 1, n):
            for k in range(j + 1, n):
                p, q, r = base[i], base[j], base[k]
                for s in range(m):
                    if not first[s]:
                        continue
                    a1, a2, a3 = squares[s, 0], squares[s, 1], squares[s, 2]
                    for t in range(m):
                        out = _with_room(out, count, m)
                        b1, b2, b3 = squares[t, 0], squares[t, 1], squares[t, 2]
                        c12, c13, c23 = a1 * b2 - a2 * b1, a1 * b3 - a3 * b1, a2 * b3 - a3 * b2
                        x12, x13, x23 = p * b2 - q * a2, p * b3 - q * a3, p * b1 - q * a1
                        for u in range(m):
                            d1, d2, d3 = squares[u, 0], squares[u, 1], squares[u, 2]
                            size = d1 * c23 - d2 * c13 + d3 * c12
                            if size == 0.0:
                                continue
                            # Cramer's rule on the rows a, b, d with right sides p, q, r.
                            x = (r * c23 - d2 * x13 + d3 * x12) / size
                            if x < THINNEST or x > 0.25:
                                continue
                            y = (d1 * x13 - r * c13 - d3 * x23) / size
                            if y < THINNEST or y > 0.25:
                                continue
                            z = (r * c12 - d1 * x12 + d2 * x23) / size
                            if z < THINNEST or z > 0.25:
                                continue
                            out[count, 0], out[count, 1], out[count, 2] = x, y, z
                            out[count, 3], out[count, 4], out[count, 5] = 0.0, 0.0, 0.0
                            count += 1
    return out[:count]


@njit(cache=True)
def _plane_reduced(g, out):
    """Writes the monoclinic metric on the shortest a* and c*, with a positive product."""
    a, c, e = g[0], g[2], 0.5 * g[4]
    for _ in range(20):
        if a > c:
            a, c = c, a
        t = np.rint(e / a)
        if t == 0.0:
            break
        c += t * t * a - 2.0 * t * e
        e -= t * a
    out[0], out[1], out[2], out[4] = a, g[1], c, 2.0 * abs(e)


@njit(cache=True)
def zones(base, line, tolerance):
    """Plane lattices of every two base lines: rows (count, 4) of (i, j, 2 a.b, score), the best first.

    base      float64 (n,), squares of row vectors a and b (quarters of lines are allowed)
    line      float64 (m,), all lines; tolerance (m,)
    """
    n, m = base.size, line.size
    out = np.empty((n * n * m * 3 // 2 + 1, 4))
    count = 0
    seen = np.empty(3 * m)
    for i in range(n):
        for j in range(i + 1, n):
            a, b = base[i], base[j]
            if abs(a / b - 0.25) < 1e-9 or abs(b / a - 0.25) < 1e-9 or abs(a - b) < 1e-9:
                continue
            number = 0
            for t in range(3):
                h, k = (1, 1) if t == 0 else ((2, 1) if t == 1 else (1, 2))
                for s in range(m):
                    x = abs(line[s] - a * h * h - b * k * k) / (h * k)
                    if x > 1.85 * math.sqrt(a * b):
                        continue
                    known = False
                    for v in range(number):
                        if abs(seen[v] - x) < 0.5 * tolerance[s] / (h * k):
                            known = True
                            break
                    if known:
                        continue
                    seen[number] = x
                    number += 1
                    area = math.sqrt(a * b - 0.25 * x * x)
                    score = 0.0
                    for v in range(m):
                        hit = False
                        root = math.sqrt(line[v] + tolerance[v])
                        for kk in range(int(root * math.sqrt(a) / area) + 1):
                            half = 0.5 * x * kk
                            inside = half * half - a * (b * kk * kk - line[v])
                            if inside < 0.0:
                                if inside < -a * tolerance[v]:
                                    continue
                                inside = 0.0
                            width = math.sqrt(inside)
                            hh = np.rint((width - half) / a)
                            if abs(a * hh * hh + 2.0 * half * hh + b * kk * kk - line[v]) <= tolerance[v]:
                                hit = True
                                break
                            hh = np.rint((-half - width) / a)
                            if abs(a * hh * hh + 2.0 * half * hh + b * kk * kk - line[v]) <= tolerance[v]:
                                hit = True
                                break
                        chance = 1.0 - math.exp(-2.0 * tolerance[v] * 0.5 * math.pi / area)
                        # Of the lines about a third belong to a zone that is of use.
                        score += math.log(0.75 + 0.25 / chance) if hit else math.log(0.75)
                    out[count, 0], out[count, 1], out[count, 2], out[count, 3] = i, j, x, score
                    count += 1
    order = np.argsort(-out[:count, 3])
    return out[order]


def zone_and_row(base, zone, line, test, found):
    """Monoclinic lattices: a zone as a*, c* and b* from a further line with k = 1, 2 or 3."""
    a, c = base[zone[:, :2].astype(np.int64)].T
    e = zone[:, 2]
    plane = np.stack([np.zeros(len(zone)), a, c, a + c - e, a + c + e], axis=1)
    b = (line[:, None] - plane[:, None])[..., None] / np.arange(1.0, 4.0) ** 2
    allowed = (b >= THINNEST) & (b <= 0.25)
    of = np.nonzero(allowed)[0]
    _tested(_metrics(a[of], b[allowed], c[of], hl=e[of]), test, found)


def row_by_row(base, first, second, third, test, found):
    """Monoclinic lattices: a* and b* from two lines, c* from a line (0kl), their angle from a line (hkl).

    first    float64 (f, 2, 2): pairs of (hk0); second int64 (s, 2): (k, l); third int64 (t, 3): hkl
    """
    _tested(_row_by_row(base, first, second, third, test.largest), test, found)


@njit(cache=True)
def _row_by_row(base, first, second, third, largest):
    n = base.size
    out, count = np.empty((4096, 6)), np.int64(0)
    for i in range(n):
        for j in range(n):
            if i == j:
                continue
            for s in range(len(first)):
                h1, k1, h2, k2 = (
                    first[s, 0, 0] ** 2,
                    first[s, 0, 1] ** 2,
                    first[s, 1, 0] ** 2,
                    first[s, 1, 1] ** 2,
                )
                size = h1 * k2 - k1 * h2
                a = (base[i] * k2 - base[j] * k1) / size
                b = (base[j] * h1 - base[i] * h2) / size
                if a < THINNEST or b < THINNEST or a > 0.25 or b > 0.25:
                    continue
                for m in range(n):
                    if m == i or m == j:  # noqa: SIM109
                        continue
                    for t in range(len(second)):
                        c = (base[m] - second[t, 0] ** 2 * b) / second[t, 1] ** 2
                        if c < THINNEST or c > 0.25:
                            continue
                        if 1.0 / math.sqrt(a * b * c) > largest:
                            continue
                        for o in range(n):
                            if o == i or o == j or o == m:  # noqa: SIM109
                                continue
                            out = _with_room(out, count, len(third))
                            for u in range(len(third)):
                                h, k, l = third[u, 0], third[u, 1], third[u, 2]  # noqa: E741
                                e = abs(base[o] - a * h * h - b * k * k - c * l * l) / (h * l)
                                if e > 1.85 * math.sqrt(a * c):
                                    continue
                                out[count, 0], out[count, 1], out[count, 2] = a, b, c
                                out[count, 3], out[count, 4], out[count, 5] = 0.0, e, 0.0
                                count += 1
    return out[:count]


@njit(cache=True)
def _shortened(g, out, r):
    """Writes the metric on shorter reciprocal axes (pairwise reduction); r (3, 3) is overwritten."""
    r[0, 0], r[1, 1], r[2, 2] = g[0], g[1], g[2]
    r[1, 2] = r[2, 1] = 0.5 * g[3]
    r[0, 2] = r[2, 0] = 0.5 * g[4]
    r[0, 1] = r[1, 0] = 0.5 * g[5]
    for _ in range(30):
        done = True
        for i in range(3):
            for j in range(3):
                if i == j:
                    continue
                t = np.rint(r[i, j] / r[j, j])
                if t != 0.0 and t * (t * r[j, j] - 2.0 * r[i, j]) < -1e-9 * r[i, i]:
                    for k in range(3):
                        r[i, k] -= t * r[j, k]
                    for k in range(3):
                        r[k, i] -= t * r[k, j]
                    done = False
        if done:
            break
    # The longest reciprocal axis last: the search for l is a calculation, those for h and k are loops.
    i = 0 if r[0, 0] <= r[1, 1] and r[0, 0] <= r[2, 2] else (1 if r[1, 1] <= r[2, 2] else 2)
    k = 2 if r[2, 2] >= r[0, 0] and r[2, 2] >= r[1, 1] else (1 if r[1, 1] >= r[0, 0] else 0)
    if i == k:
        i, k = 0, 2
    j = 3 - i - k
    out[0], out[1], out[2] = r[i, i], r[j, j], r[k, k]
    out[3], out[4], out[5] = 2.0 * r[j, k], 2.0 * r[i, k], 2.0 * r[i, j]


def three_zones(base, zone, per_pair, test, found, most):
    """Triclinic lattices: three base lines as a*, b*, c*, with the best zones of every two of them.

    zone       as `zones` gives it; per_pair: number of zones of a pair that are used
    most       number of metrics that are tested at most, by the sum of the scores of their zones
    """
    _tested(_three_zones(base, zone, per_pair, test.largest, most), test, found)


@njit(cache=True)
def _three_zones(base, zone, per_pair, largest, most):
    n = base.size
    value = np.empty((n, n, per_pair))
    merit = np.empty((n, n, per_pair))
    number = np.zeros((n, n), np.int64)
    for z in range(len(zone)):
        i, j = int(zone[z, 0]), int(zone[z, 1])
        if number[i, j] < per_pair:
            value[i, j, number[i, j]] = zone[z, 2]
            merit[i, j, number[i, j]] = zone[z, 3]
            number[i, j] += 1
    out, written = np.empty((4096, 6)), np.int64(0)
    g, tensor = np.empty(6), np.empty((3, 3))
    # How many combinations reach which sum of scores, to find the sum above which there are `most`.
    least = -np.inf
    bins = np.zeros(400, np.int64)
    for rounds in range(2):
        for i in range(n):
            for j in range(i + 1, n):
                for k in range(j + 1, n):
                    for x in range(number[i, j]):
                        for y in range(number[i, k]):
                            out = _with_room(out, written, 2 * number[j, k])
                            for z in range(number[j, k]):
                                total = merit[i, j, x] + merit[i, k, y] + merit[j, k, z]
                                if rounds == 0:
                                    bins[min(max(int(5.0 * total) + 100, 0), 399)] += 2
                                elif total >= least:
                                    g[0], g[1], g[2] = base[i], base[j], base[k]
                                    g[3], g[4], g[5] = value[j, k, z], value[i, k, y], value[i, j, x]
                                    written = _both_signs(g, largest, tensor, out, written)
        if rounds == 0:
            count, b = 0, 399
            while b >= 0 and count + bins[b] <= most:
                count += bins[b]
                b -= 1
            least = (b + 1 - 100) / 5.0 if b >= 0 else -np.inf
    return out[:written]


@njit(cache=True)
def _both_signs(g, largest, tensor, out, written):
    """Writes a metric (6,) and that with the other sign of its last number, shortened, into rows of `out`.

    Returns how many rows are written. g and the tensor (3, 3) are overwritten.
    """
    for sign in range(2):
        if sign == 1:
            if g[5] == 0.0:
                break
            g[5] = -g[5]
        size = determinant(g)
        if size <= 1e-3 * g[0] * g[1] * g[2] or size <= 1.0 / largest**2:
            continue
        _shortened(g, out[written], tensor)
        written += 1
    return written


def squares_of(reach: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    """hkl squares float64 (m, 3) for the orthorhombic search, and which of them the lowest line may have."""
    hkl = [x for x in itertools.product(range(reach + 1), repeat=3) if any(x) and sum(x) <= most]
    array = np.array(hkl)
    first = (array[:, 0] >= array[:, 1]) & (array[:, 1] >= array[:, 2])
    return (array**2).astype(np.float64), first

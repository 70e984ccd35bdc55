"""Triclinic lattices by the parallelogram law.

For lattice vectors a and b, Q(a + b) + Q(a - b) = 2 Q(a) + 2 Q(b): four lines that agree with it give
the zone of a and b, and the zones of three lines the metric up to two choices of signs (Ito 1949,
Nature 164, 755; de Wolff 1958, Acta Cryst. 11, 664; Visser 1969, J. Appl. Cryst. 2, 89). Accidental
agreement is rare where positions are as exact as those of single lines.
"""

import math
from typing import NamedTuple

import numpy as np

from xtinct.compiling import assign, njit
from xtinct.lattices.metric import quadratic_forms, reciprocal_tensor
from xtinct.observer.exact.search import SearchLines
from xtinct.symmetry.families import TRICLINIC

#: First sure lines that may span a lattice, and that may close a parallelogram.
_SPANNING, _CLOSING = ((24, False), (40, False), (14, True)), 80
#: Zones of a pair of lines, and metrics, that are kept at most.
_ZONES, _KEPT = 8, 200


class _Base(NamedTuple):
    """Lines that may span a lattice or close a parallelogram.

    q      float64 (n,), 1/d^2, ascending; error, float64 (n,), of each where the line is alone
    """

    q: np.ndarray
    error: np.ndarray


def metrics(lines: SearchLines, error: np.ndarray, *, shortest: float, longest: float) -> list[np.ndarray]:
    """Metrics float64 (6,), as `form_metric`, of lattices that explain lines, the largest cell last.

    Axes are reduced.

    error      float64 (n,), of q of a line that is alone, 1/angstrom^2
    shortest   and longest axis, angstrom
    """
    sure = np.flatnonzero(lines.sure)[:_CLOSING]
    if len(sure) <= 6:
        return []
    base = _Base(lines.q[sure], np.minimum(error, lines.tolerance)[sure])
    found = np.empty((0, 6))
    for spanning, opened in _SPANNING:
        found = _search(lines, base, min(spanning, len(sure)), opened)
        if len(found):
            break
    result: list[np.ndarray] = []
    for metric in sorted(found, key=lambda m: -_determinant(m)):
        for _ in range(2):
            metric = _refined(reduced(metric), lines)
        axes = np.sqrt(np.diagonal(np.linalg.inv(reciprocal_tensor(metric))))
        new = all(np.abs(metric - other).max() > 1e-4 * metric.max() for other in result)
        if new and shortest <= axes.min() and axes.max() <= longest:
            result.append(metric)
    return result


def of_tensor(g: np.ndarray) -> np.ndarray:
    """Metric float64 (6,) of a reciprocal metric tensor (3, 3)."""
    return np.array([g[0, 0], g[1, 1], g[2, 2], 2 * g[1, 2], 2 * g[0, 2], 2 * g[0, 1]])


def reduced(metric: np.ndarray) -> np.ndarray:
    """The metric (6,) on the three shortest axes a <= b <= c, whose angles are all acute or none is."""
    direct = np.linalg.inv(reciprocal_tensor(metric))
    span = np.arange(-2, 3)
    rows = np.stack(np.meshgrid(span, span, span, indexing="ij"), axis=-1).reshape(-1, 3)
    rows = rows[rows.any(axis=1)]
    for _ in range(20):
        length = np.einsum("ni,ij,nj->n", rows, direct, rows)
        order = np.argsort(length, kind="stable")
        a = rows[order[0]]
        b = next(v for v in rows[order] if np.cross(a, v).any())
        c = next(v for v in rows[order] if abs(np.linalg.det([a, b, v])) > 0.5)
        turn = np.array([a, b, c])
        if abs(np.linalg.det(turn)) > 1.5:  # not a basis: the axes were too oblique
            turn = np.array([a, b, next(v for v in rows[order] if 0.5 < abs(np.linalg.det([a, b, v])) < 1.5)])
        before = np.trace(direct)
        direct = turn @ direct @ turn.T
        if np.trace(direct) > (1 - 1e-9) * before:
            break
    bc, ac, ab = direct[1, 2], direct[0, 2], direct[0, 1]
    # An axis may be reversed: the product of the three cosines keeps its sign.
    sign = np.ones(3)
    if bc * ac * ab > 0:
        sign = np.array([1.0, math.copysign(1, ab), math.copysign(1, ac)])
    else:
        for trial in ((1, 1, 1), (1, 1, -1), (1, -1, 1), (-1, 1, 1)):
            x, y, z = trial
            if y * z * bc <= 1e-12 and x * z * ac <= 1e-12 and x * y * ab <= 1e-12:
                sign = np.array(trial, dtype=float)
                break
    return of_tensor(np.linalg.inv(direct * np.outer(sign, sign)))


def indices(metric: np.ndarray, q: np.ndarray, tolerance: np.ndarray) -> np.ndarray:
    """hkl int64 (n, 3) of the line of a metric (6,) nearest to each of q (n,); zeros beyond tolerance."""
    axes = np.sqrt(np.diagonal(np.linalg.inv(reciprocal_tensor(metric))))
    reach = [math.floor(length * math.sqrt(float((q + tolerance).max()))) for length in axes]
    grid = np.meshgrid(*[np.arange(-n, n + 1) for n in reach], indexing="ij")
    hkl = np.stack(grid, axis=-1).reshape(-1, 3)
    h, k, l = hkl.T  # noqa: E741
    hkl = hkl[(h > 0) | ((h == 0) & ((k > 0) | ((k == 0) & (l > 0))))]
    if len(hkl) < 2:
        return np.zeros((len(q), 3), dtype=np.int64)
    values = quadratic_forms(TRICLINIC, hkl) @ metric
    order = np.argsort(values, kind="stable")
    values = values[order]
    right = np.clip(np.searchsorted(values, q), 1, len(values) - 1)
    nearest = np.where(q - values[right - 1] < values[right] - q, right - 1, right)
    near = np.abs(values[nearest] - q) <= tolerance
    return np.where(near[:, None], hkl[order[nearest]], 0)


def _refined(metric: np.ndarray, lines: SearchLines) -> np.ndarray:
    """The metric by weighted least squares on the lines that it explains."""
    q, tolerance = lines.q, lines.tolerance
    hkl = indices(metric, q, tolerance)
    known = hkl.any(axis=1)
    forms = quadratic_forms(TRICLINIC, hkl[known]) / tolerance[known, None]
    better, _, rank, _ = np.linalg.lstsq(forms, q[known] / tolerance[known], rcond=None)
    return better if rank == 6 and _determinant(better) > 0 else metric


@njit(cache=True)
def _determinant(m):
    """Square of the reciprocal volume of a metric (6,)."""
    bc, ac, ab = 0.5 * m[3], 0.5 * m[4], 0.5 * m[5]
    return m[0] * (m[1] * m[2] - bc * bc) - ab * (ab * m[2] - bc * ac) + ac * (ab * bc - m[1] * ac)


class _Zones(NamedTuple):
    """2 a.b without its sign of every two of the first n lines as a and b.

    closed   float64 (n, n, _ZONES), where both diagonals of the parallelogram are lines
    half     float64 (n, n, lines), where any line may be one diagonal
    closed_count, half_count  int64 (n, n), number of values
    """

    closed: np.ndarray
    closed_count: np.ndarray
    half: np.ndarray
    half_count: np.ndarray


@njit(cache=True)
def _has_line(m, a, b, q, tolerance):
    """Whether the metric (6,) with axes a and b, angstrom, has a line within tolerance of q."""
    root = math.sqrt(q + tolerance)
    k_max = int(b * root)
    for h in range(int(a * root) + 1):
        for k in range(-k_max if h else 0, k_max + 1):
            rest = m[0] * h * h + m[1] * k * k + m[5] * h * k - q
            half = 0.5 * (m[4] * h + m[3] * k)
            inside = half * half - m[2] * rest
            if inside < 0.0:
                if inside < -m[2] * tolerance:
                    continue
                inside = 0.0
            width = math.sqrt(inside)
            for sign in (1.0, -1.0):
                l = np.rint((sign * width - half) / m[2])  # noqa: E741
                if abs(m[2] * l * l + 2.0 * half * l + rest) <= tolerance and (h or k or l):
                    return True
    return False


@njit(cache=True)
def _explains(m, determinant, lines):
    """Whether all but `missed` of the tested lines are lines of the metric (6,)."""
    bc, ac = 0.5 * m[3], 0.5 * m[4]
    a = math.sqrt((m[1] * m[2] - bc * bc) / determinant)
    b = math.sqrt((m[0] * m[2] - ac * ac) / determinant)
    misses = 0
    for i in range(lines.tested):
        if not _has_line(m, a, b, lines.q[i], lines.tolerance[i]):
            misses += 1
            if misses > lines.missed:
                return False
    return True


@njit(cache=True)
def _sums(q):
    """Sums of every two of m lines, ascending, and the pairs as first x m + second."""
    m = q.size
    total = np.empty(m * (m + 1) // 2)
    pair = np.empty(total.size, np.int64)
    x = 0
    for k in range(m):
        for l in range(k, m):  # noqa: E741
            total[x] = q[k] + q[l]
            pair[x] = k * m + l
            x += 1
    order = np.argsort(total)
    return total[order], pair[order]


@njit(cache=True)
def _zones(base, n):
    """The _Zones of every two of the first n lines."""
    m, q, error = base.q.size, base.q, base.error
    total, pair = _sums(q)
    closed = np.empty((n, n, _ZONES))
    closed_count = np.zeros((n, n), np.int64)
    half = np.empty((n, n, m))
    half_count = np.zeros((n, n), np.int64)
    for i in range(n):
        for j in range(i + 1, n):
            target = 2.0 * (q[i] + q[j])
            width = 2.0 * (error[i] + error[j])
            x = np.searchsorted(total, target - 2.0 * width)
            while x < total.size and total[x] <= target + 2.0 * width:
                k, l = pair[x] // m, pair[x] % m  # noqa: E741
                if abs(total[x] - target) <= width + error[k] + error[l] and closed_count[i, j] < _ZONES:
                    closed[i, j, closed_count[i, j]] = 0.5 * abs(q[k] - q[l])
                    closed_count[i, j] += 1
                x += 1
            for k in range(m):
                value = abs(q[k] - q[i] - q[j])
                if value < 1.8 * math.sqrt(q[i] * q[j]):
                    half[i, j, half_count[i, j]] = value
                    half_count[i, j] += 1
    return _Zones(closed, closed_count, half, half_count)


@njit(cache=True)
def _zone(zones, i, j, opened):
    """Values of the zone of lines i and j, closed or half open, and their number."""
    if opened:
        return zones.half[i, j], zones.half_count[i, j]
    return zones.closed[i, j], zones.closed_count[i, j]


@njit(cache=True)
def _near(values, count, value):
    """Whether one of the first `count` values is within 1e-4 of `value`."""
    for v in range(count):  # noqa: SIM110 (numba has no generators)
        if abs(values[v] - value) < 1e-4 * value:
            return True
    return False


@njit(cache=True)
def _search(lines, base, n, opened):
    """Metrics (m, 6), m <= _KEPT, whose axes are three of the first n base lines and that explain the lines.

    opened: one of the three zones may have a single diagonal.
    """
    q = base.q
    zones = _zones(base, n)
    found = np.empty((_KEPT, 6))
    volumes = np.empty(_KEPT)
    kept = 0
    metric = np.empty(6)
    for k in range(2, n):
        for j in range(1, k):
            for i in range(j):
                metric[0], metric[1], metric[2] = q[i], q[j], q[k]
                for which in range(3 if opened else 1):
                    jk, n_jk = _zone(zones, j, k, opened and which == 0)
                    ik, n_ik = _zone(zones, i, k, opened and which == 1)
                    ij, n_ij = _zone(zones, i, j, opened and which == 2)
                    for choice in range(2 * n_jk * n_ik * n_ij):
                        rest, sign = choice // 2, 2.0 * (choice % 2) - 1.0
                        metric[3] = sign * jk[rest % n_jk]
                        metric[4] = ik[rest // n_jk % n_ik]
                        metric[5] = ij[rest // (n_jk * n_ik)]
                        determinant = _determinant(metric)
                        if determinant < 1e-3 * q[i] * q[j] * q[k]:
                            continue
                        if _near(volumes, kept, determinant) or not _explains(metric, determinant, lines):
                            continue
                        assign(found[kept], metric)
                        volumes[kept] = determinant
                        kept += 1
                        if kept == _KEPT:
                            return found
    return found[:kept]

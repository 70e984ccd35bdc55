"""Kernels of the whole-pattern fit: normal equations of profiles, sparse Cholesky, projections.

Columns are those of `xtinct.observer.peaks.peak_shapes`: each on its own stretch of points. The factor of the
normal matrix keeps the zeros left of each row's first entry (skyline storage): lines are sorted by angle, so
that only neighbours overlap, and the background comes last.
"""

import math

import numpy as np

from xtinct.compiling import njit
from xtinct.observer.peaks.peak_shapes import Columns


@njit(cache=True, fastmath=True)
def hats(n, knots):
    """Piecewise linear hats of height 1 with `knots` equidistant knots over n points, as Columns."""
    gap = (n - 1.0) / (knots - 1.0)
    width = int(2 * gap) + 2
    values = np.zeros((1, knots, width))
    start = np.zeros(knots, np.int64)
    length = np.zeros(knots, np.int64)
    for k in range(knots):
        low = max(0, math.ceil((k - 1) * gap))
        high = min(n - 1, math.floor((k + 1) * gap))
        start[k] = low
        length[k] = high - low + 1
        for i in range(low, high + 1):
            values[0, k, i - low] = max(0.0, 1.0 - abs(i / gap - k))
    return Columns(values, start, length)


@njit(cache=True, fastmath=True)
def normal_equations(lines, background, weight, data):
    """Normal matrix and right side of the columns `lines` followed by `background`, and first entries.

    Returns N float64 (m, m), rhs float64 (m,), first int64 (m,): column of the first entry of each row.
    """
    a, a_start, a_length = lines.values[0], lines.start, lines.length
    b, b_start, b_length = background.values[0], background.start, background.length
    n_a, n_b = a_start.size, b_start.size
    m = n_a + n_b
    N = np.zeros((m, m))
    rhs = np.zeros(m)
    first = np.empty(m, np.int64)
    scratch = np.empty(max(a.shape[1], b.shape[1]))
    for j in range(m):
        row = a[j] if j < n_a else b[j - n_a]
        s = a_start[j] if j < n_a else b_start[j - n_a]
        e = s + (a_length[j] if j < n_a else b_length[j - n_a])
        # Two loops: one that writes and sums is summed in another order where its arrays lie close in memory.
        for i in range(s, e):
            scratch[i - s] = row[i - s] * weight[i]
        total = 0.0
        for i in range(s, e):
            total += scratch[i - s] * data[i]
        rhs[j], first[j] = total, j
        for k in range(j, -1, -1):
            other = a[k] if k < n_a else b[k - n_a]
            t = a_start[k] if k < n_a else b_start[k - n_a]
            low = max(s, t)
            high = min(e, t + (a_length[k] if k < n_a else b_length[k - n_a]))
            if high <= low:
                continue
            total = 0.0
            for i in range(low, high):
                total += scratch[i - s] * other[i - t]
            N[j, k] = total
            N[k, j] = total
            first[j] = k
    return N, rhs, first


@njit(cache=True, fastmath=True)
def cholesky(N, first, fixed, ridge):
    """Lower factor (m, m) of N with `ridge` (m,) added to its diagonal; `fixed` rows are held at 0."""
    m = first.size
    L = np.zeros((m, m))
    for i in range(m):
        if fixed[i]:
            L[i, i] = 1.0
            continue
        for j in range(first[i], i):
            if fixed[j]:
                continue
            total = N[i, j]
            for k in range(max(first[i], first[j]), j):
                total -= L[i, k] * L[j, k]
            L[i, j] = total / L[j, j]
        total = N[i, i] + ridge[i]
        for k in range(first[i], i):
            total -= L[i, k] * L[i, k]
        # A column that the earlier ones span exactly: held at its ridge.
        L[i, i] = math.sqrt(max(total, 1e-12 * N[i, i] + ridge[i] + 1e-300))
    return L


@njit(cache=True, fastmath=True)
def solve(L, first, rhs):
    """Solution float64 (m, r) of L L' x = rhs (m, r)."""
    m, r = rhs.shape
    x = rhs.copy()
    for i in range(m):
        for k in range(first[i], i):
            f = L[i, k]
            if f != 0.0:
                for c in range(r):
                    x[i, c] -= f * x[k, c]
        for c in range(r):
            x[i, c] /= L[i, i]
    for i in range(m - 1, -1, -1):
        for c in range(r):
            x[i, c] /= L[i, i]
        for k in range(first[i], i):
            f = L[i, k]
            if f != 0.0:
                for c in range(r):
                    x[k, c] -= f * x[i, c]
    return x


@njit(cache=True, fastmath=True)
def not_negative(N, rhs, first, ridge, lines):
    """Least squares, the first `lines` unknowns at least 0: (x float64 (m,), factor, which are held at 0).

    Unknowns that come out negative are held at 0 and the rest solved anew; held ones whose gradient asks for
    it are let go once at the end.
    """
    m = rhs.size
    fixed = np.zeros(m, np.bool_)
    for i in range(lines):
        fixed[i] = N[i, i] <= 0.0
    empty = fixed.copy()
    right = np.empty((m, 1))
    x = np.zeros((m, 1))
    L = N
    freed = False
    for _ in range(12):
        for i in range(m):
            right[i, 0] = 0.0 if fixed[i] else rhs[i]
        L = cholesky(N, first, fixed, ridge)
        x = solve(L, first, right)
        any_negative = False
        for i in range(lines):
            if not fixed[i] and x[i, 0] < 0.0:
                fixed[i] = True
                any_negative = True
        if any_negative:
            continue
        if freed:
            break
        freed = True
        again = False
        for i in range(lines):
            if fixed[i] and not empty[i]:
                slope = rhs[i]
                for k in range(m):
                    slope -= N[i, k] * x[k, 0]
                if slope > 1e-6 * math.sqrt(N[i, i]) and slope > 0.0:
                    fixed[i] = False
                    again = True
        if not again:
            break
    for i in range(lines):
        if x[i, 0] < 0.0:
            x[i, 0] = 0.0
    return x[:, 0].copy(), L, fixed


@njit(cache=True, fastmath=True)
def accumulate(columns, factor, n):
    """float64 (n,): sum of the columns, each times its factor float64 (m,)."""
    values, start, length = columns.values, columns.start, columns.length
    y = np.zeros(n)
    for j in range(start.size):
        f = factor[j]
        if f != 0.0:
            for i in range(length[j]):
                y[start[j] + i] += f * values[0, j, i]
    return y


@njit(cache=True, fastmath=True)
def gradients(columns, factor, n):
    """float64 (K, n): derivatives of the pattern; factor float64 (K, 4, m) of the four derivative columns."""
    values, start, length = columns.values, columns.start, columns.length
    K = factor.shape[0]
    out = np.zeros((K, n))
    for k in range(K):
        for c in range(4):
            for j in range(start.size):
                f = factor[k, c, j]
                if f != 0.0:
                    for i in range(length[j]):
                        out[k, start[j] + i] += f * values[1 + c, j, i]
    return out


@njit(cache=True, fastmath=True)
def projections(columns, weighted):
    """float64 (m, K): products of the columns with the rows of `weighted` float64 (K, n)."""
    values, start, length = columns.values, columns.start, columns.length
    K = weighted.shape[0]
    out = np.zeros((start.size, K))
    for j in range(start.size):
        for k in range(K):
            total = 0.0
            for i in range(length[j]):
                total += values[0, j, i] * weighted[k, start[j] + i]
            out[j, k] = total
    return out


@njit(cache=True, fastmath=True)
def matched(columns, weight, residual):
    """Significance float64 (m,) of the columns in a residual: height over its error.

    Each column is taken orthogonal to a constant and a slope within its length: a hump is not a line.
    """
    values, start, length = columns.values, columns.start, columns.length
    m = start.size
    out = np.zeros(m)
    for j in range(m):
        sw, sx, sxx, sp, spx = 1e-300, 0.0, 0.0, 0.0, 0.0
        half = 0.5 * length[j]
        for i in range(length[j]):
            w = weight[start[j] + i]
            u = i - half
            p = values[0, j, i]
            sw += w
            sx += w * u
            sxx += w * u * u
            sp += w * p
            spx += w * u * p
        det = sw * sxx - sx * sx
        if det <= 0.0:
            continue
        constant = (sp * sxx - spx * sx) / det
        slope = (spx * sw - sp * sx) / det
        top, bottom = 0.0, 0.0
        for i in range(length[j]):
            p = values[0, j, i] - constant - slope * (i - half)
            w = weight[start[j] + i]
            top += p * w * residual[start[j] + i]
            bottom += p * p * w
        if bottom > 0.0:
            out[j] = top / math.sqrt(bottom)
    return out

"""Cells of a crystal family and the lines they show.

1/d^2 = Q is linear in the reciprocal metric, which has 1 (cubic) to 4 (monoclinic) free parameters.
"""

import math

import numpy as np

from xtinct.compiling import njit
from xtinct.lattices.metric import cell_of, quadratic_forms
from xtinct.symmetry.families import (
    CUBIC,
    FAMILIES,
    MONOCLINIC,
    ORTHORHOMBIC,
    TETRAGONAL,
    TRICLINIC,
    TRIGONAL_HEXAGONAL,
)

#: Families whose cells are searched by guessed indices.
SEARCHED = tuple(name for name, family in FAMILIES.items() if len(family.free_angles) < 3)
#: Range of axes, angstrom.
SHORTEST, LONG, LONGEST = 2.0, 32.0, 80.0
#: Longest axes of the families whose cells may be longer than LONG, angstrom.
LONG_CELLS = {
    TETRAGONAL: LONGEST,
    TRIGONAL_HEXAGONAL: LONGEST,
    ORTHORHOMBIC: 1.5 * LONG,
    MONOCLINIC: 1.5 * LONG,
}
#: 1/d^2 of (h k l) = g1 h^2 + g2 k^2 + g3 l^2 + g4 hl + g5 hk with g = metric @ this float64 (p, 5).
GENERAL = {family: np.delete(FAMILIES[family].general, 3, axis=1) for family in SEARCHED}


def smallest(family: str, metric: np.ndarray, hkl: np.ndarray) -> np.ndarray | None:
    """Metric of the smallest cell of the family that has all lines hkl int (n, 3); None if it is this one.

    A triclinic cell is spanned by lines that are seen: it is the smallest.
    """
    if family == TRICLINIC:
        return None
    forms = quadratic_forms(family, hkl)
    factor = np.ones(len(metric))
    # Besides multiples of an axis, turned cells: h^2 + k^2 divisible by 2, 5, 13 or 17 (tetragonal) and
    # h^2 + hk + k^2 by 3, 7, 13 or 19 (hexagonal) are the forms of a lattice that much smaller in the plane.
    turned = {TETRAGONAL: (2, 5, 13, 17), TRIGONAL_HEXAGONAL: (3, 7, 13, 19)}.get(family, ())
    if family == MONOCLINIC:
        k = int(np.gcd.reduce(hkl[:, 1])) or 1
        plane = _plane_basis(hkl[:, [0, 2]])
        if k == 1 and abs(plane[0, 0] * plane[1, 1]) == 1:
            return None
        # Rows of `plane` are the new a* and c* in the old ones.
        gram = np.array([[metric[0], metric[3] / 2], [metric[3] / 2, metric[2]]])
        gram = plane @ gram @ plane.T
        return np.array([gram[0, 0], metric[1] * k * k, gram[1, 1], 2 * gram[0, 1]])
    for column in range(len(metric)):
        values = forms[:, column].copy()
        if not values.any():
            continue
        for divisor in (*(turned if column == 0 else ()), 4, 9, 25):
            while not (values % divisor).any():
                values //= divisor
                factor[column] *= divisor
    return None if (factor == 1).all() else metric * factor


def _plane_basis(vectors: np.ndarray) -> np.ndarray:
    """Basis int64 (2, 2), upper triangular, of the lattice of integer `vectors` (n, 2)."""
    rows = [tuple(int(x) for x in row) for row in vectors if row.any()]
    first, second = (0, 0), 0
    for h, l in rows:  # noqa: E741
        a, b = first, (h, l)
        while b[0]:
            factor = a[0] // b[0]
            a, b = b, (a[0] - factor * b[0], a[1] - factor * b[1])
        first, second = a, math.gcd(second, b[1])
    if not first[0] or not second:
        return np.eye(2, dtype=np.int64)
    return np.array([[abs(first[0]), (first[1] if first[0] > 0 else -first[1]) % second], [0, second]])


def standard_axes(family: str, metric: np.ndarray) -> np.ndarray:
    """The metric on reduced axes: monoclinic a and c the shortest in their plane, beta obtuse."""
    if family != MONOCLINIC:
        return metric
    aa, bb, cc, ac = float(metric[0]), float(metric[1]), float(metric[2]), float(metric[3]) / 2
    while True:
        if aa > cc:
            aa, cc = cc, aa
        turn = round(ac / aa)
        if turn == 0:
            break
        cc, ac = cc - 2 * turn * ac + turn * turn * aa, ac - turn * aa
    return np.array([aa, bb, cc, 2 * abs(ac)])


def indices(family: str, metric: np.ndarray, q: np.ndarray, tolerance: np.ndarray) -> np.ndarray:
    """hkl int64 (n, 3) of lines at q (n,) within tolerance (n,), 1/angstrom^2; zeros where there is none."""
    general = GENERAL[family]
    folded = FAMILIES[family].a_equals_b
    found = [index_of(metric @ general, x, t, folded) for x, t in zip(q, tolerance, strict=True)]
    return np.array(found, dtype=np.int64).reshape(-1, 3)


def form_indices(family: str, forms: np.ndarray) -> np.ndarray:
    """One hkl int64 (n, 3) of each quadratic form (n, p)."""
    forms = np.rint(forms).astype(np.int64)
    if family == ORTHORHOMBIC:
        return np.rint(np.sqrt(forms)).astype(np.int64)
    if family == MONOCLINIC:
        h, k, l = (np.rint(np.sqrt(forms[:, i])).astype(np.int64) for i in range(3))  # noqa: E741
        return np.stack([h, k, np.where(forms[:, 3] < 0, -l, l)], axis=1)
    if family == TRICLINIC:
        h, k, l = (np.rint(np.sqrt(forms[:, i])).astype(np.int64) for i in range(3))  # noqa: E741
        k = np.where(forms[:, 5] < 0, -k, k)
        return np.stack([h, k, np.where((forms[:, 4] < 0) | ((h == 0) & (forms[:, 3] < 0)), -l, l)], axis=1)
    reach = int(np.sqrt(forms.max())) + 1
    grid = np.meshgrid(*[np.arange(reach + 1)] * 3, indexing="ij")
    hkl = np.stack(grid, axis=-1).reshape(-1, 3)[:, ::-1]
    if family == CUBIC:
        hkl = hkl[(hkl[:, 0] >= hkl[:, 1]) & (hkl[:, 1] >= hkl[:, 2])]
    else:
        hkl = hkl[hkl[:, 0] >= hkl[:, 1]]
    known = {tuple(form): row for form, row in zip(quadratic_forms(family, hkl).tolist(), hkl, strict=True)}
    return np.array([known[tuple(form)] for form in forms.tolist()])


def figure_of_merit(family: str, metric: np.ndarray, q: np.ndarray) -> float:
    """M20 of de Wolff (1968, J. Appl. Cryst. 1, 108) over the first 20 lines (fewer if there are fewer).

    Q20 / (2 <|dQ|> N20), where N20 is the number of different lines the cell could show up to the 20th
    observed line and <|dQ|> the mean distance of observed and nearest possible line. 0 without lines.
    """
    q = q[:20]
    if not len(q):
        return 0.0
    possible = _distinct(family, metric, float(q[-1] * (1 + 1e-3)))
    if not len(possible):
        return 0.0
    off = np.abs(q[:, None] - possible).min(axis=1).mean()
    return float(q[-1] / (2.0 * max(off, 1e-12) * len(possible)))


def _distinct(family: str, metric: np.ndarray, q_max: float) -> np.ndarray:
    a, b, c = cell_of(family, metric)[:3]
    reach = [math.floor(length * math.sqrt(q_max)) for length in (a, b, c)]
    grid = np.meshgrid(*[np.arange(-n, n + 1) for n in reach], indexing="ij")
    forms = np.unique(quadratic_forms(family, np.stack(grid, axis=-1).reshape(-1, 3)), axis=0)
    values = forms @ metric
    return np.sort(values[(values > 1e-9) & (values <= q_max)])


@njit(cache=True)
def positive(g):
    """Whether g1 ... g5 is a metric of positive axes."""
    if not (g[0] > 0.0 and g[1] > 0.0 and g[2] > 0.0):
        return False
    return 4.0 * g[0] * g[2] > g[3] * g[3] * 1.02 and 4.0 * g[0] * g[1] > g[4] * g[4]


@njit(cache=True)
def axes_of(g, axes):
    """Direct axes of the metric g1 ... g5 (hl and hk terms are never both there)."""
    axes[0] = 1.0 / math.sqrt(g[0] - 0.25 * g[3] * g[3] / g[2] - 0.25 * g[4] * g[4] / g[1])
    axes[1] = 1.0 / math.sqrt(g[1] - 0.25 * g[4] * g[4] / g[0])
    axes[2] = 1.0 / math.sqrt(g[2] - 0.25 * g[3] * g[3] / g[0])


@njit(cache=True)
def hit(g, axes, q, tolerance, folded, hkl):
    """Whether some hkl of the metric lies within tolerance of q; writes the first one found."""
    root = math.sqrt(q + tolerance)
    for h in range(int(axes[0] * root) + 1):
        k_max = int(axes[1] * root)
        if folded:
            k_max = min(k_max, h)
        for k in range(k_max + 1):
            rest = g[0] * h * h + g[1] * k * k + g[4] * h * k - q
            half = 0.5 * g[3] * h
            inside = half * half - g[2] * rest
            if inside < 0.0:
                # Within tolerance of a tangent point still counts.
                if inside < -g[2] * tolerance:
                    continue
                inside = 0.0
            width = math.sqrt(inside)
            for sign in (1.0, -1.0):
                l = np.rint((-half + sign * width) / g[2])  # noqa: E741
                if abs(g[2] * l * l + g[3] * h * l + rest) <= tolerance and (h or k or l):
                    hkl[0], hkl[1], hkl[2] = h, k, l
                    return True
                if g[3] == 0.0:
                    break
    return False


@njit(cache=True)
def index_of(g, q, tolerance, folded):
    """hkl int64 (3,) of a line, zeros if the metric g1 ... g5 has none there."""
    axes, hkl = np.empty(3), np.zeros(3, np.int64)
    axes_of(g, axes)
    if not hit(g, axes, q, tolerance, folded, hkl):
        hkl[:] = 0
    return hkl


@njit(cache=True)
def count(g, axes, q, folded):
    """Number of hkl with 1/d^2 <= q, equivalent ones counted once."""
    total = 0
    root = math.sqrt(q)
    for h in range(int(axes[0] * root) + 1):
        k_max = int(axes[1] * root)
        if folded:
            k_max = min(k_max, h)
        for k in range(k_max + 1):
            rest = g[0] * h * h + g[1] * k * k + g[4] * h * k - q
            half = 0.5 * g[3] * h
            inside = half * half - g[2] * rest
            if inside >= 0.0:
                width = math.sqrt(inside)
                low, high = math.ceil((-half - width) / g[2]), math.floor((-half + width) / g[2])
                if g[3] == 0.0:
                    low = 0
                total += max(0, high - low + 1)
    return total

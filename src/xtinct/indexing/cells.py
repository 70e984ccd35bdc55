"""Indexing: the cells of a crystal family on which a list of observed lines lies.

1/d^2 = Q is linear in the reciprocal metric, so as many lines as a family has free parameters (1 to
4) determine the metric once their indices are guessed. The guesses form a tree: the first line is
given each form of small indices, the next line that these forms cannot explain each form again, and
so on; lines that follow from those already assigned (a dominant zone: 001, 002, 003, ...) are
passed over. A metric is kept if it explains the other lines too, and what is kept is ranked by the
number of lines it could show, the smallest cell first (as Werner, Eriksson and Westdahl 1985,
J. Appl. Cryst. 18, 367, with the errors of every line instead of a fixed window).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations

import numpy as np
from numba import njit

from xtinct.diffraction.lines import quadratic_forms
from xtinct.errors import XtinctError

#: Families with a search. Every lattice is triclinic, and triclinic has one class: nothing to search.
SEARCHED = ("cubic", "tetragonal", "trigonal-hexagonal", "orthorhombic", "monoclinic")
#: Range of axes, angstrom.
SHORTEST, LONGEST = 2.0, 32.0
#: Lines that are used, and cells that are kept before they are ranked, at most.
_MOST = 90
_KEPT = 400
#: 1/d^2 of (h k l) = g1 h^2 + g2 k^2 + g3 l^2 + g4 hl + g5 hk with g = metric @ this.
_GENERAL = {
    "cubic": [[1, 1, 1, 0, 0]],
    "tetragonal": [[1, 1, 0, 0, 0], [0, 0, 1, 0, 0]],
    "trigonal-hexagonal": [[1, 1, 0, 0, 1], [0, 0, 1, 0, 0]],
    "orthorhombic": [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0]],
    "monoclinic": [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0]],
}


@dataclass(frozen=True)
class Candidate:
    """A cell that explains the lines.

    metric    float64 (p,), as `xtinct.diffraction.lines.form_metric`
    possible  lines that the cell could show up to the last tested line
    missed    tested lines that it does not explain
    cost      minus the logarithm of the evidence for the cell, up to a constant of the pattern
    """

    family: str
    metric: np.ndarray
    possible: int
    missed: int
    cost: float

    @property
    def cell(self) -> np.ndarray:
        """Conventional cell float64 (6,), angstrom and degrees."""
        return cell_of(self.family, self.metric)


def cell_of(family: str, metric: np.ndarray) -> np.ndarray:
    """Conventional cell float64 (6,) of a metric (p,) of `xtinct.diffraction.lines.form_metric`."""
    m = [float(x) for x in metric]
    if family == "cubic":
        return np.array([m[0] ** -0.5] * 3 + [90.0] * 3)
    if family == "tetragonal":
        return np.array([m[0] ** -0.5, m[0] ** -0.5, m[1] ** -0.5, 90.0, 90.0, 90.0])
    if family == "trigonal-hexagonal":
        a = math.sqrt(4.0 / (3.0 * m[0]))
        return np.array([a, a, m[1] ** -0.5, 90.0, 90.0, 120.0])
    if family == "orthorhombic":
        return np.array([m[0] ** -0.5, m[1] ** -0.5, m[2] ** -0.5, 90.0, 90.0, 90.0])
    if family == "monoclinic":
        cosine = -m[3] / (2.0 * math.sqrt(m[0] * m[2]))
        sine2 = 1.0 - cosine * cosine
        return np.array(
            [
                (m[0] * sine2) ** -0.5,
                m[1] ** -0.5,
                (m[2] * sine2) ** -0.5,
                90.0,
                math.degrees(math.acos(cosine)),
                90.0,
            ]
        )
    raise XtinctError(f"crystal family {family!r}: expected one of {', '.join(SEARCHED)}")


def search(
    family: str,
    q: np.ndarray,
    tolerance: np.ndarray,
    sure: np.ndarray | None = None,
    *,
    missed: int = 0,
    tested: int = 25,
    kept: int = 5,
) -> list[Candidate]:
    """Cells of `family` that explain lines at `q` float64 (n,) ascending, 1/angstrom^2, best first.

    tolerance  float64 (n,), largest error of each q
    sure       bool (n,), lines that may determine a cell; None: all
    missed     number of lines that need no explanation (impurities, unresolved lines); any of the
               first lines may be one of them
    tested     number of first lines that a cell must explain
    kept       number of cells that are returned, at most
    """
    sure = np.ones(len(q), dtype=bool) if sure is None else np.ascontiguousarray(sure[:_MOST])
    if len(q) < len(_GENERAL[family]) + 1:
        return []
    tree = _tree(family)
    general = np.array(_GENERAL[family], dtype=np.float64)
    folded = family in ("cubic", "tetragonal", "trigonal-hexagonal")
    q, tolerance = np.ascontiguousarray(q[:_MOST]), np.ascontiguousarray(tolerance[:_MOST])
    found: list[tuple[int, int, float, np.ndarray]] = []
    n_tested = min(tested, len(q))
    for dropped in [-1, *np.flatnonzero(sure)[: 6 if missed else 0]]:
        basis = sure.copy()
        basis[dropped] &= dropped < 0
        metrics, possible, lost = _search(
            q, tolerance, basis, n_tested, missed, general, folded, *tree, SHORTEST, LONGEST
        )
        found += [(int(n) + 10 * int(k), int(k), m) for n, k, m in zip(possible, lost, metrics, strict=True)]
        if found and dropped >= 0:
            break
    cells: list[Candidate] = []
    for _, lost_lines, metric in sorted(found, key=lambda item: item[0])[: 4 * kept]:
        cells += _candidates(family, metric, lost_lines, q, tolerance, sure, n_tested)
    cells.sort(key=lambda cell: cell.cost)
    result: list[Candidate] = []
    for cell in cells:
        if all(
            abs(_volume(family, other.metric) / _volume(family, cell.metric) - 1) > 1e-6 for other in result
        ):
            result.append(cell)
    return result[:kept]


def _volume(family: str, metric: np.ndarray) -> float:
    a, b, c, _, beta, gamma = cell_of(family, metric)
    return a * b * c * math.sin(math.radians(beta)) * math.sin(math.radians(gamma))


def _candidates(
    family: str,
    metric: np.ndarray,
    missed: int,
    q: np.ndarray,
    tolerance: np.ndarray,
    sure: np.ndarray,
    n_tested: int,
) -> list[Candidate]:
    """The refined cell, and before it the smallest one that its lines lie on, if that is another.

    The cost is the evidence for the cell with its sign turned: a line at a deviation r from one of n
    possible positions costs log(n r); deviations have one unknown scale.
    """
    general = np.array(_GENERAL[family], dtype=np.float64)
    folded = family in ("cubic", "tetragonal", "trigonal-hexagonal")
    result = []
    forms, known = np.empty((0, len(metric))), np.zeros(len(q), dtype=bool)
    for _ in range(2):
        hkl = indices(family, metric, q, tolerance)
        known = hkl.any(axis=1)
        forms = quadratic_forms(family, hkl[known]).astype(np.float64)
        refined, _, rank, _ = np.linalg.lstsq(
            forms / tolerance[known, None], q[known] / tolerance[known], rcond=None
        )
        if rank < len(metric) or not _positive(refined @ general):
            break
        metric = refined
    smaller = smallest(family, metric, hkl[known & sure])
    deviation = np.abs(forms @ metric - q[known]) / tolerance[known]
    weight = len(q) * math.log(max(1e-9, float(np.sqrt(np.mean(deviation**2)))) + 1e-4)
    for tried in [smaller, metric] if smaller is not None else [metric]:
        g, axes = tried @ general, np.empty(3)
        _axes(g, axes)
        if axes.min() < SHORTEST:
            continue
        possible = int(_count(g, axes, q[n_tested - 1], folded))
        cost = len(q) * math.log(max(1, possible)) + weight + 10.0 * missed
        result.append(Candidate(family, standard_axes(family, tried), possible, missed, cost))
    return result


def smallest(family: str, metric: np.ndarray, hkl: np.ndarray) -> np.ndarray | None:
    """Metric of the smallest cell of the family that has all lines hkl int (n, 3); None if it is this one."""
    forms = quadratic_forms(family, hkl)
    factor = np.ones(len(metric))
    if family == "monoclinic":
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
        steps = {"tetragonal": (2, 9), "trigonal-hexagonal": (3, 4)}.get(family, ()) if column == 0 else ()
        for divisor in (*steps, 4, 9, 25):
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
    if family != "monoclinic":
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
    general = np.array(_GENERAL[family], dtype=np.float64)
    folded = family in ("cubic", "tetragonal", "trigonal-hexagonal")
    found = [_index(metric @ general, x, t, folded) for x, t in zip(q, tolerance, strict=True)]
    return np.array(found, dtype=np.int64).reshape(-1, 3)


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


@lru_cache(maxsize=64)
def _forms(family: str, reach: tuple[int, int, int], lowest: int = 0) -> tuple[tuple[int, ...], ...]:
    """Quadratic forms of 0 0 0 < (h k l) <= reach; h from -lowest on."""
    h = np.arange(-lowest, reach[0] + 1)
    grid = np.meshgrid(h, np.arange(reach[1] + 1), np.arange(reach[2] + 1), indexing="ij")
    hkl = np.stack(grid, axis=-1).reshape(-1, 3)
    forms = np.unique(quadratic_forms(family, hkl[hkl.any(axis=1)]), axis=0)
    return tuple(tuple(int(x) for x in form) for form in forms)


def _monoclinic(h: int, k: int, l: int) -> tuple[int, ...]:  # noqa: E741
    return (h * h, k * k, l * l, h * l)


@lru_cache(maxsize=1)
def _orthorhombic() -> tuple[tuple[int, ...], ...]:
    forms = {form for reach in permutations((3, 3, 6)) for form in _forms("orthorhombic", reach)}
    return tuple(sorted(form for form in forms if sum(form) <= 45))


def _children(family: str, path: tuple[tuple[int, ...], ...]) -> Sequence[tuple[int, ...]]:
    """Forms that the next line may have after the forms `path`, one of each equivalent naming of axes."""
    depth = len(path)
    if family == "cubic":
        return [(n,) for n in range(1, 49)]
    if family in ("tetragonal", "trigonal-hexagonal"):
        return _forms(family, (3, 3, 6) if depth == 0 else (5, 5, 10))
    if family == "orthorhombic":
        if depth == 0:
            first = ((0, 0, 1), (0, 0, 2), (0, 0, 4), (0, 1, 1), (0, 1, 2), (0, 2, 2), (0, 1, 3), (1, 1, 1))
            first += ((1, 1, 2), (1, 2, 2), (1, 1, 3), (2, 2, 2), (0, 2, 4), (1, 1, 4))
            return [tuple(x * x for x in hkl) for hkl in first]
        if depth == 2:
            return _orthorhombic()
        # Axes that the first line does not tell apart stay exchangeable.
        orders = [o for o in permutations(range(3)) if tuple(path[0][i] for i in o) == tuple(path[0])]
        return sorted({min(tuple(form[i] for i in o) for o in orders) for form in _orthorhombic()})
    # Monoclinic: a* is the direction of the first line in the plane, c* of the second, up to adding a*.
    plane = [form for form in path if form[0] or form[2]]
    zone = [_monoclinic(h, k, 0) for h in range(4) for k in range(4) if h + k]
    zone += [_monoclinic(h, 0, 0) for h in (4, 5, 6)] + [_monoclinic(0, k, 0) for k in (4, 5, 6)]
    if depth == 0:
        return [_monoclinic(h, k, 0) for h in range(3) for k in range(3) if h + k] + [_monoclinic(0, 4, 0)]
    if not plane:
        return [_monoclinic(h, k, 0) for h in (1, 2) for k in range(5)]
    if not any(form[2] for form in path):
        second = [_monoclinic(0, k, l) for k in range(4) for l in (1, 2)]  # noqa: E741
        return zone + second + [_monoclinic(1, k, 2) for k in range(4)]
    skew = any(form[3] for form in path)
    return _last_monoclinic(skew)


@lru_cache(maxsize=2)
def _last_monoclinic(skew: bool) -> tuple[tuple[int, ...], ...]:
    return tuple(form for form in _forms("monoclinic", (4, 3, 3), 4) if skew or form[3] >= 0)


@lru_cache(maxsize=8)
def _tree(family: str) -> tuple[np.ndarray, ...]:
    """The guesses as flat arrays, for `_search`.

    form (nodes, p), child_start and child_stop (nodes,), the combinations of the assigned lines that
    give further lines: span_start, span_stop (nodes,), span (combinations, p - 1); for the nodes one
    line before the last, the metric is inverse @ q + t null: inverse (nodes, p, p - 1), null (nodes, p);
    the forms of the last line: leaf_start, leaf_stop (nodes,), leaf (leaves, p).
    """
    p = len(_GENERAL[family])
    reach = {"monoclinic": (6, 6, 6)}.get(family, (6, 6, 10) if p == 2 else (6, 6, 8))
    pool = np.array(_forms(family, reach, reach[0] if family == "monoclinic" else 0), dtype=np.float64)
    width = max(1, p - 1)
    # One entry per depth of the tree; nodes are numbered depth by depth, children of a node in a row.
    starts, stops, counts, spans, inverses, nulls = [], [], [], [], [], []
    leaves: list[tuple[int, ...]] = []
    leaf_lists: dict[tuple, tuple[int, int]] = {}
    leaf_limits = np.zeros((0, 2), np.int64)
    limits: list[tuple[int, int]] = []
    level: list[tuple[tuple[int, ...], ...]] = [()]
    first = 1
    for depth in range(p):
        n = len(level)
        matrix = np.array(level, dtype=np.float64).reshape(n, depth, p)
        inverse, null = np.zeros((n, p, width)), np.ones((n, p))
        if depth:
            inverse[:, :, :depth] = np.linalg.pinv(matrix)
            coefficients = pool @ inverse[:, :, :depth]
            inside = np.abs(coefficients @ matrix - pool).max(axis=2) < 1e-9
            combinations = np.zeros((int(inside.sum()), width))
            combinations[:, :depth] = coefficients[inside]
            spans.append(combinations)
            counts.append(inside.sum(axis=1))
        else:
            counts.append(np.zeros(1, np.int64))
        inverses.append(inverse)
        following: list[tuple[tuple[int, ...], ...]] = []
        own = np.zeros(n, np.int64)
        if depth == p - 1:
            if depth:
                null = np.linalg.svd(matrix)[2][:, -1]
            for path in level:
                forms = tuple(_children(family, path))
                if forms not in leaf_lists:
                    leaf_lists[forms] = (len(leaves), len(leaves) + len(forms))
                    leaves += forms
                limits.append(leaf_lists[forms])
            leaf_limits = np.array(limits)
        else:
            grown = [[(*path, form) for form in _children(family, path)] for path in level]
            flat = np.array([path for paths in grown for path in paths], dtype=np.float64)
            independent = iter(np.linalg.matrix_rank(flat.reshape(-1, depth + 1, p)) == depth + 1)
            for i, paths in enumerate(grown):
                new = [path for path in paths if next(independent)]
                own[i] = len(new)
                following += new
        nulls.append(null)
        ends = first + np.cumsum(own)
        starts.append(ends - own)
        stops.append(ends)
        first += len(following)
        level = following
    span_stop = np.cumsum(np.concatenate(counts))
    inner = len(span_stop) - len(leaf_limits)
    leaf_limits = np.concatenate([np.zeros((inner, 2), np.int64), leaf_limits])
    return (
        np.concatenate(starts),
        np.concatenate(stops),
        np.concatenate([[0], span_stop[:-1]]),
        span_stop,
        np.concatenate([np.zeros((0, width)), *spans]),
        np.concatenate(inverses),
        np.concatenate(nulls),
        np.ascontiguousarray(leaf_limits[:, 0]),
        np.ascontiguousarray(leaf_limits[:, 1]),
        np.array(leaves, dtype=np.float64),
    )


@njit(cache=True)
def _positive(g):
    """Whether g1 ... g5 is a metric of positive axes."""
    if not (g[0] > 0.0 and g[1] > 0.0 and g[2] > 0.0):
        return False
    return 4.0 * g[0] * g[2] > g[3] * g[3] * 1.02 and 4.0 * g[0] * g[1] > g[4] * g[4]


@njit(cache=True)
def _axes(g, axes):
    """Direct axes of the metric g1 ... g5 (hl and hk terms are never both there)."""
    axes[0] = 1.0 / math.sqrt(g[0] - 0.25 * g[3] * g[3] / g[2] - 0.25 * g[4] * g[4] / g[1])
    axes[1] = 1.0 / math.sqrt(g[1] - 0.25 * g[4] * g[4] / g[0])
    axes[2] = 1.0 / math.sqrt(g[2] - 0.25 * g[3] * g[3] / g[0])


@njit(cache=True)
def _hit(g, axes, q, tolerance, folded, hkl):
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
def _index(g, q, tolerance, folded):
    """hkl int64 (3,) of a line, zeros if the metric g1 ... g5 has none there."""
    axes, hkl = np.empty(3), np.zeros(3, np.int64)
    _axes(g, axes)
    if not _hit(g, axes, q, tolerance, folded, hkl):
        hkl[:] = 0
    return hkl


@njit(cache=True)
def _count(g, axes, q, folded):
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


@njit(cache=True)
def _search(
    q,
    tolerance,
    basis,
    n_tested,
    missed,
    general,
    folded,
    child_start,
    child_stop,
    span_start,
    span_stop,
    span,
    inverse,
    null,
    leaf_start,
    leaf_stop,
    leaf,
    shortest,
    longest,
):
    """(metrics (n, p), possible lines (n,), missed lines (n,)) of all cells that explain the lines."""
    p = general.shape[0]
    n = q.size
    metrics = np.empty((_KEPT, p))
    possible = np.empty(_KEPT, np.int64)
    lost = np.empty(_KEPT, np.int64)
    volumes = np.empty(_KEPT)
    kept = 0
    node = np.zeros(p, np.int64)  # the node at each depth
    following = np.zeros(p, np.int64)  # its next child
    line = np.zeros(p, np.int64)  # the line that its children assign
    explained = np.zeros((p + 1, n), np.bool_)
    values = np.empty(p)
    metric, g, axes, hkl = np.empty(p), np.empty(5), np.empty(3), np.empty(3, np.int64)
    depth = 0
    fresh = True
    while depth >= 0:
        here = node[depth]
        if fresh:
            fresh = False
            for i in range(n):
                explained[depth, i] = not basis[i]
            for c in range(span_start[here], span_stop[here]):
                value = 0.0
                for d in range(depth):
                    value += span[c, d] * q[line[d]]
                if value < q[0] * 0.999 or value > q[n - 1] * 1.001:
                    continue
                i = np.searchsorted(q, value)
                for j in (i - 1, i):
                    if 0 <= j < n and abs(q[j] - value) <= 2.0 * tolerance[j]:
                        explained[depth, j] = True
            for d in range(depth):
                explained[depth, line[d]] = True
            line[depth] = -1
            for i in range(n):
                if not explained[depth, i]:
                    line[depth] = i
                    break
            following[depth] = child_start[here]
            if line[depth] < 0:
                depth -= 1
                continue
            if depth == p - 1:
                for j in range(p):
                    values[j] = 0.0
                    for d in range(depth):
                        values[j] += inverse[here, j, d] * q[line[d]]
                for f in range(leaf_start[here], leaf_stop[here]):
                    slope, base = 0.0, 0.0
                    for j in range(p):
                        slope += leaf[f, j] * null[here, j]
                        base += leaf[f, j] * values[j]
                    if abs(slope) < 1e-9:
                        continue
                    t = (q[line[depth]] - base) / slope
                    for j in range(p):
                        metric[j] = values[j] + t * null[here, j]
                    for x in range(5):
                        g[x] = 0.0
                        for j in range(p):
                            g[x] += metric[j] * general[j, x]
                    if not _positive(g):
                        continue
                    _axes(g, axes)
                    if max(axes[0], axes[1], axes[2]) > longest or min(axes[0], axes[1], axes[2]) < shortest:
                        continue
                    misses = 0
                    for i in range(n_tested):
                        if not _hit(g, axes, q[i], tolerance[i], folded, hkl):
                            misses += 1
                            if misses > missed:
                                break
                    if misses > missed:
                        continue
                    volume = axes[0] * axes[1] / math.sqrt(g[2])
                    known = False
                    for m in range(kept):
                        if abs(volumes[m] - volume) < 1e-4 * volume and lost[m] <= misses:
                            known = True
                            break
                    if known or kept == _KEPT:
                        continue
                    metrics[kept] = metric
                    volumes[kept] = volume
                    lost[kept] = misses
                    possible[kept] = _count(g, axes, q[n_tested - 1], folded)
                    kept += 1
                depth -= 1
                continue
        if following[depth] < child_stop[here]:
            node[depth + 1] = following[depth]
            following[depth] += 1
            depth += 1
            fresh = True
        else:
            depth -= 1
    return metrics[:kept], possible[:kept], lost[:kept]

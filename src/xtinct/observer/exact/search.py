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
from dataclasses import dataclass

import numpy as np

from xtinct.compiling import njit
from xtinct.lattices.cells import (
    GENERAL,
    LONG,
    SHORTEST,
    axes_of,
    cell_of,
    count,
    hit,
    indices,
    positive,
    smallest,
    standard_axes,
)
from xtinct.lattices.metric import quadratic_forms
from xtinct.observer.exact.guesses import tree

#: Lines that are used, and cells that are kept before they are ranked, at most.
_MOST = 90
_KEPT = 400


@dataclass(frozen=True)
class Candidate:
    """A cell that explains the lines.

    metric    float64 (p,), as `xtinct.linelists.ulbd_lines.form_metric`
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


def search(
    family: str,
    q: np.ndarray,
    tolerance: np.ndarray,
    sure: np.ndarray | None = None,
    *,
    missed: int = 0,
    tested: int = 25,
    kept: int = 5,
    longest: float = LONG,
) -> list[Candidate]:
    """Cells of `family` that explain lines at `q` float64 (n,) ascending, 1/angstrom^2, best first.

    tolerance  float64 (n,), largest error of each q
    sure       bool (n,), lines that may determine a cell; None: all
    missed     number of lines that need no explanation (impurities, unresolved lines); any of the
               first lines may be one of them
    tested     number of first lines that a cell must explain
    kept       number of cells that are returned, at most
    longest    longest axis, angstrom
    """
    sure = np.ones(len(q), dtype=bool) if sure is None else sure
    sure = np.ascontiguousarray(sure[:_MOST])
    if len(q) < len(GENERAL[family]) + 1:
        return []
    guesses = tree(family)
    general = np.array(GENERAL[family], dtype=np.float64)
    folded = family in ("cubic", "tetragonal", "trigonal-hexagonal")
    q, tolerance = np.ascontiguousarray(q[:_MOST]), np.ascontiguousarray(tolerance[:_MOST])
    found: list[tuple[int, int, float, np.ndarray]] = []
    n_tested = min(tested, len(q))
    for dropped in [-1, *np.flatnonzero(sure)[: 6 if missed else 0]]:
        basis = sure.copy()
        basis[dropped] &= dropped < 0
        metrics, possible, lost = _search(
            q, tolerance, basis, n_tested, missed, general, folded, *guesses, SHORTEST, longest
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
        if all(np.abs(cell.metric - other.metric).max() > 1e-4 * cell.metric.max() for other in result):
            result.append(cell)
    return result[:kept]


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
    general = np.array(GENERAL[family], dtype=np.float64)
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
        if rank < len(metric) or not positive(refined @ general):
            break
        metric = refined
    smaller = smallest(family, metric, hkl[known & sure])
    deviation = np.abs(forms @ metric - q[known]) / tolerance[known]
    weight = len(q) * math.log(max(1e-9, float(np.sqrt(np.mean(deviation**2)))) + 1e-4)
    for tried in [smaller, metric] if smaller is not None else [metric]:
        g, axes = tried @ general, np.empty(3)
        axes_of(g, axes)
        if axes.min() < SHORTEST:
            continue
        possible = int(count(g, axes, q[n_tested - 1], folded))
        cost = len(q) * math.log(max(1, possible)) + weight + 10.0 * missed
        result.append(Candidate(family, standard_axes(family, tried), possible, missed, cost))
    return result


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
                    if not positive(g):
                        continue
                    axes_of(g, axes)
                    if max(axes[0], axes[1], axes[2]) > longest or min(axes[0], axes[1], axes[2]) < shortest:
                        continue
                    misses = 0
                    for i in range(n_tested):
                        if not hit(g, axes, q[i], tolerance[i], folded, hkl):
                            misses += 1
                            if misses > missed:
                                break
                    if misses > missed:
                        continue
                    size = axes[0] * axes[1] / math.sqrt(g[2])
                    known = False
                    for m in range(kept):
                        if abs(volumes[m] - size) < 1e-4 * size and lost[m] <= misses:
                            known = True
                            break
                    if known or kept == _KEPT:
                        continue
                    metrics[kept] = metric
                    volumes[kept] = size
                    lost[kept] = misses
                    possible[kept] = count(g, axes, q[n_tested - 1], folded)
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

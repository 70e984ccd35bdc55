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
from typing import NamedTuple

import numpy as np

from xtinct.compiling import njit
from xtinct.lattices.cells import (
    GENERAL,
    LONG,
    SHORTEST,
    axes_of,
    count,
    hit,
    indices,
    positive,
    smallest,
    standard_axes,
)
from xtinct.lattices.metric import cell_of, quadratic_forms
from xtinct.observer.exact.guesses import tree
from xtinct.symmetry.families import FAMILIES

#: Lines that are used, and cells that are kept before they are ranked, at most.
_MOST = 90
_KEPT = 400
#: Lines one of which may be an impurity among those that determine a cell.
_DROPPED = 6


class SearchLines(NamedTuple):
    """Lines that a lattice must explain.

    q          float64 (n,), 1/d^2, ascending, 1/angstrom^2
    tolerance  float64 (n,), largest error of each q
    sure       bool (n,), lines that may determine a cell
    tested     number of first lines that a cell must explain, but for `missed` of them (impurities,
               unresolved lines; any of the first lines may be one)
    """

    q: np.ndarray
    tolerance: np.ndarray
    sure: np.ndarray
    tested: int
    missed: int

    @classmethod
    def of(
        cls,
        q: np.ndarray,
        tolerance: np.ndarray,
        sure: np.ndarray | None = None,
        *,
        tested: int = 25,
        missed: int = 0,
    ) -> "SearchLines":
        """Lines of which `sure` (None: all) may determine a cell."""
        sure = np.ones(len(q), dtype=bool) if sure is None else sure
        return cls(q, tolerance, sure, min(tested, len(q)), missed)

    def first(self, count: int) -> "SearchLines":
        """The first `count` lines."""
        q, tolerance, sure = (np.ascontiguousarray(x[:count]) for x in (self.q, self.tolerance, self.sure))
        return SearchLines(q, tolerance, sure, min(self.tested, count), self.missed)


class Range(NamedTuple):
    """The cells of a family that are looked for.

    general            float64 (p, 5), metric (p,) @ this is g1 ... g5 of `xtinct.lattices.cells.GENERAL`
    folded             whether hkl with h < k need not be tried
    shortest, longest  axis, angstrom
    """

    general: np.ndarray
    folded: bool
    shortest: float
    longest: float

    @classmethod
    def of(cls, family: str, longest: float = LONG) -> "Range":
        """The cells of `family` with axes from SHORTEST to `longest`, angstrom."""
        general = np.ascontiguousarray(GENERAL[family], dtype=np.float64)
        return cls(general, FAMILIES[family].a_equals_b, SHORTEST, float(longest))


@dataclass(frozen=True)
class CellCandidate:
    """A cell that explains the lines.

    metric    float64 (p,), as `xtinct.lattices.metric.form_metric`
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


def search(family: str, lines: SearchLines, *, kept: int = 5, longest: float = LONG) -> list[CellCandidate]:
    """Cells of `family` that explain the lines, best first, at most `kept`; longest axis in angstrom."""
    if len(lines.q) < len(GENERAL[family]) + 1:
        return []
    lines = lines.first(_MOST)
    wanted = Range.of(family, longest)
    found: list[tuple[int, int, np.ndarray]] = []
    for dropped in [-1, *np.flatnonzero(lines.sure)[: _DROPPED if lines.missed else 0]]:
        basis = lines.sure.copy()
        basis[dropped] &= dropped < 0
        metrics, possible, lost = _search(lines._replace(sure=basis), wanted, tree(family))
        found += [(int(n) + 10 * int(k), int(k), m) for n, k, m in zip(possible, lost, metrics, strict=True)]
        if found and dropped >= 0:
            break
    cells: list[CellCandidate] = []
    for _, lost_lines, metric in sorted(found, key=lambda item: item[0])[: 4 * kept]:
        cells += _candidates(family, metric, lost_lines, lines)
    cells.sort(key=lambda cell: cell.cost)
    result: list[CellCandidate] = []
    for cell in cells:
        if all(np.abs(cell.metric - other.metric).max() > 1e-4 * cell.metric.max() for other in result):
            result.append(cell)
    return result[:kept]


def _candidates(family: str, metric: np.ndarray, missed: int, lines: SearchLines) -> list[CellCandidate]:
    """The refined cell, and before it the smallest one that its lines lie on, if that is another.

    The cost is the evidence for the cell with its sign turned: a line at a deviation r from one of n
    possible positions costs log(n r); deviations have one unknown scale.
    """
    q, tolerance = lines.q, lines.tolerance
    wanted = Range.of(family)
    result = []
    forms, known = np.empty((0, len(metric))), np.zeros(len(q), dtype=bool)
    for _ in range(2):
        hkl = indices(family, metric, q, tolerance)
        known = hkl.any(axis=1)
        forms = quadratic_forms(family, hkl[known]).astype(np.float64)
        refined, _, rank, _ = np.linalg.lstsq(
            forms / tolerance[known, None], q[known] / tolerance[known], rcond=None
        )
        if rank < len(metric) or not positive(refined @ wanted.general):
            break
        metric = refined
    smaller = smallest(family, metric, hkl[known & lines.sure])
    deviation = np.abs(forms @ metric - q[known]) / tolerance[known]
    weight = len(q) * math.log(max(1e-9, float(np.sqrt(np.mean(deviation**2)))) + 1e-4)
    for tried in [smaller, metric] if smaller is not None else [metric]:
        g, axes = tried @ wanted.general, np.empty(3)
        axes_of(g, axes)
        if axes.min() < SHORTEST:
            continue
        possible = int(count(g, axes, q[lines.tested - 1], wanted.folded))
        cost = len(q) * math.log(max(1, possible)) + weight + 10.0 * missed
        result.append(CellCandidate(family, standard_axes(family, tried), possible, missed, cost))
    return result


class _Path(NamedTuple):
    """The way to a node of the tree, int64 (p,) each: one entry for every depth.

    node       number of the node
    following  its child that is tried next
    line       number of the line that its children assign
    """

    node: np.ndarray
    following: np.ndarray
    line: np.ndarray


class Trial(NamedTuple):
    """A metric that is tried.

    base    float64 (p,), the metric is this and a multiple of the direction that the lines leave open
    metric  float64 (p,); g, float64 (5,), its g1 ... g5; axes, float64 (3,), angstrom
    hkl     int64 (3,), room for indices
    """

    base: np.ndarray
    metric: np.ndarray
    g: np.ndarray
    axes: np.ndarray
    hkl: np.ndarray


class _Found(NamedTuple):
    """Cells found so far: metrics float64 (n, p), possible, missed lines int64 (n,), volumes float64 (n,)."""

    metrics: np.ndarray
    possible: np.ndarray
    missed: np.ndarray
    volumes: np.ndarray


@njit(cache=True)
def new_trial(p):
    """Room for a metric of p parameters."""
    return Trial(np.empty(p), np.empty(p), np.empty(5), np.empty(3), np.empty(3, np.int64))


@njit(cache=True)
def _search(lines, wanted, guesses):
    """All cells that explain the lines, at most _KEPT.

    Returns metrics float64 (n, p), possible lines int64 (n,), missed lines int64 (n,). Goes through the
    tree depth first: a node assigns the first line that its path leaves unexplained to each child in turn.
    """
    p = wanted.general.shape[0]
    found = _Found(
        np.empty((_KEPT, p)), np.empty(_KEPT, np.int64), np.empty(_KEPT, np.int64), np.empty(_KEPT)
    )
    path = _Path(np.zeros(p, np.int64), np.zeros(p, np.int64), np.zeros(p, np.int64))
    trial = new_trial(p)
    explained = np.empty(lines.q.size, np.bool_)
    # Not 0 as it stands, for which numba would compile what takes them once more.
    kept, depth = np.int64(0), np.int64(0)
    fresh = True  # whether the node at this depth is new
    while depth >= 0:
        node = path.node[depth]
        if fresh:
            path.following[depth] = guesses.child_start[node]
            path.line[depth] = _first_unexplained(path, depth, lines, guesses, explained)
            if path.line[depth] >= 0 and depth == p - 1:
                kept = _last_line(path, lines, wanted, guesses, trial, found, kept)
        if path.line[depth] < 0 or depth == p - 1 or path.following[depth] == guesses.child_stop[node]:
            depth -= 1
            fresh = False
        else:
            path.node[depth + 1] = path.following[depth]
            path.following[depth] += 1
            depth += 1
            fresh = True
    return found.metrics[:kept], found.possible[:kept], found.missed[:kept]


@njit(cache=True)
def _first_unexplained(path, depth, lines, guesses, explained):
    """Number of the first sure line that does not follow from the `depth` assigned ones; -1: there is none.

    explained  bool (n,), overwritten
    """
    q, n, node = lines.q, lines.q.size, path.node[depth]
    for i in range(n):
        explained[i] = not lines.sure[i]
    for c in range(guesses.span_start[node], guesses.span_stop[node]):
        value = 0.0
        for d in range(depth):
            value += guesses.span[c, d] * q[path.line[d]]
        if value < q[0] * 0.999 or value > q[n - 1] * 1.001:
            continue
        i = np.searchsorted(q, value)
        for j in (i - 1, i):
            if 0 <= j < n and abs(q[j] - value) <= 2.0 * lines.tolerance[j]:
                explained[j] = True
    for d in range(depth):
        explained[path.line[d]] = True
    for i in range(n):
        if not explained[i]:
            return i
    return -1


@njit(cache=True)
def _last_line(path, lines, wanted, guesses, trial, found, kept):
    """Keep the cells that follow from each form of the last line and explain the lines.

    Returns the number of cells kept.
    """
    p = trial.base.size
    last = p - 1
    node = path.node[last]
    for j in range(p):
        trial.base[j] = 0.0
        for d in range(last):
            trial.base[j] += guesses.inverse[node, j, d] * lines.q[path.line[d]]
    base, metric, leaf, null = trial.base, trial.metric, guesses.leaf, guesses.null
    q = lines.q[path.line[last]]
    for f in range(guesses.leaf_start[node], guesses.leaf_stop[node]):
        slope, value = 0.0, 0.0
        for j in range(p):
            slope += leaf[f, j] * null[node, j]
            value += leaf[f, j] * base[j]
        if abs(slope) < 1e-9:  # the form does not determine the metric
            continue
        t = (q - value) / slope
        for j in range(p):
            metric[j] = base[j] + t * null[node, j]
        if not in_range(trial, wanted):
            continue
        misses = _misses(trial, lines, wanted.folded)
        if misses > lines.missed:
            continue
        size = trial.axes[0] * trial.axes[1] / math.sqrt(trial.g[2])
        if kept == _KEPT or _known(found, kept, size, misses):
            continue
        found.metrics[kept] = trial.metric
        found.volumes[kept] = size
        found.missed[kept] = misses
        found.possible[kept] = count(trial.g, trial.axes, lines.q[lines.tested - 1], wanted.folded)
        kept += 1
    return kept


#: Calls for each of many metrics cost a fifth of a search, so these are compiled into their callers.
_inlined = njit(cache=True, inline="always")


@_inlined
def in_range(trial, wanted):
    """Whether the metric is that of a cell with axes in range; writes g1 ... g5 and the axes."""
    g, metric, axes, general = trial.g, trial.metric, trial.axes, wanted.general
    for x in range(5):
        g[x] = 0.0
        for j in range(metric.size):
            g[x] += metric[j] * general[j, x]
    if not positive(g):
        return False
    axes_of(g, axes)
    a, b, c = axes[0], axes[1], axes[2]
    return max(a, b, c) <= wanted.longest and min(a, b, c) >= wanted.shortest


@_inlined
def _misses(trial, lines, folded):
    """Number of tested lines that the cell does not explain, counted until there are too many."""
    g, axes, hkl, q, tolerance = trial.g, trial.axes, trial.hkl, lines.q, lines.tolerance
    misses = 0
    for i in range(lines.tested):
        if not hit(g, axes, q[i], tolerance[i], folded, hkl):
            misses += 1
            if misses > lines.missed:
                break
    return misses


@njit(cache=True)
def _known(found, kept, volume, misses):
    """Whether a cell of this volume was kept that misses no more lines."""
    for m in range(kept):
        if abs(found.volumes[m] - volume) < 1e-4 * volume and found.missed[m] <= misses:
            return True
    return False

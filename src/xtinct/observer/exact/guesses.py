"""The guesses of a search for cells: which indices the first lines may have.

A tree for each family, the root first; the indices of a node's children are tried for the first line
that does not follow from those assigned on the way to the node.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import permutations
from typing import NamedTuple

import numpy as np

from xtinct.lattices.cells import GENERAL
from xtinct.lattices.metric import quadratic_forms
from xtinct.symmetry.families import CUBIC, MONOCLINIC, ORTHORHOMBIC, TETRAGONAL, TRIGONAL_HEXAGONAL


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
    forms = {form for reach in permutations((3, 3, 6)) for form in _forms(ORTHORHOMBIC, reach)}
    return tuple(sorted(form for form in forms if sum(form) <= 45))


def _children(family: str, path: tuple[tuple[int, ...], ...]) -> Sequence[tuple[int, ...]]:
    """Forms that the next line may have after the forms `path`, one of each equivalent naming of axes."""
    depth = len(path)
    if family == CUBIC:
        return [(n,) for n in range(1, 49)]
    if family in (TETRAGONAL, TRIGONAL_HEXAGONAL):
        return _forms(family, (3, 3, 6) if depth == 0 else (5, 5, 10))
    if family == ORTHORHOMBIC:
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
    return tuple(form for form in _forms(MONOCLINIC, (4, 3, 3), 4) if skew or form[3] >= 0)


class Guesses(NamedTuple):
    """A tree of guesses as flat arrays, for `xtinct.observer.exact.search`; node 0 is the root.

    A node stands for the forms of the lines assigned on the way to it, as many as its depth. Its children,
    or at depth p - 1 its leaves, are the forms that the next line may have.

    child_start, child_stop  int64 (nodes,), children of a node; none at depth p - 1
    span_start, span_stop    int64 (nodes,), rows of `span` of a node
    span                     float64 (combinations, p - 1), factors of the q of the assigned lines whose
                             sums are the q of lines that follow from them
    inverse, null            float64 (nodes, p, p - 1) and (nodes, p): the metric is inverse @ q + t null,
                             with the q of the assigned lines and, at depth p - 1, a t that the last line
                             tells
    leaf_start, leaf_stop    int64 (nodes,), rows of `leaf` of a node; none above depth p - 1
    leaf                     float64 (leaves, p)
    """

    child_start: np.ndarray
    child_stop: np.ndarray
    span_start: np.ndarray
    span_stop: np.ndarray
    span: np.ndarray
    inverse: np.ndarray
    null: np.ndarray
    leaf_start: np.ndarray
    leaf_stop: np.ndarray
    leaf: np.ndarray


#: Quadratic forms.
_Forms = tuple[tuple[int, ...], ...]


@lru_cache(maxsize=8)
def tree(family: str) -> Guesses:
    """The guesses of a family."""
    p = len(GENERAL[family])
    width = max(1, p - 1)
    levels = _levels(family)
    matrices = [np.array(level, dtype=np.float64).reshape(len(level), -1, p) for level, _ in levels]
    spans = [_spans(matrix, _pool(family)) for matrix in matrices]
    inverse, null = zip(*[_inverse(matrix) for matrix in matrices], strict=True)
    # Nodes are numbered depth by depth, children of a node in a row.
    children = np.concatenate([number for _, number in levels])
    child_stop = 1 + np.cumsum(children)
    span_stop = np.cumsum(np.concatenate([number for _, number in spans]))
    leaf, leaf_limits = _leaves(family, levels[-1][0])
    inner = len(children) - len(leaf_limits)
    leaf_limits = np.concatenate([np.zeros((inner, 2), np.int64), leaf_limits])
    return Guesses(
        child_start=child_stop - children,
        child_stop=child_stop,
        span_start=np.concatenate([[0], span_stop[:-1]]),
        span_stop=span_stop,
        span=np.concatenate([np.zeros((0, width)), *(rows for rows, _ in spans)]),
        inverse=np.concatenate(inverse),
        null=np.concatenate(null),
        leaf_start=np.ascontiguousarray(leaf_limits[:, 0]),
        leaf_stop=np.ascontiguousarray(leaf_limits[:, 1]),
        leaf=leaf,
    )


def _pool(family: str) -> np.ndarray:
    """Forms float64 (n, p) that lines may have which follow from those assigned.

    They reach further than those guessed: a long axis shows many orders before another index appears.
    """
    reach = {MONOCLINIC: (10, 6, 6), ORTHORHOMBIC: (6, 6, 16)}.get(family, (6, 6, 30))
    return np.array(_forms(family, reach, reach[0] if family == MONOCLINIC else 0), dtype=np.float64)


def _levels(family: str) -> list[tuple[list[_Forms], np.ndarray]]:
    """For every depth the nodes, as the forms on the way to each, and how many children each has int64 (n,).

    A child is a form that is independent of those before it.
    """
    p = len(GENERAL[family])
    level: list[_Forms] = [()]
    levels = []
    for depth in range(p - 1):
        grown = [[(*path, form) for form in _children(family, path)] for path in level]
        flat = np.array([path for paths in grown for path in paths], dtype=np.float64)
        independent = iter(np.linalg.matrix_rank(flat.reshape(-1, depth + 1, p)) == depth + 1)
        kept = [[path for path in paths if next(independent)] for paths in grown]
        levels.append((level, np.array([len(paths) for paths in kept], dtype=np.int64)))
        level = [path for paths in kept for path in paths]
    return [*levels, (level, np.zeros(len(level), np.int64))]


def _spans(matrix: np.ndarray, pool: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Combinations of the forms of each node, matrix (n, depth, p), that give a form of `pool` (m, p).

    Returns their factors float64 (combinations, max(1, p - 1)), node by node, and how many each has (n,).
    """
    n, depth, p = matrix.shape
    width = max(1, p - 1)
    if not depth:
        return np.zeros((0, width)), np.zeros(n, np.int64)
    inverse = np.linalg.pinv(matrix)
    rows, counts = [], []
    for part in range(0, n, 256):  # bounds the memory
        factors = pool @ inverse[part : part + 256]
        inside = np.abs(factors @ matrix[part : part + 256] - pool).max(axis=2) < 1e-9
        combinations = np.zeros((int(inside.sum()), width))
        combinations[:, :depth] = factors[inside]
        rows.append(combinations)
        counts.append(inside.sum(axis=1))
    return np.concatenate(rows), np.concatenate(counts)


def _inverse(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`inverse` and `null` of Guesses for the nodes of one depth, matrix (n, depth, p)."""
    n, depth, p = matrix.shape
    inverse, null = np.zeros((n, p, max(1, p - 1))), np.ones((n, p))
    if depth:
        inverse[:, :, :depth] = np.linalg.pinv(matrix)
    if depth and depth == p - 1:
        null = np.linalg.svd(matrix)[2][:, -1]
    return inverse, null


def _leaves(family: str, level: Sequence[_Forms]) -> tuple[np.ndarray, np.ndarray]:
    """Forms of the last line float64 (leaves, p), and their first and last row int64 (n, 2) for each node.

    Nodes with the same forms share the rows.
    """
    leaves: list[tuple[int, ...]] = []
    rows: dict[_Forms, tuple[int, int]] = {}
    limits = []
    for path in level:
        forms = tuple(_children(family, path))
        if forms not in rows:
            rows[forms] = (len(leaves), len(leaves) + len(forms))
            leaves += forms
        limits.append(rows[forms])
    return np.array(leaves, dtype=np.float64), np.array(limits)

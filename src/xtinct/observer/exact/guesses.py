"""The guesses of a search for cells: which indices the first lines may have.

A tree for each family, the root first; the indices of a node's children are tried for the first line
that does not follow from those assigned on the way to the node.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import permutations

import numpy as np

from xtinct.lattices.cells import GENERAL
from xtinct.lattices.metric import quadratic_forms


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
def tree(family: str) -> tuple[np.ndarray, ...]:
    """The guesses as flat arrays, for `xtinct.observer.exact.search`.

    form (nodes, p), child_start and child_stop (nodes,), the combinations of the assigned lines that
    give further lines: span_start, span_stop (nodes,), span (combinations, p - 1); for the nodes one
    line before the last, the metric is inverse @ q + t null: inverse (nodes, p, p - 1), null (nodes, p);
    the forms of the last line: leaf_start, leaf_stop (nodes,), leaf (leaves, p).
    """
    p = len(GENERAL[family])
    # Orders that follow from those assigned; a long axis shows many before another index appears.
    reach = {"monoclinic": (10, 6, 6), "orthorhombic": (6, 6, 16)}.get(family, (6, 6, 30))
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
            for part in range(0, n, 256):  # bounds the memory
                coefficients = pool @ inverse[part : part + 256, :, :depth]
                inside = np.abs(coefficients @ matrix[part : part + 256] - pool).max(axis=2) < 1e-9
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

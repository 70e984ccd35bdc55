"""Distances between the sites of a periodic structure."""

import math
from typing import NamedTuple

import numpy as np

from xtinct.compiling import njit

#: Cells thinner than this between two faces hold no atom, and break the nearest-image rule below.
MIN_CELL_HEIGHT = 1.0


def cell_heights(basis: np.ndarray) -> np.ndarray:
    """Distances between opposite faces, float64 (3,), of a cell with rows `basis` (3, 3)."""
    return 1.0 / np.linalg.norm(np.linalg.inv(basis), axis=0)


@njit(cache=True)
def smallest_height(basis):
    """The smallest of `cell_heights`, angstrom."""
    smallest = math.inf
    for i in range(3):
        smallest = min(smallest, _height(basis, i))
    return smallest


@njit(cache=True)
def _height(basis, axis):
    """Distance of the faces that `axis` connects."""
    normal = np.cross(basis[(axis + 1) % 3], basis[(axis + 2) % 3])
    return abs((basis[axis] * normal).sum()) / max(math.sqrt((normal * normal).sum()), 1e-300)


def widest_gap(frac: np.ndarray, basis: np.ndarray) -> float:
    """Thickness (angstrom) of the thickest slab parallel to a cell face that holds no atom's centre.

    frac float64 (n, 3); basis float64 (3, 3), rows. Layers and molecules that calculations put into a
    vacuum have gaps of 10 angstrom and more; bulk crystals stay below about 8.
    """
    ordered = np.sort(frac - np.floor(frac), axis=0)
    gaps = np.diff(np.vstack([ordered, ordered[:1] + 1.0]), axis=0)
    return float((gaps.max(axis=0) * cell_heights(basis)).max())


#: Below this number of sites all pairs are looked at: sorting costs as much.
_FEW_SITES = 24
#: Beyond these coordinates rounding would show in the sweep below; no cell lists such sites.
_FAR_AWAY = 1e4


@njit(cache=True)
def close_pairs(frac, basis, radius):
    """Pairs of sites closer than `radius`: (first, second, distance) as int64 (m,) x 2 and float64 (m,).

    frac float64 (n, 3); basis float64 (3, 3), rows, angstrom. first < second, pairs in ascending order. Only
    the nearest image of each pair is looked at, found by rounding: exact while `radius` is below half the
    smallest cell height.

    Sites are swept along the axis on which the cell is highest: two sites that are further apart than
    `radius` between the faces there are no pair.
    """
    n = frac.shape[0]
    axis, height = _highest(basis)
    reach = radius / height + 1e-9
    if n <= _FEW_SITES or not reach < 0.5 or not np.abs(frac[:, axis]).max() < _FAR_AWAY:
        return _all_pairs(frac, basis, radius)
    along = frac[:, axis] - np.floor(frac[:, axis])
    order = np.argsort(along)
    along = along[order]
    pairs = _Pairs(np.empty(16, np.int64), np.empty(16, np.int64), np.empty(16))
    m = 0
    for i in range(n):
        # Neighbours above, and beyond the upper face those from the lower one on.
        for step in range(1, n):
            j, gap = i + step, 0.0
            if j < n:
                gap = along[j] - along[i]
            else:
                j -= n
                gap = along[j] + 1.0 - along[i]
            if gap > reach:
                break
            here, there = min(order[i], order[j]), max(order[i], order[j])
            square = _square(frac, here, there, basis)
            if square < radius * radius:
                pairs, m = _added(pairs, m, here, there, square)
    first, second, distance = pairs.first[:m], pairs.second[:m], pairs.distance[:m]
    ascending = np.argsort(first * n + second)
    return first[ascending], second[ascending], distance[ascending]


class _Pairs(NamedTuple):
    first: np.ndarray
    second: np.ndarray
    distance: np.ndarray


@njit(cache=True)
def _highest(basis):
    """Axis on which the cell is highest, and the distance of its faces there."""
    axis, height = 0, 0.0
    for i in range(3):
        here = _height(basis, i)
        if here > height:
            axis, height = i, here
    return axis, max(height, 1e-300)


@njit(cache=True)
def _square(frac, i, j, basis):
    """Squared distance of site i to the nearest image of site j."""
    u = frac[j, 0] - frac[i, 0]
    v = frac[j, 1] - frac[i, 1]
    w = frac[j, 2] - frac[i, 2]
    u -= math.floor(u + 0.5)
    v -= math.floor(v + 0.5)
    w -= math.floor(w + 0.5)
    square = 0.0
    for k in range(3):
        d = u * basis[0, k] + v * basis[1, k] + w * basis[2, k]
        square += d * d
    return square


@njit(cache=True)
def _added(pairs, m, i, j, square):
    first, second, distance = pairs
    if m == first.size:
        first = np.append(first, np.empty(m, np.int64))
        second = np.append(second, np.empty(m, np.int64))
        distance = np.append(distance, np.empty(m, np.float64))
    first[m], second[m], distance[m] = i, j, math.sqrt(square)
    return _Pairs(first, second, distance), m + 1


@njit(cache=True)
def _all_pairs(frac, basis, radius):
    n, m = frac.shape[0], 0
    pairs = _Pairs(np.empty(16, np.int64), np.empty(16, np.int64), np.empty(16))
    for i in range(n):
        for j in range(i + 1, n):
            square = _square(frac, i, j, basis)
            if square < radius * radius:
                pairs, m = _added(pairs, m, i, j, square)
    return pairs.first[:m], pairs.second[:m], pairs.distance[:m]

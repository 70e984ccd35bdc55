"""Distances between the sites of a periodic structure."""

import math

import numpy as np

from xtinct.compiling import njit

#: Cells thinner than this between two faces hold no atom, and break the nearest-image rule below.
MIN_CELL_HEIGHT = 1.0


def cell_heights(basis: np.ndarray) -> np.ndarray:
    """Distances between opposite faces, float64 (3,), of a cell with rows `basis` (3, 3)."""
    return 1.0 / np.linalg.norm(np.linalg.inv(basis), axis=0)


def widest_gap(frac: np.ndarray, basis: np.ndarray) -> float:
    """Thickness (angstrom) of the thickest slab parallel to a cell face that holds no atom's centre.

    frac float64 (n, 3); basis float64 (3, 3), rows. Layers and molecules that calculations put into a
    vacuum have gaps of 10 angstrom and more; bulk crystals stay below about 8.
    """
    ordered = np.sort(frac - np.floor(frac), axis=0)
    gaps = np.diff(np.vstack([ordered, ordered[:1] + 1.0]), axis=0)
    return float((gaps.max(axis=0) * cell_heights(basis)).max())


@njit(cache=True)
def close_pairs(frac, basis, radius):
    """Pairs of sites closer than `radius`: (first, second, distance) as int64 (m,) x 2 and float64 (m,).

    frac float64 (n, 3); basis float64 (3, 3), rows, angstrom. Only the nearest image of each pair
    is looked at, found by rounding: exact while `radius` is below half the smallest cell height.
    """
    n = frac.shape[0]
    first = np.empty(16, np.int64)
    second = np.empty(16, np.int64)
    distance = np.empty(16, np.float64)
    m = 0
    limit = radius * radius
    for i in range(n):
        for j in range(i + 1, n):
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
            if square < limit:
                if m == first.size:
                    first = np.append(first, np.empty(m, np.int64))
                    second = np.append(second, np.empty(m, np.int64))
                    distance = np.append(distance, np.empty(m, np.float64))
                first[m], second[m], distance[m] = i, j, math.sqrt(square)
                m += 1
    return first[:m], second[:m], distance[:m]

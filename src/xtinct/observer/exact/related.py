"""Lattices that nearly coincide with a given one: other axes of symmetry, and cells twice as large.

Where a crystal is nearly of a higher symmetry than it has, the first cell that explains its lines may
have the wrong one of several axes that are nearly of symmetry, or miss lines that are weak or hidden.
"""

from itertools import combinations

import numpy as np

from xtinct.lattices.metric import cell_of, form_metric
from xtinct.observer.exact.search import SearchLines, search
from xtinct.symmetry.families import CUBIC, MONOCLINIC, ORTHORHOMBIC, TETRAGONAL, TRIGONAL_HEXAGONAL

#: Largest angle between the lattice row and the normal of the lattice plane of a twofold axis, degree.
_OBLIQUITY = 2.0
#: Multiples of the metric's parts (a and b, c) of larger cells: a turned in its plane or doubled, c doubled.
_LARGER = {
    TETRAGONAL: [(1 / 2, 1), (1, 1 / 4), (1 / 2, 1 / 4), (1 / 4, 1), (1 / 4, 1 / 4)],
    TRIGONAL_HEXAGONAL: [(1 / 3, 1), (1, 1 / 4), (1, 1 / 9), (1 / 3, 1 / 4), (1 / 4, 1), (1 / 3, 1 / 9)],
}

#: Families of higher symmetry, whose lattices one of a family may nearly be.
_HIGHER = {
    TETRAGONAL: (CUBIC,),
    TRIGONAL_HEXAGONAL: (CUBIC,),
    ORTHORHOMBIC: (CUBIC, TETRAGONAL, TRIGONAL_HEXAGONAL),
    MONOCLINIC: (CUBIC, TETRAGONAL, TRIGONAL_HEXAGONAL, ORTHORHOMBIC),
}


def of_higher(family: str, lines: SearchLines) -> list[np.ndarray]:
    """Metrics (p,) in `family` of lattices of higher families that explain the lines, one of each."""
    found = [(higher, search(higher, lines)[:1]) for higher in _HIGHER.get(family, ())]
    return [_embedded(family, higher, cell.metric) for higher, cells in found for cell in cells]


def _embedded(family: str, higher: str, metric: np.ndarray) -> np.ndarray:
    """Metric (p,) in `family` of a cell that holds the lattice of a higher family."""
    a, b, c = cell_of(higher, metric)[:3]
    if family == TRIGONAL_HEXAGONAL:  # along the threefold axis of a cube
        cell = [2**0.5 * a, 2**0.5 * a, 3**0.5 * a, 90.0, 90.0, 120.0]
    elif higher == TRIGONAL_HEXAGONAL:
        cell = [a, 3**0.5 * a, c, 90.0, 90.0, 90.0]
    else:
        cell = [a, b, c, 90.0, 90.0, 90.0]
    return form_metric(family, np.array([cell]))[0]


def related(family: str, metric: np.ndarray) -> list[np.ndarray]:
    """Metrics (p,) of `family` near that of a lattice, this one first, then others, then larger cells."""
    metric = np.asarray(metric, dtype=np.float64)
    if family in _LARGER:
        return [metric, *(metric * np.array(factors) for factors in _LARGER[family])]
    if family not in (ORTHORHOMBIC, MONOCLINIC):
        return [metric]
    cells = [cell_of(family, metric)]
    cells += symmetric(family, cells[0], _OBLIQUITY)
    double = [cell * np.where(np.arange(6) == axis, 2.0, 1.0) for cell in cells for axis in range(3)]
    return _different(form_metric(family, np.array(cells + double)))


def symmetric(family: str, cell: np.ndarray, obliquity: float) -> list[np.ndarray]:
    """Orthorhombic or monoclinic cells (6,) of the lattice of a cell (6,), within an obliquity in degrees."""
    basis = _basis(cell)
    axes = twofold_axes(basis, obliquity)
    if family == MONOCLINIC:
        return [_monoclinic(basis, u, normal) for u, normal in axes]
    return [
        np.array([*(np.linalg.norm(u @ basis) for u in rows), 90.0, 90.0, 90.0])
        for rows in combinations([u for u, _ in axes], 3)
        if _perpendicular([u @ basis for u in rows], obliquity)
    ]


def _basis(cell: np.ndarray) -> np.ndarray:
    """Rows a, b, c of a cell, angstrom; b along the second axis, a in the plane of the first two."""
    a, b, c = cell[:3]
    alpha, beta, gamma = np.radians(cell[3:])
    x = (np.cos(beta) - np.cos(alpha) * np.cos(gamma)) / np.sin(gamma)
    z = np.sqrt(np.sin(alpha) ** 2 - x * x)
    return np.array(
        [[a * np.sin(gamma), a * np.cos(gamma), 0.0], [0.0, b, 0.0], [c * x, c * np.cos(alpha), c * z]]
    )


def twofold_axes(basis: np.ndarray, obliquity: float = _OBLIQUITY) -> list[tuple[np.ndarray, np.ndarray]]:
    """(row, plane) indices int64 (3,) of the twofold axes that the lattice of a basis (3, 3) nearly has.

    obliquity  largest angle between the row and the normal of the plane, degree

    Such an axis is a row nearly along the normal of a plane, whose indices times those of the row are 1
    or 2 (Le Page 1982, J. Appl. Cryst. 15, 255).
    """
    span = np.arange(-2, 3)
    hkl = np.stack(np.meshgrid(span, span, span, indexing="ij"), axis=-1).reshape(-1, 3)
    hkl = hkl[(np.gcd.reduce(hkl, axis=1) == 1)]
    first = hkl[np.arange(len(hkl)), (hkl != 0).argmax(axis=1)] > 0
    rows = hkl[first]
    direct, normal = rows @ basis, rows @ np.linalg.inv(basis).T
    direct /= np.linalg.norm(direct, axis=1, keepdims=True)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    product = np.abs(rows @ rows.T)
    sine = np.linalg.norm(np.cross(direct[:, None], normal), axis=2)
    near = sine < np.sin(np.radians(obliquity))
    pairs = np.argwhere(near & (product > 0) & (product <= 2))
    return [(rows[i], rows[j]) for i, j in pairs]


def _monoclinic(basis: np.ndarray, u: np.ndarray, plane: np.ndarray) -> np.ndarray:
    """Cell whose unique axis is the row u and whose a and c are the shortest rows in the plane."""
    span = np.arange(-3, 4)
    rows = np.stack(np.meshgrid(span, span, span, indexing="ij"), axis=-1).reshape(-1, 3)
    rows = rows[(rows @ plane == 0) & rows.any(axis=1)]
    vectors = rows @ basis
    length = np.linalg.norm(vectors, axis=1)
    order = np.argsort(length, kind="stable")
    a = vectors[order[0]]
    c = next(v for v in vectors[order] if np.linalg.norm(np.cross(a, v)) > 1e-6 * length[order[0]] ** 2)
    beta = np.degrees(np.arccos(np.clip(a @ c / np.linalg.norm(a) / np.linalg.norm(c), -1.0, 1.0)))
    b = np.linalg.norm(u @ basis)
    return np.array([np.linalg.norm(a), b, np.linalg.norm(c), 90.0, max(beta, 180.0 - beta), 90.0])


def _perpendicular(vectors: list[np.ndarray], obliquity: float) -> bool:
    unit = [v / np.linalg.norm(v) for v in vectors]
    limit = np.sin(np.radians(obliquity))
    return all(abs(x @ y) < limit for x, y in combinations(unit, 2))


def _different(metrics: np.ndarray) -> list[np.ndarray]:
    result: list[np.ndarray] = []
    for metric in metrics:
        if all(np.abs(metric - other).max() > 1e-6 * metric.max() for other in result):
            result.append(metric)
    return result

"""Metrics of lattices, and the way from each description of a cell to the others.

cell            a b c in angstrom, alpha beta gamma in degrees
metric          of a family: 1/d^2 is its product with the integer forms of hkl (`Family.forms`)
general metric  (g11, g22, g33, 2 g23, 2 g13, 2 g12) of the reciprocal metric tensor g: the metric @
                `Family.general`
"""

import math
from collections.abc import Sequence
from functools import reduce

import numpy as np

from xtinct.compiling import njit
from xtinct.errors import XtinctError
from xtinct.symmetry.families import MONOCLINIC, known_family


def reciprocal_metric(cells: np.ndarray) -> np.ndarray:
    """Reciprocal metric tensors.

    `cells`: float64 (n, 6), a b c in angstrom and alpha beta gamma in degrees. Returns float64
    (n, 6), columns g11 g22 g33 g23 g13 g12 in 1/angstrom^2 with
    1/d^2 = g11 h^2 + g22 k^2 + g33 l^2 + 2 (g23 kl + g13 hl + g12 hk)  (ITA 2016, section 1.5.1).

    Right angles and 120 degrees give exact zeros and exact equalities, so that hkl which are
    equivalent by the metric have equal 1/d^2 up to the rounding of one sum.
    Raises XtinctError for lengths outside 1e-3 to 1e7 angstrom and for angles that no parallelepiped
    has.
    """
    cells = np.ascontiguousarray(np.atleast_2d(np.asarray(cells, dtype=np.float64)))
    metrics = np.empty_like(cells)
    for i in np.flatnonzero(~_metrics(cells, metrics)):
        raise XtinctError(
            f"cell {tuple(cells[i].tolist())}: expected lengths of 1e-3 to 1e7 angstrom and angles that "
            "span a cell"
        )
    return metrics


@njit(cache=True)
def _cosine(angle):
    if angle == 90.0:
        return 0.0
    if angle == 120.0:
        return -0.5
    if angle == 60.0:
        return 0.5
    return math.cos(math.radians(angle))


@njit(cache=True)
def write_reciprocal_metric(cell, metric):
    """Write the reciprocal metric (6,) of one cell (6,) to `metric`; False if it is no cell."""
    for i in range(3):
        if not (1e-3 < cell[i] < 1e7 and 0.0 < cell[3 + i] < 180.0):
            return False
    a, b, c = cell[0], cell[1], cell[2]
    ca, cb, cg = _cosine(cell[3]), _cosine(cell[4]), _cosine(cell[5])
    # Squared volume of the cell with unit axes; not positive: the three angles do not close.
    volume2 = 1.0 - (ca * ca + cb * cb + cg * cg) + 2.0 * ca * cb * cg
    if not volume2 > 1e-12:
        return False
    metric[0] = (1.0 - ca * ca) / (a * a * volume2)
    metric[1] = (1.0 - cb * cb) / (b * b * volume2)
    metric[2] = (1.0 - cg * cg) / (c * c * volume2)
    metric[3] = (cb * cg - ca) / (b * c * volume2)
    metric[4] = (ca * cg - cb) / (a * c * volume2)
    metric[5] = (ca * cb - cg) / (a * b * volume2)
    return True


@njit(cache=True)
def _metrics(cells, metrics):
    good = np.empty(len(cells), np.bool_)
    for i in range(len(cells)):
        good[i] = write_reciprocal_metric(cells[i], metrics[i])
    return good


def quadratic_forms(family: str, hkl: np.ndarray) -> np.ndarray:
    """Integer forms int64 (n, p) of hkl int (n, 3): equal rows have equal d for every cell of the family.

    1/d^2 is the product of a row with `form_metric` of the cell.
    """
    index = dict(zip("hkl", np.asarray(hkl, dtype=np.int64).T, strict=True))
    columns = [[index[i] * index[j] for i, j in form] for form in known_family(family).forms]
    return np.stack([reduce(np.add, products) for products in columns], axis=1)


def form_metric(family: str, cells: np.ndarray) -> np.ndarray:
    """Metric float64 (n, p) that `quadratic_forms` are multiplied with, for conventional cells (n, 6)."""
    metric = reciprocal_metric(cells)
    metric[:, 3:] *= 2.0
    return np.take(metric, known_family(family).columns, axis=1)


def cell_of(family: str, metric: np.ndarray) -> np.ndarray:
    """Conventional cell float64 (6,) of a family's metric (p,), see `form_metric`."""
    own = known_family(family)
    m = [float(x) for x in metric]
    if not own.free_angles:
        lengths = [m[number] ** -0.5 for number in own.lengths]
        if own.angles[2] != 90.0:
            # 1/d^2 has g11 = 1 / (a sin gamma)^2.
            lengths[0] = lengths[1] = math.sqrt(4.0 / (3.0 * m[0]))
        return np.array([*lengths, *own.angles])
    if family == MONOCLINIC:
        cosine = -m[3] / (2.0 * math.sqrt(m[0] * m[2]))
        sine2 = 1.0 - cosine * cosine
        lengths = [(m[0] * sine2) ** -0.5, m[1] ** -0.5, (m[2] * sine2) ** -0.5]
        return np.array([*lengths, 90.0, math.degrees(math.acos(cosine)), 90.0])
    return cells_of_tensors(np.linalg.inv(reciprocal_tensor(m)))


def reciprocal_tensor(general: Sequence[float]) -> np.ndarray:
    """Reciprocal metric tensor float64 (3, 3) of a general metric g11 g22 g33 2g23 2g13 2g12."""
    a, b, c, d, e, f = general
    return np.array([[a, f / 2, e / 2], [f / 2, b, d / 2], [e / 2, d / 2, c]])


def direct_tensor(cell: np.ndarray) -> np.ndarray:
    """Direct metric tensor float64 (3, 3) of a cell (6,), angstrom and degrees."""
    a, b, c = (float(x) for x in cell[:3])
    alpha, beta, gamma = np.cos(np.radians(np.asarray(cell[3:], dtype=np.float64)))
    return np.array(
        [
            [a * a, a * b * gamma, a * c * beta],
            [a * b * gamma, b * b, b * c * alpha],
            [a * c * beta, b * c * alpha, c * c],
        ]
    )


def cells_of_tensors(direct: np.ndarray) -> np.ndarray:
    """Cells float64 (..., 6) of direct metric tensors (..., 3, 3)."""
    length = np.sqrt(np.diagonal(direct, axis1=-2, axis2=-1))

    def angle(i: int, j: int) -> np.ndarray:
        cosine = direct[..., i, j] / (length[..., i] * length[..., j])
        return np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))

    return np.concatenate([length, np.stack([angle(1, 2), angle(0, 2), angle(0, 1)], axis=-1)], axis=-1)


def volume_of_metric(general: np.ndarray) -> float:
    """Volume of the cell of a general metric (6,), angstrom^3; 0 if it is not positive."""
    determinant = float(np.linalg.det(reciprocal_tensor(general)))
    return determinant**-0.5 if determinant > 0 else 0.0


def cell_volume(cell: np.ndarray) -> float:
    """Volume, cubic angstrom, of a cell (6,)."""
    a, b, c, alpha, beta, gamma = (float(value) for value in cell)
    return a * b * c * angle_factor(alpha, beta, gamma)


@njit(cache=True)
def angle_factor(alpha, beta, gamma):
    """Volume of a cell with unit edges and these angles (degrees); 0 where no cell has them."""
    x, y, z = math.cos(math.radians(alpha)), math.cos(math.radians(beta)), math.cos(math.radians(gamma))
    square = 1.0 - x * x - y * y - z * z + 2.0 * x * y * z
    return math.sqrt(square) if square > 0.0 else 0.0


@njit(cache=True)
def cell_basis(cell):
    """float64 (3, 3): rows are the basis vectors of a cell (6,), a along x, b in the xy plane."""
    basis = np.zeros((3, 3))
    ca, cb, cg = (
        math.cos(math.radians(cell[3])),
        math.cos(math.radians(cell[4])),
        math.cos(math.radians(cell[5])),
    )
    sg = math.sin(math.radians(cell[5]))
    basis[0, 0] = cell[0]
    basis[1, 0], basis[1, 1] = cell[1] * cg, cell[1] * sg
    x, y = cb, (ca - cb * cg) / sg
    basis[2, 0], basis[2, 1] = cell[2] * x, cell[2] * y
    basis[2, 2] = cell[2] * math.sqrt(max(1.0 - x * x - y * y, 0.0))
    return basis

"""Metrics of lattices: reciprocal metric tensors, and 1/d^2 as a sum of integer forms of hkl."""

import math
from functools import reduce

import numpy as np

from xtinct.compiling import njit
from xtinct.errors import XtinctError
from xtinct.symmetry.families import known_family


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
def metric_of(cell, metric):
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
        good[i] = metric_of(cells[i], metrics[i])
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

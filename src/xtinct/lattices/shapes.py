"""Shape and size of a lattice as independent numbers, per crystal family."""

import math

import numpy as np

from xtinct.compiling import njit
from xtinct.lattices.metric import angle_factor
from xtinct.symmetry.families import CUBIC, FAMILIES, MONOCLINIC, TETRAGONAL, TRICLINIC, TRIGONAL_HEXAGONAL

#: Numbers of the families in compiled code.
FAMILY_CODE = {family: code for code, family in enumerate(FAMILIES)}
_CUBIC, _TETRAGONAL, _HEXAGONAL = FAMILY_CODE[CUBIC], FAMILY_CODE[TETRAGONAL], FAMILY_CODE[TRIGONAL_HEXAGONAL]
_MONOCLINIC, _TRICLINIC = FAMILY_CODE[MONOCLINIC], FAMILY_CODE[TRICLINIC]


def shape_of_cell(family: str, cell: np.ndarray) -> list[float]:
    """The free numbers (`Family.shape`) of the shape of a conventional cell (6,)."""
    a, b, c, alpha, beta, gamma = (float(value) for value in cell)
    values = {
        "ln(b/a)": math.log(b / a),
        "ln(c/a)": math.log(c / a),
        "alpha": alpha,
        "beta": beta,
        "gamma": gamma,
    }
    return [values[name] for name in FAMILIES[family].shape]


@njit(cache=True)
def cell_of_shape(code, shape, volume, cell):
    """Fill `cell` (6,) with the cell of family number `code`, the given shape and volume; True if it exists.

    Cells flatter than any Niggli cell by a wide margin (angle factor below 0.2) count as none.
    """
    b_a, c_a = 1.0, 1.0
    alpha, beta, gamma = 90.0, 90.0, 90.0
    if code in (_TETRAGONAL, _HEXAGONAL):
        c_a = math.exp(shape[0])
        if code == _HEXAGONAL:
            gamma = 120.0
    elif code != _CUBIC:
        b_a, c_a = math.exp(shape[0]), math.exp(shape[1])
        if code == _MONOCLINIC:
            beta = shape[2]
        elif code == _TRICLINIC:
            alpha, beta, gamma = shape[2], shape[3], shape[4]
    factor = angle_factor(alpha, beta, gamma)
    if factor < 0.2:
        return False
    a = (volume / (b_a * c_a * factor)) ** (1.0 / 3.0)
    cell[0], cell[1], cell[2] = a, a * b_a, a * c_a
    cell[3], cell[4], cell[5] = alpha, beta, gamma
    return True

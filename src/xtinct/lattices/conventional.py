"""Conventional cells of the crystal families, and the indices that tables name of equivalent reflections."""

import numpy as np

from xtinct.symmetry.families import (
    CUBIC,
    MONOCLINIC,
    ORTHORHOMBIC,
    TETRAGONAL,
    TRIGONAL_HEXAGONAL,
    known_family,
)


def conventional_cell_errors(family: str, cells: np.ndarray) -> np.ndarray:
    """Largest violation of the family's metric, per cell.

    `cells`: float64 (n, 6), a b c in angstrom, alpha beta gamma in degrees (monoclinic: unique
    axis b; trigonal-hexagonal: hexagonal axes). Returns float64 (n,): the largest of the relative
    differences of lengths that must be equal and of the differences in degrees of fixed angles.
    """
    own = known_family(family)
    cells = np.asarray(cells, dtype=np.float64)
    errors = np.zeros((6, len(cells)))
    for axis, number in enumerate(own.lengths):
        errors[axis] = abs(cells[:, axis] / cells[:, own.lengths.index(number)] - 1)
    for i, angle in enumerate(own.angles):
        if angle is not None:
            errors[3 + i] = abs(cells[:, 3 + i] - angle)
    return errors.max(axis=0)


def conventional_cell(family: str, cell: np.ndarray) -> np.ndarray:
    """`cell` (6,) with the family's metric made exact: equal lengths averaged, fixed angles set.

    Removes the rounding of printed cell parameters; it does not judge how far they were off
    (see `conventional_cell_errors`).
    """
    own = known_family(family)
    cell = [float(x) for x in cell]
    alike = [[x for x, other in zip(cell[:3], own.lengths, strict=True) if other == n] for n in own.lengths]
    angles = [x if fixed is None else fixed for x, fixed in zip(cell[3:], own.angles, strict=True)]
    return np.array([*(sum(lengths) / len(lengths) for lengths in alike), *angles])


def free_angle_range(family: str, cells: np.ndarray) -> tuple[float, float]:
    """Smallest and largest of the free angles of cells (n, 6), degrees; 90 and 90 where none is free."""
    free = [3 + i for i in known_family(family).free_angles]
    angles = cells[:, free] if free else np.array([90.0])
    return float(angles.min()), float(angles.max())


def conventional_hkl(family: str, hkl: np.ndarray, *, obverse: bool = False) -> np.ndarray:
    """Of equivalent reflections the one that tables name, int64 (n, 3), for `hkl` int (n, 3).

    Cubic: 200, 220, 311, never 002, 202; tetragonal and hexagonal: h >= k; where signs do not matter none are
    negative, elsewhere the first index that is not 0 is positive (monoclinic: also k). `obverse`: of a
    rhombohedral lattice on hexagonal axes that with -h + k + l = 3n (012 and 104, not 102).
    """
    hkl = np.array(hkl, dtype=np.int64).reshape(-1, 3)
    if family == CUBIC:
        return np.sort(np.abs(hkl), axis=1)[:, ::-1].copy()
    if family in (TETRAGONAL, TRIGONAL_HEXAGONAL):
        if (
            family == TRIGONAL_HEXAGONAL
        ):  # h, k and i = -h - k may be exchanged: the smallest pair of one sign
            three = np.sort(np.abs(np.stack([hkl[:, 0], hkl[:, 1], hkl[:, 0] + hkl[:, 1]], axis=1)), axis=1)
            plane = three[:, 1::-1]
        else:
            plane = np.sort(np.abs(hkl[:, :2]), axis=1)[:, ::-1]
        named = np.concatenate([plane, np.abs(hkl[:, 2:])], axis=1)
        if obverse:
            swapped = named[:, [1, 0, 2]]
            other = (swapped @ np.array([-1, 1, 1]) % 3 == 0) & (named @ np.array([-1, 1, 1]) % 3 != 0)
            named = np.where(other[:, None], swapped, named)
        return named
    if family == ORTHORHOMBIC:
        return np.abs(hkl)
    if family == MONOCLINIC:
        hkl[:, 1] = np.abs(hkl[:, 1])
        plane = hkl[:, [0, 2]]
    else:
        plane = hkl
    first = np.take_along_axis(plane, (plane != 0).argmax(axis=1)[:, None], axis=1)
    sign = np.where(first < 0, -1, 1)
    if family == MONOCLINIC:
        hkl[:, [0, 2]] = plane * sign
        return hkl
    return hkl * sign

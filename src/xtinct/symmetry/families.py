"""Crystal families, crystal systems and the space groups they hold (ITA 2016, Table 2.1.1.1)."""

import numpy as np

from xtinct.errors import XtinctError

#: First and last space group number of each crystal system.
CRYSTAL_SYSTEMS: dict[str, tuple[int, int]] = {
    "triclinic": (1, 2),
    "monoclinic": (3, 15),
    "orthorhombic": (16, 74),
    "tetragonal": (75, 142),
    "trigonal": (143, 167),
    "hexagonal": (168, 194),
    "cubic": (195, 230),
}

#: Crystal family -> its crystal systems. A family has one kind of metric: trigonal groups are
#: described on hexagonal axes, so a powder line list cannot tell the two systems apart by metric.
FAMILIES: dict[str, tuple[str, ...]] = {
    "cubic": ("cubic",),
    "tetragonal": ("tetragonal",),
    "trigonal-hexagonal": ("trigonal", "hexagonal"),
    "orthorhombic": ("orthorhombic",),
    "monoclinic": ("monoclinic",),
    "triclinic": ("triclinic",),
}

N_SPACE_GROUPS = 230


def crystal_system(number: int) -> str:
    """Crystal system of a space group number (1-230)."""
    for name, (first, last) in CRYSTAL_SYSTEMS.items():
        if first <= number <= last:
            return name
    raise XtinctError(f"space group {number!r}: the number must be between 1 and 230")


def family_of(number: int) -> str:
    """Crystal family of a space group number (1-230)."""
    system = crystal_system(number)
    return next(family for family, systems in FAMILIES.items() if system in systems)


def space_groups(family: str) -> tuple[int, ...]:
    """Space group numbers of a crystal family, ascending."""
    if family not in FAMILIES:
        raise XtinctError(f"crystal family {family!r}: expected one of {', '.join(FAMILIES)}")
    ranges = (CRYSTAL_SYSTEMS[system] for system in FAMILIES[family])
    return tuple(number for first, last in ranges for number in range(first, last + 1))


def conventional_cell_errors(family: str, cells: np.ndarray) -> np.ndarray:
    """Largest violation of the family's metric, per cell.

    `cells`: float64 (n, 6), a b c in angstrom, alpha beta gamma in degrees (monoclinic: unique
    axis b; trigonal-hexagonal: hexagonal axes). Returns float64 (n,): the largest of the relative
    differences of lengths that must be equal and of the differences in degrees of fixed angles.
    """
    a, b, c, alpha, beta, gamma = np.asarray(cells, dtype=np.float64).T
    zero = np.zeros_like(a)
    equal = {
        "cubic": (abs(b / a - 1), abs(c / a - 1)),
        "tetragonal": (abs(b / a - 1),),
        "trigonal-hexagonal": (abs(b / a - 1),),
    }.get(family, (zero,))
    right = {
        "triclinic": (zero,),
        "monoclinic": (abs(alpha - 90), abs(gamma - 90)),
        "trigonal-hexagonal": (abs(alpha - 90), abs(beta - 90), abs(gamma - 120)),
    }.get(family, (abs(alpha - 90), abs(beta - 90), abs(gamma - 90)))
    return np.max(np.stack([*equal, *right]), axis=0)


def conventional_cell(family: str, cell: np.ndarray) -> np.ndarray:
    """`cell` (6,) with the family's metric made exact: equal lengths averaged, fixed angles set.

    Removes the rounding of printed cell parameters; it does not judge how far they were off
    (see `conventional_cell_errors`).
    """
    a, b, c, alpha, beta, gamma = (float(x) for x in cell)
    if family == "cubic":
        a = b = c = (a + b + c) / 3.0
    elif family in ("tetragonal", "trigonal-hexagonal"):
        a = b = (a + b) / 2.0
    if family != "triclinic":
        alpha = gamma = 90.0
        if family != "monoclinic":
            beta = 90.0
    if family == "trigonal-hexagonal":
        gamma = 120.0
    return np.array([a, b, c, alpha, beta, gamma])


def conventional_hkl(family: str, hkl: np.ndarray, *, obverse: bool = False) -> np.ndarray:
    """Of equivalent reflections the one that tables name, int64 (n, 3), for `hkl` int (n, 3).

    Cubic: 200, 220, 311, never 002, 202; tetragonal and hexagonal: h >= k; where signs do not matter none are
    negative, elsewhere the first index that is not 0 is positive (monoclinic: also k). `obverse`: of a
    rhombohedral lattice on hexagonal axes that with -h + k + l = 3n (012 and 104, not 102).
    """
    hkl = np.array(hkl, dtype=np.int64).reshape(-1, 3)
    if family == "cubic":
        return np.sort(np.abs(hkl), axis=1)[:, ::-1].copy()
    if family in ("tetragonal", "trigonal-hexagonal"):
        if (
            family == "trigonal-hexagonal"
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
    if family == "orthorhombic":
        return np.abs(hkl)
    if family == "monoclinic":
        hkl[:, 1] = np.abs(hkl[:, 1])
        plane = hkl[:, [0, 2]]
    else:
        plane = hkl
    first = np.take_along_axis(plane, (plane != 0).argmax(axis=1)[:, None], axis=1)
    sign = np.where(first < 0, -1, 1)
    if family == "monoclinic":
        hkl[:, [0, 2]] = plane * sign
        return hkl
    return hkl * sign

"""Crystal families, crystal systems and the space groups they hold (ITA 2016, Table 2.1.1.1).

The table FAMILIES is the one place that says what a family fixes of a lattice. It stands with the symmetry,
not with the lattices, because extinction and Pearson symbols need it before any lattice is computed.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from xtinct.errors import XtinctError

TRICLINIC, MONOCLINIC, ORTHORHOMBIC, TETRAGONAL = "triclinic", "monoclinic", "orthorhombic", "tetragonal"
TRIGONAL, HEXAGONAL, CUBIC = "trigonal", "hexagonal", "cubic"
TRIGONAL_HEXAGONAL = "trigonal-hexagonal"

#: First and last space group number of each crystal system.
CRYSTAL_SYSTEMS: dict[str, tuple[int, int]] = {
    TRICLINIC: (1, 2),
    MONOCLINIC: (3, 15),
    ORTHORHOMBIC: (16, 74),
    TETRAGONAL: (75, 142),
    TRIGONAL: (143, 167),
    HEXAGONAL: (168, 194),
    CUBIC: (195, 230),
}
N_SPACE_GROUPS = 230

#: Products of indices that 1/d^2 is a sum of, in the order of a general metric: g11 g22 g33 2g23 2g13 2g12.
PRODUCTS = ("hh", "kk", "ll", "kl", "hl", "hk")


@dataclass(frozen=True)
class Family:
    """What a crystal family fixes of a lattice on conventional axes (monoclinic: b unique; hexagonal axes).

    systems    crystal systems. A family has one kind of metric: trigonal groups are described on hexagonal
               axes, so a powder line list cannot tell the two systems apart by metric
    letter     of Pearson symbols and Bravais lattices
    order      of the point group of its lattices: how many hkl have one line
    centrings  of conventional cells (ITA 2016, Table 3.1.2.2; monoclinic on any two axes)
    lengths    number of the free length that a, b and c have
    angles     alpha, beta and gamma in degrees, None where free
    forms      1/d^2 is a sum of these integer forms of hkl with a free number each ("hh" is h times h)
    example    a generic cell, angstrom and degrees: no two lines coincide that need not
    """

    name: str
    systems: tuple[str, ...]
    letter: str
    order: int
    centrings: str
    lengths: tuple[int, int, int]
    angles: tuple[float | None, float | None, float | None]
    forms: tuple[tuple[str, ...], ...]
    example: tuple[float, float, float, float, float, float]

    @property
    def free_lengths(self) -> int:
        """Number of lengths that are free; the others repeat them."""
        return len(set(self.lengths))

    @property
    def free_angles(self) -> tuple[int, ...]:
        """Which of alpha, beta, gamma (0, 1, 2) are free."""
        return tuple(i for i, angle in enumerate(self.angles) if angle is None)

    @property
    def a_equals_b(self) -> bool:
        """Whether h and k may be exchanged, and their signs turned, without a change of d."""
        return self.lengths[0] == self.lengths[1]

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the free cell parameters: a, c of a tetragonal cell."""
        lengths = ("abc"[self.lengths.index(number)] for number in range(self.free_lengths))
        return (*lengths, *(("alpha", "beta", "gamma")[i] for i in self.free_angles))

    @property
    def shape(self) -> tuple[str, ...]:
        """Names of the free numbers of a cell's shape: logarithms of length ratios, then angles (degrees)."""
        return tuple(name if len(name) > 1 else f"ln({name}/a)" for name in self.parameters[1:])

    @cached_property
    def general(self) -> np.ndarray:
        """float64 (p, 6): a general metric is the metric of the family (p,) @ this."""
        rows = [[float(product in form) for product in PRODUCTS] for form in self.forms]
        return np.array(rows)

    @cached_property
    def columns(self) -> tuple[int, ...]:
        """The columns of a general metric that are the metric of the family."""
        return tuple(PRODUCTS.index(form[0]) for form in self.forms)


_LENGTHS = ("hh",), ("kk",), ("ll",)
#: Families by name.
FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family(
            name=CUBIC,
            systems=(CUBIC,),
            letter="c",
            order=48,
            centrings="PIF",
            lengths=(0, 0, 0),
            angles=(90.0, 90.0, 90.0),
            forms=(("hh", "kk", "ll"),),
            example=(7.31, 7.31, 7.31, 90.0, 90.0, 90.0),
        ),
        Family(
            name=TETRAGONAL,
            systems=(TETRAGONAL,),
            letter="t",
            order=16,
            centrings="PI",
            lengths=(0, 0, 1),
            angles=(90.0, 90.0, 90.0),
            forms=(("hh", "kk"), ("ll",)),
            example=(5.43, 5.43, 7.91, 90.0, 90.0, 90.0),
        ),
        Family(
            name=TRIGONAL_HEXAGONAL,
            systems=(TRIGONAL, HEXAGONAL),
            letter="h",
            order=24,
            centrings="PR",
            lengths=(0, 0, 1),
            angles=(90.0, 90.0, 120.0),
            forms=(("hh", "hk", "kk"), ("ll",)),
            example=(5.37, 5.37, 8.53, 90.0, 90.0, 120.0),
        ),
        Family(
            name=ORTHORHOMBIC,
            systems=(ORTHORHOMBIC,),
            letter="o",
            order=8,
            centrings="PABCIF",
            lengths=(0, 1, 2),
            angles=(90.0, 90.0, 90.0),
            forms=_LENGTHS,
            example=(4.83, 6.07, 7.39, 90.0, 90.0, 90.0),
        ),
        Family(
            name=MONOCLINIC,
            systems=(MONOCLINIC,),
            letter="m",
            order=4,
            centrings="PACI",
            lengths=(0, 1, 2),
            angles=(90.0, None, 90.0),
            forms=(*_LENGTHS, ("hl",)),
            example=(4.91, 5.83, 7.27, 90.0, 103.7, 90.0),
        ),
        Family(
            name=TRICLINIC,
            systems=(TRICLINIC,),
            letter="a",
            order=2,
            centrings="P",
            lengths=(0, 1, 2),
            angles=(None, None, None),
            forms=(*_LENGTHS, ("kl",), ("hl",), ("hk",)),
            example=(4.97, 5.71, 6.83, 83.1, 96.7, 104.3),
        ),
    )
}
#: Names of the families from high to low symmetry of their lattices.
BY_SYMMETRY = tuple(sorted(FAMILIES, key=lambda name: -FAMILIES[name].order))
_OF_SYSTEM = {system: family.name for family in FAMILIES.values() for system in family.systems}


def crystal_system(number: int) -> str:
    """Crystal system of a space group number (1-230)."""
    for name, (first, last) in CRYSTAL_SYSTEMS.items():
        if first <= number <= last:
            return name
    raise XtinctError(f"space group {number!r}: the number must be between 1 and 230")


def family_of_system(system: str) -> Family:
    """Crystal family of a crystal system."""
    return FAMILIES[_OF_SYSTEM[system]]


def family_of(number: int) -> str:
    """Name of the crystal family of a space group number (1-230)."""
    return _OF_SYSTEM[crystal_system(number)]


def known_family(name: str) -> Family:
    """The family of that name; XtinctError if there is none."""
    if name not in FAMILIES:
        raise XtinctError(f"crystal family {name!r}: expected one of {', '.join(FAMILIES)}")
    return FAMILIES[name]


def space_groups(family: str) -> tuple[int, ...]:
    """Space group numbers of a crystal family, ascending."""
    ranges = (CRYSTAL_SYSTEMS[system] for system in known_family(family).systems)
    return tuple(number for first, last in ranges for number in range(first, last + 1))

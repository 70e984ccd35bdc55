"""Symmetry of a crystal, and its symmetrised conventional cell in the standard setting.

moyo decides (unique axis b and cell choice 1, hexagonal axes, origin choice 2); spglib can be asked
for a second opinion.
"""

import logging
import warnings
from dataclasses import dataclass
from typing import Any

import gemmi
import moyopy
import numpy as np
import spglib

from xtinct.lattices.conventional import conventional_cell
from xtinct.structures.crystal import Crystal, RejectedError, Species, cell_of_basis, without_isotopes, wrap
from xtinct.structures.labels import protostructure_label
from xtinct.symmetry.families import family_of

#: No crystal has axes of such a ratio, and at a million moyo takes all memory.
_LARGEST_RATIO = 10_000.0
# moyo reports every supercell at level WARNING; each one is an ordinary input here.
logging.getLogger("moyo").setLevel(logging.ERROR)
logging.getLogger("moyopy").setLevel(logging.ERROR)

#: Kinds of shared or partly occupied sites are numbered from here, above every atomic number.
_FIRST_MIXED = 200
#: Sites of isotopes are told from those of hydrogen by numbers that no element has.
_ISOTOPES = {"D": 198, "T": 199}


@dataclass(frozen=True)
class Standard:
    """A symmetrised crystal: conventional cell, its space group, and the tolerance that found it."""

    crystal: Crystal
    number: int
    symprec: float
    protostructure: str | None


def species_numbers(species: list[Species]) -> tuple[list[int], dict[int, Species]]:
    """A number for every site, equal where and only where the same atoms sit, and their meaning.

    A full site of one element has its atomic number, of deuterium 198, of tritium 199; every other kind
    of site a number from 200 on, in sorted order of the kinds.
    """
    kinds = sorted(set(species))
    mixed = 0
    number_of: dict[Species, int] = {}
    for kind in kinds:
        if len(kind) == 1 and kind[0][1] == 1.0:
            symbol = kind[0][0]
            number_of[kind] = _ISOTOPES.get(symbol) or gemmi.Element(symbol).atomic_number
        else:
            number_of[kind] = _FIRST_MIXED + mixed
            mixed += 1
    return [number_of[kind] for kind in species], {number: kind for kind, number in number_of.items()}


def standardise(crystal: Crystal, *, symprec: float, protostructures: bool = True) -> Standard:
    """The symmetrised conventional cell that moyo finds within `symprec` (angstrom).

    Lengths that the group makes equal are equal to the last bit, fixed angles exact. With
    `protostructures`, the label as well. RejectedError if moyo finds no symmetry, or if its
    axes cannot be those of a crystal.
    """
    shortest, longest = float(crystal.cell[:3].min()), float(crystal.cell[:3].max())
    if longest > _LARGEST_RATIO * shortest:
        raise RejectedError(
            "bad_cell", f"axes of {shortest:g} and {longest:g} angstrom: no crystal has such a ratio"
        )
    numbers, meaning = species_numbers(crystal.species)
    cell = moyopy.Cell(crystal.basis.tolist(), crystal.frac.tolist(), numbers)
    try:
        found = moyo_dataset(cell, symprec=symprec, setting=moyopy.Setting.standard())
    except ValueError as error:
        raise RejectedError("no_symmetry", f"moyo: {error}") from None
    conventional = found.std_cell
    symmetrised = Crystal(
        cell=exact_metric(found.number, cell_of_basis(np.array(conventional.basis))),
        frac=wrap(np.array(conventional.positions)),
        species=[meaning[number] for number in conventional.numbers],
    )
    label = None
    if protostructures:
        orbits = sorted(set(found.orbits))
        label = protostructure_label(
            found.number,
            found.pearson_symbol,
            [(without_isotopes(meaning[numbers[i]]), found.wyckoffs[i]) for i in orbits],
            [without_isotopes(site) for site in symmetrised.species],
        )
    return Standard(symmetrised, found.number, found.symprec, label)


def moyo_dataset(cell: moyopy.Cell, **options: Any) -> moyopy.MoyoDataset:
    """What moyo finds in a cell; ValueError with its words, in one line, where it finds nothing."""
    try:
        return moyopy.MoyoDataset(cell, **options)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        # moyo raises plain ValueError or a panic, which is no Exception.
        raise ValueError(" ".join(str(error).split())[:300]) from None


def spglib_number(crystal: Crystal, *, symprec: float) -> int | None:
    """Space group number that spglib finds within `symprec` (angstrom); None if it finds none."""
    numbers, _ = species_numbers(crystal.species)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # spglib announces changes of its error handling
        try:
            found = spglib.get_symmetry_dataset((crystal.basis, crystal.frac, numbers), symprec=symprec)
        except spglib.SpglibError:
            return None
    return None if found is None else int(found.number)


def exact_metric(number: int, cell: np.ndarray) -> np.ndarray:
    """`cell` (6,) with the equalities of the group's crystal family made exact, to ten decimals."""
    return np.round(conventional_cell(family_of(number), cell), 10)

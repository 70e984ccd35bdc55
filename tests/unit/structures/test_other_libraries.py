"""Structures of other libraries: left-handed axes mirror no crystal (groups: spglib), and no atom is none."""

import warnings

import pytest
import spglib
from ase import Atoms
from pymatgen.core import Lattice, Structure

from xtinct.errors import XtinctError
from xtinct.sources.given import standard_of
from xtinct.sources.mp import _entry
from xtinct.sources.optimade import _crystal
from xtinct.structures.standard import standardise

#: Quartz, P 31 2 1, on hexagonal axes, and with a and b exchanged.
RIGHT = Structure.from_spacegroup(
    152, Lattice.hexagonal(4.913, 5.405), ["Si", "O"], [[0.4697, 0, 1 / 3], [0.4135, 0.2669, 0.4524]]
)
LEFT = Structure(
    Lattice(RIGHT.lattice.matrix[[1, 0, 2]]), RIGHT.species, RIGHT.cart_coords, coords_are_cartesian=True
)


def poscar(structure):
    """Written out, because pymatgen's own writer turns left-handed axes and not the coordinates."""
    numbers = [*structure.lattice.matrix.tolist(), *structure.frac_coords.tolist()]
    lines = [" ".join(f"{x:.10f}" for x in row) for row in numbers]
    return "\n".join(["quartz", "1.0", *lines[:3], "Si O", "3 6", "Direct", *lines[3:]]) + "\n"


def test_left_handed_axes_do_not_mirror_a_crystal():
    for structure in (RIGHT, LEFT):
        basis, frac = structure.lattice.matrix, structure.frac_coords
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # spglib announces new error handling
            assert spglib.get_symmetry_dataset((basis, frac, structure.atomic_numbers)).number == 152
        symbols = [species.symbol for species in structure.species]
        atoms = Atoms(symbols, scaled_positions=frac, cell=basis, pbc=True)
        species = [{"name": x, "chemical_symbols": [x], "concentration": [1.0]} for x in ("Si", "O")]
        sites = {"cartesian_site_positions": structure.cart_coords.tolist(), "species_at_sites": symbols}
        answer = {"lattice_vectors": basis.tolist(), "species": species, **sites}
        document = {"material_id": "mp-1", "structure": structure.as_dict()}
        for given in (structure, atoms, poscar(structure), _entry(document, "CC-BY-4.0").text):
            assert standard_of(given).number == 152
        assert standardise(_crystal(answer), symprec=0.01).number == 152


def test_a_structure_without_atoms_is_refused_in_one_line():
    for empty in (Structure(Lattice.cubic(3), [], []), Atoms(cell=[3, 3, 3], pbc=True)):
        with pytest.raises(XtinctError, match="no_sites: the structure has no atom"):
            standard_of(empty)

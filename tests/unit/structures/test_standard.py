"""The standard cell of a crystal, and what no crystal can be."""

import moyopy
import numpy as np
import pytest

from xtinct.generators.crystal_statistics import _orbits
from xtinct.generators.randomised import _symmetry
from xtinct.sources.given import filled_cell_of
from xtinct.structures.crystal import Crystal, RejectedError
from xtinct.structures.standard import moyo_dataset, species_numbers, standardise


@pytest.mark.parametrize("axis", [4.4e8, 6.9e16])
def test_axes_that_no_crystal_has_are_refused_before_they_take_all_memory(axis):
    crystal = Crystal(np.array([6.5, axis, 12.1, 90.0, 90.0, 90.0]), np.zeros((1, 3)), [(("Na", 1.0),)])
    with pytest.raises(RejectedError, match="no crystal has such a ratio"):
        standardise(crystal, symprec=0.01)


def test_a_panic_of_the_symmetry_finder_costs_one_crystal_no_more(root):
    """A panic of Rust is no Exception of Python, and generators look for one symmetry after the other."""
    crystal = filled_cell_of((root / "tests/faults/seeds/moyo_panics.cif").read_text()).crystal
    atoms = Crystal(crystal.cell, crystal.frac, [((site[0][0], 1.0),) for site in crystal.species])
    numbers, _ = species_numbers(atoms.species)
    cell = moyopy.Cell(atoms.basis.tolist(), atoms.frac.tolist(), numbers)
    with pytest.raises(ValueError, match="unwrap"):
        moyo_dataset(cell, symprec=1e-4)
    assert _orbits(atoms, 216) is None
    assert _symmetry(atoms, 1e-4) is None

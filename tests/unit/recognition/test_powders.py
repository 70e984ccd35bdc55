"""The common powders that the project carries, against what others know of them."""

import gemmi
import numpy as np
import pytest
from ase.data import atomic_numbers, covalent_radii, reference_states
from pymatgen.core import Composition, Lattice, Structure

from xtinct.recognition.known_structures import common_powders
from xtinct.sources.cif_blocks import structures_apart
from xtinct.sources.folders import POWDERS

#: angstrom, of NIST reference materials: 640e, 660c, 674b and 676a.
CERTIFIED = {
    "Si_227": (5.431179, 5.431179),
    "LaB6_221": (4.156826, 4.156826),
    "CeO2_225": (5.411651, 5.411651),
    "ZnO_186": (3.24989, 5.20653),
    "TiO2_136": (4.59394, 2.95889),
    "Cr2O3_167": (4.95916, 13.59720),
    "Al2O3_167": (4.759355, 12.99231),
}
#: An element that the reference states of ASE have in another form.
ELSEWHERE = {"Co_225"}


@pytest.fixture(scope="module")
def blocks(root):
    text = (root / POWDERS).read_text()
    return {name: (part, gemmi.cif.read_string(part).sole_block()) for name, part in structures_apart(text)}


def test_the_package_has_each_of_them_in_its_group(blocks):
    packaged = {row["structure_id"].removeprefix("powders:"): row for row in common_powders().to_pylist()}
    assert packaged.keys() == blocks.keys()
    for name, (_, block) in blocks.items():
        number = int(block.find_value("_space_group_IT_number"))
        assert packaged[name]["spacegroup_number"] == number == int(name.rpartition("_")[2])


def test_cells_are_those_of_certificates_and_of_elements(blocks):
    """Within 5e-5 of a certified length, and 0.004 of the reference states of ASE."""
    cells = {
        name: [float(block.find_value(f"_cell_length_{axis}")) for axis in "ac"]
        for name, (_, block) in blocks.items()
    }
    for name, certified in CERTIFIED.items():
        assert cells[name] == pytest.approx(certified, rel=5e-5), name
    elements = [name for name in cells if name.split("_")[0] in atomic_numbers]
    assert len(elements) > 30
    assert set(elements) > ELSEWHERE
    for name in set(elements) - ELSEWHERE - CERTIFIED.keys():
        known = reference_states[atomic_numbers[name.split("_")[0]]]
        assert cells[name][0] == pytest.approx(known["a"], rel=4e-3), name
        assert cells[name][1] == pytest.approx(known["a"] * known.get("c/a", 1), rel=4e-3), name


def test_each_names_its_source_and_has_atoms_at_the_distances_of_atoms(blocks):
    """As gemmi fills the cells: the nearest atom is at 0.65 to 1.35 times the sum of covalent radii."""
    for name, (_, block) in blocks.items():
        assert len(block.find_value("_publ_section_references")) > 10, name
        small = gemmi.make_small_structure_from_block(block)
        sites = small.get_all_unit_cell_sites()
        structure = Structure(
            Lattice.from_parameters(*small.cell.parameters),
            [site.element.name for site in sites],
            [site.fract.tolist() for site in sites],
        )
        number = structure.composition.get_reduced_composition_and_factor()
        assert number[0] == Composition(block.find_value("_chemical_formula_sum").strip("'")), name
        radii = [covalent_radii[site.specie.Z] for site in structure]
        centres, neighbours, _, lengths = structure.get_neighbor_list(5.0)
        ratios = lengths / (np.array(radii)[centres] + np.array(radii)[neighbours])
        nearest = [ratios[centres == site].min() for site in range(len(structure))]
        assert min(nearest) > 0.65, name
        assert max(nearest) < 1.35, name

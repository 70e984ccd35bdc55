import numpy as np

from xtinct.generators.reach import group_within
from xtinct.structures.crystal import Crystal
from xtinct.structures.standard import spglib_number
from xtinct.symmetry.operations import wyckoff_positions


def test_groups_that_thirty_atoms_of_each_element_cannot_show():
    # Wang et al. never reached the first eight with 1 to 30 atoms of each element.
    never = {196, 202, 203, 209, 210, 219, 222, 226} | {228}
    assert {number for number in range(1, 231) if group_within(number, 30) != number} == never


def test_large_cells_show_every_group():
    # ITA: no general position has more than 192 points.
    assert [group_within(number, 192) for number in range(1, 231)] == list(range(1, 231))


def test_positions_of_f23_that_decide():
    # ITA, F 2 3 (196): positions a to g (4 to 24 points) are positions of F -4 3 m (216) as well, and only
    # the general one, 48h, is not.
    assert [p.multiplicity for p in wyckoff_positions(196)] == [4, 4, 4, 4, 16, 24, 24, 48]
    assert (group_within(196, 47), group_within(196, 48)) == (216, 196)


def test_spglib_agrees_about_a_crystal_with_the_largest_positions_within_reach():
    # F d -3 c (228): 16a alone is within 30 atoms, and is a body-centred lattice of half the edge.
    (position,) = [p for p in wyckoff_positions(228) if p.multiplicity <= 30]
    cell = np.array([10.0, 10, 10, 90, 90, 90])
    crystal = Crystal(cell, position.translations % 1, [(("Si", 1.0),)] * 16)
    assert spglib_number(crystal, symprec=1e-5) == 229
    assert group_within(228, 30) == 229


def test_no_position_is_small_enough():
    assert group_within(230, 15) is None

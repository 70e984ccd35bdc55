"""Ceilings of given patterns and the groups that observed lines leave."""

import numpy as np
import pytest

from xtinct.ceiling.extinction import ceiling_of_samples
from xtinct.ceiling.hypotheses import Window
from xtinct.ceiling.single_patterns import pattern_ceilings, possible_groups
from xtinct.errors import XtinctError
from xtinct.lattices.distributions import LatticeSpec
from xtinct.linelists.ulbd_lines import UlbdLines
from xtinct.symmetry.classes import extinction_classes
from xtinct.symmetry.families import FAMILIES, space_groups

WINDOW = Window(0.0566, 0.918)
ANGLES = {"monoclinic": (90.0, 115.0), "triclinic": (75.0, 105.0)}


def spec_of(family):
    return LatticeSpec("continuous", (6.0, 10.0), ANGLES.get(family, (90.0, 90.0)), count=1)


@pytest.mark.parametrize("family", FAMILIES)
def test_mean_over_generic_lattices_is_the_ceiling_of_the_samples(family):
    groups = np.array(space_groups(family))
    numbers = groups[(np.arange(60) ** 2) % len(groups)]
    cells = spec_of(family).cells(family, 5, np.arange(60))
    result = pattern_ceilings(family, numbers, cells, WINDOW, ks=(1, 2, 3))
    expected = ceiling_of_samples(numbers, ks=(1, 2, 3))
    assert {k: pytest.approx(values.mean()) for k, values in result.items()} == expected


@pytest.mark.parametrize("family", FAMILIES)
def test_lines_of_a_group_leave_its_extinction_class(family):
    spec = spec_of(family)
    groups = np.array(space_groups(family))[::7]
    cells = spec.cells(family, 3, np.arange(len(groups)))
    lines = UlbdLines(family, WINDOW.d_star_max, spec.length_max, spec.angles)
    drawn = lines.draw(groups, cells, np.arange(len(groups), dtype=np.uint64))
    classes = {number: cls.members for cls in extinction_classes(family) for number in cls.members}
    for i, number in enumerate(groups):
        d_star = drawn[i][0].astype(np.float32)
        left = possible_groups(family, d_star, cells[i], WINDOW)
        assert left.exact == classes[int(number)]
        assert set(left.exact) <= set(left.permitting)
        assert left.expected[1] == pytest.approx(1 / len(left.exact))
        # Groups without any condition permit every line.
        assert set(extinction_classes(family)[0].members) <= set(left.permitting)


def test_special_lattices_lower_the_ceiling_of_their_patterns():
    """Hexagonal c/a = 3/4: 31 (62), 61 and 63 screws show the same lines."""
    cells = np.array([[14.0, 14.0, 10.5, 90, 90, 120], [14.0, 14.0, 10.6, 90, 90, 120]])
    prior = dict.fromkeys(space_groups("trigonal-hexagonal"), 1)
    result = pattern_ceilings("trigonal-hexagonal", [169, 169], cells, WINDOW, ks=(1,), prior=prior)
    merged = sum(
        len(cls.members)
        for cls in extinction_classes("trigonal-hexagonal")
        if cls.symbol in ("P 31(62) - -", "P 61 - -", "P 63 - -")
    )
    assert result[1].tolist() == pytest.approx([1 / merged, 1 / 4])


def test_missing_lines_leave_permitting_groups_only():
    """An accidental absence is no law: no group shows just these lines, several permit them."""
    cell = np.array([8.0, 8.0, 8.0, 90, 90, 90])
    lines = UlbdLines("cubic", WINDOW.d_star_max, 8.0)
    d_star = lines.draw(np.array([221]), cell[None], np.array([1], dtype=np.uint64))[0][0]
    left = possible_groups("cubic", np.delete(d_star, 7), cell, WINDOW)
    assert left.exact == ()
    assert left.expected == {}
    assert 221 in left.permitting


def test_large_cells_are_worked_through():
    cells = np.array([[9.0, 9.0, 120.0, 90, 90, 90], [9.0, 9.0, 12.1, 90, 90, 90]])
    result = pattern_ceilings("tetragonal", [92, 96], cells, WINDOW, ks=(1,))
    assert result[1].tolist() == [0.5, 0.5]


def test_bad_input_is_refused():
    cell = np.array([[8.0, 8.0, 8.0, 90, 90, 90]])
    with pytest.raises(XtinctError, match="not of the cubic family"):
        pattern_ceilings("cubic", [194], cell, WINDOW)
    with pytest.raises(XtinctError, match="expected as many"):
        pattern_ceilings("cubic", [225, 225], cell, WINDOW)
    with pytest.raises(XtinctError, match="no line there"):
        possible_groups("cubic", np.array([0.2]), cell[0], WINDOW)

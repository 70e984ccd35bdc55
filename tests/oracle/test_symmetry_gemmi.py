"""Packaged operations and absences against gemmi, for every group and every tabulated setting."""

import gemmi
import numpy as np
import pytest

from xtinct.symmetry.absences import absent
from xtinct.symmetry.operations import settings
from xtinct.symmetry.reflection_conditions import box

HKL = box(8)
EXTENSIONS = ("", ":2", ":H")


def gemmi_group(symbol: str) -> gemmi.SpaceGroup:
    """gemmi's group with the conventions of the packaged tables: origin choice 2, hexagonal axes."""
    for extension in reversed(EXTENSIONS):
        group = gemmi.find_spacegroup_by_name(symbol + extension)
        if group is not None and (not extension or group.ext == extension[1:]):
            return group
    raise AssertionError(symbol)


def as_set(rotations, translations):
    return {
        (tuple(map(int, r.ravel())), tuple(map(int, t))) for r, t in zip(rotations, translations, strict=True)
    }


@pytest.mark.parametrize("number", range(1, 231))
def test_gemmi_agrees(number):
    for setting in settings(number):
        group = gemmi_group(setting.symbol)
        assert group.number == number
        operations = list(group.operations())
        rotations = np.array([op.rot for op in operations]) // gemmi.Op.DEN
        translations = np.array([op.tran for op in operations]) * 24 // gemmi.Op.DEN % 24
        ours = setting.operations
        assert as_set(ours.rotations, ours.translations) == as_set(rotations, translations)
        theirs = group.operations().systematic_absences(HKL)
        np.testing.assert_array_equal(absent(number, HKL, setting.symbol), theirs)


@pytest.mark.parametrize("number", range(1, 231))
def test_gemmi_agrees_on_classification(number):
    ours = settings(number)[0]
    group = gemmi_group(ours.symbol)
    assert ours.centring == group.centring_type()
    # gemmi tells orientations apart (-4m2, -62m); the crystal class is the same.
    same = {"-4m2": "-42m", "-6m2": "-62m"}
    assert ours.point_group == same.get(group.point_group_hm(), group.point_group_hm())
    assert ours.laue_class == group.laue_str()


def test_all_settings_of_monoclinic_and_orthorhombic_groups_are_there():
    """gemmi tabulates the 530 settings of ITB Table A1.4.2.7; origin choices count once here."""
    known = {(group.number, group.hm) for group in gemmi.spacegroup_table_itb() if 3 <= group.number <= 74}
    ours = {(number, setting.symbol) for number in range(3, 75) for setting in settings(number)}
    assert ours == known

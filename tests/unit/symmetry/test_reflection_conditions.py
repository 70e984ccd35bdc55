"""Reflection conditions as printed in ITA, and absences from structure factors."""

import numpy as np
import pytest

from xtinct.errors import XtinctError
from xtinct.symmetry.absences import absent, conditions
from xtinct.symmetry.operations import operations
from xtinct.symmetry.reflection_conditions import box

# International Tables A (2016), space-group pages, "General" reflection conditions; those that follow
# from others on the same page (rows from planes) left out.
PRINTED = {
    2: set(),
    14: {"h0l: l=2n", "0k0: k=2n"},
    19: {"h00: h=2n", "0k0: k=2n", "00l: l=2n"},
    62: {"0kl: k+l=2n", "hk0: h=2n"},
    70: {"hkl: h+k=2n", "hkl: h+l=2n", "0kl: k+l=4n", "h0l: h+l=4n", "hk0: h+k=4n"},
    92: {"00l: l=4n", "h00: h=2n"},
    122: {"hkl: h+k+l=2n", "hhl: 2h+l=4n"},
    169: {"00l: l=6n"},
    186: {"hhl: l=2n"},
    205: {"0kl: k=2n"},
    212: {"h00: h=4n"},
    220: {"hkl: h+k+l=2n", "hhl: 2h+l=4n"},
    230: {"hkl: h+k+l=2n", "0kl: k=2n", "hhl: 2h+l=4n"},
}


@pytest.mark.parametrize("number", PRINTED)
def test_conditions_are_those_of_the_tables(number):
    derived = {f"{c.zone}: {c.condition}" for c in conditions(number) if c.representative}
    assert derived == PRINTED[number]


@pytest.mark.parametrize("number", [4, 9, 19, 43, 70, 92, 109, 122, 144, 161, 178, 198, 212, 220, 228, 230])
def test_absent_reflections_are_those_without_structure_factor(number):
    """A general orbit scatters into every reflection but the systematically absent ones."""
    hkl = box(4)
    group = operations(number)
    structure_factor = np.zeros(len(hkl), dtype=complex)
    for position in ([0.1234, 0.2718, 0.4142], [0.0577, 0.3217, 0.1618], [0.2063, 0.0739, 0.2915]):
        points = group.rotations @ np.array(position) + group.translations / 24
        structure_factor += np.exp(2j * np.pi * hkl @ points.T).sum(axis=1)
    np.testing.assert_array_equal(absent(number, hkl), abs(structure_factor) < 1e-6)


def test_the_origin_of_reciprocal_space_is_never_absent():
    assert not any(absent(number, [[0, 0, 0]])[0] for number in range(1, 231))


def test_shape_and_setting_are_checked():
    with pytest.raises(XtinctError, match="shape"):
        absent(14, [1, 0, 0])
    with pytest.raises(XtinctError, match="P 1 21/n 1"):
        absent(14, [[1, 0, 0]], setting="P 21/q")


def test_non_standard_settings_have_their_own_absences():
    hkl = np.array([[1, 0, 0], [0, 0, 1], [1, 0, 1]])
    assert absent(14, hkl).tolist() == [False, True, True]  # P 1 21/c 1
    assert absent(14, hkl, "P 1 21/a 1").tolist() == [True, False, True]
    assert absent(14, hkl, "P 1 21/n 1").tolist() == [True, True, False]

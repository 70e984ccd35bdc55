"""Space groups looked up by their names. Facts: International Tables A (2016), gemmi, spglib."""

import warnings
from itertools import product

import gemmi
import numpy as np
import pytest
import spglib

from xtinct.errors import XtinctError
from xtinct.lattices.conventional import conventional_cell_errors
from xtinct.structures.groups import settings_numbered
from xtinct.structures.space_group import ACTIVE, CENTRE, HANDED, INTENSITIES, LAUE, POLAR, space_group
from xtinct.symmetry.absences import absent
from xtinct.symmetry.classes import class_symbol
from xtinct.symmetry.families import CRYSTAL_SYSTEMS, family_of


@pytest.mark.parametrize(
    ("name", "number", "symbol", "hall"),
    [
        (62, 62, "P n m a", "-P 2ac 2n"),
        ("62", 62, "P n m a", "-P 2ac 2n"),
        ("Pbnm", 62, "P b n m", "-P 2c 2ab"),
        ("-P 2c 2ab", 62, "P b n m", "-P 2c 2ab"),
        ("P2(1)/n", 14, "P 1 21/n 1", "-P 2yn"),
        ("Fd-3m", 227, "F d -3 m:2", "-F 4vw 2vw 3"),
        ("Fd-3m:1", 227, "F d -3 m:1", "F 4d 2 3 -1d"),
        ("R-3m", 166, "R -3 m:H", '-R 3 2"'),
        ("R-3m:R", 166, "R -3 m:R", "-P 3* 2"),
    ],
)
def test_a_group_is_found_by_any_of_its_names(name, number, symbol, hall):
    found = space_group(name)
    assert (found.number, found.symbol, found.hall) == (number, symbol, hall)


@pytest.mark.parametrize("name", ["Pnmz", "0", "231", "-5", "", "icsd", "P 9"])
def test_what_names_no_group_is_refused_in_one_line(name):
    with pytest.raises(XtinctError, match=r"space group .*(number|symbol)") as caught:
        space_group(name)
    assert "\n" not in str(caught.value)


def test_conditions_are_those_of_the_setting():
    conditions = {(c.zone, c.condition) for c in space_group("Pbnm").conditions if c.representative}
    assert conditions == {("0kl", "k=2n"), ("h0l", "h+l=2n")}
    assert space_group("Pbnm").extinction_symbol == "P b n -"
    assert space_group("Pnma").extinction_symbol == "P n - a"


@pytest.mark.parametrize("number", range(1, 231))
def test_every_group_agrees_with_gemmi_and_spglib(number):
    found = space_group(number)
    table = gemmi.find_spacegroup_by_number(number)
    assert found.point_group == table.point_group_hm()
    assert found.centrosymmetric == table.is_centrosymmetric()
    assert found.laue_class == table.laue_str()
    assert found.extinction_class.symbol == class_symbol(number)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # spglib announces changes of its error handling
        other = spglib.get_spacegroup_type_from_symmetry(
            found.operations.rotations, found.operations.translations_in_cell, lattice=_lattice(found)
        )
    assert other.number == number


def _lattice(group):
    """A basis with the symmetry of the group: the mean metric over its point group."""
    turns = group.operations.point_operations
    return np.linalg.cholesky(np.einsum("nki,nkj->ij", turns, turns) / len(turns))


def test_rivals_are_told_apart_by_what_differs():
    quartz = {rival.symbol: rival.told_by for rival in space_group("P 31 2 1").rivals}
    assert quartz["P 32 2 1"] == (HANDED,)
    assert quartz["P 62 2 2"] == (LAUE,)
    (acentric,) = space_group("Pnma").rivals
    assert acentric.symbol == "P n a 21"
    assert acentric.told_by[0] == CENTRE
    # I 2 2 2 and I 21 21 21 have one point group and one set of absences.
    assert {r.symbol: r.told_by for r in space_group("I 2 2 2").rivals}["I 21 21 21"] == (INTENSITIES,)


def test_mirrors_may_be_optically_active_too():
    """Of the classes 222, mm2 and mmm the last alone may not; a polar axis tells the first two apart."""
    primitive = {rival.symbol: rival.told_by for rival in space_group("P 2 2 2").rivals}
    assert primitive["P m m 2"] == (POLAR,)
    assert primitive["P m m m"] == (CENTRE, ACTIVE)
    tetragonal = {rival.symbol: rival.told_by for rival in space_group("P 4 2 2").rivals}
    assert tetragonal["P -4 2 m"] == (INTENSITIES,)
    assert ACTIVE in tetragonal["P 4 m m"]


def test_a_setting_that_no_table_has_is_described_by_its_operations():
    shifted = space_group("-P 2ybc (x-1/8,y,z)")
    assert (shifted.number, shifted.tabulated, shifted.extinction_symbol) == (14, False, None)
    assert {(c.zone, c.condition) for c in shifted.conditions} == {("h0l", "l=2n"), ("0k0", "k=2n")}


_CELLS = {
    "triclinic": (5.1, 6.2, 7.3, 81, 97, 104),
    "monoclinic": (5.1, 6.2, 7.3, 90, 90, 90),
    "orthorhombic": (5.1, 6.2, 7.3, 90, 90, 90),
    "tetragonal": (5.1, 5.1, 7.3, 90, 90, 90),
    "trigonal": (5.1, 5.1, 7.3, 90, 90, 120),
    "hexagonal": (5.1, 5.1, 7.3, 90, 90, 120),
    "cubic": (7.1, 7.1, 7.1, 90, 90, 90),
}


def cell_of_setting(group, system):
    """A cell that suits a setting of gemmi's table, float64 (6,)."""
    cell = np.array(_CELLS[system], dtype=np.float64)
    if system == "monoclinic":
        cell[3 + next("abc".index(axis) for axis in group.qualifier if axis in "abc")] = 102.3
    return np.array([5.1, 5.1, 5.1, 77, 77, 77]) if group.ext == "R" else cell


def spacings(cell, absent):
    """Spacings from 1.2 angstrom on of the hkl that are not absent, angstrom."""
    reach = [int(axis / 1.2) for axis in cell[:3]]
    hkl = np.array([h for h in product(*(range(-n, n + 1) for n in reach)) if any(h)])
    d = gemmi.UnitCell(*cell).calculate_d_array(hkl)
    hkl, d = hkl[d > 1.2], d[d > 1.2]
    return d[~absent(hkl)]


@pytest.mark.parametrize("system", _CELLS)
def test_every_setting_shows_the_same_lines_on_the_standard_axes(system):
    """Absences of the setting by gemmi, those of the standard one by the tables."""
    first, last = CRYSTAL_SYSTEMS[system]
    groups = [group for group in gemmi.spacegroup_table() if first <= group.number <= last]
    known = {
        setting.hall: setting for number in range(first, last + 1) for setting in settings_numbered(number)
    }
    for group in (group for group in groups if group.hall in known):
        cell, operations = cell_of_setting(group, system), group.operations()
        standard = known[group.hall].standard_cell(cell)
        given = np.sort(spacings(cell, operations.systematic_absences))
        found = np.sort(spacings(standard, lambda hkl, number=group.number: absent(number, hkl)))
        np.testing.assert_allclose(found, given, atol=2e-5, err_msg=group.xhm())
        assert conventional_cell_errors(family_of(group.number), standard[None])[0] < 1e-5, group.xhm()

"""Formulas as people write them."""

import pytest

from xtinct.structures.formulas import amounts_in


@pytest.mark.parametrize(
    ("text", "amounts"),
    [
        ("Al2 O3", {"Al": 2, "O": 3}),
        ("K2[SiF6]", {"K": 2, "Si": 1, "F": 6}),
        ("Fe0.95O", {"Fe": 0.95, "O": 1}),
        # Valences are no numbers of atoms, and numbers behind them are.
        ("Mn2+TiO3", {"Mn": 1, "Ti": 1, "O": 3}),
        ("Fe2+2Ge4+O4", {"Fe": 2, "Ge": 1, "O": 4}),
        ("Mn2+Mn3+6O8(SiO4)", {"Mn": 7, "O": 12, "Si": 1}),
        ("Fe\u00b3\u207a\u2082O\u2083", {"Fe": 2, "O": 3}),
        # Water stands behind a dot, and behind a full stop, which is no point of a number.
        ("CuSO4\u00b75H2O", {"Cu": 1, "S": 1, "O": 9, "H": 10}),
        ("CuSO\u2084\u00b75H\u2082O", {"Cu": 1, "S": 1, "O": 9, "H": 10}),
        ("CaSO4.2H2O", {"Ca": 1, "S": 1, "O": 6, "H": 4}),
        ("CaSO4.0.5H2O", {"Ca": 1, "S": 1, "O": 4.5, "H": 1}),
        ("CaSO4\u00b71.5H2O", {"Ca": 1, "S": 1, "O": 5.5, "H": 3}),
        ("Na2SO4 . 10 H2O", {"Na": 2, "S": 1, "O": 14, "H": 20}),
        ("CuSO4*5D2O", {"Cu": 1, "S": 1, "O": 9, "H": 10}),
        ("3MgO*4SiO2*H2O", {"Mg": 3, "O": 12, "Si": 4, "H": 2}),
        ("Na0.5H2O", {"Na": 0.5, "H": 2, "O": 1}),
    ],
)
def test_formulas_are_read_as_people_write_them(text, amounts):
    assert amounts_in(text) == pytest.approx(amounts)


@pytest.mark.parametrize("text", ["", "?", "unknown", "(Mg,Fe)2SiO4", "LiTMO3", "XO2", "CaSO4 2H2O"])
def test_what_is_no_formula_has_no_atoms(text):
    assert amounts_in(text) == {}

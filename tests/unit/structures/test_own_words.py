"""What is read of a file against what the file says of itself: the right answer, or none."""

from math import gcd

import gemmi
import numpy as np
import pytest

from xtinct.structures.crystal import RejectedError
from xtinct.structures.filling import resolve
from xtinct.structures.groups import settings_named, settings_numbered
from xtinct.structures.parsing import read_listing
from xtinct.structures.standard import standardise

CUBIC = (5.431, 5.431, 5.431, 90, 90, 90)
SALT = (5.64, 5.64, 5.64, 90, 90, 90)
TAGS = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
#: The groups of which International Tables give two origins.
TWO_ORIGINS = (
    48, 50, 59, 68, 70, 85, 86, 88, 125, 126, 129, 130, 133, 134, 137, 138, 141, 142, 201, 203, 222, 224, 227,
    228,
)  # fmt: skip


def cif(sites, cell, *words, columns="label type_symbol fract_x fract_y fract_z"):
    lines = [
        "data_x",
        *(f"_cell_{tag} {value}" for tag, value in zip(TAGS, cell, strict=True)),
        *words,
        "loop_",
    ]
    return "\n".join(lines + [f"_atom_site_{column}" for column in columns.split()] + list(sites)) + "\n"


def said(formula=None, z=None, density=None, symbol=None, number=None, hall=None):
    """Tags of a CIF for what is given."""
    tags = {
        "_chemical_formula_sum": formula,
        "_cell_formula_units_Z": z,
        "_exptl_crystal_density_diffrn": density,
        "_symmetry_space_group_name_H-M": symbol,
        "_symmetry_Int_Tables_number": number,
        "_symmetry_space_group_name_Hall": hall,
    }
    return [f'{tag} "{value}"' for tag, value in tags.items() if value is not None]


def operations(*triplets):
    return "\n".join(["loop_", "_symmetry_equiv_pos_as_xyz", *(f"'{triplet}'" for triplet in triplets)])


def read(text):
    return resolve(read_listing(text), max_sites=5000, min_distance=0.3)


def content(text):
    return {symbol: round(amount, 3) for symbol, amount in read(text).crystal.composition().items()}


def reason(text):
    with pytest.raises(RejectedError) as rejected:
        read(text)
    return rejected.value.reason


SILICON = ["Si1 Si 0 0 0"]
ROCK_SALT = ["Na1 Na 0 0 0", "Cl1 Cl 0.5 0.5 0.5"]
OF_SALT = said("Cl Na", 4)


@pytest.mark.parametrize(
    ("symbol", "names"),
    [
        ("F d 3 m", ["F d -3 m:1", "F d -3 m:2"]),
        ("F d -3 m S", ["F d -3 m:1"]),
        ("Fd-3m Z", ["F d -3 m:2"]),
        ("F 41/d -3 2/m :2", ["F d -3 m:2"]),
        ("F d -3 m (origin 1)", ["F d -3 m:1"]),
        ("P 4/n", ["P 4/n:1", "P 4/n:2"]),
        ("C m c e", ["C m c a"]),
        ("Cmca", ["C m c a"]),
        ("A e m 2", ["A b m 2"]),
        ("Pbnm", ["P b n m"]),
        ("P a 3", ["P a -3"]),
        ("I 4/m 2/m 2/m", ["I 4/m m m"]),
        ("P2(1)/n", ["P 1 21/n 1", "P 1 1 21/n", "P 21/n 1 1"]),
        ("P 2_1/c", ["P 1 21/c 1", "P 21/c 1 1"]),
        ("R -3 c", ["R -3 c:H", "R -3 c:R"]),
        ("R-3mH", ["R -3 m:H"]),
        ("P 3 2 1", ["P 3 2 1"]),
        ("F m -3 m (No. 225)", ["F m -3 m"]),
        ("Fm-3m (225)", ["F m -3 m"]),
        ("Q 7 m", []),
        ("?", []),
    ],
)
def test_symbols_mean_every_setting_that_they_leave_open(symbol, names):
    assert sorted(setting.name for setting in settings_named(symbol)) == sorted(names)


@pytest.mark.parametrize("number", TWO_ORIGINS)
def test_every_setting_is_its_group_and_the_origin_must_be_told(number):
    origins = [setting for setting in settings_numbered(number) if setting.ext in ("1", "2")]
    assert {setting.ext for setting in origins} == {"1", "2"}
    for setting in origins:
        assert setting.operations().closed
        assert setting.operations().number == number


@pytest.mark.parametrize("number", TWO_ORIGINS)
@pytest.mark.parametrize("named", ["symbol", "number", "other origin", "operations of the other origin"])
def test_the_content_of_the_cell_decides_between_two_origins(number, named):
    """An atom at 0, 0, 0 of origin 1 and one at 1/8 3/8 1/8: never another structure than the file's."""
    first = next(setting for setting in settings_numbered(number) if setting.ext == "1")
    second = next(s for s in settings_numbered(number) if s.base == first.base and s.ext == "2")
    system = gemmi.SpaceGroup(first.name).crystal_system_str()
    cell = {"cubic": (9, 9, 9), "tetragonal": (9, 9, 11), "orthorhombic": (9, 10, 11)}[system] + (90, 90, 90)
    sites = ["Si1 Si 0 0 0", "O1 O 0.125 0.375 0.125"]
    truth = read(cif(sites, cell, *said(symbol=first.name))).crystal
    amounts = {symbol: round(amount) for symbol, amount in truth.composition().items()}
    units = gcd(*amounts.values())
    formula = " ".join(f"{symbol}{amount // units}" for symbol, amount in amounts.items())
    words = {
        "symbol": said(formula, units, symbol=first.base),
        "number": said(formula, units, number=number),
        "other origin": said(formula, units, symbol=second.name),
        "operations of the other origin": [
            *said(formula, units),
            operations(*(op.triplet() for op in gemmi.symops_from_hall(second.hall))),
        ],
    }[named]
    try:
        found = read(cif(sites, cell, *words)).crystal.composition()
    except RejectedError as rejected:
        found = rejected.reason
    assert found in (
        {symbol: float(n) for symbol, n in amounts.items()},
        "ambiguous_setting",
        "contradiction",
    )


@pytest.mark.parametrize("symbol", ["F d 3 m", "F d -3 m"])
def test_diamond_is_read_where_the_file_says_how_many_atoms_there_are(symbol):
    for words in (said("Si", 8, symbol=symbol), said(density=2.33, symbol=symbol), said("Si", 8, number=227)):
        found = read(cif(SILICON, CUBIC, *words))
        assert found.crystal.composition() == {"Si": 8.0}
        assert found.verdict == "resolved"
        assert standardise(found.crystal, symprec=0.01).number == 227
    # Origin 2 has the eight atoms at 1/8 1/8 1/8.
    eighth = ["Si1 Si 0.125 0.125 0.125"]
    assert content(cif(eighth, CUBIC, *said("Si", 8, symbol=symbol))) == {"Si": 8.0}
    assert reason(cif(SILICON, CUBIC, *said(symbol=symbol))) == "ambiguous_setting"
    assert reason(cif(SILICON, CUBIC, *said(number=227))) == "ambiguous_setting"
    assert reason(cif(SILICON, CUBIC, *said("Si", 12, symbol=symbol))) == "contradiction"


def test_the_other_origin_is_taken_where_the_stated_one_contradicts_the_content():
    second = [op.triplet() for op in gemmi.SpaceGroup("F d -3 m:2").operations()]
    for words in (said("Si", 8, symbol="F d -3 m:2"), [*said("Si", 8), operations(*second)]):
        found = read(cif(SILICON, CUBIC, *words))
        assert (found.crystal.composition(), found.verdict) == ({"Si": 8.0}, "resolved")
    # The coordinate system code tells it, and is believed.
    for code, atoms in {"1": 8, "2": 16}.items():
        coded = f"_space_group_IT_coordinate_system_code {code}"
        assert len(read(cif(SILICON, CUBIC, *said(symbol="F d -3 m"), coded)).crystal) == atoms
        assert len(read(cif(SILICON, CUBIC, *said(number=227), coded)).crystal) == atoms
    assert content(cif(SILICON, CUBIC, *said(symbol="F d -3 m", density=2330))) == {"Si": 8.0}


def test_the_multiplicity_of_a_site_tells_the_origin():
    columns = "label type_symbol symmetry_multiplicity fract_x fract_y fract_z"
    words = said(symbol="F d -3 m")
    assert content(cif(["Si1 Si 8 0 0 0"], CUBIC, *words, columns=columns)) == {"Si": 8.0}
    assert content(cif(["Si1 Si 16 0 0 0"], CUBIC, *words, columns=columns)) == {"Si": 16.0}


def test_no_symmetry_at_all_is_believed_only_if_nothing_contradicts_it():
    assert reason(cif(ROCK_SALT, SALT, *OF_SALT)) == "contradiction"
    assert reason(cif(ROCK_SALT, SALT, *said(density=2.16))) == "contradiction"
    assert reason(cif(ROCK_SALT, SALT, "_symmetry_cell_setting cubic")) == "unknown_symmetry"
    assert content(cif(ROCK_SALT, SALT, *said("Cl Na", 1))) == {"Na": 1.0, "Cl": 1.0}
    assert read(cif(ROCK_SALT, SALT)).verdict == "silent"


FM3M = [op.triplet() for op in gemmi.SpaceGroup("F m -3 m").operations()]
NO_CENTRING = [op.triplet() for op in gemmi.SpaceGroup("F m -3 m").operations().sym_ops]


@pytest.mark.parametrize("listed", [["x,y,z"], NO_CENTRING, FM3M[:17], ["x,y,z", "y,x,z"], FM3M[1:]])
def test_incomplete_operations_are_completed_from_the_declared_group(listed):
    words = [*OF_SALT, *said(symbol="F m -3 m", number=225), operations(*listed)]
    found = read(cif(ROCK_SALT, SALT, *words))
    assert found.crystal.composition() == {"Na": 4.0, "Cl": 4.0}
    assert found.verdict == "resolved"


def test_operations_that_are_neither_a_group_nor_part_of_the_declared_one_are_refused():
    p61 = ("x-y,x,z", "y,-x+y,z", "-x,-y,z+1/2", "-x+y,-x,z+1/3", "-y,x-y,z+2/3", "x,y,z")
    sites = ["In1 In 0.337 0.010 0", "Se1 Se 0.008 0.320 0.075"]
    cell = (7.1286, 7.1286, 19.382, 90, 90, 120)
    assert reason(cif(sites, cell, *said("In Se", 6, symbol="P 61"), operations(*p61))) == "contradiction"
    assert reason(cif(sites, cell, operations(*p61))) == "contradiction"
    assert reason(cif(ROCK_SALT, SALT, operations(*NO_CENTRING[:5]))) == "contradiction"


def test_decimals_in_operations_are_the_fractions_that_they_round():
    exact = [op.triplet() for op in gemmi.SpaceGroup("R 3 :H").operations()]
    sites, cell = ["Na1 Na 0.11 0.22 0.13"], (9, 9, 11, 90, 90, 120)
    truth = read(cif(sites, cell, operations(*exact))).crystal
    for third, two in ((".333333", "0.66667"), ("0.33", "0.66"), ("0.3333", "0.667")):
        rounded = [triplet.replace("1/3", third).replace("2/3", two) for triplet in exact]
        assert np.allclose(read(cif(sites, cell, operations(*rounded))).crystal.frac, truth.frac)
    for wrong in ("x+0.3,y,z", "x+1/5,y,z", "x,x,z", "2x,y,z", "x,y", "a,b,c", "x;y;z"):
        assert reason(cif(sites, cell, operations("x,y,z", wrong))) == "unknown_symmetry"


def test_operations_must_be_isometries_of_the_cell():
    sites = ["Ca1 Ca 0.11 0.23 0.37"]
    monoclinic = ("x,y,z", "-x,y+1/2,-z+1/2", "-x,-y,-z", "x,-y+1/2,z+1/2")
    good, turned = (9.1, 8.7, 7.3, 90, 101.5, 90), (9.1, 8.7, 7.3, 90, 90, 101.5)
    assert len(read(cif(sites, good, operations(*monoclinic))).crystal) == 4
    for words in ([operations(*monoclinic)], said(symbol="P 21/c"), said(symbol="P 1 21/c 1", number=14)):
        assert reason(cif(sites, turned, *words)) == "ambiguous_setting"
    # Number 14 alone has three cell choices; only one setting of P 2/m has gamma unique.
    assert reason(cif(sites, good, *said(number=14))) == "ambiguous_setting"
    assert reason(cif(sites, good, *said(number=62))) == "contradiction"
    found = read(cif(sites, turned, *said(symbol="P 1 2/m 1")))
    assert (len(found.crystal), found.verdict) == (4, "resolved")
    assert len(read(cif(sites, turned, *said(symbol="P 21/n"))).crystal) == 4
    assert len(read(cif(sites, (19, 19, 19, 90, 90, 90), *said(number=225))).crystal) == 192


def test_rhombohedral_axes_are_known_by_the_cell():
    calcite = ["Ca1 Ca 0 0 0", "C1 C 0.25 0.25 0.25", "O1 O 0.507 -0.007 0.25"]
    rhombohedral = (6.36, 6.36, 6.36, 46.1, 46.1, 46.1)
    for words in (said(symbol="R -3 c"), said(symbol="R -3 c :R"), said(number=167)):
        assert content(cif(calcite, rhombohedral, *words)) == {"Ca": 2.0, "C": 2.0, "O": 6.0}
    found = read(cif(calcite, rhombohedral, *said(symbol="R -3 c :H")))
    assert (found.verdict, found.crystal.composition()["O"]) == ("resolved", 6.0)


def test_names_that_contradict_each_other_are_decided_by_content_or_not_at_all():
    both = [*said(symbol="P m -3 m", number=225)]
    assert content(cif(ROCK_SALT, SALT, *OF_SALT, *both)) == {"Na": 4.0, "Cl": 4.0}
    assert content(cif(ROCK_SALT, SALT, *said("Cl Na", 1), *both)) == {"Na": 1.0, "Cl": 1.0}
    assert reason(cif(ROCK_SALT, SALT, *both)) == "ambiguous_setting"
    # The number is the file's word, not that of its operations.
    assert read_listing(cif(ROCK_SALT, SALT, *said(number=225), operations("x,y,z"))).declared == 225


MAGNETIC = """_parent_space_group.name_H-M_alt 'P 42/m n m'
loop_
_space_group_symop_magn_operation.id
_space_group_symop_magn_operation.xyz
1 x,y,z,+1
2 -x,-y,z,+1
3 -y+1/2,x+1/2,z+1/2,-1
4 y+1/2,-x+1/2,z+1/2,-1
5 -x,-y,-z,+1
6 x,y,-z,+1
7 y+1/2,-x+1/2,-z+1/2,-1
8 -y+1/2,x+1/2,-z+1/2,-1
loop_
_space_group_symop_magn_centering.id
_space_group_symop_magn_centering.xyz
1 x,y,z,+1
"""


def test_magnetic_operations_fill_the_cell():
    sites, cell = ["Mn1 Mn 0 0 0", "F1 F 0.305 0.305 0"], (4.874, 4.874, 3.311, 90, 90, 90)
    found = read(cif(sites, cell, MAGNETIC))
    assert found.crystal.composition() == {"Mn": 2.0, "F": 4.0}
    assert standardise(found.crystal, symprec=0.01).number == 136
    grey = MAGNETIC.replace("1 x,y,z,+1\n2 -x", "0 x,y,z,-1\n1 x,y,z,+1\n2 -x")
    assert len(read(cif(sites, cell, grey)).crystal) == 6
    older = MAGNETIC.replace("operation.", "operation_").replace("centering.", "centering_")
    assert len(read(cif(sites, cell, older)).crystal) == 6
    inversion = MAGNETIC[: MAGNETIC.index("2 -x")] + MAGNETIC[MAGNETIC.index("5 -x") : MAGNETIC.index("6 x")]
    anti = inversion + MAGNETIC[MAGNETIC.index("loop_\n_space_group_symop_magn_cent") :] + "2 x,y,z+1/2,-1\n"
    assert len(read(cif(["Mn1 Mn 0.1 0.2 0.1"], (4.874, 4.874, 6.622, 90, 90, 90), anti)).crystal) == 4
    assert reason(cif(sites, cell, "_space_group_magn.number_BNS 136.499")) == "unknown_symmetry"


def test_modulated_structures_are_refused():
    words = ["_cell_modulation_dimension 1", *said(symbol="P 42/m n m")]
    assert reason(cif(SILICON, (5, 5, 4, 90, 90, 90), *words)) == "modulated"
    words[0] = "_cell_modulation_dimension 0"
    assert len(read(cif(SILICON, (5, 5, 4, 90, 90, 90), *words)).crystal) == 2


def test_content_agrees_within_hydrogen_occupancies_and_rounding():
    brucite = ["Mg1 Mg 0 0 0", "O1 O 0.3333 0.6667 0.22"]
    cell, words = (3.142, 3.142, 4.766, 90, 90, 120), said("H2 Mg O2", 1, 2.38, "P -3 m 1")
    found = read(cif(brucite, cell, *words))
    assert found.verdict == "agreeing"
    mixed = ["Ca1 Ca 0 0 0 0.24", "Na1 Na 0 0 0 0.76", "Cl1 Cl 0.5 0.5 0.5 1"]
    columns = "label type_symbol fract_x fract_y fract_z occupancy"
    words = said("Ca0.25 Cl Na0.75", 4, symbol="F m -3 m")
    assert read(cif(mixed, SALT, *words, columns=columns)).verdict == "agreeing"
    swapped = said("Ca0.75 Cl Na0.25", 4, symbol="F m -3 m")
    assert reason(cif(mixed, SALT, *swapped, columns=columns)) == "contradiction"


def test_a_formula_of_the_whole_cell_is_known_by_the_structural_one():
    # As pymatgen writes it: sum of the cell, structural formula of a unit, and Z.
    words = [*said("Na4 Cl4", 4, symbol="F m -3 m"), "_chemical_formula_structural NaCl"]
    assert read(cif(ROCK_SALT, SALT, *words)).verdict == "agreeing"
    assert reason(cif(ROCK_SALT, SALT, *words[:-1])) == "contradiction"


def one_site(column, name, words):
    if column == "label":
        return cif([f"{name} 0 0 0"], SALT, *words, columns="label fract_x fract_y fract_z")
    return cif([f"A1 {name} 0 0 0"], SALT, *words)


@pytest.mark.parametrize(
    ("columns", "site", "formula", "expected"),
    [
        ("type_symbol", "Si0.75Al0.25", None, {"Si": 0.75, "Al": 0.25}),
        ("type_symbol", "Si.5Al.5", None, {"Si": 0.5, "Al": 0.5}),
        ("type_symbol", "Fe3+", None, {"Fe": 1.0}),
        ("type_symbol", "Si4+", None, {"Si": 1.0}),
        ("type_symbol", "O2-", None, {"O": 1.0}),
        ("type_symbol", "Cl1-", None, {"Cl": 1.0}),
        ("type_symbol", "Fe+3", None, {"Fe": 1.0}),
        ("type_symbol", "AL", None, {"Al": 1.0}),
        ("type_symbol", "Cval", None, {"C": 1.0}),
        ("type_symbol", "D", None, {"D": 1.0}),
        ("type_symbol", "2H", None, {"D": 1.0}),
        ("type_symbol", "T", None, {"T": 1.0}),
        ("type_symbol", "H2O", None, {"O": 1.0}),
        ("type_symbol", "Wat", None, {"O": 1.0}),
        ("type_symbol", "OH", None, {"O": 1.0}),
        ("type_symbol", "NH4", None, {"N": 1.0}),
        ("type_symbol", "CO", "Co", {"Co": 1.0}),
        ("label", "HO1", "H", {"H": 1.0}),
        ("label", "HO1", "Ho", {"Ho": 1.0}),
        ("label", "Ho1", None, {"Ho": 1.0}),
        ("label", "CN1", "C", {"C": 1.0}),
        ("label", "OW1", None, {"O": 1.0}),
        ("label", "Ow", None, {"O": 1.0}),
        ("label", "Wat1", None, {"O": 1.0}),
        ("label", "MG1", None, {"Mg": 1.0}),
        ("label", "CA1", "Ca", {"Ca": 1.0}),
        ("label", "O(1)", None, {"O": 1.0}),
        ("label", "D1", "D", {"D": 1.0}),
        ("label", "T1", "T", {"T": 1.0}),
        ("label", "FeM", None, {"Fe": 1.0}),
    ],
)
def test_elements_are_what_types_and_labels_say(columns, site, formula, expected):
    words = said(formula) if formula else []
    assert content(one_site(columns, site, words)) == expected


@pytest.mark.parametrize(
    ("columns", "site", "formula"),
    [
        ("type_symbol", "Si/Al", None),
        ("type_symbol", "Si,Al", None),
        ("type_symbol", "SiAl", None),
        ("type_symbol", "Si0.75Al0.75", None),
        ("type_symbol", "Xx", None),
        ("type_symbol", "CN", None),
        ("type_symbol", "CO", None),
        ("type_symbol", "CO", "C O"),
        ("type_symbol", "M", None),
        ("type_symbol", "Fe_a", None),
        ("type_symbol", "Cn", None),
        ("label", "HO1", None),
        ("label", "HO1", "Ho H"),
        ("label", "CA1", None),
        ("label", "T1", None),
        ("label", "Si/Al1", None),
        ("label", "Si0.5Al0.5", None),
        ("label", "M1", None),
        ("label", "1", None),
    ],
)
def test_elements_are_not_guessed(columns, site, formula):
    words = said(formula) if formula else []
    assert reason(one_site(columns, site, words)) == "unknown_species"


def test_water_whose_atoms_the_formula_denies_is_a_contradiction():
    sites = ["Mg1 Mg 0 0 0", "W1 H2O 0.3 0 0"]
    words = said("H12 Mg O6", 1, symbol="P m -3 m")
    assert content(cif(sites, (7, 7, 7, 90, 90, 90), *words)) == {"Mg": 1.0, "O": 6.0}
    assert read_listing(cif(sites, (7, 7, 7, 90, 90, 90), *words)).hydrogen_missing
    words = said("H12 Cl2 Mg O6", symbol="P m -3 m")
    assert reason(cif(sites, (7, 7, 7, 90, 90, 90), *words)) == "contradiction"


def test_characters_that_look_like_a_minus_are_one():
    sites = ["Ca1 Ca 0 0 0", "C1 C 0.25 0.25 0.25", "O1 O 0.507 \u22120.007 0.25"]
    cell = (6.36, 6.36, 6.36, 46.1, 46.1, 46.1)
    for minus in "\u2212\u2013\u2010\uff0d":
        text = cif(sites, cell, *said(symbol="R \u22123 c :R")).replace("\u2212", minus)
        assert content(text) == {"Ca": 2.0, "C": 2.0, "O": 6.0}
    text = cif(sites, cell, *said(symbol="R -3 c :R")).replace(" \u22120.007", "\u00a0-0.007")
    assert content("\ufeff" + text) == {"Ca": 2.0, "C": 2.0, "O": 6.0}
    text = cif(["O1 O 0,5 0 0"], cell)
    assert reason(text) == "bad_coordinates"


OPEN = "_chemical_name_common 'fool's gold"


def test_an_open_quote_changes_nothing_else():
    calcite = ["Ca1 Ca 0 0 0", "C1 C 0.25 0.25 0.25", "O1 O 0.507 -0.007 0.25"]
    cell = (6.36, 6.36, 6.36, 46.1, 46.1, 46.1)
    assert content(cif(calcite, cell, OPEN, *said(symbol="R -3 c :R"))) == {"Ca": 2.0, "C": 2.0, "O": 6.0}
    eighth = ["Si1 Si 0.125 0.125 0.125"]
    assert content(cif(eighth, CUBIC, OPEN, *said(symbol="F d -3 m :2"))) == {"Si": 8.0}
    assert reason(cif(SILICON, CUBIC, OPEN, *said(symbol="F d -3 m"))) == "ambiguous_setting"
    two = cif(ROCK_SALT, SALT, OPEN) + cif(SILICON, CUBIC).replace("data_x", "data_y")
    assert reason(two) == "several_structures"
    # The quote of the symbol itself, of an operation, of an author, and of a site.
    assert content(cif(ROCK_SALT, SALT, "_symmetry_space_group_name_H-M 'F m -3 m")) == {"Na": 4.0, "Cl": 4.0}
    listed = operations(*FM3M).replace("'-x,-y,z'", "'-x,-y,z")
    assert content(cif(ROCK_SALT, SALT, listed)) == {"Na": 4.0, "Cl": 4.0}
    assert content(cif(ROCK_SALT, SALT, "loop_\n_publ_author_name\n'O'Neill, H.\n'Navrotsky, A.'")) == {
        "Na": 1.0,
        "Cl": 1.0,
    }
    assert reason(cif(["Na1 'Na 0 0 0", "Cl1 Cl 0.5 0.5 0.5"], SALT)) == "unreadable"
    assert reason(cif(ROCK_SALT, SALT, "_publ_section_title\n;\nnever closed")) == "unreadable"


POSCAR = "NaCl\n{scale}\n5.64 0 0\n0 5.64 0\n0 0 5.64\nNa Cl\n1 1\n{mode}\n0 0 0\n0.5 0.5 0.5\n"


def poscar(comment="NaCl", scale="1.0", mode="Direct"):
    return POSCAR.format(scale=scale, mode=mode).replace("NaCl", comment, 1)


@pytest.mark.parametrize("comment", ["data_from relaxation", "DATA_", "", "loop_", "_cell_length_a", "# x"])
def test_the_comment_of_a_poscar_is_only_a_comment(comment):
    assert content(poscar(comment)) == {"Na": 1.0, "Cl": 1.0}


def test_poscars():
    assert content(poscar(mode="Selective dynamics\nDirect")) == {"Na": 1.0, "Cl": 1.0}
    volume = np.linalg.det(read(poscar(scale="-200")).crystal.basis)
    assert volume == pytest.approx(200)
    assert content(poscar().replace("Na Cl", "Na_pv Cl")) == {"Na": 1.0, "Cl": 1.0}
    for nameless in (poscar().replace("Na Cl\n", ""), poscar("Na Cl").replace("\nNa Cl\n", "\n")):
        assert reason(nameless) == "unknown_species"
    for wrong in (poscar().replace("1 1", "1 2"), poscar().replace("Na Cl", "Na Xy"), poscar(scale="one")):
        with pytest.raises(RejectedError):
            read(wrong)

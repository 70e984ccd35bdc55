import gemmi
import numpy as np
import pytest

from xtinct.structures.crystal import RejectedError, cell_of_basis, format_cif
from xtinct.structures.parsing import expand, read_cleaned, read_listing

LIMITS = {"max_sites": 2000, "min_distance": 0.3}


def cif(
    sites, cell=(5, 5, 5, 90, 90, 90), columns="label type_symbol fract_x fract_y fract_z occupancy", extra=""
):
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    lines = [
        "data_test",
        *(f"_cell_{name} {value}" for name, value in zip(names, cell, strict=True)),
        extra,
        "loop_",
    ]
    return "\n".join(lines + [f"_atom_site_{column}" for column in columns.split()] + list(sites)) + "\n"


def read(text, **limits):
    return expand(read_listing(text), **{**LIMITS, **limits})


def rejection(text, **limits):
    with pytest.raises(RejectedError) as rejected:
        read(text, **limits)
    return rejected.value.reason


FLUORITE = cif(
    ["Ca1 Ca2+ 0 0 0 1", "F1 F1- 0.25 0.25 0.25 1"],
    cell=(5.4626, 5.4626, 5.4626, 90, 90, 90),
    extra="_space_group_name_H-M_alt 'F m -3 m'",
)


def test_fluorite_fills_its_cell_with_four_formula_units():
    crystal = read(FLUORITE)
    assert crystal.composition() == {"Ca": 4.0, "F": 8.0}
    assert read_listing(FLUORITE).declared == 225
    # Ca-F bond of fluorite: a sqrt(3) / 4 = 2.365 angstrom.
    calcium = crystal.frac[[site[0][0] == "Ca" for site in crystal.species]]
    fluorine = crystal.frac[[site[0][0] == "F" for site in crystal.species]]
    shift = fluorine[:, None] - calcium
    distance = np.linalg.norm((shift - np.round(shift)) @ crystal.basis, axis=2)
    assert np.isclose(distance.min(axis=1), 2.3654, atol=1e-4).all()


def test_coordinates_with_few_decimals_land_on_the_special_position():
    # Magnesium, P 63/m m c, 2c at (1/3, 2/3, 1/4): three decimals in the file, two atoms in the cell.
    text = cif(
        ["Mg1 Mg 0.333 0.667 0.25 1"],
        cell=(3.2094, 3.2094, 5.2108, 90, 90, 120),
        extra="_space_group_name_H-M_alt 'P 63/m m c'",
    )
    crystal = read(text)
    assert len(crystal) == 2
    expected = np.array([[1 / 3, 2 / 3, 1 / 4], [2 / 3, 1 / 3, 3 / 4]])
    order = np.argsort(crystal.frac[:, 0] % 1)
    assert np.allclose(crystal.frac[order] % 1, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("symbol", "cell", "x"),
    [
        # Neighbours around the axis are near enough to be one atom, opposite images are not.
        ("P 4/m m m", (5, 5, 6, 90, 90, 90), 0.012),
        ("P 6/m m m", (5, 5, 6, 90, 90, 120), 0.018),
    ],
)
def test_a_site_off_an_axis_lands_on_it_though_some_of_its_images_are_far_apart(symbol, cell, x):
    crystal = read(cif([f"Fe1 Fe {x} 0 0 1"], cell=cell, extra=f"_space_group_name_H-M_alt '{symbol}'"))
    assert np.allclose(crystal.frac, [[0, 0, 0]], atol=1e-12)


def test_operations_of_an_unusual_setting_are_taken_from_the_file():
    # P 1 1 m on a cell four times as long, in a setting that no table lists: all operations written out.
    text = cif(
        ["Fe1 Fe 0.1 0.2 0.3 1"],
        cell=(4, 5, 6, 90, 90, 80),
        extra="loop_\n_symmetry_equiv_pos_as_xyz\n"
        + "\n".join(f"x{shift},y,{z}" for shift in ("", "+1/4", "+1/2", "+3/4") for z in ("z", "-z")),
    )
    assert len(read(text)) == 8


def test_shared_sites_are_joined_and_deuterium_keeps_its_name():
    text = cif(["Fe1 Fe3+ 0 0 0 0.4", "Mg1 Mg 0 0 0 0.6", "D1 D 0.5 0.5 0.5 1"])
    crystal = read(text)
    assert crystal.species == [(("Fe", 0.4), ("Mg", 0.6)), (("D", 1.0),)]
    assert crystal.disordered


def test_alternative_positions_may_be_close_but_full_ones_may_not():
    split = ["O1 O 0 0 0 0.5", "O2 O 0.04 0 0 0.5"]
    assert len(read(cif(split))) == 2
    assert rejection(cif([site.replace("0.5", "1") for site in split])) == "atoms_too_close"


def test_hydrogen_groups_stand_for_their_heavy_atom():
    listing = read_listing(cif(["OH1 OH 0 0 0 1", "Mg1 Mg 0.5 0.5 0.5 1"]))
    assert listing.symbols == ["O", "Mg"]
    assert listing.hydrogen_missing
    assert not read_listing(cif(["O1 O 0 0 0 1", "H1 H 0.2 0 0 1"])).hydrogen_missing


def test_sites_marked_as_dummies_are_no_atoms():
    columns = "label type_symbol fract_x fract_y fract_z calc_flag"
    listing = read_listing(cif(["Cu1 Cu 0 0 0 d", "Cg1 C 0.5 0.5 0.5 dum"], columns=columns))
    assert listing.symbols == ["Cu"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("not a structure at all", "unreadable"),
        ("data_x\nloop_\n_a\n_b\n1 2 3\n", "unreadable"),
        ("data_x\n_cell_length_a 5\n", "no_sites"),
        (
            cif(["Na1 Na 0 0 0 1"]) + cif(["K1 K 0 0 0 1"]).replace("data_test", "data_2"),
            "several_structures",
        ),
        (cif(["Na1 Na 0 0 0 1"], cell=(0, 5, 5, 90, 90, 90)), "bad_cell"),
        (cif(["Na1 Na 0 0 0 1"], cell=("nan", 5, 5, 90, 90, 90)), "bad_cell"),
        (cif(["Na1 Na 0 0 0 1"], cell=("?", 5, 5, 90, 90, 90)), "bad_cell"),
        (cif(["Na1 Na 0 0 0 1"], cell=(5, 5, 5, 30, 30, 150)), "bad_cell"),
        (cif(["Na1 Na 0 0 0 1"], cell=(5, 5, 0.3, 90, 90, 90)), "bad_cell"),
        (cif(["Na1 Na 0 0 0 1"]).replace("_cell_length_b 5\n", ""), "bad_cell"),
        (cif(["Na1 Na ? 0 0 1"]), "bad_coordinates"),
        (cif(["X1 X 0 0 0 1"]), "unknown_species"),
        (cif(["M1 M 0 0 0 1"]), "unknown_species"),
        (cif(["N1 NO3 0 0 0 1"]), "unknown_species"),
        (cif(["Na1 Na 0 0 0 1.7"]), "bad_occupancy"),
        (cif(["Na1 Na 0 0 0 -0.5"]), "bad_occupancy"),
        (cif(["Na1 Na 0 0 0 1"], extra="_space_group_name_H-M_alt 'Q 7 m'"), "unknown_symmetry"),
        (cif(["Na1 Na 0 0 0 0"]), "no_sites"),
    ],
)
def test_what_cannot_be_used_says_why(text, reason):
    assert rejection(text) == reason


def test_too_many_sites_stop_early():
    assert rejection(FLUORITE, max_sites=11) == "too_many_sites"
    assert len(read(FLUORITE, max_sites=12)) == 12


def test_what_is_said_of_a_rejected_structure_is_one_line():
    label = "\n;\n The structure\n of quartz\n;\n"
    with pytest.raises(RejectedError) as rejected:
        read(cif([f"{label} ? 0 0 0 1"]))
    assert rejected.value.detail.startswith("site The structure of quartz: ")
    assert "\n" not in rejected.value.detail


def test_a_poscar_is_read():
    text = "rock salt\n5.64\n0 0.5 0.5\n0.5 0 0.5\n0.5 0.5 0\nNa Cl\n1 1\ndirect\n0 0 0\n0.5 0.5 0.5\n"
    crystal = read(text)
    assert crystal.composition() == {"Cl": 1.0, "Na": 1.0}
    assert np.isclose(np.linalg.det(crystal.basis), 5.64**3 / 4)


def test_quotes_that_are_never_closed_are_closed_at_the_end_of_their_line():
    # A text that is never closed: a syntax error of the CIF grammar, but far from the structure.
    text = FLUORITE + "_publ_section_comment 'this quote is never closed\n"
    with pytest.raises((ValueError, RuntimeError)):
        gemmi.cif.read_string(text)
    assert read(text).composition() == {"Ca": 4.0, "F": 8.0}


def test_written_cif_is_read_back_by_gemmi_without_loss():
    rng = np.random.default_rng(4)
    text = cif(
        ["Fe1 Fe 0.1 0.2 0.3 0.25", "Al1 Al 0.1 0.2 0.3 0.75", "O1 O 0.7 0.8 0.9 1"],
        cell=(5, 6, 7, 80, 95, 110),
    )
    crystal = read(text)
    crystal.frac[:] = rng.random(crystal.frac.shape)
    written = format_cif("a b:c", crystal)
    again = read_cleaned(written)
    assert again.species == crystal.species
    assert np.allclose(again.frac, crystal.frac, atol=1e-10)
    small = gemmi.make_small_structure_from_block(gemmi.cif.read_string(written).sole_block())
    atoms = [(site.element.name, site.occ) for site in small.sites]
    assert atoms == [("Al", 0.75), ("Fe", 0.25), ("O", 1.0)]
    assert np.allclose(small.sites[2].fract.tolist(), crystal.frac[1], atol=1e-10)
    assert small.cell.parameters == (5, 6, 7, 80, 95, 110)
    assert len(small.get_all_unit_cell_sites()) == 3


def test_hydrogen_and_deuterium_on_one_site_are_one_full_hydrogen_to_chemistry():
    crystal = read(cif(["H1 H 0.1 0.2 0.3 0.25", "D1 D 0.1 0.2 0.3 0.75", "O1 O 0.7 0.8 0.9 1"]))
    cleaned = read_cleaned(format_cif("x", crystal))
    assert cleaned.species == [(("H", 1.0),), (("O", 1.0),)]
    assert not crystal.disordered
    assert not cleaned.disordered


def test_cell_parameters_survive_the_basis():
    cell = [5.1, 6.2, 7.3, 81.0, 94.0, 112.0]
    basis = np.array(gemmi.UnitCell(*cell).orth.mat.tolist()).T
    assert np.allclose(cell_of_basis(basis), cell, atol=1e-12)

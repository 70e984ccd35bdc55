"""The notebook functions, against pymatgen's calculator and the rules of the space groups."""

import numpy as np
import pytest

import xtinct
from xtinct.api import DEFAULT_INSTRUMENT

ROCK_SALT = """data_NaCl
_symmetry_space_group_name_H-M 'F m -3 m'
_cell_length_a 5.6402
_cell_length_b 5.6402
_cell_length_c 5.6402
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Na 0 0 0
Cl 0.5 0.5 0.5
"""


#: Rock salt in a box in which its atoms stand as far apart as the letters of a page.
HUGE = ROCK_SALT.replace("5.6402", "5640200")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"d_star_max": 0}, r"d_star_max 0 1/angstrom: expected more than 0 and at most 10"),
        ({"d_star_max": -1}, "d_star_max -1 1/angstrom"),
        ({"d_star_max": float("nan")}, "d_star_max nan 1/angstrom"),
        ({"d_star_max": float("inf")}, "d_star_max inf 1/angstrom"),
        ({"d_star_max": 1e9}, r"d_star_max 1e\+09 1/angstrom"),
        ({"d_star_max": 1e-6}, "no line up to 1/d = 1e-06"),
        ({"b_iso": -1}, "b_iso -1 angstrom"),
        ({"b_iso": float("nan")}, "b_iso nan angstrom"),
    ],
)
def test_ranges_without_meaning_are_one_line(options, said):
    with pytest.raises(xtinct.XtinctError, match=said) as refused:
        xtinct.line_list(ROCK_SALT, **options)
    assert "\n" not in str(refused.value)


def test_what_no_memory_holds_is_refused_before_it_is_taken():
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(xtinct.XtinctError, match=r"reflections.*ask for less than d_star_max=0\.9"):
        xtinct.line_list(HUGE)
    cubic = [90.0, 90.0, 90.0]
    with pytest.raises(xtinct.XtinctError, match=r"axes of 1000 angstrom .* hkl in reach"):
        xtinct.ulbd_patterns(225, [[1000.0] * 3 + cubic], draws=1, seed=1)
    with pytest.raises(xtinct.XtinctError, match=r"1 x 10000000000 patterns .* take 3\.05e\+05 GiB"):
        xtinct.ulbd_patterns(225, [[5.0] * 3 + cubic], draws=10**10, seed=1)
    # KiB; what the three calls needed all together.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000


def rock_salt():
    from pymatgen.core import Lattice, Structure

    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.6402), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )


def test_line_list_of_rock_salt_agrees_with_pymatgen():
    from pymatgen.analysis.diffraction.xrd import XRDCalculator

    d_star, intensity = xtinct.line_list(ROCK_SALT)
    theirs = XRDCalculator(wavelength=1.5406).get_pattern(rock_salt(), scaled=False, two_theta_range=(5, 90))
    ours = np.degrees(2 * np.arcsin(d_star * 1.5406 / 2))
    np.testing.assert_allclose(ours[ours < 90], theirs.x, atol=1e-6)
    theta = np.radians(theirs.x / 2)
    polarised = (1 + np.cos(2 * theta) ** 2) / (np.sin(theta) ** 2 * np.cos(theta))
    squared = theirs.y / polarised
    # pymatgen takes another table of form factors, worth a few percent of the weak odd lines.
    np.testing.assert_allclose(
        intensity[ours < 90] / intensity.max(), squared / squared.max(), rtol=0.1, atol=1e-3
    )


def test_every_form_of_a_structure_gives_the_same_lines(tmp_path):
    import gemmi

    path = tmp_path / "NaCl.cif"
    path.write_text(ROCK_SALT)
    block = gemmi.cif.read_string(ROCK_SALT).sole_block()
    structure = rock_salt()
    expected = xtinct.line_list(ROCK_SALT)
    forms = (
        path,
        str(path),
        structure,
        structure.get_primitive_structure(),
        structure.to(fmt="poscar"),
        gemmi.make_small_structure_from_block(block),
    )
    for form in forms:
        d_star, intensity = xtinct.line_list(form)
        np.testing.assert_allclose(d_star, expected[0], rtol=1e-9)
        np.testing.assert_allclose(intensity, expected[1], rtol=1e-6)


def test_a_pattern_peaks_where_the_strongest_line_is():
    pattern = xtinct.simulate(rock_salt())
    assert pattern.dtype == np.float32
    assert pattern.shape == (DEFAULT_INSTRUMENT.points,)
    # 200 of rock salt with Cu K-alpha1.
    assert DEFAULT_INSTRUMENT.two_theta[pattern.argmax()] == pytest.approx(31.70, abs=0.02)


def test_extinct_lines_are_absent_in_every_draw():
    # P 21/c: 0k0 only for k = 2n, so the 010 reflection at d = b shows nothing; P 2/m has no such law.
    cells = np.array([[7.1, 11.3, 8.2, 90, 101.0, 90]])
    at_010 = np.abs(DEFAULT_INSTRUMENT.two_theta - np.degrees(2 * np.arcsin(1.5406 / (2 * 11.3)))) < 0.1
    with_law = xtinct.ulbd_patterns(14, cells, 5, seed=1)
    without = xtinct.ulbd_patterns(10, cells, 5, seed=1)
    assert with_law.shape == without.shape == (5, DEFAULT_INSTRUMENT.points)
    assert with_law[:, at_010].max() < 1e-6
    assert (without[:, at_010].max(axis=1) > 1e-3).all()


def test_ulbd_patterns_are_a_function_of_the_seed():
    cells = np.array([[5.0, 5, 5, 90, 90, 90], [6.5, 6.5, 6.5, 90, 90, 90]])
    first = xtinct.ulbd_patterns(225, cells, 2, seed=3)
    assert (first == xtinct.ulbd_patterns(225, cells, 2, seed=3)).all()
    assert not (first == xtinct.ulbd_patterns(225, cells, 2, seed=4)).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: xtinct.line_list("missing.cif"), "missing.cif: No such file"),
        (lambda: xtinct.line_list("data_x\nloop_\n"), "structure: unreadable"),
        (lambda: xtinct.line_list(3), "structure: int"),
        (lambda: xtinct.ulbd_patterns(225, [[5, 6, 7, 90, 90, 90]], 1, 0), "no conventional cubic cell"),
        (lambda: xtinct.ulbd_patterns(225, [[5, 5, np.nan, 90, 90, 90]], 1, 0), "positive and finite"),
        (lambda: xtinct.ulbd_patterns(231, [[5, 5, 5, 90, 90, 90]], 1, 0), "between 1 and 230"),
        (lambda: xtinct.predict([10, 20], [1, 1], 1.5406, models="nowhere"), "holds no trained model"),
        (lambda: xtinct.predict([20, 10], [1, 1], 1.5406, models="nowhere"), "must ascend"),
    ],
)
def test_bad_input_is_one_line(call, message):
    with pytest.raises(xtinct.XtinctError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)

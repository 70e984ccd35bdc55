"""The notebook functions, against pymatgen's calculator and the rules of the space groups."""

import numpy as np
import pytest
from rock_salt import ROCK_SALT

import xtinct
from xtinct.api import DEFAULT_INSTRUMENT

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


def test_ase_atoms_give_the_same_lines():
    from ase.build import bulk, molecule

    expected = xtinct.line_list(ROCK_SALT)
    for atoms in (bulk("NaCl", "rocksalt", a=5.6402), bulk("NaCl", "rocksalt", a=5.6402, cubic=True)):
        d_star, intensity = xtinct.line_list(atoms)
        np.testing.assert_allclose(d_star, expected[0], rtol=1e-9)
        np.testing.assert_allclose(intensity, expected[1], rtol=1e-6)
    with pytest.raises(xtinct.XtinctError, match="three periodic directions"):
        xtinct.line_list(molecule("H2O"))


def test_deuterium_and_tritium_are_told_from_hydrogen_in_every_form(tmp_path):
    """F111^2 / F200^2 of rock salt is ((b1 - b2) / (b1 + b2))^2: Sears, Neutron News 3(3), 26 (1992)."""
    import gemmi
    from ase.build import bulk
    from pymatgen.core import Lattice, Species, Structure

    def text(symbol):
        return ROCK_SALT.replace("Na 0", "Li 0").replace("Cl 0.5", f"{symbol} 0.5").replace("5.6402", "4.068")

    def typed(symbol):
        return (
            text("X1 " + symbol)
            .replace("Li 0", "Li1 Li 0")
            .replace("_atom_site_label\n", "_atom_site_label\n_atom_site_type_symbol\n")
        )

    def pymatgen(species):
        sites = [[0, 0, 0], [0.5, 0.5, 0.5]]
        return Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.068), ["Li", species], sites)

    def ase(mass):
        atoms = bulk("LiH", "rocksalt", a=4.068)
        atoms.set_masses([7.0, mass])
        return atoms

    def small(cif):
        return gemmi.make_small_structure_from_block(gemmi.cif.read_string(cif).sole_block())

    (tmp_path / "LiD.cif").write_text(typed("D"))
    forms = {
        -3.739: [text("H"), pymatgen("H"), ase(1.008), small(typed("H"))],
        6.671: [
            text("D"), typed("D"), typed("2H"), tmp_path / "LiD.cif", pymatgen("D"),
            pymatgen(Species("D", -1)), ase(2.014), small(typed("D")),
        ],
        4.792: [typed("T"), typed("3H"), pymatgen("T"), ase(3.016), small(typed("T"))],
    }  # fmt: skip
    for length, structures in forms.items():
        for structure in structures:
            _, intensity = xtinct.line_list(structure, radiation="neutron")
            ratio = (intensity[0] / 8) / (intensity[1] / 6)
            assert ratio == pytest.approx(((-1.90 - length) / (-1.90 + length)) ** 2, rel=2e-3), structure


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_files_are_read_in_the_encodings_that_the_pipeline_reads(tmp_path, encoding):
    path = tmp_path / "NaCl.cif"
    text = ROCK_SALT.replace("data_NaCl\n", "data_NaCl\n_publ_author_name 'M\u00fcller'\n")
    path.write_text(text, encoding=encoding)
    np.testing.assert_array_equal(xtinct.line_list(path)[1], xtinct.line_list(ROCK_SALT)[1])
    np.testing.assert_array_equal(xtinct.line_list("\ufeff" + text)[1], xtinct.line_list(ROCK_SALT)[1])
    path.write_bytes(b"\x00\x01\x02")
    with pytest.raises(xtinct.XtinctError, match=r"NaCl\.cif: binary data"):
        xtinct.line_list(path)


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
        (lambda: xtinct.predict(([10, 20], [1, 1]), 1.5406, models="nowhere"), "holds no trained model"),
        (lambda: xtinct.predict(np.ones(9), 1.5406), r"pattern: ndarray, expected a file, two arrays \("),
        (lambda: xtinct.predict(([20, 10], [1, 1]), 1.5406, models="nowhere"), "must ascend"),
        (lambda: xtinct.predict(np.ones((9, 2)), 1.5406), r"give the columns of a table as \(two_theta"),
        (lambda: xtinct.predict(["a.xy", "b.xy"], 1.5406), "several files; ask of one at a time"),
        (lambda: xtinct.predict("a.xy", wave_length=1.5406), "wave_length: .* scan, wavelength$"),
        (lambda: xtinct.recognise("a.xy", 1.5406), "tell a wavelength by name, wavelength=1.5406"),
        (lambda: xtinct.simulate("data_x", 1.5406), "instrument: 1.5406, expected an xtinct.Instrument"),
    ],
)
def test_bad_input_is_one_line(call, message):
    with pytest.raises(xtinct.XtinctError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)

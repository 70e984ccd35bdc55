"""Lines of crystals against published line lists, and every form in which a crystal comes."""

import csv
import io

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.io.vasp import Poscar

import xtinct
from xtinct.crystals.hkl_families import families_by_permutation
from xtinct.crystals.line_text import hkl_text
from xtinct.crystals.pymatgen_calculators import XRDCalculator

SILICON = Structure.from_spacegroup("Fd-3m", Lattice.cubic(5.43088), ["Si"], [[0, 0, 0]])
ALUMINA = Structure.from_spacegroup(
    "R-3c", Lattice.hexagonal(4.7588, 12.9929), ["Al", "O"], [[0, 0, 0.35223], [0.30633, 0, 0.25]]
)
SALT = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.6402), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])

#: hkl and d of silicon (PDF 27-1402, National Bureau of Standards).
SILICON_LINES = {
    "111": 3.1355, "220": 1.9201, "311": 1.6375, "400": 1.3577, "331": 1.2459, "422": 1.1086,
    "511": 1.0452, "440": 0.9600, "531": 0.9180, "620": 0.8587, "533": 0.8282,
}  # fmt: skip
#: 2theta of LaB6 at 1.5405929 angstrom (SRM 660a, certificate).
LAB6_LINES = {
    "100": 21.358, "110": 30.385, "111": 37.442, "200": 43.507, "210": 48.958, "211": 53.989,
    "220": 63.219, "300": 67.548, "310": 71.746, "311": 75.844, "222": 79.870, "320": 83.847, "321": 87.792,
}  # fmt: skip
#: hkl and d of corundum (PDF 46-1212).
CORUNDUM = {
    "012": 3.480, "104": 2.551, "110": 2.379, "006": 2.166, "113": 2.085, "202": 1.964, "024": 1.740,
    "116": 1.601, "211": 1.547, "122": 1.515, "018": 1.511, "214": 1.405, "300": 1.374,
}  # fmt: skip


def names(lines):
    return [hkl_text(tuple(hkl)) for hkl in lines.hkl.tolist()]


def test_silicon_has_the_published_lines():
    lines = xtinct.lines(SILICON, 1.540598, two_theta_range=(0, 140))
    assert lines.space_group.startswith("F d -3 m (227)")
    assert names(lines) == list(SILICON_LINES)
    np.testing.assert_allclose(lines.d, list(SILICON_LINES.values()), atol=6e-5)
    assert {hkl_text(family.hkl) for family in lines.families[6]} == {"511", "333"}


def test_lanthanum_hexaboride_has_the_certified_lines():
    sites = [[0, 0, 0], [0.1993, 0.5, 0.5]]
    lab6 = Structure.from_spacegroup("Pm-3m", Lattice.cubic(4.15692), ["La", "B"], sites)
    lines = xtinct.lines(lab6)
    np.testing.assert_allclose(lines.two_theta, list(LAB6_LINES.values()), atol=0.0025)
    both = {hkl_text(family.hkl): family.multiplicity for family in lines.families[7]}
    assert both == {"300": 6, "221": 24}
    assert lines.multiplicity[7] == 30


@pytest.mark.parametrize("symprec", [0.01, None])
def test_corundum_has_the_published_names(symprec):
    """On hexagonal axes: 012, not 102; 110, not 2-10; 006, not 00-6."""
    lines = xtinct.lines(ALUMINA, symprec=symprec, two_theta_range=(20, 69))
    assert names(lines) == list(CORUNDUM)
    np.testing.assert_allclose(lines.d, list(CORUNDUM.values()), atol=7e-4)
    assert lines.multiplicity.tolist() == [6, 6, 6, 2, 12, 6, 6, 12, 12, 12, 6, 12, 6]


def test_neutrons_see_the_scattering_lengths():
    """Na 3.63 fm and Cl 9.577 fm (Sears 1992): differences in odd lines of rock salt, sums in even ones."""
    lines = xtinct.lines(SALT, 1.8, radiation="neutron")
    found = dict(zip(names(lines), lines.f_squared, strict=True))
    assert found["111"] == pytest.approx(16 * (9.577 - 3.63) ** 2)
    assert found["200"] == pytest.approx(16 * (9.577 + 3.63) ** 2)
    theta = np.radians(lines.two_theta / 2)
    expected = lines.multiplicity * lines.f_squared / (np.sin(theta) ** 2 * np.cos(theta))
    np.testing.assert_allclose(lines.intensity, 100 * expected / expected.max(), rtol=1e-12)


def test_intensities_have_the_lorentz_polarisation_factor():
    lines = xtinct.lines(ALUMINA)
    theta = np.radians(lines.two_theta / 2)
    factor = (1 + np.cos(2 * theta) ** 2) / (np.sin(theta) ** 2 * np.cos(theta))
    expected = lines.multiplicity * lines.f_squared * factor
    np.testing.assert_allclose(lines.intensity, 100 * expected / expected.max(), rtol=1e-12)
    np.testing.assert_allclose(lines.two_theta, 2 * np.degrees(np.arcsin(1.5405929 / 2 / lines.d)))
    damped = xtinct.lines(ALUMINA, b_iso=1.0)
    np.testing.assert_allclose(
        damped.f_squared / lines.f_squared, np.exp(-2 * 1.0 / (4 * lines.d**2)), rtol=1e-9
    )


def test_lines_are_those_of_line_list():
    for structure in (SILICON, ALUMINA, SALT):
        lines = xtinct.lines(structure)
        d_star, intensity = xtinct.line_list(structure, d_star_max=2 * np.sin(np.pi / 4) / lines.wavelength)
        np.testing.assert_allclose(1 / lines.d, d_star, rtol=1e-12)
        np.testing.assert_allclose(lines.f_squared * lines.multiplicity, intensity, rtol=1e-9)


def test_families_add_up_to_their_line():
    lines = xtinct.lines(ALUMINA, 0.7093)
    for i, families in enumerate(lines.families):
        assert sum(f.multiplicity for f in families) == lines.multiplicity[i]
        total = sum(f.multiplicity * f.f_squared for f in families)
        assert total == pytest.approx(lines.f_squared[i] * lines.multiplicity[i], rel=1e-7)
    assert sum(len(families) > 1 for families in lines.families) > 20


def test_of_equally_strong_families_the_more_usual_one_names_the_line():
    """Atoms at x x x of I m -3, which have the symmetry of I m -3 m: 312 and 321 differ by rounding alone."""
    site = "Fe 0.137 0.137 0.137"
    lines = xtinct.lines(CIF.format(symbol="I m -3", a=8.1, b=8.1, c=8.1, la=site, fe=""), 0.7093)
    several = [[family.hkl for family in families] for families in lines.families if len(families) > 1]
    assert [(3, 2, 1), (3, 1, 2)] in several
    assert len(several) > 20
    assert all(tuple(hkl) == tuple(sorted(hkl, reverse=True)) for hkl in lines.hkl.tolist())


def test_absent_reflections_of_the_same_d_are_left_out():
    """Pyrite: of 221 and 300, which have one d, the glide planes of P a -3 leave 221; 320 and 230 differ."""
    sites = [[0, 0, 0], [0.385, 0.385, 0.385]]
    pyrite = Structure.from_spacegroup("Pa-3", Lattice.cubic(5.4179), ["Fe", "S"], sites)
    lines = xtinct.lines(pyrite, 0.7093)
    for families in lines.families:
        for h, k, l in (family.hkl for family in families):  # noqa: E741
            # ITA, P a -3: 0kl with k = 2n, cyclically.
            if h == 0:
                assert k % 2 == 0
            elif k == 0:
                assert l % 2 == 0
            elif l == 0:
                assert h % 2 == 0
    shown = {hkl_text(family.hkl) for families in lines.families for family in families}
    assert {"200", "210", "221", "302", "410"} <= shown
    assert not {"100", "201", "320", "300"} & shown


def test_the_conventional_cell_is_found_where_no_symmetry_is_stated():
    conventional, primitive = xtinct.lines(SALT), xtinct.lines(SALT.get_primitive_structure())
    assert (
        names(conventional)
        == names(primitive)
        == ["111", "200", "220", "311", "222", "400", "331", "420", "422"]
    )
    np.testing.assert_allclose(conventional.intensity, primitive.intensity, rtol=1e-9)
    written = xtinct.lines(SALT.get_primitive_structure(), symprec=None)
    np.testing.assert_allclose(written.intensity, conventional.intensity, rtol=1e-9)
    np.testing.assert_allclose(16 * written.f_squared, conventional.f_squared, rtol=1e-9)
    assert written.cell[0] == pytest.approx(5.6402 / np.sqrt(2))
    assert "not looked for" in written.space_group


def test_a_stated_group_keeps_the_axes_of_the_file():
    """P b n m and P n m a are one group: a b c of the one are c a b of the other."""
    pbnm = CIF.format(symbol="P b n m", a=5.3, b=5.5, c=7.6, la="La 0.99 0.03 0.25", fe="Fe 0 0.5 0")
    pnma = CIF.format(symbol="P n m a", a=5.5, b=7.6, c=5.3, la="La 0.03 0.25 0.99", fe="Fe 0.5 0 0")
    one, other = xtinct.lines(pbnm), xtinct.lines(pnma)
    assert one.space_group.startswith("P b n m (62), as stated")
    np.testing.assert_allclose(one.intensity, other.intensity, rtol=1e-9)
    single = [i for i in range(len(one)) if len(one.families[i]) == len(other.families[i]) == 1]
    assert [tuple(one.hkl[i]) for i in single] == [tuple(other.hkl[i][[2, 0, 1]]) for i in single]


CIF = """data_x
_space_group_name_H-M_alt '{symbol}'
_cell_length_a {a}
_cell_length_b {b}
_cell_length_c {c}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
{la}
{fe}
"""


def test_every_form_of_a_crystal_gives_the_same_lines(tmp_path):
    import gemmi

    cif = ALUMINA.to(fmt="cif")
    (tmp_path / "alumina.cif").write_text(cif)
    small = gemmi.make_small_structure_from_block(gemmi.cif.read_string(cif).sole_block())
    forms = (
        *(cif, tmp_path / "alumina.cif", str(tmp_path / "alumina.cif")),
        *(Poscar(ALUMINA).get_str(), AseAtomsAdaptor.get_atoms(ALUMINA), small),
    )
    expected = xtinct.lines(ALUMINA)
    for form in forms:
        lines = xtinct.lines(form)
        assert names(lines) == names(expected)
        np.testing.assert_allclose(lines.intensity, expected.intensity, rtol=1e-4)
        assert lines.multiplicity.tolist() == expected.multiplicity.tolist()


def test_tables_hold_every_line():
    lines = xtinct.lines(SILICON, two_theta_range=(20, 100))
    rows = list(csv.DictReader(io.StringIO(lines.to_csv())))
    assert [row["hkl"] for row in rows][-1] in ("5 1 1 = 3 3 3", "3 3 3 = 5 1 1")
    assert [float(row["d"]) for row in rows] == pytest.approx(lines.d.tolist(), rel=1e-7)
    plain = lines.to_dict()
    assert len(plain["lines"]) == len(rows) == len(lines) == str(lines).count("\n") - 4
    assert plain["lines"][0]["hkl"] == [1, 1, 1]


def test_pictures_are_written(tmp_path):
    lines = xtinct.lines(SILICON)
    for kind, start in (("svg", b"<?xml"), ("png", b"\x89PNG"), ("html", b"<!doctype html>")):
        lines.plot(tmp_path / f"lines.{kind}")
        assert (tmp_path / f"lines.{kind}").read_bytes().startswith(start)
    page = (tmp_path / "lines.html").read_text()
    assert page.count("<tr>") == len(lines) + 1
    assert ">111<" in page
    with pytest.raises(xtinct.XtinctError, match="a picture is written as"):
        lines.plot(tmp_path / "lines.pdf")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"wavelength": 0.154}, "did you mean 1.54"),
        ({"wavelength": "CuKx"}, "neither a wavelength"),
        ({"two_theta_range": (90, 20)}, "two_theta_range"),
        ({"two_theta_range": (0, 20)}, "lines: none between 0 and 20 degrees"),
        ({"radiation": "electron"}, "radiation"),
        ({"symprec": -1.0}, "symprec"),
        ({"b_iso": 1e6}, "lines: none between 0 and 90 degrees"),
        ({"wavelength": 0.06, "two_theta_range": (0, 170)}, "smaller range"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(settings, said):
    with pytest.raises(xtinct.XtinctError, match=said) as refused:
        xtinct.lines(SILICON, **settings)
    assert "\n" not in str(refused.value)


def test_the_heading_has_angles_as_exact_as_lengths():
    lattice = Lattice.monoclinic(5.1512, 5.2038, 5.3156, 99.1964)
    lines = xtinct.lines(Structure(lattice, ["Zr"], [[0.1, 0.2, 0.3]]), symprec=None)
    assert lines.heading()[1] == "cell: 5.15120 5.20380 5.31560 angstrom, 90 99.1964 90 degrees"


def test_families_without_symmetry_are_compiled_once_for_all_that_ask():
    xtinct.lines(SALT, symprec=None)
    XRDCalculator().get_pattern(SALT)
    assert len(families_by_permutation.signatures) == 1

"""Structure factors against the defining sum, sum rules and symmetries; and what is refused."""

import numpy as np
import pytest

from xtinct.errors import XtinctError
from xtinct.lattices.metric import reciprocal_metric
from xtinct.linelists import structure_factors
from xtinct.linelists.gemmi_tables import dispersion
from xtinct.linelists.reflections import CENTRINGS
from xtinct.linelists.scattering import amplitude, scattering_table
from xtinct.linelists.structure_factors import REASONS, StructureRefusedError, structure_lines

ROCK_SALT = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


def rock_salt(cation: int = 11, anion: int = 17, a: float = 5.6402):
    frac = np.concatenate([ROCK_SALT, ROCK_SALT + np.array([0.5, 0, 0])])
    return np.array([a, a, a, 90, 90, 90.0]), np.repeat([cation, anion], 4), frac, np.ones(8)


def direct_sum(cell, species, frac, occupancy, d_star_max, radiation="xray"):
    """1/d^2 and |F|^2 of every hkl of the whole sphere, with one exponential for each atom and hkl."""
    table, _, width = scattering_table(radiation, d_star_max)
    reach = [int(d_star_max * length) + 1 for length in cell[:3]]
    grids = np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij")
    hkl = np.stack(grids, axis=-1).reshape(-1, 3)
    h, k, l = hkl.T  # noqa: E741
    g11, g22, g33, g23, g13, g12 = reciprocal_metric(cell)[0]
    d_star2 = g11 * h * h + g22 * k * k + g33 * l * l + 2 * (g23 * k * l + g13 * h * l + g12 * h * k)
    inside = (d_star2 <= d_star_max**2) & (hkl != 0).any(axis=1)
    hkl, d_star2 = hkl[inside], d_star2[inside]
    f = np.array([[amplitude(table[z], d2 / 4, width) for z in species] for d2 in d_star2])
    return d_star2, np.abs((f * occupancy * np.exp(2j * np.pi * (hkl @ frac.T))).sum(axis=1)) ** 2


@pytest.mark.parametrize("radiation", ["xray", "neutron"])
def test_the_defining_sum(radiation):
    """A triclinic crystal: every Friedel pair is a line of its own, so nothing hides in a sum."""
    rng = np.random.default_rng(4)
    cell = np.array([4.1, 5.3, 6.7, 81.0, 97.0, 103.0])
    species, frac = np.array([8, 26, 8, 3, 57]), rng.uniform(-1, 2, (5, 3))
    occupancy = np.array([1, 0.5, 0.25, 1, 1])
    d_star2, expected = direct_sum(cell, species, frac, occupancy, 0.9, radiation)
    d_star, intensity = structure_lines(
        cell, species, frac, occupancy, d_star_max=0.9, radiation=radiation, intensity_floor=0
    )
    order = np.argsort(d_star2)
    np.testing.assert_allclose(d_star**2, d_star2[order][::2], rtol=1e-12)
    np.testing.assert_allclose(intensity, 2 * expected[order][::2], rtol=1e-9)


@pytest.mark.parametrize("translations", CENTRINGS, ids=lambda t: str(t[0].tolist()))
@pytest.mark.parametrize("angles", [(90, 90, 90), (90, 90, 120), (80, 97, 104)], ids=str)
def test_centred_cells(translations, angles):
    """The sum over the atoms of one primitive cell is that over all of them, absences included."""
    rng = np.random.default_rng(5)
    cell = np.array([4.7, 7.1, 5.9, *angles])
    moves = np.concatenate([[[0, 0, 0]], translations[:, 1:] / translations[:, :1]])
    frac = (rng.uniform(0, 1, (3, 1, 3)) + moves).reshape(-1, 3).round(10)
    species, occupancy = np.repeat([8, 26, 8], len(moves)), np.repeat([1, 0.7, 0.4], len(moves))
    d_star2, expected = direct_sum(cell, species, frac, occupancy, 0.6)
    d_star, intensity = structure_lines(cell, species, frac, occupancy, d_star_max=0.6)
    total = [expected[np.isclose(d_star2, position**2, rtol=1e-9)].sum() for position in d_star]
    np.testing.assert_allclose(intensity, total, rtol=1e-6)
    assert intensity.sum() == pytest.approx(expected.sum(), rel=1e-9)
    # One atom moved a little, and the cell is not centred any more.
    frac[0] += 1e-3
    expected = direct_sum(cell, species, frac, occupancy, 0.6)[1]
    intensity = structure_lines(cell, species, frac, occupancy, d_star_max=0.6, intensity_floor=0)[1]
    assert intensity.sum() == pytest.approx(expected.sum(), rel=1e-9)


def test_multiplicities_of_a_cubic_crystal():
    """One atom at the origin: intensity / f^2 is the multiplicity (Cullity, appendix 13)."""
    a = 4.0
    d_star, intensity = structure_lines(
        np.array([a, a, a, 90, 90, 90]), [26], np.zeros((1, 3)), [1.0], d_star_max=3.01 / a * np.sqrt(3)
    )
    table, _, width = scattering_table("xray", 3.01 / a * np.sqrt(3))
    f2 = np.array([amplitude(table[26], d * d / 4, width) ** 2 for d in d_star])
    multiplicity = dict(
        zip(np.round((d_star * a) ** 2).astype(int), np.round(intensity / f2, 6), strict=True)
    )
    # 100, 110, 111, 200, 210, 211, 220, 221 with 300, 310, ..., 321, and 511 with 333
    expected = {1: 6, 2: 12, 3: 8, 4: 6, 5: 24, 6: 24, 8: 12, 9: 24 + 6, 10: 24, 14: 48, 27: 24 + 8}
    assert {n: multiplicity[n] for n in expected} == expected
    assert 7 not in multiplicity


def test_rock_salt_sums_and_differences():
    """4 (fNa + fCl) for even and 4 (fNa - fCl) for odd hkl, mixed hkl absent (Bragg 1913)."""
    cell, species, frac, occupancy = rock_salt()
    d_star, intensity = structure_lines(cell, species, frac, occupancy, d_star_max=0.93)
    table, _, width = scattering_table("xray", 0.93)
    for position, strength in zip(d_star, intensity, strict=True):
        sodium, chlorine = (amplitude(table[z], position**2 / 4, width) for z in (11, 17))
        n = round((position * cell[0]) ** 2)
        multiplicity = {3: 8, 4: 6, 8: 12, 11: 24, 12: 8, 16: 6, 19: 24, 20: 24, 24: 24, 27: 32}[n]
        f = sodium + chlorine if n % 4 == 0 else sodium - chlorine
        assert strength == pytest.approx(multiplicity * 16 * f**2, rel=1e-9)
    assert len(d_star) == 10


def test_displacement_factor_damps_each_line():
    cell, species, frac, occupancy = rock_salt()
    still, moving = (
        structure_lines(cell, species, frac, occupancy, d_star_max=0.93, b_iso=b)[1] for b in (0.0, 1.7)
    )
    d_star, _ = structure_lines(cell, species, frac, occupancy, d_star_max=0.93)
    # exp(-2 B sin^2 theta / lambda^2)
    np.testing.assert_allclose(moving / still, np.exp(-2 * 1.7 * d_star**2 / 4), rtol=1e-12)


def test_lines_with_dispersion_and_without_share_their_compiled_code():
    """Code that is compiled for other types once more takes seconds after an installation."""
    for given in (None, dispersion(1.5406), dispersion(1.5406).copy()):
        structure_lines(*rock_salt(), d_star_max=0.5, dispersion=given)
    assert len(structure_factors.lines_of_atoms.signatures) == 1


def test_half_an_atom_scatters_half():
    cell, species, frac, occupancy = rock_salt()
    full = structure_lines(cell, species, frac, occupancy, d_star_max=0.93)
    half = structure_lines(cell, species, frac, occupancy / 2, d_star_max=0.93)
    np.testing.assert_allclose(half[1], full[1] / 4, rtol=1e-12)
    # Two halves on one site are a whole.
    doubled = structure_lines(
        cell, np.repeat(species, 2), np.repeat(frac, 2, axis=0), np.repeat(occupancy / 2, 2), d_star_max=0.93
    )
    np.testing.assert_allclose(doubled[1], full[1], rtol=1e-12)


def test_nothing_depends_on_origin_axes_or_order():
    rng = np.random.default_rng(2)
    cell = np.array([5.1, 6.2, 9.3, 90, 105.0, 90])
    species, frac, occupancy = rng.integers(1, 60, 9), rng.uniform(0, 1, (9, 3)), rng.uniform(0.1, 1, 9)
    reference = structure_lines(cell, species, frac, occupancy, d_star_max=0.8)
    order = rng.permutation(9)
    variants = [
        (cell, species, frac + np.array([0.13, 0.57, 0.91]), occupancy),
        (cell, species, -frac, occupancy),
        (cell, species[order], frac[order], occupancy[order]),
        (cell[[2, 0, 1, 5, 3, 4]], species, frac[:, [2, 0, 1]], occupancy),
    ]
    for variant in variants:
        d_star, intensity = structure_lines(*variant, d_star_max=0.8)
        np.testing.assert_allclose(d_star, reference[0], rtol=1e-12)
        np.testing.assert_allclose(intensity, reference[1], rtol=1e-8)


def test_primitive_and_conventional_cell_show_the_same_lines():
    """The conventional F cell holds four primitive ones: 16 times the intensity per cell."""
    cell, species, frac, occupancy = rock_salt()
    conventional = structure_lines(cell, species, frac, occupancy, d_star_max=0.93)
    short = cell[0] / np.sqrt(2)
    primitive = structure_lines(
        np.array([short, short, short, 60, 60, 60.0]),
        [11, 17],
        np.array([[0, 0, 0], [0.5] * 3]),
        [1, 1],
        d_star_max=0.93,
    )
    np.testing.assert_allclose(primitive[0], conventional[0], rtol=1e-12)
    np.testing.assert_allclose(16 * primitive[1], conventional[1], rtol=1e-9)


def test_form_factors_are_electrons_forward_and_neutron_lengths_are_published():
    table, known, width = scattering_table("xray", 0.93)
    for z in (1, 8, 26, 55, 92):
        assert amplitude(table[z], 0.0, width) == pytest.approx(z, rel=5e-3)
    assert not known[99]
    # Sears, Neutron News 3(3), 26 (1992): H -3.7390, O 5.803, Ni 10.3, V -0.3824 fm
    table, known, width = scattering_table("neutron", 0.93)
    lengths = {1: -3.739, 8: 5.803, 28: 10.3, 23: -0.3824}
    for z, length in lengths.items():
        assert amplitude(table[z], 0.1, width) == pytest.approx(length, rel=1e-3)
    assert not known[85]


CUBE = np.array([4.0, 4, 4, 90, 90, 90])
ATOM = {"cell": CUBE, "species": [26], "frac": [[0.0, 0, 0]], "occupancy": [1.0], "d_star_max": 0.93}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"cell": [0, 4, 4, 90, 90, 90]}, "bad_cell"),
        ({"cell": [np.nan, 4, 4, 90, 90, 90]}, "bad_cell"),
        ({"cell": [4, 4, 4, 60, 60, 130]}, "bad_cell"),
        ({"frac": [[np.nan, 0, 0]]}, "bad_site"),
        ({"occupancy": [-0.5]}, "bad_site"),
        ({"occupancy": [np.inf]}, "bad_site"),
        ({"species": [], "frac": np.empty((0, 3)), "occupancy": []}, "no_sites"),
        ({"species": [0]}, "unknown_scatterer"),
        ({"species": [-3]}, "unknown_scatterer"),
        ({"species": [105]}, "unknown_scatterer"),
        ({"species": [700]}, "unknown_scatterer"),
        ({"cell": [1e5, 1e5, 1e5, 90, 90, 90]}, "too_many_reflections"),
        ({"cell": [1e200, 1e200, 1e200, 90, 90, 90]}, "bad_cell"),
        ({"cell": [9e6, 0.01, 0.01, 90, 90, 90]}, "too_many_reflections"),
        ({"cell": [1e6, 1e6, 1e6, 90, 90, 0.0001]}, "too_many_reflections"),
        ({"max_reflections": 10}, "too_many_reflections"),
        ({"occupancy": [0.0]}, "no_lines"),
        ({"cell": [0.5, 0.5, 0.5, 90, 90, 90]}, "no_lines"),
    ],
)
def test_what_has_no_lines_is_refused_with_its_reason(change, reason):
    arguments = {**ATOM, **change}
    with pytest.raises(StructureRefusedError) as refused:
        structure_lines(**arguments)
    assert refused.value.reason == reason
    assert reason in REASONS
    assert "\n" not in str(refused.value)


def test_the_limit_counts_exactly():
    """A cubic cell's half sphere up to 1/d = 0.93, its points counted one by one."""
    box = np.arange(-4, 5)
    hkl = np.stack(np.meshgrid(box, box, box), axis=-1).reshape(-1, 3)
    n = (((hkl / 4.0) ** 2).sum(axis=1) <= 0.93**2).sum() // 2
    structure_lines(**ATOM, max_reflections=int(n))
    with pytest.raises(StructureRefusedError, match=str(n)):
        structure_lines(**ATOM, max_reflections=int(n) - 1)
    with pytest.raises(XtinctError, match=r"max_reflections 1000000000000: expected 1 to 50000000"):
        structure_lines(**ATOM, max_reflections=10**12)

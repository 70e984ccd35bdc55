"""ULBD lines: known line sets, completeness against a brute-force list, and the random intensities."""

import numpy as np
import pytest

from xtinct.errors import XtinctError
from xtinct.lattices.distributions import LatticeSpec
from xtinct.lattices.metric import form_metric, quadratic_forms, reciprocal_metric
from xtinct.linelists.ulbd_lines import UlbdLines
from xtinct.randomness import stream_key, subkeys
from xtinct.symmetry.absences import absent
from xtinct.symmetry.families import FAMILIES

ANGLES = {"monoclinic": (90.0, 120.0), "triclinic": (70.0, 110.0)}
LENGTH = 8.0


@pytest.fixture(scope="module", params=FAMILIES)
def lines(request) -> UlbdLines:
    return UlbdLines(request.param, 0.8, LENGTH, ANGLES.get(request.param, (90.0, 90.0)))


def cells_of(lines: UlbdLines, n: int) -> np.ndarray:
    spec = LatticeSpec("continuous", (4.0, LENGTH), lines.angles, count=n)
    return spec.cells(lines.family, 11, np.arange(n))


def test_every_allowed_line_is_there_once(lines):
    """Against all hkl of a box far larger than needed, one group after the other."""
    box = np.arange(-9, 10)
    hkl = np.stack(np.meshgrid(box, box, box, indexing="ij"), axis=-1).reshape(-1, 3)
    hkl = hkl[(hkl != 0).any(axis=1)]
    cells = cells_of(lines, len(lines.groups))
    drawn = lines.draw(lines.groups, cells, np.arange(len(cells), dtype=np.uint64))
    h, k, l = hkl.T.astype(float)  # noqa: E741
    for i, number in enumerate(lines.groups):
        g11, g22, g33, g23, g13, g12 = reciprocal_metric(cells[i : i + 1])[0]
        d_star2 = g11 * h * h + g22 * k * k + g33 * l * l + 2 * (g23 * k * l + g13 * h * l + g12 * h * k)
        shown = np.sort(np.sqrt(d_star2[(d_star2 <= 0.8**2) & ~absent(int(number), hkl)]))
        expected = shown[np.concatenate([[True], np.diff(shown) > 1e-9])]
        np.testing.assert_allclose(drawn[i][0], expected, rtol=1e-12)


def test_forms_give_the_metric(lines):
    hkl = np.random.default_rng(0).integers(-6, 7, (200, 3))
    cells = cells_of(lines, 1)
    h, k, l = hkl.T  # noqa: E741
    g11, g22, g33, g23, g13, g12 = reciprocal_metric(cells)[0]
    expected = g11 * h * h + g22 * k * k + g33 * l * l + 2 * (g23 * k * l + g13 * h * l + g12 * h * k)
    actual = quadratic_forms(lines.family, hkl) @ form_metric(lines.family, cells)[0]
    np.testing.assert_allclose(actual, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("number", "sums"),
    [
        # h^2 + k^2 + l^2 of the lines of common structures (Cullity, Elements of X-Ray Diffraction,
        # appendix: quadratic forms of Miller indices).
        (221, [1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 16]),  # primitive: no 7, no 15
        (229, [2, 4, 6, 8, 10, 12, 14, 16]),  # body-centred
        (225, [3, 4, 8, 11, 12, 16]),  # face-centred
        (227, [3, 8, 11, 12, 16]),  # diamond glide: no 200; 222 is absent for diamond only, not for the group
        (198, [2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 16]),  # P 21 3: no 100
    ],
)
def test_cubic_line_sets(number, sums):
    a = 5.0
    lines = UlbdLines("cubic", np.sqrt(16.5) / a, a)
    d_star, _ = lines.draw(np.array([number]), np.array([[a, a, a, 90, 90, 90.0]]), np.zeros(1, np.uint64))[0]
    np.testing.assert_allclose((d_star * a) ** 2, sums, rtol=1e-12)


def test_333_and_511_are_one_line():
    lines = UlbdLines("cubic", 1.2, 5.0)
    d_star, _ = lines.draw(np.array([225]), np.array([[5.0, 5, 5, 90, 90, 90]]), np.zeros(1, np.uint64))[0]
    assert np.isclose((d_star * 5) ** 2, 27).sum() == 1


def test_lines_that_coincide_on_a_special_lattice_are_merged():
    """A tetragonal cell with c = a shows the cubic lines, each once."""
    cell = np.array([[5.0, 5, 5, 90, 90, 90]])
    key = np.zeros(1, np.uint64)
    tetragonal = UlbdLines("tetragonal", 1.0, 5.0).draw(np.array([123]), cell, key)[0][0]
    cubic = UlbdLines("cubic", 1.0, 5.0).draw(np.array([221]), cell, key)[0][0]
    np.testing.assert_allclose(tetragonal, cubic, rtol=1e-12)


def test_groups_of_one_law_show_the_same_lines(lines):
    """Enantiomorphs differ by handedness, which absences cannot see (ITA 2016, Table 3.1.5.1)."""
    pairs = {"cubic": (212, 213), "tetragonal": (76, 78), "trigonal-hexagonal": (152, 154)}
    if lines.family not in pairs:
        pytest.skip("no enantiomorphic pair in this family")
    cell = np.repeat(cells_of(lines, 1), 2, axis=0)
    drawn = lines.draw(np.array(pairs[lines.family]), cell, np.zeros(2, np.uint64))
    np.testing.assert_array_equal(drawn[0][0], drawn[1][0])


def test_intensities_are_uniform_and_belong_to_their_key(lines):
    n = 400
    cells = np.repeat(cells_of(lines, 4), n // 4, axis=0)
    groups = np.full(n, lines.groups[0])
    keys = np.empty(n, np.uint64)
    subkeys(stream_key(1, "intensities"), 0, keys)
    drawn = lines.draw(groups, cells, keys)
    strengths = np.sort(drawn.intensity)
    m = len(strengths)
    # Kolmogorov-Smirnov: exceeded with probability 1e-4 for uniform numbers.
    assert np.abs(strengths - (np.arange(m) + 0.5) / m).max() < 2.2 / np.sqrt(m)
    alone = lines.draw(groups[7:8], cells[7:8], keys[7:8])
    np.testing.assert_array_equal(alone[0][1], drawn[7][1])
    np.testing.assert_array_equal(alone[0][0], drawn[7][0])


def test_a_longer_reach_keeps_the_lines_and_intensities_it_had():
    near, far = (UlbdLines("cubic", reach, 10.0) for reach in (0.5, 0.9))
    cell, key = np.array([[9.0, 9, 9, 90, 90, 90]]), np.array([5], np.uint64)
    short, long = (lines.draw(np.array([221]), cell, key)[0] for lines in (near, far))
    np.testing.assert_array_equal(long[0][: len(short[0])], short[0])
    np.testing.assert_array_equal(long[1][: len(short[1])], short[1])


def test_what_would_lose_lines_is_refused():
    lines = UlbdLines("monoclinic", 0.5, 8.0, (90, 110))
    key = np.zeros(1, np.uint64)
    with pytest.raises(XtinctError, match="length_max"):
        lines.draw(np.array([14]), np.array([[8.1, 5, 5, 90, 100, 90]]), key)
    with pytest.raises(XtinctError, match="angles"):
        lines.draw(np.array([14]), np.array([[8.0, 5, 5, 90, 115, 90]]), key)
    with pytest.raises(XtinctError, match="space group 16"):
        lines.draw(np.array([16]), np.array([[8.0, 5, 5, 90, 100, 90]]), key)
    with pytest.raises(XtinctError, match="intensities"):
        lines.draw(np.array([14]), np.array([[8.0, 5, 5, 90, 100, 90]]), key, intensities="normal")


def test_no_sample_is_no_problem(lines):
    assert len(lines.draw(np.empty(0, int), np.empty((0, 6)), np.empty(0, np.uint64))) == 0

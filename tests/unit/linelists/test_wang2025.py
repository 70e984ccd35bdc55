"""The published convention: what it drops against the standard, counted by hand."""

import numpy as np
import pytest

from xtinct.errors import XtinctError
from xtinct.linelists import wang2025
from xtinct.linelists.structure_factors import StructureRefusedError, structure_lines
from xtinct.linelists.ulbd_lines import UlbdLines

SALT = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
ROCK_SALT = (
    np.array([5.64, 5.64, 5.64, 90, 90, 90]),
    np.repeat([11, 17], 4),
    np.concatenate([SALT, SALT + np.array([0.5, 0, 0])]),
    np.ones(8),
)
#: Multiplicities of the lines of a face-centred cubic lattice (ITC vol. A, point group m-3m).
MULTIPLICITY = {3: 8, 4: 6, 8: 12, 11: 24, 12: 8, 16: 6, 19: 24, 20: 24, 24: 24}


def test_lines_of_a_structure_lack_their_multiplicity():
    d_star, summed = structure_lines(*ROCK_SALT, d_star_max=0.93, b_iso=0.5)
    same, single = wang2025.structure_lines(*ROCK_SALT, d_star_max=0.93, b_iso=0.5)
    np.testing.assert_allclose(same, d_star, rtol=1e-12)
    n = np.rint((d_star * 5.64) ** 2).astype(int)
    ratio = dict(zip(n.tolist(), summed / single, strict=True))
    for number, multiplicity in MULTIPLICITY.items():
        assert ratio[number] == pytest.approx(multiplicity, rel=1e-9)


def test_333_stands_alone_or_hides_behind_511():
    """N = 27 is 511 (24 reflections) and 333 (8); the loops meet -5 -1 -1 first."""
    cell, species, frac, occupancy = ROCK_SALT
    # Displaced chlorine, so that 511 and 333 differ.
    frac = frac.copy()
    frac[4:] += 0.03
    hkl, d_star = wang2025.first_reflections(cell, 1.0)
    at = np.abs(d_star * 5.64 - 27**0.5).argmin()
    assert hkl[at].tolist() == [-5, -1, -1]
    phase = np.exp(2j * np.pi * (hkl[at] @ frac.T))
    alone = np.abs(4 * (phase[0] * _f(11, d_star[at]) + phase[4] * _f(17, d_star[at]))) ** 2
    shown, intensity = wang2025.structure_lines(cell, species, frac, occupancy, d_star_max=1.0)
    line = np.abs(shown * 5.64 - 27**0.5).argmin()
    assert intensity[line] == pytest.approx(alone, rel=1e-6)
    hidden = np.exp(2j * np.pi * (np.array([3, 3, 3]) @ frac.T))
    other = np.abs(4 * (hidden[0] * _f(11, d_star[at]) + hidden[4] * _f(17, d_star[at]))) ** 2
    assert abs(other / alone - 1) > 0.05


def _f(z: int, d_star: float) -> float:
    gemmi = pytest.importorskip("gemmi")
    return gemmi.Element(z).it92.calculate_sf(d_star**2 / 4)


def test_a_large_cell_loses_the_lines_beyond_the_box():
    """Sums of three squares up to (0.93 x 15)^2 = 194 that have none with every number up to 10."""
    standard = UlbdLines("cubic", 0.93, 15.0)
    published = UlbdLines("cubic", 0.93, 15.0, convention="wang2025")
    numbers = [
        set(lines.forms[lines.allowed[0]][:, 0].astype(int).tolist()) for lines in (standard, published)
    ]
    # 12 2 0, 11 6 0, 12 4 0, 12 4 3 ( = 13 0 0), 12 4 4, 12 6 2, 11 8 1 ( = 13 4 1), 12 7 0.
    assert numbers[0] - numbers[1] == {148, 157, 160, 169, 176, 184, 186, 193}
    assert numbers[1] < numbers[0]


def test_a_small_cell_loses_nothing():
    args = "tetragonal", 0.93, 10.0
    cells, keys = np.array([[9.1, 9.1, 6.3, 90, 90, 90]]), np.array([7], dtype=np.uint64)
    for number in (75, 141):
        standard = UlbdLines(*args).draw(np.array([number]), cells, keys)
        published = UlbdLines(*args, convention="wang2025").draw(np.array([number]), cells, keys)
        np.testing.assert_array_equal(standard.d_star, published.d_star)
        np.testing.assert_array_equal(standard.intensity, published.intensity)


def test_it_refuses_what_the_standard_refuses():
    cell, _species, frac, occupancy = ROCK_SALT
    with pytest.raises(StructureRefusedError, match="has no xray scattering"):
        wang2025.structure_lines(cell, np.full(8, 118), frac, occupancy, d_star_max=0.9)
    with pytest.raises(XtinctError, match="convention"):
        UlbdLines("cubic", 0.9, 5.0, convention="wang")

"""March and Dollase's preferred orientation: conserved intensity, symmetry, and its limits."""

import gemmi
import numpy as np
import pytest

from xtinct.errors import XtinctError
from xtinct.linelists.reflections import march_dollase
from xtinct.linelists.structure_factors import structure_lines

TRICLINIC = (
    np.array([4.1, 5.3, 6.2, 81.0, 97.0, 104.0]),
    np.array([26, 8, 8]),
    np.array([[0.1, 0.2, 0.3], [0.6, 0.15, 0.8], [0.35, 0.7, 0.55]]),
    np.ones(3),
)


@pytest.mark.parametrize("r", [0.3, 0.7, 1.0, 1.8, 3.0])
def test_the_density_is_one_over_all_orientations(r):
    """Integral of P(alpha) sin(alpha) over 0 to 90 degrees (Dollase 1986)."""
    x, w = np.polynomial.legendre.leggauss(400)
    cosine = (x + 1) / 2
    assert (w / 2) @ np.array([march_dollase(c, r) for c in cosine]) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("r", [0.6, 1.7])
def test_lines_averaged_over_all_preferred_directions_are_those_of_a_random_powder(r):
    n = 1000
    z = 1 - (2 * np.arange(n) + 1) / n
    turn = np.arange(n) * np.pi * (3 - np.sqrt(5))
    directions = np.column_stack([np.sqrt(1 - z * z) * np.cos(turn), np.sqrt(1 - z * z) * np.sin(turn), z])
    cell = gemmi.UnitCell(*TRICLINIC[0])
    # The components of a reciprocal vector q along a*, b*, c* are its products with a, b, c.
    axes = directions @ np.array(cell.orth.mat.tolist())
    _, random = structure_lines(*TRICLINIC, d_star_max=0.5)
    mean = np.mean(
        [structure_lines(*TRICLINIC, d_star_max=0.5, preferred_axis=a, march_r=r)[1] for a in axes], axis=0
    )
    np.testing.assert_allclose(mean, random, rtol=2e-3)


def test_lines_along_and_across_the_axis():
    """P(0) = r^-3 and P(90 degrees) = r^1.5."""
    cell = np.array([3.9, 3.9, 6.3, 90, 90, 90.0])
    atom = (cell, np.array([26]), np.zeros((1, 3)), np.ones(1))
    d_star, random = structure_lines(*atom, d_star_max=0.9)
    _, textured = structure_lines(*atom, d_star_max=0.9, preferred_axis=(0, 0, 1), march_r=0.5)
    change = dict(zip(np.round(d_star, 6), textured / random, strict=True))
    assert change[round(1 / 6.3, 6)] == pytest.approx(0.5**-3)
    assert change[round(1 / 3.9, 6)] == pytest.approx(0.5**1.5)
    assert change[round(2**0.5 / 3.9, 6)] == pytest.approx(0.5**1.5)


def test_equivalent_axes_give_equal_lines():
    cell = np.array([4.2, 4.2, 4.2, 90, 90, 90])
    salt = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    crystal = (cell, np.repeat([11, 17], 4), np.concatenate([salt, salt + np.array([0.5, 0, 0])]), np.ones(8))
    kinds = [[(1, 0, 0), (0, 0, 1), (0, -2, 0)], [(1, 1, 0), (0, 1, -1)], [(1, 1, 1), (-1, 1, 1)]]
    found = []
    for equivalent in kinds:
        lines = [
            structure_lines(*crystal, d_star_max=0.93, preferred_axis=a, march_r=0.6) for a in equivalent
        ]
        for d_star, intensity in lines[1:]:
            np.testing.assert_allclose(d_star, lines[0][0])
            np.testing.assert_allclose(intensity, lines[0][1], rtol=1e-10)
        found.append(lines[0][1])
    # 200 is the line of plates on their cube faces, 111 that of plates on their octahedral faces.
    assert found[0][1] / found[0][0] > found[1][1] / found[1][0] > found[2][1] / found[2][0]


@pytest.mark.parametrize(
    "axis_r", [((0, 0, 0), 0.5), ((0, 0, 1), 0.0), ((0, 0, 1), -1.0), ((0, 0, 1), np.nan)]
)
def test_impossible_orientations_are_refused(axis_r):
    with pytest.raises(XtinctError, match="march_dollase"):
        structure_lines(*TRICLINIC, d_star_max=0.5, preferred_axis=axis_r[0], march_r=axis_r[1])

"""Profiles on a grid against the functions that they are, written with numpy."""

import numpy as np
import pytest

from xtinct.observer.peaks.peak_shapes import LN2, DoubletLines, Grid, columns

GRID = Grid(20.0, 0.013, 900)
FIRST = np.array([20.05, 24.0, 26.0071, 31.6])
FWHM, ETA, SKEW = (
    np.array([0.1, 0.2, 0.05, 0.3]),
    np.array([0.0, 0.4, 1.0, 0.7]),
    np.array([0, 0.3, -0.2, 0.1]),
)


def written_out(x, centre, fwhm, eta, skew):
    """A split pseudo-Voigt function of unit area."""
    half = 0.5 * fwhm * np.where(x < centre, 1 + skew, 1 - skew)
    u = ((x - centre) / half) ** 2
    area = 0.5 * fwhm * (eta * np.pi + (1 - eta) * np.sqrt(np.pi / LN2))
    return (eta / (1 + u) + (1 - eta) * np.exp(-LN2 * u)) / area


@pytest.mark.parametrize("reach", [3.0, 20.0])
@pytest.mark.parametrize("ratio", [0.0, 0.5])
@pytest.mark.parametrize("derivatives", [False, True])
def test_profiles_are_split_pseudo_voigt_functions(reach, ratio, derivatives):
    lines = DoubletLines(FIRST, FIRST + 0.06 if ratio else FIRST, np.ones(4), ratio)
    made = columns(GRID, lines, FWHM, ETA, SKEW, reach, derivatives)
    for j in range(4):
        shape = FWHM[j], ETA[j], SKEW[j]
        x = GRID.start + GRID.step * (made.start[j] + np.arange(made.length[j]))
        both = written_out(x, FIRST[j], *shape) + ratio * written_out(x, lines.second[j], *shape)
        np.testing.assert_allclose(made.values[0, j, : len(x)], both / (1 + ratio), rtol=1e-11, atol=1e-15)
        assert not made.values[:, j, len(x) :].any()


def test_derivatives_are_those_of_the_profiles():
    at, step = (FIRST, FWHM, ETA, SKEW), 1e-6
    # A share of 0 or 1, and a point at the centre, have derivatives all the same.
    made = columns(GRID, DoubletLines(FIRST, FIRST, np.ones(4), 0.0), *at[1:], 20.0, True)
    for which in range(4):
        for j in range(4):
            x = GRID.start + GRID.step * (made.start[j] + np.arange(made.length[j]))
            values = [a[j] for a in at]
            moved = [[v + s * step * (i == which) for i, v in enumerate(values)] for s in (1, -1)]
            slope = (written_out(x, *moved[0]) - written_out(x, *moved[1])) / (2 * step)
            # By position the profile moves with the line.
            got = made.values[1 + which, j, : len(x)]
            np.testing.assert_allclose(got, slope, rtol=1e-5, atol=2e-4 * np.abs(slope).max())

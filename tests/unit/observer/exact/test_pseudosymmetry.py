"""Lattices that are nearly of a higher symmetry, long cells, and cells that are too large."""

import numpy as np
import pytest

import xtinct
from xtinct.api import DEFAULT_INSTRUMENT
from xtinct.lattices.cells import cell_of, smallest
from xtinct.lattices.metric import form_metric
from xtinct.linelists.line_lists import LineLists
from xtinct.observer.exact.exact_observer import Observer
from xtinct.observer.exact.observed_lines import find_lines
from xtinct.observer.exact.related import related, twofold_axes
from xtinct.patterns.rendering import render

#: Tetragonal cells with c/a within 0.1 % of that of a cubic lattice, one with a long axis (they have
#: more lines than one can separate), and a nearly orthorhombic monoclinic one.
CELLS = {
    "c/a nearly 1": ("tetragonal", 123, [8.602, 8.602, 8.596, 90, 90, 90], "P - - -"),
    "c/a nearly 2": ("tetragonal", 129, [4.0784, 4.0784, 8.1533, 90, 90, 90], "P n - -"),
    "long": ("trigonal-hexagonal", 166, [4.9, 4.9, 37.1, 90, 90, 120], "R(obv) - -"),
    "beta nearly 90": ("monoclinic", 14, [7.97, 5.823, 5.59, 90, 90.09, 90], "P 1 21/c 1"),
}


@pytest.mark.parametrize("name", CELLS)
def test_the_class_is_found_where_lines_nearly_coincide(name):
    family, number, cell, symbol = CELLS[name]
    answer = Observer(DEFAULT_INSTRUMENT, family).predict(xtinct.ulbd_patterns(number, [cell], 1, 3))[0]
    assert answer.lattice is not None
    assert np.sort(answer.lattice.cell[:3]) == pytest.approx(np.sort(cell[:3]), rel=1e-5)
    assert answer.classes[0][1] == symbol
    assert answer.classes[0][2] > 0.9


def test_positions_of_merged_lines_lie_within_their_distance():
    """Two lines at 0.02 degrees, a fifth of the profile's standard deviation, are seen as one or two."""
    two_theta = np.array([20.0, 35.0, 35.02])
    d_star = 2 * np.sin(np.radians(two_theta / 2)) / DEFAULT_INSTRUMENT.wavelength
    for weak in (1e-2, 1e-3, 1e-4, 3e-5):
        lines = LineLists(np.array([0, 3]), d_star, np.array([1.0, weak, weak], np.float32))
        found = find_lines(render(lines, DEFAULT_INSTRUMENT)[0], DEFAULT_INSTRUMENT)
        for position, error, merged in zip(found.two_theta, found.error, found.merged, strict=True):
            assert np.abs(two_theta - position).min() <= max(5 * error, 1.2 * merged)


@pytest.mark.parametrize(
    ("basis", "axes"),
    [
        # Twofold axes of the holohedries m-3m, 6/mmm, 4/mmm, -3m, mmm, 2/m, -1 (ITA 2016, table 3.2.3.1).
        ([[6, 0, 0], [0, 6, 0], [0, 0, 6]], 9),
        ([[6, 0, 0], [-3, 27**0.5, 0], [0, 0, 7.7]], 7),
        ([[6, 0, 0], [0, 6, 0], [0, 0, 7.7]], 5),
        ([[6, 1, 1], [1, 6, 1], [1, 1, 6]], 3),
        ([[6, 0, 0], [0, 7.1, 0], [0, 0, 8.3]], 3),
        ([[6, 0, 0], [0, 7.1, 0], [1.3, 0, 8.3]], 1),
        ([[6, 0, 0], [1.6, 7.1, 0], [1.3, 0.8, 8.3]], 0),
    ],
)
def test_a_lattice_has_the_twofold_axes_of_its_holohedry(basis, axes):
    assert len(twofold_axes(np.array(basis, dtype=float))) == axes


def test_settings_of_a_nearly_orthorhombic_lattice_are_its_three_axes():
    """Each of the three axes may be the unique one; the volume stays."""
    cell = np.array([6.0, 7.5, 9.3, 90, 90.3, 90])
    metrics = related("monoclinic", form_metric("monoclinic", cell[None])[0])
    cells = np.array([cell_of("monoclinic", m) for m in metrics])
    volume = cells[:, :3].prod(axis=1)
    unique = cells[volume < 1.01 * volume.min(), 1]
    assert np.unique(unique.round(3)).tolist() == [6.0, 7.5, 9.3]


@pytest.mark.parametrize(
    ("family", "turn"), [("tetragonal", (2, 1)), ("tetragonal", (4, 1)), ("trigonal-hexagonal", (2, 1))]
)
def test_the_lines_of_a_cell_show_through_a_larger_turned_one(family, turn):
    """h'k' of a cell in the axes of one that is turned by (h, k): coincidence site lattices."""
    h, k = turn
    small = np.array([0.04, 0.02])
    factor = h * h + k * k + (h * k if family == "trigonal-hexagonal" else 0)
    hk = np.stack(np.meshgrid(np.arange(-3, 4), np.arange(-3, 4)), axis=-1).reshape(-1, 2)
    hk = hk[hk.any(axis=1)]
    turned = np.array([[h, k], [-k, h + (k if family == "trigonal-hexagonal" else 0)]])
    hkl = np.concatenate([hk @ turned, np.ones((len(hk), 1), dtype=np.int64)], axis=1)
    assert smallest(family, small / [factor, 1], hkl) == pytest.approx(small)

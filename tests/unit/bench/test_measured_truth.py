"""Which lattices count as right for a measured pattern, and patterns as laboratories process them."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from xtinct.lattices.bravais import reduced, same

_SCRIPT = Path(__file__).resolve().parents[3] / "benchmarks" / "observer" / "evaluate.py"


@pytest.fixture(scope="module")
def evaluate():
    path = list(sys.path)
    sys.path.insert(0, str(_SCRIPT.parent))
    spec = importlib.util.spec_from_file_location("evaluate_observer", _SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path[:] = path
    return module


def _right(cells, cell, letter):
    return any(same(reduced(np.array(cell), letter), one) for one in cells)


ROCK_SALT = [5.64, 5.64, 5.64, 90, 90, 90]


def test_a_group_tells_the_one_centring(evaluate):
    cells = evaluate.primitive_cells(np.array(ROCK_SALT), 225)
    assert _right(cells, ROCK_SALT, "F")
    assert not _right(cells, ROCK_SALT, "P")
    assert not _right(cells, ROCK_SALT, "I")


def test_without_a_group_every_centring_of_the_shape_is_right_and_no_other_cell(evaluate):
    cells = evaluate.primitive_cells(np.array(ROCK_SALT), None)
    assert all(_right(cells, ROCK_SALT, letter) for letter in "PIF")
    assert not _right(cells, [11.28, 5.64, 5.64, 90, 90, 90], "P")
    assert not _right(cells, [5.64, 5.64, 5.64, 90, 90, 90], "C")
    hexagonal = [4.99, 4.99, 17.06, 90, 90, 120]
    cells = evaluate.primitive_cells(np.array(hexagonal), None)
    assert _right(cells, hexagonal, "P")
    assert _right(cells, hexagonal, "R")
    assert not _right(cells, [4.99, 4.99, 8.53, 90, 90, 120], "P")


def test_axes_without_a_group_stand_in_any_order(evaluate):
    # A monoclinic cell with c unique, in place of b.
    turned = evaluate.primitive_cells(np.array([5.0, 7.0, 9.0, 90, 90, 105]), None)
    assert _right(turned, [7.0, 9.0, 5.0, 90, 105, 90], "P")
    assert _right(turned, [7.0, 9.0, 5.0, 90, 105, 90], "C")
    assert not _right(turned, [7.0, 9.0, 5.0, 90, 105, 90], "F")


def test_angles_that_a_row_lacks_are_those_of_its_family(evaluate):
    axes = dict(zip(("a", "b", "c"), ROCK_SALT, strict=False))
    row = axes | dict.fromkeys(("alpha", "beta", "gamma")) | {"spacegroup_number": 225}
    assert evaluate.told_cell(row).tolist() == ROCK_SALT
    assert evaluate.told_cell(row | {"a": None}) is None


@pytest.mark.parametrize("name", ["routine", "smoothed", "subtracted", "blurred"])
def test_processing_leaves_the_peaks_where_they_are(evaluate, name):
    angle = np.arange(3.0, 90.0, 0.01)
    centres = np.array([27.37, 31.70, 45.44, 56.47])
    y = 400 * np.exp(-angle / 30) + 60
    y += (5000 * np.exp(-(((angle[:, None] - centres) / 0.07) ** 2))).sum(axis=1)
    x, out = evaluate.PROCESSED[name](angle, np.random.default_rng(2).poisson(y).astype(float))
    assert (np.diff(x) > 0).all()
    for centre in centres:
        near = abs(x - centre) < 0.2
        assert np.average(x[near], weights=out[near]) == pytest.approx(centre, abs=0.01)
    if name in ("routine", "smoothed"):
        assert 5 <= x[0] < x[-1] <= 65
    if name in ("smoothed", "subtracted"):
        assert set(out) <= set(range(10_001))
        assert out.max() == 10_000
    if name == "subtracted":  # 60 to 420 counts were below the peaks
        assert np.median(out) < 25

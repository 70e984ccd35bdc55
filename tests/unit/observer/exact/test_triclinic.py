"""Triclinic lattices from the lines alone."""

import numpy as np
import pytest

import xtinct
from xtinct.api import DEFAULT_INSTRUMENT
from xtinct.lattices.cells import cell_of, form_indices
from xtinct.lattices.metric import form_metric, quadratic_forms, reciprocal_tensor
from xtinct.linelists.ulbd_lines import UlbdLines
from xtinct.observer.exact import triclinic
from xtinct.observer.exact.exact_observer import Observer
from xtinct.observer.exact.search import SearchLines

#: Published cells (Wyckoff, Crystal Structures, 1963-1968).
CRYSTALS = {
    "kyanite": [7.1262, 7.852, 5.5724, 89.99, 101.11, 106.03],
    "chalcanthite": [6.113, 10.712, 5.958, 82.30, 107.29, 102.57],
}


def volume(cell):
    metric = form_metric("triclinic", np.array([cell], dtype=float))[0]
    return np.linalg.det(reciprocal_tensor(metric)) ** -0.5


@pytest.mark.parametrize("name", CRYSTALS)
def test_a_triclinic_crystal_is_one_because_its_lattice_is_found(name):
    answer = Observer(DEFAULT_INSTRUMENT, "triclinic").predict(
        xtinct.ulbd_patterns(2, [CRYSTALS[name]], 1, 0)
    )[0]
    assert answer.family == "triclinic"
    assert volume(answer.lattice.cell) == pytest.approx(volume(CRYSTALS[name]), rel=1e-5)
    assert answer.lattice.merit > 100
    assert answer.hkl[answer.lines.clean].any(axis=1).mean() > 0.75
    assert answer.classes == [("triclinic", "P -", 1.0)]


def test_the_metric_follows_from_exact_lines():
    cell = CRYSTALS["kyanite"]
    lines = UlbdLines("triclinic", 0.6, 9.0, (80, 110)).draw(
        np.array([2]), np.array([cell]), np.array([0], np.uint64)
    )
    q = lines.d_star**2
    found = triclinic.metrics(SearchLines.of(q, 1e-5 * q), 1e-7 * q, shortest=2.0, longest=32.0)
    expected = triclinic.reduced(form_metric("triclinic", np.array([cell]))[0])
    assert found[0] == pytest.approx(expected, rel=1e-5, abs=1e-7)


def test_reduced_axes_are_those_of_the_same_lattice_however_it_is_written():
    metric = form_metric("triclinic", np.array([CRYSTALS["chalcanthite"]]))[0]
    expected = triclinic.reduced(metric)
    for turn in ([[1, 1, 0], [0, 1, 0], [0, 0, 1]], [[1, 0, 0], [2, -1, 1], [1, 0, -1]]):
        other = triclinic.of_tensor(np.array(turn) @ reciprocal_tensor(metric) @ np.array(turn).T)
        assert triclinic.reduced(other) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    a, b, c = cell_of("triclinic", expected)[:3]
    assert a <= b <= c


def test_a_lattice_with_a_twofold_axis_is_no_triclinic_one():
    """Monazite, whose lattice is monoclinic, where only triclinic groups are possible."""
    y = xtinct.ulbd_patterns(14, [[6.7902, 7.0203, 6.4674, 90, 103.38, 90]], 1, 0)
    assert Observer(DEFAULT_INSTRUMENT, "triclinic").predict(y)[0].lattice is None


def test_indices_of_forms():
    hkl = np.array([[1, -2, 3], [0, 2, -1], [0, 0, 4], [2, 0, -1]])
    forms = quadratic_forms("triclinic", hkl)
    assert (form_indices("triclinic", forms) == hkl).all()

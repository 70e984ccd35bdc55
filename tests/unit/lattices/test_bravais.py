"""Relations, symmetry and names of lattices, against gemmi."""

import gemmi
import numpy as np
import pytest

from xtinct.errors import XtinctError
from xtinct.lattices import bravais
from xtinct.lattices.metric import (
    cells_of_tensors,
    direct_tensor,
    form_metric,
    reciprocal_tensor,
    volume_of_metric,
)
from xtinct.symmetry.families import FAMILIES

CELL = np.array([5.41, 6.83, 8.07, 83.2, 76.4, 71.9])
#: A change of axes (determinant 1).
TURN = np.array([[1, 1, 0], [0, 1, 1], [0, 0, 1]]) @ np.array([[1, 0, 0], [-1, 1, 0], [2, 0, 1]])


def turned(cell: np.ndarray, turn: np.ndarray) -> np.ndarray:
    return cells_of_tensors(turn @ direct_tensor(cell) @ turn.T)


def test_same_lattice_on_other_axes():
    assert bravais.same(bravais.reduced(CELL), bravais.reduced(turned(CELL, TURN)), 1e-6, 1e-4)
    assert not bravais.same(CELL, CELL * np.array([1.04, 1, 1, 1, 1, 1]))


@pytest.mark.parametrize("index", [2, 3, 4])
def test_sublattice_and_superlattice_by_index(index):
    for form in bravais.hermite(index)[::index]:
        large = bravais.reduced(turned(CELL, form))
        assert bravais.relation(large, CELL) == index
        assert bravais.relation(CELL, large) == pytest.approx(1 / index)


def test_number_of_sublattices():
    # Sublattices of index n of Z^3: sum of d^2 sigma(n / d)-like; 7, 13, 35 for 2, 3, 4 (OEIS A001001).
    assert [len(bravais.hermite(n)) for n in (2, 3, 4)] == [7, 13, 35]


def test_neighbours_undo_each_other():
    for cell in bravais.neighbours(CELL, 2, larger=True):
        back = [bravais.reduced(x) for x in bravais.neighbours(cell, 2, larger=False)]
        assert any(bravais.same(x, bravais.reduced(CELL), 1e-6, 1e-4) for x in back)


@pytest.mark.parametrize(
    ("family", "centring", "name"),
    [
        ("cubic", "F", "cF"),
        ("orthorhombic", "A", "oC"),
        ("monoclinic", "I", "mC"),
        ("trigonal-hexagonal", "R", "hR"),
    ],
)
def test_bravais_names(family, centring, name):
    assert bravais.bravais(family, centring) == name


def test_bravais_of_no_lattice_is_refused():
    with pytest.raises(XtinctError, match="tetragonal"):
        bravais.bravais("tetragonal", "F")


@pytest.mark.parametrize(
    ("centring", "cell", "family"),
    [
        ("F", (8.4, 8.4, 8.4, 90, 90, 90), "cubic"),
        ("R", (8.1, 8.1, 13.7, 90, 90, 120), "trigonal-hexagonal"),
        ("I", (5.8, 5.8, 12.9, 90, 90, 90), "tetragonal"),
        ("C", (8.3, 11.2, 6.2, 90, 90, 90), "orthorhombic"),
        ("C", (11.3, 7.2, 8.0, 90, 107.0, 90), "monoclinic"),
    ],
)
def test_lifted_finds_the_conventional_cell(centring, cell, family):
    primitive = bravais.reduced(np.array(cell, dtype=float), centring)
    high = bravais.lifted(primitive, 0.01)
    assert high.family == family
    again = bravais.reduced_of(high.family, high.metric, high.centring)
    assert bravais.same(again, primitive, 1e-4, 0.01)
    volume = gemmi.UnitCell(*cell).volume
    assert volume_of_metric(high.metric @ FAMILIES[family].general) == pytest.approx(volume, rel=1e-3)


def test_general_metric_gives_the_spacing_of_gemmi():
    for family, cell in (
        ("trigonal-hexagonal", (7.0, 7.0, 8.9, 90, 90, 120)),
        ("monoclinic", (6.2, 7.9, 8.9, 90, 103.7, 90)),
        ("triclinic", tuple(CELL)),
    ):
        metric = form_metric(family, np.array([cell], dtype=float))[0]
        h = np.array([2, -1, 3])
        tensor = reciprocal_tensor(metric @ FAMILIES[family].general)
        assert h @ tensor @ h == pytest.approx(gemmi.UnitCell(*cell).calculate_1_d2(h.tolist()), rel=1e-9)


@pytest.mark.parametrize("cell", [(1.8773, 0.4693, 36.3767, 90, 90, 120), (0.9, 9, 9, 90, 90, 90)])
def test_lattices_that_repeat_within_an_atom_are_not_lifted(cell):
    """In the first, a candidate of a measured pattern, the search for symmetry never ends."""
    assert bravais.lifted(np.array(cell), 0.06) is None
    assert bravais.lifted(np.array(cell) * [9, 9, 1, 1, 1, 1], 0.06) is not None


def test_lattices_with_vectors_of_the_same_lengths_need_not_be_one():
    # 6.403 is a diagonal of the first; volumes differ by 4 %, and no three vectors are those of the second.
    first = np.array([3.0, 4.0, 5.0, 90.0, 90.0, 90.0])
    second = np.array([3.0, 3.0, 6.403, 90.0, 90.0, 90.0])
    assert not bravais.same(first, second)
    assert bravais.same(first, np.array([3.05, 3.95, 5.1, 90.5, 89.5, 90.0]))

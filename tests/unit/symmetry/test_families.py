"""What the table of families says of lattices, against the operations of the space groups."""

import numpy as np
import pytest

from xtinct.lattices.metric import form_metric, quadratic_forms
from xtinct.symmetry.families import BY_SYMMETRY, CRYSTAL_SYSTEMS, FAMILIES, space_groups
from xtinct.symmetry.operations import operations


def invariant_metrics(number: int) -> np.ndarray:
    """Basis (p, 6) of the reciprocal metrics g11 g22 g33 2g23 2g13 2g12 that a group leaves as they are."""
    rotations = operations(number).rotations.astype(float)
    columns = []
    for i, j in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)):
        tensor = np.zeros((3, 3))
        tensor[i, j] = tensor[j, i] = 1.0
        mean = np.mean([turn @ tensor @ turn.T for turn in rotations], axis=0)
        columns.append([*np.diag(mean), 2 * mean[1, 2], 2 * mean[0, 2], 2 * mean[0, 1]])
    return np.array(columns)


@pytest.mark.parametrize("family", FAMILIES)
def test_metrics_are_those_that_the_groups_leave_invariant(family):
    general = FAMILIES[family].general
    for number in space_groups(family):
        invariant = invariant_metrics(number)
        assert np.linalg.matrix_rank(invariant) == len(general)
        assert np.linalg.matrix_rank(np.concatenate([invariant, general])) == len(general)


@pytest.mark.parametrize("family", FAMILIES)
def test_order_is_that_of_the_largest_laue_group(family):
    largest = 0
    for number in space_groups(family):
        rotations = operations(number).rotations.reshape(-1, 9)
        largest = max(largest, len(np.unique(np.concatenate([rotations, -rotations]), axis=0)))
    assert FAMILIES[family].order == largest


@pytest.mark.parametrize("family", FAMILIES)
def test_free_parameters_are_as_many_as_the_metric_has(family):
    own = FAMILIES[family]
    assert len(own.parameters) == len(own.forms) == len(own.shape) + 1
    assert len(form_metric(family, np.array([own.example]))[0]) == len(own.forms)
    assert quadratic_forms(family, np.eye(3, dtype=int)).shape == (3, len(own.forms))


def test_families_hold_every_system_once():
    assert sorted(s for family in FAMILIES.values() for s in family.systems) == sorted(CRYSTAL_SYSTEMS)
    assert [FAMILIES[name].letter for name in BY_SYMMETRY] == list("chtoma")

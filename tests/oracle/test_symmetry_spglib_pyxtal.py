"""Packaged operations against spglib and Wyckoff positions against PyXtal, for every group."""

from functools import lru_cache
from itertools import product

import numpy as np
import pytest
import spglib

from xtinct.symmetry.operations import operations, wyckoff_positions


@pytest.fixture(autouse=True)
def spglib_raises(monkeypatch):
    """spglib's new error handling: exceptions. The old one warns at every call."""
    monkeypatch.setenv("SPGLIB_OLD_ERROR_HANDLING", "false")


# PyXtal exchanges the letters of 24i (1/2, y, -y) and 24j (1/2, y, y+1/2) of Pn-3m; spglib agrees with
# the packaged table (`test_spglib_names_the_disputed_positions_as_we_do`).
PYXTAL_LETTERS = {(224, "i"): "j", (224, "j"): "i"}


@lru_cache
def standard_hall_numbers() -> dict[int, int]:
    """Space group -> spglib's Hall number of unique axis b, origin choice 2, hexagonal axes."""
    chosen: dict[int, int] = {}
    for hall in range(1, 531):
        kind = spglib.get_spacegroup_type(hall)
        if kind.number not in chosen or kind.choice in ("2", "H"):
            chosen[kind.number] = hall
    return chosen


@pytest.mark.parametrize("number", range(1, 231))
def test_spglib_has_the_same_operations(number):
    theirs = spglib.get_symmetry_from_database(standard_hall_numbers()[number])
    translations = np.rint(theirs["translations"] * 24).astype(int) % 24
    expected = {
        (tuple(map(int, r.ravel())), tuple(map(int, t)))
        for r, t in zip(theirs["rotations"], translations, strict=True)
    }
    ours = operations(number)
    found = {
        (tuple(map(int, r.ravel())), tuple(map(int, t)))
        for r, t in zip(ours.rotations, ours.translations, strict=True)
    }
    assert found == expected


@pytest.mark.parametrize("number", range(1, 231))
def test_pyxtal_has_the_same_wyckoff_positions(number):
    pyxtal_symmetry = pytest.importorskip("pyxtal.symmetry")
    theirs = {w.letter: w for w in pyxtal_symmetry.Group(number).Wyckoff_positions}
    ours = wyckoff_positions(number)
    assert [w.letter for w in ours] == sorted(theirs, key=lambda letter: (letter.isupper(), letter))
    group = operations(number)
    rotations, translations = group.rotations.astype(float), group.translations / 24
    shifts = np.array(list(product((-1, 0, 1), repeat=3)), dtype=float)
    for position in ours:
        other = theirs[PYXTAL_LETTERS.get((number, position.letter), position.letter)]
        assert position.multiplicity == other.multiplicity
        assert position.freedom == other.get_dof()
        # Some image of PyXtal's point lies on our representative point, line, plane or volume.
        affine = other.ops[0].affine_matrix
        point = affine[:3, :3] @ np.array([0.1371, 0.2943, 0.4217]) + affine[:3, 3]
        images = (rotations @ point + translations) % 1
        images = (images[:, None] + shifts).reshape(-1, 3)
        rotation = position.rotations[0]
        off = (images - position.translations[0]) @ (np.eye(3) - rotation @ np.linalg.pinv(rotation)).T
        assert np.abs(off).max(axis=1).min() < 1e-9


@pytest.mark.parametrize(("number", "letter"), PYXTAL_LETTERS)
def test_spglib_names_the_disputed_positions_as_we_do(number, letter):
    positions = {p.letter: p for p in wyckoff_positions(number)}
    general, special = list(positions.values())[-1], positions[letter]
    parameters = np.array([0.1371, 0.2943, 0.4217])
    points = [(p.rotations @ parameters + p.translations) % 1 for p in (special, general)]
    species = [1] * len(points[0]) + [2] * len(points[1])
    found = spglib.get_symmetry_dataset((np.eye(3) * 10, np.concatenate(points), species), 1e-4)
    assert (found.number, found.wyckoffs[0]) == (number, letter)

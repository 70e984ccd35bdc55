"""Operations and Wyckoff positions as groups and orbits, without any engine."""

import numpy as np
import pytest

from xtinct.errors import XtinctError
from xtinct.symmetry.operations import (
    bravais_lattice,
    hermann_mauguin,
    laue_class,
    operations,
    point_group,
    wyckoff_positions,
)

GROUPS = range(1, 231)


@pytest.mark.parametrize("number", GROUPS)
def test_operations_form_a_group(number):
    group = operations(number)
    elements = {(r.tobytes(), t.tobytes()) for r, t in zip(group.rotations, group.translations, strict=True)}
    assert len(elements) == len(group)
    for rotation, translation in zip(group.rotations[:8], group.translations[:8], strict=True):
        products = rotation @ group.rotations
        moved = (group.translations.astype(int) @ rotation.astype(int).T + translation) % 24
        composed = {(r.tobytes(), t.tobytes()) for r, t in zip(products, moved.astype(np.int8), strict=True)}
        assert composed == elements


@pytest.mark.parametrize("number", GROUPS)
def test_wyckoff_positions_are_orbits(number):
    """The points of a position are one orbit of the group; its stabiliser has order |G| / multiplicity."""
    group = operations(number)
    positions = wyckoff_positions(number)
    assert [p.letter for p in positions] == list("abcdefghijklmnopqrstuvwxyzA")[: len(positions)]
    assert positions[-1].freedom == 3
    assert positions[-1].multiplicity == len(group)
    parameters = np.array([0.1371, 0.2943, 0.4217])
    for position in positions:
        points = (position.rotations @ parameters + position.translations) % 1
        orbit = (group.rotations @ points[0] + group.translations / 24) % 1
        difference = abs((orbit[:, None] - points + 0.5) % 1 - 0.5).max(axis=2)
        hits = (difference < 1e-9).sum(axis=0)
        assert (difference.min(axis=1) < 1e-9).all()
        assert (hits == len(group) // position.multiplicity).all()
        assert np.linalg.matrix_rank(position.rotations[0]) == position.freedom


def test_famous_groups():
    assert hermann_mauguin(14) == "P 1 21/c 1"
    assert hermann_mauguin(225) == "F m -3 m"
    assert (bravais_lattice(38), bravais_lattice(166), bravais_lattice(227)) == ("oC", "hR", "cF")
    # Rock salt: 4a and 4b of Fm-3m have full symmetry, 8c is the tetrahedral hole of fluorite.
    sites = {p.letter: (p.multiplicity, p.site_symmetry) for p in wyckoff_positions(225)}
    assert sites["a"] == sites["b"] == (4, "m-3m")
    assert sites["c"] == (8, "-43m")


def test_numbers_of_types():
    assert len({bravais_lattice(number) for number in GROUPS}) == 14
    assert len({point_group(number) for number in GROUPS}) == 32
    assert len({laue_class(number) for number in GROUPS}) == 11
    assert sum(len(wyckoff_positions(number)) for number in GROUPS) == 1731


@pytest.mark.parametrize("number", [0, 231, -1])
def test_numbers_outside_the_tables_are_refused(number):
    with pytest.raises(XtinctError, match="between 1 and 230"):
        operations(number)

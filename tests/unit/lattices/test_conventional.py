"""Conventional cells and indices of the crystal families."""

from xtinct.lattices.conventional import conventional_hkl


def test_reflections_are_named_as_in_tables():
    """Halite (PDF 5-628), calcite (PDF 5-586) and gypsum list these indices."""
    assert conventional_hkl("cubic", [[0, 0, 2], [2, 0, -2], [1, 3, 1]]).tolist() == [
        [2, 0, 0],
        [2, 2, 0],
        [3, 1, 1],
    ]
    named = conventional_hkl(
        "trigonal-hexagonal", [[1, 0, 2], [-1, 0, 4], [1, 1, 0], [-1, 2, 3]], obverse=True
    )
    assert named.tolist() == [[0, 1, 2], [1, 0, 4], [1, 1, 0], [1, 1, 3]]
    assert conventional_hkl("tetragonal", [[1, 3, -2]]).tolist() == [[3, 1, 2]]
    assert conventional_hkl("monoclinic", [[-1, -2, 1], [0, -1, -2]]).tolist() == [[1, 2, -1], [0, 1, 2]]
    assert conventional_hkl("triclinic", [[0, -1, 2]]).tolist() == [[0, 1, -2]]

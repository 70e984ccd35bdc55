"""Space groups that no crystal with few atoms of each element can have."""

from functools import lru_cache

import moyopy
import numpy as np

from xtinct.lattices.conventional import conventional_cell
from xtinct.lattices.metric import cell_basis
from xtinct.randomness import stream_key, uniform
from xtinct.symmetry.families import family_of
from xtinct.symmetry.operations import wyckoff_positions

#: Atoms of each element in the cell, fewest and most, of the seed paper's recipe.
RECIPE_ATOMS = (1, 30)
#: A cell without any accidental symmetry, angstrom and degree; the family's metric is put on it.
_CELL = (9.1, 11.3, 13.9, 83.1, 101.3, 71.7)
#: Elements on each position that has a free coordinate: what one of them may have in common with a
#: supergroup by its choice of the origin, three at general coordinates have not.
_COPIES = 3


@lru_cache(maxsize=1024)
def group_within(number: int, most: int) -> int | None:
    """Space group of the least symmetric crystal of group `number` with `most` atoms of each element.

    In that crystal every position of at most `most` points of the conventional cell is filled, each time
    by an element of its own at general coordinates. Taking atoms away or making elements equal never
    lowers the symmetry: if the answer is not `number`, no crystal with at most `most` atoms of each
    element and conventional cell has that group. None if no position is that small.
    """
    key = stream_key(0, "reach", number)
    frac, elements = [], []
    for position in wyckoff_positions(number):
        if position.multiplicity > most:
            continue
        for _ in range(_COPIES if position.freedom else 1):
            n = np.uint64(3 * len(frac))
            point = np.array([uniform(key, n + np.uint64(i)) for i in range(3)])
            elements += [1 + len(frac)] * position.multiplicity
            frac.append(position.rotations @ point + position.translations)
    if not frac:
        return None
    basis = cell_basis(conventional_cell(family_of(number), np.array(_CELL)))
    crystal = moyopy.Cell(basis.tolist(), (np.concatenate(frac) % 1.0).tolist(), elements)
    return moyopy.MoyoDataset(crystal, symprec=1e-5).number

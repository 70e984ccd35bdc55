"""How often crystals have the metric of a higher family, counted in a table of structures.

    python benchmarks/observer/pseudosymmetry.py STRUCTURES.parquet [--most 3000]

STRUCTURES has columns a b c alpha beta gamma (conventional cell of the standard setting) and
spacegroup_number. Of every Bravais lattice at most so many crystals are drawn; counts are scaled up to
all. For every Bravais lattice F, and every next lower family L, prints the number of crystals of L whose
lattice is that of F within a strain, for 100 crystals of F: the table of
`xtinct.observer.judging.pseudosymmetry`. A lattice is F within a strain when moyo finds the symmetry of F in it
with that share of its mean primitive axis as the tolerance of distances.
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from xtinct.lattices.bravais import bravais, lifted, reduced
from xtinct.observer.judging.pseudosymmetry import LOWER, STRAINS
from xtinct.symmetry.families import FAMILIES, family_of
from xtinct.symmetry.operations import bravais_lattice, centring

_CELL = ("a", "b", "c", "alpha", "beta", "gamma")


def near(cell: np.ndarray, family: str, within: float) -> str | None:
    """Bravais lattice of a higher family that a reduced cell has within a strain; None without one."""
    high = lifted(cell, within * float(cell[:3].mean()))
    if high is None or FAMILIES[high.family].order <= FAMILIES[family].order:
        return None
    return bravais(high.family, high.centring)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("structures", type=Path)
    parser.add_argument("--most", type=int, default=3000, help="crystals of a Bravais lattice that are drawn")
    options = parser.parse_args()
    table = pq.read_table(options.structures, columns=[*_CELL, "spacegroup_number"])
    numbers = table["spacegroup_number"].to_numpy()
    cells = np.column_stack([table[name].to_numpy() for name in _CELL]).astype(np.float64)
    kinds = np.array([bravais_lattice(int(n)) for n in range(1, 231)])[numbers - 1]
    draw = np.random.Generator(np.random.PCG64(0))
    total = Counter(kinds.tolist())
    found: Counter = Counter()
    for kind in sorted(total):
        rows = np.flatnonzero(kinds == kind)
        drawn = draw.permutation(rows)[: options.most]
        for i in drawn:
            number = int(numbers[i])
            cell = reduced(cells[i], centring(number))
            for within in STRAINS:
                high = near(cell, family_of(number), within)
                if high is not None:
                    found[high, family_of(number), within] += len(rows) / len(drawn)
    for high, lower in LOWER.items():
        for low in lower:
            shares = ", ".join(f"{100 * found[high, low, s] / total[high]:.2f}" for s in STRAINS)
            print(f'    ("{high}", "{low}"): ({shares}),  # {total[high]}')


if __name__ == "__main__":
    main()

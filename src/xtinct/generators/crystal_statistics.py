"""What real crystals look like, learned from a table of structures and kept as readable JSON.

After Schopmans et al. (Digital Discovery 2, 1414, 2023): elements, their number, the Wyckoff positions that
each fills, the packing factor given the atoms' volume, and the shape of the lattice. Counts are kept per
space group; the draws mix them with those of the crystal family and of all groups (`sampling`), so
that groups with few or no known crystals work as well.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import gemmi
import moyopy
import numpy as np

from xtinct.errors import XtinctError
from xtinct.files.parquet import open_parquet, read_batches
from xtinct.files.schema import CELL, STRUCTURES, check_table
from xtinct.files.writing import write_json
from xtinct.generators.sampling import STATISTICS
from xtinct.lattices.metric import cell_volume
from xtinct.lattices.shapes import shape_of_cell
from xtinct.randomness import stream_key
from xtinct.structures.crystal import Crystal
from xtinct.structures.parsing import read_cleaned
from xtinct.structures.standard import moyo_dataset, species_numbers
from xtinct.symmetry.families import FAMILIES, family_of
from xtinct.symmetry.operations import bravais_lattice

#: Lattices kept per Bravais type: those of smallest hash, so that the choice depends on no order.
_MAX_SHAPES = 1000
#: Crystals that a bin of atomic volumes holds at least, and the largest number of bins.
_BIN_CRYSTALS, _MAX_BINS = 40, 16
#: Quantiles of the packing factor that are kept of each bin.
_QUANTILES = np.linspace(0, 1, 21)
#: Structures of the table are known to this tolerance; their cells were symmetrised, so it may be tight.
_SYMPREC = 1e-4


def learn(structures: str | Path, only: Collection[str] | None = None) -> dict[str, Any]:
    """Statistics of the ordered crystals in a table of schema STRUCTURES, or of those with an id in `only`.

    Crystals with shared or partly occupied sites are left out and counted (`left_out`), as are those whose
    symmetry is not found again. XtinctError if nothing is left.
    """
    file = open_parquet(structures)
    check_table(file.schema_arrow, STRUCTURES, str(structures))
    groups: dict[int, dict[str, Counter]] = {}
    elements: Counter[str] = Counter()
    packing: dict[str, list[tuple[float, float]]] = {family: [] for family in FAMILIES}
    shapes: dict[str, list[tuple[int, list[float]]]] = {}
    left_out: Counter[str] = Counter()
    for number, cell, identifier, crystal in _crystals(file, only):
        orbits = None if crystal.disordered else _orbits(crystal, number)
        if orbits is None:
            left_out["disordered" if crystal.disordered else "symmetry_not_found_again"] += 1
            continue
        counts = groups.setdefault(number, {name: Counter() for name in _COUNTS})
        counts["structures"]["n"] += 1
        per_element = Counter(symbol for symbol, _ in orbits)
        counts["elements"].update(per_element.keys())
        counts["n_elements"][str(len(per_element))] += 1
        counts["repetitions"].update(str(n) for n in per_element.values())
        counts["wyckoff"].update(letter for _, letter in orbits)
        elements.update(per_element.keys())
        volume = cell_volume(cell)
        spheres = sum(n * sphere_volume(symbol) for symbol, n in crystal.composition().items())
        packing[family_of(number)].append((spheres, volume / spheres))
        key = int(stream_key(0, "shape", identifier))
        shapes.setdefault(bravais_lattice(number), []).append((key, shape_of_cell(family_of(number), cell)))
    if not groups:
        raise XtinctError(f"{structures}: no ordered crystal to learn from ({dict(left_out)})")
    return {
        "format": STATISTICS[0],
        "version": STATISTICS[1],
        "structures": sum(counts["structures"]["n"] for counts in groups.values()),
        "left_out": dict(left_out),
        "elements": {symbol: {"count": n, **element_sizes(symbol)} for symbol, n in elements.items()},
        "groups": {
            str(number): {
                "structures": counts["structures"]["n"],
                **{name: dict(counts[name]) for name in _COUNTS if name != "structures"},
            }
            for number, counts in groups.items()
        },
        "packing": {
            name: _packing_table(pairs)
            for name, pairs in {
                **packing,
                "all": [pair for pairs in packing.values() for pair in pairs],
            }.items()
            if pairs
        },
        "shapes": {lattice: _shape_table(found) for lattice, found in shapes.items()},
    }


_COUNTS = ("structures", "elements", "n_elements", "repetitions", "wyckoff")


def learn_to_file(
    structures: str | Path, out: str | Path, only: Collection[str] | None = None
) -> dict[str, Any]:
    """`learn`, written to `out` as JSON with sorted keys."""
    statistics = learn(structures, only)
    write_json(out, statistics, indent=1)
    return statistics


def _crystals(file, only: Collection[str] | None) -> Iterator[tuple[int, np.ndarray, str, Crystal]]:
    columns = ["structure_id", "spacegroup_number", "cif", *CELL]
    for batch in read_batches(file, 256, columns):
        for row in batch.to_pylist():
            if only is not None and row["structure_id"] not in only:
                continue
            crystal = read_cleaned(row["cif"])
            yield (
                row["spacegroup_number"],
                np.array([row[name] for name in CELL]),
                row["structure_id"],
                crystal,
            )


def _orbits(crystal: Crystal, number: int) -> list[tuple[str, str]] | None:
    """(element, Wyckoff letter) of each occupied position; None if the group is not found again."""
    numbers, _ = species_numbers(crystal.species)
    cell = moyopy.Cell(crystal.basis.tolist(), crystal.frac.tolist(), numbers)
    try:
        found = moyo_dataset(cell, symprec=_SYMPREC, setting=moyopy.Setting.standard())
    except ValueError:
        return None
    if found.number != number:
        return None
    return [(crystal.species[i][0][0], found.wyckoffs[i]) for i in sorted(set(found.orbits))]


def sphere_volume(symbol: str) -> float:
    """Volume (cubic angstrom) of a sphere midway between the covalent and the van der Waals radius."""
    element = gemmi.Element(symbol)
    return 4 / 3 * np.pi * ((element.covalent_r + element.vdw_r) / 2) ** 3


def element_sizes(symbol: str) -> dict[str, float]:
    """Atomic number, covalent radius (angstrom) and `sphere_volume` of an element."""
    element = gemmi.Element(symbol)
    return {
        "atomic_number": element.atomic_number,
        "covalent_radius": round(element.covalent_r, 4),
        "sphere_volume": round(sphere_volume(symbol), 4),
    }


def _packing_table(pairs: list[tuple[float, float]]) -> dict[str, Any]:
    """Quantiles of the packing factor (cell volume / sphere volume) in bins of sphere volume."""
    table = np.array(sorted(pairs))
    n_bins = int(np.clip(len(table) // _BIN_CRYSTALS, 1, _MAX_BINS))
    bins = np.array_split(table, n_bins)
    return {
        "crystals": len(table),
        "sphere_volume_edges": [_short(b[0, 0]) for b in bins[1:]],
        "factor_quantiles": [[_short(q) for q in np.quantile(b[:, 1], _QUANTILES)] for b in bins],
    }


def _shape_table(found: list[tuple[int, list[float]]]) -> dict[str, Any]:
    """Lattice shapes and the kernel (lower triangle of its covariance's root) that smooths them."""
    shapes = np.array([shape for _, shape in found], dtype=np.float64)
    n, d = shapes.shape
    root = np.zeros((d, d))
    if d and n > 1:
        # Scott's rule (Multivariate Density Estimation, 1992); the small term keeps equal shapes apart.
        covariance = np.atleast_2d(np.cov(shapes.T)) * n ** (-2 / (d + 4))
        root = np.linalg.cholesky(covariance + 1e-8 * np.eye(d))
    kept = [shape for _, shape in sorted(found)[:_MAX_SHAPES]]
    return {
        "crystals": n,
        "kernel": [[_short(value) for value in row] for row in root.tolist()],
        "samples": [[_short(value) for value in shape] for shape in kept],
    }


def _short(value: float) -> float:
    return float(f"{value:.6g}")

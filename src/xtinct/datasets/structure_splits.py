"""All splits of a table of structures side by side, and which structures are the same crystal."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from xtinct.datasets.splits import STRUCTURE_COLUMNS, STRUCTURE_KINDS, structure_parts
from xtinct.files.parquet import open_parquet, write_parquet
from xtinct.files.schema import CELL, STRUCTURE_SPLITS, STRUCTURES, check_table

#: Two structures of one protostructure and formula whose cells differ by no more are one crystal:
#: relative difference of lengths, difference of angles in degrees.
LENGTH_TOLERANCE, ANGLE_TOLERANCE = 0.02, 1.0

_COLUMNS = (*STRUCTURE_COLUMNS, "spacegroup_number", *CELL)


def write_structure_splits(
    structures: str | Path, out: str | Path, *, fractions: Mapping[str, float], seed: int
) -> dict[str, int]:
    """Write STRUCTURE_SPLITS for a table of STRUCTURES; returns how many rows and duplicates it has.

    Duplicates are linked, not removed, within and across sources. Every structure of a table that is
    ordered by structure_id points to the first one of its crystal.
    """
    file = open_parquet(structures)
    check_table(file.schema_arrow, STRUCTURES, str(structures))
    # Only what decides: 155,000 structures take some 50 MB.
    rows = file.read(columns=list(_COLUMNS)).to_pydict()
    first = first_of_each_crystal(rows)
    counts = {
        "structures": len(first),
        "duplicates": sum(a != b for a, b in zip(first, rows["structure_id"], strict=True)),
    }
    columns = {"structure_id": rows["structure_id"]}
    for kind in STRUCTURE_KINDS:
        columns[kind] = structure_parts(
            kind, list(_rows(rows)), range(len(first)), total=len(first), fractions=fractions, seed=seed
        )
    columns["duplicate_of"] = first
    table = pa.Table.from_pydict(columns, schema=STRUCTURE_SPLITS)
    write_parquet(out, [table], STRUCTURE_SPLITS, {"seed": seed, "fractions": dict(fractions)})
    return counts


def _rows(columns: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    for values in zip(*(columns[name] for name in STRUCTURE_COLUMNS), strict=True):
        yield dict(zip(STRUCTURE_COLUMNS, values, strict=True))


def first_of_each_crystal(rows: Mapping[str, list[Any]]) -> list[str]:
    """For each structure, the id of the first one with its protostructure, formula and cell.

    `rows`: columns of STRUCTURES. Without a protostructure, space group and formula decide. Cells are
    compared with the first structure of each crystal, so a chain of small differences does not grow.
    """
    cells = np.column_stack([np.asarray(rows[name], dtype=np.float64) for name in CELL])
    firsts: dict[tuple[Any, ...], list[int]] = {}
    found = []
    labels = zip(rows["protostructure"], rows["spacegroup_number"], rows["formula"], strict=True)
    for i, label in enumerate(labels):
        known = firsts.setdefault(label, [])
        match = next((j for j in known if _same_cell(cells[i], cells[j])), None)
        if match is None:
            known.append(i)
            match = i
        found.append(rows["structure_id"][match])
    return found


def _same_cell(a: np.ndarray, b: np.ndarray) -> bool:
    lengths = np.abs(a[:3] / b[:3] - 1).max() <= LENGTH_TOLERANCE
    return bool(lengths and np.abs(a[3:] - b[3:]).max() <= ANGLE_TOLERANCE)

"""Real structures without the types of measured test patterns: what tells symmetry from recognition."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xtinct.datasets.merging import Identity
from xtinct.errors import XtinctError
from xtinct.files.parquet import file_metadata, open_parquet, read_table, write_parquet
from xtinct.files.schema import CELL, LINES, MEASURED_PATTERNS, STRUCTURES, check_table
from xtinct.structures.formulas import amounts_in
from xtinct.structures.labels import prototype

#: Relative departure of the sorted axes up to which cells of one space group count as the same type.
SAME_AXES = 0.04
_COLUMNS = ("structure_id", "formula", "spacegroup_number", "protostructure", *CELL[:3])


@dataclass(frozen=True)
class TypeMarks:
    """What tells types: formulas as written, space groups (0: unknown), sorted axes (n, 3) in angstrom."""

    formulas: Sequence[str]
    numbers: np.ndarray
    axes: np.ndarray

    @cached_property
    def compositions(self) -> list[tuple]:
        """Elements with their shares, hydrogen left out; () where the formula is none."""
        return [_composition(formula) for formula in self.formulas]

    @cached_property
    def anonymous(self) -> list[set[tuple]]:
        """(space group, shares of the atoms without their elements), with hydrogen and without it."""
        found = []
        for formula, number in zip(self.formulas, self.numbers, strict=True):
            both = (_composition(formula, hydrogen=keep) for keep in (True, False))
            found.append({(int(number), tuple(sorted(x for _, x in c))) for c in both if c and number})
        return found


def without_types(structures: str | Path, patterns: Sequence[str | Path]) -> np.ndarray:
    """Ids of the structures that share no type with a measured pattern, object (k,), in their order.

    structures  table STRUCTURES
    patterns    tables MEASURED_PATTERNS

    Left out is a structure of a pattern's composition (hydrogen not counted), or of its space group with its
    anonymous formula (hydrogen counted or not) or with its axes within SAME_AXES; and every structure that is
    isopointal to one of these with the pattern's space group. Labels are compared as far as they go: one with
    neither formula nor space group leaves out nothing. XtinctError where a table is missing or another one.
    """
    rows = _read(structures, STRUCTURES, _COLUMNS)
    known = _marks(rows)
    labels = _labels(patterns)
    same, own = _shared(known, labels)
    types = [prototype(x) if x else "" for x in rows["protostructure"].to_pylist()]
    taken = {types[i] for i in np.flatnonzero(own)} - {""}
    left_out = same | np.array([name in taken for name in types], dtype=bool)
    return np.array(rows["structure_id"].to_pylist(), dtype=object)[~left_out]


def write_apart(
    lines: str | Path, structures: str | Path, patterns: Sequence[str | Path], out: str | Path
) -> tuple[int, int]:
    """Write the rows of line lists whose structures are of `without_types`; (rows read, rows written).

    lines  table LINES of real structures, one family; others as of `without_types`

    The file says what it follows from as that of `lines` does, and beside it `types_left_out`, the names of
    the pattern sets.
    """
    kept = pa.array(without_types(structures, patterns).tolist(), pa.string())
    with open_parquet(lines) as file:
        check_table(file.schema_arrow, LINES, str(lines))
        origins = file.read(columns=["origin"])["origin"]
    rows = pc.sum(pc.is_in(origins, value_set=kept)).as_py() or 0

    def tables() -> Iterator[pa.Table]:
        with open_parquet(lines) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                yield table.filter(pc.is_in(table["origin"], value_set=kept))

    stored = file_metadata(lines)
    config = {**stored.get("config", {}), "types_left_out": [Path(path).stem for path in patterns]}
    identity = Identity(stored.get("dataset", "cddd"), stored.get("seed", 0), config)
    write_parquet(out, tables(), LINES, {**identity.metadata(), "rows": rows})
    return len(origins), rows


def _shared(known: TypeMarks, labels: TypeMarks) -> tuple[np.ndarray, np.ndarray]:
    """Bool (n,): which share a type with any label; and which of them have a label's space group too."""
    compositions = set(labels.compositions) - {()}
    patterns = set().union(*labels.anonymous)
    compound = np.array([c in compositions for c in known.compositions], dtype=bool)
    alike = np.array([not patterns.isdisjoint(p) for p in known.anonymous], dtype=bool)
    near = np.zeros(len(known.formulas), dtype=bool)
    for number, axes in zip(labels.numbers, labels.axes, strict=True):
        if number and np.isfinite(axes).all():
            rows = np.flatnonzero(known.numbers == number)
            near[rows] |= (np.abs(known.axes[rows] / axes - 1) < SAME_AXES).all(axis=1)
    same_group = np.isin(known.numbers, labels.numbers[labels.numbers > 0])
    return compound | alike | near, (compound & same_group) | alike | near


def _marks(rows: pa.Table) -> TypeMarks:
    axes = np.stack([rows[name].to_numpy(zero_copy_only=False).astype(float) for name in CELL[:3]], axis=1)
    numbers = np.array([number or 0 for number in rows["spacegroup_number"].to_pylist()], dtype=np.int64)
    return TypeMarks(rows["formula"].to_pylist(), numbers, np.sort(axes, axis=1))


def _labels(patterns: Sequence[str | Path]) -> TypeMarks:
    columns = ("formula", "spacegroup_number", *CELL[:3])
    tables = [_read(path, MEASURED_PATTERNS, columns) for path in patterns]
    if not tables:
        raise XtinctError("patterns: no set of measured patterns whose types could be left out")
    return _marks(pa.concat_tables(tables))


def _read(path: str | Path, schema: pa.Schema, columns: Sequence[str]) -> pa.Table:
    with open_parquet(path) as file:
        check_table(file.schema_arrow, schema, str(path))
    return read_table(path, list(columns))


def _composition(formula: str, *, hydrogen: bool = False) -> tuple:
    """(element, its share of the atoms) by name; () where it is no formula. Deuterium counts as hydrogen."""
    amounts = amounts_in(formula)
    if not hydrogen and len(amounts) > 1:
        amounts.pop("H", None)
    total = sum(amounts.values())
    return tuple(sorted((symbol, round(amount / total, 4)) for symbol, amount in amounts.items()))

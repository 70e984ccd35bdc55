"""Line lists as rows of the one table that all datasets share (schema.LINES): written and read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xtinct.errors import XtinctError
from xtinct.files.parquet import open_parquet
from xtinct.files.schema import CELL, LINES, check_table
from xtinct.linelists.line_lists import LabelledLines, LineLists
from xtinct.symmetry.classes import class_symbol
from xtinct.symmetry.families import crystal_system, family_of
from xtinct.symmetry.operations import group_name


@dataclass(frozen=True)
class Samples:
    """What stands beside the lines of n samples; extinction class and crystal system follow from it.

    ids       unique, in order
    numbers   space groups
    splits    train, validation or test
    cells     float64 (n, 6), angstrom and degree
    origins   structure, or lattice and draw
    sources   (source, licence)
    """

    ids: Sequence[str]
    numbers: Sequence[int]
    splits: Sequence[str]
    cells: np.ndarray
    origins: Sequence[str]
    sources: Sequence[tuple[str, str]]


def lines_table(samples: Samples, lines: LineLists, *, dataset: str, seed: int) -> pa.Table:
    """Rows of LINES: the samples and the lines of each."""
    n = len(lines)
    numbers = [int(number) for number in samples.numbers]
    offsets = pa.array(lines.offsets.astype(np.int32))
    columns = {
        "sample_id": pa.array(samples.ids, pa.string()),
        "dataset": pa.array([dataset] * n, pa.string()),
        "spacegroup_number": pa.array(numbers, pa.int16()),
        "extinction_class": pa.array([class_symbol(number) for number in numbers], pa.string()),
        "crystal_system": pa.array([crystal_system(number) for number in numbers], pa.string()),
        "split": pa.array(samples.splits, pa.string()),
        **{name: pa.array(samples.cells[:, i], pa.float64()) for i, name in enumerate(CELL)},
        "d_star": _lists(offsets, lines.d_star, LINES.field("d_star").type),
        "intensity": _lists(offsets, lines.intensity, LINES.field("intensity").type),
        "origin": pa.array(samples.origins, pa.string()),
        "seed": pa.array(np.full(n, seed), pa.int64()),
        "source": pa.array([source for source, _ in samples.sources], pa.string()),
        "licence": pa.array([licence for _, licence in samples.sources], pa.string()),
    }
    return pa.table([columns[name] for name in LINES.names], schema=LINES)


def _lists(offsets: pa.Array, values: np.ndarray, kind: pa.ListType) -> pa.ListArray:
    return pa.ListArray.from_arrays(offsets, pa.array(values.astype(np.float32)), type=kind)


def line_lists(table: pa.Table | pa.RecordBatch) -> LineLists:
    """The line lists of rows of LINES, in the precision they are stored in."""
    if isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    d_star = table.column("d_star").combine_chunks()
    intensity = table.column("intensity").combine_chunks()
    offsets = np.asarray(d_star.offsets, dtype=np.int64)
    if not np.array_equal(offsets - offsets[0], np.asarray(intensity.offsets) - intensity.offsets[0].as_py()):
        raise XtinctError("line lists: d_star and intensity differ in length")
    return LineLists(offsets - offsets[0], d_star.flatten().to_numpy(), intensity.flatten().to_numpy())


def read_lines(
    path: str | Path, *, family: str, split: str | None = None
) -> Iterator[tuple[LabelledLines, list[str]]]:
    """(samples, their ids) of each row group of a line-list file, of one split or of all.

    Raises XtinctError if the file is no line-list table, or holds a group of another family or a
    line that is not a finite number.
    """
    with open_parquet(path) as file:
        check_table(file.schema_arrow, LINES, str(path))
        for i in range(file.num_row_groups):
            table = file.read_row_group(
                i, columns=["sample_id", "spacegroup_number", "split", "d_star", "intensity", *CELL]
            )
            if split is not None:
                table = table.filter(pc.equal(table["split"], split))
            if not table.num_rows:
                continue
            groups = table["spacegroup_number"].to_numpy().astype(np.int16)
            for group in np.unique(groups):
                if family not in ("all", family_of(int(group))):
                    name = group_name(int(group))
                    raise XtinctError(f"{path}: space group {name} is not of the family {family}")
            columns = [table[name].combine_chunks() for name in ("d_star", "intensity")]
            d_star, intensity = (column.flatten().to_numpy(zero_copy_only=False) for column in columns)
            lengths = np.diff(columns[0].offsets.to_numpy())
            if not (np.isfinite(d_star).all() and np.isfinite(intensity).all() and (d_star > 0).all()):
                raise XtinctError(f"{path}: row group {i} holds a line that is not a positive finite number")
            offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
            cells = np.column_stack([table[name].to_numpy() for name in CELL])
            lines = LineLists(offsets, d_star, intensity)
            yield LabelledLines(lines, groups, cells), table["sample_id"].to_pylist()

"""Line lists as rows of the one table that all datasets share (schema.LINES)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from xtinct.errors import XtinctError
from xtinct.files.parquet import open_parquet
from xtinct.files.schema import CELL, LINES
from xtinct.linelists.line_lists import LineLists
from xtinct.symmetry.classes import class_symbol
from xtinct.symmetry.families import crystal_system


def lines_table(
    *,
    dataset: str,
    sample_ids: Sequence[str],
    numbers: Sequence[int],
    splits: Sequence[str],
    cells: np.ndarray,
    lines: LineLists,
    origins: Sequence[str],
    seed: int,
    sources: Sequence[tuple[str, str]],
) -> pa.Table:
    """Rows of LINES.

    `numbers` are space groups (n,), `cells` float64 (n, 6); class and system follow. `sources`: (source,
    licence) of each row.
    """
    n = len(lines)
    numbers = [int(number) for number in numbers]
    offsets = pa.array(lines.offsets.astype(np.int32))
    columns = {
        "sample_id": pa.array(sample_ids, pa.string()),
        "dataset": pa.array([dataset] * n, pa.string()),
        "spacegroup_number": pa.array(numbers, pa.int16()),
        "extinction_class": pa.array([class_symbol(number) for number in numbers], pa.string()),
        "crystal_system": pa.array([crystal_system(number) for number in numbers], pa.string()),
        "split": pa.array(splits, pa.string()),
        **{name: pa.array(cells[:, i], pa.float64()) for i, name in enumerate(CELL)},
        "d_star": _lists(offsets, lines.d_star, LINES.field("d_star").type),
        "intensity": _lists(offsets, lines.intensity, LINES.field("intensity").type),
        "origin": pa.array(origins, pa.string()),
        "seed": pa.array(np.full(n, seed), pa.int64()),
        "source": pa.array([source for source, _ in sources], pa.string()),
        "licence": pa.array([licence for _, licence in sources], pa.string()),
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


def count_rows(paths: Sequence[str | Path]) -> int:
    """Rows of some Parquet files together, from their metadata."""
    return sum(open_parquet(path).metadata.num_rows for path in paths)

"""Labelled line lists read from the line-list files of the datasets."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from xtinct.errors import XtinctError
from xtinct.files.parquet import open_parquet
from xtinct.files.schema import LINES, check_table
from xtinct.linelists.line_lists import LabelledLines, LineLists
from xtinct.symmetry.families import family_of


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
                i, columns=["sample_id", "spacegroup_number", "split", "d_star", "intensity"]
            )
            if split is not None:
                table = table.filter(pc.equal(table["split"], split))
            if not table.num_rows:
                continue
            groups = table["spacegroup_number"].to_numpy().astype(np.int16)
            for group in np.unique(groups):
                if family not in ("all", family_of(int(group))):
                    raise XtinctError(f"{path}: space group {group} is not of the family {family}")
            columns = [table[name].combine_chunks() for name in ("d_star", "intensity")]
            d_star, intensity = (column.flatten().to_numpy(zero_copy_only=False) for column in columns)
            lengths = np.diff(columns[0].offsets.to_numpy())
            if not (np.isfinite(d_star).all() and np.isfinite(intensity).all() and (d_star > 0).all()):
                raise XtinctError(f"{path}: row group {i} holds a line that is not a positive finite number")
            offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
            yield LabelledLines(LineLists(offsets, d_star, intensity), groups), table["sample_id"].to_pylist()

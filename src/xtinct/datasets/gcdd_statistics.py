"""Statistics of the crystals that generated ones are drawn from, without those that models are tested on."""

from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from xtinct.errors import XtinctError
from xtinct.files.parquet import open_parquet
from xtinct.files.schema import STRUCTURE_SPLITS, check_table
from xtinct.generators.crystal_statistics import learn_to_file


def learn_part(
    structures: str | Path, splits: str | Path, out: str | Path, *, part: str, split: str
) -> dict[str, Any]:
    """Write the statistics of one part of the structures to `out`, and return them.

    `splits`: table of schema STRUCTURE_SPLITS; `split`: its column (`splits.cddd`); `part`: train,
    validation or test, or all. XtinctError if no structure of the part can be learned from.
    """
    if part == "all":
        return learn_to_file(structures, out)
    return learn_to_file(structures, out, only=ids_of_part(splits, part=part, split=split))


def ids_of_part(splits: str | Path, *, part: str, split: str) -> set[str]:
    """Ids of the structures of one part by the column `split` of a table of STRUCTURE_SPLITS."""
    with open_parquet(splits) as file:
        check_table(file.schema_arrow, STRUCTURE_SPLITS, str(splits))
        if split not in STRUCTURE_SPLITS.names:
            raise XtinctError(f"{splits}: no split {split!r}")
        table = file.read(columns=["structure_id", split])
    return set(table.filter(pc.equal(table[split], part))["structure_id"].to_pylist())

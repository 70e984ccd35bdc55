"""How the table of known structures that comes with the library is made, of the embedded structures.

The rules are fixed here, whatever a configuration says, so that the table can always be made again.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xtinct.datasets.cddd import build_shard
from xtinct.datasets.settings import CrystalSettings
from xtinct.files.shards import Shard
from xtinct.recognition.known_structures import build_table
from xtinct.sources.fetching import fetch
from xtinct.sources.folders import POWDERS
from xtinct.structures.cleaning import clean_shard
from xtinct.symmetry.families import FAMILIES

#: How the structures are cleaned, and their lines computed.
CLEANING: Mapping[str, Any] = {
    "symprec": 0.01,
    "second_finder": False,
    "disordered": "keep",
    "missing_hydrogen": "keep",
    "max_gap": 0,
    "max_sites": 200,
    "min_distance": 0.3,
    "protostructures": True,
}
LINE_SETTINGS: Mapping[str, Any] = {
    "d_star_max": 0.93,
    "radiation": "xray",
    "b_iso": 0.5,
    "max_reflections": 2_000_000,
    "intensity_floor": 1e-9,
}


def packaged_table(folder: str | Path, part: Shard | None = None, project: str | Path = "") -> Path:
    """Table of recognition (schema RECOGNITION) of embedded prototypes and powders, written into a folder.

    part     a part of the structures; None: all
    project  folder that holds data/prototypes; "" where it is the working directory

    The folder then also has prototypes.parquet and powders.parquet (as received), structures.parquet, a table
    of lines for every crystal family, and what was rejected, with reasons: quarantine.parquet,
    quarantine-lines.parquet. Returns table.parquet.
    """
    folder, part = Path(folder), part or Shard()
    prototypes, powders, structures, table = (
        folder / f"{name}.parquet" for name in ("prototypes", "powders", "structures", "table")
    )
    fetch("aflow", {"kind": "prototypes"}, prototypes, project=project)
    fetch("powders", {"kind": "files", "path": str(Path(project, POWDERS))}, powders)
    clean_shard(
        raw=[prototypes, powders],
        cleaning=CLEANING,
        shard=part.number,
        shards=part.count,
        structures_out=structures,
        quarantine_out=folder / "quarantine.parquet",
    )
    lines = {family: folder / f"{family}.parquet" for family in FAMILIES}
    build_shard(
        structures,
        CrystalSettings("cddd", LINE_SETTINGS, "random", {"test": 1.0}, 1),
        Shard(),
        lines_out=lines,
        quarantine_out=folder / "quarantine-lines.parquet",
    )
    build_table(lines.values(), structures, table)
    return table

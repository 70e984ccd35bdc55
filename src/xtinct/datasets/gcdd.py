"""GCDD: crystals generated for every space group, and their line lists.

Each requested crystal, (space group, index), is a function of the seed and those two numbers. It becomes
a row of structures and a row of lines by the same code as a real crystal, or a row of quarantine:
accepted + quarantined = requested.
"""

import importlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from xtinct.datasets import cddd
from xtinct.errors import XtinctError
from xtinct.files.parquet import read_table, write_parquet
from xtinct.files.schema import QUARANTINE, STRUCTURES
from xtinct.files.shards import merge_shards, shard_rows
from xtinct.files.writing import write_text
from xtinct.generators.sampling import read_statistics
from xtinct.generators.statistical import unreached_row
from xtinct.symmetry.families import FAMILIES, space_groups

#: gcdd.generator -> module whose `generate` makes the crystals.
GENERATORS = {
    "statistical": "xtinct.generators.statistical",
    "pyxtal": "xtinct.generators.pyxtal_recipe",
}

_BATCH = 512


def gcdd_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a full configuration that the dataset depends on, the seed excepted."""
    return {
        **cddd.cddd_config(config, "gcdd"),
        "gcdd": dict(config["gcdd"]),
        "symprec": config["cleaning"]["symprec"],
    }


def requested(families: Sequence[str], per_group: int) -> list[tuple[int, int]]:
    """(space group, index) of every crystal asked for, in order of both."""
    numbers = sorted(number for family in families for number in space_groups(family))
    return [(number, index) for number in numbers for index in range(per_group)]


def build_shard(
    statistics: str | Path,
    *,
    gcdd: Mapping[str, Any],
    symprec: float,
    second_finder: bool,
    lines: Mapping[str, Any],
    split: str,
    fractions: Mapping[str, float],
    seed: int,
    shard: int,
    shards: int,
    structures_out: str | Path,
    lines_out: Mapping[str, str | Path],
    quarantine_out: str | Path,
    attempts_out: str | Path,
) -> dict[str, int]:
    """Generate one part of the requested crystals and compute their lines.

    statistics      file of `generators.crystal_statistics.learn_to_file`
    gcdd            the configuration's `gcdd`
    symprec         `cleaning.symprec`: tolerance at which moyo must find exactly the group
    second_finder   `cleaning.second_finder`: record spglib's answer as well
    lines, split, fractions   the configuration's `lines`, `splits.gcdd` and `splits.fractions`
    lines_out       family -> file to write (schema LINES); these families are built
    attempts_out    JSON to write: per space group, the crystals requested, reached and out of reach, the
                    draws, and the draws rejected by reason

    Returns counts: received (crystals requested), accepted, quarantined.
    """
    if gcdd["generator"] not in GENERATORS:
        raise XtinctError(f"gcdd.generator: {gcdd['generator']!r}, expected {' or '.join(GENERATORS)}")
    # Imported by name: PyXtal takes seconds, which the other generator need not pay.
    generator = importlib.import_module(GENERATORS[gcdd["generator"]])
    families = [family for family in FAMILIES if family in lines_out]
    wanted = requested(families, gcdd["per_group"])
    rows = shard_rows(len(wanted), shard, shards)
    unreached: list[dict[str, Any]] = []
    attempts: dict[int, Counter[str]] = {}

    def tables():
        batch = []
        for number, index, row, tried in generator.generate(
            wanted[rows.start : rows.stop],
            read_statistics(statistics),
            gcdd=gcdd,
            seed=seed,
            symprec=symprec,
            second_finder=second_finder,
        ):
            counts = attempts.setdefault(number, Counter())
            counts.update({"requested": 1, "reached": int(row is not None), "draws": tried.drawn})
            counts.update(tried.rejected)
            if tried.hopeless:
                counts["out_of_reach"] += 1
            if row is None:
                unreached.append(unreached_row(number, index, tried))
                continue
            batch.append(row)
            if len(batch) == _BATCH:
                yield pa.Table.from_pylist(batch, schema=STRUCTURES)
                batch = []
        yield pa.Table.from_pylist(batch, schema=STRUCTURES)

    write_parquet(structures_out, tables(), STRUCTURES)
    counts = cddd.build_shard(
        structures_out,
        lines=lines,
        split=split,
        fractions=fractions,
        seed=seed,
        shard=0,
        shards=1,
        lines_out=lines_out,
        quarantine_out=quarantine_out,
        dataset="gcdd",
    )
    rejected = read_table(quarantine_out).to_pylist() + unreached
    rejected.sort(key=lambda row: row["structure_id"])
    write_parquet(quarantine_out, [pa.Table.from_pylist(rejected, schema=QUARANTINE)], QUARANTINE)
    _write_attempts(attempts_out, attempts)
    accepted = counts["accepted"]
    if accepted + len(rejected) != len(rows):
        raise AssertionError(
            f"shard {shard}: {accepted} + {len(rejected)} crystals, but {len(rows)} requested"
        )
    return {"received": len(rows), "accepted": accepted, "quarantined": len(rejected)}


def merge_structures(
    shards: Sequence[str | Path], *, out: str | Path, seed: int, config: Mapping[str, Any]
) -> int:
    """Join the shards' structures into `out` and return its rows. `config`: what `gcdd_config` returns."""
    metadata = cddd.file_identity("gcdd", seed, config)
    return merge_shards(shards, out, schema=STRUCTURES, metadata=metadata, key="structure_id")


def merge_lines(
    shards: Sequence[str | Path], *, out: str | Path, seed: int, config: Mapping[str, Any]
) -> int:
    """Join the shards' line tables of one family into `out` and return its rows."""
    return cddd.merge(shards, out=out, seed=seed, config=config, dataset="gcdd")


def merge_quarantine(shards: Sequence[str | Path], *, out: str | Path) -> int:
    """Join the shards' quarantine tables into `out` and return its rows."""
    return cddd.merge_quarantine(shards, out=out)


def merge_attempts(shards: Sequence[str | Path], *, out: str | Path) -> dict[int, dict[str, int]]:
    """Add up the shards' attempts per space group, write them to `out` (JSON) and return them."""
    total: dict[int, Counter[str]] = {}
    for path in shards:
        for number, counts in json.loads(Path(path).read_text()).items():
            total.setdefault(int(number), Counter()).update(counts)
    return _write_attempts(out, total)


def _write_attempts(out: str | Path, attempts: Mapping[int, Counter[str]]) -> dict[int, dict[str, int]]:
    content = {f"{number:03d}": dict(sorted(counts.items())) for number, counts in sorted(attempts.items())}
    write_text(out, json.dumps(content, indent=1) + "\n")
    return {number: dict(counts) for number, counts in attempts.items()}

"""GCDD: crystals generated for every space group, and their line lists.

Each requested crystal, (space group, index), is a function of the seed and those two numbers. It becomes
a row of structures and a row of lines by the same code as a real crystal, or a row of quarantine:
accepted + quarantined = requested.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from xtinct.datasets import cddd
from xtinct.datasets.settings import GcddSettings
from xtinct.files.json_reading import read_json
from xtinct.files.parquet import write_parquet
from xtinct.files.quarantine import Quarantine
from xtinct.files.schema import STRUCTURES
from xtinct.files.shards import Shard
from xtinct.files.writing import write_json
from xtinct.generators.sampling import read_statistics
from xtinct.generators.statistical import Attempts, structure_id_of
from xtinct.symmetry.families import FAMILIES, space_groups

_BATCH = 512


class _Attempts(defaultdict[int, Counter[str]]):
    """Space group -> what became of its crystals and draws."""

    def __init__(self) -> None:
        super().__init__(Counter)


def requested(families: Sequence[str], per_group: int) -> list[tuple[int, int]]:
    """(space group, index) of every crystal asked for, in order of both."""
    numbers = sorted(number for family in families for number in space_groups(family))
    return [(number, index) for number in numbers for index in range(per_group)]


def build_shard(
    statistics: str | Path,
    settings: GcddSettings,
    shard: Shard,
    *,
    structures_out: str | Path,
    lines_out: Mapping[str, str | Path],
    quarantine_out: str | Path,
    attempts_out: str | Path,
) -> dict[str, int]:
    """Generate one part of the requested crystals and compute their lines.

    statistics      file of `generators.crystal_statistics.learn_to_file`
    lines_out       family -> file to write (schema LINES); these families are built
    attempts_out    JSON to write: per space group, the crystals requested, reached and out of reach, the
                    draws, and the draws rejected by reason

    Returns counts: received (crystals requested), accepted, quarantined.
    """
    families = [family for family in FAMILIES if family in lines_out]
    wanted = requested(families, settings.gcdd["per_group"])
    rows = shard.rows(len(wanted))
    quarantine, attempts = Quarantine(settings.crystals.dataset), _Attempts()
    made = settings.generate(wanted[rows.start : rows.stop], read_statistics(statistics))
    write_parquet(structures_out, _structures(made, attempts, quarantine), STRUCTURES)
    _, accepted = cddd.write_lines(structures_out, settings.crystals, Shard(), lines_out, quarantine)
    quarantine.write(quarantine_out)
    _write_attempts(attempts_out, attempts)
    if accepted + len(quarantine) != len(rows):
        raise AssertionError(f"{shard}: {accepted} + {len(quarantine)} crystals, but {len(rows)} requested")
    return {"received": len(rows), "accepted": accepted, "quarantined": len(quarantine)}


def _structures(
    made: Iterable[tuple[int, int, dict[str, Any] | None, Attempts]],
    attempts: _Attempts,
    quarantine: Quarantine,
) -> Iterator[pa.Table]:
    """Tables of the crystals that were reached; the attempts of all are counted, the others quarantined."""
    held = []
    for number, index, row, tried in made:
        counts = attempts[number]
        counts.update({"requested": 1, "reached": int(row is not None), "draws": tried.drawn})
        counts.update(tried.rejected)
        if tried.hopeless:
            counts["out_of_reach"] += 1
        if row is None:
            quarantine.add(structure_id_of(number, index), tried.reason, tried.summary())
            continue
        held.append(row)
        if len(held) == _BATCH:
            yield pa.Table.from_pylist(held, schema=STRUCTURES)
            held = []
    yield pa.Table.from_pylist(held, schema=STRUCTURES)


def merge_attempts(shards: Sequence[str | Path], out: str | Path) -> dict[int, dict[str, int]]:
    """Add up the shards' attempts per space group, write them to `out` (JSON) and return them."""
    total = _Attempts()
    for path in shards:
        for number, counts in read_json(path).items():
            total[int(number)].update(counts)
    return _write_attempts(out, total)


def _write_attempts(out: str | Path, attempts: Mapping[int, Counter[str]]) -> dict[int, dict[str, int]]:
    content = {f"{number:03d}": dict(sorted(counts.items())) for number, counts in sorted(attempts.items())}
    write_json(out, content, indent=1, sort_keys=False)
    return {number: dict(counts) for number, counts in attempts.items()}

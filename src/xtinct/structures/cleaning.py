"""Texts as received -> symmetrised structures, or quarantine with the reason.

Every received entry ends in exactly one of the two tables; this is counted and checked here.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from xtinct.files.parquet import file_metadata, open_parquet, read_batches, write_parquet
from xtinct.files.schema import CELL, QUARANTINE, RAW, STRUCTURES, check_table
from xtinct.files.shards import Shard, iter_rows, merge_shards
from xtinct.files.writing import write_json
from xtinct.structures.crystal import Crystal, RejectedError, format_cif, without_isotopes
from xtinct.structures.distances import widest_gap
from xtinct.structures.filling import AMBIGUOUS, CONTRADICTION, FilledCell, resolve
from xtinct.structures.isolated import Outcome, isolated_map
from xtinct.structures.labels import reduced_formula
from xtinct.structures.parsing import read_listing
from xtinct.structures.standard import spglib_number, standardise
from xtinct.structures.statements import CONTRADICTS, RESOLVED, VERDICTS
from xtinct.symmetry.families import crystal_system

#: Seconds for one entry; the slowest of 154,925 Materials Project entries takes a few.
TIME_LIMIT = 120.0
#: A listed cell may be a supercell of the conventional one; beyond this factor it is not even tried.
_SUPERCELL = 4
_BATCH = 256
#: Key of the counts of verdicts in the metadata of a shard's tables.
_VERDICTS_KEY = "own_words"


def clean_row(row: Mapping[str, Any], cleaning: Mapping[str, Any]) -> dict[str, Any]:
    """The STRUCTURES row of a RAW row under the configuration's `cleaning`, or RejectedError."""
    return _clean(row, cleaning)[0]


def _clean(row: Mapping[str, Any], cleaning: Mapping[str, Any]) -> tuple[dict[str, Any], FilledCell]:
    if row["error"]:
        reason, _, detail = row["error"].partition(": ")
        raise RejectedError(reason, detail)
    max_sites = cleaning["max_sites"]
    listing = read_listing(row["cif"])
    reading = resolve(listing, max_sites=_SUPERCELL * max_sites, min_distance=cleaning["min_distance"])
    crystal = reading.crystal
    if cleaning["disordered"] == "reject" and crystal.disordered:
        raise RejectedError("disordered", "some site is shared or partly occupied")
    if cleaning["missing_hydrogen"] == "reject" and listing.hydrogen_missing:
        raise RejectedError("missing_hydrogen", "the formula has hydrogen, the list of atoms has none")
    if cleaning["max_gap"] and (gap := widest_gap(crystal.frac, crystal.basis)) > cleaning["max_gap"]:
        raise RejectedError("low_dimensional", f"an empty slab {gap:.1f} angstrom thick")
    symprec = cleaning["symprec"]
    standard = standardise(crystal, symprec=symprec, protostructures=cleaning["protostructures"])
    conventional = standard.crystal
    if len(conventional) > max_sites:
        raise RejectedError(
            "too_many_sites", f"{len(conventional)} in the conventional cell, expected at most {max_sites}"
        )
    cleaned = {
        "structure_id": row["structure_id"],
        "formula": reduced_formula(_elements(conventional)),
        "spacegroup_number": standard.number,
        "spacegroup_spglib": spglib_number(crystal, symprec=symprec) if cleaning["second_finder"] else None,
        "spacegroup_declared": row["spacegroup_declared"] or listing.declared or None,
        "symprec": standard.symprec,
        "crystal_system": crystal_system(standard.number),
        **dict(zip(CELL, conventional.cell.tolist(), strict=True)),
        "n_sites": len(conventional),
        "cif": format_cif(row["structure_id"], conventional),
        "protostructure": standard.protostructure,
        "source": row["source"],
        "source_version": row["source_version"],
        "licence": row["licence"],
    }
    return cleaned, reading


def _elements(crystal: Crystal) -> dict[str, float]:
    return Crystal(crystal.cell, crystal.frac, list(map(without_isotopes, crystal.species))).composition()


def clean_or_reject(row: Mapping[str, Any], cleaning: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """("structures", row) or ("quarantine", row) for a RAW row."""
    return clean_and_judge(row, cleaning)[:2]


def clean_and_judge(
    row: Mapping[str, Any], cleaning: Mapping[str, Any]
) -> tuple[str, dict[str, Any], str, str]:
    """As `clean_or_reject`, with how the structure stands to its file's own words, and what contradicted.

    The third is one of VERDICTS, or empty for a row that is rejected for another reason than these words.
    """
    try:
        cleaned, reading = _clean(row, cleaning)
    except RejectedError as rejected:
        verdict = CONTRADICTS if rejected.reason in (CONTRADICTION, AMBIGUOUS) else ""
        return "quarantine", quarantine_row(row, rejected.reason, rejected.detail), verdict, rejected.detail
    return "structures", cleaned, reading.verdict, reading.note


def quarantine_row(row: Mapping[str, Any], reason: str, detail: str) -> dict[str, Any]:
    """The QUARANTINE row of a RAW row that was rejected in this stage."""
    text = row["cif"]
    return {
        "structure_id": row["structure_id"],
        "stage": "fetch",
        "reason": reason,
        "detail": detail,
        "raw_sha256": hashlib.sha256(text.encode()).hexdigest() if text else None,
    }


def clean_shard(
    *,
    raw: Sequence[str | Path],
    cleaning: Mapping[str, Any],
    shard: int,
    shards: int,
    structures_out: str | Path,
    quarantine_out: str | Path,
    time_limit: float = TIME_LIMIT,
) -> dict[str, int]:
    """Clean the rows of one shard of the tables `raw` (schema RAW) and return counts.

    Both outputs are ordered by structure_id. An entry on which a library hangs (longer than `time_limit`
    seconds) or crashes is quarantined like any other.
    Counts: received, accepted, quarantined; their sum is checked.
    """
    tables: dict[str, list[dict[str, Any]]] = {"structures": [], "quarantine": []}
    received = 0
    verdicts: dict[str, Counter[str]] = {}
    work = partial(clean_and_judge, cleaning=dict(cleaning))
    for outcome in isolated_map(work, _shard_rows(raw, shard, shards), time_limit=time_limit):
        received += 1
        table, row, verdict, note = outcome.result or ("quarantine", _failed(outcome), "", "")
        tables[table].append(row)
        if verdict:
            verdicts.setdefault(outcome.item["source"], Counter())[verdict] += 1
        if verdict == RESOLVED:
            print(f"{row['structure_id']}: {note}", flush=True)
    counts = _checked(received, len(tables["structures"]), len(tables["quarantine"]), f"shard {shard}")
    for name, out, schema in (
        ("structures", structures_out, STRUCTURES),
        ("quarantine", quarantine_out, QUARANTINE),
    ):
        rows = sorted(tables[name], key=itemgetter("structure_id"))
        metadata = {_VERDICTS_KEY: {source: dict(found) for source, found in verdicts.items()}}
        write_parquet(out, [pa.Table.from_pylist(rows, schema=schema)], schema, metadata)
    return counts


def _failed(outcome: Outcome) -> dict[str, Any]:
    reason = {"exception": "failed"}.get(outcome.failure, outcome.failure)
    return quarantine_row(outcome.item, reason, outcome.detail)


def _shard_rows(raw: Sequence[str | Path], shard: int, shards: int) -> Iterator[dict[str, Any]]:
    sizes = [_open(path, RAW).metadata.num_rows for path in raw]
    rows = Shard(shard, shards).rows(sum(sizes))
    first = 0
    for path, size in zip(raw, sizes, strict=True):
        of_file = range(max(rows.start - first, 0), min(rows.stop - first, size))
        first += size
        if of_file:
            for batch in iter_rows(path, of_file, batch_size=_BATCH):
                yield from batch.to_pylist()


def _open(path: str | Path, schema: pa.Schema) -> pq.ParquetFile:
    table = open_parquet(path)
    check_table(table.schema_arrow, schema, str(path))
    return table


def _checked(received: int, accepted: int, quarantined: int, where: str) -> dict[str, int]:
    if accepted + quarantined != received:
        raise AssertionError(
            f"{where}: {accepted} accepted + {quarantined} quarantined, but {received} received"
        )
    return {"received": received, "accepted": accepted, "quarantined": quarantined}


def merge(
    *,
    raw: Sequence[str | Path],
    structures: Sequence[str | Path],
    quarantine: Sequence[str | Path],
    structures_out: str | Path,
    quarantine_out: str | Path,
    manifest_out: str | Path,
    metadata: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Join the shards' tables into two tables ordered by structure_id, and count them in a manifest.

    XtinctError if an id occurs twice; accepted + quarantined = received is checked. The manifest, which
    is also returned, counts by source (and there how structures stand to what their files say of
    themselves: agreeing, resolved, contradicting, silent), crystal system, licence and reason, and how
    often the group found is the one that spglib finds and the one that the source declares.
    """
    accepted = merge_shards(
        structures, structures_out, schema=STRUCTURES, metadata=metadata, key="structure_id"
    )
    quarantined = merge_shards(
        quarantine, quarantine_out, schema=QUARANTINE, metadata=metadata, key="structure_id"
    )
    received = sum(_open(path, RAW).metadata.num_rows for path in raw)
    content = {
        **_checked(received, accepted, quarantined, str(structures_out)),
        "sources": _source_counts(raw, structures_out, quarantine_out, structures),
        "by_crystal_system": _counts(structures_out, "crystal_system"),
        "by_licence": _counts(structures_out, "licence"),
        "by_reason": _counts(quarantine_out, "reason"),
        "spglib_against_moyo": _agreement(structures_out, "spacegroup_spglib"),
        "declared_against_moyo": _agreement(structures_out, "spacegroup_declared"),
    }
    write_json(manifest_out, content)
    return content


def _columns(path: str | Path, *columns: str) -> Iterator[tuple[Any, ...]]:
    for batch in read_batches(open_parquet(path), 65536, columns):
        yield from zip(*(batch.column(column).to_pylist() for column in columns), strict=True)


def _counts(path: str | Path, column: str) -> dict[str, int]:
    return dict(Counter(value for (value,) in _columns(path, column)))


def _agreement(path: str | Path, column: str) -> dict[str, int]:
    found = Counter()
    for number, other in _columns(path, "spacegroup_number", column):
        found["none" if other is None else "same" if other == number else "other"] += 1
    return dict(found)


def _source_counts(
    raw: Sequence[str | Path], structures: str | Path, quarantine: str | Path, shards: Sequence[str | Path]
) -> dict[str, dict[str, Any]]:
    accepted = _counts(structures, "source")
    quarantined = Counter(name.partition(":")[0] for (name,) in _columns(quarantine, "structure_id"))
    verdicts: dict[str, Counter[str]] = {}
    for shard in shards:
        for source, found in file_metadata(shard).get(_VERDICTS_KEY, {}).items():
            verdicts.setdefault(source, Counter()).update(found)
    counts = {}
    for path in raw:
        about = file_metadata(path)
        name = about["source"]
        counts[name] = {
            "received": open_parquet(path).metadata.num_rows,
            "accepted": accepted.get(name, 0),
            "quarantined": quarantined.get(name, 0),
            "own_words": {verdict: verdicts.get(name, Counter())[verdict] for verdict in VERDICTS},
            **{key: about[key] for key in ("kind", "source_version", "licence")},
        }
    return counts

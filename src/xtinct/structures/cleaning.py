"""Texts as received -> symmetrised structures, or quarantine with the reason.

Every received entry ends in exactly one of the two tables; this is counted and checked here.
"""

import hashlib
import heapq
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from xtinct.errors import XtinctError
from xtinct.parquet import open_parquet, write_parquet
from xtinct.schema import CELL, QUARANTINE, RAW, STRUCTURES, check_table
from xtinct.structures.crystal import RejectedError, format_cif
from xtinct.structures.isolated import Outcome, isolated_map
from xtinct.structures.labels import reduced_formula
from xtinct.structures.parsing import expand, read_listing
from xtinct.structures.standard import spglib_number, standardise
from xtinct.symmetry.families import crystal_system

#: Seconds for one entry; the slowest of 154,925 Materials Project entries takes a few.
TIME_LIMIT = 120.0
#: A listed cell may be a supercell of the conventional one; beyond this factor it is not even tried.
_SUPERCELL = 4
_BATCH = 256


def clean_row(row: Mapping[str, Any], cleaning: Mapping[str, Any]) -> dict[str, Any]:
    """The STRUCTURES row of a RAW row under the configuration's `cleaning`, or RejectedError."""
    if row["error"]:
        reason, _, detail = row["error"].partition(": ")
        raise RejectedError(reason, detail)
    max_sites = cleaning["max_sites"]
    listing = read_listing(row["cif"])
    crystal = expand(listing, max_sites=_SUPERCELL * max_sites, min_distance=cleaning["min_distance"])
    if cleaning["disordered"] == "reject" and crystal.disordered:
        raise RejectedError("disordered", "some site is shared or partly occupied")
    symprec = cleaning["symprec"]
    standard = standardise(crystal, symprec=symprec, protostructures=cleaning["protostructures"])
    conventional = standard.crystal
    if len(conventional) > max_sites:
        raise RejectedError(
            "too_many_sites", f"{len(conventional)} in the conventional cell, expected at most {max_sites}"
        )
    return {
        "structure_id": row["structure_id"],
        "formula": reduced_formula(conventional.composition()),
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


def clean_or_reject(row: Mapping[str, Any], cleaning: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """("structures", row) or ("quarantine", row) for a RAW row."""
    try:
        return "structures", clean_row(row, cleaning)
    except RejectedError as rejected:
        return "quarantine", quarantine_row(row, rejected.reason, rejected.detail)


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

    Row number i of all tables in sequence belongs to shard i mod `shards`. Both outputs are ordered by
    structure_id. An entry on which a library hangs (longer than `time_limit` seconds) or crashes is
    quarantined like any other. Counts: received, accepted, quarantined; their sum is checked.
    """
    tables: dict[str, list[dict[str, Any]]] = {"structures": [], "quarantine": []}
    received = 0
    work = partial(clean_or_reject, cleaning=dict(cleaning))
    for outcome in isolated_map(work, _shard_rows(raw, shard, shards), time_limit=time_limit):
        received += 1
        table, row = outcome.result if outcome.failure is None else ("quarantine", _failed(outcome))
        tables[table].append(row)
    counts = _checked(received, len(tables["structures"]), len(tables["quarantine"]), f"shard {shard}")
    for name, out, schema in (
        ("structures", structures_out, STRUCTURES),
        ("quarantine", quarantine_out, QUARANTINE),
    ):
        rows = sorted(tables[name], key=_order)
        write_parquet(out, _to_tables(rows, schema), schema)
    return counts


def _failed(outcome: Outcome) -> dict[str, Any]:
    reason = {"exception": "failed"}.get(outcome.failure, outcome.failure)
    return quarantine_row(outcome.item, reason, outcome.detail)


def _shard_rows(raw: Sequence[str | Path], shard: int, shards: int) -> Iterator[dict[str, Any]]:
    if not 0 <= shard < shards:
        raise XtinctError(f"shard {shard}: expected a number from 0 to {shards - 1}")
    index = 0
    for path in raw:
        table = open_parquet(path)
        check_table(table.schema_arrow, RAW, str(path))
        for batch in table.iter_batches(batch_size=_BATCH):
            first = (shard - index) % shards
            index += batch.num_rows
            yield from batch.take(pa.array(range(first, batch.num_rows, shards), pa.int64())).to_pylist()


def _order(row: Mapping[str, Any]) -> tuple[str, ...]:
    # An id may be quarantined several times (duplicates); the other columns then decide.
    return tuple(str(row.get(key, "")) for key in ("structure_id", "reason", "detail", "raw_sha256"))


def _to_tables(rows: Iterable[dict[str, Any]], schema: pa.Schema) -> Iterator[pa.Table]:
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH:
            yield pa.Table.from_pylist(batch, schema=schema)
            batch = []
    yield pa.Table.from_pylist(batch, schema=schema)


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
    """Join the shards' tables, each ordered by structure_id, into two ordered tables and a manifest.

    Checks that no structure_id is accepted twice and that accepted + quarantined = received. The
    manifest, which is also returned, counts by source, crystal system, licence and reason.
    """
    manifest = _Manifest()
    for path in raw:
        manifest.add_source(path)
    stored = dict(metadata or {})
    accepted = write_parquet(
        structures_out,
        _to_tables(_ordered(structures, STRUCTURES, manifest.accept), STRUCTURES),
        STRUCTURES,
        stored,
    )
    quarantined = write_parquet(
        quarantine_out,
        _to_tables(_ordered(quarantine, QUARANTINE, manifest.reject), QUARANTINE),
        QUARANTINE,
        stored,
    )
    content = manifest.content(_checked(manifest.received, accepted, quarantined, str(structures_out)))
    Path(manifest_out).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
    return content


def _ordered(
    paths: Sequence[str | Path], schema: pa.Schema, see: Callable[[dict[str, Any]], None]
) -> Iterator[dict[str, Any]]:
    for row in heapq.merge(*(_rows(path, schema) for path in paths), key=_order):
        see(row)
        yield row


def _rows(path: str | Path, schema: pa.Schema) -> Iterator[dict[str, Any]]:
    table = open_parquet(path)
    check_table(table.schema_arrow, schema, str(path))
    for batch in table.iter_batches(batch_size=_BATCH):
        yield from batch.to_pylist()


class _Manifest:
    """What went in and what came out, counted while the rows pass."""

    def __init__(self) -> None:
        self.received = 0
        self.sources: dict[str, dict[str, Any]] = {}
        self.counts = {name: Counter() for name in ("crystal_system", "licence", "reason")}
        self.spglib = Counter()
        self.declared = Counter()
        self.last_id: str | None = None

    def add_source(self, path: str | Path) -> None:
        table = open_parquet(path)
        for batch in table.iter_batches(batch_size=65536, columns=["source", "source_version", "licence"]):
            self.received += batch.num_rows
            for name in pc.unique(batch.column("source")).to_pylist():
                of_name = batch.filter(pc.equal(batch.column("source"), name))
                source = self.sources.setdefault(
                    name,
                    {"received": 0, "accepted": 0, "quarantined": 0, "versions": set(), "licences": set()},
                )
                source["received"] += of_name.num_rows
                source["versions"].update(pc.unique(of_name.column("source_version")).to_pylist()[:1])
                source["licences"].update(pc.unique(of_name.column("licence")).to_pylist())

    def accept(self, row: dict[str, Any]) -> None:
        if row["structure_id"] == self.last_id:
            raise XtinctError(f"{row['structure_id']}: the same id was accepted twice; ids must be unique")
        self.last_id = row["structure_id"]
        self.sources[row["source"]]["accepted"] += 1
        for name in ("crystal_system", "licence"):
            self.counts[name][row[name]] += 1
        for column, counter in (("spacegroup_spglib", self.spglib), ("spacegroup_declared", self.declared)):
            other = row[column]
            counter[
                "none" if other is None else "same" if other == row["spacegroup_number"] else "other"
            ] += 1

    def reject(self, row: dict[str, Any]) -> None:
        self.sources[row["structure_id"].partition(":")[0]]["quarantined"] += 1
        self.counts["reason"][row["reason"]] += 1

    def content(self, counts: dict[str, int]) -> dict[str, Any]:
        return {
            **counts,
            "sources": {
                name: {
                    key: sorted(value) if isinstance(value, set) else value for key, value in source.items()
                }
                for name, source in self.sources.items()
            },
            "by_crystal_system": dict(self.counts["crystal_system"]),
            "by_licence": dict(self.counts["licence"]),
            "by_reason": dict(self.counts["reason"]),
            "spglib_against_moyo": dict(self.spglib),
            "declared_against_moyo": dict(self.declared),
        }

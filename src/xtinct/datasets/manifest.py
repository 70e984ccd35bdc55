"""What a dataset holds: counts, seed, digests and versions, as JSON with sorted keys."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa

from xtinct.datasets.merging import Identity
from xtinct.errors import XtinctError
from xtinct.files.parquet import open_parquet, read_batches
from xtinct.files.schema import LINES, LINES_VERSION, QUARANTINE, check_table
from xtinct.files.writing import write_json


def write_manifest(
    out: str | Path,
    identity: Identity,
    tables: Mapping[str, str | Path],
    *,
    quarantine: str | Path | None = None,
    received: int | None = None,
) -> dict[str, object]:
    """Count the `tables` (family -> file of schema LINES) and the quarantine, and write JSON to `out`.

    If `received` is given, the number of records that came in, accepted + quarantined must equal
    it: XtinctError otherwise. Returns what was written.
    """
    families = {family: _counts(path) for family, path in sorted(tables.items())}
    rejected = _reasons(quarantine) if quarantine is not None else Counter()
    accepted = sum(counts["samples"] for counts in families.values())
    content: dict[str, object] = {
        **identity.metadata(),
        "schema_version": LINES_VERSION,
        "accepted": accepted,
        "quarantined": sum(rejected.values()),
        "reasons": dict(rejected),
        "families": families,
    }
    if received is not None:
        content["received"] = received
        if accepted + content["quarantined"] != received:
            raise XtinctError(
                f"{out}: {received} records received, but {accepted} accepted + "
                f"{content['quarantined']} quarantined"
            )
    write_json(out, content)
    return content


def write_variants(
    out: str | Path,
    *,
    variants: Mapping[str, Mapping[str, object]],
    tables: Mapping[str, Mapping[str, str | Path]],
    seed: int,
) -> dict[str, object]:
    """Count the `tables` (variant -> family -> file of schema LINES) and write JSON to `out`.

    `variants`: the configuration's, what each of them changes. Returns what was written.
    """
    content = {
        **Identity("variants", seed, {"variants": variants}).metadata(),
        "schema_version": LINES_VERSION,
        "variants": {
            name: {
                **variant,
                "families": {family: _counts(path) for family, path in sorted(tables.get(name, {}).items())},
            }
            for name, variant in variants.items()
        },
    }
    write_json(out, content)
    return content


def _counts(path: str | Path) -> dict[str, object]:
    splits, groups, classes, lines = Counter(), Counter(), Counter(), 0
    columns = ["split", "spacegroup_number", "extinction_class", "d_star"]
    for batch in _batches(path, LINES, columns):
        splits.update(batch.column("split").to_pylist())
        groups.update(batch.column("spacegroup_number").to_pylist())
        classes.update(batch.column("extinction_class").to_pylist())
        lines += len(batch.column("d_star").flatten())
    return {
        "samples": sum(splits.values()),
        "lines": lines,
        "splits": dict(splits),
        "spacegroups": {f"{number:03d}": n for number, n in groups.items()},
        "extinction_classes": dict(classes),
    }


def _reasons(path: str | Path) -> Counter:
    reasons = Counter()
    for batch in _batches(path, QUARANTINE, ["reason"]):
        reasons.update(batch.column("reason").to_pylist())
    return reasons


def _batches(path: str | Path, schema: pa.Schema, columns: list[str]) -> Iterable[pa.RecordBatch]:
    file = open_parquet(path)
    check_table(file.schema_arrow, schema, str(path))
    return read_batches(file, 4096, columns)

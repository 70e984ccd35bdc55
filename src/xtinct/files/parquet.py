"""Parquet files whose bytes depend on their content alone, written whole or not at all."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from xtinct.errors import XtinctError
from xtinct.files.writing import naming, written_whole

#: Rows of a row group: large enough to compress, small enough to read one at a time.
ROW_GROUP_ROWS = 4096
#: Bytes of text of a row group, which ends sooner where texts are long: it is held in memory, and Arrow holds
#: 2 GiB of a column at most.
ROW_GROUP_TEXT = 1 << 26


def write_parquet(
    path: str | Path,
    batches: Iterable[pa.Table | pa.RecordBatch],
    schema: pa.Schema,
    metadata: Mapping[str, object] | None = None,
) -> int:
    """Write `batches` (any sizes) to `path` as `parquet_writer` does, and return the number of rows."""
    with parquet_writer(path, schema, metadata) as writer:
        for batch in batches:
            writer.write(batch)
    return writer.rows


@contextmanager
def parquet_writer(
    path: str | Path,
    schema: pa.Schema,
    metadata: Mapping[str, object] | None = None,
    *,
    group_rows: int = ROW_GROUP_ROWS,
) -> Iterator["RowGroupWriter"]:
    """A file to write tables to as they come; the bytes do not depend on how the rows were batched.

    `metadata` values are stored as sorted JSON beside those of the schema. The file appears under
    its name only when it is complete (`files.written_whole`); XtinctError naming it where the disk does
    not take it. `group_rows`: rows of a row group, which are held in memory until it is full; fewer where
    they hold more than ROW_GROUP_TEXT bytes of text.
    """
    path = Path(path)
    extra = {key: json.dumps(value, sort_keys=True) for key, value in (metadata or {}).items()}
    schema = schema.with_metadata(
        {**(schema.metadata or {}), **{k.encode(): v.encode() for k, v in extra.items()}}
    )
    with written_whole(path) as temporary:
        with naming(path):
            file = pq.ParquetWriter(
                temporary,
                schema,
                compression="zstd",
                compression_level=3,
                # Floats do not repeat: a dictionary only costs time and size there.
                use_dictionary=[
                    f.name
                    for f in schema
                    if pa.types.is_string(f.type) and f.name not in ("cif", "sample_id")
                ],
                store_schema=True,
                # Neither Parquet nor its codec would notice a flipped bit without them.
                write_page_checksum=True,
            )
        try:
            writer = RowGroupWriter(path, file, group_rows)
            yield writer
            writer.flush()
        finally:
            with naming(path):
                file.close()


class RowGroupWriter:
    """Regroups tables of any sizes into row groups of one size; of `parquet_writer`."""

    def __init__(self, path: Path, file: pq.ParquetWriter, group_rows: int) -> None:
        self._path, self._file, self._group_rows = path, file, group_rows
        self._held: list[pa.Table] = []
        self._n_held = self._text_held = 0
        #: Rows taken so far.
        self.rows = 0

    def write(self, batch: pa.Table | pa.RecordBatch) -> None:
        """Take the rows of a batch."""
        table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
        self._held.append(table.cast(self._file.schema))
        self._n_held += table.num_rows
        self._text_held += _text_bytes(table)
        self.rows += table.num_rows
        while rows := self._full():
            self._write_group(rows)

    def flush(self) -> None:
        """Write the rows that are held, as the last row group."""
        if self._n_held:
            self._write_group(self._n_held)

    def _full(self) -> int:
        """Rows of the next group; 0 while it is not full. The same whatever the batches were."""
        if self._text_held > ROW_GROUP_TEXT:
            fitting = _rows_within(pa.concat_tables(self._held), ROW_GROUP_TEXT)
            if fitting < min(self._n_held, self._group_rows):
                return max(1, fitting)
        return self._group_rows if self._n_held >= self._group_rows else 0

    def _write_group(self, rows: int) -> None:
        held = pa.concat_tables(self._held)
        with naming(self._path):
            self._file.write_table(held.slice(0, rows).combine_chunks(), row_group_size=rows)
        rest = held.slice(rows)
        self._n_held -= rows
        self._text_held = _text_bytes(rest)
        self._held = [rest] if self._n_held else []


def _texts(table: pa.Table) -> list[pa.ChunkedArray]:
    return [column for column in table.columns if pa.types.is_string(column.type)]


def _text_bytes(table: pa.Table) -> int:
    """At least the bytes of its texts."""
    return sum(column.nbytes for column in _texts(table))


def _rows_within(table: pa.Table, size: int) -> int:
    """How many of its first rows hold at most `size` bytes of text."""
    lengths = sum(np.asarray(pc.fill_null(pc.binary_length(column), 0), np.int64) for column in _texts(table))
    return int(np.searchsorted(np.cumsum(lengths), size, side="right"))


class ParquetFile(pq.ParquetFile):
    """A Parquet file whose pages are held against their checksums, and whose faults name it.

    Bytes that have changed since they were written are an XtinctError where they are read.
    """

    def __init__(self, path: str | Path, **options: Any) -> None:
        self.path = path
        with _readable(path):
            super().__init__(path, page_checksum_verification=True, **options)

    def read(self, *arguments: Any, **options: Any) -> pa.Table:
        """As of pyarrow."""
        with _readable(self.path):
            return super().read(*arguments, **options)

    def read_row_group(self, *arguments: Any, **options: Any) -> pa.Table:
        """As of pyarrow."""
        with _readable(self.path):
            return super().read_row_group(*arguments, **options)

    def iter_batches(self, *arguments: Any, **options: Any) -> Iterator[pa.RecordBatch]:
        """As of pyarrow."""
        with _readable(self.path):
            batches = super().iter_batches(*arguments, **options)
        while True:
            with _readable(self.path):
                batch = next(batches, None)
            if batch is None:
                return
            yield batch


@contextmanager
def _readable(path: str | Path) -> Iterator[None]:
    """Name the file in whatever pyarrow says of it."""
    try:
        yield
    except FileNotFoundError:
        raise XtinctError(f"{path}: no such file") from None
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise XtinctError(
            f"{path}: not a readable Parquet file ({str(error).splitlines()[0]}); "
            "if it was one, its bytes have changed: delete it and make or fetch it again"
        ) from None


def open_parquet(path: str | Path, mapped: bool = True) -> ParquetFile:
    """Open a Parquet file, or raise XtinctError naming it.

    A file that is not `mapped` is read in pieces of 1 MiB: what was read does not count as memory.
    """
    return ParquetFile(path, memory_map=mapped, buffer_size=0 if mapped else 1 << 20)


def read_table(path: str | Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A whole Parquet file (or some columns of it) in memory, or XtinctError naming it."""
    with open_parquet(path) as file:
        return file.read(columns=None if columns is None else list(columns))


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
        with _readable(path):
            text = value.decode()
        try:
            decoded[key.decode()] = json.loads(text)
        except json.JSONDecodeError:
            decoded[key.decode()] = text
    return decoded


def count_rows(paths: Iterable[str | Path]) -> int:
    """Rows of some Parquet files together, from their metadata."""
    return sum(open_parquet(path).metadata.num_rows for path in paths)

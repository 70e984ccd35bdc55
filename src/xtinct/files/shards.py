"""Cutting a dataset into jobs and putting the parts together again, in bounded memory."""

import bisect
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from xtinct.errors import XtinctError
from xtinct.files.parquet import open_parquet, read_batches, write_parquet
from xtinct.files.schema import check_table

#: Rows held at a time of each shard.
_BATCH = 1024


@dataclass(frozen=True)
class Shard:
    """Part `number` (0 to `count` - 1) of a dataset that is cut into `count` jobs; by default the whole.

    XtinctError for a number beyond.
    """

    number: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.number < self.count:
            raise XtinctError(f"shard {self.number}: expected a number from 0 to {self.count - 1}")

    def rows(self, n: int) -> range:
        """Its rows of `n`: consecutive, sizes equal to within one."""
        return range(n * self.number // self.count, n * (self.number + 1) // self.count)


def iter_rows(
    path: str | Path, rows: range, columns: Sequence[str] | None = None, batch_size: int = _BATCH
) -> Iterator[pa.RecordBatch]:
    """The rows number `rows` (step 1) of a Parquet file, reading only the row groups that hold them."""
    file = open_parquet(path)
    first = 0
    wanted = []
    for group in range(file.num_row_groups):
        n = file.metadata.row_group(group).num_rows
        if first < rows.stop and rows.start < first + n:
            wanted.append((group, first))
        first += n
    if not wanted:
        return
    position = wanted[0][1]
    for batch in read_batches(file, batch_size, columns, [group for group, _ in wanted]):
        start = max(rows.start - position, 0)
        stop = min(rows.stop - position, batch.num_rows)
        position += batch.num_rows
        if start < stop:
            yield batch.slice(start, stop - start)


def merge_shards(
    paths: Sequence[str | Path],
    out: str | Path,
    *,
    schema: pa.Schema,
    metadata: Mapping[str, object] | None = None,
    key: str = "sample_id",
) -> int:
    """Join tables that are each ordered by the string column `key` into one, and return its rows.

    The result is ordered by `key` and its bytes do not depend on the number of shards. XtinctError
    naming the file for a column that is missing, rows out of order, or a key that occurs twice.
    """
    cursors = [_Cursor(path, schema, key) for path in paths]
    return write_parquet(out, _merged(cursors), schema, dict(metadata or {}))


def _merged(cursors: list["_Cursor"]) -> Iterator[pa.RecordBatch]:
    active = [cursor for cursor in cursors if cursor.head is not None]
    last = None
    while active:
        active.sort(key=lambda cursor: cursor.head)
        cursor = active[0]
        if last is not None and cursor.head <= last:
            raise XtinctError(f"{cursor.path}: {cursor.head!r} occurs twice among the shards")
        # Everything below the next file's first row may leave at once.
        batch, last = cursor.take_below(active[1].head if len(active) > 1 else None)
        yield batch
        if cursor.head is None:
            active.pop(0)


class _Cursor:
    """The next rows of one ordered file. It takes up memory from its first row's turn to its last's."""

    def __init__(self, path: str | Path, schema: pa.Schema, key: str) -> None:
        self.path, self._key, self._columns = path, key, schema.names
        file = open_parquet(path, mapped=False)
        check_table(file.schema_arrow, schema, str(path))
        first = next((batch for batch in read_batches(file, 1, [key]) if batch.num_rows), None)
        #: Key of the next row; None at the end.
        self.head: str | None = None if first is None else first.column(0)[0].as_py()
        self._batches: Iterator[pa.RecordBatch] | None = None
        self._keys: list[str] = []
        self._at = 0

    def _next(self) -> None:
        """Hold the next rows; the head is None if there are none."""
        if self._batches is None:
            file = open_parquet(self.path, mapped=False)
            self._batches = read_batches(file, _BATCH, self._columns)
        last = self._keys[-1:]
        for batch in self._batches:
            if batch.num_rows:
                self._batch, self._keys, self._at = batch, batch.column(self._key).to_pylist(), 0
                for before, after in itertools.pairwise(last + self._keys):
                    if before >= after:
                        raise XtinctError(
                            f"{self.path}: {after!r} follows {before!r}; expected rising {self._key}"
                        )
                self.head = self._keys[0]
                return
        self.head = None

    def take_below(self, bound: str | None) -> tuple[pa.RecordBatch, str]:
        """The next rows up to `bound` (at least one, at most those in memory) and the last key of them."""
        if self._batches is None:
            self._next()
        stop = len(self._keys) if bound is None else bisect.bisect_left(self._keys, bound, self._at)
        stop = max(stop, self._at + 1)
        taken, last = self._batch.slice(self._at, stop - self._at), self._keys[stop - 1]
        self._at = stop
        if stop == len(self._keys):
            self._next()
        else:
            self.head = self._keys[stop]
        return taken, last

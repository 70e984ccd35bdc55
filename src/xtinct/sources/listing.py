"""What a folder of texts holds: names, and a digest that reads a file again only where it has changed.

A file counts as unchanged while its size, times of change and inode are those of the last listing. The
time that the file system itself keeps (ctime) is among them, so an edit that sets the time of modification
back is seen as well.
"""

import contextlib
import fnmatch
import hashlib
import os
import struct
import time
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from xtinct.errors import XtinctError
from xtinct.files.writing import written_whole

#: Nanoseconds. A file that was changed so shortly before the listing may change again within the same
#: tick of the file system's clock, so its digest is not kept.
_TICK = 2_000_000_000
#: Rows of kept digests that are held as objects of Python at a time.
_ROWS = 1 << 15
_KEPT = pa.schema([("name", pa.binary()), ("stamp", pa.binary()), ("digest", pa.binary())])
#: A stamp: size, mtime and ctime in nanoseconds, inode (whose 64 bits some network file systems fill).
_stamp = struct.Struct("<qqqQ").pack


def local_path(text: str | Path) -> Path:
    """The path that a configuration writes in UTF-8, whatever the locale takes names to be."""
    return Path(os.fsdecode(str(text).encode("utf-8", "surrogateescape")))


def is_address(path: str | Path) -> bool:
    """Whether a path is the address of a file elsewhere, as in https://example.org/structures.zip."""
    return "://" in str(path)


def existing_path(where: str, text: str | Path) -> Path:
    """`local_path` of a file or folder that is there; XtinctError, which names the key `where`, if not."""
    if is_address(text):
        raise XtinctError(f"{where}: {text}: an address; only the workflow (snakemake) brings what is there")
    path = local_path(text)
    if not path.exists():
        raise XtinctError(f"{where}: {path}: no such file or folder")
    return path


def printable(name: str) -> str:
    r"""A file's name as text: what is not UTF-8 and control characters as \xNN, so that it can be written."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(c if c >= " " and not "\x7f" <= c <= "\x9f" else f"\\x{ord(c):02x}" for c in text)


def matches(name: str, pattern: str) -> bool:
    """Whether the last part of a path matches a pattern; `|` separates several, capitals do not matter."""
    base = PurePosixPath(name).name.lower()
    return any(fnmatch.fnmatchcase(base, one) for one in pattern.lower().split("|"))


def folder_names(folder: Path, pattern: str) -> Iterator[str]:
    """Paths, relative to `folder` and in order of their bytes, of all matching files at any depth.

    Links to files are among them; links to folders are not followed. XtinctError for a folder that
    cannot be read: nothing may be left out unsaid.
    """
    return (name for name, _ in _walk(folder, pattern))


def folder_digest(folder: Path, pattern: str, kept: Path | None = None) -> str:
    """SHA-256 of names and contents of all matching files of a folder, as "sha256:...".

    kept   file in which the digest of each file is kept for the next time; None reads all of them
    """
    now = time.time_ns()
    before, after = _Before(kept), _After()
    whole = hashlib.sha256()
    settled = True
    for name, entry in _walk(folder, pattern):
        place = os.fsencode(name)
        whole.update(place + b"\0")
        file = _looked_at(entry)
        if file is None:
            continue
        known = before.of(place)
        same = known is not None and known[0] == file.stamp
        digest = known[1] if same else _content(entry.path)
        whole.update(digest)
        if file.changed < now - _TICK:
            after.add(place, file.stamp, digest)
        settled = settled and same
    if kept and not (settled and after.count == before.count()):
        after.write(kept)
    return f"sha256:{whole.hexdigest()}"


def content_digest(path: Path, pattern: str, kept: Path | None = None) -> str:
    """`folder_digest` of a folder; of a single file, SHA-256 of its content, kept likewise.

    "missing" where there is nothing.
    """
    if path.is_dir():
        return folder_digest(path, pattern, kept)
    if not path.is_file():
        return "missing"
    now, known = time.time_ns(), _Before(kept).of(b"")
    file = _stamped(path.stat())
    if known and known[0] == file.stamp:
        return f"sha256:{known[1].hex()}"
    digest = _content(str(path))
    if kept and file.changed < now - _TICK:
        after = _After()
        after.add(b"", file.stamp, digest)
        after.write(kept)
    return f"sha256:{digest.hex()}"


class _File(NamedTuple):
    stamp: bytes
    #: Nanoseconds since the epoch, the later of both times.
    changed: int


def _stamped(found: os.stat_result) -> _File:
    modified, changed = found.st_mtime_ns, found.st_ctime_ns
    return _File(_stamp(found.st_size, modified, changed, found.st_ino), max(modified, changed))


def _looked_at(entry: os.DirEntry) -> _File | None:
    """Stamp of a regular file, links followed; None for anything else, and for a link to nowhere."""
    try:
        return _stamped(entry.stat()) if entry.is_file() else None
    except OSError:
        return None


def _content(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as stream:  # noqa: PTH123 - a Path for each of a million files is slow
            return hashlib.file_digest(stream, "sha256").digest()
    except OSError as error:
        # The reader gives it a row with this reason.
        return hashlib.sha256(f"unreadable: {error.errno}".encode()).digest()


def _walk(folder: Path, pattern: str) -> Iterator[tuple[str, os.DirEntry]]:
    """Matching files with their paths relative to `folder`, in order of the bytes of these.

    No more is held than one folder at each depth: a mirror has half a million files.
    """
    patterns = pattern.lower().split("|")
    pending = [("", _listed(str(folder), patterns))]
    while pending:
        prefix, entries = pending[-1]
        entry = next(entries, None)
        if entry is None:
            pending.pop()
        elif entry.is_dir(follow_symlinks=False):
            pending.append((f"{prefix}{entry.name}/", _listed(entry.path, patterns)))
        else:
            yield prefix + entry.name, entry


def _listed(path: str, patterns: list[str]) -> Iterator[os.DirEntry]:
    """Folders and matching files of a folder, in the order in which the paths below it stand."""
    found = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                place = os.fsencode(entry.name)
                if entry.is_dir(follow_symlinks=False):
                    found.append((place + b"/", entry))
                    continue
                base = entry.name.lower()
                if any(fnmatch.fnmatchcase(base, one) for one in patterns) and not entry.is_dir():
                    found.append((place, entry))
    except OSError as error:
        raise XtinctError(f"{printable(path)}: the folder cannot be read ({error.strerror})") from None
    return (entry for _, entry in sorted(found, key=itemgetter(0)))


class _Before:
    """What the last listing kept, read beside a new one: both are in order of the bytes of the names."""

    def __init__(self, kept: Path | None) -> None:
        self._rows = _read(kept) if kept else iter(())
        self._seen = 0
        self._row = self._next()

    def _next(self) -> tuple[bytes, bytes, bytes] | None:
        row = next(self._rows, None)
        self._seen += row is not None
        return row

    def of(self, name: bytes) -> tuple[bytes, bytes] | None:
        """Stamp and digest of a file, asked for in order; None for one that was not there."""
        while self._row is not None and self._row[0] < name:
            self._row = self._next()
        return self._row[1:] if self._row is not None and self._row[0] == name else None

    def count(self) -> int:
        """How many files there were."""
        while self._next() is not None:
            pass
        return self._seen


class _After:
    """Rows for the next listing, in Arrow's memory: a tenth of what they take as objects of Python."""

    def __init__(self) -> None:
        self.count = 0
        self._rows: list[tuple[bytes, bytes, bytes]] = []
        self._batches: list[pa.RecordBatch] = []

    def add(self, name: bytes, stamp: bytes, digest: bytes) -> None:
        """Take the row of one file."""
        self._rows.append((name, stamp, digest))
        self.count += 1
        if len(self._rows) == _ROWS:
            self._pack()

    def _pack(self) -> None:
        columns = list(zip(*self._rows, strict=True)) or [[]] * len(_KEPT)
        self._batches.append(pa.record_batch([pa.array(c, pa.binary()) for c in columns], schema=_KEPT))
        self._rows = []

    def write(self, kept: Path) -> None:
        """Keep them. Without them the next listing only takes longer, so a read-only folder is no error."""
        self._pack()
        with contextlib.suppress(OSError, XtinctError), written_whole(kept) as temporary:
            pq.write_table(pa.Table.from_batches(self._batches, _KEPT), temporary)


def _read(kept: Path) -> Iterator[tuple[bytes, bytes, bytes]]:
    # Not there yet, or damaged: what is missing is read again.
    with contextlib.suppress(OSError, pa.ArrowException), pq.ParquetFile(kept) as file:
        if file.schema_arrow.equals(_KEPT):
            for batch in file.iter_batches(_ROWS):
                yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)

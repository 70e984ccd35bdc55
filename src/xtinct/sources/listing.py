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
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from xtinct.errors import XtinctError
from xtinct.files.writing import written_whole

#: Nanoseconds. A file that was changed so shortly before the listing may change again within the same
#: tick of the file system's clock, so its digest is not kept.
_TICK = 2_000_000_000
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


def folder_names(folder: Path, pattern: str) -> list[str]:
    """Paths, relative to `folder` and in order of their bytes, of all matching files at any depth.

    Links to files are among them; links to folders are not followed. XtinctError for a folder that
    cannot be read: nothing may be left out unsaid.
    """
    return sorted((name for name, _ in _walk(folder, pattern)), key=os.fsencode)


def folder_digest(folder: Path, pattern: str, kept: Path | None = None) -> str:
    """SHA-256 of names and contents of all matching files of a folder, as "sha256:...".

    kept   file in which the digest of each file is kept for the next time; None reads all of them
    """
    now = time.time_ns()
    before = _read(kept) if kept else {}
    rows: dict[bytes, tuple[bytes, bytes]] = {}
    whole = hashlib.sha256()
    settled = True
    for name, entry in sorted(
        ((os.fsencode(name), entry) for name, entry in _walk(folder, pattern)), key=lambda found: found[0]
    ):
        whole.update(name + b"\0")
        file = _looked_at(entry)
        if file is None:
            continue
        known = before.get(name)
        digest = known[1] if known and known[0] == file.stamp else _content(entry.path)
        whole.update(digest)
        if file.changed < now - _TICK:
            rows[name] = file.stamp, digest
        settled = settled and known is not None and known[0] == file.stamp
    if kept and not (settled and rows.keys() == before.keys()):
        _write(kept, rows)
    return f"sha256:{whole.hexdigest()}"


def content_digest(path: Path, pattern: str, kept: Path | None = None) -> str:
    """`folder_digest` of a folder; of a single file, SHA-256 of its content, kept likewise.

    "missing" where there is nothing.
    """
    if path.is_dir():
        return folder_digest(path, pattern, kept)
    if not path.is_file():
        return "missing"
    now, before = time.time_ns(), _read(kept) if kept else {}
    file = _stamped(path.stat())
    known = before.get(b"")
    if known and known[0] == file.stamp:
        return f"sha256:{known[1].hex()}"
    digest = _content(str(path))
    if kept and file.changed < now - _TICK:
        _write(kept, {b"": (file.stamp, digest)})
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
    patterns = pattern.lower().split("|")
    pending = [("", str(folder))]
    while pending:
        prefix, path = pending.pop()
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append((f"{prefix}{entry.name}/", entry.path))
                        continue
                    base = entry.name.lower()
                    if any(fnmatch.fnmatchcase(base, one) for one in patterns) and not entry.is_dir():
                        yield prefix + entry.name, entry
        except OSError as error:
            raise XtinctError(f"{printable(path)}: the folder cannot be read ({error.strerror})") from None


def _read(kept: Path) -> dict[bytes, tuple[bytes, bytes]]:
    try:
        columns = pq.read_table(kept, schema=_KEPT).to_pydict()
    except (OSError, pa.ArrowException):
        # Not there yet, or damaged: everything is read again.
        return {}
    return dict(zip(columns["name"], zip(columns["stamp"], columns["digest"], strict=True), strict=True))


def _write(kept: Path, rows: dict[bytes, tuple[bytes, bytes]]) -> None:
    columns = [list(rows), *([row[i] for row in rows.values()] for i in (0, 1))]
    # Without it the next listing only takes longer, so a folder that cannot be written is no error.
    with contextlib.suppress(OSError, XtinctError), written_whole(kept) as temporary:
        pq.write_table(pa.table(columns, schema=_KEPT), temporary)

"""Texts out of folders and archives, without trusting their names or sizes.

Nothing is ever unpacked to disk, so a member's path cannot leave its archive; sizes are counted while
bytes come out, not taken from headers.
"""

import bz2
import codecs
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from xtinct.errors import XtinctError
from xtinct.sources.listing import content_digest, folder_names, matches, printable

#: Largest text taken from one file or member: ten times the largest CIF of the COD.
MAX_TEXT_BYTES = 64 * 2**20
#: An archive may unpack to this many times its own size (CIFs: 3 to 30), or to `FREE_BYTES` if that is more.
MAX_RATIO = 200
FREE_BYTES = 256 * 2**20

#: What a damaged archive, or a damaged member of one, ends in. RuntimeError: a password.
_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    RuntimeError,  # a password; NotImplementedError, of an unknown method, is one, too
    ValueError,
    OverflowError,
)

#: Error of a member whose path is not a relative one within its archive.
_UNSAFE = "unsafe_path: a member's path may not leave its archive"

_TAR_OPENERS = {
    ".tar": lambda raw: raw,
    ".gz": gzip.open,
    ".tgz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
}


def is_archive(path: Path) -> bool:
    """Whether the name is that of a .zip, .tar, .tgz or .tar.gz/bz2/xz file."""
    name = path.name.lower()
    return path.suffix.lower() in (".zip", ".tar", ".tgz") or name.endswith(
        (".tar.gz", ".tar.bz2", ".tar.xz")
    )


def texts(path: Path, pattern: str, where: str) -> Iterator[tuple[str, str, str]]:
    """(name, text, error) of every file below a folder or in an archive whose base name matches `pattern`.

    Several patterns are separated by `|`; capitals do not matter.

    `error` is "reason: detail" where there is no text. XtinctError, beginning with `where`, if the
    whole cannot be read, or unpacks to far more than any archive of texts does.
    """
    for name, data, error in contents(path, pattern, where):
        if error:
            yield name, "", error
            continue
        try:
            yield name, decoded(data), ""
        except ValueError as fault:
            yield name, "", f"unreadable: {fault}"


def contents(path: Path, pattern: str, where: str) -> Iterator[tuple[str, bytes, str]]:
    """As `texts`, the bytes of every file, whatever they are."""
    if path.is_dir():
        yield from _folder(path, pattern)
    elif not path.is_file():
        raise XtinctError(f"{where}.path: {path}: no such file or folder")
    elif is_archive(path):
        try:
            yield from (_zip if path.suffix.lower() == ".zip" else _tar)(path, pattern, where)
        except (OSError, *_DAMAGED) as error:
            raise XtinctError(f"{where}.path: {path}: damaged archive ({_one_line(error)})") from None
    else:
        with path.open("rb") as stream:
            yield printable(path.name), *_bytes(stream)


def digest(path: Path, pattern: str) -> str:
    """SHA-256 of a file's content, or of the names and contents of a folder's matching files."""
    return content_digest(path, pattern)


def _folder(folder: Path, pattern: str) -> Iterator[tuple[str, bytes, str]]:
    root = folder.resolve()
    for name in folder_names(folder, pattern):
        path, shown = folder / name, printable(name)
        if not path.resolve().is_relative_to(root):
            yield shown, b"", "unsafe_path: a link that leads out of the folder"
        elif not path.is_file():
            yield shown, b"", "unreadable: not a regular file"
        else:
            try:
                with path.open("rb") as stream:
                    yield shown, *_bytes(stream)
            except OSError as error:
                yield shown, b"", f"unreadable: {_one_line(error)}"


def _zip(path: Path, pattern: str, where: str) -> Iterator[tuple[str, bytes, str]]:
    budget = _Budget(path, where)
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            # A name may be empty, which is_dir takes for an error of its own.
            if member.filename.endswith("/") or not matches(member.filename, pattern):
                continue
            if _unsafe(member.filename):
                yield (
                    printable(member.filename),
                    b"",
                    _UNSAFE,
                )
                continue
            try:
                with archive.open(member) as stream:
                    yield printable(member.filename), *_bytes(budget.limit(stream))
            except (OSError, *_DAMAGED) as error:
                # A wrong checksum, a password, or an unknown method costs only this member.
                yield printable(member.filename), b"", f"unreadable: {_one_line(error)}"


def _tar(path: Path, pattern: str, where: str) -> Iterator[tuple[str, bytes, str]]:
    budget = _Budget(path, where)
    with path.open("rb") as raw:
        unpacked = budget.limit(_TAR_OPENERS[path.suffix.lower()](raw))
        with tarfile.open(fileobj=unpacked, mode="r|") as archive:
            while (member := archive.next()) is not None:
                archive.members.clear()  # tarfile keeps what it has seen, 500 bytes for each
                if member.isdir() or not matches(member.name, pattern):
                    continue
                if _unsafe(member.name):
                    yield (
                        printable(member.name),
                        b"",
                        _UNSAFE,
                    )
                elif not member.isfile():
                    yield printable(member.name), b"", "unreadable: a link or device, not a file"
                else:
                    yield printable(member.name), *_bytes(archive.extractfile(member))


def _unsafe(name: str) -> bool:
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or any(":" in part for part in path.parts[:1])


class _Budget:
    """Counts the bytes that come out of one archive, and stops a decompression bomb."""

    def __init__(self, path: Path, where: str) -> None:
        self.left = max(MAX_RATIO * path.stat().st_size, FREE_BYTES)
        self.message = (
            f"{where}.path: {path}: unpacks to over {MAX_RATIO} times its size: a decompression bomb?"
        )

    def limit(self, stream: BinaryIO) -> BinaryIO:
        return io.BufferedReader(_Counted(stream, self), 2**16)


class _Counted(io.RawIOBase):
    def __init__(self, stream: BinaryIO, budget: _Budget) -> None:
        self.stream = stream
        self.budget = budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        data = self.stream.read(len(buffer))
        self.budget.left -= len(data)
        if self.budget.left < 0:
            raise XtinctError(self.budget.message)
        buffer[: len(data)] = data
        return len(data)


def _bytes(stream: BinaryIO) -> tuple[bytes, str]:
    data = stream.read(MAX_TEXT_BYTES + 1)
    if len(data) > MAX_TEXT_BYTES:
        return b"", f"too_large: more than {MAX_TEXT_BYTES // 2**20} MiB of text"
    return data, ""


def decoded(data: bytes) -> str:
    """Text of a file: UTF-8 or UTF-16 with a byte order mark, UTF-8, or else Latin-1.

    ValueError if it is no text.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError:
            raise ValueError("damaged UTF-16, expected text") from None
    if b"\0" in data:
        raise ValueError("binary data, expected text")
    # Old CIFs are Latin-1; the structure itself is ASCII in every encoding they use.
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__

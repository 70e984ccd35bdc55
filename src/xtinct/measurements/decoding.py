"""From the bytes of a file to its text: compression, encodings, and contents that are no powder data."""

import codecs
import io
import re
import zlib
from pathlib import Path

from xtinct.errors import XtinctError

#: Largest file, unpacked, that is read, bytes: a powder pattern has a few megabytes at most.
LARGEST = 256 * 2**20
#: Most lines of a text that is read: the longest pattern that we know has 60,000 points.
MOST_LINES = 1_000_000
#: First bytes of contents that are recognised and not read, with what to do instead.
_FOREIGN = (
    (b"\x89HDF", "an HDF5 or NeXus file; export the reduced pattern as text (xye)"),
    (b"CDF\x01", "a NetCDF file; export the pattern as text (xye)"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file; save the columns as csv"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"II*\x00", "a picture of a detector; integrate it to a pattern first"),
    (b"MM\x00*", "a picture of a detector; integrate it to a pattern first"),
    (b"SQLite format 3", "a database"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it first"),
    (b"Rar!", "a rar archive; unpack it first"),
    (b"BZh", "a bzip2 archive; unpack it first"),
    (b"\xfd7zXZ", "an xz archive; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive; unpack it first"),
    (b"PAR1", "a Parquet file; write the columns as csv"),
    (b"\x93NUMPY", "a NumPy file; write the columns as text"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"\x80\x04", "a Python pickle, which is never opened; write the columns as text"),
)
#: Bytes that text holds, beside those above 31.
_TEXT_CONTROLS = {7, 8, 9, 10, 11, 12, 13, 26, 27}
#: Share of other control bytes from which on a content is binary: old GSAS titles hold a few.
_BINARY = 0.005


def read_bytes(path: Path) -> bytes:
    """The bytes of a file, of gzip unpacked; XtinctError naming the file if it cannot be or is too large."""
    try:
        if not path.is_file():
            raise XtinctError(
                f"{path}: " + ("a folder, expected a file" if path.is_dir() else "no such file")
            )
        if path.stat().st_size > LARGEST:
            raise XtinctError(f"{path}: larger than {LARGEST // 2**20} MiB, which no powder pattern is")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise XtinctError(f"{path}: {reason}") from None
    return content_of(data, path)


def content_of(data: bytes, path: Path) -> bytes:
    """The bytes of a file as it was read, of gzip unpacked; XtinctError naming it where nothing is in it."""
    if data[:2] == b"\x1f\x8b":
        data = _unpacked(data, path)
    if not data.strip(b" \t\r\n\0\x1a"):
        raise XtinctError(f"{path}: the file is empty; expected a powder pattern or a list of peaks")
    return data


def _unpacked(data: bytes, path: Path) -> bytes:
    out = io.BytesIO()
    try:
        while data[:2] == b"\x1f\x8b":
            unpacker = zlib.decompressobj(wbits=31)
            out.write(unpacker.decompress(data, LARGEST + 1 - out.tell()))
            if out.tell() > LARGEST:
                raise XtinctError(f"{path}: unpacks to more than {LARGEST // 2**20} MiB")
            if not unpacker.eof:
                raise XtinctError(f"{path}: the gzip file is cut short; fetch it anew")
            data = unpacker.unused_data
    except zlib.error as error:
        raise XtinctError(f"{path}: the gzip file is damaged ({error})") from None
    return out.getvalue()


def refuse_foreign(data: bytes, path: Path) -> None:
    """XtinctError naming what the file is, if its first bytes are those of something else."""
    for magic, what in _FOREIGN:
        if data.startswith(magic):
            raise XtinctError(f"{path}: is {what}; expected a powder pattern")


def decoded(data: bytes, path: Path) -> str:
    """The text of a file; XtinctError where the content is binary.

    UTF-8, UTF-16 and UTF-32 with or without byte order mark, otherwise Windows-1252 or Latin-1.
    """
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            try:
                return data.decode(encoding)
            except UnicodeDecodeError:
                break
    head = data[:4000]
    # Digits in UTF-16 have a zero byte each, all on the same side.
    for encoding, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
        if len(head) > 8 and zeros.count(0) > 0.9 * len(zeros) and head.count(0) < 0.6 * len(head):
            try:
                return data.decode(encoding)
            except UnicodeDecodeError:
                break
    controls = sum(data.count(bytes([c])) for c in range(32) if c not in _TEXT_CONTROLS)
    if controls > _BINARY * len(data):
        raise XtinctError(
            f"{path}: binary content of an unknown format (first bytes {_shown(data[:8])}); "
            "export it as text, xy or xye"
        )
    data = data.replace(b"\0", b" ")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def refuse_long(text: str) -> None:
    """XtinctError for a text of more lines than a powder pattern has."""
    lines = max(text.count("\n"), text.count("\r"))
    if lines > MOST_LINES:
        raise XtinctError(
            f"holds {lines:,} lines, expected at most {MOST_LINES:,}; join neighbouring points or split scans"
        )


def _shown(data: bytes) -> str:
    return " ".join(f"{byte:02x}" for byte in data)


def lines_of(text: str) -> list[str]:
    """Lines of a text, whatever ends them; no other character divides a line."""
    return re.split(r"\r\n|\r+\n|\n|\r", text)

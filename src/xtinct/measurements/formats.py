"""Which format a content is, by its own marks and never by the name of its file."""

import re
from collections.abc import Callable

from xtinct.errors import XtinctError
from xtinct.measurements.bruker import read_brml, read_raw, read_uxd
from xtinct.measurements.columns import read_columns
from xtinct.measurements.gsas import BANK, read_gsas
from xtinct.measurements.jcampdx import is_jcamp, read_jcamp
from xtinct.measurements.panalytical import read_rd, read_udf, read_xrdml
from xtinct.measurements.pdcif import is_cif, read_pdcif
from xtinct.measurements.records import Scan
from xtinct.measurements.rigaku import read_asc, read_ras, read_rasx
from xtinct.measurements.stepped import is_grid, mdi_line, read_cpi, read_grid, read_mdi
from xtinct.measurements.xml import archive_of

BinaryReader = Callable[[bytes, str], list[Scan]]
TextReader = Callable[[str, str, str], list[Scan]]

#: Longest run of characters without a blank in a text of powder data.
_LONGEST_WORD = 5000
#: First bytes of binary powder data that are recognised and not read, with what can be done.
_UNREAD = (
    (b"RAW_1.0", "a STOE RAW file; export it from WinXPOW as text (xy)"),
    (b"FI", "a Rigaku binary RAW file; export it as .ras, .rasx or .asc"),
)


def binary_reader(data: bytes) -> BinaryReader | None:
    """The reader of a content that is no text, None if it may be text."""
    for magic, what in _UNREAD:
        # "FI" alone may begin a text: its third byte tells.
        if data.startswith(magic) and (len(magic) > 2 or data[2:8].count(0) > 1):
            raise XtinctError(f"is {what}")
    if data[:7] in (b"RAW1.01", b"RAW4.00") or data[:4] == b"RAW2" or _is_raw_1(data):
        return read_raw
    if data[:4] in (b"V3RD", b"V5RD"):
        return read_rd
    if data[:4] == b"PK\x03\x04":
        return _zip_reader(data)
    return None


def _is_raw_1(data: bytes) -> bool:
    return data[:4] == b"RAW " and data[4:40].count(0) > 4


def _zip_reader(data: bytes) -> BinaryReader:
    names = archive_of(data).namelist()
    if any(re.search(r"RawData\d*\.xml$", name) for name in names):
        return read_brml
    if any(re.search(r"Profile\d*\.txt$", name) for name in names):
        return read_rasx
    if any(name.startswith("xl/") for name in names):
        raise XtinctError("is an Excel workbook; save the sheet as csv")
    shown = ", ".join(names[:3])
    raise XtinctError(f"is a zip archive without a measurement that is known ({shown}); unpack it first")


def text_reader(text: str, suffix: str) -> TextReader:
    """The reader of a text; columns if nothing else is recognised."""
    head = text[:20_000].lstrip("\ufeff \t\r\n")
    if head.startswith("<"):
        if "<xrdMeasurement" in text[:200_000]:
            return read_xrdml
        raise XtinctError("is XML or HTML without an xrdMeasurement; expected a powder pattern")
    # Patterns take the square of a word's length, which hostile files make as long as they like.
    if max(map(len, text.split()), default=0) > _LONGEST_WORD:
        raise XtinctError(f"holds a word of more than {_LONGEST_WORD} characters; expected rows of numbers")
    if head.startswith("*RAS_") or "*RAS_INT_START" in text:
        return read_ras
    if re.match(r"\*(?:TYPE|CLASS)\b", head):
        return read_asc
    if head.startswith("SIETRONICS XRD SCAN"):
        return read_cpi
    if head.startswith("SampleIdent") or re.search(r"^RawScan\s*$", text[:50_000], re.MULTILINE):
        return read_udf
    if re.search(r"^[ \t]*_(?:FILEVERSION|2THETACOUNTS|DRIVE)\b", head, re.MULTILINE):
        return read_uxd
    if BANK.search(text):
        return read_gsas
    if is_jcamp(text):
        return read_jcamp
    if is_cif(text):
        return read_pdcif
    if mdi_line(text):
        return read_mdi
    if is_grid(text):
        return read_grid
    return read_columns

"""What a worker of the page does with one file: read it within limits, ask, draw."""

import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from xtinct.app.chart import chart_of
from xtinct.app.questions import LARGEST_UNPACKED, MOST_LINES, MOST_POINTS, PageQuestion
from xtinct.errors import XtinctError
from xtinct.extras import naming_extra
from xtinct.joint.identification import Identification
from xtinct.joint.identifying import identify
from xtinct.measurements import Measurement, PeakTable, read_measurements
from xtinct.observer.asking import index, read
from xtinct.recognition.recognising import open_table

#: Memory that an answer may take beyond what a worker has when it is ready, bytes.
_MEMORY = 4 * 2**30
#: Bytes that are unpacked at a time to see how many there are.
_CHUNK = 2**20
#: Words of messages about files that leave open what their positions are.
_ASKS_AXIS = "tell the axis"
#: Options of the command line in messages, which the page has as fields.
_OPTION = re.compile(r"\s*\(--[\w-]+[^)]*\)|,? (?:with|tell it with) --[\w-]+")


def prepare(database: str | None) -> None:
    """Make a new worker ready: its table of known structures is read, its memory is bounded."""
    if database is not None:
        with suppress(XtinctError):  # every question says it
            open_table(database)
    _bound_memory()


def _bound_memory() -> None:
    """Let the worker, and not the machine, run out of memory. Only Linux counts and limits it."""
    try:
        import resource

        status = Path("/proc/self/status").read_text()
    except (ImportError, OSError):
        return
    used = 1024 * int(re.search(r"VmData:\s*(\d+)", status)[1])
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    limit = used + _MEMORY
    resource.setrlimit(
        resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard)
    )


def answer_file(path: str, question: PageQuestion, database: str | None) -> dict[str, Any]:
    """The answer to a question on a file, as plain values.

    `answer` (as the command line gives it with --json), `cells` (numbers of every lattice with their
    uncertainties in brackets), `chart` (what the page draws) and `picture` (SVG text, None for a list of
    peaks); or `error`, one line, with `needs`: the field of the page that would help
    (wavelength, scan, axis, None), and `scans`: names of the scans where there are several.
    """
    try:
        with naming_extra():
            measured = _read(Path(path), question)
            found = _asked(measured, question, database)
            picture = None if found.observation.measured is None else _picture(found)
        return {
            "answer": found.to_dict(),
            "cells": [lattice.cell_text() for lattice in found.observation.lattices],
            "chart": chart_of(found.observation),
            "picture": picture,
        }
    except MemoryError:
        return _refused("reading it takes more memory than the page allows; join points, or cut the range")
    except XtinctError as error:
        text = _OPTION.sub("", str(error)).replace(path, question.name)
        return _needing(text, Path(path), question)


def _read(path: Path, question: PageQuestion) -> Measurement | PeakTable:
    """The scan that is asked about, under the name that the user knows; XtinctError beyond the limits."""
    check_size(path)
    measured = read(
        path,
        question.wavelength or None,
        peaks=question.kind == "peaks",
        scan=question.scan or None,
        axis=question.axis or None,
    )
    points = len(measured.d if isinstance(measured, PeakTable) else measured.two_theta)
    if points > MOST_POINTS:
        raise XtinctError(
            f"{path}: {points:,} points, the page takes at most {MOST_POINTS:,}; join neighbours or cut "
            "the range"
        )
    notes = tuple(note.replace(str(path), question.name) for note in measured.notes)
    name = measured.name.replace(str(path), question.name) or question.name
    return replace(measured, name=name, notes=notes)


def _asked(measured: Measurement | PeakTable, question: PageQuestion, database: str | None) -> Identification:
    """The one place where the library is asked."""
    known: dict[str, Any] = {"family": question.family, "prior": question.prior or None}
    wavelength = question.wavelength or None
    if database is None:
        return Identification(index(measured, wavelength, **known), None)
    return identify(measured, wavelength, database=database, elements=question.elements or None, **known)


def _picture(found: Identification) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.svg"
        found.plot(path)
        return path.read_text(encoding="utf-8")


def check_size(path: Path) -> None:
    """XtinctError where a file, unpacked, has more bytes or lines than the page takes: before it is read."""
    size, lines = _zip_size(path), 0
    if size == 0:
        with path.open("rb") as stream:
            for chunk in _unpacked(stream):
                size, lines = size + len(chunk), lines + chunk.count(b"\n")
                if size > LARGEST_UNPACKED:
                    break
    if size > LARGEST_UNPACKED:
        raise XtinctError(
            f"{path}: unpacks to more than {LARGEST_UNPACKED // 2**20} MiB, which no powder pattern has"
        )
    if lines > MOST_LINES:
        raise XtinctError(
            f"{path}: {lines:,} lines, the page takes at most {MOST_LINES:,}; join neighbours or cut "
            "the range"
        )


def _unpacked(stream: BinaryIO) -> Iterator[bytes]:
    """Content of a file, of gzip unpacked, in pieces; what is damaged is left to the reader to tell."""
    pending = stream.read(_CHUNK)
    if not pending.startswith(b"\x1f\x8b"):
        while pending:
            yield pending
            pending = stream.read(_CHUNK)
        return
    unpacker = zlib.decompressobj(wbits=31)
    while pending:
        try:
            yield unpacker.decompress(pending, _CHUNK)
        except zlib.error:
            return
        pending = unpacker.unconsumed_tail or unpacker.unused_data
        if unpacker.eof:
            unpacker = zlib.decompressobj(wbits=31)
        pending = pending or stream.read(_CHUNK)


def _zip_size(path: Path) -> int:
    """Bytes that a zip archive says its files have; 0 for what is none, and for a damaged one."""
    if not zipfile.is_zipfile(path):
        return 0
    try:
        with zipfile.ZipFile(path) as archive:
            return sum(info.file_size for info in archive.infolist())
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        return 0


def _needing(text: str, path: Path, question: PageQuestion) -> dict[str, Any]:
    """A refusal with the field that would help."""
    if not question.scan and "scan" in text:
        scans = _scans(path, question)
        if len(scans) > 1:
            return _refused(text, "scan", scans)
    if not question.axis and _ASKS_AXIS in text:
        return _refused(text, "axis")
    if not question.wavelength and "wavelength" in text:
        return _refused(text, "wavelength")
    return _refused(text)


def _scans(path: Path, question: PageQuestion) -> list[str]:
    """Names of the scans of a file; empty where it cannot be read."""
    try:
        check_size(path)
        found = read_measurements(path, wavelength=question.wavelength or None, axis=question.axis or None)
    except (XtinctError, MemoryError):
        return []
    return [one.name.removeprefix(str(path)).lstrip(", ") or "the whole" for one in found]


def _refused(text: str, needs: str | None = None, scans: list[str] | None = None) -> dict[str, Any]:
    return {"error": text, "needs": needs, "scans": scans or []}

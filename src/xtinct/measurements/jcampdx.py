"""JCAMP-DX: profiles and lists of peaks, plain or packed."""

import contextlib
import io
import re

import numpy as np

from xtinct.errors import XtinctError
from xtinct.measurements.axes import Axis, axis_of
from xtinct.measurements.decoding import lines_of
from xtinct.measurements.headers import said_of
from xtinct.measurements.records import Scan

_DATA = re.compile(r"^##\s*(XY\s*DATA|XY\s*POINTS|PEAK\s*TABLE)\s*=\s*(.*)$", re.IGNORECASE | re.MULTILINE)


def is_jcamp(text: str) -> bool:
    """Whether a text is JCAMP-DX: labelled records of data (RRUFF's text has labels, but no such records)."""
    return text.lstrip().startswith("##") and bool(_DATA.search(text))


def read_jcamp(text: str, name: str, suffix: str) -> list[Scan]:
    """The blocks of a JCAMP-DX file, unpacked by the package jcamp."""
    import jcamp

    kind = re.search(r"^##\s*DATA\s*TYPE\s*=(.*)$", text, re.IGNORECASE | re.MULTILINE)
    if kind and re.search(r"\b(?:NMR|INFRARED|IR|RAMAN|UV|MASS|FID)\b", kind[1], re.IGNORECASE):
        raise XtinctError(f"a JCAMP-DX file of another measurement ({kind[1].strip()}), no powder pattern")
    blocks = re.split(r"(?im)^(?=##\s*TITLE\s*=)", text)
    scans = []
    for block in blocks:
        match = _DATA.search(block)
        if not match:
            continue
        form = re.sub(r"\s+", "", match[2]).upper()
        label = re.sub(r"\s+", " ", match[1]).upper().replace("XY ", "XY")
        block = block[: match.start()] + f"##{label}={form}\n" + block[match.end() :].lstrip("\n")
        block = re.sub(r"\$\$.*", "", block)
        if form not in ("(X++(Y..Y))", "(XY..XY)"):
            raise XtinctError(f"JCAMP-DX data of the form {form[:20]!r}, expected (X++(Y..Y)) or (XY..XY)")
        said_wrong = io.StringIO()
        try:
            with contextlib.redirect_stdout(said_wrong):
                found = jcamp.read(io.BytesIO(block.encode()))
        except Exception as error:  # the package raises what its parsing meets
            raise XtinctError(f"a damaged JCAMP-DX file ({type(error).__name__}: {error})") from None
        x, y = np.atleast_1d(found["x"]).astype(float), np.atleast_1d(found["y"]).astype(float)
        points = found.get("npoints")
        if len(x) != len(y) or (isinstance(points, int) and points != len(x)):
            raise XtinctError(f"a JCAMP-DX file that says {points} points and has {len(y)}")
        if "Y-Check" in said_wrong.getvalue():
            raise XtinctError(f"a damaged JCAMP-DX file ({said_wrong.getvalue().splitlines()[0]})")
        said = said_of(lines_of(block[: match.start()]))
        scan = Scan(x, y, _axis(str(found.get("xunits", "")), said.axis), name=name, notes=list(said.notes))
        scan.peaks = label == "PEAK TABLE"
        said.give(scan)
        scans.append(scan)
    if len(scans) > 1:
        for k, scan in enumerate(scans, start=1):
            scan.name = f"{name}, block {k}"
    return scans


def _axis(units: str, said: Axis | None) -> Axis | None:
    plain = units.strip().lower()
    if plain in ("degrees", "degree", "deg", "°"):
        return said or Axis.TWO_THETA
    if plain in ("angstrom", "angstroms"):
        return Axis.D
    found = axis_of(plain) or said
    if found is None and plain:
        raise XtinctError(f"JCAMP-DX with XUNITS {units!r}, which is no axis of powder diffraction")
    return found

"""Bruker and Siemens: RAW of versions 1 to 4, BRML, UXD.

Layouts of RAW 1 to 3: DIFFRAC plus XCH V5.0 user's manual (2002), appendix A. RAW 4 has no published
description; its segments were compared with files whose contents are known.
"""

import re
import struct
from dataclasses import replace

import numpy as np

from xtinct.errors import XtinctError
from xtinct.measurements.axes import Axis
from xtinct.measurements.counts import divide_by_exposure
from xtinct.measurements.decoding import lines_of
from xtinct.measurements.headers import number, said_radiation
from xtinct.measurements.records import Scan
from xtinct.measurements.xml import archive_of, member_of, number_of, root_of, text_of

#: Most points of one range: more is a damaged header.
_MOST = 2_000_000
#: Scans of the drives that are no powder pattern (RAW 3: codes; RAW 4 and BRML: words in names).
_OTHER_SCANS = (
    "rocking",
    "omega scan",
    "phi",
    "chi",
    "psi",
    "khi",
    "x-scan",
    "y-scan",
    "z-scan",
    "offcoupled",
)


class _Bytes:
    """Values at places of a binary content; XtinctError where it ends too early."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def get(self, form: str, place: int) -> tuple:
        size = struct.calcsize("<" + form)
        if not 0 <= place <= len(self.data) - size:
            raise XtinctError("a Bruker RAW file that is cut short or damaged; fetch it anew")
        return struct.unpack_from("<" + form, self.data, place)

    def one(self, form: str, place: int) -> float:
        return self.get(form, place)[0]

    def text(self, place: int, length: int) -> str:
        return self.get(f"{length}s", place)[0].split(b"\0")[0].decode("latin-1").strip()

    def counts(self, place: int, steps: int, datum: int = 4) -> np.ndarray:
        """The first float32 of each of `steps` records of `datum` bytes."""
        if not 0 <= steps <= _MOST or datum < 4 or not 0 <= place <= len(self.data) - steps * datum:
            raise XtinctError("a Bruker RAW file that is cut short or damaged; fetch it anew")
        records = np.frombuffer(self.data, dtype=np.uint8, count=steps * datum, offset=place)
        values = records.reshape(steps, datum)[:, :4].copy().view("<f4")[:, 0]
        # Damage may make a signalling NaN, which is refused later with its point.
        with np.errstate(invalid="ignore"):
            return values.astype(np.float64)


def _range(start: float, step: float, counts: np.ndarray, name: str, number_: int, of: int) -> Scan:
    if not (np.isfinite(start) and np.isfinite(step) and abs(start) < 360 and 0 < abs(step) < 90):
        raise XtinctError(
            f"range {number_} starts at {start:g} with steps of {step:g}: a damaged file; fetch it anew"
        )
    x = start + step * np.arange(len(counts))
    return Scan(x, counts, Axis.TWO_THETA, peaks=False, name=f"{name}, range {number_}" if of > 1 else name)


def _seconds(value: float) -> float | None:
    return float(f"{value:.7g}") if 0 < value < 1e6 else None


def read_raw(data: bytes, name: str) -> list[Scan]:
    """The ranges of a RAW file of any version."""
    content = _Bytes(data)
    if data.startswith(b"RAW4.00"):
        return _raw_4(content, name)
    if data.startswith(b"RAW1.01"):
        return _raw_3(content, name)
    if data.startswith(b"RAW2"):
        return _raw_2(content, name)
    return _raw_1(content, name)


def _raw_1(content: _Bytes, name: str) -> list[Scan]:
    found, place, more = [], 4, True
    while more:
        if found and content.get("4s", place)[0] == b"RAW ":
            place += 4
        steps, seconds, step = content.get("Iff", place)
        start = content.one("f", place + 20)
        alpha1, alpha2 = content.get("ff", place + 68)
        more = content.one("I", place + 148) > 0
        counts = content.counts(place + 152, steps)
        found.append((round(start, 6), round(step, 7), counts, seconds, alpha1, alpha2))
        place += 152 + 4 * steps
    scans = []
    for k, (start, step, counts, seconds, alpha1, alpha2) in enumerate(found, start=1):
        scan = _range(start, step, counts, name, k, len(found))
        scan.counting_time = _seconds(seconds)
        scan.radiation = said_radiation(round(alpha1, 6), round(alpha2, 6), None, None, scan.notes)
        scans.append(scan)
    return scans


def _raw_2(content: _Bytes, name: str) -> list[Scan]:
    ranges = content.one("H", 4)
    anode = content.text(188, 2)
    alpha1, alpha2, ratio = (round(x, 6) for x in content.get("fff", 190))
    place, scans = 256, []
    for k in range(1, ranges + 1):
        header, steps = content.get("HH", place)
        seconds, step, start = content.get("fff", place + 8)
        if header < 48:
            raise XtinctError("a Bruker RAW file (version 2) with a damaged header; fetch it anew")
        counts = content.counts(place + header, steps)
        scan = _range(round(start, 6), round(step, 7), counts, name, k, ranges)
        scan.counting_time = _seconds(seconds)
        scan.radiation = said_radiation(alpha1, alpha2, ratio, anode, scan.notes)
        scans.append(scan)
        place += header + 4 * steps
    return scans


def _raw_3(content: _Bytes, name: str) -> list[Scan]:
    ranges = content.one("I", 12)
    anode = content.text(608, 4)
    _, alpha1, alpha2, _, ratio = content.get("5d", 616)
    place, scans, other = 712, [], []
    if ranges > _MOST // 100:
        raise XtinctError(f"a Bruker RAW file that counts {ranges} ranges: damaged; fetch it anew")
    for k in range(1, ranges + 1):
        header, steps = content.get("II", place)
        if header != 304:
            raise XtinctError("a Bruker RAW file (version 3) with a damaged header; fetch it anew")
        start, step = content.one("d", place + 16), content.one("d", place + 176)
        seconds, kind = content.get("fI", place + 192)
        used, datum, extra = (
            content.one("d", place + 240),
            content.one("I", place + 252),
            content.one("I", place + 256),
        )
        begin = place + header + extra
        counts = content.counts(begin, steps, datum or 4)
        place = begin + steps * (datum or 4)
        if kind in (3, 4, 5, 6):
            other.append(f"range {k} is no scan of 2theta")
            continue
        scan = _range(start, step, counts, name, k, ranges)
        scan.counting_time = _seconds(seconds)
        scan.radiation = said_radiation(alpha1 or used, alpha2, ratio, anode, scan.notes)
        scans.append(scan)
    return _or_refused(scans, other)


def _or_refused(scans: list[Scan], other: list[str]) -> list[Scan]:
    if not scans and other:
        raise XtinctError(f"no scan of 2theta ({'; '.join(other[:3])}); expected a powder pattern")
    for scan in scans:
        scan.notes += other
    return scans


def _raw_4(content: _Bytes, name: str) -> list[Scan]:
    place, scans, other = 61, [], []
    radiation, notes = None, []
    while place <= len(content.data) - 8:
        kind, length = content.get("II", place)
        if kind in (0, 160):
            scan, place, why = _raw_4_range(content, place, name)
            if why is None:
                scan.radiation, scan.notes = radiation, scan.notes + notes
                scans.append(scan)
            else:
                other.append(why)
            continue
        length = max(length, 8)
        if kind == 30:
            _, alpha1, alpha2, _, ratio = content.get("5d", place + 72)
            radiation = said_radiation(alpha1, alpha2, ratio, content.text(place + 116, 4), notes)
        place += length
    if len(scans) > 1:
        scans = [replace(scan, name=f"{name}, range {k}") for k, scan in enumerate(scans, start=1)]
    return _or_refused(scans, other)


def _raw_4_range(content: _Bytes, place: int, name: str) -> tuple[Scan | None, int, str | None]:
    """(scan, place of what follows, why the scan is none) of the range whose header is at `place`."""
    steps = content.one("I", place + 88)
    kind = content.text(place + 32, 24)
    start, step = content.get("dd", place + 72)
    seconds = content.one("f", place + 92)
    datum, extra = content.get("II", place + 136)
    begin = place + 160 + extra
    counts = content.counts(begin, steps, datum)
    # Drives that do not scan together have their own start in segments of type 50.
    inner = place + 160
    while inner <= begin - 64:
        segment, length = content.get("II", inner)
        if segment == 50 and content.text(inner + 12, 24).lower() == "2theta":
            start = content.one("d", inner + 56)
        inner += max(length, 8)
    following = begin + steps * datum
    if any(word in kind.lower() for word in _OTHER_SCANS):
        return None, following, f"{kind} is no scan of 2theta"
    scan = _range(start, step, counts, name, 1, 1)
    scan.counting_time = _seconds(seconds)
    return scan, following, None


def read_brml(data: bytes, name: str) -> list[Scan]:
    """The scans of 2theta of a BRML archive: every RawData document, every route of data."""
    archive = archive_of(data)
    names = [n for n in archive.namelist() if re.search(r"RawData\d*\.xml$", n)]
    names.sort(key=lambda n: [int(x) for x in re.findall(r"\d+", n)])
    scans, other = [], []
    for member in names:
        root = root_of(member_of(archive, member))
        tube = root.find(".//PrimaryTracks") if root.find(".//WaveLengthAlpha1") is None else root
        for route in root.iter("DataRoute"):
            try:
                scan = _brml_route(route, name)
            except XtinctError as error:
                other.append(f"{member}: {error}")
                continue
            scan.radiation = said_radiation(
                number_of(tube, ".//WaveLengthAlpha1"),
                number_of(tube, ".//WaveLengthAlpha2"),
                number_of(tube, ".//WaveLengthRatio"),
                text_of(root, ".//TubeMaterial"),
                scan.notes,
            )
            scans.append(scan)
    if len(scans) > 1:
        scans = [replace(scan, name=f"{name}, scan {k}") for k, scan in enumerate(scans, start=1)]
    return _or_refused(scans, other)


def _brml_route(route, name: str) -> Scan:
    info = route.find("ScanInformation")
    title = "" if info is None else info.get("VisibleName") or info.get("ScanName") or ""
    rows = [
        [float(x) for x in d.text.split(",")] for d in route.findall("Datum") if d.text and _numeric(d.text)
    ]
    if not rows:
        raise XtinctError(f"{title or 'a scan'} has no points")
    width = min(map(len, rows))
    table = np.array([row[:width] for row in rows])
    if any(word in title.lower() for word in _OTHER_SCANS):
        raise XtinctError(f"{title} is no scan of 2theta")
    angle_at, counts_at = _brml_columns(route, info, width, title)
    counts = table[:, counts_at]
    scan = Scan(table[:, angle_at], counts, Axis.TWO_THETA, peaks=False, name=name)
    factors = table[:, 1]
    if angle_at >= 2 and np.any(factors != 1) and (factors > 0).all():
        # Intensities are those without the absorber already, their noise is that of the counts behind it.
        scan.sigma = factors * np.sqrt(np.maximum(counts / factors, 1))
        scan.notes.append("parts were measured behind an absorber; the file has corrected its intensities")
    scan.counting_time = number_of(info, "TimePerStepEffective") or number_of(info, "TimePerStep")
    return scan


def _brml_columns(route, info, width: int, title: str) -> tuple[int, int]:
    """Columns of 2theta and of the intensity in the records of a route.

    The views of the data tell them; without views, records are time, absorber, the scan's axes, ..., counts.
    """
    title = title or "a scan"
    angle_at, counts_at = None, width - 1
    for view in route.iter("RawDataView"):
        kind, start, length = (view.get(key) or "" for key in ("type", "Start", "Length"))
        if not (start.isdigit() and length.isdigit()):
            continue
        if kind.endswith("VaryingRawDataView") and angle_at is None:
            place = _place_of_two_theta(view.iter("FieldDefinitions"))
            angle_at = None if place is None else int(start) + place
        elif kind.endswith("RecordedRawDataView"):
            counts_at = int(start)
            if int(length) > 1:
                raise XtinctError(f"{title} holds a detector's channels at each step; integrate it first")
            break
    if angle_at is None and info is not None:
        place = _place_of_two_theta(info.iterfind("ScanAxes/ScanAxisInfo"))
        angle_at = None if place is None else 2 + place
    if angle_at is None:
        raise XtinctError(f"{title} is no scan of 2theta")
    if not angle_at < counts_at < width:
        raise XtinctError(f"{title} has columns that are not understood")
    return angle_at, counts_at


def _place_of_two_theta(elements) -> int | None:
    names = [(e.get("AxisId") or e.get("AxisName") or e.get("FieldName") or "").lower() for e in elements]
    return next((k for k, name in enumerate(names) if name in ("twotheta", "2theta")), None)


def _numeric(text: str) -> bool:
    try:
        return bool([float(x) for x in text.split(",")])
    except ValueError:
        return False


_UXD_COLUMNS = {
    "_COUNTS": 1,
    "_CPS": 1,
    "_2THETACOUNTS": 2,
    "_2THETACPS": 2,
    "_2THETACOUNTSTIME": 3,
    "_THETACOUNTS": 2,
    "_THETACPS": 2,
    "_D-I": 2,
    "_2THETA-I": 2,
}
#: Drives of a UXD, by their whole names, that move the sample alone: the detector stands.
_UXD_OTHER_DRIVES = ("theta", "omega", "x", "y", "z")


def read_uxd(text: str, name: str, suffix: str) -> list[Scan]:
    """The ranges and lists of peaks of a UXD file; what one range says holds until another says otherwise."""
    said: dict[str, str] = {}
    ranges: list[tuple[dict[str, str], str, list[float]]] = []
    for row, line in enumerate(lines_of(text), start=1):
        line = line.split(";")[0].strip()
        if not line:
            continue
        if line.startswith("_"):
            key, _, value = line.partition("=")
            key = key.strip().upper()
            if key in _UXD_COLUMNS:
                ranges.append((dict(said), key, []))
            else:
                said[key] = value.strip().strip("'\"")
        elif ranges:
            try:
                ranges[-1][2].extend(float(x) for x in line.replace(",", " ").split())
            except ValueError:
                raise XtinctError(f"row {row}: {line[:40]!r} is no row of numbers") from None
        else:
            raise XtinctError(f"row {row}: numbers before a keyword of data such as _COUNTS")
    scans, other = [], []
    for k, (values, kind, numbers) in enumerate((one for one in ranges if one[2]), start=1):
        drive = values.get("_DRIVE", "").lower()
        # _2THETA in a keyword of data only says that the drive's positions are there.
        if drive in _UXD_OTHER_DRIVES or any(word in drive for word in _OTHER_SCANS):
            other.append(f"range {k}: _DRIVE={drive!r} is no scan of 2theta")
        else:
            scans.append(_uxd_range(values, kind, numbers))
    for k, scan in enumerate(scans, start=1):
        scan.name = f"{name}, range {k}" if len(scans) > 1 else name
    return _or_refused(scans, other)


def _uxd_range(said: dict[str, str], kind: str, numbers: list[float]) -> Scan:
    columns = _UXD_COLUMNS[kind]
    if len(numbers) % columns:
        raise XtinctError(f"{kind}: {len(numbers)} numbers are not in rows of {columns}")
    table = np.array(numbers).reshape(-1, columns)

    def value(key: str) -> float | None:
        try:
            return number(said[key])
        except (KeyError, ValueError):
            return None

    if columns == 1:
        start, step = value("_START"), value("_STEPSIZE")
        start = value("_2THETA") if start is None else start
        if start is None or step is None:
            raise XtinctError(f"{kind} without _START and _STEPSIZE")
        x, y = start + step * np.arange(len(table)), table[:, 0]
    else:
        x, y = table[:, 0], table[:, 1]
    axis = Axis.D if kind == "_D-I" else Axis.THETA if kind.startswith("_THETA") else Axis.TWO_THETA
    scan = Scan(x, y, axis, peaks=kind in ("_D-I", "_2THETA-I"))
    scan.counting_time = value("_STEPTIME")
    scan.radiation = said_radiation(
        value("_WL1"), value("_WL2"), value("_WLRATIO"), said.get("_ANODE"), scan.notes
    )
    if kind.endswith("CPS") and scan.counting_time:
        scan.notes.append("intensities are counts per second")
        scan.sigma = np.sqrt(np.maximum(y * scan.counting_time, 1)) / scan.counting_time
    if columns == 3:
        divide_by_exposure(scan, table[:, 2], "counting times")
    return scan

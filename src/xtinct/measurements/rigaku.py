"""Rigaku: RAS and RASX of SmartLab, and the older ASC (DAT) text."""

import re

import numpy as np

from xtinct.errors import XtinctError
from xtinct.measurements.axes import Axis, axis_of
from xtinct.measurements.decoding import decoded, lines_of
from xtinct.measurements.headers import graphite_angle, number, said_radiation
from xtinct.measurements.records import Scan
from xtinct.measurements.xml import archive_of, member_of, number_of, root_of, text_of

_POWDER_AXES = ("2-theta", "twotheta", "2theta", "2θ", "thetatwotheta", "theta/2-theta")


def read_ras(text: str, name: str, suffix: str) -> list[Scan]:
    """The scans of 2theta of a RAS file: one for each header."""
    scans, other, said, rows, inside = [], [], {}, [], False
    common: dict[str, str] = {}

    def close() -> None:
        if rows:
            _add(scans, other, said or common, rows)

    for row, line in enumerate(lines_of(text), start=1):
        line = line.strip()
        if line.startswith("*RAS_HEADER_START"):
            said, rows = {}, []
        elif line.startswith("*RAS_INT_START"):
            inside, rows = True, []
        elif line.startswith("*RAS_INT_END"):
            inside = False
            close()
            rows = []
        elif inside:
            try:
                numbers = [float(x) for x in line.split()]
            except ValueError:
                raise XtinctError(f"row {row}: {line[:40]!r} is no row of numbers") from None
            if not numbers:
                continue
            if len(numbers) < 2:
                raise XtinctError(f"row {row}: {line[:40]!r} has fewer than two numbers")
            rows.append((row, *[*numbers, 1.0][:3]))
        elif line.startswith("*"):
            key, _, value = line[1:].partition(" ")
            said[key.upper()] = value.strip().strip('"').strip()
            common.update(said)
    # A file that was cut short has no end mark.
    close()
    return _named(scans, other, name)


def _named(scans: list[Scan], other: list[str], name: str) -> list[Scan]:
    if not scans:
        raise XtinctError(
            f"no scan of 2theta ({'; '.join(other[:3]) or 'none at all'}); expected a powder pattern"
        )
    for k, scan in enumerate(scans, start=1):
        scan.name = f"{name}, scan {k}" if len(scans) > 1 else name
        scan.notes += other
    return scans


def _add(scans: list[Scan], other: list[str], said: dict[str, str], rows: list[tuple]) -> None:
    scanned = said.get("MEAS_SCAN_AXIS_X", said.get("MEAS_SCAN_AXIS_X_INTERNAL", "2-Theta"))
    if not _is_powder(scanned):
        other.append(f"a scan of {scanned} was left out")
        return
    table = np.array(rows, dtype=np.float64)
    scan = Scan(table[:, 1], table[:, 2], Axis.TWO_THETA, rows=table[:, 0].astype(int), peaks=False)
    unit = said.get("MEAS_SCAN_UNIT_Y", "counts").lower()
    speed, step = _number(said, "MEAS_SCAN_SPEED"), _number(said, "MEAS_SCAN_STEP")
    if said.get("MEAS_SCAN_SPEED_UNIT", "").lower() == "deg/min" and speed and step:
        scan.counting_time = round(60 * step / speed, 6)
    elif said.get("MEAS_SCAN_SPEED_UNIT", "").lower().startswith("sec") and speed:
        scan.counting_time = speed
    _attenuated(scan, table[:, 3], unit)
    only_first = said.get("HW_XG_WAVE_TYPE", said.get("MEAS_COND_XG_WAVE_TYPE", "")).lower() in (
        "ka1",
        "kalpha1",
    )
    scan.radiation = said_radiation(
        _number(said, "HW_XG_WAVE_LENGTH_ALPHA1"),
        None if only_first else _number(said, "HW_XG_WAVE_LENGTH_ALPHA2"),
        None,
        said.get("HW_XG_TARGET_NAME"),
        scan.notes,
    )
    if "graphite" in said.get("HW_COUNTER_MONOCHRO_NAME", "").lower():
        scan.monochromator = graphite_angle(scan.radiation)
        scan.notes.append("the angle of the monochromator is that of graphite 002")
    scans.append(scan)


def _is_powder(axis: str) -> bool:
    plain = axis.lower().replace(" ", "")
    return any(word in plain for word in _POWDER_AXES) or axis_of(plain) is Axis.TWO_THETA


def _number(said: dict[str, str], key: str) -> float | None:
    try:
        return number(said[key])
    except (KeyError, ValueError):
        return None


def _attenuated(scan: Scan, factors: np.ndarray, unit: str) -> None:
    """Correct intensities for the attenuator, and give uncertainties where they are no plain counts."""
    y = scan.y
    counts = y
    if "cps" in unit and scan.counting_time:
        counts = y * scan.counting_time
        scan.notes.append("intensities are counts per second")
    attenuated = bool(np.any(factors != 1) and (factors > 0).all() and np.isfinite(factors).all())
    if attenuated and _continuous(y * factors) <= _continuous(y):
        scan.y = y * factors
        scan.notes.append("intensities were multiplied by the attenuator's factors, the third column")
    elif attenuated:
        counts = counts / factors
        scan.notes.append("intensities were taken as corrected for the attenuator, the third column, already")
    if attenuated or counts is not y:
        relative = 1 / np.sqrt(np.maximum(counts, 1))
        with np.errstate(invalid="ignore"):  # an infinite intensity is refused with its point
            scan.sigma = relative * np.maximum(scan.y, scan.y[scan.y > 0].min() if (scan.y > 0).any() else 1)


def _continuous(y: np.ndarray) -> float:
    """Sum of the jumps between neighbours: a factor that is left out, or put in twice, makes more of them."""
    return float(np.abs(np.diff(np.log(np.maximum(y, 0) + 1))).sum())


def read_rasx(data: bytes, name: str) -> list[Scan]:
    """The scans of 2theta of a RASX archive: a text of columns and an XML of conditions each."""
    archive = archive_of(data)
    members = [n for n in archive.namelist() if re.search(r"Profile\d*\.txt$", n)]
    members.sort(key=lambda n: [int(x) for x in re.findall(r"\d+", n)])
    scans, other = [], []
    for member in members:
        rows = _profile(decoded(member_of(archive, member), name), member)
        conditions = member.replace("Profile", "MesurementConditions").replace(".txt", ".xml")
        said = _conditions(member_of(archive, conditions)) if conditions in archive.namelist() else {}
        if rows:
            _add(scans, other, said, rows)
    return _named(scans, list(dict.fromkeys(other)), name)


def _profile(text: str, member: str) -> list[tuple]:
    rows = []
    for row, line in enumerate(lines_of(text.lstrip("\ufeff")), start=1):
        fields = line.split()
        if not fields:
            continue
        try:
            numbers = [float(x) for x in fields]
        except ValueError:
            raise XtinctError(f"{member}: row {row}: {line[:40]!r} is no row of numbers") from None
        if len(numbers) < 2:
            raise XtinctError(f"{member}: row {row}: {line[:40]!r} has fewer than two numbers")
        rows.append((row, *[*numbers, 1.0][:3]))
    return rows


def _conditions(content: bytes) -> dict[str, str]:
    """The conditions of a RASX in the names of a RAS header."""
    root = root_of(content)
    scan, tube = root.find(".//ScanInformation"), root.find(".//XrayGenerator")
    said = {}
    for pair in root.iterfind(".//RASHeader/Pair"):
        words = [(s.text or "").strip() for s in pair.findall("string")]
        if len(words) == 2 and words[0].startswith("*"):
            said[words[0][1:].upper()] = words[1]
    for key, element, tag in (
        ("MEAS_SCAN_AXIS_X", scan, "AxisName"),
        ("MEAS_SCAN_SPEED", scan, "Speed"),
        ("MEAS_SCAN_SPEED_UNIT", scan, "SpeedUnit"),
        ("MEAS_SCAN_STEP", scan, "Step"),
        ("MEAS_SCAN_UNIT_Y", scan, "IntensityUnit"),
        ("HW_XG_TARGET_NAME", tube, "TargetName"),
        ("HW_XG_WAVE_TYPE", tube, "WaveType"),
    ):
        value = text_of(element, tag)
        if value is not None:
            said[key] = value
    for key, tag in (("ALPHA1", "WavelengthKalpha1"), ("ALPHA2", "WavelengthKalpha2")):
        value = number_of(tube, tag)
        if value is not None:
            said[f"HW_XG_WAVE_LENGTH_{key}"] = str(value)
    return said


def read_asc(text: str, name: str, suffix: str) -> list[Scan]:
    """The groups of a Rigaku ASC or DAT file (*TYPE, *BEGIN, *COUNT, numbers, *END)."""
    common: dict[str, str] = {}
    groups: list[tuple[dict[str, str], list[float]]] = []
    said = common
    for row, line in enumerate(lines_of(text), start=1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        if line.startswith("*"):
            key, _, value = line[1:].partition("=")
            key = key.strip().upper()
            if key == "BEGIN":
                said = dict(common)
                groups.append((said, []))
            elif key == "EOF":
                break
            else:
                said[key] = value.strip()
        elif groups:
            try:
                groups[-1][1].extend(float(x) for x in line.replace(",", " ").split())
            except ValueError:
                raise XtinctError(f"row {row}: {line[:40]!r} is no row of numbers") from None
        else:
            raise XtinctError(f"row {row}: numbers before *BEGIN")
    scans, other = [], []
    for said, numbers in groups:
        scanned = said.get("SCAN_AXIS", said.get("XAXIS", "2theta"))
        if not _is_powder(scanned):
            other.append(f"a scan of {scanned} was left out")
        else:
            scans.append(_asc_group(said, np.array(numbers)))
    return _named(scans, other, name)


def _asc_group(said: dict[str, str], y: np.ndarray) -> Scan:
    start, step, stop, count = (_number(said, key) for key in ("START", "STEP", "STOP", "COUNT"))
    if start is None or step is None:
        raise XtinctError("a group without *START and *STEP")
    if count is not None and count != len(y):
        raise XtinctError(f"a group says {count:g} points and has {len(y)}")
    scan = Scan(start + step * np.arange(len(y)), y, Axis.TWO_THETA, peaks=False)
    if stop is not None and len(y) and abs(stop - scan.x[-1]) > 1.5 * step:
        raise XtinctError(f"a group says it ends at {stop:g} degrees, but has points to {scan.x[-1]:g}")
    speed = _number(said, "SPEED")
    if speed and "min" in said.get("SPEED_UNIT", said.get("SPEED_DIM", "")).lower():
        scan.counting_time = round(60 * step / speed, 6)
    elif speed and "sec" in said.get("SPEED_UNIT", said.get("SPEED_DIM", "")).lower():
        scan.counting_time = speed
    if "cps" in said.get("YUNIT", "").lower():
        _attenuated(scan, np.ones(len(y)), "cps")
    scan.radiation = said_radiation(
        _number(said, "WAVE_LENGTH1"), _number(said, "WAVE_LENGTH2"), None, said.get("TARGET"), scan.notes
    )
    return scan

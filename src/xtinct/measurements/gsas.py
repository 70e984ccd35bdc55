"""GSAS raw data: banks of STD, ESD, FXY and FXYE; ALT, which is time of flight, is refused by name.

Format: Larson & Von Dreele (2004), GSAS manual, LANL report LAUR 86-748, "Standard powder data".
"""

import re

import numpy as np

from xtinct.errors import XtinctError
from xtinct.measurements.axes import Axis
from xtinct.measurements.decoding import lines_of
from xtinct.measurements.headers import said_of
from xtinct.measurements.records import Scan

BANK = re.compile(r"^[ \t]*BANK[ \t]+\d+[ \t]+\d+", re.IGNORECASE | re.MULTILINE)
_TYPES = ("STD", "ESD", "FXYE", "FXY", "ALT", "XYE")
#: Share of the points that a bank says it has, from which on it is read and the lack is said.
_SHORT = 0.95
#: 180 degrees in centidegrees: what reaches beyond is time of flight in microseconds.
_LARGEST = 18000.0
#: 1.8 degrees in centidegrees, where no powder's lines are: what ends below is in degrees.
_SMALLEST = 180.0
#: Characters of a field of an ESD bank.
_FIELD = 8


def read_gsas(text: str, name: str, suffix: str) -> list[Scan]:
    """The banks of a GSAS file with one wavelength, positions in degrees."""
    lines = lines_of(text)
    starts = [i for i, line in enumerate(lines) if BANK.match(line)]
    said = said_of(lines[: starts[0]])
    scans, other = [], []
    for start, stop in zip(starts, [*starts[1:], len(lines)], strict=True):
        words = lines[start].split()
        bank = f"bank {words[1]}"
        body = [(i + 1, line) for i, line in enumerate(lines[start + 1 : stop], start=start + 1)]
        body = [(row, line) for row, line in body if line.strip() and line.lstrip()[0] not in "#!"]
        try:
            scan = _bank(words, body)
        except XtinctError as error:
            other.append(f"{bank}: {error}")
            continue
        scan.name = f"{name}, {bank}" if len(starts) > 1 else name
        said.give(scan)
        scan.notes += [*said.notes, "positions were converted from hundredths of a degree"]
        scans.append(scan)
    if not scans:
        raise XtinctError("; ".join(other[:3]))
    for scan in scans:
        scan.notes += other
    return scans


def _bank(words: list[str], body: list[tuple[int, str]]) -> Scan:
    try:
        channels = int(words[2])
    except (IndexError, ValueError):
        raise XtinctError("its BANK line does not say the number of points") from None
    binning = words[4].upper() if len(words) > 4 else ""
    kind = next((word.upper() for word in reversed(words) if word.upper() in _TYPES), "STD")
    coefficients = []
    for word in words[5:9]:
        try:
            coefficients.append(float(word))
        except ValueError:
            break
    if binning[:4] in ("RALF", "SLOG", "TIME", "LOG6", "LPSD") or kind == "ALT":
        raise XtinctError(f"the axis is time of flight ({binning} {kind}), which is not read; convert it")
    if binning[:4] in ("EDS", "COND"):
        raise XtinctError(f"the axis is {binning} (energy or other), which is not read")
    if binning[:4] not in ("CONS", "CONQ") and kind not in ("FXY", "FXYE", "XYE"):
        raise XtinctError(f"its binning is {binning or 'missing'}, expected CONST")
    if kind in ("FXY", "FXYE", "XYE"):
        return _free(body, channels, kind)
    if len(coefficients) < 2 or coefficients[1] <= 0:
        raise XtinctError("its BANK line does not say start and step")
    start, step = coefficients[:2]
    _check_end(start + step * (channels - 1))
    y, sigma = _esd(body, channels) if kind == "ESD" else _std(body, channels)
    x = (start + step * np.arange(len(y))) / 100
    return Scan(x, y, Axis.TWO_THETA, sigma, peaks=False, notes=_lack(len(y), channels))


def _check_end(last: float) -> None:
    """XtinctError where a last position, which the format wants in hundredths of a degree, is none."""
    if last >= _LARGEST:
        raise XtinctError(
            f"reaches {last:g}, so the axis is time of flight, which is not read; convert it to d"
        )
    if last < _SMALLEST:
        raise XtinctError(
            f"ends at {last:g} hundredths of a degree, below all lines; if these are degrees, which GSAS "
            "does not take, save it as xye"
        )


def _lack(found: int, channels: int) -> list[str]:
    return [f"the bank says {channels} points and has {found}"] if found < channels else []


def _checked(found: int, channels: int) -> int:
    """Points that can be taken: all that were found, if they are not far fewer than the bank says."""
    if found < _SHORT * channels:
        raise XtinctError(f"says {channels} points and has {found}: cut short; fetch the file anew")
    return min(found, channels)


def _number(text: str, row: int) -> float:
    try:
        return float(text) if text.strip() else 0.0
    except ValueError:
        raise XtinctError(f"row {row}: {text.strip()[:20]!r} is no number") from None


def _std(body: list[tuple[int, str]], channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Ten fields of 2 + 6 characters a row: number of counters (blank: one), counts; or free numbers."""
    free = [word for _, line in body for word in line.split()]
    fixed = []
    for row, line in body:
        line = line.rstrip()
        for place in range(0, min(len(line), 80), 8):
            field = line[place : place + 8]
            if len(fixed) < channels and re.fullmatch(r"[ \d]{0,2}[ \d.eE+-]{0,6}", field):
                fixed.append((row, field[:2], field[2:]))
            elif len(fixed) < channels:
                raise XtinctError(f"row {row}: {field!r} is no number of counts")
    per_row = max((len(line.split()) for _, line in body), default=0)
    if len(free) >= channels and len(free) < channels + per_row and not _in_columns(body):
        y = np.array([_number(word, 0) for word in free[:channels]])
        return y, np.sqrt(np.maximum(y, 1))
    fixed = fixed[: _checked(len(fixed), channels)]
    counters = np.array([max(_number(n, row), 1.0) for row, n, _ in fixed])
    y = np.array([_number(c, row) for row, _, c in fixed])
    return y, np.sqrt(np.maximum(y, 1 / counters) / counters)


def _in_columns(body: list[tuple[int, str]]) -> bool:
    """Whether numbers end at every eighth character, as the format wants it."""
    return all(
        match.end() % 8 == 0 or match.end() % 8 == 2
        for _, line in body[:50]
        for match in re.finditer(r"\S+", line[:80])
    )


def _esd(body: list[tuple[int, str]], channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Five pairs of 8 + 8 characters a row: intensity, standard uncertainty; or free numbers."""
    free = [(row, word) for row, line in body for word in line.split()]
    if len(free) >= 2 * channels and not _touch(body):
        numbers = np.array([_number(word, row) for row, word in free[: 2 * channels]])
    else:
        fields = [(row, x) for row, line in body for x in re.findall(f".{{1,{_FIELD}}}", line.rstrip())]
        points = _checked(len(fields) // 2, channels)
        numbers = np.array([_number(field, row) for row, field in fields[: 2 * points]])
    return numbers[::2], numbers[1::2]


def _touch(body: list[tuple[int, str]]) -> bool:
    """Whether full fields touch: words longer than a field that end, as all words do, where fields end."""
    ends = [match.span() for _, line in body for match in re.finditer(r"\S+", line)]
    return (
        any(stop - start > _FIELD for start, stop in ends)
        and all(stop % _FIELD == 0 for _, stop in ends)
        # Free numbers may stand in wider columns.
        and any(stop % (2 * _FIELD) for _, stop in ends)
    )


def _free(body: list[tuple[int, str]], channels: int, kind: str) -> Scan:
    columns = 2 if kind == "FXY" else 3
    rows, values = [], []
    for row, line in body:
        words = line.replace(",", " ").split()
        if len(rows) == channels or not re.match(r"[-+.\d]", words[0]):
            break
        if len(words) < columns:
            raise XtinctError(f"row {row}: {line.strip()[:40]!r} has fewer than {columns} numbers")
        rows.append(row)
        values.append([_number(word, row) for word in words[:columns]])
    _checked(len(rows), channels)
    table = np.array(values)
    _check_end(float(table[:, 0].max()))
    sigma = table[:, 2] if columns == 3 else None
    scan = Scan(table[:, 0] / 100, table[:, 1], Axis.TWO_THETA, sigma, rows=np.array(rows), peaks=False)
    scan.notes = _lack(len(rows), channels)
    return scan

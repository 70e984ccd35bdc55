"""Texts of start, step and end with intensities in rows: FullProf and other Rietveld programs, CPI, MDI."""

import re

import numpy as np

from xtinct.errors import XtinctError
from xtinct.measurements.axes import Axis
from xtinct.measurements.decoding import lines_of
from xtinct.measurements.headers import said_of, said_radiation
from xtinct.measurements.records import Scan
from xtinct.radiation.anodes import ANODES

_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_THREE = re.compile(rf"^\s*({_NUMBER})[\s,]+({_NUMBER})[\s,]+({_NUMBER})(?=[\s,]|$)")
#: Three fields of 8 characters, as Fortran writes them: they may touch.
_THREE_FIELDS = re.compile(r"([ \d.]{8})([ \d.]{8})([ \d.]{5,8})(?=\s|$)")
#: A field of counters (2 characters) and their mean counts (6).
_COUNTERS = re.compile(r"([ \d]\d)( *\d+(?:\.\d*)?)")
#: Among so many lines the one with start, step and end is looked for.
_HEADER = 8
#: Three numbers of more steps than this are no grid.
_MOST_STEPS = 1e7
#: Share of the points by which a file may hold more than its grid: FullProf reads to the end that is said.
_SURPLUS = 0.02
#: Ends of data in files of FullProf and its ancestors.
_END = (-1000.0, -10000.0)
_MDI = re.compile(
    rf"^\s*({_NUMBER})\s+({_NUMBER})\s+({_NUMBER})\s+(?:\d+\s+)?([A-Za-z]{{1,2}})\s+({_NUMBER})\s+({_NUMBER})\s+(\d+)\s*\d*\s*$"
)


def grid_line(lines: list[str]) -> tuple[int, float, float, int] | None:
    """(line, start, step, points) of a text whose rows after that line are that many intensities; else None.

    The order start, step, end is that of FullProf (INSTRM = 0, 1, 3, 6, 8), LHPM, DBWS and XDD; start, end,
    step is written as well.
    """
    for i, line in enumerate(lines[:_HEADER]):
        three = _three_numbers(line)
        if three is None:
            continue
        a, b, c = three
        for start, step, stop in ((a, b, c), (a, c, b)):
            if not (0 < step < 5 and -180 < start < stop <= 180):
                continue
            steps = (stop - start) / step
            if not steps < _MOST_STEPS:
                continue
            points = round(steps) + 1
            if points < 10 or abs(steps - round(steps)) > 0.05:
                continue
            following = lines[i + 1 : i + 2]
            # Rows of the same form are columns.
            if (
                following
                and _THREE.match(following[0])
                and len(following[0].split()) == len(line.split()) == 3
            ):
                continue
            if _fits(lines[i + 1 :], points) and not _columns(lines[i + 1 : i + 12]):
                return i, start, step, points
    return None


def _three_numbers(line: str) -> tuple[float, float, float] | None:
    """The three numbers that a line begins with, blanks, commas or nothing between them; else None."""
    match = _THREE.match(line) or _THREE_FIELDS.match(line)
    try:
        return tuple(float(x) for x in match.groups()) if match else None
    except ValueError:
        return None


def _columns(lines: list[str]) -> bool:
    """Whether rows are columns whose first ascends by equal steps, under a line that says its grid."""
    rows = [_numbers([line], 0, 100)[0] for line in lines if line.strip()]
    if len(rows) < 5 or any(len(row) not in (2, 3) for row in rows):
        return False
    steps = np.diff([row[0] for row in rows])
    return bool((steps > 0).all() and steps.max() < 1.5 * steps.min())


def _fits(lines: list[str], points: int) -> bool:
    """Whether rows hold as many intensities as a grid has points, or twice as many numbers."""
    found = len(_numbers(lines, 0, 3 * points + 100)[0])
    more = max(10, int(_SURPLUS * points))
    return (
        any(k * points - 1 <= found <= k * points + more for k in (1, 2))
        or _counted(lines, points) is not None
    )


def _numbers(lines: list[str], first: int, most: int) -> tuple[list[float], int]:
    """(numbers of the rows from `first` to the first one that is something else, rows)."""
    numbers: list[float] = []
    for count, line in enumerate(lines[first:]):
        words = line.replace(",", " ").split()
        try:
            row = [float(word) for word in words]
        except ValueError:
            return numbers, count
        if row and row[0] in _END:
            return numbers, count
        numbers += row
        if len(numbers) >= most:
            break
    return numbers, len(lines) - first


def read_grid(text: str, name: str, suffix: str) -> list[Scan]:
    """Intensities on the grid that a line of the header gives; a second set is their uncertainties."""
    lines = _without_comment(lines_of(text))
    summed = summed_line(lines)
    if summed is not None:
        return [_summed(lines, *summed, name)]
    i, start, step, points = grid_line(lines)
    said = said_of(lines[: i + 1])
    numbers, _ = _numbers(lines, i + 1, 10**9)
    notes, sigma = list(said.notes), None
    pairs = _counted(lines[i + 1 :], points)
    if pairs is not None:
        counters, y = pairs
        sigma = np.sqrt(np.maximum(y, 1 / counters) / counters)
        notes.append("each intensity is the mean of so many counters as stand before it")
    else:
        y = np.array(numbers[:points])
        rest = len(numbers) - points
        if rest >= points - 1 and rest <= points + 10:
            sigma = np.array(numbers[points : 2 * points])
            sigma = np.concatenate([sigma, np.full(len(y) - len(sigma), np.nan)])
        elif rest > 10:
            notes.append(f"{rest} intensities beyond the end that the header says were left out")
    scan = Scan(
        start + step * np.arange(len(y)), y, Axis.TWO_THETA, sigma, peaks=False, name=name, notes=notes
    )
    said.give(scan)
    return [scan]


def _counted(lines: list[str], points: int) -> tuple[np.ndarray, np.ndarray] | None:
    """(counters, counts) of rows of ten fields of 2 + 6 characters, None if rows are not of that form."""
    counters, counts = [], []
    for line in lines:
        line = line.rstrip()
        if not line:
            continue
        for place in range(0, len(line), 8):
            field = line[place : place + 8]
            match = _COUNTERS.fullmatch(field)
            if len(counts) == points:
                break
            if len(field) != 8 or not match:
                return None
            counters.append(float(match[1]))
            counts.append(float(match[2]))
        if len(counts) == points:
            break
    if len(counts) != points or min(counters) < 1:
        return None
    return np.array(counters), np.array(counts)


def summed_line(lines: list[str]) -> tuple[int, float, float] | None:
    """(line, step, start) of a text as D1A and D2B of the ILL write it (FullProf's INSTRM = 6); else None.

    The line holds the step as its third number; the next one the first angle alone, the third the
    monitors; then come counters and counts, up to -1000.
    """
    for i in range(min(4, len(lines) - 3)):
        try:
            conditions, first, monitors = ([float(x) for x in lines[i + k].split()] for k in range(3))
        except ValueError:
            continue
        if len(conditions) < 3 or len(first) != 1 or not 1 <= len(monitors) <= 6:
            continue
        if 0 < conditions[2] < 5 and -180 < first[0] < 180 and _fields_of_counters(lines[i + 3 : i + 4]):
            return i, conditions[2], first[0]
    return None


def _summed(lines: list[str], i: int, step: float, start: float, name: str) -> Scan:
    """The pattern under a `summed_line`."""
    end = next((k for k in range(i + 3, len(lines)) if _ends(lines[k])), len(lines))
    found = [_fields_of_counters([line]) for line in lines[i + 3 : end]]
    bad = next((k for k, row in enumerate(found) if row is None), None)
    if bad is not None:
        raise XtinctError(
            f"row {i + 4 + bad}: {lines[i + 3 + bad].strip()[:40]!r} has no counters and counts (I2, F6)"
        )
    counters, y = np.array([pair for row in found for pair in row], dtype=np.float64).T
    sigma = np.sqrt(np.maximum(y, 1 / counters) / counters)
    said = said_of(lines[: i + 1])
    notes = [*said.notes, "each intensity is the mean of so many counters as stand before it"]
    x = start + step * np.arange(len(y))
    if x[-1] > 180:
        raise XtinctError(f"says steps of {step:g} from {start:g} degrees; its {len(y)} points pass 180")
    scan = Scan(x, y, Axis.TWO_THETA, sigma, peaks=False, name=name, notes=notes)
    said.give(scan)
    return scan


def _ends(line: str) -> bool:
    """Whether a line ends the data."""
    try:
        return float(line) in _END
    except ValueError:
        return False


def _fields_of_counters(lines: list[str]) -> list[tuple[float, float]] | None:
    """(counters, counts) of rows of fields of 2 + 6 characters, None if a row is not of that form."""
    found = []
    for line in lines:
        line = line.rstrip()
        for place in range(0, len(line), 8):
            match = _COUNTERS.fullmatch(line[place : place + 8])
            if not match or int(match[1]) < 1 or len(line[place : place + 8]) != 8:
                return None
            found.append((float(match[1]), float(match[2])))
    return found


def _without_comment(lines: list[str]) -> list[str]:
    """Lines without a C comment at the head (XDD)."""
    if lines and lines[0].lstrip().startswith("/*"):
        end = next((i for i, line in enumerate(lines[:50]) if "*/" in line), None)
        if end is not None:
            rest = lines[end].partition("*/")[2]
            return ([rest] if rest.strip() else []) + lines[end + 1 :]
    return lines


def is_grid(text: str) -> bool:
    """Whether a text is one that `read_grid` reads."""
    lines = _without_comment(lines_of(text[:8_000_000]))
    return summed_line(lines) is not None or grid_line(lines) is not None


def read_cpi(text: str, name: str, suffix: str) -> list[Scan]:
    """A Sietronics CPI file: start, end, step, anode, wavelength, ..., SCANDATA, one intensity a line."""
    lines = [line.strip() for line in lines_of(text)]
    try:
        data = next(i for i, line in enumerate(lines) if line.upper().startswith("SCANDATA"))
        start, stop, step = (float(lines[i].replace(",", ".")) for i in (1, 2, 3))
        y = np.array([float(word.replace(",", ".")) for line in lines[data + 1 :] for word in line.split()])
    except (StopIteration, ValueError, IndexError) as error:
        raise XtinctError(f"a damaged CPI file ({error}); expected start, end, step and SCANDATA") from None
    scan = Scan(start + step * np.arange(len(y)), y, Axis.TWO_THETA, peaks=False, name=name)
    if not len(y) or abs(stop - scan.x[-1]) > 1.5 * step:
        raise XtinctError(f"says it ends at {stop:g} degrees, but has {len(y)} points from {start:g}")
    said = lines[4:data]
    wavelength = next((float(x) for x in said if re.fullmatch(r"\d\.\d{3,}", x) and float(x) > 0.2), None)
    anode = next((x for x in said if x.capitalize() in ANODES), None)
    scan.radiation = said_radiation(wavelength, None, None, anode, scan.notes)
    return [scan]


def mdi_line(text: str) -> re.Match | None:
    """The second line of an MDI file: start, step, time, anode, wavelength, end, points."""
    lines = lines_of(text[:2000])
    return next((match for line in lines[:3] if (match := _MDI.match(line))), None)


def read_mdi(text: str, name: str, suffix: str) -> list[Scan]:
    """An MDI (Jade) ASCII file: a title, a line of conditions, intensities in rows."""
    match = mdi_line(text)
    start, step, seconds = (float(match[k]) for k in (1, 2, 3))
    wavelength, stop, points = float(match[5]), float(match[6]), int(match[7])
    lines = lines_of(text)
    first = next(i for i, line in enumerate(lines) if _MDI.match(line)) + 1
    numbers, _ = _numbers(lines, first, points)
    if len(numbers) < points or abs(start + step * (points - 1) - stop) > 1.5 * step:
        raise XtinctError(f"says {points} points from {start:g} to {stop:g} degrees, but has {len(numbers)}")
    scan = Scan(
        start + step * np.arange(points), np.array(numbers[:points]), Axis.TWO_THETA, peaks=False, name=name
    )
    scan.counting_time = seconds if 0 < seconds < 1e5 else None
    scan.radiation = said_radiation(wavelength, None, None, match[4], scan.notes)
    return [scan]

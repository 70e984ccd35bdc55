"""Text in columns: xy, xye, csv, chi, RRUFF's text, tables of peaks, and what laboratories make of them."""

import csv
import re
from collections import Counter
from dataclasses import dataclass

import numpy as np

from xtinct.errors import XtinctError
from xtinct.measurements.axes import Axis, axis_of
from xtinct.measurements.counts import divide_by_exposure
from xtinct.measurements.decoding import lines_of
from xtinct.measurements.finishing import is_peak_list
from xtinct.measurements.headers import Said, said_of
from xtinct.measurements.records import Scan
from xtinct.radiation.anodes import ANODES
from xtinct.radiation.tubes import Radiation, radiation_of

#: Rows of numbers above a section in brackets that are settings, not the columns.
_FEW = 20
#: Most columns of one pattern: wider tables hold many patterns, in rows or in columns.
_MOST_COLUMNS = 50
#: Characters of the longest row of columns.
_LONGEST_ROW = 20_000
_PLAIN = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eEdD][-+]?\d{1,3})?$")
_NOT_A_NUMBER = re.compile(
    r"[-+]?(?:nan|inf|infinity|n/a|na|1\.#\w+|-nan\(ind\)|#n/a|--+|\*+)$", re.IGNORECASE
)
#: Names of columns that say nothing.
_NAMELESS = re.compile(r"^(?:x\b.*||[\W\d_]*|col.*|var.*|data|[a-c]|deg(?:rees?)?|°)$")
_WITH_ERROR = re.compile(r"([-+]?\d+(?:[.,](\d*))?)\((\d+)\)$")
_SPACES = "\u00a0\u2009\u202f'\u2019"
_MINUS = str.maketrans({"\u2212": "-", "\u2013": "-", "\uff0d": "-"})
#: Median of the absolute second differences of independent noise, in its standard deviations.
_SECOND_DIFFERENCE = 0.67449 * 6**0.5
#: Noise of neighbours over uncertainties that are those of the points.
_SCATTER = (0.7, 1.4)
#: Words of columns that are counts, other intensities, uncertainties, and neither.
_COUNTS = re.compile(
    r"^(?:counts?|cts|impulse|coups|total[ _]counts|int(?:ensity)?[ _]*[(\[]?counts?[)\]]?|anzahl)$"
)
#: A column of counting times, which may differ from point to point.
_TIME = re.compile(
    r"^(?:(?:step|count(?:ing)?|dwell|live|exposure|meas\w*|acq\w*)[ _-]*)?"
    r"(?:time(?:per[ _-]?step)?|zeit|temps|z[äa]hlzeit)\b(?![ _-]*(?:stamp|of))"
)
_RATE = re.compile(r"(?:cps|counts?\s*(?:/|per)\s*s|count[ _]?rate|imp\w*/s|z[äa]hlrate|coups/s)")
_INTENSITY = re.compile(
    r"^(?:i\b|i$|int\b|intensi|y\b|y$|yobs|y_?obs|obs|iobs|i_?obs|i/|rel|signal|counts|cts|net"
    r"|peak[ _]?height|height|area|impuls|coups|ir\b|amplitude|h[öo]he|i\(|i_)"
)
_SIGMA = re.compile(
    r"^(?:e\.?s\.?d|esd|sig(?:ma)?|err|e$|std|s\.?u\.?|unc|dy|di\b|d_?i$|fehler|erreur|stdev|standard|σ"
    r"|weight_?err|i_?err|y_?err)"
)
#: Characters of the longest line that names columns; one that is longer is text.
_LONGEST_NAMES = 10_000
#: Words of columns that were calculated, which stand behind those that were measured.
_CALCULATED = re.compile(r"calc|(?:\b|_|[iy])cal\b|fitted|(?:\b|_)fit\b|bkg|backg")
#: Words of columns that hold a function of the intensities.
_TRANSFORMED = re.compile(
    r"(?:\b|_)(?:log(?:10)?|ln|lg|sqrt|square[\s_-]*root|wurzel)(?:(?![a-z])|i\b|int|counts?\b)"
    r"|logarithm|\bdb\b|decibel|√"
)
_X_ERROR = re.compile(
    r"^(?:(?:esd|sig(?:ma)?|err(?:or)?|su|s\.u\.|delta|std)[\s_(]*(?:d\b|2?[\s-]*theta|q\b|pos|2th|tth)"
    r"|(?:d|q|2theta|2th|tth|pos)[\s_]*(?:esd|err(?:or)?|su|sigma)\b)"
)


@dataclass(frozen=True)
class Dialect:
    """How one file separates columns and writes decimals; separator None: white space."""

    separator: str | None
    decimal: str
    thousands: bool = False

    def fields(self, line: str) -> list[str]:
        """The fields of a line, quotes and outer blanks off."""
        line = line.strip().translate(_MINUS)
        if self.separator is None:
            return line.replace('"', " ").split()
        parts = [part.strip().strip("\"'").strip() for part in line.split(self.separator)]
        while parts and not parts[-1]:
            parts.pop()
        return parts

    def number(self, text: str) -> float | None:
        """The number that a field is, NaN for one that says it is none, None for other text."""
        with_error = _WITH_ERROR.match(text)
        text = with_error[1] if with_error else text.removesuffix("%")
        if self.separator is not None:
            for space in _SPACES:
                text = text.replace(space, "")
            # Beside commas a blank stands between columns: "10,02 153" are two numbers, not 10 and 02153.
            if self.separator != "," and re.fullmatch(r"[-+]?\d{1,3}(?: \d{3})+(?:[.,]\d+)?", text):
                text = text.replace(" ", "")
        if self.decimal == ",":
            if self.thousands and re.fullmatch(r"[-+]?\d{1,3}(?:\.\d{3})+(?:,\d+)?", text):
                text = text.replace(".", "")
            elif "." in text:
                return np.nan if _NOT_A_NUMBER.match(text) else None
            text = text.replace(",", ".", 1)
        elif self.thousands and "," in text and re.fullmatch(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?", text):
            text = text.replace(",", "")
        if _PLAIN.match(text):
            value = float(text.replace("d", "e").replace("D", "e"))
            return value
        return np.nan if _NOT_A_NUMBER.match(text) else None


#: In the order of preference: a later one is taken only if it reads more lines.
_DIALECTS = (
    Dialect(None, "."),
    Dialect("\t", "."),
    Dialect(",", "."),
    Dialect(";", "."),
    Dialect(";", ","),
    Dialect("\t", ","),
    Dialect(None, ","),
    Dialect("|", "."),
    Dialect(";", ",", thousands=True),
    Dialect("\t", ",", thousands=True),
    Dialect(None, ",", thousands=True),
    Dialect(";", ".", thousands=True),
    Dialect("\t", ".", thousands=True),
    Dialect(None, ".", thousands=True),
    Dialect(":", "."),
)


def read_columns(text: str, name: str, suffix: str = "") -> list[Scan]:
    """The scans of a text in columns; XtinctError naming the row for one that is not understood."""
    lines = lines_of(text)
    lines, left_out = _first_section(lines)
    numeric = [i for i, line in enumerate(lines) if _starts_with_number(line)]
    if not numeric:
        words = next((line.strip() for line in lines if line.strip()), "")
        raise XtinctError(f"{name}: no rows of numbers (begins {words[:40]!r}); expected a powder pattern")
    for i in numeric:
        if len(lines[i]) > _LONGEST_ROW:
            raise XtinctError(f"{name}: row {i + 1}: {len(lines[i])} characters are no row of a few columns")
    dialect = _dialect(lines, numeric, name)
    rows, values, width = _table(lines, numeric, dialect, name)
    if width > _MOST_COLUMNS:
        raise XtinctError(
            f"{name}: row {rows[0]}: {width} numbers; a table of many patterns is not read, save one of them "
            "as two columns, 2theta and intensity"
        )
    wavelengths = _first_row_of_wavelengths(values)
    if wavelengths is not None or _is_row_of_a_grid(values):
        rows, values = rows[1:], values[1:]
    first = rows[0] - 1
    header = [line for line in lines[:first] if line.strip()]
    # Foots of files have words, too: those of a comment are the file's as well.
    foot = [line for line in lines[rows[-1] :] if line.strip() and not _starts_with_number(line)]
    said = said_of(header + foot[:50])
    labels = _labels(header, dialect, width, len(dialect.fields(lines[rows[0] - 1])))
    scan = _scan(values, np.array(rows), labels, said, name, suffix)
    if "(" in lines[rows[0] - 1] and scan.x_error is None and values.shape[1] < 3:
        scan.x_error = _errors(lines, rows, dialect)
    scan.notes += left_out
    _lone_numbers(header, scan, dialect)
    if wavelengths is not None and scan.radiation is None:
        scan.radiation = wavelengths
        scan.notes.append("the first row was taken as the wavelengths of a doublet")
    return [scan]


def _errors(lines: list[str], rows: list[int], dialect: Dialect) -> np.ndarray | None:
    """Standard uncertainties in parentheses of the first column, None if one is missing."""
    matches = [_WITH_ERROR.match(dialect.fields(lines[row - 1])[0]) for row in rows]
    if not all(matches):
        return None
    return np.array([int(match[3]) * 10.0 ** -len(match[2] or "") for match in matches])


def _is_row_of_a_grid(values: np.ndarray) -> bool:
    """Whether the first row says start, step and end of the others."""
    if values.shape[1] < 3 or len(values) < 5 or values[0, 0] != values[1, 0]:
        return False
    step, end = values[2, 0] - values[1, 0], values[-1, 0]
    said = values[0, 1:3]
    return bool(np.allclose(said, (step, end), rtol=1e-2) or np.allclose(said, (end, step), rtol=1e-2))


def _first_section(lines: list[str]) -> tuple[list[str], list[str]]:
    """(lines up to the section in brackets behind the columns, what is to be said of the rest)."""
    seen = 0
    for i, line in enumerate(lines):
        if re.match(r"\s*\[[A-Za-z][^\]]*\]\s*$", line) and seen > _FEW:
            return lines[:i], [
                f"what follows row {i + 1}, {line.strip()}, is another section and was not read"
            ]
        seen += _starts_with_number(line)
    return lines, []


def _first_row_of_wavelengths(values: np.ndarray) -> Radiation | None:
    """The doublet whose two wavelengths stand where a first row is expected, None if it is a row."""
    if values.shape[1] < 2 or len(values) < 3:
        return None
    for lines in ANODES.values():
        if np.allclose(values[0, :2], lines[:2], rtol=3e-4):
            ratio = values[0, 2] if values.shape[1] > 2 and 0 < values[0, 2] <= 1 else None
            return radiation_of(tuple(values[0, :2]), ratio)
    return None


def _starts_with_number(line: str) -> bool:
    plain = line.strip().strip("\"'").lstrip().translate(_MINUS)
    return bool(re.match(r"[-+]?[.,]?\d|nan\b", plain, re.IGNORECASE))


def _dialect(lines: list[str], numeric: list[int], name: str) -> Dialect:
    """The dialect that reads the most rows of the whole file alike."""
    sample = (
        numeric
        if len(numeric) <= 600
        else numeric[:200] + numeric[len(numeric) // 2 :][:200] + numeric[-200:]
    )
    best, best_score = None, (0, 0, 0)
    for dialect in _DIALECTS:
        if dialect.separator is not None and not any(dialect.separator in lines[i] for i in sample):
            continue
        counts, angles = Counter(), 0
        for i in sample:
            numbers = [dialect.number(field) for field in dialect.fields(lines[i])]
            good = next((k for k, x in enumerate(numbers) if x is None), len(numbers))
            # Text after the numbers is a remark; before them the row is none.
            good = good if good == len(numbers) or good >= 2 else 0
            counts[good] += 1
            angles += good > 0 and numbers[0] < 180
        width, agreeing = max(counts.items(), key=lambda item: (item[1] if item[0] else 0, item[0]))
        # Of two that read as many rows, as "10.020;1,153", the one whose positions may be angles.
        score = (min(width, 2), agreeing if width else 0, angles)
        if score > best_score:
            best, best_score = dialect, score
    if best is None:
        raise XtinctError(
            f"{name}: row {numeric[0] + 1}: {lines[numeric[0]].strip()[:40]!r} is no row of numbers"
        )
    if best.separator == "," and best.decimal == ".":
        _refuse_double_comma(lines, sample, name)
    return best


def _refuse_double_comma(lines: list[str], sample: list[int], name: str) -> None:
    """XtinctError where commas are decimal and between columns at once ("10,02,153,5")."""
    fields = [[f.strip() for f in lines[i].strip().rstrip(",").split(",")] for i in sample]
    widths = {len(row) for row in fields}
    whole = all(f.isdigit() for row in fields for f in row)
    if whole and min(widths) >= 3 and len(sample) > 3:
        first = np.array([float(row[0]) for row in fields])
        if (np.diff(first) == 0).any():
            raise XtinctError(
                f"{name}: row {sample[0] + 1}: commas stand for decimals and between columns alike; save it "
                "with semicolons or with decimal points"
            )


def _table(
    lines: list[str], numeric: list[int], dialect: Dialect, name: str
) -> tuple[list[int], np.ndarray, int]:
    """(line numbers from 1, float64 (rows, columns), columns) of the rows that are the table."""
    parsed: list[tuple[int, list[float], bool]] = []
    for i in numeric:
        numbers = []
        clean = True
        for field in dialect.fields(lines[i]):
            value = dialect.number(field)
            if value is None:
                clean = False
                break
            numbers.append(value)
        parsed.append((i + 1, numbers, clean))
    widths = Counter(len(numbers) for _, numbers, _ in parsed if numbers)
    width = max(widths, key=lambda w: (widths[w], w))
    # Numbers above the table (a wavelength, a count of points) have other widths, or words behind them.
    tidy = sum(clean for _, _, clean in parsed) > len(parsed) / 2
    start = 0
    while start < len(parsed) and (len(parsed[start][1]) != width or (tidy and not parsed[start][2])):
        start += 1
    while start and _goes_on(parsed[start - 1 : start + 3], width):
        start -= 1
    stop = len(parsed)
    while stop > start and len(parsed[stop - 1][1]) < min(width, 2):
        stop -= 1
    if start == stop:
        raise XtinctError(
            f"{name}: {len(parsed)} rows of numbers, but no table: no row of {width} numbers alone; expected "
            "rows of the same columns, as 2theta and intensity"
        )
    rows, values = [], []
    for row, numbers, clean in parsed[start:stop]:
        if len(numbers) < min(width, 2) or (not clean and len(numbers) < width):
            raise XtinctError(
                f"{name}: row {row}: {lines[row - 1].strip()[:40]!r} has {len(numbers)} numbers where the "
                f"others have {width}"
            )
        rows.append(row)
        values.append((numbers + [np.nan] * width)[:width])
    table = np.array(values, dtype=np.float64)
    short = [r for r, (_, n, _) in zip(rows, parsed[start:stop], strict=True) if len(n) < width]
    if short and len(short) > 0.02 * len(rows) + 2:
        raise XtinctError(f"{name}: row {short[0]}: fewer columns than the {width} of the other rows")
    return rows, table, width


def _goes_on(parsed: list[tuple[int, list[float], bool]], width: int) -> bool:
    """Whether the first of four rows, with more behind its `width` numbers, is of the table of the others.

    Exports write markers of lines and limits of axes behind their first rows.
    """
    if len(parsed) < 4 or parsed[3][0] - parsed[0][0] != 3 or min(len(n) for _, n, _ in parsed) < width:
        return False
    steps = np.diff([numbers[:width] for _, numbers, _ in parsed], axis=0)
    even = np.isclose(steps, steps[1], rtol=1e-3, atol=0).all(axis=0)
    return bool((even & (steps[1] > 0)).any())


def _labels(header: list[str], dialect: Dialect, width: int, fields: int) -> list[str] | None:
    """Names of the columns: of the last line of the header that has as many as there are columns.

    Columns of words (dates) behind the `width` columns of numbers may have names too: `fields` of them all.
    """
    for line in reversed(header[-6:]):
        if len(line) > _LONGEST_NAMES:
            continue
        if _starts_with_number(line) and not re.match(r"\W*2[\s-]*(?:th|θ)", line, re.IGNORECASE):
            continue
        plain = re.sub(r"^\s*[#!;'%*@/]+\s*", "", line.strip())
        plain = re.sub(
            r"^(?:peak list|column ?labels?|columns?|data|spalten)\s*:\s*", "", plain, flags=re.IGNORECASE
        )
        for separator in (dialect.separator, "\t", ";", ",", None):
            if separator is None:
                closed = re.sub(r"(?<=\S)\s+([\[(])", r"\1", plain)
                closed = re.sub(r"(?<=[\[(])([^\])]*)", lambda m: m[1].replace(" ", "_"), closed)
                choices = [
                    re.split(r"\s{2,}", plain),
                    re.split(r"\s{2,}", closed),
                    closed.split(),
                    plain.split(),
                ]
            else:
                # A name in quotes may hold the separator: "x, 2theta (deg)".
                choices = [plain.split(separator), *csv.reader([plain], delimiter=separator)]
            for names in choices:
                names = [n.strip().strip("\"'").strip() for n in names]
                while len(names) > width and not names[-1]:
                    names.pop()
                if len(names) == fields:
                    names = names[:width]
                if len(names) != width or any(dialect.number(n) is not None for n in names):
                    continue
                axes = [axis_of(n) for n in names]
                # "2-Theta Angle" is one name, not two of the same axis.
                if len(names) > 1 and None not in axes and len(set(axes)) == 1:
                    continue
                if any(axes) or any(_INTENSITY.match(n.lower()) for n in names):
                    return _with_units(names, header[header.index(line) + 1 :], separator)
    # A file of labels one a line (chi: title, x, y, number of points).
    return None


def _with_units(names: list[str], below: list[str], separator: str | None) -> list[str]:
    """Names of columns with the units of the line below them, if there is one."""
    for line in below[:1]:
        units = [u.strip(" \"'#()[]") for u in line.strip().split(separator)]
        if len(units) == len(names) and not any(c in name for name in names for c in "[("):
            return [f"{name} ({unit})" if unit else name for name, unit in zip(names, units, strict=True)]
    return names


def _scan(
    values: np.ndarray, rows: np.ndarray, labels: list[str] | None, said: Said, name: str, suffix: str
) -> Scan:
    scan = Scan(x=values[:, 0], y=None, rows=rows, name=name, notes=list(said.notes))
    said.give(scan)
    scan.axis = said.axis
    if values.shape[1] == 1:
        if labels and axis_of(labels[0]):
            scan.axis = axis_of(labels[0])
        scan.peaks = True
        return scan
    if labels:
        _by_labels(scan, values, labels)
    else:
        _by_values(scan, values, suffix)
    return scan


def _by_labels(scan: Scan, values: np.ndarray, labels: list[str]) -> None:
    plain = [label.lower().strip() for label in labels]
    axes = [
        None if _INTENSITY.match(p) or _SIGMA.match(p) or _X_ERROR.match(p) else axis_of(p) for p in plain
    ]
    places = [k for k, axis in enumerate(axes) if axis is not None]
    if "x" in plain and not any(axes[k] is Axis.TWO_THETA for k in places):
        # A column named x goes before others that it was converted to.
        places = [plain.index("x")]
        axes[places[0]] = scan.axis
    place = next((k for k in places if axes[k] is Axis.TWO_THETA), places[0] if places else 0)
    if places and axes[place] is Axis.Q_UNITLESS and scan.axis in (Axis.Q, Axis.Q_NM):
        axes[place] = scan.axis
    indexed = {"h", "k", "l"} <= set(plain) or "hkl" in plain
    if indexed or is_peak_list(values[:, place]):
        # Spacings of peaks need no wavelength.
        scan.peaks = True if indexed else scan.peaks
        place = next((k for k in places if axes[k] is Axis.D), place)
    scan.x = values[:, place]
    scan.x_error = _position_errors(values, plain, axes, place)
    if places:
        scan.axis = axes[place]
        scan.alike = {axes[k]: values[:, k] for k in reversed(places) if axes[k] is not None}
    elif scan.axis is None and not _NAMELESS.match(plain[place]):
        scan.axis = Axis.OTHER
    rest = [k for k in range(len(plain)) if k != place and k not in places]
    order = (_COUNTS, _INTENSITY, _RATE)
    transformed = [k for k in rest if _TRANSFORMED.search(plain[k])]
    rest = [k for k in rest if k not in transformed]
    likely = sorted(rest, key=lambda k: bool(_CALCULATED.search(plain[k])))
    found = next((k for pattern in order for k in likely if pattern.search(plain[k])), None)
    if found is None and transformed:
        raise XtinctError(
            f"{scan.name}: the column {labels[transformed[0]]!r} holds a function of the intensities; "
            "save the intensities themselves"
        )
    if found is None:
        found = next((k for k in rest if not _SIGMA.match(plain[k]) and not _X_ERROR.match(plain[k])), None)
    scan.y = None if found is None else values[:, found]
    if found is None:
        scan.peaks = True
    for k in rest:
        own = _SIGMA.match(plain[k]) and not _X_ERROR.match(plain[k])
        if own and k > (found or 0) and scan.sigma is None:
            scan.sigma = values[:, k]
    if scan.sigma is None and len(before := [k for k in rest if _SIGMA.match(plain[k])]) == 1:
        # Before the intensities it is theirs where there are no others.
        others = [k for k in rest if k not in (found, *before) and _INTENSITY.match(plain[k])]
        scan.sigma = values[:, before[0]] if found is not None and not others else None
    times = next((k for k in rest if _TIME.match(plain[k])), None)
    if times is not None and not divide_by_exposure(scan, values[:, times], "counting times"):
        times = None
    unused = [
        labels[k]
        for k in range(len(plain))
        if k not in (place, found, times) and not _SIGMA.match(plain[k]) and not _X_ERROR.match(plain[k])
    ]
    if unused:
        scan.notes.append(f"columns not used: {', '.join(unused)}")
    spacing = next((k for k in places if axes[k] is Axis.D and k != place), None)
    angle = next((k for k in places if axes[k] is Axis.TWO_THETA), None)
    if angle is None or scan.radiation is not None:
        return
    if spacing is not None:
        _wavelength_of_spacings(scan, values[:, angle], values[:, spacing])
    elif scan.axis is Axis.D:
        _wavelength_of_spacings(scan, values[:, angle], scan.x)


def _position_errors(
    values: np.ndarray, labels: list[str], axes: list[Axis | None], place: int
) -> np.ndarray | None:
    """Uncertainties (n,) of the column `place` in its own unit, None where the file has none.

    Those of 2theta become those of d, and back, by the angles or spacings that stand beside them.
    """
    errors = {_quantity(label): values[:, k] for k, label in enumerate(labels) if _X_ERROR.match(label)}
    if not errors or axes[place] is None:
        return next(iter(errors.values()), None)
    if (own := _quantity(labels[place])) in errors:
        return errors[own]
    columns = {axis: values[:, k] for k, axis in enumerate(axes) if axis in (Axis.TWO_THETA, Axis.D)}
    if "2theta" in errors and own == "d" and Axis.TWO_THETA in columns:
        # d ln(d) = -cot(theta) d theta
        tangent = np.tan(np.radians(columns[Axis.TWO_THETA] / 2))
        return values[:, place] * np.radians(errors["2theta"] / 2) / tangent
    if "d" in errors and axes[place] is Axis.TWO_THETA and Axis.D in columns:
        tangent = np.tan(np.radians(values[:, place] / 2))
        return np.degrees(2 * tangent * errors["d"] / columns[Axis.D])
    return None


def _quantity(label: str) -> str:
    """Which position a label names: d, q or 2theta."""
    found = re.search(r"(?<![a-z])([dq])(?![a-z])|(d)[\s_-]*(?:spacing|hkl)", label)
    return (found[1] or found[2]) if found else "2theta"


def _by_values(scan: Scan, values: np.ndarray, suffix: str) -> None:
    """Columns without names: angle, intensity, and a third that is judged by its numbers."""
    count = values.shape[1]
    first = values[:, 0]
    if (
        count > 2
        and np.array_equal(first, first[0] + np.arange(len(first)))
        and first[0] in (0, 1)
        and len(first) > 5
    ):
        steps = np.diff(values[:, 1])
        if (steps > 0).all() and steps.max() < 2 * steps.min() and not np.allclose(steps, 1):
            scan.notes.append("the first column numbers the rows and was left out")
            values = values[:, 1:]
            count -= 1
    scan.x, scan.y = values[:, 0], values[:, 1]
    if count == 2:
        return
    if _spacings_of(values[:, 0], values[:, 1]) is not None:
        scan.notes.append("columns taken as 2theta, d, intensity: d and 2theta belong together")
        scan.axis = scan.axis or Axis.TWO_THETA
        scan.alike = {Axis.TWO_THETA: values[:, 0], Axis.D: values[:, 1]}
        scan.y = values[:, 2]
        if scan.radiation is None:
            _wavelength_of_spacings(scan, values[:, 0], values[:, 1])
        return
    if _like_uncertainties(scan.y, values[:, 2], suffix):
        scan.sigma = values[:, 2]
    else:
        scan.notes.append("the third column has no name and is not like uncertainties: it was not used")
    if count > 3:
        scan.notes.append(f"{count - 3} further columns without names were not used")


def _usual(values: np.ndarray) -> np.ndarray:
    """Where numbers are positive and their squares and quotients are numbers too."""
    return (values > 1e-100) & (values < 1e100)


def _like_uncertainties(y: np.ndarray, third: np.ndarray, suffix: str) -> bool:
    """Whether a column without a name is one of standard uncertainties of `y`."""
    good = np.isfinite(third) & np.isfinite(y)
    if not good.any() or (third[good] < 0).any():
        return False
    if suffix in (".xye", ".xyd", ".fxye"):
        return True
    use = good & _usual(y) & _usual(third)
    if np.count_nonzero(use) < 10:
        return False
    # Poisson counts, scaled or summed over detectors: the square grows with the intensity.
    ratio = third[use] ** 2 / y[use]
    spread = np.quantile(ratio, [0.05, 0.95])
    if spread[1] < 1.5 * spread[0]:
        return True
    if np.ptp(y[use]) == 0 or np.ptp(third[use]) == 0:
        return False
    relation = np.corrcoef(np.log(y[use]), np.log(third[use]))[0, 1]
    slope = np.polyfit(np.log(y[use]), np.log(third[use]), 1)[0]
    if not 0.2 < slope < 0.8:
        return False
    # Where counters differ in efficiency, squares and intensities are related less closely, yet neighbours
    # scatter as the column says.
    return bool(relation > 0.9 or (relation > 0.5 and _SCATTER[0] < _scatter(y, third) < _SCATTER[1]))


def _scatter(y: np.ndarray, sigma: np.ndarray) -> float:
    """Noise of the second differences of `y` (n,) in units of `sigma` (n,)."""
    usual = np.isfinite(y) & _usual(sigma)
    y, sigma = y[usual], sigma[usual]
    if len(y) < 100:
        return np.nan
    return float(np.median(np.abs(np.diff(y, 2)) / sigma[1:-1]) / _SECOND_DIFFERENCE)


def _spacings_of(two_theta: np.ndarray, d: np.ndarray) -> float | None:
    """The wavelength if `d` are the spacings of angles `two_theta` (n,), else None."""
    use = (two_theta > 0) & (two_theta < 180) & _usual(d)
    if np.count_nonzero(use) < max(3, 0.9 * len(d)):
        return None
    wavelength = 2 * d[use] * np.sin(np.radians(two_theta[use] / 2))
    middle = float(np.median(wavelength))
    if np.ptp(d[use]) > 0.02 * np.median(d[use]) and np.quantile(np.abs(wavelength / middle - 1), 0.9) < 3e-3:
        return middle
    return None


def _wavelength_of_spacings(scan: Scan, two_theta: np.ndarray, d: np.ndarray) -> None:
    """Take the wavelength that turns the file's column of 2theta into its column of d."""
    wavelength = _spacings_of(two_theta, d)
    if wavelength is None:
        scan.notes.append("the columns 2theta and d do not belong to one wavelength; d was not used")
        return
    try:
        scan.radiation = radiation_of(round(wavelength, 5))
    except XtinctError as error:
        scan.notes.append(str(error))
        return
    scan.notes.append(f"the columns 2theta and d belong to a wavelength of {wavelength:.5f} angstrom")


def _lone_numbers(header: list[str], scan: Scan, dialect: Dialect) -> None:
    """A lone number above the columns is a wavelength where it can be one, and else ignored."""
    for line in header:
        if not _starts_with_number(line):
            continue
        fields = dialect.fields(line)
        value = dialect.number(fields[0]) if len(fields) == 1 else None
        if value is None or value == len(scan.x) or not 0.2 < value < 6 or value == int(value):
            continue
        if scan.radiation is None:
            try:
                scan.radiation = radiation_of(value)
            except XtinctError:
                continue
            scan.notes.append(
                f"the number {value:g} above the columns was taken as the wavelength in angstrom"
            )

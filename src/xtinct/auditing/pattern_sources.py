"""Where measured patterns come from: any number of configured sets -> tables of labelled patterns.

A kind of set is a function that yields its patterns; `PATTERN_KINDS` names them all. What cannot be read is
in quarantine with its reason, so that patterns and quarantine add up to what was received.
"""

import csv
import hashlib
import io
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path, PurePosixPath
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import pyarrow as pa

from xtinct.auditing.opxrd_files import opxrd_pattern
from xtinct.auditing.pattern_labels import (
    LABEL_COLUMNS,
    label_of_cif,
    label_of_mineral_text,
    label_of_row,
)
from xtinct.auditing.pattern_paths import CARRIED_PATTERNS
from xtinct.auditing.pattern_sets import PatternLabel
from xtinct.errors import XtinctError
from xtinct.files.parquet import open_parquet, read_batches, write_parquet
from xtinct.files.quarantine import Quarantine
from xtinct.files.schema import CELL, MEASURED_PATTERNS
from xtinct.files.writing import write_bytes
from xtinct.measurements import Measurement, Radiation, measurements_in, radiation_of
from xtinct.measurements.finishing import completed_sigma
from xtinct.sources.archives import contents, texts
from xtinct.sources.archives import decoded as text_of
from xtinct.sources.listing import local_path, matches
from xtinct.sources.network import FailedError, Gate, ServerLimits, Session, patiently

#: Licence of sets that name none: nobody may guess one.
_NO_LICENCE = "not stated"
#: Patterns that are read at a time.
_HELD = 64
#: Columns of a table of labels, beside those of the crystal.
_FILE_COLUMNS = ("file", "wavelength", "laboratory", "specimen", "licence")
#: Other names of columns of a table of patterns.
_ALIASES = {
    "id": "pattern_id",
    "material_id": "pattern_id",
    "source": "laboratory",
    "spacegroup_number": "spacegroup",
}


@dataclass(frozen=True)
class PatternEntry:
    """One pattern as a set gives it, or why there is none.

    identifier  unique within the set
    error       "reason: detail" where no pattern was read
    others as of a LabelledMeasurement; laboratory and licence None where the set itself says them
    """

    identifier: str
    measurement: Measurement | None = None
    label: PatternLabel = field(default_factory=PatternLabel)
    laboratory: str | None = None
    licence: str | None = None
    specimen: str = ""
    error: str = ""


def collect_patterns(
    name: str, config: Mapping[str, Any], out: str | Path, quarantine: str | Path, *, project: str | Path = ""
) -> dict[str, int]:
    """Write the patterns of the set `name` (schema MEASURED_PATTERNS) and those that cannot be read.

    config      `{kind: ..., ...}` as in the configuration's `patterns`
    quarantine  table QUARANTINE of what was not read, with reasons
    project     folder of the project, for what it carries; "" where it is the working directory

    Returns counts: `received`, `patterns`, `quarantined`. XtinctError if the set cannot be read at all or
    holds nothing.
    """
    where = f"patterns.{name}"
    if config.get("kind") not in PATTERN_KINDS:
        raise XtinctError(f"{where}.kind: {config.get('kind')!r}, expected one of {', '.join(PATTERN_KINDS)}")
    rejected, seen = Quarantine("patterns"), set()

    def tables() -> Iterator[pa.Table]:
        kept = []
        for entry in PATTERN_KINDS[config["kind"]](where, {**config, "project": project}):
            identifier = _unique(entry.identifier, seen)
            if entry.measurement is None:
                reason, _, detail = entry.error.partition(": ")
                rejected.add(f"{name}:{identifier}", reason, detail)
                continue
            kept.append(_row(f"{name}:{identifier}", entry, config))
            if len(kept) == _HELD:
                yield pa.Table.from_pylist(kept, schema=MEASURED_PATTERNS)
                kept = []
        if not seen:
            raise XtinctError(f"{where}: the set holds no pattern")
        yield pa.Table.from_pylist(kept, schema=MEASURED_PATTERNS)

    written = _write_some(tables(), config.get("take"), Path(out), {"set": name, "kind": config["kind"]})
    rejected.write(quarantine)
    return {"received": len(seen), "patterns": written, "quarantined": len(rejected)}


def _write_some(tables: Iterator[pa.Table], most: int | None, out: Path, metadata: Mapping[str, str]) -> int:
    """Write the rows, or so many of them spread evenly over all, and return how many."""
    if most is None:
        return write_parquet(out, tables, MEASURED_PATTERNS, metadata)
    # How many there are is known when all have been read. Until then they lie on the disk, in a file without
    # a name, of which a killed job leaves nothing.
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=out.parent) as held:
        sizes = []
        with pa.ipc.new_file(held, MEASURED_PATTERNS) as writer:
            for table in tables:
                for batch in table.to_batches():
                    writer.write_batch(batch)
                    sizes.append(batch.num_rows)
        ends, batches = np.cumsum([0, *sizes]), pa.ipc.open_file(held)
        found = int(ends[-1])
        taken = np.linspace(0, found - 1, min(most, found)).round().astype(np.int64)
        of_batch = np.split(taken, np.searchsorted(taken, ends[1:-1]))
        chosen = (
            batches.get_batch(i).take(pa.array(rows - ends[i]))
            for i, rows in enumerate(of_batch)
            if len(rows)
        )
        return write_parquet(out, chosen, MEASURED_PATTERNS, metadata)


def _unique(identifier: str, seen: set[str]) -> str:
    if identifier in seen:
        identifier = next(x for n in count(2) if (x := f"{identifier}#{n}") not in seen)
    seen.add(identifier)
    return identifier


def _row(pattern_id: str, entry: PatternEntry, config: Mapping[str, Any]) -> dict[str, Any]:
    m, label = entry.measurement, entry.label
    radiation = m.radiation or (radiation_of(config["wavelength"]) if "wavelength" in config else None)
    lines = [] if radiation is None else [radiation.wavelength]
    if radiation is not None and radiation.second is not None:
        lines.append(radiation.second)
    notes = list(m.notes)
    if radiation is not None and radiation.note and radiation.note not in notes:
        notes.append(radiation.note)
    columns = (m.two_theta, m.intensity)
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(x, dtype="<f8").tobytes() for x in columns))
    cell = dict.fromkeys(CELL) if label.cell is None else dict(zip(CELL, label.cell.tolist(), strict=True))
    return {
        "pattern_id": pattern_id,
        "laboratory": entry.laboratory or config.get("laboratory", "") or pattern_id.partition(":")[0],
        "specimen": entry.specimen,
        "licence": entry.licence or config.get("licence", _NO_LICENCE),
        "two_theta": m.two_theta,
        "intensity": m.intensity,
        "sigma": m.sigma,
        "wavelength": lines,
        "ratio": radiation.ratio if radiation else 0.0,
        "anode": (radiation.anode if radiation else None) or "",
        "formula": label.formula,
        "spacegroup_number": label.number,
        "crystal_system": label.system,
        **cell,
        "n_phases": label.n_phases,
        "label": label.source,
        "notes": notes,
        "sha256": digest.hexdigest(),
    }


# --- files of one's own ----------------------------------------------------------------------------


def _files(where: str, config: Mapping[str, Any]) -> Iterator[PatternEntry]:
    """Files of a folder or archive, or a single one, with labels of a CSV in it or of their own blocks."""
    path = local_path(config["path"])
    labels = _labels(path, where, config.get("labels"))
    known = set()
    for name, data, error in contents(path, config.get("pattern", "*"), where):
        if config.get("labels") and matches(name, config["labels"]):
            continue
        row = labels.get(name) or labels.get(PurePosixPath(name).name) or {}
        known |= {name, PurePosixPath(name).name}
        if error:
            yield PatternEntry(name, error=error)
            continue
        yield from _scans(name, data, row, config.get("wavelength"))
    missing = [name for name in labels if name not in known]
    if missing:
        raise XtinctError(
            f"{where}.labels: {config['labels']} names {missing[0]!r}"
            + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")
            + f", which {path} does not hold"
        )


def _labels(path: Path, where: str, name: str | None) -> dict[str, dict[str, str]]:
    """Rows of the CSV of labels by the file that they are of."""
    if name is None:
        return {}
    found = list(texts(path, name, where))
    if len(found) != 1 or found[0][2]:
        raise XtinctError(
            f"{where}.labels: {path} holds {len(found)} readable files {name!r}, expected one CSV"
        )
    reader = csv.DictReader(io.StringIO(found[0][1]))
    allowed = (*_FILE_COLUMNS, *LABEL_COLUMNS)
    for column in reader.fieldnames or ["(nothing)"]:
        if column not in allowed:
            raise XtinctError(f"{where}.labels: column {column!r}, expected some of {', '.join(allowed)}")
    rows = list(reader)
    if any(not row.get("file") for row in rows):
        raise XtinctError(f"{where}.labels: {name}: every row needs the file that it is of, in column file")
    twice = [file for file, times in Counter(row["file"] for row in rows).items() if times > 1]
    if twice:
        raise XtinctError(f"{where}.labels: {name}: {twice[0]!r} stands in several rows, expected one")
    return {row["file"]: row for row in rows}


def _scans(name: str, data: bytes, row: Mapping[str, str], wavelength: Any) -> Iterator[PatternEntry]:
    """Every profile of a file; quarantined with the reader's words if there is none."""
    try:
        label = label_of_row(row, "table of labels") if row else _own_label(data)
        scans = measurements_in(data, name, wavelength=row.get("wavelength") or wavelength)
    except XtinctError as error:
        yield PatternEntry(name, error=f"unreadable: {error}")
        return
    about = {key: row.get(key) or None for key in ("laboratory", "licence")}
    for number, scan in enumerate(scans, start=1):
        identifier = name if len(scans) == 1 else f"{name}#{number}"
        if isinstance(scan, Measurement):
            yield PatternEntry(identifier, scan, label, specimen=row.get("specimen") or "", **about)
        else:
            yield PatternEntry(identifier, error=f"peak_list: {len(scan.d)} peaks, expected a profile")


def _own_label(data: bytes) -> PatternLabel:
    """What a file itself says of its crystal."""
    try:
        text = text_of(data)
    except ValueError:
        return PatternLabel()
    if re.search(r"^\s*data_\S", text, re.MULTILINE) and "_pd_" in text:
        return label_of_cif(text) or PatternLabel()
    return label_of_mineral_text(text[:4000]) if text.startswith("##") else PatternLabel()


# --- tables ----------------------------------------------------------------------------------------


def _carried(where: str, config: Mapping[str, Any]) -> Iterator[PatternEntry]:
    """The patterns that the project carries (data/patterns/NOTICE)."""
    return _table(where, {**config, "path": Path(config["project"], CARRIED_PATTERNS)})


def _table(where: str, config: Mapping[str, Any]) -> Iterator[PatternEntry]:
    """Rows of a Parquet table: an identifier, two_theta, intensity, and what else there is of a pattern."""
    path = local_path(config["path"])
    if not path.is_file():
        raise XtinctError(f"{where}.path: {path}: no such file")
    file = open_parquet(path)
    names = {_ALIASES.get(name, name): name for name in file.schema_arrow.names}
    for column in ("pattern_id", "two_theta", "intensity"):
        if column not in names:
            raise XtinctError(f"{where}.path: {path}: no column {column!r}; it has {', '.join(names)}")
    chosen, met = config.get("laboratories"), set()
    wanted = (*LABEL_COLUMNS, *_FILE_COLUMNS, "pattern_id", "two_theta", "intensity", "sigma", "ratio")
    present = [names[name] for name in (*wanted, "radiation", "notes") if name in names]
    for batch in read_batches(file, 64, present):
        for row in batch.to_pylist():
            row = {_ALIASES.get(name, name): value for name, value in row.items()}
            met.add(row.get("laboratory"))
            if chosen is None or row.get("laboratory") in chosen:
                yield _table_entry(row, config)
    missing = [one for one in chosen or () if one not in met]
    if missing:
        known = ", ".join(sorted(filter(None, met))) or "none"
        raise XtinctError(f"{where}.laboratories: {path} has no row of {missing[0]!r}; it has {known}")


def _table_entry(row: Mapping[str, Any], config: Mapping[str, Any]) -> PatternEntry:
    identifier = str(row["pattern_id"])
    if "neutron" in str(row.get("radiation") or "").lower():
        return PatternEntry(identifier, error=f"not_x_rays: measured with {row['radiation']}")
    try:
        columns = {name: np.asarray(row[name] or (), dtype=np.float64) for name in ("two_theta", "intensity")}
        if row.get("sigma") is not None:
            columns["sigma"] = np.asarray(row["sigma"], dtype=np.float64)
        x, y, *given = _checked_columns(columns)
        sigma, note = completed_sigma(given[0]) if given else (None, None)
        measurement = Measurement(
            x,
            y,
            sigma,
            _told(row.get("wavelength"), row.get("ratio")) or _told(config.get("wavelength")),
            (*(row.get("notes") or ()), *([note] if note else [])),
            identifier,
        )
        label = label_of_row(row, "table")
    except XtinctError as error:
        return PatternEntry(identifier, error=f"unreadable: {error}")
    return PatternEntry(
        identifier,
        measurement,
        label,
        row.get("laboratory") or None,
        row.get("licence") or None,
        row.get("specimen") or "",
    )


def _checked_columns(columns: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Columns (n,), of them `two_theta`, ascending in angle, each angle once.

    XtinctError where they are no pattern.
    """
    shapes = [column.shape for column in columns.values()]
    if len(set(shapes)) > 1 or len(shapes[0]) != 1 or shapes[0][0] < 2:
        told = " and ".join(f"{name} {shape}" for name, shape in zip(columns, shapes, strict=True))
        raise XtinctError(f"{told}: expected lists of one length, two or more")
    if not all(np.isfinite(columns[name]).all() for name in ("two_theta", "intensity")):
        raise XtinctError("two_theta and intensity: all values must be finite")
    two_theta = columns["two_theta"]
    order = np.argsort(two_theta, kind="stable")
    two_theta = two_theta[order]
    if not (two_theta[0] >= 0 and two_theta[-1] < 180):
        raise XtinctError(f"two_theta {two_theta[0]:g} to {two_theta[-1]:g}: expected degrees below 180")
    chosen = order[np.concatenate([[True], np.diff(two_theta) > 0])]
    return [column[chosen] for column in columns.values()]


def _told(wavelength: Any, ratio: float | None = None) -> Radiation | None:
    """Radiation of a number, a name or a list; None for an empty value or one that is not a number."""
    if isinstance(wavelength, list):
        wavelength = wavelength if len(wavelength) > 1 else next(iter(wavelength), None)
    if wavelength is None or wavelength == "" or (isinstance(wavelength, float) and not wavelength > 0):
        return None
    return radiation_of(wavelength, ratio if isinstance(wavelength, list) else None)


# --- the RRUFF project -----------------------------------------------------------------------------

_MINERAL = re.compile(r"##RRUFFID=\s*(\S+)")
_IN_NAME = re.compile(r"__(R\d{6}(?:-\d+)?)__|_(R\d{6}(?:-\d+)?)[_.]")


def _rruff(where: str, config: Mapping[str, Any]) -> Iterator[PatternEntry]:
    """Patterns of the RRUFF project: its archives of measured texts, with space groups of its line tables.

    Archives stay in the cache folder; one that is there is not asked for again.
    """
    limits = ServerLimits.of(config)
    session = Session(limits, Gate(limits.rate))
    get = [*config["archives"], config["line_tables"]]
    paths = {name: _fetched(name, where, config, session, limits) for name in get}
    refined = {}
    for name, text, error in texts(paths[config["line_tables"]], "*.txt", where):
        if not error and (identifier := _mineral_id(name, text)):
            refined[identifier] = label_of_mineral_text(text[:4000])
    for archive in config["archives"]:
        for name, data, error in contents(paths[archive], "*.txt", where):
            if error:
                yield PatternEntry(name, error=error)
                continue
            yield from _mineral(name, data, refined)


def _mineral(name: str, data: bytes, refined: Mapping[str, PatternLabel]) -> Iterator[PatternEntry]:
    text = data[:4000].decode("latin-1")
    identifier = _mineral_id(name, text)
    own = label_of_mineral_text(text)
    better = refined.get(identifier or "")
    # The cell and the group of one refinement belong together.
    label = own if better is None else replace(own, number=better.number, cell=better.cell)
    for entry in _scans(identifier or PurePosixPath(name).stem, data, {}, None):
        specimen = (identifier or "").partition("-")[0]
        yield replace(entry, label=label, specimen=specimen) if entry.measurement else entry


def _mineral_id(name: str, text: str) -> str | None:
    """R040063-1: of the file's name, which tells scans of a specimen apart, or of its header."""
    found = _IN_NAME.search(name)
    if found:
        return found[1] or found[2]
    said = _MINERAL.search(text)
    return said[1] if said else None


def _fetched(
    name: str, where: str, config: Mapping[str, Any], session: Session, limits: ServerLimits
) -> Path:
    """An archive of the server in the cache folder, where it is whole or not at all.

    Of several sets that ask for it at a time one fetches it, and the others wait.
    """
    path = Path(local_path(config["cache"]), name)
    address = f"{config['server'].rstrip('/')}/{name}"

    def ask() -> bytes:
        body = session.get(address).content
        # The directory at its end is there, so the archive was not cut short.
        if not zipfile.is_zipfile(io.BytesIO(body)):
            raise FailedError("the answer is no whole zip archive")
        return body

    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_name(f".{name}.lock").open("w") as lock:
            with suppress(OSError, ImportError):  # some file servers know no locks, and Windows has others
                import fcntl

                fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.is_file():
                write_bytes(path, patiently(ask, limits, f"{where}: {address}"))
    return path


# --- opXRD -----------------------------------------------------------------------------------------


def _opxrd(where: str, config: Mapping[str, Any]) -> Iterator[PatternEntry]:
    """Files of the opXRD collection, in its archive or in a folder; of some contributions, or all."""
    path, chosen = local_path(config["path"]), config.get("contributions")
    met = set()
    for name, data, error in contents(path, "*.json", where):
        folders = PurePosixPath(name).parts[:-1]
        met |= set(folders)
        if chosen is None or set(chosen) & set(folders):
            yield PatternEntry(name, error=error) if error else _opxrd_entry(name, data, config)
    missing = [one for one in chosen or () if one not in met]
    if missing:
        raise XtinctError(f"{where}.contributions: {path} has no folder {missing[0]!r} with patterns")


def _opxrd_entry(name: str, data: bytes, config: Mapping[str, Any]) -> PatternEntry:
    try:
        read = opxrd_pattern(data)
        measurement = Measurement(
            *_checked_columns({"two_theta": read.two_theta, "intensity": read.intensity}),
            None,
            _told(read.wavelength) or _told(config.get("wavelength")),
            (),
            name,
        )
    except XtinctError as error:
        return PatternEntry(name, error=f"unreadable: {error}")
    if read.simulated:
        return PatternEntry(name, error="calculated: the file says that it was simulated")
    return PatternEntry(name, measurement, read.label, read.institution or None)


#: All kinds of sets. A new one is a function here, a line, and a model of its keys in
#: `xtinct.project.keys.pattern_keys`.
PATTERN_KINDS: dict[str, Callable[[str, Mapping[str, Any]], Iterator[PatternEntry]]] = {
    "carried": _carried,
    "files": _files,
    "table": _table,
    "rruff": _rruff,
    "opxrd": _opxrd,
}

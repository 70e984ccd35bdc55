"""Dense patterns for people without this package: Parquet tables, a dataset card, Croissant metadata.

The folder is what a dataset hub expects: `data/{part}.parquet`, `README.md` with the card's YAML
header, and `croissant.json` (MLCommons Croissant 1.0).
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import xtinct
from xtinct.datasets.sharing import FULL_SCALE, About, Shared, card, croissant, require_extra
from xtinct.errors import XtinctError
from xtinct.files.parquet import file_metadata, open_parquet, read_batches, read_table, write_parquet
from xtinct.files.schema import LINES, SPLITS, check_table
from xtinct.files.writing import write_json, write_text
from xtinct.linelists.line_tables import line_lists
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.rendering import render

DTYPES = ("float32", "uint16")
#: Samples rendered at a time.
_BATCH = 512
_CARD, _CROISSANT = "README.md", "croissant.json"
#: Columns that the line lists hand on.
_KEPT = [name for name in LINES.names if name not in ("d_star", "intensity", "split")]


def export(
    tables: Sequence[str | Path],
    out: str | Path,
    *,
    instrument: Instrument,
    dtype: str = "float32",
    about: About | None = None,
) -> dict[str, int]:
    """Render line lists (files of schema LINES) into patterns under the folder `out`.

    dtype    float32: a list of `points` numbers. uint16: a binary of 2 x points bytes, little-endian,
             round(65535 x value); half the size and an error of at most 7.7e-6
    about    what the card says beside what stands in the tables

    Returns the samples of each part that has any. The grid and the instrument stand in the metadata
    of each file and on the card. The folder may hold an earlier export, which is replaced, and nothing
    else but hidden files. XtinctError for a folder that does, for files that are no line lists, for ones
    that do not reach as far as the instrument shows, and for a sample id that occurs in two files.
    """
    if dtype not in DTYPES:
        raise XtinctError(f"export: type {dtype!r}, expected one of {', '.join(DTYPES)}")
    if not tables:
        raise XtinctError("export: no tables of line lists given")
    out = Path(out)
    sources = {str(path): _checked(path, instrument) for path in tables}
    about = about or About()
    published = about.day()
    require_extra()
    parts, origins = _contents(tables)
    if not parts:
        raise XtinctError(f"export: no sample in {', '.join(map(str, tables))}")
    _check_folder(out, {f"data/{part}.parquet" for part in parts})
    schema = pattern_schema(instrument, dtype)
    metadata = {
        "instrument": instrument.to_dict(),
        "encoding": {"dtype": dtype, "full_scale": FULL_SCALE if dtype == "uint16" else 1.0},
        "library_version": xtinct.__version__,
        "sources": sorted(sources.values(), key=lambda source: json.dumps(source, sort_keys=True)),
    }
    for part in parts:
        batches = (batch for path in tables for batch in _patterns(path, part, instrument, dtype, schema))
        write_parquet(out / "data" / f"{part}.parquet", batches, schema, metadata)
    shared = Shared(about, published, parts, origins, instrument, dtype, schema)
    write_text(out / _CARD, card(shared))
    write_json(out / _CROISSANT, croissant(shared, out), sort_keys=False)
    return parts


def _check_folder(out: Path, tables: set[str]) -> None:
    """Refuse a folder with files that are neither of an earlier export nor hidden."""
    found = {
        path.relative_to(out).as_posix()
        for path in (out.rglob("*") if out.is_dir() else ())
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(out).parts)
    }
    ours = {_CARD, _CROISSANT, *tables} if _exported_before(out / _CROISSANT) else set()
    for other in sorted(found - ours):
        raise XtinctError(
            f"{out / other}: the folder of an export may hold no file that is not part of it; "
            "name a new or empty folder, or remove the file"
        )


def _exported_before(path: Path) -> bool:
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(described, dict) and str(described.get("citeAs", "")).startswith("Xtinct")


def pattern_schema(instrument: Instrument, dtype: str) -> pa.Schema:
    """Columns of an exported table: those of the line lists, and `pattern` in place of the lines."""
    if dtype == "float32":
        kind, unit = pa.list_(pa.float32(), instrument.points), "of the maximum"
    else:
        kind, unit = pa.binary(2 * instrument.points), f"little-endian uint16, of the maximum x {FULL_SCALE}"
    grid = f"{instrument.two_theta_min:g} to {instrument.two_theta_max:g} degrees 2theta"
    description = f"intensity at {instrument.points} equidistant angles, {grid}, both ends included"
    pattern = pa.field("pattern", kind, nullable=False, metadata={"unit": unit, "description": description})
    return pa.schema(
        [*(LINES.field(column) for column in _KEPT), pattern], metadata={"xtinct.table": "patterns"}
    )


def _checked(path: str | Path, instrument: Instrument) -> dict[str, object]:
    """Identity of a table of line lists that the instrument can show."""
    check_table(open_parquet(path).schema_arrow, LINES, str(path))
    stored = file_metadata(path)
    config = stored.get("config", {})
    reach = config.get("d_star_max", config.get("lines", {}).get("d_star_max"))
    if reach is not None:
        try:
            instrument.check_reach(float(reach))
        except XtinctError as error:
            raise XtinctError(f"{path}: {error}") from None
    return {key: stored[key] for key in ("dataset", "seed", "config_digest") if key in stored}


def _contents(tables: Sequence[str | Path]) -> tuple[dict[str, int], dict[tuple[str, str], int]]:
    """Samples of each part that has any, and of each (source, licence)."""
    seen: set[int] = set()
    counts = dict.fromkeys(SPLITS, 0)
    sources: Counter[tuple[str, str]] = Counter()
    for path in tables:
        for batch in read_batches(open_parquet(path), 65536, ["sample_id", "split", "source", "licence"]):
            sources.update(
                zip(batch.column("source").to_pylist(), batch.column("licence").to_pylist(), strict=True)
            )
            for sample_id in batch.column("sample_id").to_pylist():
                # 64-bit hashes: a million ids in 100 MB less than the ids themselves.
                key = hash(sample_id)
                if key in seen:
                    raise XtinctError(f"{path}: sample {sample_id!r} occurs twice among the tables")
                seen.add(key)
            for value in pc.value_counts(batch.column("split")).to_pylist():
                counts[value["values"]] += value["counts"]
    return {part: n for part, n in counts.items() if n}, dict(sorted(sources.items()))


def _patterns(
    path: str | Path, part: str, instrument: Instrument, dtype: str, schema: pa.Schema
) -> Iterator[pa.Table]:
    for batch in read_batches(open_parquet(path), _BATCH, LINES.names):
        batch = batch.filter(pc.equal(batch.column("split"), part))
        if batch.num_rows:
            patterns = render(line_lists(batch), instrument)
            columns = [batch.column(column) for column in _KEPT]
            yield pa.table([*columns, _encode(patterns, dtype, schema)], schema=schema)


def _encode(patterns: np.ndarray, dtype: str, schema: pa.Schema) -> pa.Array:
    kind = schema.field("pattern").type
    if dtype == "float32":
        return pa.FixedSizeListArray.from_arrays(pa.array(patterns.reshape(-1)), type=kind)
    coded = np.rint(patterns * np.float32(FULL_SCALE)).astype("<u2")
    return pa.Array.from_buffers(kind, len(coded), [None, pa.py_buffer(coded)])


def read_patterns(path: str | Path) -> np.ndarray:
    """Patterns float32 (samples, points) of an exported table, whatever their type there."""
    table = read_table(path, ["pattern"])
    column = table.column("pattern").combine_chunks()
    if pa.types.is_fixed_size_list(column.type):
        return column.flatten().to_numpy().reshape(len(column), -1)
    coded = np.frombuffer(column.buffers()[1], "<u2").reshape(len(column), -1)
    return coded.astype(np.float32) / np.float32(FULL_SCALE)

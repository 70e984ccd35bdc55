"""Dense patterns for people without this package: Parquet tables, a dataset card, Croissant metadata.

The folder is what a dataset hub expects: `data/{part}.parquet`, `README.md` with the card's YAML
header, and `croissant.json` (MLCommons Croissant 1.0).
"""

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import xtinct
from xtinct.errors import XtinctError
from xtinct.files.parquet import file_metadata, open_parquet, read_batches, read_table, write_parquet
from xtinct.files.schema import DATASETS, LINES, SPLITS, check_table
from xtinct.files.writing import write_json, write_text
from xtinct.linelists.line_tables import line_lists
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.rendering import render

DTYPES = ("float32", "uint16")
#: uint16 stands for value x FULL_SCALE, rounded.
FULL_SCALE = 65535
#: Samples rendered at a time.
_BATCH = 512
_CARD, _CROISSANT = "README.md", "croissant.json"
_ORDER = "Rows are ordered by sample, and so by space group or structure: shuffle them before training."
#: Units of the instrument's settings; none for the others.
_UNITS = {
    "wavelength": "angstrom",
    "two_theta_min": "degree",
    "two_theta_max": "degree",
    "fwhm": "degree 2theta; three numbers: degree^2 (Caglioti)",
    "further_wavelengths": "(angstrom, relative intensity)",
    "monochromator": "degree 2theta",
    "crystallite_size": "angstrom",
    "zero_shift": "degree 2theta",
    "displacement": "mm",
    "goniometer_radius": "mm",
    "background": "of the peaks' maximum",
    "humps": "(of the peaks' maximum, degree 2theta, degree 2theta)",
    "counts": "counts at the maximum",
    "impurities": "(1/angstrom, of the strongest line)",
}
#: Columns that the line lists hand on.
_KEPT = [name for name in LINES.names if name not in ("d_star", "intensity", "split")]


@dataclass(frozen=True)
class About:
    """What the card says of a dataset beside what stands in its tables.

    name       of the dataset
    licence    identifier for the whole, for example cc-by-4.0; None: those of its rows
    published  day of publication, YYYY-MM-DD; None: today, or that of SOURCE_DATE_EPOCH where it is set
    citations  source of rows -> what to cite for it (`structures.citations`)
    """

    name: str = "xtinct-patterns"
    licence: str | None = None
    published: str | None = None
    citations: Mapping[str, str] = field(default_factory=dict)

    def day(self) -> str:
        """Day of publication, YYYY-MM-DD, or XtinctError."""
        if self.published is None:
            epoch = os.environ.get("SOURCE_DATE_EPOCH")
            now = datetime.now(UTC) if epoch is None else datetime.fromtimestamp(int(epoch), UTC)
            return now.date().isoformat()
        try:
            return date.fromisoformat(self.published).isoformat()
        except ValueError:
            raise XtinctError(f"export: date {self.published!r}, expected YYYY-MM-DD") from None


@dataclass(frozen=True)
class _Contents:
    """What the exported tables hold: samples of each part, and of each (source, licence)."""

    parts: dict[str, int]
    sources: dict[tuple[str, str], int]

    @property
    def licences(self) -> list[str]:
        return sorted({licence for _, licence in self.sources})


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
    contents = _contents(tables)
    counts = contents.parts
    _check_folder(out, {f"data/{part}.parquet" for part in counts})
    schema = pattern_schema(instrument, dtype)
    metadata = {
        "instrument": instrument.to_dict(),
        "encoding": {"dtype": dtype, "full_scale": FULL_SCALE if dtype == "uint16" else 1.0},
        "library_version": xtinct.__version__,
        "sources": sorted(sources.values(), key=lambda source: json.dumps(source, sort_keys=True)),
    }
    for part in counts:
        batches = (batch for path in tables for batch in _patterns(path, part, instrument, dtype, schema))
        write_parquet(out / "data" / f"{part}.parquet", batches, schema, metadata)
    write_text(out / _CARD, _card(about, published, contents, instrument, dtype, schema))
    croissant = croissant_metadata(out, about, published, contents, schema)
    write_json(out / _CROISSANT, croissant, sort_keys=False)
    return counts


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


def _exported_before(croissant: Path) -> bool:
    try:
        described = json.loads(croissant.read_text(encoding="utf-8"))
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


def _contents(tables: Sequence[str | Path]) -> _Contents:
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
    return _Contents({part: n for part, n in counts.items() if n}, dict(sorted(sources.items())))


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


def _licence_lines(about: About, licences: Sequence[str]) -> str:
    """The card's `license`: identifiers as dataset hubs know them, or other with the texts as they stand."""
    stated = [about.licence] if about.licence else licences
    if all(re.fullmatch(r"[A-Za-z0-9.+-]+", licence) for licence in stated):
        identifiers = [licence.lower() for licence in stated]
        if len(identifiers) == 1:
            return f"license: {identifiers[0]}"
        return "license:\n" + "\n".join(f"- {identifier}" for identifier in identifiers)
    return f"license: other\nlicense_name: {json.dumps('; '.join(stated), ensure_ascii=False)}"


def _cite(about: About, source: str) -> str:
    """What to cite for a source; copies of its structures carry its name and `-random-...`."""
    own = "Xtinct" if source in DATASETS else "what its owner asks for"
    return about.citations.get(source.partition("-random-")[0], own)


def _citation(about: About, contents: _Contents) -> str:
    """Xtinct and every source, once."""
    cited = [_cite(about, source) for source, _ in contents.sources]
    return "; ".join(dict.fromkeys([f"Xtinct {xtinct.__version__}", *(c for c in cited if c != "Xtinct")]))


def _card(
    about: About,
    published: str,
    contents: _Contents,
    instrument: Instrument,
    dtype: str,
    schema: pa.Schema,
) -> str:
    name, counts = about.name, contents.parts
    total = sum(counts.values())
    size = next(label for limit, label in _SIZES if total < limit)
    files = "".join(f"  - split: {part}\n    path: data/{part}.parquet\n" for part in counts)
    reading = {
        "float32": "np.stack(table.pattern)",
        "uint16": f'np.stack([np.frombuffer(p, "<u2") for p in table.pattern]) / {FULL_SCALE}',
    }[dtype]
    rows = "".join(
        f"| `{field.name}` | {_text(field, 'unit') or '-'} | {_text(field, 'description')} |\n"
        for field in schema
    )
    settings = "".join(
        f"| {key} | {value} | {_UNITS.get(key, '-')} |\n" for key, value in instrument.to_dict().items()
    )
    sources = "".join(
        f"| {source} | {licence} | {n:,} | {_cite(about, source)} |\n"
        for (source, licence), n in contents.sources.items()
    )
    return f"""---
pretty_name: {name}
{_licence_lines(about, contents.licences)}
tags:
- x-ray-diffraction
- powder-diffraction
- space-group
size_categories:
- {size}
configs:
- config_name: default
  data_files:
{files}---

# {name}

Powder-diffraction patterns with their space groups and extinction classes: {total:,} samples
({", ".join(f"{part} {n:,}" for part, n in counts.items())}), made with Xtinct {xtinct.__version__}.
Published {published}.

{_ORDER}

```python
import numpy as np, pandas as pd
table = pd.read_parquet("data/{next(iter(counts))}.parquet")
pattern = {reading}   # (samples, {instrument.points}), maximum 1
two_theta = np.linspace({instrument.two_theta_min:g}, {instrument.two_theta_max:g}, {instrument.points})
```

## Sources and licences

Every row names its own (`source`, `licence`).

| source | licence | samples | cite |
|---|---|---|---|
{sources}
## Citation

{_citation(about, contents)}.

## Columns

| column | unit | meaning |
|---|---|---|
{rows}
## Measurement

| setting | value | unit |
|---|---|---|
{settings}"""


def _text(field: pa.Field, key: str) -> str:
    return field.metadata[key.encode()].decode()


_SIZES = (
    (1e3, "n<1K"),
    (1e4, "1K<n<10K"),
    (1e5, "10K<n<100K"),
    (1e6, "100K<n<1M"),
    (1e7, "1M<n<10M"),
    (float("inf"), "10M<n<100M"),
)


def croissant_metadata(
    out: Path, about: About, published: str, contents: _Contents, schema: pa.Schema
) -> dict[str, object]:
    """Croissant 1.0 description of the exported files: one record set for each part."""
    counts = contents.parts
    licences = [about.licence] if about.licence else contents.licences
    origin = ", ".join(f"{source} ({licence})" for source, licence in contents.sources)
    distribution, record_sets = [], []
    for part in counts:
        path = out / "data" / f"{part}.parquet"
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        distribution.append(
            {
                "@type": "cr:FileObject",
                "@id": f"{part}.parquet",
                "name": f"{part}.parquet",
                "contentUrl": f"data/{part}.parquet",
                "contentSize": f"{path.stat().st_size} B",
                "encodingFormat": "application/x-parquet",
                "sha256": digest,
            }
        )
        record_sets.append(
            {
                "@type": "cr:RecordSet",
                "@id": part,
                "name": part,
                "description": f"The {counts[part]} samples of the {part} part.",
                "field": [_croissant_field(part, field) for field in schema],
            }
        )
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": about.name,
        "description": (
            "Powder-diffraction patterns with space groups and extinction classes. "
            f"Sources of the rows: {origin}. {_ORDER}"
        ),
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "license": licences[0] if len(licences) == 1 else licences,
        "datePublished": published,
        "version": xtinct.__version__,
        "citeAs": _citation(about, contents),
        "distribution": distribution,
        "recordSet": record_sets,
    }


def _croissant_field(part: str, field: pa.Field) -> dict[str, object]:
    kind = field.type
    if pa.types.is_integer(kind):
        data_type = "sc:Integer"
    elif pa.types.is_floating(kind) or pa.types.is_fixed_size_list(kind):
        data_type = "sc:Float"
    else:
        data_type = "sc:Text"
    described: dict[str, object] = {
        "@type": "cr:Field",
        "@id": f"{part}/{field.name}",
        "name": field.name,
        "description": f"{_text(field, 'description')} [{_text(field, 'unit') or '1'}]",
        "dataType": data_type,
        "source": {"fileObject": {"@id": f"{part}.parquet"}, "extract": {"column": field.name}},
    }
    if pa.types.is_fixed_size_list(kind):
        described["repeated"] = True
    return described


#: The context that Croissant 1.0 prescribes (docs.mlcommons.org/croissant/docs/croissant-spec.html).
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def read_patterns(path: str | Path) -> np.ndarray:
    """Patterns float32 (samples, points) of an exported table, whatever their type there."""
    table = read_table(path, ["pattern"])
    column = table.column("pattern").combine_chunks()
    if pa.types.is_fixed_size_list(column.type):
        return column.flatten().to_numpy().reshape(len(column), -1)
    coded = np.frombuffer(column.buffers()[1], "<u2").reshape(len(column), -1)
    return coded.astype(np.float32) / np.float32(FULL_SCALE)

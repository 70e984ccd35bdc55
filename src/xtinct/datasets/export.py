"""Dense patterns for people without this package: Parquet tables, a dataset card, Croissant metadata.

The folder is what a dataset hub expects: `data/{part}.parquet`, `README.md` with the card's YAML
header, and `croissant.json` (MLCommons Croissant 1.0).
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import xtinct
from xtinct.datasets.linetables import line_lists
from xtinct.diffraction.instrument import Instrument
from xtinct.diffraction.profile import render
from xtinct.errors import XtinctError
from xtinct.parquet import file_metadata, open_parquet, read_batches, read_table, write_parquet
from xtinct.schema import LINES, SPLITS, check_table

DTYPES = ("float32", "uint16")
#: uint16 stands for value x FULL_SCALE, rounded.
FULL_SCALE = 65535
#: Samples rendered at a time.
_BATCH = 512
#: Columns that the line lists hand on.
_KEPT = [name for name in LINES.names if name not in ("d_star", "intensity", "split")]


def export(
    tables: Sequence[str | Path],
    out: str | Path,
    *,
    instrument: Instrument,
    dtype: str = "float32",
    name: str = "xtinct-patterns",
    licence: str = "other",
) -> dict[str, int]:
    """Render line lists (files of schema LINES) into patterns under the folder `out`.

    dtype    float32: a list of `points` numbers. uint16: a binary of 2 x points bytes, little-endian,
             round(65535 x value); half the size and an error of at most 7.7e-6
    name     of the dataset, on the card
    licence  identifier on the card, for example cc-by-4.0

    Returns the samples of each part that has any. The grid and the instrument stand in the metadata
    of each file and on the card. XtinctError for files that are no line lists, for ones that do not
    reach as far as the instrument shows, and for a sample id that occurs in two files.
    """
    if dtype not in DTYPES:
        raise XtinctError(f"export: type {dtype!r}, expected one of {', '.join(DTYPES)}")
    if not tables:
        raise XtinctError("export: no tables of line lists given")
    out = Path(out)
    sources = {str(path): _checked(path, instrument) for path in tables}
    counts = _count_parts(tables)
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
    (out / "README.md").write_text(_card(name, licence, counts, instrument, dtype, schema))
    croissant = croissant_metadata(out, name, licence, counts, schema)
    (out / "croissant.json").write_text(json.dumps(croissant, indent=2) + "\n")
    return counts


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


def _count_parts(tables: Sequence[str | Path]) -> dict[str, int]:
    seen: set[int] = set()
    counts = dict.fromkeys(SPLITS, 0)
    for path in tables:
        for batch in read_batches(open_parquet(path), 65536, ["sample_id", "split"]):
            for sample_id in batch.column("sample_id").to_pylist():
                # 64-bit hashes: a million ids in 100 MB less than the ids themselves.
                key = hash(sample_id)
                if key in seen:
                    raise XtinctError(f"{path}: sample {sample_id!r} occurs twice among the tables")
                seen.add(key)
            for value in pc.value_counts(batch.column("split")).to_pylist():
                counts[value["values"]] += value["counts"]
    return {part: n for part, n in counts.items() if n}


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


def _card(
    name: str, licence: str, counts: Mapping[str, int], instrument: Instrument, dtype: str, schema: pa.Schema
) -> str:
    total = sum(counts.values())
    size = next(label for limit, label in _SIZES if total < limit)
    files = "".join(f"  - split: {part}\n    path: data/{part}.parquet\n" for part in counts)
    reading = {
        "float32": "np.stack(table.pattern)",
        "uint16": f'np.stack([np.frombuffer(p, "<u2") for p in table.pattern]) / {FULL_SCALE}',
    }[dtype]
    rows = "".join(
        f"| `{field.name}` | {_text(field, 'unit')} | {_text(field, 'description')} |\n" for field in schema
    )
    settings = "".join(f"| {key} | {value} |\n" for key, value in instrument.to_dict().items())
    return f"""---
pretty_name: {name}
license: {licence}
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

```python
import numpy as np, pandas as pd
table = pd.read_parquet("data/{next(iter(counts))}.parquet")
pattern = {reading}   # (samples, {instrument.points}), maximum 1
two_theta = np.linspace({instrument.two_theta_min:g}, {instrument.two_theta_max:g}, {instrument.points})
```

## Columns

| column | unit | meaning |
|---|---|---|
{rows}
## Measurement

| setting | value |
|---|---|
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
    out: Path, name: str, licence: str, counts: Mapping[str, int], schema: pa.Schema
) -> dict[str, object]:
    """Croissant 1.0 description of the exported files: one record set for each part."""
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
        "name": name,
        "description": "Powder-diffraction patterns with space groups and extinction classes.",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "license": licence,
        "version": xtinct.__version__,
        "citeAs": f"Xtinct {xtinct.__version__}",
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

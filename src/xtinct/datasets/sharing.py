"""What a dataset hub wants to know: the dataset card and Croissant metadata.

Here stand the parts that every card and every Croissant file is made of, and those of exported patterns. The
card is README.md with the YAML header of the Hugging Face Hub; Croissant is that of MLCommons, 1.0.
"""

import hashlib
import importlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

import xtinct
from xtinct.errors import XtinctError
from xtinct.extras import names_extra
from xtinct.files.schema import DATASETS
from xtinct.patterns.instrument import Instrument

if TYPE_CHECKING:
    import mlcroissant

#: uint16 stands for value x FULL_SCALE, rounded.
FULL_SCALE = 65535
#: How a reader gets the patterns of a table of each type.
_READING = {
    "float32": "np.stack(table.pattern)",
    "uint16": f'np.stack([np.frombuffer(p, "<u2") for p in table.pattern]) / {FULL_SCALE}',
}
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
_SIZES = (
    (1e3, "n<1K"),
    (1e4, "1K<n<10K"),
    (1e5, "10K<n<100K"),
    (1e6, "100K<n<1M"),
    (1e7, "1M<n<10M"),
    (float("inf"), "10M<n<100M"),
)


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
            try:
                now = datetime.now(UTC) if epoch is None else datetime.fromtimestamp(int(epoch), UTC)
            except (ValueError, OverflowError, OSError):
                raise XtinctError(
                    f"SOURCE_DATE_EPOCH: {epoch!r}, expected seconds since 1970-01-01; correct or unset it"
                ) from None
            return now.date().isoformat()
        try:
            return date.fromisoformat(self.published).isoformat()
        except ValueError:
            raise XtinctError(f"date {self.published!r}, expected YYYY-MM-DD") from None

    def cite(self, source: str) -> str:
        """What to cite for a source; copies of its structures carry its name and `-random-...`."""
        own = "Xtinct" if source in DATASETS else "what its owner asks for"
        return self.citations.get(source.partition("-random-")[0], own)


@dataclass(frozen=True)
class Shared:
    """An exported dataset.

    about       what its owner says of it
    published   day of publication, YYYY-MM-DD
    parts       part -> samples, of those that have any
    sources     (source, licence) -> samples
    instrument  that the patterns are measured with
    dtype       of the patterns: float32 or uint16
    schema      of the tables
    """

    about: About
    published: str
    parts: Mapping[str, int]
    sources: Mapping[tuple[str, str], int]
    instrument: Instrument
    dtype: str
    schema: pa.Schema

    @property
    def licences(self) -> list[str]:
        """That of the whole where it is stated, else those of the rows."""
        return [self.about.licence] if self.about.licence else sorted({of for _, of in self.sources})

    @property
    def citation(self) -> str:
        """Xtinct and every source, once."""
        cited = dict.fromkeys(self.about.cite(source) for source, _ in self.sources)
        return "; ".join([f"Xtinct {xtinct.__version__}", *(text for text in cited if text != "Xtinct")])


@names_extra
def require_extra() -> None:
    """XtinctError with the extra to install if a package that cards and metadata need is missing."""
    for package in ("huggingface_hub", "mlcroissant", "rocrate"):
        importlib.import_module(package)


@names_extra
def card(shared: Shared) -> str:
    """The dataset card, as Markdown."""
    files = [{"split": part, "path": f"data/{part}.parquet"} for part in shared.parts]
    header = card_header(
        shared.about.name,
        sum(shared.parts.values()),
        shared.licences,
        [{"config_name": "default", "data_files": files}],
    )
    return header + _body(shared)


@names_extra
def card_header(name: str, rows: int, licences: Sequence[str], configs: Sequence[Mapping]) -> str:
    """The YAML header of a dataset card, with the lines around it.

    `configs`: for `datasets`, each a `config_name` and its `data_files` (split, path).
    """
    import huggingface_hub

    header = huggingface_hub.DatasetCardData(
        pretty_name=name,
        tags=["x-ray-diffraction", "powder-diffraction", "space-group"],
        size_categories=[next(label for limit, label in _SIZES if rows < limit)],
        configs=list(configs),
        **_licence(licences),
    )
    return f"---\n{header.to_yaml()}\n---\n\n"


def _licence(licences: Sequence[str]) -> dict[str, object]:
    """The card's `license`: identifiers as dataset hubs know them, or other with the texts as they stand."""
    if not all(re.fullmatch(r"[A-Za-z0-9.+-]+", licence) for licence in licences):
        return {"license": "other", "license_name": "; ".join(licences)}
    identifiers = [licence.lower() for licence in licences]
    return {"license": identifiers[0] if len(identifiers) == 1 else identifiers}


def _body(shared: Shared) -> str:
    parts, instrument = shared.parts, shared.instrument
    sources = [
        (source, licence, f"{n:,}", shared.about.cite(source))
        for (source, licence), n in shared.sources.items()
    ]
    columns = [
        (f"`{column.name}`", column_text(column, "unit") or "-", column_text(column, "description"))
        for column in shared.schema
    ]
    settings = [(key, value, _UNITS.get(key, "-")) for key, value in instrument.to_dict().items()]
    return f"""# {shared.about.name}

Powder-diffraction patterns with their space groups and extinction classes: {sum(parts.values()):,} samples
({", ".join(f"{part} {n:,}" for part, n in parts.items())}), made with Xtinct {xtinct.__version__}.
Published {shared.published}.

{_ORDER}

```python
import numpy as np, pandas as pd
table = pd.read_parquet("data/{next(iter(parts))}.parquet")
pattern = {_READING[shared.dtype]}   # (samples, {instrument.points}), maximum 1
two_theta = np.linspace({instrument.two_theta_min:g}, {instrument.two_theta_max:g}, {instrument.points})
```

## Sources and licences

Every row names its own (`source`, `licence`).

{markdown_table(("source", "licence", "samples", "cite"), sources)}
## Citation

{shared.citation}.

## Columns

{markdown_table(("column", "unit", "meaning"), columns)}
## Measurement

{markdown_table(("setting", "value", "unit"), settings)}"""


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table of a card."""
    lines = [
        [str(cell).replace("|", r"\|") for cell in line] for line in (heads, ["---"] * len(heads), *rows)
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def column_text(column: pa.Field, key: str) -> str:
    """The `unit` or `description` of a column; empty where it has none."""
    return (column.metadata or {}).get(key.encode(), b"").decode()


@names_extra
def croissant(shared: Shared, out: Path) -> dict[str, object]:
    """Croissant metadata of the tables under `out`, as JSON-LD: one record set for each part."""
    import mlcroissant

    origin = ", ".join(f"{source} ({licence})" for source, licence in shared.sources)
    metadata = mlcroissant.Metadata(
        name=shared.about.name,
        description=(
            "Powder-diffraction patterns with space groups and extinction classes. "
            f"Sources of the rows: {origin}. {_ORDER}"
        ),
        license=shared.licences,
        date_published=datetime.fromisoformat(shared.published),
        version=xtinct.__version__,
        cite_as=shared.citation,
        distribution=[
            croissant_file(f"{part}.parquet", f"data/{part}.parquet", out) for part in shared.parts
        ],
        record_sets=[
            mlcroissant.RecordSet(
                id=part,
                name=part,
                description=f"The {n} samples of the {part} part.",
                fields=[croissant_field(part, f"{part}.parquet", column) for column in shared.schema],
            )
            for part, n in shared.parts.items()
        ],
    )
    return croissant_json(metadata)


def croissant_json(metadata: "mlcroissant.Metadata") -> dict[str, object]:
    """Croissant metadata as JSON-LD."""
    # Through text: it holds dates and terms of RDF that JSON writes as texts.
    return json.loads(json.dumps(metadata.to_json(), default=str))


def croissant_file(name: str, path: str, folder: Path) -> "mlcroissant.FileObject":
    """A Parquet table at `path` below `folder`, under a `name` of its own."""
    import mlcroissant

    with (folder / path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return mlcroissant.FileObject(
        id=name,
        name=name,
        content_url=path,
        content_size=f"{(folder / path).stat().st_size} B",
        encoding_formats=["application/x-parquet"],
        sha256=digest,
    )


def croissant_field(record_set: str, file: str, column: pa.Field) -> "mlcroissant.Field":
    """A column of the table that `croissant_file` calls `file`, as a field of a record set."""
    import mlcroissant

    kind, is_list = column.type, pa.types.is_fixed_size_list(column.type) or pa.types.is_list(column.type)
    kind = kind.value_type if is_list else kind
    if pa.types.is_integer(kind):
        stored = mlcroissant.DataType.INTEGER
    elif pa.types.is_floating(kind):
        stored = mlcroissant.DataType.FLOAT
    elif pa.types.is_boolean(kind):
        stored = mlcroissant.DataType.BOOL
    else:
        stored = mlcroissant.DataType.TEXT
    return mlcroissant.Field(
        id=f"{record_set}/{column.name}",
        name=column.name,
        description=f"{column_text(column, 'description')} [{column_text(column, 'unit') or '1'}]",
        data_types=stored,
        repeated=True if is_list else None,
        source=mlcroissant.Source(file_object=file, extract=mlcroissant.Extract(column=column.name)),
    )

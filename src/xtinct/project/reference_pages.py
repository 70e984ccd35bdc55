"""Pages of the reference that the code makes: every column of every table, every function that is offered.

`python -m xtinct.project.reference_pages` writes them into the checkout that this package is read from.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

import xtinct
from xtinct import measurements
from xtinct.datasets.export import pattern_schema
from xtinct.files import schema
from xtinct.files.writing import write_bytes
from xtinct.observer.answer.answer_data import AnswerData
from xtinct.observer.answer.observation import Observation
from xtinct.patterns.instrument import Instrument
from xtinct.recognition.recognition import Recognition
from xtinct.symmetry.classes import ExtinctionClass

TABLES = "docs/reference/tables.md"
FUNCTIONS = "docs/reference/functions.md"
_COMMAND = "python -m xtinct.project.reference_pages"

#: Table -> where a build or the package keeps it, and one row of it.
PLACES = {
    "raw": ("data/raw/SOURCE.parquet", "a structure as its source gave it"),
    "structures": ("data/{structures,gcdd}/structures.parquet", "an accepted structure"),
    "quarantine": (
        "data/{structures,cddd,gcdd}/quarantine.parquet, data/measured/SET.quarantine.parquet",
        "a rejected entry, with its reason",
    ),
    "structure_splits": ("data/splits/structures.parquet", "the parts that a structure falls into"),
    "lines": ("data/{cddd,ulbd,gcdd}/FAMILY.parquet", "the lines of one sample, before any instrument"),
    "patterns": ("data/PART.parquet of an export", "the pattern of one sample"),
    "recognition": ("data/recognition/table.parquet", "a structure that `xtinct recognise` knows"),
    "predictions": (
        "results/evaluation/EXPERIMENT/FAMILY/seed-N/TEST.parquet, results/observer/FAMILY/TEST.parquet",
        "what a method said of one sample",
    ),
    "measured_patterns": ("data/measured/SET.parquet", "a measured pattern with its label"),
    "audit": ("data/audit/SET.parquet", "whether a measured pattern can be judged by, and why not"),
    "measured_predictions": ("results/measured/SET/{index,predict}.parquet", "what was said of one pattern"),
    "operations": ("data/symmetry/operations.parquet", "a setting of a space group"),
    "reflection_conditions": ("data/symmetry/reflection_conditions.parquet", "a condition of a setting"),
    "wyckoff": ("inside the package", "a Wyckoff position"),
    "extinction_classes": ("data/symmetry/extinction_classes.parquet", "a class"),
    "ceilings": ("results/ceilings.csv", "a ceiling that the extinction laws set"),
    "limitations": ("results/limits/limitations.parquet", "a ceiling under one more limitation"),
    "merged_lattices": ("results/limits/merged_lattices.parquet", "two classes that one lattice merges"),
    "lost_pairs": ("results/limits/lost_pairs.parquet", "two classes that a measurement confuses"),
    "wilson": ("results/limits/wilson.parquet", "an estimate with physical intensities"),
    "wilson_pairs": ("results/limits/wilson_pairs.parquet", "two groups of one class"),
}

_TABLES_HEAD = f"""# Tables and their columns

<!-- Made by `{_COMMAND}` from src/xtinct/files/schema.py. -->

Every Parquet table that Xtinct writes, with every column. `xtinct describe FILE` prints the same of a file.
A column is never null unless its type says so. Units stand in the metadata of each column too.
"""

_FUNCTIONS_HEAD = f"""# Functions

<!-- Made by `{_COMMAND}` from what `import xtinct` offers; the texts are the docstrings. -->

What `import xtinct` offers, what these functions return, and what reads measured files. The
[rooms of the library](../architecture.md#rooms) have more functions.
"""

#: Classes that the offered functions return: methods and attributes.
_RETURNED = (Observation, AnswerData, Recognition, ExtinctionClass)


def tables() -> Iterator[pa.Schema]:
    """Schema of every table, in the order of PLACES; KeyError for one that has no place there."""
    known = [value for value in vars(schema).values() if isinstance(value, pa.Schema)]
    instrument = Instrument(1.5406, 5.0, 90.0, 8192, "lorentz", 0.1)
    known.append(pattern_schema(instrument, "float32"))
    by_name = {table.metadata[b"xtinct.table"].decode(): table for table in known}
    order = list(PLACES)
    yield from (by_name[name] for name in sorted(by_name, key=order.index))


def tables_text() -> str:
    """The page with every column of every table."""
    return "\n".join([_TABLES_HEAD, *(_table(table) for table in tables())])


def functions_text() -> str:
    """The page that mkdocstrings fills with the docstring of everything that `import xtinct` offers."""
    offered = [(f"xtinct.{name}", getattr(xtinct, name)) for name in _offered()]
    returned = [(cls.__name__, cls) for cls in _RETURNED]
    reading = [(f"xtinct.measurements.{name}", getattr(measurements, name)) for name in measurements.__all__]
    documented = [entry for entry in (*offered, *returned, *reading) if callable(entry[1])]
    return "\n".join([_FUNCTIONS_HEAD, *(_documented(*entry) for entry in documented)])


def written(folder: str | Path) -> dict[Path, str]:
    """The files below `folder`, a checkout of the project, and what they hold."""
    return {Path(folder, TABLES): tables_text(), Path(folder, FUNCTIONS): functions_text()}


def _offered() -> Sequence[str]:
    """Functions first, then classes, each by name."""
    return sorted(xtinct.__all__, key=lambda name: (isinstance(getattr(xtinct, name), type), name))


def _documented(name: str, found: Callable) -> str:
    """Where mkdocstrings finds a function or class, under the name that it is offered by."""
    home = f"{found.__module__}.{found.__qualname__}"
    return f"::: {home}\n    options:\n      heading: {name}\n      toc_label: {name}\n"


def _table(table: pa.Schema) -> str:
    name = table.metadata[b"xtinct.table"].decode()
    version = table.metadata.get(b"xtinct.schema_version")
    place, row = PLACES[name]
    kept = re.sub(r"\S+/\S*[^\s,]", r"`\g<0>`", place)
    said = f" Version {version.decode()} of its schema." if version else ""
    head = [f"## {name}", "", f"Where: {kept}. One row: {row}.{said}", ""]
    return "\n".join(
        [*head, "| column | type | unit | meaning |", "|---|---|---|---|", *map(_row, table), ""]
    )


def _row(field: pa.Field) -> str:
    about = (field.metadata[key].decode().replace("|", "\\|") for key in (b"unit", b"description"))
    null = " or null" if field.nullable else ""
    return f"| {' | '.join([f'`{field.name}`', _kind(field.type) + null, *about])} |"


def _kind(kind: pa.DataType) -> str:
    """A type in words; widths as numpy names them."""
    if pa.types.is_fixed_size_list(kind):
        return f"list of {kind.list_size} {_kind(kind.value_type)}"
    if pa.types.is_list(kind):
        return f"list of {_kind(kind.value_type)}"
    return {"float": "float32", "double": "float64"}.get(str(kind), str(kind))


def main() -> None:
    """Write the pages into the checkout."""
    for path, text in written(Path(__file__).resolve().parents[3]).items():
        write_bytes(path, text.encode())


if __name__ == "__main__":
    main()

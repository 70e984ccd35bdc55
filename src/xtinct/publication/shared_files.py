"""The files of a build that is shared, and what their descriptions need to know of them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from xtinct.datasets.sharing import About
from xtinct.files.parquet import open_parquet
from xtinct.files.schema import LINES
from xtinct.project.verification import RecordedStage

#: Where the build says what made it.
PROVENANCE = "results/provenance.json"


@dataclass(frozen=True)
class SharedFile:
    """A file of the folder.

    path    relative to the folder, as in the checkout
    sha256  digest of its bytes, hexadecimal
    size    in bytes
    stage   that made it; empty for a file of the project
    """

    path: str
    sha256: str
    size: int
    stage: str


@dataclass(frozen=True)
class BuildTable:
    """A Parquet table below `data/`.

    path      relative to the folder
    kind      name of its schema: lines, structures, quarantine, ...
    schema    of its columns, with units and descriptions
    rows      number of them
    origins   (source, licence) -> rows, if its rows name them; (laboratory, licence) of measured patterns
    versions  source -> its versions, if its rows name them
    """

    path: str
    kind: str
    schema: pa.Schema
    rows: int
    origins: Mapping[tuple[str, str], int]
    versions: Mapping[str, tuple[str, ...]]

    @property
    def group(self) -> str:
        """Name of the group of tables of one schema that it belongs to, `ulbd` or `structures-quarantine`."""
        folder = "-".join(PurePosixPath(self.path).parts[1:-1])
        return folder if self.kind in ("lines", folder) else f"{folder}-{self.kind}"

    @property
    def part(self) -> str:
        """Its name within its group, as `datasets` can take it."""
        return PurePosixPath(self.path).stem.replace("-", "_")


@dataclass(frozen=True)
class SharedBuild:
    """A build that lies in a folder to be shared.

    folder      where it lies
    about       what its owner says of it
    published   day of publication, YYYY-MM-DD
    config      the configuration that it was made with
    files       every file of it, ordered by path; not the descriptions made from them
    stages      as DVC recorded them
    tables      below `data/`, ordered by path
    provenance  what the build says of itself (results/provenance.json); empty if it has no report
    """

    folder: Path
    about: About
    published: str
    config: Mapping[str, Any]
    files: tuple[SharedFile, ...]
    stages: tuple[RecordedStage, ...]
    tables: tuple[BuildTable, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def origins(self) -> dict[tuple[str, str], int]:
        """(source, licence) -> rows of line lists."""
        return self._origins_of("lines")

    @cached_property
    def laboratories(self) -> dict[tuple[str, str], int]:
        """(laboratory, licence) -> measured patterns."""
        return self._origins_of("measured_patterns")

    def _origins_of(self, kind: str) -> dict[tuple[str, str], int]:
        counts: Counter[tuple[str, str]] = Counter()
        for table in self.tables:
            if table.kind == kind:
                counts.update(table.origins)
        return dict(sorted(counts.items()))

    @cached_property
    def licences(self) -> list[str]:
        """That of the whole where it is stated, else those of all rows."""
        found = {licence for table in self.tables for _, licence in table.origins}
        return [self.about.licence] if self.about.licence else sorted(found)

    @cached_property
    def versions(self) -> dict[str, list[str]]:
        """Source -> versions of it that the rows name."""
        found: dict[str, set[str]] = {}
        for table in self.tables:
            for source, versions in table.versions.items():
                found.setdefault(source, set()).update(versions)
        return {source: sorted(versions) for source, versions in sorted(found.items())}


def build_tables(folder: Path, paths: Iterable[str]) -> tuple[BuildTable, ...]:
    """The Parquet tables among `paths`, which are relative to `folder`; XtinctError if one cannot be read."""
    return tuple(_table(folder, path) for path in sorted(paths) if path.endswith(".parquet"))


def _table(folder: Path, path: str) -> BuildTable:
    file = open_parquet(folder / path)
    schema = file.schema_arrow
    kind = (schema.metadata or {}).get(b"xtinct.table", b"table").decode()
    origin = "source" if "source" in schema.names else "laboratory"
    named = [name for name in (origin, "licence", "source_version") if name in schema.names]
    origins: Counter[tuple[str, str]] = Counter()
    versions: dict[str, set[str]] = {}
    if {origin, "licence"} <= set(named):
        grouped = file.read(columns=named).group_by(named).aggregate([([], "count_all")])
        for row in grouped.to_pylist():
            origins[row[origin], row["licence"]] += row["count_all"]
            if row.get("source_version"):
                versions.setdefault(row[origin], set()).add(row["source_version"])
    return BuildTable(
        path,
        kind,
        schema,
        file.metadata.num_rows,
        dict(sorted(origins.items())),
        {source: tuple(sorted(found)) for source, found in sorted(versions.items())},
    )


def parts_of(folder: Path, table: BuildTable) -> dict[str, int]:
    """Samples of each part (train, validation, test) of a table of line lists."""
    column = open_parquet(folder / table.path).read(columns=["split"])["split"]
    return {value["values"]: value["counts"] for value in pc.value_counts(column).to_pylist()}


def line_tables(build: SharedBuild) -> list[BuildTable]:
    """The tables of line lists of a build."""
    return [table for table in build.tables if table.schema.names == LINES.names]

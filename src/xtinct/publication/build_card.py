"""The dataset card of a shared build, and its Croissant metadata."""

from collections import Counter
from datetime import datetime
from itertools import groupby

import xtinct
from xtinct.datasets.sharing import (
    card_header,
    column_text,
    croissant_field,
    croissant_file,
    croissant_json,
    markdown_table,
)
from xtinct.extras import names_extra
from xtinct.files.schema import LINES, SPLITS
from xtinct.publication.shared_files import BuildTable, SharedBuild, line_tables, parts_of


def build_card(build: SharedBuild) -> str:
    """The card, as Markdown with the YAML header of the Hugging Face Hub: a configuration for each group."""
    configs = [
        {
            "config_name": group,
            "data_files": [{"split": table.part, "path": table.path} for table in tables],
            **({"default": True} if place == 0 else {}),
        }
        for place, (group, tables) in enumerate(_groups(build))
    ]
    samples = sum(table.rows for table in line_tables(build))
    return card_header(build.about.name, samples, build.licences, configs) + _body(build, samples)


def _groups(build: SharedBuild) -> list[tuple[str, list[BuildTable]]]:
    """Tables of one schema in one folder; line lists first. `datasets` loads no table without rows."""
    shown = [table for table in build.tables if table.rows]
    ordered = sorted(shown, key=lambda table: (table.kind != "lines", table.group, table.path))
    return [(group, list(tables)) for group, tables in groupby(ordered, key=lambda table: table.group)]


def _body(build: SharedBuild, samples: int) -> str:
    lines = line_tables(build)
    parts = {table.path: Counter(parts_of(build.folder, table)) for table in lines}
    rows = [(f"`{path}`", *(f"{found[part]:,}" for part in SPLITS)) for path, found in parts.items()]
    example = next((path for path, found in parts.items() if found["train"]), "data/ulbd/cubic.parquet")
    others = [(f"`{t.path}`", t.kind, f"{t.rows:,}") for t in build.tables if t not in lines]
    sources = [
        (source, licence, f"{n:,}", build.about.cite(source))
        for (source, licence), n in build.origins.items()
    ]
    columns = [
        (f"`{column.name}`", column_text(column, "unit") or "-", column_text(column, "description"))
        for column in LINES
    ]
    made = [(key, value) for key, value in build.provenance.items() if isinstance(value, str)]
    software = build.provenance.get("software", {})
    return f"""# {build.about.name}

A build of Xtinct {xtinct.__version__}: line lists of powder diffraction with their space groups and
extinction classes ({samples:,} samples), the models trained on them, and what was measured of both.
Published {build.published}.

Everything is as the pipeline made it: `ro-crate-metadata.json` says which stage made which file from what,
`SHA256SUMS` holds the digest of every file (`sha256sum --check SHA256SUMS`), and `results/report.html` shows
the results.

## Line lists

A line list has 1/d and |F|^2 of each line, before any instrument. **Each file holds all three parts**; the
column `split` says which part a row belongs to. `datasets` calls the files of a folder its splits: these are
crystal families, not the parts of a training.

```python
import pandas as pd
table = pd.read_parquet("{example}")
train = table[table.split == "train"]
```

{markdown_table(("file", *SPLITS), rows)}
`xtinct export` makes dense patterns of them.

## Further tables

{markdown_table(("file", "kind", "rows"), others)}
## Sources and licences

Every row names its own (`source`, `licence`).

{markdown_table(("source", "licence", "samples", "cite"), sources)}
{_laboratories(build)}## Citation

{citation(build)}.

## Columns of the line lists

{markdown_table(("column", "unit", "meaning"), columns)}
## What made it

The configuration is `config/config.yaml`, the workflow `Snakefile` and `rules/`, the environment
`requirements.lock`.

{markdown_table(("", ""), [*made, *software.items()])}"""


def _laboratories(build: SharedBuild) -> str:
    """The paragraph on measured patterns; empty where there are none."""
    rows = [(name, licence, f"{n:,}") for (name, licence), n in build.laboratories.items()]
    if not rows:
        return ""
    table = markdown_table(("laboratory", "licence", "patterns"), rows)
    return f"Measured patterns (`data/measured`) name theirs (`laboratory`, `licence`).\n\n{table}\n"


def citation(build: SharedBuild) -> str:
    """Xtinct and every source, once."""
    cited = dict.fromkeys(build.about.cite(source) for source, _ in build.origins)
    return "; ".join([f"Xtinct {xtinct.__version__}", *(text for text in cited if text != "Xtinct")])


@names_extra
def build_croissant(build: SharedBuild) -> dict[str, object]:
    """Croissant metadata of every table below `data/`, as JSON-LD: a record set for each."""
    import mlcroissant

    origin = ", ".join(f"{source} ({licence})" for source, licence in build.origins)
    return croissant_json(
        mlcroissant.Metadata(
            name=build.about.name,
            description=(
                "Line lists of powder diffraction with space groups and extinction classes, and the "
                f"structures and tables that they were made from. Sources of the rows: {origin}. "
                "The column `split` of line lists says which part a row belongs to."
            ),
            license=build.licences,
            date_published=datetime.fromisoformat(build.published),
            version=xtinct.__version__,
            cite_as=citation(build),
            distribution=[croissant_file(table.path, table.path, build.folder) for table in build.tables],
            record_sets=[
                mlcroissant.RecordSet(
                    id=table.path.removesuffix(".parquet"),
                    name=table.path.removesuffix(".parquet"),
                    description=f"The {table.rows} rows of {table.path} ({table.kind}).",
                    fields=[
                        croissant_field(table.path.removesuffix(".parquet"), table.path, column)
                        for column in table.schema
                    ],
                )
                for table in build.tables
            ],
        )
    )

"""Commands about stored tables: what one holds, and dense patterns made from it."""

import json
from typing import Any

import click

from xtinct.cli import options
from xtinct.cli.printing import print_table

#: Columns of a table that are worth counting by, where it has them.
_COUNTED = ("dataset", "split", "crystal_system", "source", "licence", "stage", "reason")


@click.command()
@click.argument("file", type=click.Path(dir_okay=False))
@options.as_json
def describe(file: str, as_json: bool) -> None:
    """Print what a Parquet table of the pipeline holds: rows, columns, metadata and counts."""
    described = _described(file)
    if as_json:
        click.echo(json.dumps(described, indent=1))
        return
    click.echo(f"{file}: {described['rows']:,} rows\n")
    print_table(
        ("column", "type", "unit", "description"), [tuple(column.values()) for column in described["columns"]]
    )
    metadata = described["metadata"].items()
    if metadata:
        click.echo()
        told = [(key, value if isinstance(value, str) else json.dumps(value)) for key, value in metadata]
        print_table(("metadata", "value"), told)
    for name, values in described["counts"].items():
        click.echo()
        print_table((name, "rows"), [(value, f"{count:,}") for value, count in values.items()])


def _described(path: str) -> dict[str, Any]:
    """Rows, columns, metadata and counts of a table, as --json prints them."""
    import pyarrow.compute as pc

    from xtinct.files.parquet import file_metadata, open_parquet

    table = open_parquet(path)
    columns, counts = [], {}
    for field in table.schema_arrow:
        about = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        texts = {key: about.get(key, "") for key in ("unit", "description")}
        columns.append({"name": field.name, "type": str(field.type), **texts})
    for name in _COUNTED:
        if name in table.schema_arrow.names:
            counted = pc.value_counts(table.read(columns=[name])[name]).to_pylist()
            counts[name] = {
                str(row["values"]): row["counts"] for row in sorted(counted, key=lambda row: -row["counts"])
            }
    return {
        "file": path,
        "rows": table.metadata.num_rows,
        "columns": columns,
        "metadata": {key: value for key, value in file_metadata(path).items() if key != "ARROW:schema"},
        "counts": counts,
    }


@click.command()
@click.argument("tables", nargs=-1, required=True, type=click.Path(dir_okay=False))
@click.option("--out", required=True, type=click.Path(file_okay=False), help="Folder to write.")
@click.option("--type", "dtype", default="float32", show_default=True, help="float32 or uint16.")
@click.option(
    "--config", default="config/config.yaml", show_default=True, help="Where the instrument stands."
)
@click.option("--name", default="xtinct-patterns", show_default=True, help="Name on the dataset card.")
@click.option("--licence", help="Licence identifier on the card; without it those of the rows.")
@click.option("--date", "published", help="Day of publication, YYYY-MM-DD; without it today.")
def export(
    tables: tuple[str, ...],
    out: str,
    dtype: str,
    config: str,
    name: str,
    licence: str | None,
    published: str | None,
) -> None:
    """Render line lists into a folder of dense patterns, with a dataset card and Croissant metadata.

    The folder may hold an earlier export, which is replaced, and nothing else.
    """
    from xtinct.datasets.export import export as export_tables
    from xtinct.datasets.sharing import About
    from xtinct.project.configuration import instrument_in, sources_in
    from xtinct.sources.citations import citations

    instrument = instrument_in(config)
    about = About(name, licence, published, citations(sources_in(config)))
    counts = export_tables(tables, out, instrument=instrument, dtype=dtype, about=about)
    print_table(("part", "samples"), list(counts.items()))


COMMANDS = (describe, export)

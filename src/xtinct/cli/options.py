"""Options that several commands have."""

import click

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")

wavelength = click.option(
    "--wavelength",
    help="Wavelength, angstrom, or a name such as CuKa1; needed where the file does not say it.",
)

family = click.option("--family", help="Crystal family, crystal system or pooled scope; without it all.")

axes = click.option(
    "--axes",
    type=click.Choice(["unlabelled", "labelled"]),
    default="unlabelled",
    show_default=True,
    help="Whether the cell's axes are unknown, as in a powder pattern, or given.",
)

prior = click.option(
    "--prior",
    type=click.Path(dir_okay=False),
    help="CSV or Parquet table with spacegroup_number and weight (without weight, rows are counted), mp: "
    "frequencies in the Materials Project, or uniform: all groups alike.",
)

"""Options that several commands have."""

import click

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")

wavelength = click.option(
    "--wavelength",
    help="Wavelength, where the file does not say it: angstrom (1.5406), both K-alpha lines of a tube "
    "(CuKa), the first of them alone (CuKa1), or two numbers (1.5406,1.5444).",
)

#: Names of the crystal families, for the help, which imports nothing.
FAMILIES = "cubic, tetragonal, trigonal-hexagonal, orthorhombic, monoclinic, triclinic"

family = click.option(
    "--family",
    help=f"One of {FAMILIES}, trigonal and hexagonal; or all groups together: all (the cell tells the "
    "family), all-system-told, all-metric-ignored. Without it each.",
)

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

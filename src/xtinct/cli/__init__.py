"""The `xtinct` command. Every subcommand imports what it needs when it runs, so that --help is quick."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from xtinct import __version__
from xtinct.cli import checkout
from xtinct.cli.printing import print_table
from xtinct.errors import XtinctError
from xtinct.project.job import one_line_errors

#: Columns of a table that are worth counting by, where it has them.
_COUNTED = ("dataset", "split", "crystal_system", "source", "licence", "stage", "reason")

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


def main() -> None:
    """Entry point: bad input is one line on stderr and exit status 2."""
    with one_line_errors():
        cli()


@contextmanager
def _naming(path: str) -> Iterator[None]:
    """Name the file where what is said of a pattern came from one."""
    try:
        yield
    except XtinctError as error:
        if not str(error).startswith("pattern: "):
            raise
        raise XtinctError(f"{path}: {str(error).removeprefix('pattern: ')}") from None


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="xtinct")
def cli() -> None:
    """Powder-diffraction datasets, models, and the extinction-law ceilings that bound them."""


def _profile(path: str, wavelength: str | None) -> tuple:
    """2theta (degrees, (n,)), intensity (n,) and wavelength (angstrom; told, or the file's) of a profile."""
    from xtinct.measurements import Measurement, read_measurement

    found = read_measurement(path, wavelength=wavelength)
    if not isinstance(found, Measurement):
        raise XtinctError(f"{path}: a list of {len(found.d)} peaks, expected a profile")
    if found.radiation is None:
        raise XtinctError(f"{path}: does not say its wavelength; tell it with --wavelength")
    try:
        told = float(wavelength)
    except (TypeError, ValueError):
        told = found.radiation.wavelength
    return found.two_theta, found.intensity, told


wavelength_option = click.option(
    "--wavelength",
    help="Wavelength, angstrom, or a name such as CuKa1; needed where the file does not say it.",
)

family_option = click.option(
    "--family", help="Crystal family, crystal system or pooled scope; without it all."
)
axes_option = click.option(
    "--axes",
    type=click.Choice(["unlabelled", "labelled"]),
    default="unlabelled",
    show_default=True,
    help="Whether the cell's axes are unknown, as in a powder pattern, or given.",
)
prior_option = click.option(
    "--prior",
    type=click.Path(dir_okay=False),
    help="CSV or Parquet table with spacegroup_number and weight (without weight, rows are counted), or mp: "
    "frequencies in the Materials Project.",
)


@cli.command()
@family_option
@axes_option
@as_json
def classes(family: str | None, axes: str, as_json: bool) -> None:
    """Print extinction classes: symbol and space groups."""
    from xtinct.symmetry.classes import extinction_classes
    from xtinct.symmetry.families import FAMILIES
    from xtinct.symmetry.operations import hermann_mauguin

    found = [cls for name in ([family] if family else FAMILIES) for cls in extinction_classes(name, axes)]
    if as_json:
        rows = [
            {
                "family": c.family,
                "symbol": c.symbol,
                "members": list(c.members),
                "groups": [{"number": g, "symbol": hermann_mauguin(g)} for g in c.members],
            }
            for c in found
        ]
        click.echo(json.dumps(rows, indent=1))
    else:
        print_table(
            ("family", "extinction symbol", "groups", "space groups", "their numbers"),
            [
                (
                    *(c.family, c.symbol, len(c.members)),
                    *(", ".join(map(hermann_mauguin, c.members)), " ".join(map(str, c.members))),
                )
                for c in found
            ],
        )
        if any(c.symbol.startswith("R(obv)") for c in found):
            click.echo("\nR(obv): rhombohedral lattice on hexagonal axes in obverse setting, -h+k+l = 3n")


@cli.command()
@family_option
@axes_option
@click.option("--target", default="spacegroup", show_default=True, help="What is to be told apart.")
@prior_option
@as_json
def ceilings(family: str | None, axes: str, target: str, prior: str | None, as_json: bool) -> None:
    """Print the best top-1 to top-5 accuracy that the extinction laws allow, in percent and exactly."""
    from xtinct.ceiling.extinction import ceiling_rows
    from xtinct.ceiling.priors import read_prior
    from xtinct.symmetry.classes import SCOPES, scope_groups

    scopes = [family] if family else SCOPES
    for scope in scopes:
        scope_groups(scope)
    weights = read_prior(prior) if prior else None
    rows = [row for row in ceiling_rows(scopes, [target], prior=weights) if row["axes"] == axes]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    shown: dict[str, list[str]] = {}
    for row in rows:
        exact = f"{row['numerator']}/{row['denominator']}"
        # The fractions of a prior by counts have more digits than anyone reads.
        text = f"{100 * row['ceiling']:.2f}" + (f" ({exact})" if len(exact) <= 9 else "")
        shown.setdefault(row["family"], []).append(text)
    ks = sorted({row["k"] for row in rows})
    print_table(("groups", *(f"top-{k} (%)" for k in ks)), [(name, *texts) for name, texts in shown.items()])


@cli.command()
@click.argument("file", type=click.Path(dir_okay=False))
@as_json
def describe(file: str, as_json: bool) -> None:
    """Print what a Parquet table of the pipeline holds: rows, columns, metadata and counts."""
    import pyarrow.compute as pc

    from xtinct.files.parquet import file_metadata, open_parquet

    table = open_parquet(file)
    schema = table.schema_arrow
    columns = []
    for field in schema:
        about = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        columns.append((field.name, str(field.type), about.get("unit", ""), about.get("description", "")))
    counts = {}
    for name in _COUNTED:
        if name in schema.names:
            counted = pc.value_counts(table.read(columns=[name])[name]).to_pylist()
            counts[name] = {
                str(row["values"]): row["counts"] for row in sorted(counted, key=lambda row: -row["counts"])
            }
    rows = table.metadata.num_rows
    metadata = {key: value for key, value in file_metadata(file).items() if key != "ARROW:schema"}
    if as_json:
        keys = ("name", "type", "unit", "description")
        described = {
            "file": file,
            "rows": rows,
            "columns": [dict(zip(keys, column, strict=True)) for column in columns],
            "metadata": metadata,
            "counts": counts,
        }
        click.echo(json.dumps(described, indent=1))
        return
    click.echo(f"{file}: {rows:,} rows\n")
    print_table(("column", "type", "unit", "description"), columns)
    told = [(key, value if isinstance(value, str) else json.dumps(value)) for key, value in metadata.items()]
    if told:
        click.echo()
        print_table(("metadata", "value"), told)
    for name, values in counts.items():
        click.echo()
        print_table((name, "rows"), [(value, f"{count:,}") for value, count in values.items()])


@cli.command()
@click.argument("patterns", nargs=-1, required=True, type=click.Path(dir_okay=False))
@wavelength_option
@click.option("--models", help="Folder of trained models; without it models/ulbd.")
@click.option(
    "--coverage",
    type=float,
    default=0.95,
    show_default=True,
    help="How often the set of classes holds the true one, among patterns like the model's own.",
)
@click.option("--subtract-background", is_flag=True, help="Take off what varies slowly with 2theta.")
@click.option(
    "--fill-missing", is_flag=True, help="Take the part of the range that was not measured as empty."
)
@click.option("--any-width", is_flag=True, help="Answer although peaks are wider than the model's.")
@prior_option
@as_json
def predict(
    patterns: Sequence[str],
    wavelength: str | None,
    models: str | None,
    coverage: float,
    subtract_background: bool,
    fill_missing: bool,
    any_width: bool,
    prior: str | None,
    as_json: bool,
) -> None:
    """Rank extinction classes and space groups of measured patterns.

    A pattern is a text file of two columns, 2theta in degrees and intensity; lines that begin with
    #, ! or ; are comments. Every family that has a model answers as if the pattern were its own, and says
    where the lines speak against that. Classes marked * make up the set that holds the true one as often
    as --coverage says. Peaks narrower than the model's are broadened to them. --prior shares out a class
    among its space groups.
    """
    from xtinct.api import predict as ranked
    from xtinct.ceiling.priors import read_prior
    from xtinct.symmetry.operations import group_name

    options = {
        "coverage": coverage,
        "subtract_background": subtract_background,
        "fill_missing": fill_missing,
        "any_width": any_width,
        "prior": read_prior(prior) if prior else None,
    }
    answers = {}
    for path in patterns:
        with _naming(path):
            answers[path] = ranked(*_profile(path, wavelength), models, **options)
    if as_json:
        click.echo(json.dumps(answers, indent=1))
        return
    known = list(dict.fromkeys(family for families in answers.values() for family in families))
    click.echo("\n".join([*_what_is_known(known, coverage), ""]))
    for path, families in answers.items():
        click.echo(path)
        rows = []
        for family, answer in families.items():
            of_set = answer.get("set", [])
            for rank, ((symbol, p_class), (group, p_group)) in enumerate(
                zip(answer["classes"], answer["groups"], strict=False), start=1
            ):
                mark = " *" if symbol in of_set else ""
                rows.append(
                    (family, rank, symbol, f"{p_class:.3f}{mark}", group_name(group), f"{p_group:.3f}")
                )
        print_table(
            ("if the crystal is", "rank", "extinction class", "probability", "space group", "probability"),
            rows,
        )
        for family, answer in families.items():
            if len(answer.get("set", [])) > len(answer["classes"]):
                click.echo(f"{family}: the set holds {len(answer['set'])} classes (all in --json)")
            for warning in answer["warnings"]:
                click.echo(f"{family}: {warning}")


def _what_is_known(known: Sequence[str], coverage: float) -> list[str]:
    """What the models of families `known` can answer, and what they cannot."""
    from xtinct.symmetry.families import FAMILIES

    star = f"*: in the set that holds the true class for {100 * coverage:g} % of patterns like the training's"
    if "all" in known:
        return ["The model knows every crystal family.", star]
    unknown = [family for family in FAMILIES if family not in known]
    lines = [f"Models know {', '.join(known)} crystals; each answers as if the pattern were of its family."]
    if unknown:
        lines.append(f"Without a model, and never an answer: {', '.join(unknown)}.")
    return [*lines, star]


@cli.command()
@click.argument("patterns", nargs=-1, required=True, type=click.Path(dir_okay=False))
@wavelength_option
@click.option("--family", default="all", show_default=True, help="Crystal family, or all.")
@click.option("--cell", help="Cell that is known: a,b,c,alpha,beta,gamma in angstrom and degrees.")
@click.option("--centring", help="Centring that is known: P, A, B, C, I, F or R.")
@click.option("--peaks", is_flag=True, help="The file is a list of peaks: positions, intensities if known.")
@click.option("--scan", help="Scan or block of a file that holds several.")
@click.option(
    "--law",
    type=click.Choice(["physical", "uniform"]),
    default="physical",
    show_default=True,
    help="Law of the intensities of patterns without noise: of crystals, or random ones as in ULBD.",
)
@prior_option
@click.option("--plot", type=click.Path(dir_okay=False), help="Write a picture: .svg, .png or .html.")
@click.option("--cif", type=click.Path(dir_okay=False), help="Write cell and possible groups as CIF.")
@as_json
def index(
    patterns: Sequence[str],
    wavelength: str | None,
    as_json: bool,
    plot: str | None,
    cif: str | None,
    **question: str | bool | None,
) -> None:
    """Read measured patterns without training: cell, hkl, extinction classes and space groups.

    A pattern is a file of any format of powder diffraction. Background, noise, doublets, shifts and foreign
    lines are found in the data; lattices of all families compete, and what is not known is said.
    """
    from xtinct.observer.asking import index as read

    if (plot or cif) and len(patterns) > 1:
        raise XtinctError("--plot and --cif take one pattern")
    answers = []
    for path in patterns:
        with _naming(path):
            answers.append(read(path, wavelength=wavelength, **question))
        if plot:
            answers[-1].plot(plot)
        if cif:
            answers[-1].to_cif(cif)
    if as_json:
        plain = [answer.to_dict() for answer in answers]
        click.echo(json.dumps(plain if len(plain) > 1 else plain[0], indent=1))
        return
    click.echo("\n\n".join(str(answer) for answer in answers))


@cli.command()
@click.argument("patterns", nargs=-1, required=True, type=click.Path(dir_okay=False))
@click.option(
    "--database",
    type=click.Path(dir_okay=False),
    help="Table of known structures (rule recognition); without it that of the default build.",
)
@click.option("--elements", help="Elements that the sample may have, as Si,O; hydrogen always may.")
@wavelength_option
@click.option("--peaks", is_flag=True, help="The file is a list of peaks: positions, intensities if known.")
@click.option("--scan", help="Scan or block of a file that holds several.")
@click.option("--phases", type=int, default=3, show_default=True, help="Most phases that are looked for.")
@as_json
def recognise(
    patterns: Sequence[str], database: str | None, as_json: bool, **question: str | bool | int | None
) -> None:
    """Name known structures whose lines fit measured patterns, and the symmetry they vote for.

    Positions and intensities of the peaks are held against every structure of a database; cells are refined.
    What is not there cannot be recognised: a probability says how far the best answer is to be believed.
    """
    from xtinct.recognition.asking import recognise as find

    answers = []
    for path in patterns:
        with _naming(path):
            answers.append(find(path, database, **question))
    if as_json:
        plain = [answer.to_dict() for answer in answers]
        click.echo(json.dumps(plain if len(plain) > 1 else plain[0], indent=1))
        return
    click.echo("\n\n".join(str(answer) for answer in answers))


@cli.command()
def version() -> None:
    """Print the versions that decide a result, for reports of errors."""
    import platform

    from xtinct.project import provenance

    print_table(("package", "version"), [*provenance.versions().items(), ("platform", platform.platform())])


@cli.command()
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
    from xtinct.datasets.export import About
    from xtinct.datasets.export import export as export_tables
    from xtinct.patterns.instrument import Instrument
    from xtinct.project.configuration import read_yaml
    from xtinct.sources.citations import citations

    settings = read_yaml(config)
    about = About(name, licence, published, citations(settings.get("sources", {})))
    instrument = Instrument.from_config(settings["instrument"])
    counts = export_tables(tables, out, instrument=instrument, dtype=dtype, about=about)
    print_table(("part", "samples"), list(counts.items()))


for command in checkout.COMMANDS:
    cli.add_command(command)

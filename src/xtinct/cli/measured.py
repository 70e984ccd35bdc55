"""Commands that read measured patterns: what a trained model says of them, and what needs no model."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import click

from xtinct.cli import options
from xtinct.cli.printing import print_table
from xtinct.errors import XtinctError


@click.command()
@click.argument("patterns", nargs=-1, required=True, type=click.Path(dir_okay=False))
@options.wavelength
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
@options.prior
@options.as_json
def predict(
    patterns: Sequence[str],
    wavelength: str | None,
    models: str | None,
    prior: str | None,
    as_json: bool,
    **settings: float | bool,
) -> None:
    """Rank extinction classes and space groups of measured patterns.

    A pattern is a file of two columns, 2theta in degrees and intensity, or of any other format of powder
    diffraction. Every family that has a model answers as if the pattern were its own, and says
    where the lines speak against that. Classes marked * make up the set that holds the true one as often
    as --coverage says. Peaks narrower than the model's are broadened to them. --prior takes the place of the
    frequencies of training, for classes and space groups alike.
    """
    from xtinct.api import predict as ranked
    from xtinct.ceiling.priors import read_prior

    weights = read_prior(prior) if prior else None
    answers = {}
    for path in patterns:
        with _naming(path):
            answers[path] = ranked(*_profile(path, wavelength), models, prior=weights, **settings)
    if as_json:
        click.echo(json.dumps(answers, indent=1))
        return
    known = list(dict.fromkeys(family for families in answers.values() for family in families))
    click.echo("\n".join([*_what_is_known(known, settings["coverage"]), ""]))
    for path, families in answers.items():
        click.echo(path)
        _print_ranking(families)


def _print_ranking(families: Mapping[str, Mapping[str, Any]]) -> None:
    """Print what the model of each family answers of one pattern."""
    from xtinct.symmetry.operations import group_name

    rows = []
    for family, answer in families.items():
        of_set = answer.get("set", [])
        both = zip(answer["classes"], answer["groups"], strict=False)
        for rank, ((symbol, p_class), (group, p_group)) in enumerate(both, start=1):
            mark = " *" if symbol in of_set else ""
            rows.append((family, rank, symbol, f"{p_class:.3f}{mark}", group_name(group), f"{p_group:.3f}"))
    header = ("if the crystal is", "rank", "extinction class", "probability", "space group", "probability")
    print_table(header, rows)
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


@click.command()
@click.argument("patterns", nargs=-1, required=True, type=click.Path(dir_okay=False))
@options.wavelength
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
@options.prior
@click.option("--plot", type=click.Path(dir_okay=False), help="Write a picture: .svg, .png or .html.")
@click.option("--cif", type=click.Path(dir_okay=False), help="Write cell and possible groups as CIF.")
@options.as_json
def index(
    patterns: Sequence[str], as_json: bool, plot: str | None, cif: str | None, **question: str | bool | None
) -> None:
    """Read measured patterns without training: cell, hkl, extinction classes and space groups.

    A pattern is a file of any format of powder diffraction. Background, noise, doublets, shifts and foreign
    lines are found in the data; lattices of all families compete, and what is not known is said.
    """
    from xtinct.observer.asking import index as read

    _answer_each(patterns, read, question, _Outputs(as_json, plot, cif))


class _Outputs(NamedTuple):
    """In what form answers are wanted."""

    as_json: bool
    plot: str | None
    cif: str | None


def _answer_each(
    patterns: Sequence[str],
    ask: Callable[..., Any],
    question: Mapping[str, str | bool | None],
    outputs: _Outputs,
) -> None:
    """Print what is answered of each pattern, and write the picture and the CIF of a single one."""
    if (outputs.plot or outputs.cif) and len(patterns) > 1:
        raise XtinctError("--plot and --cif take one pattern")
    answers = []
    for path in patterns:
        with _naming(path):
            answers.append(ask(path, **question))
        if outputs.plot:
            answers[-1].plot(outputs.plot)
        if outputs.cif:
            answers[-1].to_cif(outputs.cif)
    if outputs.as_json:
        plain = [answer.to_dict() for answer in answers]
        click.echo(json.dumps(plain if len(plain) > 1 else plain[0], indent=1))
        return
    click.echo("\n\n".join(str(answer) for answer in answers))


@click.command()
@click.argument("patterns", nargs=-1, required=True, type=click.Path(dir_okay=False))
@click.option(
    "--database",
    type=click.Path(dir_okay=False),
    help="Table of known structures (rule recognition); without it that of the default build.",
)
@click.option("--elements", help="Elements that the sample may have, as Si,O; hydrogen always may.")
@options.wavelength
@click.option("--peaks", is_flag=True, help="The file is a list of peaks: positions, intensities if known.")
@click.option("--scan", help="Scan or block of a file that holds several.")
@click.option("--phases", type=int, default=3, show_default=True, help="Most phases that are looked for.")
@options.as_json
def recognise(patterns: Sequence[str], as_json: bool, **question: str | bool | int | None) -> None:
    """Name known structures whose lines fit measured patterns, and the symmetry they vote for.

    Positions and intensities of the peaks are held against every structure of a database; cells are refined.
    What is not there cannot be recognised: a probability says how far the best answer is to be believed.
    """
    from xtinct.recognition.recognising import recognise as find

    _answer_each(patterns, find, question, _Outputs(as_json, None, None))


@click.command()
@click.argument("patterns", nargs=-1, required=True, type=click.Path(dir_okay=False))
@click.option(
    "--database",
    type=click.Path(dir_okay=False),
    help="Table of known structures (rule recognition); without it that of the default build.",
)
@click.option("--elements", help="Elements that the sample may have, as Si,O; hydrogen always may.")
@options.wavelength
@click.option("--family", default="all", show_default=True, help="Crystal family, or all.")
@click.option("--peaks", is_flag=True, help="The file is a list of peaks: positions, intensities if known.")
@click.option("--scan", help="Scan or block of a file that holds several.")
@options.prior
@click.option("--plot", type=click.Path(dir_okay=False), help="Write a picture: .svg, .png or .html.")
@click.option("--cif", type=click.Path(dir_okay=False), help="Write cell and possible groups as CIF.")
@options.as_json
def identify(
    patterns: Sequence[str], as_json: bool, plot: str | None, cif: str | None, **question: str | bool | None
) -> None:
    """Name the symmetry of measured patterns by all that is known: lattice, absences and known structures.

    The lattices of the structures that fit best are judged on the whole pattern beside those that the
    observer finds, and their space groups vote. What the absences show alone is said apart.
    """
    from xtinct.joint.identifying import identify as find

    _answer_each(patterns, find, question, _Outputs(as_json, plot, cif))


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


@contextmanager
def _naming(path: str) -> Iterator[None]:
    """Name the file where what is said of a pattern came from one."""
    try:
        yield
    except XtinctError as error:
        if not str(error).startswith("pattern: "):
            raise
        raise XtinctError(f"{path}: {str(error).removeprefix('pattern: ')}") from None


COMMANDS = (predict, index, recognise, identify)

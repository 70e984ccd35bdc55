"""Commands that read measured patterns: one answer of all methods, and each method alone."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import click

from xtinct.cli import options
from xtinct.cli.printing import print_table
from xtinct.errors import XtinctError

_DATABASE = click.option(
    "--database",
    type=click.Path(dir_okay=False),
    help="Table of known structures (rule recognition); without it that of the environment variable "
    "XTINCT_DATABASE, else that of a build in this folder, else the prototypes that come with xtinct.",
)
_ELEMENTS = click.option(
    "--elements", help="Elements that the sample may have, as Si,O; hydrogen always may."
)
_PEAKS = click.option(
    "--peaks", is_flag=True, help="The file is a list of peaks: positions, intensities if known."
)
_SCAN = click.option("--scan", help="Scan or block of a file that holds several.")
_AXIS = click.option(
    "--axis",
    help="What the positions are, where the file does not say it: 2theta, theta, d, q (1/angstrom), q_nm "
    "(1/nm), sin(theta)/lambda or 1/d.",
)
_PLOT = click.option("--plot", type=click.Path(dir_okay=False), help="Write a picture: .svg, .png or .html.")
_CIF = click.option("--cif", type=click.Path(dir_okay=False), help="Write cell and possible groups as CIF.")
_PROGRAM_INPUT = click.option(
    "--program-input",
    type=click.Path(dir_okay=False),
    help="Write the input of the next program, with cell and group: .inp (TOPAS), .pcr (FullProf), .cif "
    "(GSAS-II) or .exp (EXPO).",
)


@click.command()
@click.argument("patterns", nargs=-1, required=True, type=click.Path(dir_okay=False))
@options.wavelength
@_DATABASE
@_ELEMENTS
@click.option("--family", help="Crystal family, where it is known.")
@click.option("--cell", help="Cell that is known: a,b,c,alpha,beta,gamma in angstrom and degrees.")
@click.option("--centring", help="Centring that is known: P, A, B, C, I, F or R.")
@_PEAKS
@_SCAN
@_AXIS
@options.prior
@_PLOT
@_CIF
@_PROGRAM_INPUT
@options.as_json
@click.option("--models", help="Folder of trained models: they answer, instead of all else.")
@click.option(
    "--coverage",
    type=float,
    help="With --models: how often the set of classes holds the true one, among patterns like the model's "
    "own [default: 0.95].",
)
@click.option(
    "--subtract-background",
    is_flag=True,
    help="With --models: take off what varies slowly with 2theta.",
)
@click.option(
    "--fill-missing",
    is_flag=True,
    help="With --models: take the part of the range that was not measured as empty.",
)
@click.option(
    "--any-width", is_flag=True, help="With --models: answer although peaks are wider than the model's."
)
def predict(patterns: Sequence[str], as_json: bool, **question: Any) -> None:
    """Name the symmetry of measured patterns, of any crystal family: systems, classes, groups and cell.

    A pattern is a file of any format of powder diffraction. Background, noise, doublets, shifts and foreign
    lines are found in the data. Lattices of all families are judged on the whole pattern, those of known
    structures among them; absences and known structures then say the space groups together, and what each
    says alone is told. `--database none` asks no known structure.

    With --models FOLDER the trained models of that folder answer instead, each as if the pattern were of its
    family; classes marked * make up the set that holds the true one as often as --coverage says, and --prior
    takes the place of the frequencies of training.
    """
    from xtinct.api import predict as answer

    files = _Files.taken_from(question)
    told = {name: value for name, value in question.items() if value not in (None, False)}
    if "models" not in told:
        _answer_each(patterns, answer, told, files, as_json=as_json)
        return
    if files.named:
        raise XtinctError(f"{', '.join(files.named)}: only where no models are named")
    answers = {}
    for path in patterns:
        with _naming(path):
            answers[path] = answer(path, **told)
    if as_json:
        click.echo(json.dumps(answers, indent=1))
        return
    known = list(dict.fromkeys(family for families in answers.values() for family in families))
    click.echo("\n".join([*_what_is_known(known, told.get("coverage", 0.95)), ""]))
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
@_PEAKS
@_SCAN
@_AXIS
@click.option(
    "--law",
    type=click.Choice(["physical", "uniform"]),
    default="physical",
    show_default=True,
    help="Law of the intensities of patterns without noise: of crystals, or random ones as in ULBD.",
)
@options.prior
@_PLOT
@_CIF
@_PROGRAM_INPUT
@options.as_json
def index(patterns: Sequence[str], as_json: bool, **question: str | bool | None) -> None:
    """Read measured patterns without training: cell, hkl, extinction classes and space groups.

    A pattern is a file of any format of powder diffraction. Background, noise, doublets, shifts and foreign
    lines are found in the data; lattices of all families compete, and what is not known is said.
    """
    from xtinct.observer.asking import index as read

    files = _Files.taken_from(question)
    _answer_each(patterns, read, question, files, as_json=as_json)


class _Files(NamedTuple):
    """Files that are written beside an answer."""

    plot: str | None
    cif: str | None
    program_input: str | None

    @classmethod
    def taken_from(cls, question: dict[str, Any]) -> "_Files":
        """The files among the options of a command, which lose them."""
        return cls(*(question.pop(name) for name in cls._fields))

    @property
    def named(self) -> list[str]:
        """The options that were given."""
        return [f"--{name.replace('_', '-')}" for name, path in self._asdict().items() if path]

    def check(self) -> None:
        """XtinctError for a name that none of them can have, before anything is asked."""
        from xtinct.observer.answer.picture import check_picture_name
        from xtinct.observer.answer.program_inputs import program_named

        if self.plot:
            check_picture_name(self.plot)
        if self.program_input:
            program_named(self.program_input)

    def write(self, answer: Any) -> None:
        """Write those that were named."""
        if self.plot:
            answer.plot(self.plot)
        if self.cif:
            answer.to_cif(self.cif)
        if self.program_input:
            answer.to_input(self.program_input)


def _answer_each(
    patterns: Sequence[str],
    ask: Callable[..., Any],
    question: Mapping[str, str | bool | None],
    files: _Files,
    *,
    as_json: bool,
) -> None:
    """Print what is answered of each pattern, and write the files of a single one."""
    if files.named and len(patterns) > 1:
        raise XtinctError(f"{', '.join(files.named)}: one pattern at a time")
    files.check()
    answers = []
    for path in patterns:
        with _naming(path):
            answers.append(ask(path, **question))
    if as_json:
        plain = [answer.to_dict() for answer in answers]
        click.echo(json.dumps(plain if len(plain) > 1 else plain[0], indent=1))
    else:
        click.echo("\n\n".join(str(answer) for answer in answers))
    # What cannot be written, as a CIF without a lattice, must not cost the answer.
    for answer in answers:
        files.write(answer)


@click.command()
@click.argument("patterns", nargs=-1, required=True, type=click.Path(dir_okay=False))
@_DATABASE
@_ELEMENTS
@options.wavelength
@_PEAKS
@_SCAN
@_AXIS
@click.option("--phases", type=int, default=3, show_default=True, help="Most phases that are looked for.")
@options.as_json
def recognise(patterns: Sequence[str], as_json: bool, **question: str | bool | int | None) -> None:
    """Name known structures whose lines fit measured patterns, and the symmetry they vote for.

    Positions and intensities of the peaks are held against every structure of a database; cells are refined.
    What is not there cannot be recognised: a probability says how far the best answer is to be believed.
    """
    from xtinct.recognition.recognising import recognise as find

    _answer_each(patterns, find, question, _Files(None, None, None), as_json=as_json)


@click.command(hidden=True, params=predict.params)
@click.pass_context
def identify(context: click.Context, **question: Any) -> None:
    """The former name of `xtinct predict`."""
    click.echo("xtinct identify is now called xtinct predict; the old name will go", err=True)
    context.invoke(predict, **question)


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

"""Commands that read measured patterns: one answer of all methods, and each method alone."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import click

from xtinct.cli import options
from xtinct.cli.printing import print_table, tell_of_compiling
from xtinct.errors import XtinctError
from xtinct.project.job import spare_pandas

_DATABASE = click.option(
    "--database",
    type=click.Path(dir_okay=False),
    help="Table of known structures, as the workflow's rule recognition makes it; without it that of the "
    "environment variable XTINCT_DATABASE, else that of a build in this folder, else those that come with "
    "xtinct.",
)
_ELEMENTS = click.option(
    "--elements", help="Elements that the sample may have, as Si,O; hydrogen always may."
)
_PEAKS = click.option(
    "--peaks", is_flag=True, help="The file is a list of peaks: positions, intensities if known."
)
_SCAN = click.option("--scan", help="Of a file with several scans: the number, from 1, or part of the name.")
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
@click.argument("patterns", nargs=-1, required=True)
@options.wavelength
@_DATABASE
@_ELEMENTS
@click.option("--family", help=f"Crystal family, where it is known: {options.FAMILIES}.")
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
    # A coverage of 0 is told too, and is no False.
    told = {name: value for name, value in question.items() if value is not None and value is not False}
    if "models" not in told:
        _answer_each(patterns, answer, told, files, as_json=as_json)
        return
    if files.named:
        raise XtinctError(f"{', '.join(files.named)}: only where no models are named")
    with _collected(patterns) as refused:
        answers = dict(_each_asked(patterns, lambda path: answer(path, **told), refused))
        if as_json:
            plain = {path: {"error": refused[path]} if path in refused else answers[path] for path in answers}
            click.echo(json.dumps(plain, indent=1))
        else:
            _print_models({path: answers[path] for path in answers if path not in refused}, told)


def _print_models(answers: Mapping[str, Mapping[str, Any]], told: Mapping[str, Any]) -> None:
    """Print what trained models answer of each pattern."""
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
@click.argument("patterns", nargs=-1, required=True)
@options.wavelength
@click.option(
    "--family", default="all", show_default=True, help=f"Crystal family: {options.FAMILIES}, or all."
)
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
    with _collected(patterns) as refused:
        for path, answer in _each_asked(patterns, lambda path: ask(path, **question), refused):
            answers.append({"name": path, "error": refused[path]} if answer is None else answer)
            if answer is not None and not as_json:
                click.echo(str(answer) if len(answers) == 1 else f"\n{answer}")
        if as_json:
            plain = [answer if isinstance(answer, dict) else answer.to_dict() for answer in answers]
            click.echo(json.dumps(plain if len(plain) > 1 else plain[0], indent=1))
    # What cannot be written, as a CIF without a lattice, must not cost the answer.
    if files.named:
        files.write(answers[0])


@contextmanager
def _collected(patterns: Sequence[str]) -> Iterator[dict[str, str]]:
    """Reasons of the patterns that have no answer, by path; XtinctError in the end if there are any."""
    refused: dict[str, str] = {}
    yield refused
    if refused:
        raise XtinctError(f"{len(refused)} of {len(patterns)} patterns have no answer; each is named above")


def _each_asked(
    patterns: Sequence[str], ask: Callable[[str], Any], refused: dict[str, str]
) -> Iterator[tuple[str, Any]]:
    """Each pattern with its answer, or with None where it has none; `refused` then has the reason.

    A pattern that cannot be read is one line on stderr and costs no other its answer. A question that is
    wrong, or a single pattern, ends it all.
    """
    tell_of_compiling()
    import pyarrow  # noqa: F401  what spares pandas looks for it

    spare_pandas()
    for path in patterns:
        try:
            with _naming(path):
                answer = ask(path)
        except XtinctError as error:
            if len(patterns) == 1 or not str(error).startswith(f"{path}:"):
                raise
            refused[path] = str(error)
            click.echo(f"xtinct: error: {error}", err=True)
            answer = None
        yield path, answer


@click.command()
@click.argument("patterns", nargs=-1, required=True)
@_DATABASE
@_ELEMENTS
@options.wavelength
@_PEAKS
@_SCAN
@_AXIS
@click.option(
    "--phases",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Most phases that are looked for.",
)
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
    if Path(path).is_dir():
        raise XtinctError(f"{path}: is a folder; name the files in it, as {Path(path, '*.xy')}")
    try:
        yield
    except XtinctError as error:
        of, _, text = str(error).partition(": ")
        if of not in ("pattern", "peak list"):
            raise
        raise XtinctError(f"{path}: {text}") from None


COMMANDS = (predict, index, recognise, identify)

"""Reading and checking the configuration: one complete file, nothing filled in, one line per mistake."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from xtinct.errors import XtinctError
from xtinct.project.job import one_line_errors
from xtinct.project.named_sets import plain

if TYPE_CHECKING:
    from xtinct.patterns.instrument import Instrument

#: In the project's folder, or in that of a checkout.
CONFIG = "config/config.yaml"


#: Largest file, bytes, deepest nesting, and most values when every alias is written out: far beyond any
#: configuration, and short of what takes more memory or stack than there is.
_LARGEST, _DEEPEST, _MOST_VALUES = 64 * 2**20, 50, 1_000_000
#: What the constructors of values raise for a text that is none of their kind.
_NO_VALUE = (ValueError, TypeError, KeyError, AttributeError, OverflowError)


class _UniqueKeys:
    """YAML lets a repeated key overwrite the first one in silence; here it is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            try:
                # Keys are texts later, so 1 and "1" are the same.
                twice = key in seen or str(key) in seen
            except TypeError:
                raise yaml.MarkedYAMLError(
                    problem="a list or mapping is no key", problem_mark=key_node.start_mark
                ) from None
            if twice:
                raise yaml.MarkedYAMLError(
                    problem=f"key {key!r} stands twice", problem_mark=key_node.start_mark
                )
            seen |= {key, str(key)}
        return super().construct_mapping(node, deep=deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except _NO_VALUE:
            shown = f"{node.value[:40]!r} is" if isinstance(node.value, str) else "the value is"
            kind = node.tag.rpartition(":")[2]
            raise yaml.MarkedYAMLError(
                problem=f"{shown} no {kind} that can be read", problem_mark=node.start_mark
            ) from None


class _Quick(_UniqueKeys, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """The parser of libyaml, where PyYAML has it."""


class _Telling(_UniqueKeys, yaml.SafeLoader):
    """The parser that says best what is wrong."""


def _refuse_bombs(text: str) -> None:
    """yaml.MarkedYAMLError where a text nests deeper, or unpacks to more values, than any configuration.

    It is told from the stream of events, before a value is made: a few hundred bytes of aliases to aliases
    stand for gigabytes, and brackets in brackets overflow the stack of the parser of libyaml.
    """
    open_blocks: list[_Block] = []
    known: dict[str, _Block] = {}
    values = 0
    for event in yaml.parse(text, Loader=_Quick):
        depth = len(open_blocks)
        if isinstance(event, yaml.AliasEvent):
            if any(block.anchor == event.anchor for block in open_blocks):
                raise _told(f"*{event.anchor} stands within itself", event)
            if event.anchor in known:
                values += known[event.anchor].values
                depth += known[event.anchor].height
        elif isinstance(event, yaml.CollectionStartEvent):
            open_blocks.append(_Block(event.anchor, values))
            values, depth = values + 1, depth + 1
        elif isinstance(event, yaml.CollectionEndEvent):
            block = open_blocks.pop()
            known[block.anchor] = block._replace(
                values=values - block.values, height=block.height - depth + 1
            )
        elif isinstance(event, yaml.ScalarEvent):
            values += 1
            known[event.anchor] = _Block(event.anchor, 1)
        # Every block knows how deep it reaches, for the aliases of it.
        open_blocks = [block._replace(height=max(block.height, depth)) for block in open_blocks]
        if depth > _DEEPEST:
            raise _told(f"nested deeper than {_DEEPEST} levels", event)
        if values > _MOST_VALUES:
            raise _told(f"stands for more than {_MOST_VALUES:,} values", event)


class _Block(NamedTuple):
    """An anchored or open part of a text: values in it (before it, while it is open), levels it reaches."""

    anchor: str | None
    values: int
    height: int = 0


def _told(problem: str, event: yaml.Event) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


def read_yaml(path: str | Path) -> Any:
    """Parsed content of a YAML file; XtinctError naming file and line where it is not YAML.

    A file that nests or unpacks to more than any configuration is refused before it takes memory.
    """
    try:
        if (size := Path(path).stat().st_size) > _LARGEST:
            raise XtinctError(f"{path}: {size:,} bytes, which no configuration has")
        text = Path(path).read_text(encoding="utf-8")
        try:
            _refuse_bombs(text)
        except yaml.MarkedYAMLError as error:
            if isinstance(error, yaml.scanner.ScannerError | yaml.parser.ParserError):
                yaml.load(text, Loader=_Telling)  # says best what is wrong
            raise
        try:
            return yaml.load(text, Loader=_Quick)
        except yaml.YAMLError:
            return yaml.load(text, Loader=_Telling)
    except OSError as error:
        hint = "; name a configuration, or run in a checkout of the project" if str(path) == CONFIG else ""
        raise XtinctError(f"{path}: {(error.strerror or str(error)).lower()}{hint}") from None
    except UnicodeDecodeError:
        raise XtinctError(f"{path}: not a text file in UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise XtinctError(f"{path}:{line} not valid YAML: {problem}") from None
    except (*_NO_VALUE, RecursionError) as error:
        raise XtinctError(
            f"{path}: not valid YAML: {type(error).__name__}: {' '.join(str(error).split())}"
        ) from None


def load(path: str | Path = CONFIG) -> dict[str, Any]:
    """The checked configuration of a file; XtinctError with one line naming the first wrong key."""
    return check(read_yaml(path), where=str(path))


def instrument_in(path: str | Path) -> "Instrument":
    """The instrument that a file describes under `instrument`, whatever else it holds.

    Keys of it that switch something on may be left out. XtinctError with one line naming what is wrong.
    """
    from xtinct.patterns.instrument import Instrument

    settings, missing = _section(path, "instrument")
    try:
        return Instrument.from_config(settings)
    except (KeyError, TypeError) as error:
        key = f"key instrument.{error.args[0]} "
        said = next((p for p in missing if p.startswith(key)), missing[0] if missing else str(error))
        raise XtinctError(f"{path}: {said}") from None


def sources_in(path: str | Path) -> dict[str, Any]:
    """The section `sources` of a file, whatever else it holds; {} without one. XtinctError if it is wrong."""
    settings, missing = _section(path, "sources")
    if settings is not None and missing:
        raise XtinctError(f"{path}: {missing[0]}")
    return settings or {}


def _section(path: str | Path, name: str) -> tuple[Any, list[str]]:
    """A section of a file, None without one, and what is missing in it; XtinctError for what is wrong."""
    from xtinct.project.refusals import refusals, show

    config = plain(read_yaml(path))
    if not isinstance(config, dict):
        raise XtinctError(f"{path}: expected keys with values, found {show(config)}")
    problems = [p for p in refusals(config) if re.match(rf"(?:unknown )?(?:key )?{name}\b", p)]
    missing = [p for p in problems if re.match(rf"key {name}\b.* is missing", p)]
    if wrong := [p for p in problems if p not in missing]:
        raise XtinctError(f"{path}: {wrong[0]}")
    return config.get(name), missing


def check(config: Any, *, where: str = CONFIG) -> dict[str, Any]:
    """`config` itself, as plain dicts and lists, if each key is right and it makes sense as a whole.

    Nothing is filled in: what the file says is what every tool sees. Raises XtinctError with one
    line that names file, key, value and what is allowed.
    """
    from xtinct.project.contradictions import contradictions
    from xtinct.project.refusals import refusals, show

    config = plain(config)
    if not isinstance(config, dict):
        raise XtinctError(f"{where}: expected keys with values, found {show(config)}")
    problems = refusals(config) or list(contradictions(config))
    if problems:
        others = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise XtinctError(f"{where}: {problems[0]}{others}")
    return config


def project_folder(folder: Any) -> str:
    """Where the project lies, as its paths begin: "" if that is the working directory.

    `folder`: that of the Snakefile, as Snakemake names it.
    """
    # Snakemake wraps a path in an object of its own where a file may lie elsewhere than on this disk.
    path = folder.get_path_or_uri(secret_free=False) if hasattr(folder, "get_path_or_uri") else str(folder)
    return "" if Path(path).resolve() == Path.cwd() else path


def exit_if_wrong(*paths: str | Path) -> None:
    """End the process with one line on stderr and status 2 if a configuration file is wrong."""
    with one_line_errors():
        for path in paths:
            load(path)


def exit_if_wrong_values(config: Mapping[str, Any]) -> None:
    """The same for a configuration that the command line may have changed."""
    with one_line_errors():
        check(config, where="configuration")

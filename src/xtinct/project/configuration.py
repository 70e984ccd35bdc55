"""Reading and checking the configuration: one complete file, nothing filled in, one line per mistake."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from xtinct.errors import XtinctError
from xtinct.project.job import one_line_errors
from xtinct.project.named_sets import plain

#: In the project's folder, or in that of a checkout.
CONFIG = "config/config.yaml"


class _UniqueKeys:
    """YAML lets a repeated key overwrite the first one in silence; here it is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"key {key!r} stands twice", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


class _Quick(_UniqueKeys, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """The parser of libyaml, where PyYAML has it."""


class _Telling(_UniqueKeys, yaml.SafeLoader):
    """The parser that says best what is wrong."""


def read_yaml(path: str | Path) -> Any:
    """Parsed content of a YAML file; XtinctError naming file and line where it is not YAML."""
    try:
        text = Path(path).read_text(encoding="utf-8")
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


def load(path: str | Path = CONFIG) -> dict[str, Any]:
    """The checked configuration of a file; XtinctError with one line naming the first wrong key."""
    return check(read_yaml(path), where=str(path))


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

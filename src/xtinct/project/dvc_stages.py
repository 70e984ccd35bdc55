"""The code that every stage of dvc.yaml depends on, worked out from its rules: `xtinct dvc-stages`.

A stage depends on the files of its rules, on the scripts that these run, and on the modules of the library
that the scripts import or the rules digest, one through another. What else it depends on (data) is written
by hand and stays.
"""

import ast
import io
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from xtinct.errors import XtinctError
from xtinct.files.writing import write_text
from xtinct.project.digests import SOURCE, module_file, package_files, source_files

#: File of the stages, beside the folders of the rules and of the scripts.
DVC_FILE = "dvc.yaml"
#: Starts the jobs; what they write does not depend on it.
_STARTER = "xtinct.project.job"
#: Where dependencies on code begin.
_CODE = ("rules/", "workflow/scripts/", "src/")


class Rule(NamedTuple):
    """Where a rule stands and what it runs: paths from the project's folder, and modules that it digests."""

    file: str
    script: str | None
    digested: tuple[str, ...]


def stale_stages(project: Path = Path()) -> list[str]:
    """Names of the stages of dvc.yaml whose dependencies on code differ from what their rules need."""
    return _put_right(_yaml().load(_text(project)), project)


def write_stages(project: Path = Path()) -> list[str]:
    """Rewrite the dependencies on code in dvc.yaml, and nothing else; return the names of changed stages."""
    yaml, text = _yaml(), io.StringIO()
    document = yaml.load(_text(project))
    changed = _put_right(document, project)
    if changed:
        yaml.dump(document, text)
        write_text(project / DVC_FILE, text.getvalue())
    return changed


def _put_right(document: dict[str, Any], project: Path) -> list[str]:
    """Put the dependencies that every stage should have into `document`; names of the stages that change."""
    rules, changed = read_rules(project), []
    for name, stage in document["stages"].items():
        body = stage.get("do", stage)  # of a `foreach` the stage that it repeats
        wanted = _wanted(name, body, rules, project)
        if list(body["deps"]) != wanted:
            _replace(body["deps"], wanted)
            changed.append(name)
    return changed


def read_rules(project: Path = Path()) -> dict[str, Rule]:
    """Rules by name. Those that are made for every experiment stand as `train-${key}`, as DVC names them."""
    found = {}
    for path in sorted((project / "rules").glob("*.smk")):
        for block in re.split(r"^(?=rule |for |def )", path.read_text(encoding="utf-8"), flags=re.M):
            name = re.search(r'\Arule (\w+):|^ +f"(\w+-)\{name\}"$', block, re.M)
            script = re.search(r'"\.\./(workflow/scripts/\w+\.py)"', block)
            if name:
                digested = tuple(re.findall(r'"(xtinct\.[\w.]+)"', block))
                rule = Rule(f"rules/{path.name}", script and script[1], digested)
                found[name[1] or f"{name[2]}${{key}}"] = rule
    return found


def _wanted(name: str, stage: dict[str, Any], rules: dict[str, Rule], project: Path) -> list[str]:
    """Dependencies that a stage should have: its rules, their scripts, what it has of data, the library."""
    allowed = re.search(r"--allowed-rules (.+?) -- ", stage["cmd"] + " ")
    names = allowed[1].split() if allowed else []
    unknown = [rule for rule in names if rule not in rules]
    if unknown or not names:
        what = f"no rule {unknown[0]} in rules/" if unknown else "its command has no --allowed-rules"
        raise XtinctError(f"{DVC_FILE}: stage {name}: {what}")
    mine = [rules[rule] for rule in names]
    files = sorted({rule.file for rule in mine})
    scripts = list(dict.fromkeys(rule.script for rule in mine if rule.script))
    data = [dep for dep in stage["deps"] if not str(dep).startswith(_CODE)]
    modules = {module for rule in mine for module in rule.digested}
    modules.update(*(imported_modules(project / script) for script in scripts))
    code = source_files(*sorted(modules))
    return [*files, *scripts, *data, *sorted(f"src/xtinct/{path}" for path in _rooms(code))]


def imported_modules(script: Path) -> frozenset[str]:
    """Modules of the library that a workflow script imports, without the one that starts it."""
    found = set()
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module != _STARTER:
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if module_file(name) else node.module for name in modules}
    return frozenset(name for name in found if module_file(name))


def _rooms(files: Collection[Path]) -> Iterator[str]:
    """Paths of `files` in the library; a folder stands for its files where all of them are needed."""
    needed = set(files)

    def whole(folder: Path) -> Iterator[str]:
        every = package_files(folder)
        if every and folder != SOURCE and needed.issuperset(every):
            yield folder.relative_to(SOURCE).as_posix()
            return
        for path in sorted(folder.iterdir()):
            if path in needed:
                yield path.relative_to(SOURCE).as_posix()
            elif path.is_dir():
                yield from whole(path)

    return whole(SOURCE)


def _replace(deps: Any, wanted: Iterable[str]) -> None:
    """Put other items into a list of ruamel.yaml; a comment stays with the item that it stands at."""
    comments = {str(deps[index]): comment for index, comment in deps.ca.items.items()}
    deps[:] = wanted
    deps.ca.items.clear()
    deps.ca.items.update({i: comments[dep] for i, dep in enumerate(deps) if dep in comments})


def _yaml() -> Any:
    """Reader and writer that keeps comments, quotes and the layout of dvc.yaml."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _text(project: Path) -> str:
    path = project / DVC_FILE
    if not path.is_file():
        raise XtinctError(f"{path}: no such file; run this in the project's folder")
    return path.read_text(encoding="utf-8")

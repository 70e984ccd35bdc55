"""What code a result depends on: digests of library modules and of all that they import.

Imports nothing but the standard library, as `job` does.
"""

import ast
import hashlib
import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from xtinct.errors import XtinctError
from xtinct.files.writing import write_json

#: The library.
SOURCE = Path(__file__).resolve().parents[1]


def code_digest(*modules: str) -> str:
    """Digest of library modules and of everything of the library that they import.

    Snakemake does not see edits of the library: a rule passes this as a parameter. Comments, layout
    and docstrings do not change it; packaged data files do.
    """
    digest = hashlib.sha256()
    for path in source_files(*modules):
        digest.update(path.relative_to(SOURCE).as_posix().encode())
        digest.update(_facts(path).meaning.encode())
    _keep_facts()
    return digest.hexdigest()[:16]


@cache
def source_files(*modules: str) -> list[Path]:
    """Files of `modules` ("xtinct.symmetry.classes") and of all that they import from the library.

    Packages count with their data files. The top `xtinct/__init__.py` is left out: it offers
    everything and computes nothing.
    """
    found: set[Path] = set()
    pending = [path for name in modules if (path := module_file(name))]
    if len(pending) < len(modules):
        raise ValueError(f"no such module among {modules}")
    while pending:
        path = pending.pop()
        if path in found or path == SOURCE / "__init__.py":
            continue
        found.add(path)
        pending += _imported_files(path)
        if path.name == "__init__.py":
            found.update(file for file in package_files(path.parent) if file.suffix != ".py")
    return sorted(found)


@cache
def package_files(folder: Path) -> frozenset[Path]:
    """Modules and data files in a folder of the library, at any depth."""
    return frozenset(
        path
        for path in folder.rglob("*")
        if "__pycache__" not in path.parts and not path.name.startswith(".") and path.is_file()
    )


@cache
def module_file(name: str) -> Path | None:
    """File of a module or package of the library; None for any other name."""
    top, _, rest = name.partition(".")
    if top != "xtinct":
        return None
    path = SOURCE.joinpath(*rest.split("."))
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if rest and p.is_file()), None)


class _Facts(NamedTuple):
    """Digest of a file's bytes, modules of the library that it imports, and digest of what it means."""

    content: str
    imports: tuple[str, ...]
    meaning: str


@cache
def _imported_files(path: Path) -> tuple[Path, ...]:
    """Files of the library that a file imports, anywhere in it, with the packages that hold them."""
    return tuple(file for name in _facts(path).imports if (file := module_file(name)))


@cache
def _facts(path: Path) -> _Facts:
    """The facts of a file, from those that are kept if its bytes are the same: reading code takes seconds."""
    content = path.read_bytes()
    digest, name = hashlib.sha256(content).hexdigest(), path.relative_to(SOURCE).as_posix()
    if path.suffix != ".py":
        return _Facts(digest, (), digest)
    found = _kept_facts().get(name)
    if found is None or found.content != digest:
        tree = ast.parse(content)
        found = _Facts(digest, tuple(dict.fromkeys(_imports(tree))), _meaning(tree))
        _kept_facts()[name] = found
        _new_facts().append(name)
    return found


def _imports(tree: ast.Module) -> Iterator[str]:
    """Dotted names of the library that a module imports, anywhere in it, with the packages that hold them."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            parts = name.split(".")
            if parts[0] == "xtinct":
                yield from (".".join(parts[:n]) for n in range(1, len(parts) + 1))


def _meaning(tree: ast.Module) -> str:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, False):
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


@cache
def _kept_facts() -> dict[str, _Facts]:
    """Facts by file as `_keep_facts` left them; nothing where this module or Python is another one."""
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        kept = json.loads(_facts_file().read_text(encoding="utf-8"))
        if kept["by"] == _maker():
            return {name: _Facts(of[0], tuple(of[1]), of[2]) for name, of in kept["files"].items()}
    return {}


@cache
def _new_facts() -> list[str]:
    """Files whose facts are not kept yet."""
    return []


def _keep_facts() -> None:
    """Keep the facts of new files where Python keeps its compiled code, if anything can be written there."""
    if _new_facts():
        with suppress(OSError, XtinctError):
            write_json(_facts_file(), {"by": _maker(), "files": _kept_facts()}, indent=None)
        _new_facts().clear()


def _facts_file() -> Path:
    return SOURCE / "__pycache__" / f"digests.{sys.implementation.cache_tag}.json"


@cache
def _maker() -> str:
    """What the facts depend on beside the files: this module, and how Python reads code."""
    return f"{hashlib.sha256(Path(__file__).read_bytes()).hexdigest()} {sys.version}"

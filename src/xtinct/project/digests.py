"""What code a result depends on: digests of library modules and of all that they import.

Imports nothing but the standard library, as `job` does.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

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
        digest.update(_meaning(path))
    return digest.hexdigest()[:16]


@cache
def source_files(*modules: str) -> list[Path]:
    """Files of `modules` ("xtinct.symmetry.classes") and of all that they import from the library.

    Packages count with their data files. The top `xtinct/__init__.py` is left out: it offers
    everything and computes nothing.
    """
    found: set[Path] = set()
    pending = [module_file(name) for name in modules]
    if None in pending:
        raise ValueError(f"no such module among {modules}")
    while pending:
        path = pending.pop()
        if path is None or path in found or path == SOURCE / "__init__.py":
            continue
        found.add(path)
        pending += [module_file(name) for name in _imports(path)]
        if path.name == "__init__.py":
            found.update(file for file in package_files(path.parent) if file.suffix != ".py")
    return sorted(found)


def package_files(folder: Path) -> set[Path]:
    """Modules and data files in a folder of the library, at any depth."""
    return {
        path
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }


def module_file(name: str) -> Path | None:
    """File of a module or package of the library; None for any other name."""
    top, _, rest = name.partition(".")
    if top != "xtinct":
        return None
    path = SOURCE.joinpath(*rest.split("."))
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if rest and p.is_file()), None)


def _imports(path: Path) -> Iterator[str]:
    """Dotted names that a file imports, anywhere in it, with the packages that hold them."""
    for node in ast.walk(_tree(path)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            parts = name.split(".")
            yield from (".".join(parts[:n]) for n in range(1, len(parts) + 1))


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _meaning(path: Path) -> bytes:
    if path.suffix != ".py":
        return hashlib.sha256(path.read_bytes()).digest()
    tree = _tree(path)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, False):
            node.body = node.body[1:]
    return ast.dump(tree).encode()

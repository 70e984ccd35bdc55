"""Networks of a user's own by import path, `my_package.nets:MyNet`: where their source is, and its digest.

Nothing is imported here but by `imported`, so that a workflow may ask for digests and a model of another
hand is looked at before its code runs.
"""

import hashlib
import importlib
import re
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from xtinct.errors import XtinctError

#: `package.module:Class`.
PATTERN = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$"


def is_import_path(kind: str) -> bool:
    """Whether a kind of network is named by its import path."""
    return re.match(PATTERN, kind) is not None


def source_files(kind: str) -> list[Path]:
    """Python files that a network by import path depends on: its module, or its whole package.

    Looked for in `sys.path` and then in the working directory. XtinctError if there is no such module.
    """
    module = kind.partition(":")[0]
    top, *rest = module.split(".")
    spec = PathFinder.find_spec(top, [*sys.path, str(Path.cwd())])
    folders = None if spec is None else spec.submodule_search_locations
    if spec is not None and folders is None and not rest and spec.origin:
        return [Path(spec.origin)]
    for folder in map(Path, folders or ()):
        inner = folder.joinpath(*rest)
        if inner.with_suffix(".py").is_file() or (inner / "__init__.py").is_file():
            return sorted(path for path in folder.rglob("*.py") if path.is_file())
    raise XtinctError(
        f"model {kind!r}: no module {module} in the working directory or where Python looks for packages"
    )


def source_digest(kind: str) -> str:
    """Digest of the source files of a network by import path; "" for one of the library."""
    if not is_import_path(kind):
        return ""
    digest = hashlib.sha256()
    files = source_files(kind)
    for path in files:
        digest.update(path.relative_to(files[0].parent).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def imported(kind: str) -> Any:
    """What stands at an import path; XtinctError with the reason where it cannot be imported."""
    module, _, name = kind.partition(":")
    source_files(kind)
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        found = importlib.import_module(module)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise XtinctError(f"model {kind!r}: {module} cannot be imported ({reason})") from error
    if not hasattr(found, name):
        raise XtinctError(f"model {kind!r}: {module} has no {name}")
    return getattr(found, name)

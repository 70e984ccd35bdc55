"""Where the library meets Snakemake and DVC: jobs, code digests, and the bridges between the two tools.

Imports nothing but the standard library: the job that runs cctbx may load nothing compiled before it.
"""

import ast
import errno
import hashlib
import importlib.metadata
import importlib.util
import json
import logging
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from xtinct.errors import XtinctError
from xtinct.extras import naming_extra, what_to_install
from xtinct.files import fault_of

SOURCE = Path(__file__).resolve().parent
_DECIDING = (
    "numpy",
    "numba",
    "pyarrow",
    "torch",
    "gemmi",
    "moyopy",
    "spglib",
    "cctbx-base",
    "snakemake",
    "dvc",
)
#: Full, over quota, over a size limit, read-only, failing.
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
_NOTHING_TO_DO = "Nothing to be done"


def has_gpu() -> bool:
    """Whether this machine has an NVIDIA GPU and its driver."""
    return Path("/proc/driver/nvidia/gpus").is_dir()


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn an XtinctError, a missing package, a full disk or memory into one line and exit status 2."""
    try:
        with _faults_of_the_machine(), naming_extra():
            yield
    except XtinctError as error:
        print(f"xtinct: error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


@contextmanager
def _faults_of_the_machine() -> Iterator[None]:
    """Turn a full disk or memory into an XtinctError, wherever it came up."""
    try:
        yield
    except MemoryError as error:
        raise XtinctError(
            f"not enough memory ({str(error).splitlines()[0] if str(error) else 'no more is given'}); "
            "run fewer jobs at a time (--cores), or raise the limit under which this one runs"
        ) from None
    except OSError as error:
        if error.errno not in _OF_THE_DISK:
            raise
        where = error.filename or "a temporary file (in TMPDIR) or one of a library"
        raise XtinctError(f"{where}: {fault_of(error)}") from None


@contextmanager
def job(log: Iterable[str]) -> Iterator[None]:
    """Run the body of a workflow script: messages and errors go to the first file of `log` and to stderr.

    An XtinctError ends the job with its line; any other error is a bug and keeps its traceback.
    """
    path = Path(next(iter(log)))
    with one_line_errors():
        path.parent.mkdir(parents=True, exist_ok=True)
        # A new log, to whose end every process of the job appends: none overwrites another's lines.
        path.write_bytes(b"")
        handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", handlers=[handler, logging.StreamHandler()]
    )
    logging.captureWarnings(True)
    try:
        with one_line_errors():
            try:
                with _faults_of_the_machine(), naming_extra():
                    yield
            except XtinctError as error:
                with suppress(OSError):  # the log's own disk may be the full one
                    handler.stream.write(f"error: {error}\n")
                    handler.flush()
                raise
    except Exception:
        logging.getLogger(__name__).exception("the job failed")
        raise
    finally:
        with suppress(OSError):
            handler.close()


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
    pending = [_module_file(name) for name in modules]
    if None in pending:
        raise ValueError(f"no such module among {modules}")
    while pending:
        path = pending.pop()
        if path is None or path in found or path == SOURCE / "__init__.py":
            continue
        found.add(path)
        pending += [_module_file(name) for name in _imports(path)]
        if path.name == "__init__.py":
            found.update(p for p in path.parent.rglob("*") if p.is_file() and _is_data(p))
    return sorted(found)


def _is_data(path: Path) -> bool:
    return path.suffix != ".py" and "__pycache__" not in path.parts and not path.name.startswith(".")


def _module_file(name: str) -> Path | None:
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


def versions() -> dict[str, str]:
    """Versions of what decides a result, by package; "not installed" for what is not there."""
    found = {"python": platform.python_version()}
    for package in ("xtinct", *_DECIDING):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def provenance(config: Mapping[str, object], project: Path = Path()) -> dict[str, str | dict[str, str]]:
    """Where results come from: configuration, revisions, software and machine, for the report.

    `project`: folder of the project, whose revision counts; the working directory may be another.
    """
    lock = project / "dvc.lock"
    return {
        "configuration (SHA-256)": hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest(),
        "seed": str(config["seed"]),
        "git revision": _git_revision(project),
        "dvc.lock (SHA-256)": hashlib.sha256(lock.read_bytes()).hexdigest() if lock.exists() else "none",
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "software": versions(),
    }


def _git_revision(project: Path) -> str:
    try:
        command = ["git", "-C", str(project), "describe", "--always", "--dirty"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "not a git checkout"


def snapshot() -> None:
    """Record in DVC what a plain Snakemake run has made; refuse while anything is out of date."""
    reason = _snakemake_needs()
    if reason:
        raise XtinctError(
            f"snapshot: the outputs are not up to date ({reason}); run `snakemake --cores all all` first"
        )
    _run("dvc", "commit", "--force", "--quiet")


def adopt() -> None:
    """Tell Snakemake that the files DVC brought are up to date; refuse if they are not DVC's."""
    _require("dvc")
    _link_sources()
    status = json.loads(_run("dvc", "status", "--json").stdout)
    if status:
        raise XtinctError(
            f"adopt: {len(status)} DVC stages are out of date ({', '.join(sorted(status)[:3])}, ...); "
            "run `dvc pull` or `dvc repro`, and see `dvc status`"
        )
    _run("snakemake", "--touch", "--forceall", "--cores", "1", "--quiet", "all", "--", "all")
    reason = _snakemake_needs()
    if reason:
        raise XtinctError(f"adopt: Snakemake still wants to run jobs ({reason}); see `snakemake -n all`")


def _link_sources() -> None:
    """Make the links through which DVC sees what sources read: they are not among what it brings."""
    from xtinct.config import load
    from xtinct.structures.links import link_source
    from xtinct.structures.sources import source_inputs

    for name, source in load()["sources"].items():
        link_source(source_inputs(source), f"data/links/{name}.json")


def _snakemake_needs() -> str:
    """Why Snakemake would run something, in a few words; empty if it would not."""
    output = _run("snakemake", "--dry-run", "--cores", "1", "--", "all")
    text = output.stdout + output.stderr
    if _NOTHING_TO_DO in text:
        return ""
    rules = {
        line.split()[1].rstrip(":") for line in text.splitlines() if line.startswith(("rule ", "localrule "))
    }
    return "to run: " + ", ".join(sorted(rules - {"all"}))


def _require(tool: str) -> None:
    if importlib.util.find_spec(tool) is None:
        raise XtinctError(what_to_install(tool))


def _run(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run snakemake or dvc of this environment; XtinctError with its last line if it fails."""
    _require(tool)
    done = subprocess.run(
        [sys.executable, "-m", tool, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise XtinctError(f"{tool} {' '.join(arguments)}: {lines[-1].strip() if lines else 'failed'}")
    return done

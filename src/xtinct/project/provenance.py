"""Where results come from: configuration, revisions, software and machine."""

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path

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

"""On what a benchmark was taken: processor, vectors, versions."""

import os
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import llvmlite.binding


def machine(libraries: Iterable[str]) -> dict[str, object]:
    """Processor, system and the versions of `libraries`, by name."""
    return {
        "processor": _processor(),
        "logical_processors": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "vectors": _vectors(),
        "python": platform.python_version(),
        **{name: version(name) for name in libraries},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _vectors() -> str:
    """The widest vectors that compiled code may use here."""
    features = llvmlite.binding.get_host_cpu_features()
    names = {"avx512f": "512 bits", "avx2": "256 bits"}
    return next((width for name, width in names.items() if features.get(name)), "128 bits")

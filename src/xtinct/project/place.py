"""Where a run of the workflow takes place: a folder that takes its outputs, a machine that holds its jobs."""

import os
import sys
from pathlib import Path

from xtinct.errors import XtinctError
from xtinct.project.job import one_line_errors

#: What a driver of GPUs shows.
_DRIVERS = ("/proc/driver/nvidia/gpus", "/dev/nvidia0", "/dev/kfd", "/dev/dxg")


def exit_if_read_only(folder: str | Path = ".") -> None:
    """End the process with one line and status 2 if the working directory takes no outputs.

    Snakemake itself would end with a traceback at its own files.
    """
    with one_line_errors():
        for path in (Path(folder), Path(folder, ".snakemake")):
            if path.is_dir() and not os.access(path, os.W_OK | os.X_OK):
                raise XtinctError(
                    f"{path.resolve()}: cannot be written; name another folder for the outputs: "
                    "snakemake --directory FOLDER"
                )


def has_gpu() -> bool:
    """Whether this machine shows a GPU that torch could use: of NVIDIA, of AMD, or through Windows."""
    return any(Path(path).exists() for path in _DRIVERS)


def memory_limit(cores: int | None) -> int | None:
    """Memory (MB) that jobs may claim together: all of this machine, if they are more than it has processors.

    None, no limit, for as many jobs as processors: what they claim is the most they may need.
    """
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores is None or cores <= processors or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 10**6
    print(
        f"xtinct: --cores {cores} on {processors} processors: as many jobs at a time as its {memory} MB of "
        "memory hold, by what each asks for; --resources mem_mb=... names another limit",
        file=sys.stderr,
    )
    return memory

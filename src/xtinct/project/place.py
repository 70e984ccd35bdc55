"""Where a run of the workflow takes place: a folder that takes its outputs, a machine that holds its jobs."""

import datetime
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
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


#: Bytes of room without which no build starts: Snakemake's own records need as much.
_LEAST_ROOM = 2**20


def exit_if_full(folder: str | Path = ".") -> None:
    """End the process with one line and status 2 if the disk of the working directory has no room.

    Snakemake itself would end with a traceback at its own files.
    """
    disk = os.statvfs(folder)
    room = disk.f_frsize * (disk.f_bfree if os.geteuid() == 0 else disk.f_bavail)
    if disk.f_blocks and room < _LEAST_ROOM:
        with one_line_errors():
            raise XtinctError(
                f"{Path(folder).resolve()}: {room} bytes are free on its disk; make room, or name another "
                "folder for the outputs: snakemake --directory FOLDER"
            )


#: Seconds that files may be ahead of the clock, for a file server's own.
_AHEAD = 5
#: Folders of outputs, whose order in time Snakemake goes by.
_OUTPUTS = ("data", "models", "results", "shards")


def exit_if_from_the_future(
    is_output: Callable[[str], bool], given: Iterable[str | Path] = (), folder: str | Path = "."
) -> None:
    """End the process with one line and status 2 if an output is newer than this machine's clock.

    It was made while the clock was ahead, or the clock is behind now. Snakemake would take it for newer than
    whatever is made anew before it, and keep a stale result.

    is_output  whether a path, relative to `folder`, is an output of a rule; other files' times do not count
    given      files and folders that sources read; they are passed over
    """
    now, inputs = int(time.time()), {os.path.realpath(path) for path in given}
    ahead = [
        (when, name)
        for top in _OUTPUTS
        for name, when in _times(Path(folder), top, inputs)
        if when > now + _AHEAD and is_output(name)
    ]
    if not ahead:
        return
    when, name = max(ahead)
    tops = " ".join(sorted({name.split("/")[0] for _, name in ahead}))
    then, clock = (datetime.datetime.fromtimestamp(int(s)).isoformat() for s in (when, now))
    with one_line_errors():
        raise XtinctError(
            f"{name}{f' and {len(ahead) - 1} more outputs' if ahead[1:] else ''}: made at {then}, and this "
            f"machine's clock says {clock}; Snakemake goes by times, and would keep stale results. "
            f"If the clock is right now: find {tops} -newermt {clock} -exec touch -h -d {clock} {{}} +"
        )


def _times(folder: Path, top: str, passed: set[str]) -> Iterator[tuple[str, float]]:
    """Files below a folder, relative to the first, with the time of their last change, s since the epoch."""
    for base, folders, names in os.walk(folder / top):
        folders[:] = [name for name in folders if os.path.realpath(Path(base, name)) not in passed]
        for name in names:
            with suppress(OSError):  # another process has just removed it
                when = Path(base, name).lstat().st_mtime
                yield Path(base, name).relative_to(folder).as_posix(), when


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

"""Clocks that jump between the runs of a build, and while it runs.

A clock that is set back by an hour leaves files an hour ahead of it. So all outputs' times are moved instead
of the clock: to a build it is the same. The configuration changes back and forth meanwhile, so that a stale
result has other bytes than the right one.
"""

import os
import random
import shutil
import subprocess
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from builds import Build, last_line

#: Seconds by which the clock is set: an hour, a day, a year.
JUMPS = (3600, -3600, 86400, -86400, 31_536_000, -31_536_000)
#: A model and what is made of it; the settings of the training are no part of the second job's own.
MODEL = "models/cddd/cubic/seed-0/model.safetensors"
PREDICTIONS = "results/evaluation/cddd/cubic/seed-0/cddd.parquet"
SETTING, OTHER = "patterns: 1024", "patterns: 512"
#: What a run prints that stops at outputs from the future, before the command that it advises.
ADVICE = "If the clock is right now: "
#: How the words for a run begin that did not make its target.
FAILED = "FAILED"


def clock_faults(peace: Build, clocks: Build, jumps: int, rng: random.Random) -> list[str]:
    """Jumps of the clock before as many runs; what is not as it must be, one line each."""
    shutil.copytree(peace.folder, clocks.folder, symlinks=True)
    sound = {SETTING: (clocks.folder / PREDICTIONS).read_bytes()}
    _set(clocks, OTHER)
    clocks.run(*clocks.command(PREDICTIONS))
    sound[OTHER] = (clocks.folder / PREDICTIONS).read_bytes()
    if sound[OTHER] == sound[SETTING]:
        return ["two trainings of different lengths predict the same"]
    wrong, setting = [], OTHER
    for number in range(1, jumps + 1):
        jump = rng.choice(JUMPS)
        shift(clocks.folder, jump)
        if rng.random() < 0.7:
            setting = SETTING if setting == OTHER else OTHER
            _set(clocks, setting)
        target = rng.choice((MODEL, PREDICTIONS, PREDICTIONS))
        said = made(clocks, target)
        if said.startswith(FAILED):
            wrong.append(f"jump {number}: {target}: {said}")
        elif target == PREDICTIONS:
            if (clocks.folder / PREDICTIONS).read_bytes() != sound[setting]:
                wrong.append(f"jump {number}: a stale result")
            again = clocks.run("snakemake", "-n", "--cores", "1", target)
            if "Nothing to be done" not in again.stdout + again.stderr:
                wrong.append(f"jump {number}: {target} would be made once more")
        print(f"clock {number}: outputs {jump:+} s, {target}: {said}", flush=True)
    _set(clocks, SETTING)
    with jumping_clock(clocks) as under:
        said = made(under, PREDICTIONS)
    print(f"clock jumps while it runs: {said}", flush=True)
    if said.startswith(FAILED):
        # Snakemake refuses an output that is older than its input; the build goes on once the clock is right.
        said = made(clocks, PREDICTIONS)
        print(f"clock right again: {said}", flush=True)
    if said.startswith(FAILED):
        wrong.append(f"after a clock that jumped while a build ran: {said}")
    elif (clocks.folder / PREDICTIONS).read_bytes() != sound[SETTING]:
        wrong.append("clock that jumps while a build runs: other bytes")
    return wrong


def made(build: Build, target: str) -> str:
    """Run a build; where it stops at the clock, do as its line says and run it again."""
    done = build.run(*build.command(target))
    if done.returncode == 0:
        return "made"
    line = last_line(done.stderr)
    full = next((text for text in done.stderr.splitlines() if ADVICE in text), "")
    if not full:
        return f"{FAILED}: {line}"
    subprocess.run(full.split(ADVICE)[1], shell=True, cwd=build.folder, check=True)
    done = build.run(*build.command(target))
    if done.returncode:
        return f"{FAILED} after advice: {last_line(done.stderr)}"
    return "stopped, told, made"


def shift(folder: Path, seconds: int) -> None:
    """Move the times of all outputs."""
    for top in ("data", "models", "results", "shards"):
        for path in (folder / top).rglob("*"):
            found = path.lstat()
            times = (found.st_atime_ns, found.st_mtime_ns + seconds * 10**9)
            os.utime(path, ns=times, follow_symlinks=False)


def _set(build: Build, setting: str) -> None:
    path = build.folder / "config/config.yaml"
    text = (build.folder / "config/smoke.yaml").read_text()
    start = text.index("  cddd:\n    train: cddd")
    path.write_text(text[:start] + text[start:].replace(SETTING, setting, 1))


@contextmanager
def jumping_clock(build: Build):
    """The build under libfaketime, if it is there: its clock says now, in an hour or in a year by turns."""
    library = os.environ.get("LIBFAKETIME") or next(
        map(str, Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), ""
    )
    if not library:
        print(
            "no libfaketime (apt-get install libfaketime, or its path as LIBFAKETIME): clock stands",
            flush=True,
        )
        yield build
        return
    ended = threading.Event()
    with tempfile.TemporaryDirectory() as folder:
        stamp = Path(folder, "stamp")

        def jump() -> None:
            offsets = ("+0", "+1h", "+1y")
            for number in range(10**9):
                temporary = stamp.with_suffix(".new")
                temporary.write_text(offsets[number % 3] + "\n")
                temporary.replace(stamp)
                if ended.wait(1):
                    return

        thread = threading.Thread(target=jump)
        thread.start()
        faked = {
            "LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": str(stamp), "FAKETIME_NO_CACHE": "1",
            "NO_FAKE_STAT": "1", "DONT_FAKE_MONOTONIC": "1",
        }  # fmt: skip
        try:
            yield replace(build, environment={**build.environment, **faked})
        finally:
            ended.set()
            thread.join()

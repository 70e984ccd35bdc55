"""Damage to one file of each kind that a build writes, and to DVC's cache: found, named, refused.

A kind is a rule and the end of its files' names. "cut": half of a file. "changed": one bit in its middle, its
length and times as they were.
"""

import json
import os
import random
import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from builds import COMPARED, Build, last_line

#: Outcome of a file whose reader did not run, because another one of the round stopped Snakemake.
_STOPPED = "stopped by another"
#: Kinds in which no reader can see a changed digit: only `xtinct verify` does, which reads every byte.
WITHOUT_CHECKSUM = (".json", ".csv", ".html", ".safetensors")
#: Outputs that git keeps, or that are no more than links.
NOT_IN_DVC = ("data/links/", "results/summary/", "results/metrics.json")
#: Outputs of jobs that are the same every time.
TIMELESS = (*COMPARED, ".csv")


class Damaged(NamedTuple):
    """A file of one kind, and what is done to it."""

    name: str
    rule: str
    what: str

    def content(self, sound: bytes) -> bytes:
        """The damaged bytes."""
        middle = len(sound) // 2
        if self.what == "cut":
            return sound[:middle]
        return sound[:middle] + bytes([sound[middle] ^ 0x01]) + sound[middle + 1 :]


def damage_faults(build: Build, rng: random.Random) -> list[str]:
    """Damage files of a whole build; what is not as it must be, one line each."""
    build.run("xtinct", "snapshot")
    build.run("git", "add", "--all")
    build.run(
        "git", "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "--quiet", "-m", "Build"
    )
    chosen = kinds(build, rng)
    wrong = []
    for what in ("cut", "changed"):
        some = [Damaged(name, rule, what) for name, rule in chosen]
        wrong += _verified(build, some)
        wrong += _from_cache(build, some)
        wrong += _refused(build, some)
    return wrong


def kinds(build: Build, rng: random.Random) -> list[tuple[str, str]]:
    """A file of each kind with the rule that made it; of files in a folder, the folder's rule."""
    records = build.records()
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in build.files():
        made = next((of for of in (name, *map(str, Path(name).parents)) if of in records), None)
        if made is not None and (build.folder / name).stat().st_size > 1:
            end = ".".join(Path(name).name.split(".")[1:])
            found[records[made]["rule"].split("-")[0], end].append(name)
    chosen = [(rng.choice(sorted(names)), rule) for (rule, _), names in sorted(found.items())]
    print(f"{len(chosen)} kinds of files of {len({rule for _, rule in chosen})} rules", flush=True)
    return chosen


@contextmanager
def damage(folder: Path, some: Iterable[Damaged]) -> Iterator[None]:
    """Files of a folder damaged for a while; times stay."""
    kept = {}
    for one in some:
        path = folder / one.name
        found = path.stat()
        kept[path] = (path.read_bytes(), found)
        _write(path, one.content(kept[path][0]), found)
    yield
    for path, (sound, found) in kept.items():
        if not path.is_file() or path.read_bytes() != sound:
            _write(path, sound, found)


def _write(path: Path, content: bytes, found: os.stat_result) -> None:
    path.unlink(missing_ok=True)  # it may be a link into the cache, or not be writable
    path.write_bytes(content)
    path.chmod(found.st_mode)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def _verified(build: Build, some: list[Damaged]) -> list[str]:
    """`xtinct verify` names every damaged file; those that are then deleted come back as they were."""
    sound = build.contents()
    with damage(build.folder, some):
        named = {line.split()[1] for line in build.run("xtinct", "verify").stdout.splitlines() if " " in line}
        for one in some:
            (build.folder / one.name).unlink()
        back = Counter()
        # What DVC does not keep is kept by git, or made from nothing but the configuration.
        missing = [one.name for one in some]
        for tool in (["dvc", "checkout", "--force"], ["git", "checkout", "--quiet", "results"], None):
            build.run(*(tool or build.command(*missing)))
            found = build.contents()
            left = [name for name in missing if found.get(name) != sound[name]]
            back[tool[0] if tool else "snakemake"] = len(missing) - len(left)
            missing = left
    wrong = [f"{one.what}, not named by verify: {one.name}" for one in some if one.name not in named]
    wrong += [f"{some[0].what}, not brought back: {name}" for name in missing]
    print(f"{some[0].what}: verify named {len(named)} of {len(some)}; back by {dict(back)}", flush=True)
    return wrong


def _from_cache(build: Build, some: list[Damaged]) -> list[str]:
    """What DVC brings from a damaged cache is named by verify, and adopt refuses it."""
    objects = {name: path for name, path in cached(build).items() if not name.startswith(NOT_IN_DVC)}
    there = [(one, objects[one.name]) for one in some if one.name in objects]
    damaged = [one._replace(name=path) for one, path in there]
    with damage(build.folder, damaged), damage(build.folder, [one for one, _ in there]):
        for one, _ in there:
            (build.folder / one.name).unlink()
        brought = build.run("dvc", "checkout", "--force")
        named = {line.split()[1] for line in build.run("xtinct", "verify").stdout.splitlines() if " " in line}
        adopted = build.run("xtinct", "adopt")
    wrong = [f"{one.what} in the cache, not named: {one.name}" for one, _ in there if one.name not in named]
    if adopted.returncode == 0:
        wrong.append(f"{some[0].what}: adopt took files of a damaged cache")
    print(
        f"{some[0].what} in DVC's cache: {len(there)} kinds, checkout ended with {brought.returncode}, "
        f"verify named {len(named)}; adopt: {last_line(adopted.stderr)}",
        flush=True,
    )
    return wrong


def cached(build: Build) -> dict[str, str]:
    """Name in DVC's cache of every output that it holds, by the output's own."""
    import yaml

    found = {}
    for stage in yaml.safe_load((build.folder / "dvc.lock").read_text())["stages"].values():
        for out in stage.get("outs", ()):
            path = _object(out["md5"])
            if out["md5"].endswith(".dir") and (build.folder / path).exists():
                for entry in json.loads((build.folder / path).read_text()):
                    found[f"{out['path']}/{entry['relpath']}"] = _object(entry["md5"])
            else:
                found[out["path"]] = path
    return {name: path for name, path in found.items() if (build.folder / path).exists()}


def _object(md5: str) -> str:
    return f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}"


def _refused(build: Build, some: list[Damaged]) -> list[str]:
    """A job that reads a damaged file refuses it by name, or makes the bytes that it makes without damage."""
    records = build.records()
    readers: dict[str, list[str]] = defaultdict(list)
    for name, record in records.items():
        for read in record["input"]:
            readers[read].append(name)
    some = [one for one in some if one.what == "cut" or not one.name.endswith(WITHOUT_CHECKSUM)]
    pending = [
        (one, min(readers[one.name], key=lambda n: _cost(records[n]))) for one in some if readers[one.name]
    ]
    # Files with the same end are read in the same way within a job: two of each are enough.
    alike: dict[tuple[str, str], list[tuple[Damaged, str]]] = defaultdict(list)
    for one, reader in pending:
        alike[records[reader]["rule"], Path(one.name).suffix].append((one, reader))
    pending = [pair for pairs in alike.values() for pair in pairs[:2]]
    wrong, counts = [], defaultdict(int)
    while pending:
        taken: list[tuple[Damaged, str]] = []
        for one, reader in pending:
            if not any(_depend(records, reader, other) for _, other in taken):
                taken.append((one, reader))
        pending = [pair for pair in pending if pair not in taken]
        for one, reader, outcome in _round(build, records, taken):
            if outcome == _STOPPED and len(taken) > 1:
                pending.append((one, reader))
                continue
            counts[outcome] += 1
            if outcome not in ("refused", "made again", "no part of it"):
                wrong.append(f"{one.what}, {outcome}: {one.name}")
            print(f"{one.what:8}{outcome:12}{one.name}", flush=True)
    print(f"{some[0].what}, read by a job: {dict(counts)}", flush=True)
    return wrong


def _cost(record: dict) -> float:
    return (record["endtime"] or 0) - (record["starttime"] or 0)


def _before(records: dict, name: str) -> set[str]:
    """Logs of all jobs that an output is made by, its own among them."""
    found, pending = set(), [name]
    while pending:
        record = records.get(pending.pop())
        if record and record["log"][0] not in found:
            found.add(record["log"][0])
            pending += record["input"]
    return found


def _depend(records: dict, one: str, other: str) -> bool:
    """Whether one output is made from the other, over any number of jobs, or by the same job."""
    logs = [records[name]["log"][0] for name in (one, other)]
    return logs[0] in _before(records, other) or logs[1] in _before(records, one)


def _round(
    build: Build, records: dict, pairs: list[tuple[Damaged, str]]
) -> Iterator[tuple[Damaged, str, str]]:
    """What became of each damaged file in the job that read it; every job reads one.

    What Snakemake reads to plan the jobs stops all of them: then the others are asked again without it.
    """
    trial = Build(build.folder.with_name("trial"), build.cores)
    shutil.copytree(build.folder, trial.folder, symlinks=True, ignore=shutil.ignore_patterns("cache", ".git"))
    sound = trial.contents()
    for one, _ in pairs:
        path = trial.folder / one.name
        _write(path, one.content(path.read_bytes()), path.stat())
    start = time.time()
    said = trial.run(*trial.command("--keep-going", "--force", *[reader for _, reader in pairs])).stderr
    made = trial.contents()
    logs = [path.read_text(errors="replace") for path in (trial.folder / "logs").rglob("*.log")]
    # Not those of whole trees of calls, which name files too.
    errors = "\n".join(line for log in logs for line in log.splitlines() if line.startswith("error:"))
    for one, reader in pairs:
        log = records[reader]["log"]
        outputs = [name for name in sound if records.get(name, {"log": None})["log"] == log]
        if one.name in errors or one.name in last_line(said):
            yield one, reader, "refused"  # by the reader, or by what reads the file before it
        elif (trial.folder / log[0]).stat().st_mtime < start:
            named = any(other.name in last_line(said) for other, _ in pairs)
            yield one, reader, _STOPPED if named else f"not read ({last_line(said)})"
        elif (trial.folder / one.name).read_bytes() == sound[one.name]:
            yield one, reader, "made again"  # its own job ran too, because of inputs that are not kept
        elif not all(name in made for name in outputs):
            yield one, reader, f"stopped ({last_line((trial.folder / log[0]).read_text())})"
        elif any(sound[name] != made[name] for name in outputs if name.endswith(TIMELESS)):
            yield one, reader, "used"
        else:
            yield one, reader, "no part of it"
    shutil.rmtree(trial.folder)

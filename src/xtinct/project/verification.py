"""Whether the artifacts of a build are still those that were recorded.

DVC records a digest of every output of a stage (`dvc.lock`) and of what `dvc add` took under its care
(`*.dvc`); the files of a folder are listed in its cache. Those records are read here, and every byte of
every file is: DVC's own `status` trusts size and time of a file that it has seen before.
"""

import hashlib
import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from xtinct.errors import XtinctError
from xtinct.project.configuration import read_yaml
from xtinct.project.named_sets import is_own_set, training_sets

LOCK, CONFIG = "dvc.lock", "config/config.yaml"
#: What reading a damaged file of DVC ends in (a text that is no UTF-8 or no path among the ValueErrors).
_NO_RECORD = (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError, RecursionError)
#: Left by Snakemake, and of no account to DVC (`.dvcignore`).
_IGNORED = (".snakemake_timestamp",)
#: Kept between builds so that sources are not listed again; made anew wherever they are missing.
_LISTINGS = ("data/cache/listings",)
#: How a file can differ from the record.
MISSING, CHANGED, UNRECORDED = "missing", "changed", "unrecorded"


@dataclass(frozen=True)
class Difference:
    """A file that is not as recorded.

    kind    missing | changed | unrecorded
    path    relative to the project's root
    record  where its digest stands: a stage of dvc.lock or a .dvc file; empty if it stands nowhere
    """

    kind: str
    path: str
    record: str


@dataclass(frozen=True)
class Verification:
    """A build held against the record of it.

    files        recorded file, relative to the project's root -> where its digest stands
    differences  files that are not as recorded, ordered by path
    """

    files: Mapping[str, str]
    differences: tuple[Difference, ...]

    @property
    def checked(self) -> int:
        """How many files were held against the record."""
        return len(self.files)

    def summary(self) -> str:
        """Counts in one line."""
        kinds = [d.kind for d in self.differences]
        counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in (MISSING, CHANGED, UNRECORDED))
        return f"{self.checked} files held against {LOCK}: {counts}"


@dataclass(frozen=True)
class _Record:
    """What is recorded of one output: its MD5, of a listing where it is a folder (.dir)."""

    path: str
    md5: str
    where: str


def verify(root: str | Path = ".") -> Verification:
    """Hold every file that a build has made below `root` against its recorded digest.

    A file is unrecorded where it lies in a folder that the build writes into and nothing names it: not
    DVC, neither as an output nor as an input, not git, and not the configuration (folders and caches of
    sources and of sets of patterns, training sets of one's own, tables of priors). Hidden files and the
    listings of sources do not count.
    XtinctError if there is no record to hold anything against.
    """
    root = Path(root)
    records = [*_locked(root), *_added(root)]
    known: dict[str, str] = {}
    differences: list[Difference] = []
    for record in records:
        for path, md5 in _files(root, record, differences).items():
            known[path] = record.where
            found = root / path
            if not found.is_file():
                differences.append(Difference(MISSING, path, record.where))
            elif md5 and _md5(found) != md5:
                differences.append(Difference(CHANGED, path, record.where))
    tops = {Path(record.path).parts[0] for record in records if len(Path(record.path).parts) > 1}
    tracked = _tracked_by_git(root)
    # A training set may be one of the build's own folders, whose files are recorded.
    given = [
        name
        for name in _given_by_configuration(root)
        if not any(_overlap(name, record.path) for record in records)
    ]
    named = [*_LISTINGS, *given, *_given(recorded_stages(root))]
    for top in sorted(tops):
        for path in _visible(root, root / top):
            if path not in known and path not in tracked and not any(_within(path, s) for s in named):
                differences.append(Difference(UNRECORDED, path, ""))
    return Verification(known, tuple(sorted(set(differences), key=lambda d: (d.path, d.kind))))


class _Yaml12(yaml.SafeLoader):
    """DVC writes YAML 1.2, where 1e-09 is a number; in YAML 1.1 it is a text."""


_Yaml12.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


@dataclass(frozen=True)
class RecordedStage:
    """A stage of the build as dvc.lock has it; paths are relative to the project's root.

    inputs, outputs  file or folder -> its MD5 (of a listing for a folder, then it ends in `.dir`)
    parameters       file of parameters -> dotted key -> value
    """

    name: str
    command: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    parameters: Mapping[str, Mapping[str, Any]]


def recorded_stages(root: str | Path = ".") -> list[RecordedStage]:
    """Every stage that dvc.lock records, in its order; XtinctError if there is no such file."""
    path = Path(root) / LOCK
    try:
        return [
            RecordedStage(
                name,
                stage["cmd"],
                {each["path"]: each["md5"] for each in stage.get("deps", ())},
                {each["path"]: each["md5"] for each in stage.get("outs", ())},
                stage.get("params", {}),
            )
            for name, stage in yaml.load(path.read_text(encoding="utf-8"), _Yaml12)["stages"].items()
        ]
    except FileNotFoundError:
        raise XtinctError(
            f"{path}: no such file, so no digest is recorded; `xtinct snapshot` records a build"
        ) from None
    except _NO_RECORD:
        raise XtinctError(f"{path}: not a lock file of DVC; restore it with git") from None


def _given(stages: Sequence[RecordedStage]) -> dict[str, tuple[str, str]]:
    """What stages read and no stage makes -> its MD5, and a stage that reads it."""
    made = {path for stage in stages for path in stage.outputs}
    return {
        path: (md5, stage.name)
        for stage in stages
        for path, md5 in stage.inputs.items()
        if not any(_overlap(path, other) for other in made)
    }


def changed_inputs(root: str | Path = ".") -> list[str]:
    """What the recorded build was made from and is no longer as it was, each as a phrase with its stage.

    Held against dvc.lock: every file of code and data that a stage depends on and no stage makes (`verify`
    looks at those that one makes), and every parameter.
    """
    root, stages = Path(root), recorded_stages(root)
    changed: dict[str, None] = {}
    for path, (md5, name) in _given(stages).items():
        differences: list[Difference] = []
        for file, digest in _files(root, _Record(path, md5, name), differences).items():
            if not (root / file).is_file() or (digest and _md5(root / file) != digest):
                differences.append(Difference(CHANGED, file, name))
        changed |= dict.fromkeys(f"{each.path} (stage {name})" for each in differences)
    for stage in stages:
        for file, parameters in stage.parameters.items():
            found = read_yaml(root / file)
            for key, value in parameters.items():
                if _value(found, key) != value:
                    changed[f"{key} in {file} (stage {stage.name})"] = None
    return list(changed)


def _value(config: Any, key: str) -> Any:
    """What stands under a dotted key; None where nothing does."""
    for part in key.split("."):
        config = config.get(part) if isinstance(config, dict) else None
    return config


def _locked(root: Path) -> list[_Record]:
    return [
        _Record(path, md5, stage.name)
        for stage in recorded_stages(root)
        for path, md5 in stage.outputs.items()
    ]


def _added(root: Path) -> Iterator[_Record]:
    """What `dvc add` has recorded, in the folders that a checkout has."""
    for path in sorted(p for pattern in ("*.dvc", "data/*.dvc", "data/*/*.dvc") for p in root.glob(pattern)):
        if path.is_file():
            where = path.relative_to(root).as_posix()
            try:
                outs = [
                    _Record((path.parent / out["path"]).relative_to(root).as_posix(), out["md5"], where)
                    for out in yaml.safe_load(path.read_text(encoding="utf-8")).get("outs", ())
                ]
            except _NO_RECORD:
                raise XtinctError(f"{path}: not a file of DVC; restore it with git") from None
            yield from outs


def _files(root: Path, record: _Record, differences: list[Difference]) -> dict[str, str]:
    """Files of an output and the MD5 of each; empty where only the folder's own is known."""
    if not record.md5.endswith(".dir"):
        return {record.path: record.md5}
    listing = root / ".dvc" / "cache" / "files" / "md5" / record.md5[:2] / record.md5[2:]
    try:
        content = listing.read_bytes()
        if hashlib.md5(content).hexdigest() != record.md5.removesuffix(".dir"):
            raise ValueError
        return {f"{record.path}/{file['relpath']}": file["md5"] for file in json.loads(content)}
    except (OSError, ValueError):
        pass
    # Without the listing only the folder as a whole can be judged, by the digest that DVC makes of it.
    folder = root / record.path
    if not folder.is_dir():
        return {record.path: ""}
    found = [
        path.relative_to(root).as_posix()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in _IGNORED and "__pycache__" not in path.parts
    ]
    listed = [{"md5": _md5(root / path), "relpath": path.removeprefix(f"{record.path}/")} for path in found]
    text = json.dumps(sorted(listed, key=lambda file: file["relpath"]), sort_keys=True)
    if hashlib.md5(text.encode()).hexdigest() != record.md5.removesuffix(".dir"):
        differences.append(Difference(CHANGED, record.path, record.where))
    return dict.fromkeys(found, "")


def _md5(path: Path) -> str:
    """Digest of a file as DVC records it."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "md5").hexdigest()
    except OSError as error:
        raise XtinctError(f"{path}: cannot be read ({error.strerror})") from None


def _visible(root: Path, folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(root)
        if path.is_file() and not any(part.startswith(".") for part in relative.parts):
            yield relative.as_posix()


def _within(path: str, other: str) -> bool:
    return path == other or path.startswith(f"{other}/")


def _overlap(path: str, other: str) -> bool:
    return _within(path, other) or _within(other, path)


def _tracked_by_git(root: Path) -> set[str]:
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return set()
    return {name for name in done.stdout.decode(errors="surrogateescape").split("\0") if name}


def _given_by_configuration(root: Path) -> list[str]:
    """What the configuration names and the build does not make.

    Sources and sets of patterns, also the caches that they fetch into; training sets of one's own; tables of
    priors.
    """
    try:
        config: Mapping[str, Any] = yaml.safe_load((root / CONFIG).read_text(encoding="utf-8"))
        sources = [*config["sources"].values(), *config.get("patterns", {}).values()]
        named = [source[key] for source in sources for key in ("path", "cache") if source.get(key)]
        for experiment in config.get("experiments", {}).values():
            named += filter(is_own_set, training_sets(experiment))
            prior = experiment.get("prior")
            named += [prior.get("of") if isinstance(prior, dict) else prior] if prior else []
    except (OSError, *_NO_RECORD):
        return []
    whole = root.resolve()
    paths = [Path(str(name)) for name in named]
    return [(path.relative_to(whole) if path.is_relative_to(whole) else path).as_posix() for path in paths]

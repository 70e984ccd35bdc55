"""A build as one folder that can be published: its files, a card, Croissant, an RO-Crate, checksums.

The folder is laid out as the checkout is. It holds every file that DVC recorded of the build, byte by byte,
and the workflow that made them. Its README.md is the dataset card.
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from xtinct.datasets.sharing import About, require_extra
from xtinct.errors import XtinctError
from xtinct.files.writing import naming, write_json, write_text, written_whole
from xtinct.project.configuration import CONFIG, read_yaml
from xtinct.project.verification import (
    LOCK,
    UNRECORDED,
    Verification,
    changed_inputs,
    recorded_stages,
    verify,
)
from xtinct.publication.build_card import build_card, build_croissant
from xtinct.publication.run_crate import CRATE, run_crate
from xtinct.publication.shared_files import PROVENANCE, SharedBuild, SharedFile, build_tables
from xtinct.sources.citations import citations

CARD, CROISSANT, SUMS = "README.md", "croissant.json", "SHA256SUMS"
#: Files and folders of a checkout that the workflow is made of. The documentation and the tests are not.
_PROJECT = (
    "CHANGELOG.md",
    "CITATION.cff",
    "LICENSE",
    "Makefile",
    "Snakefile",
    "config",
    "data/measured/.gitignore",
    "data/patterns",
    "data/prototypes",
    "dvc.lock",
    "dvc.yaml",
    "envs",
    "profiles",
    "pyproject.toml",
    "requirements.lock",
    "rules",
    "src",
    "workflow",
)


@dataclass(frozen=True)
class Sharing:
    """What `share` has done.

    files     that it wrote, relative to the folder
    bytes     of all of them
    left_out  files that lie among the build's and that nothing names
    """

    files: tuple[str, ...]
    bytes: int
    left_out: tuple[str, ...]


def share(
    out: str | Path,
    *,
    root: str | Path = ".",
    name: str = "xtinct-build",
    licence: str | None = None,
    published: str | None = None,
) -> Sharing:
    """Write the build below `root` into the folder `out`.

    name       on the card and in the metadata
    licence    identifier for the whole, for example cc-by-4.0; None: those of its rows
    published  YYYY-MM-DD; None: the day of the last commit, or that of SOURCE_DATE_EPOCH where it is set

    Equal builds give equal bytes. `out` may hold a build that was shared before, which is replaced, and
    nothing else but hidden files. Files that lie among the build's and that nothing names are left out.
    XtinctError if DVC has recorded no build, if a file, the code or the configuration is no longer as it was
    recorded, and for a folder that holds anything else or lies within the build.
    """
    root, out = Path(root), Path(out)
    require_extra()
    verdict = _as_recorded(root)
    config = read_yaml(root / CONFIG)
    about = About(name, licence, published or _day(root), citations(config.get("sources", {})))
    day = about.day()
    earlier = _earlier(root, out, verdict)
    made = verdict.files
    sources = {**dict.fromkeys(_of_the_project(root), ""), **made}
    files = tuple(_copied(root, out, path, stage) for path, stage in sorted(sources.items()))
    build = SharedBuild(
        folder=out,
        about=about,
        published=day,
        config=config,
        files=files,
        stages=tuple(recorded_stages(root)),
        tables=build_tables(out, [path for path in made if path.startswith("data/")]),
        provenance=json.loads((out / PROVENANCE).read_text("utf-8")) if PROVENANCE in made else {},
    )
    described = _describe(build)
    for path in earlier - {file.path for file in described}:
        (out / path).unlink(missing_ok=True)
    left = [d.path for d in verdict.differences if d.kind == UNRECORDED and not _is_in(d.path, out, root)]
    return Sharing(tuple(file.path for file in described), sum(file.size for file in described), tuple(left))


def _as_recorded(root: Path) -> Verification:
    """The files of the build, or XtinctError if anything is not as it was recorded."""
    verdict = verify(root)
    for difference in verdict.differences:
        if difference.kind != UNRECORDED:
            raise XtinctError(
                f"share: {difference.path} is {difference.kind} since the build was recorded "
                f"({difference.record}); `xtinct verify` shows every such file"
            )
    changed = changed_inputs(root)
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise XtinctError(
            f"share: {changed[0]}{more} changed since the build was recorded in {LOCK}; "
            "build again and record it (`snakemake all` and `xtinct snapshot`, or `dvc repro`)"
        )
    return verdict


def _day(root: Path) -> str | None:
    """Day of the last commit; None where the environment names one."""
    if "SOURCE_DATE_EPOCH" in os.environ:
        return None
    return _git(root, "log", "-1", "--format=%cs").strip() or None


def _of_the_project(root: Path) -> list[str]:
    """Files of the workflow: what git tracks of it, and the record of the build."""
    listed = _git(root, "ls-files", "-z", "--", *_PROJECT)
    names = {name for name in listed.split("\0") if name and (root / name).is_file()}
    return sorted({*names, LOCK})


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        raise XtinctError(
            f"share: {root.resolve()} is no git checkout with a commit; run in the checkout of the build"
        ) from None
    return done.stdout.decode(errors="surrogateescape")


def _earlier(root: Path, out: Path, verdict: Verification) -> set[str]:
    """Files of a build that was shared into `out` before; XtinctError for a folder of anything else."""
    place, checkout = out.resolve(), root.resolve()
    tops = {checkout / Path(path).parts[0] for path in verdict.files}
    if place == checkout or place in checkout.parents or any(top in (place, *place.parents) for top in tops):
        raise XtinctError(f"{out}: lies within the build or around it; name a folder of its own")
    found = {
        path.relative_to(out).as_posix()
        for path in (out.rglob("*") if out.is_dir() else ())
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(out).parts)
    }
    earlier = _listed(out) if found else set()
    for other in sorted(found - earlier):
        raise XtinctError(
            f"{out / other}: the folder of a shared build may hold no file that is not part of it; "
            "name a new or empty folder, or remove the file"
        )
    return found


def _listed(out: Path) -> set[str]:
    """Files that an earlier build in `out` consists of."""
    try:
        crate = json.loads((out / CRATE).read_text(encoding="utf-8"))
        sums = (out / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return set()
    ours = isinstance(crate, dict) and "@graph" in crate
    return {SUMS, *(line.partition("  ")[2] for line in sums)} if ours else set()


def _copied(root: Path, out: Path, path: str, stage: str) -> SharedFile:
    """Copy one file; what arrives is what is described."""
    with written_whole(out / path) as temporary, naming(root / path, "cannot be copied"):
        shutil.copyfile(root / path, temporary)
    return replace(_described(out, path), stage=stage)


def _described(out: Path, path: str) -> SharedFile:
    with (out / path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return SharedFile(path, digest, (out / path).stat().st_size, "")


def _describe(build: SharedBuild) -> Sequence[SharedFile]:
    """Write card, Croissant, crate and checksums; every file of the folder."""
    out = build.folder
    write_text(out / CARD, build_card(build))
    write_json(out / CROISSANT, build_croissant(build), sort_keys=False)
    descriptions = [_described(out, path) for path in (CARD, CROISSANT)]
    write_json(out / CRATE, run_crate(build, descriptions), sort_keys=False)
    files = sorted([*build.files, *descriptions, _described(out, CRATE)], key=lambda file: file.path)
    write_text(out / SUMS, _sums(files))
    return [*files, _described(out, SUMS)]


def _sums(files: Iterable[SharedFile]) -> str:
    return "".join(f"{file.sha256}  {file.path}\n" for file in files)


def _is_in(path: str, folder: Path, root: Path) -> bool:
    return folder.resolve() in (root / path).resolve().parents

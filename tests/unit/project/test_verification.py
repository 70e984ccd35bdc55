"""A build held against what DVC recorded of it: a real repository of DVC's, and faults put into it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from xtinct.errors import XtinctError
from xtinct.project import dvc_bridge
from xtinct.project.verification import Difference, verify

STAGES = """\
stages:
  ulbd:
    deps: [data/links/mine]
    cmd: mkdir -p data/ulbd && echo lines > data/ulbd/cubic.parquet && echo {} > data/ulbd/manifest.json
    outs: [data/ulbd]
  report:
    cmd: mkdir -p results && echo page > results/report.html && echo 1 > results/metrics.json
    deps: [data/ulbd]
    outs:
      - results/report.html
      - results/metrics.json: {cache: false}
"""


def run(*command, cwd):
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=True)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recorded")
    run("git", "init", "--quiet", cwd=folder)
    run("dvc", "init", "--quiet", cwd=folder)
    (folder / "dvc.yaml").write_text(STAGES)
    (folder / "data" / "links").mkdir(parents=True)
    (folder / "data" / "links" / "mine").symlink_to("../mine")
    (folder / "data" / "mine").mkdir()
    (folder / "data" / "mine" / "a.cif").write_text("of others")
    run("dvc", "repro", "--quiet", cwd=folder)
    (folder / "config").mkdir()
    (folder / "config" / "config.yaml").write_text(
        "sources: {mine: {kind: files, path: data/mine}, mp: {kind: mp, cache: data/fetched}}\n"
        "patterns: {scans: {kind: files, path: ./data/scans}, rruff: {kind: rruff, cache: data/rruff}}\n"
        "experiments: {one: {train: {data/theirs: 1, ulbd: 1}, prior: {of: data/prior.csv}}}\n"
    )
    given = ("data/fetched/1.json", "data/cache/listings/mine.parquet", "data/prototypes/README.md")
    theirs = ("data/scans/a.xy", "data/rruff/XY_RAW.zip", "data/theirs/cubic.parquet", "data/prior.csv")
    for name in (*given, *theirs):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("of others")
    run("git", "add", "--force", "data/prototypes/README.md", cwd=folder)
    return folder


@pytest.fixture
def build(recorded, tmp_path):
    return Path(shutil.copytree(recorded, tmp_path / "build", symlinks=True))


def flip(path):
    """Change one bit and keep size and time: DVC's own status would not look again."""
    times = path.stat()
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_a_build_as_it_was_recorded_has_no_difference(build):
    """Sources, sets of patterns, their caches and what git keeps are nobody's output."""
    verdict = verify(build)
    assert verdict.differences == ()
    assert verdict.checked == 4
    config = build / "config" / "config.yaml"
    config.write_text(config.read_text().replace("./data/scans", str(build / "data" / "scans")))
    assert verify(build).differences == ()


@pytest.mark.parametrize("listed", [True, False])
def test_missing_changed_and_unrecorded_files_are_named(build, listed):
    if not listed:  # a clone without the cache knows the folder's own digest alone
        shutil.rmtree(build / ".dvc" / "cache")
    flip(build / "data" / "ulbd" / "cubic.parquet")
    (build / "results" / "report.html").unlink()
    (build / "results" / "old.csv").write_text("")
    changed = "data/ulbd/cubic.parquet" if listed else "data/ulbd"
    assert verify(build).differences == (
        Difference("changed", changed, "ulbd"),
        Difference("unrecorded", "results/old.csv", ""),
        Difference("missing", "results/report.html", "report"),
    )


def test_without_the_cache_a_whole_folder_is_still_right(build):
    shutil.rmtree(build / ".dvc" / "cache")
    assert verify(build).differences == ()


def test_a_file_that_is_not_cached_counts_too(build):
    (build / "results" / "metrics.json").write_text("2")
    assert verify(build).differences == (Difference("changed", "results/metrics.json", "report"),)


def test_a_file_too_many_in_a_recorded_folder(build):
    (build / "data" / "ulbd" / "tetragonal.parquet").write_text("from elsewhere")
    assert verify(build).differences == (Difference("unrecorded", "data/ulbd/tetragonal.parquet", ""),)


def test_the_command_prints_each_and_ends_with_2(build):
    command = [sys.executable, "-m", "xtinct", "verify"]
    done = subprocess.run(command, cwd=build, capture_output=True, text=True, check=True)
    assert done.stdout == "4 files held against dvc.lock: 0 missing, 0 changed, 0 unrecorded\n"
    flip(build / "results" / "report.html")
    done = subprocess.run(command, cwd=build, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == "changed    results/report.html (report)\n"
    assert done.stderr == (
        "xtinct: error: verify: 4 files held against dvc.lock: 0 missing, 1 changed, 0 unrecorded\n"
    )
    done = subprocess.run([*command, "--json"], cwd=build, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)["differences"][0]["path"] == "results/report.html"


def test_without_a_record_there_is_nothing_to_hold_against(tmp_path):
    with pytest.raises(XtinctError, match=r"dvc\.lock: no such file, .* `xtinct snapshot` records a build"):
        verify(tmp_path)
    (tmp_path / "dvc.lock").write_text("stages: {a: {outs: [{path: x}]}}")
    with pytest.raises(XtinctError, match=r"dvc\.lock: not a lock file"):
        verify(tmp_path)


@pytest.mark.parametrize("text", ["stages: [", "[" * 100_000, "\0", "outs: 7", "outs: [{path: x}]", "7", ""])
def test_a_damaged_record_is_named(build, text):
    """Nothing is held against half a record."""
    (build / "data.dvc").write_text(text)
    with pytest.raises(XtinctError, match=r"data\.dvc: not a file of DVC; restore it with git"):
        verify(build)
    (build / "data.dvc").unlink()
    (build / "dvc.lock").write_text(text.replace("outs", "stages"))
    with pytest.raises(XtinctError, match=r"dvc\.lock: not a lock file of DVC"):
        verify(build)


def test_what_dvc_brought_from_a_damaged_cache_is_not_adopted(build, monkeypatch):
    """`dvc checkout` copies a file of its cache that has rotted, and `dvc status` finds nothing to say."""
    monkeypatch.chdir(build)
    dvc_bridge._refuse_damaged()
    flip(build / "data" / "ulbd" / "cubic.parquet")
    with pytest.raises(XtinctError, match=r"adopt: data/ulbd/cubic\.parquet is changed: .* pull again"):
        dvc_bridge._refuse_damaged()

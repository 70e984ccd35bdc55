import os
import subprocess
import sys
import time

import pytest

from xtinct.project.place import exit_if_from_the_future, exit_if_read_only, memory_limit


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("locked", [".", ".snakemake"])
def test_a_folder_that_cannot_be_written_is_named_with_what_to_do(tmp_path, capsys, locked):
    (tmp_path / ".snakemake").mkdir()
    exit_if_read_only(tmp_path)
    (tmp_path / locked).chmod(0o500)
    try:
        with pytest.raises(SystemExit) as stopped:
            exit_if_read_only(tmp_path)
    finally:
        (tmp_path / locked).chmod(0o700)
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str((tmp_path / locked).resolve()) in line
    assert "--directory" in line


def test_a_full_disk_stops_the_build_before_snakemake_writes_to_it(tmp_path):
    """A file system in memory, in a name space of mounts that ends with the process."""
    command = (
        "import os, subprocess, sys; from xtinct.project.place import exit_if_full\n"
        "subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=2m', 'x', sys.argv[1]], check=True)\n"
        "exit_if_full(sys.argv[1])\n"
        "open(f'{sys.argv[1]}/ballast', 'wb').write(b'x' * 2 * 2**20)\n"
        "exit_if_full(sys.argv[1])\n"
    )
    who = [] if os.geteuid() == 0 else ["--map-root-user"]
    if subprocess.run(["unshare", "--mount", *who, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no name spaces of mounts here")
    done = subprocess.run(
        ["unshare", "--mount", *who, sys.executable, "-c", command, tmp_path],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(f"xtinct: error: {tmp_path}: 0 bytes are free on its disk; make room")
    assert len(done.stderr.splitlines()) == 1


def test_more_jobs_than_processors_may_claim_the_memory_of_the_machine_and_no_more(capsys):
    processors = len(os.sched_getaffinity(0))
    assert memory_limit(processors) is None
    assert memory_limit(None) is None
    assert capsys.readouterr().err == ""
    with open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123
        kib = int(file.readline().split()[1])
    assert memory_limit(processors + 62) == pytest.approx(kib * 1.024e-3, rel=1e-3)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"xtinct: --cores {processors + 62} on {processors} processors")


def outputs(folder, ahead):
    """Files of a build, and seconds by which each is ahead of the clock."""
    for name, seconds in ahead.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
        os.utime(path, (time.time() + seconds,) * 2)


def test_outputs_newer_than_the_clock_stop_the_build_and_the_line_says_what_to_do(tmp_path, capsys):
    """What is made anew before them would be older, and they would be taken for made from it."""
    late = {"data/ulbd/cubic.parquet": 3600, "results/a b.json": 86400, "models/m/card.json": 60}
    outputs(tmp_path, {**late, "data/raw/a.parquet": -10, "data/links/a.json": 2})
    with pytest.raises(SystemExit) as stopped:
        exit_if_from_the_future(lambda path: True, (), tmp_path)
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("xtinct: error: results/a b.json and 2 more outputs: made at ")
    before = {path: path.stat().st_mtime for path in tmp_path.rglob("*.*")}
    subprocess.run(line[line.index("find ") :], shell=True, cwd=tmp_path, check=True)
    exit_if_from_the_future(lambda path: True, (), tmp_path)
    now = {path: path.stat().st_mtime for path in before}
    assert {
        path.relative_to(tmp_path).as_posix() for path in now if now[path] != before[path]
    } == late.keys() | {"data/links/a.json"}


def test_times_of_what_is_no_output_do_not_count(tmp_path):
    """Structures of one's own may have any times: their content counts."""
    outputs(tmp_path, {"data/mine/a.parquet": 3600, "data/notes.txt": 3600, "docs/x.parquet": 3600})
    exit_if_from_the_future(lambda path: path.endswith(".parquet"), [tmp_path / "data/mine"], tmp_path)
    with pytest.raises(SystemExit):
        exit_if_from_the_future(lambda path: path.endswith(".parquet"), (), tmp_path)

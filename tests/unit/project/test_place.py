import os

import pytest

from xtinct.project.place import exit_if_read_only, memory_limit


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

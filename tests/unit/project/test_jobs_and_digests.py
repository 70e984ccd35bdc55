"""What makes Snakemake run a job again, and how a job ends."""

import ast
import subprocess
import sys

import pytest

from xtinct.project import digests


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A small library in place of the real one: top -> middle -> bottom, and a bystander."""
    files = {
        "__init__.py": "from xtinct import bystander\n",
        "top.py": "from xtinct.inner import middle\n\n\ndef f():\n    return middle.g()\n",
        "bystander.py": "x = 1\n",
        "inner/__init__.py": "",
        "inner/middle.py": "def g():\n    from xtinct import bottom\n\n    return bottom.y\n",
        "inner/data/table.parquet": "numbers",
        "bottom.py": "y = 2\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(digests, "SOURCE", tmp_path)
    forget()
    yield tmp_path
    forget()


def forget():
    """As a new process: what it knows of files is what was kept."""
    for function in vars(digests).values():
        if hasattr(function, "cache_clear"):
            function.cache_clear()


def digest_after(path, text):
    path.write_text(text)
    forget()
    return digests.code_digest("xtinct.top")


def test_all_that_is_imported_counts_and_nothing_else(library):
    names = {path.relative_to(library).as_posix() for path in digests.source_files("xtinct.top")}
    assert names == {
        "top.py",
        "inner/__init__.py",
        "inner/middle.py",
        "inner/data/table.parquet",
        "bottom.py",
    }


@pytest.mark.parametrize(
    ("name", "text", "changes"),
    [
        ("bottom.py", "y = 3\n", True),
        ("bottom.py", "# why\ny = (\n    2\n)\n", False),
        ("bottom.py", '"""What it is for."""\n\ny = 2\n', False),
        ("inner/data/table.parquet", "other numbers", True),
        ("bystander.py", "x = 5\n", False),
        ("__init__.py", "", False),
    ],
)
def test_meaning_counts_and_layout_does_not(library, name, text, changes):
    before = digests.code_digest("xtinct.top")
    assert (digest_after(library / name, text) != before) == changes


def test_code_is_read_once_and_again_only_where_it_changed(library, monkeypatch):
    read, meaning = [], digests._meaning
    monkeypatch.setattr(digests, "_meaning", lambda tree: read.append(ast.unparse(tree)) or meaning(tree))
    before = digests.code_digest("xtinct.top")
    assert len(read) == 4
    assert digest_after(library / "bystander.py", "x = 7\n") == before
    assert len(read) == 4
    after = digest_after(library / "bottom.py", "y = 3\n")
    assert read[4:] == ["y = 3"]
    for kept in library.glob("__pycache__/digests.*.json"):
        for damaged in (kept.read_text()[:100], '{"by": 1}', '{"by": "x", "files": {}}', "[]"):
            kept.write_text(damaged)
            forget()
            assert digests.code_digest("xtinct.top") == after
    assert len(read) == 5 + 4 * 4


def test_digests_need_no_place_to_be_kept(library):
    (library / "__pycache__").write_text("a file where the folder would be: not even root can write there")
    before = digests.code_digest("xtinct.top")
    assert digest_after(library / "bottom.py", "y = 3\n") != before
    assert digest_after(library / "bottom.py", "y = 2\n") == before


def test_a_module_that_does_not_exist_is_a_mistake_of_the_rule():
    with pytest.raises(ValueError, match=r"xtinct\.nowhere"):
        digests.code_digest("xtinct.nowhere")


def test_jobs_and_digests_load_nothing_compiled():
    """cctbx crashes a process that loaded numba, gemmi or torch; its job imports this module."""
    check = (
        "import sys, xtinct.project.job, xtinct.project.digests, xtinct.errors;"
        "print({'numpy', 'numba', 'gemmi', 'torch', 'pyarrow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def run_job(log, body):
    """Run `body` as a workflow script does."""
    script = (
        "import logging\nfrom xtinct.errors import XtinctError\nfrom xtinct.project.job import job\n"
        f"with job([{str(log)!r}]):\n    logging.getLogger('xtinct').info('reading')\n    {body}\n"
    )
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)


def test_a_job_that_meets_bad_input_ends_with_one_line(tmp_path):
    log = tmp_path / "logs" / "job.log"
    done = run_job(log, "raise XtinctError('mine.cif: no atoms')")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "xtinct: error: mine.cif: no atoms"
    written = log.read_text()
    assert written.splitlines()[-1] == "error: mine.cif: no atoms"
    assert "reading" in written
    assert "Traceback" not in done.stderr + written


def test_a_job_without_memory_ends_with_one_line_that_says_how_much_it_asked_for(tmp_path):
    """Under a limit of the address space, as batch systems set it."""
    log = tmp_path / "job.log"
    limit = "import resource, numpy; resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31)); "
    done = run_job(log, limit + "numpy.ones(2**29)")
    assert done.returncode == 2
    expected = "not enough memory (Unable to allocate 4.00 GiB for an array with shape (536870912,) "
    assert expected in done.stderr.splitlines()[-1]
    assert log.read_text().splitlines()[-1].startswith("error: " + expected)
    assert "Traceback" not in done.stderr


def test_a_job_that_meets_a_bug_keeps_its_traceback(tmp_path):
    log = tmp_path / "job.log"
    done = run_job(log, "1 / 0")
    assert done.returncode == 1
    for text in (done.stderr, log.read_text()):
        assert "Traceback" in text
        assert "ZeroDivisionError" in text


def test_a_job_that_ends_well_keeps_its_messages(tmp_path):
    log = tmp_path / "job.log"
    assert run_job(log, "pass").returncode == 0
    assert log.read_text().endswith("reading\n")


def test_a_log_is_new_and_keeps_what_several_processes_write(tmp_path):
    """A child appends to the log, then the job fails: its last line stands after the child's."""
    log = tmp_path / "job.log"
    log.write_text("of the job before\n")
    body = f"open({str(log)!r}, 'a').write('of a child\\n'); raise XtinctError('process 1 of 2: no atoms')"
    assert run_job(log, body).returncode == 2
    lines = log.read_text().splitlines()
    assert lines[0].endswith("reading")
    assert lines[1:] == ["of a child", "error: process 1 of 2: no atoms"]


def test_a_job_does_not_load_pandas_until_somebody_asks_for_it(tmp_path):
    """pyarrow loads it at the first array, half a second of every job."""
    script = (
        "import sys\nimport pyarrow\nfrom xtinct.project.job import job\n"
        f"with job([{str(tmp_path / 'log')!r}]):\n"
        "    table = pyarrow.table({'a': [1, 2]})\n"
        "    print('pandas' in sys.modules)\n"
        "    print(table.to_pandas()['a'].sum())\n"
        "    import pandas\n"
        "    print(pyarrow.array(pandas.Series([1.0, None])).null_count)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "3", "1"]

"""What stands on the disk: whole files, their permissions, a full disk, and bytes that have changed."""

import ast
import csv
import json
import os
import re
import resource
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import xtinct
from xtinct.errors import XtinctError
from xtinct.files.parquet import file_metadata, open_parquet, parquet_writer, read_table, write_parquet
from xtinct.files.writing import csv_text, write_csv, write_json, write_text, written_whole

SCHEMA = pa.schema([pa.field("sample_id", pa.string()), pa.field("d_star", pa.list_(pa.float32()))])


def table(rows=300):
    rng = np.random.default_rng(1)
    ids = [f"{i:04d}" for i in range(rows)]
    return pa.table({"sample_id": ids, "d_star": list(rng.random((rows, 20), np.float32))}, schema=SCHEMA)


def run(code, folder, *, limit=None):
    """Run a program in `folder`, whose files may grow to `limit` bytes: the disk is full beyond that."""

    def limited():
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limited,
        env={**os.environ, "NUMBA_CACHE_DIR": str(folder / "compiled"), "PYTHONDONTWRITEBYTECODE": "1"},
    )


@pytest.fixture
def umask():
    """Set the umask to what a test asks for, and set it back."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664), (0o000, 0o666)])
def test_the_umask_decides_who_may_read_a_file(tmp_path, umask, mask, mode):
    from xtinct.learning.card import write_tensors

    umask(mask)
    write_text(tmp_path / "a.json", "{}")
    write_parquet(tmp_path / "a.parquet", [table()], SCHEMA)
    write_tensors(tmp_path / "a.safetensors", {}, {})
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"a.json": mode, "a.parquet": mode, "a.safetensors": mode}


def test_a_file_that_cannot_be_ended_leaves_the_one_before(tmp_path):
    path = tmp_path / "a.json"
    write_text(path, "before")

    def half(path):
        with written_whole(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        half(path)
    assert path.read_text() == "before"
    assert [left.name for left in tmp_path.iterdir()] == ["a.json"]


WRITERS = {
    "table.parquet": "write_parquet(path, [table], table.schema)",
    "text.txt": "write_text(path, 'x' * 9000)",
    "records.json": "write_json(path, list(range(9000)))",
    "rows.csv": "write_csv(path, [{'x': i} for i in range(9000)])",
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_one_line_with_the_files_name_and_leaves_nothing(tmp_path, name):
    code = (
        "import pyarrow as pa\nfrom xtinct.files.writing import write_csv, write_json, write_text\n"
        "from xtinct.files.parquet import write_parquet\ntable = pa.table({'x': list(range(9000))})\n"
        f"from xtinct.project.job import one_line_errors\npath = 'out/{name}'\n"
        f"with one_line_errors():\n    {WRITERS[name]}\n"
    )
    done = run(code, tmp_path, limit=1000)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"xtinct: error: out/{name}: cannot be written (File too large)\n"
    assert list((tmp_path / "out").iterdir()) == []


def test_a_job_on_a_full_disk_ends_with_one_line_whatever_wrote(tmp_path):
    """A library's own write, of whose file nothing is known but what the system says."""
    code = (
        "from pathlib import Path\nfrom xtinct.project.job import job\n"
        "with job(['job.log']):\n    Path('other.bin').write_bytes(b'x' * 9000)\n"
    )
    done = run(code, tmp_path, limit=1000)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("xtinct: error: ")
    assert done.stderr.splitlines()[-1].endswith("File too large")


def test_files_that_are_open_at_once_hold_what_each_was_given(tmp_path):
    """The bytes depend neither on the sizes of the batches nor on what is written beside them."""
    rows = table(2500)
    with (
        parquet_writer(tmp_path / "a.parquet", SCHEMA, {"seed": 1}, group_rows=1000) as a,
        parquet_writer(tmp_path / "b.parquet", SCHEMA, {"seed": 1}, group_rows=1000) as b,
    ):
        for batch in rows.to_batches(max_chunksize=7):
            a.write(batch)
        b.write(rows)
        assert not (tmp_path / "a.parquet").exists()
    assert a.rows == b.rows == 2500
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert read_table(tmp_path / "a.parquet").equals(rows)
    groups = open_parquet(tmp_path / "a.parquet").metadata
    assert [groups.row_group(i).num_rows for i in range(groups.num_row_groups)] == [1000, 1000, 500]


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_long_texts_make_smaller_row_groups_whatever_the_batches(tmp_path, monkeypatch, batch):
    """What is held in memory is bounded in bytes; Arrow itself holds 2 GiB of a column at most."""
    monkeypatch.setattr("xtinct.files.parquet.ROW_GROUP_TEXT", 1000)
    texts = ["a" * 300] * 7 + ["b" * 5000] + ["c"] * 50 + [None] + ["d" * 1000] * 2
    rows = pa.table({"number": range(len(texts)), "cif": texts})
    path = tmp_path / "texts.parquet"
    with parquet_writer(path, rows.schema, group_rows=40) as writer:
        for first in range(0, rows.num_rows, batch):
            writer.write(rows.slice(first, batch))
    file = open_parquet(path)
    groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert groups == [3, 3, 1, 1, 40, 11, 1, 1]
    assert file.read() == rows


def test_a_fault_while_files_are_open_leaves_none_of_them(tmp_path):
    other = pa.table({"sample_id": ["a"]})
    with pytest.raises(ValueError, match="d_star"), parquet_writer(tmp_path / "a.parquet", SCHEMA) as a:
        a.write(other)
    assert list(tmp_path.iterdir()) == []


def test_rows_come_back_from_csv_as_they_were(tmp_path):
    """What Python's own reader finds, and line ends that no system changes."""
    rows = [{"name": 'a, "b"', "value": 0.1}, {"name": "two\nlines", "value": None}]
    write_csv(tmp_path / "rows.csv", rows)
    with (tmp_path / "rows.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.DictReader(file)) == [
            {"name": 'a, "b"', "value": "0.1"},
            {"name": "two\nlines", "value": ""},
        ]
    assert (tmp_path / "rows.csv").read_bytes().count(b"\r") == 0
    assert csv_text(rows[:1], ["value", "name"]).splitlines()[0] == "value,name"
    write_csv(tmp_path / "none.csv", [])
    assert (tmp_path / "none.csv").read_bytes() == b""


def test_json_has_sorted_keys_and_ends_its_last_line(tmp_path):
    content = {"b": [1, 2.5], "a": {"θ": None}}
    write_json(tmp_path / "a.json", content)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == content
    assert list(json.loads(text)) == ["a", "b"]
    assert text.endswith("}\n")
    assert text.isascii()


def test_a_folder_in_which_nothing_can_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    for write in (write_text, lambda path, _: write_parquet(path, [table()], SCHEMA)):
        with pytest.raises(
            XtinctError, match=r"file/a\.parquet: cannot be written \((Not a directory|File exists)"
        ):
            write(tmp_path / "file" / "a.parquet", "")


def test_no_flipped_byte_gives_other_values(tmp_path):
    """Every 7th byte in turn: the file is refused by name, or what it holds is what was written."""
    path = tmp_path / "lines.parquet"
    write_parquet(path, [table()], SCHEMA, {"seed": 1})
    whole, expected = path.read_bytes(), read_table(path)
    footer = len(whole) - int.from_bytes(whole[-8:-4], "little") - 8
    refused, said, wrong = 0, set(), []
    for at in range(0, footer, 7):
        torn = bytearray(whole)
        torn[at] ^= 0x10
        path.write_bytes(torn)
        try:
            if not read_table(path).equals(expected):
                wrong.append(at)
        except XtinctError as error:
            refused += 1
            said.add(str(error))
    assert wrong == []
    assert refused > 0.9 * footer / 7
    for text in said:
        assert text.startswith(f"{path}: not a readable Parquet file (")
        assert "\n" not in text


@pytest.mark.parametrize("size", [0, 3, 8, 100, -1])
def test_a_torn_file_is_refused_by_name(tmp_path, size):
    path = tmp_path / "torn.parquet"
    write_parquet(path, [table()], SCHEMA)
    path.write_bytes(path.read_bytes()[:size])
    for read in (open_parquet, read_table, file_metadata):
        with pytest.raises(XtinctError, match=r"torn\.parquet: not a readable Parquet file"):
            read(path)


#: The places that write otherwise, and why.
OTHERWISE = {
    ("files/writing.py", "write_bytes"): "writes to the hidden file",
    ("files/parquet.py", "ParquetWriter"): "writes to the hidden file",
    ("files/parquet.py", "write_table"): "of that writer",
    ("sources/listing.py", "write_table"): "writes to the hidden file",
    ("project/job.py", "write_bytes"): "a log, which grows",
    ("auditing/pattern_sources.py", "open"): "a lock, which stays empty",
    ("app/serving.py", "open"): "an upload, in a temporary folder of the process",
}
_CALLS = (
    "write_text", "write_bytes", "write_table", "to_csv", "to_json", "to_parquet", "savefig", "savez",
    "save_file", "ParquetWriter", "tofile", "savetxt",
)  # fmt: skip
#: Names of our own that write whole.
OURS = ("write_text", "write_bytes")


def _writes(tree):
    """Names of the calls that write a file under its own name."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        method = isinstance(call.func, ast.Attribute)
        words = [
            arg.value
            for arg in [*call.args, *(k.value for k in call.keywords)]
            if isinstance(arg, ast.Constant)
        ]
        if name in ("open", "fdopen"):
            # "rb" is no writing; archive.open(name) has no mode.
            if any(
                isinstance(word, str) and re.fullmatch(r"[wax+][bt+]*|r[bt]?\+[bt]?", word) for word in words
            ):
                yield "open"
        elif name in _CALLS and (method or name not in OURS):
            target = call.args[0] if call.args else None
            in_memory = isinstance(target, ast.Name) and target.id in ("buffer", "text", "stream")
            if not (in_memory or (name in ("to_csv", "to_json") and not call.args)):
                yield name


def test_every_output_is_written_whole():
    """No module opens a file under its own name for writing: `written_whole` and what is built on it do."""
    source = Path(xtinct.__file__).parent
    found = {
        (path.relative_to(source).as_posix(), name)
        for path in source.rglob("*.py")
        for name in _writes(ast.parse(path.read_text(encoding="utf-8")))
    }
    found |= {
        (f"workflow/{path.name}", name)
        for path in (source.parents[1] / "workflow").rglob("*.py")
        for name in _writes(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found == set(OTHERWISE)

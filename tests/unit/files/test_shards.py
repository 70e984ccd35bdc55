"""Cutting and joining tables."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xtinct.errors import XtinctError
from xtinct.files.parquet import open_parquet, read_batches, write_parquet
from xtinct.files.shards import Shard, iter_rows, merge_shards

SCHEMA = pa.schema([pa.field("sample_id", pa.string()), pa.field("value", pa.int64())])


def write(path, ids):
    table = pa.table({"sample_id": ids, "value": [len(i) for i in ids]}, schema=SCHEMA)
    write_parquet(path, [table], SCHEMA)
    return path


@given(st.integers(0, 300), st.integers(1, 40))
def test_shards_cover_every_row_once(n, shards):
    parts = [Shard(shard, shards).rows(n) for shard in range(shards)]
    assert [row for part in parts for row in part] == list(range(n))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("shard", [-1, 3])
def test_a_shard_that_does_not_exist(shard):
    with pytest.raises(XtinctError, match="shard"):
        Shard(shard, 3)


@pytest.mark.parametrize(
    "rows", [range(0), range(3), range(2, 9), range(9000, 9001), range(4095, 4097), range(10_000)]
)
def test_rows_of_a_range(tmp_path, rows):
    path = write(tmp_path / "all.parquet", [f"{i:05d}" for i in range(10_000)])
    ids = [i for batch in iter_rows(path, rows, ["sample_id"], batch_size=1000) for i in batch[0].to_pylist()]
    assert ids == [f"{i:05d}" for i in rows]


@pytest.mark.parametrize("shards", [1, 2, 7])
@pytest.mark.parametrize("interleaved", [False, True])
def test_bytes_do_not_depend_on_the_shards(tmp_path, shards, interleaved):
    ids = [f"{i:05d}" for i in range(9000)]
    cut = [
        ids[s::shards] if interleaved else [ids[i] for i in Shard(s, shards).rows(9000)]
        for s in range(shards)
    ]
    parts = [write(tmp_path / f"{s}.parquet", part) for s, part in enumerate(cut)]
    out = tmp_path / "out.parquet"
    assert merge_shards(parts[::-1], out, schema=SCHEMA, metadata={"seed": 1}) == 9000
    whole = tmp_path / "whole.parquet"
    table = pa.table({"sample_id": ids, "value": [5] * 9000}, schema=SCHEMA)
    write_parquet(whole, [table], SCHEMA, {"seed": 1})
    assert out.read_bytes() == whole.read_bytes()


def test_empty_shards_are_welcome(tmp_path):
    parts = [write(tmp_path / "a.parquet", []), write(tmp_path / "b.parquet", ["x"])]
    assert merge_shards(parts, tmp_path / "out.parquet", schema=SCHEMA) == 1
    assert merge_shards(parts[:1], tmp_path / "none.parquet", schema=SCHEMA) == 0
    assert pq.read_table(tmp_path / "none.parquet").schema.names == SCHEMA.names


def test_faults_are_named(tmp_path):
    good = write(tmp_path / "good.parquet", ["a", "b"])
    out = tmp_path / "out.parquet"
    for name, ids in (("unordered", ["c", "a"]), ("twice", ["b"]), ("repeated", ["d", "d"])):
        bad = write(tmp_path / f"{name}.parquet", ids)
        with pytest.raises(XtinctError, match=r"\.parquet"):
            merge_shards([good, bad], out, schema=SCHEMA)
    other = tmp_path / "other.parquet"
    pq.write_table(pa.table({"sample_id": ["z"]}), other)
    with pytest.raises(XtinctError, match=r"other\.parquet: column 'value' is missing"):
        merge_shards([good, other], out, schema=SCHEMA)
    with pytest.raises(XtinctError, match=r"gone\.parquet: no such file"):
        merge_shards([tmp_path / "gone.parquet"], out, schema=SCHEMA)
    (tmp_path / "torn.parquet").write_bytes(good.read_bytes()[:-20])
    with pytest.raises(XtinctError, match=r"torn\.parquet"):
        merge_shards([tmp_path / "torn.parquet"], out, schema=SCHEMA)
    assert not out.exists()
    assert not list(tmp_path.glob(".*"))


def test_what_a_killed_job_left_goes_when_the_job_runs_again(tmp_path):
    code = f"""
import os, pyarrow as pa
from pathlib import Path
from xtinct.files.parquet import open_parquet, read_batches, write_parquet
def tables():
    yield pa.table({{"x": list(range(9000))}})
    os.kill(os.getpid(), 9)
write_parquet(Path({str(tmp_path)!r}) / "a.parquet", tables(), pa.schema([("x", pa.int64())]))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".a.parquet.")
    other = write(tmp_path / "b.parquet", ["x"])
    assert left.exists()
    whole = write(tmp_path / "a.parquet", ["x", "y"])
    assert sorted(tmp_path.iterdir()) == [whole, other]


@pytest.mark.parametrize("mapped", [False, True])
def test_memory_does_not_grow_with_the_file(tmp_path, mapped):
    schema = pa.schema([pa.field("sample_id", pa.string()), pa.field("noise", pa.binary(256))])
    rng = np.random.default_rng(1)
    groups, rows = 40, 4096  # 40 MB that no codec makes smaller

    def tables():
        for group in range(groups):
            ids = [f"{group * rows + row:08d}" for row in range(rows)]
            noise = [rng.bytes(256) for _ in range(rows)]
            yield pa.table({"sample_id": ids, "noise": noise}, schema=schema)

    write_parquet(tmp_path / "t.parquet", tables(), schema)
    before, most, seen = pa.total_allocated_bytes(), 0, 0
    for batch in read_batches(open_parquet(tmp_path / "t.parquet", mapped), 512):
        most, seen = max(most, pa.total_allocated_bytes() - before), seen + batch.num_rows
    assert seen == groups * rows
    assert most < 10e6

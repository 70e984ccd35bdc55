"""The smallest build, by Snakemake and by DVC, in temporary clones: whole, repeated, changed, carried on."""

import base64
import csv
import json
import os
import re
import signal
import subprocess
import time
import urllib.parse

import datasets
import pyarrow.parquet as pq
import pytest
import yaml

from xtinct.files import schema

pytestmark = pytest.mark.workflow

#: What differs between two runs without meaning anything.
CLOCK = (
    "seconds",
    "seconds_90",
    *(f"patterns_per_second_{on}_{what}" for on in ("cpu", "gpu") for what in ("1", "256", "lines")),
)


def without_clock(text):
    return [{k: v for k, v in record.items() if k not in CLOCK} for record in json.loads(text)]


def tables(clone):
    """Every Parquet file that the pipeline makes: not the embedded source, nor listings with their times."""
    found = {**clone.files("data/**/*.parquet"), **clone.files("results/**/*.parquet")}
    return {
        path: content
        for path, content in found.items()
        if not path.startswith(("data/prototypes/", "data/cache/"))
    }


@pytest.fixture(scope="module")
def pulled(built, tmp_path_factory):
    """A fresh git clone of the build with its data from a DVC remote, adopted by Snakemake."""
    remote, path = tmp_path_factory.mktemp("remote"), tmp_path_factory.mktemp("pulled")
    built.run("dvc", "remote", "add", "--local", "--default", "folder", remote)
    built.run("dvc", "push")
    built.run("git", "clone", "--quiet", built.path, path)
    clone = built.elsewhere(path)
    clone.run("dvc", "remote", "add", "--local", "--default", "folder", remote)
    assert clone.stale_stages(), "nothing is there before the pull"
    clone.run("dvc", "pull")
    clone.run("xtinct", "adopt")
    return clone


def test_snakemake_makes_everything_and_has_nothing_to_do_then(built):
    assert built.snakemake_would_run() == set()
    assert list(built.path.glob("shards/**/*.*")) == [], "intermediate files are removed"
    assert (built.path / "results" / "report.html").stat().st_size > 10_000


def test_every_structure_is_accounted_for_in_every_stage(built):
    def rows(path):
        return pq.ParquetFile(built.path / path).metadata.num_rows

    received = rows("data/prototypes/aflow_prototypes.parquet")
    accepted = rows("data/structures/structures.parquet")
    assert received == rows("data/raw/aflow.parquet") == 1091
    assert accepted + rows("data/structures/quarantine.parquet") == received
    families = ("cubic", "tetragonal", "trigonal-hexagonal")
    lines = sum(rows(f"data/cddd/{family}.parquet") for family in families)
    assert lines + rows("data/cddd/quarantine.parquet") == accepted
    # 3 crystals for each of the 36 cubic, 68 tetragonal and 52 trigonal and hexagonal groups (ITA).
    generated = sum(rows(f"data/gcdd/{family}.parquet") for family in families)
    assert generated + rows("data/gcdd/quarantine.parquet") == 3 * (36 + 68 + 52)
    # 20 cubic lattices with 2 draws, 4 x 3 tetragonal lattices of the mesh with a != c, 10 hexagonal ones.
    counted = {family: rows(f"data/ulbd/{family}.parquet") for family in families}
    assert counted == {"cubic": 36 * 20 * 2, "tetragonal": 68 * 12, "trigonal-hexagonal": 52 * 10}


def test_line_lists_share_one_schema_and_are_ordered(built):
    for dataset in schema.DATASETS:
        for path in (built.path / "data" / dataset).glob("*.parquet"):
            if path.stem in ("quarantine", "structures"):
                continue
            table = pq.read_table(path)
            schema.check_table(table, schema.LINES, str(path))
            ids = table["sample_id"].to_pylist()
            assert ids == sorted(set(ids)), path


def test_dvc_has_nothing_to_do_after_a_snapshot(built):
    assert built.stale_stages() == set()
    repeated = built.run("dvc", "repro")
    assert "Running stage" not in repeated.stdout
    assert "Data and pipelines are up to date" in repeated.stdout + repeated.stderr


def test_push_clone_pull_and_adopt_leave_nothing_to_do(built, pulled):
    assert pulled.snakemake_would_run() == set()
    assert pulled.stale_stages() == set()
    assert tables(pulled) == tables(built)


def test_snapshot_refuses_outputs_that_are_out_of_date_and_adopt_those_that_are_not_dvcs(built):
    config = built.path / "config" / "config.yaml"
    text = config.read_text()
    try:
        config.write_text(text.replace("batch_size: 64", "batch_size: 128"))
        refused = built.run("xtinct", "snapshot", check=False)
        assert refused.returncode == 2
        assert refused.stderr.startswith("xtinct: error: snapshot: the outputs are not up to date (to run: ")
        assert "train" in refused.stderr
        refused = built.run("xtinct", "adopt", check=False)
        assert refused.returncode == 2
        assert "adopt: " in refused.stderr
        assert "DVC stages are out of date" in refused.stderr
    finally:
        config.write_text(text)
    assert built.stale_stages() == set()


def test_a_changed_training_key_makes_models_and_what_follows_again_and_nothing_else(pulled):
    before = pulled.files("data/**/*.*")
    config = pulled.path / "config" / "config.yaml"
    config.write_text(config.read_text().replace("learning_rate: 0.002", "learning_rate: 0.003"))
    experiments = yaml.safe_load(config.read_text())["experiments"]
    again = {f"{stage}@{name}" for stage in ("train", "evaluate") for name in experiments}
    # DVC looks at the params of a stage first; what follows from other outputs shows when it runs.
    follows = {"observer", "measured_networks", "report"}
    assert {f"train@{name}" for name in experiments} <= pulled.stale_stages() <= again | follows
    rules = {"train_model", *(f"evaluate_model-{name}" for name in experiments), "hybrid", "report"}
    assert pulled.snakemake_would_run() == rules

    # One experiment stands for all of them.
    ran = pulled.run("dvc", "repro", "evaluate@gcdd").stdout
    stages = {line.split("'")[1] for line in ran.splitlines() if line.startswith("Running stage")}
    assert stages == {"train@gcdd", "evaluate@gcdd"}
    assert follows <= pulled.stale_stages() <= again - stages | follows
    assert pulled.snakemake_would_run("evaluate-gcdd") == set(), "what DVC ran, Snakemake takes as up to date"
    assert pulled.files("data/**/*.*") == before


def test_one_core_other_shards_and_dvc_give_the_same_bytes(built, new_clone):
    clone = new_clone(lambda text: text.replace("shards: 2", "shards: 3"))
    clone.run("dvc", "repro", "cddd", "ulbd", "gcdd", cores=1)
    assert clone.snakemake_would_run("gcdd") == set()
    assert "Running stage" not in clone.run("dvc", "repro", "cddd", "ulbd", "gcdd").stdout
    clone.run("snakemake", "--cores", "1", "evaluate-gcdd", cores=1)
    ours, theirs = tables(clone), tables(built)
    assert {path.split("/")[1] for path in ours} >= {"structures", "cddd", "ulbd", "gcdd", "evaluation"}
    assert [path for path in ours if ours[path] != theirs[path]] == []
    records = clone.files("results/evaluation/**/*.json")
    assert len(records) == 2
    for path, text in records.items():
        there = (built.path / path).read_text()
        assert without_clock(text) == without_clock(there), "the same seed gives the same metrics"


@pytest.mark.slow
def test_dvc_alone_makes_everything(built, new_clone):
    clone = new_clone()
    clone.run("dvc", "repro")
    assert clone.snakemake_would_run() == set()
    assert "Running stage" not in clone.run("dvc", "repro").stdout
    assert tables(clone) == tables(built)


def test_a_stage_does_not_take_a_stale_shard_for_its_own(new_clone):
    """Shards of a killed run under another configuration must not end up in a dataset of DVC's."""
    clone = new_clone()
    clone.run("snakemake", "--cores", "2", "--notemp", "shards/ulbd/cubic/0000.parquet")
    assert (clone.path / "shards/ulbd/cubic/0000.parquet").exists()
    clone.write_config(lambda text: text.replace("count: 20, draws: 2", "count: 15, draws: 1"))
    clone.run("dvc", "repro", "ulbd")
    assert pq.ParquetFile(clone.path / "data/ulbd/cubic.parquet").metadata.num_rows == 36 * 15


def test_a_killed_run_leaves_no_half_file_and_ends_well_when_repeated(built, new_clone):
    clone = new_clone()
    run = subprocess.Popen(
        ["snakemake", "--cores", "2", "ulbd"],
        cwd=clone.path,
        env=clone.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 300
    while not list(clone.path.glob("shards/ulbd/*/*.parquet")):
        assert run.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    for path in [*clone.path.glob("shards/**/*.parquet"), *clone.path.glob("data/ulbd/*.parquet")]:
        pq.read_table(path)  # whole, or not there
    clone.run("snakemake", "--unlock")
    clone.run("snakemake", "--cores", "2", "ulbd")
    assert clone.files("data/ulbd/*") == built.files("data/ulbd/*")


def test_dvc_and_snakemake_show_the_numbers_of_the_report(built, tmp_path):
    results = built.path / "results"
    made = [results / name for name in ("report.html", "metrics.json")]
    made += [results / "plots" / f"{name}.csv" for name in ("accuracy", "training", "confusion", "counts")]
    built.run("snakemake", "--report", tmp_path / "snakemake.html")
    page = (tmp_path / "snakemake.html").read_text()
    shown = dict(re.findall(r"filename=([^;]*);base64,([A-Za-z0-9+/=]+)", page))
    assert {path.name: base64.b64decode(shown[path.name]) for path in made} == {
        path.name: path.read_bytes() for path in made
    }
    shown = json.loads(built.ask("dvc", "metrics", "show", "--json").stdout)[""]["data"]
    assert {path.rpartition("/")[2]: of["data"] for path, of in shown.items()} == {
        path.name: json.loads(path.read_text()) for path in (results / "summary").glob("*.json")
    }
    built.run("dvc", "plots", "show", "--out", tmp_path / "dvc")
    drawn = (tmp_path / "dvc" / "index.html").read_text()
    assert "results/plots/accuracy.csv" in drawn
    rows = csv.DictReader((results / "plots" / "accuracy.csv").read_text().splitlines())
    assert next(rows)["accuracy"] in drawn


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("symprec: 0.01", "symprek: 0.01"), "unknown key cleaning.symprek; did you mean symprec?"),
        (("shards: 2", "shards: two"), "shards = 'two': must be a whole number"),
        (("warmup: 0.12", "warmup: 1.2"), "train.warmup = 1.2: must be at least 0 and less than 1"),
        (("seed: 20260101", "seed: [1, 2"), "not valid YAML"),
    ],
)
def test_a_wrong_configuration_stops_both_tools_before_any_job_with_one_line(new_clone, change, expected):
    clone = new_clone(lambda text: text.replace(*change))
    stopped = clone.ask("snakemake", "--cores", "1", "all", check=False)
    assert stopped.returncode == 2
    lines = [
        line for line in stopped.stderr.splitlines() if not line.startswith("Using workflow specific profile")
    ]
    assert len(lines) == 1, stopped.stderr
    assert lines[0].startswith("xtinct: error: config/config.yaml: ")
    assert expected in lines[0]
    assert not (clone.path / "data" / "raw").exists()


def test_an_empty_source_stops_with_one_line_that_names_it(new_clone):
    source = "\nsources:\n  mine:\n    kind: files\n    path: data/mine\n"
    clone = new_clone(lambda text: text.replace("\nsources:\n", source, 1))
    (clone.path / "data" / "mine").mkdir()
    stopped = clone.run("snakemake", "--cores", "1", "fetch", check=False)
    assert stopped.returncode == 1
    assert "xtinct: error: sources.mine: the source holds no structure" in stopped.stderr.splitlines()
    assert "Traceback" not in stopped.stderr
    assert not (clone.path / "data" / "raw" / "mine.parquet").exists()


def test_dvc_stops_at_a_wrong_configuration_too(new_clone):
    clone = new_clone(lambda text: text.replace("symprec: 0.01", "symprek: 0.01"))
    stopped = clone.ask("dvc", "repro", check=False)
    assert stopped.returncode != 0
    assert "unknown key cleaning.symprek" in stopped.stdout + stopped.stderr
    assert not (clone.path / "data" / "raw").exists()


def test_another_configuration_file_stands_in_as_a_whole(built):
    """Nothing of config.yaml shows through a file given with --configfile."""
    other = built.path.parent / "other.yaml"
    config = yaml.safe_load((built.path / "config" / "config.yaml").read_text())
    del config["experiments"]["cddd"]
    other.write_text(yaml.safe_dump(config))
    planned = built.ask("snakemake", "-n", "--forceall", "--configfile", other, "--", "all")
    assert "models/ulbd/" in planned.stdout + planned.stderr
    assert "models/cddd/" not in planned.stdout + planned.stderr


def test_a_build_is_verified_and_shared_as_it_stands(built, tmp_path):
    """The whole record is in the folder: every recorded file, every stage with what it read and made."""
    out = tmp_path / "shared"
    assert " 0 missing, 0 changed, 0 unrecorded" in built.run("xtinct", "verify").stdout
    said = built.run("xtinct", "share", out, "--date", "2026-11-01").stdout
    assert "left out" not in said
    subprocess.run(["sha256sum", "--check", "--quiet", "--strict", "SHA256SUMS"], cwd=out, check=True)
    recorded = yaml.safe_load((built.path / "dvc.lock").read_text())["stages"]
    graph = {each["@id"]: each for each in json.loads((out / "ro-crate-metadata.json").read_text())["@graph"]}
    for name, stage in recorded.items():
        action = graph["#stage/" + urllib.parse.quote(name, safe="")]
        results = action.get("result", [])
        results = results if isinstance(results, list) else [results]
        # A folder that no job fills, data/apart of experiments that nobody asks for, has nothing to share.
        made = {each["path"] for each in stage["outs"] if each.get("size", 1)}
        assert {each["@id"].rstrip("/") for each in results} == made
        assert made or name == "apart"
    for path, content in built.files("data/*/*.parquet").items():
        if not path.startswith(("data/cache/", "data/prototypes/", "data/patterns/")):
            assert (out / path).read_bytes() == content, path
    versions = {each["name"] for each in graph.values() if each["@type"] == "SoftwareApplication"}
    assert {"python", "numpy", "numba", "torch", "snakemake", "dvc"} <= versions
    header = yaml.safe_load((out / "README.md").read_text().split("---\n")[1])
    files = [file["path"] for config in header["configs"] for file in config["data_files"]]
    assert {"data/ulbd/cubic.parquet", "data/cddd/cubic.parquet", "data/structures/structures.parquet"} <= {
        *files
    }
    loaded = datasets.load_dataset(str(out), "structures", cache_dir=str(tmp_path / "cache"))["structures"]
    assert len(loaded) == pq.read_metadata(out / "data/structures/structures.parquet").num_rows

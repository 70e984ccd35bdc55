"""A build as one folder: a real repository of DVC's, read by libraries that know nothing of this one."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import polars
import pyarrow as pa
import pytest
import yaml
from click.testing import CliRunner
from huggingface_hub import DatasetCard
from rocrate.rocrate import ROCrate

from xtinct.cli import cli
from xtinct.datasets.sharing import About
from xtinct.errors import XtinctError
from xtinct.files.parquet import write_parquet
from xtinct.files.schema import MEASURED_PATTERNS
from xtinct.publication.build_card import build_card
from xtinct.publication.shared_build import _PROJECT, share
from xtinct.publication.shared_files import SharedBuild, build_tables

STAGES = """\
stages:
  ulbd:
    cmd: mkdir -p data/ulbd && cp given/cubic.parquet data/ulbd && echo {} > data/ulbd/manifest.json
    deps: [rules/ulbd.smk, workflow/scripts/ulbd.py, given]
    params:
      - config/config.yaml: [seed, ulbd.lattices]
    outs: [data/ulbd]
  report:
    cmd: mkdir -p results && cp given/provenance.json results && echo page > results/report.html
    deps: [rules/report.smk, data/ulbd]
    outs: [results/report.html, results/provenance.json]
"""
CONFIG = {
    "seed": 1,
    "ulbd": {"lattices": {"cubic": {"lengths": [5, 8], "weight": 1e-09}}},
    "sources": {"mine": {"kind": "files", "path": "data/mine"}},
}
LATTICE = {
    "kind": "continuous",
    "lengths": [5, 8],
    "angles": [90, 90],
    "spacing": "uniform",
    "count": 5,
    "draws": 1,
}
MADE_BY = {"git revision": "abc1234", "seed": "1", "software": {"python": "3.11.7", "snakemake": "9.27.1"}}
PROJECT = ("Snakefile", "rules/ulbd.smk", "rules/report.smk", "workflow/scripts/ulbd.py", "README.md")


def run(*command, cwd):
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_COMMITTER_DATE": "2026-11-02T12:00:00+0000",
    }
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=True)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A checkout whose build DVC has recorded; not to be changed."""
    folder = tmp_path_factory.mktemp("recorded")
    for name in PROJECT:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"# {name}\n")
    (folder / "dvc.yaml").write_text(STAGES)
    (folder / "config").mkdir()
    (folder / "config/config.yaml").write_text(yaml.safe_dump(CONFIG))
    (folder / "given").mkdir()
    (folder / "given/provenance.json").write_text(json.dumps(MADE_BY))
    _write_lines(folder / "given/cubic.parquet")
    run("git", "init", "--quiet", cwd=folder)
    run("dvc", "init", "--quiet", cwd=folder)
    run("git", "add", *PROJECT, "dvc.yaml", "config", cwd=folder)
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    run("git", *identity, "commit", "--quiet", "--message", "Start", cwd=folder)
    run("dvc", "repro", "--quiet", cwd=folder)
    return folder


def _write_lines(path):
    from xtinct.datasets.settings import UlbdSettings
    from xtinct.datasets.ulbd import build_shard
    from xtinct.files.shards import Shard

    settings = UlbdSettings(
        family="cubic",
        lattices=LATTICE,
        intensities="uniform",
        d_star_max=0.7,
        split="lattice",
        fractions={"train": 0.6, "validation": 0.2, "test": 0.2},
        seed=1,
    )  # fmt: skip
    build_shard(settings, Shard(), path)


def test_what_the_stages_of_the_workflow_read_of_the_checkout_is_shared(root):
    """Files that git tracks and a stage depends on: without one of them nobody makes the build again."""
    stages = yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"].values()
    read = {dep for stage in stages for dep in stage.get("do", stage)["deps"]}
    tracked = run("git", "ls-files", "-z", "--", *sorted(read), cwd=root).stdout.split("\0")
    shared = run("git", "ls-files", "-z", "--", *_PROJECT, cwd=root).stdout.split("\0")
    assert "data/patterns/patterns.parquet" in tracked
    assert set(tracked) <= set(shared)


@pytest.fixture
def build(recorded, tmp_path):
    """A copy of `recorded`, for a test to change."""
    return Path(shutil.copytree(recorded, tmp_path / "build", symlinks=True))


@pytest.fixture(scope="module")
def shared(recorded, tmp_path_factory):
    """Folder of a shared build; not to be changed."""
    out = tmp_path_factory.mktemp("out") / "shared"
    share(out, root=recorded, name="mine")
    return out


def contents(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def entities(folder):
    graph = json.loads((folder / "ro-crate-metadata.json").read_text())["@graph"]
    return {entity["@id"]: entity for entity in graph}


def named(value):
    """Identifiers that a property refers to."""
    return [each["@id"] for each in (value if isinstance(value, list) else [value])]


def test_it_holds_the_build_byte_by_byte_and_what_made_it(shared, recorded):
    files = contents(shared)
    made = {
        "data/ulbd/cubic.parquet",
        "data/ulbd/manifest.json",
        "results/report.html",
        "results/provenance.json",
    }
    described = {"README.md", "croissant.json", "ro-crate-metadata.json", "SHA256SUMS"}
    assert set(files) == made | described | (set(PROJECT) - {"README.md"}) | {
        "dvc.yaml", "dvc.lock", "config/config.yaml",
    }  # fmt: skip
    for name in set(files) - described:
        assert files[name] == (recorded / name).read_bytes(), name


def test_sha256sum_accepts_every_file_and_finds_a_flipped_bit(shared, tmp_path):
    copy = Path(shutil.copytree(shared, tmp_path / "copy"))
    command = ["sha256sum", "--check", "--quiet", "--strict", "SHA256SUMS"]
    assert run(*command, cwd=copy).stdout == ""
    listed = {line.split("  ")[1] for line in (copy / "SHA256SUMS").read_text().splitlines()}
    assert listed == set(contents(copy)) - {"SHA256SUMS"}
    content = bytearray((copy / "data/ulbd/cubic.parquet").read_bytes())
    content[100] ^= 1
    (copy / "data/ulbd/cubic.parquet").write_bytes(content)
    with pytest.raises(subprocess.CalledProcessError):
        run(*command, cwd=copy)


def test_equal_builds_give_equal_bytes_and_an_earlier_one_is_replaced(shared, build, tmp_path):
    out = tmp_path / "again"
    share(out, root=build, name="another", published="2020-01-01")
    (out / ".git").mkdir()
    (out / ".git/config").write_text("of another tool")
    (out / "data/ulbd/old.parquet").write_text("of an earlier build")
    with (out / "SHA256SUMS").open("a") as file:
        file.write("0  data/ulbd/old.parquet\n")
    share(out, root=build, name="mine")
    assert (out / ".git/config").read_text() == "of another tool"
    shutil.rmtree(out / ".git")
    assert contents(out) == contents(shared)


def test_the_crate_says_what_was_made_from_what(shared):
    found = entities(shared)
    assert found["./"]["datePublished"] == "2026-11-02"
    action = found["#stage/ulbd"]
    assert named(action["instrument"]) == ["rules/ulbd.smk"]
    assert named(action["result"]) == ["data/ulbd/"]
    assert {"rules/ulbd.smk", "workflow/scripts/ulbd.py", "#input/given"} <= set(named(action["object"]))
    parameter = found["#parameter/ulbd/ulbd.lattices"]
    assert json.loads(parameter["value"]) == CONFIG["ulbd"]["lattices"]
    # What one stage made, the next one read.
    assert "data/ulbd/" in named(found["#stage/report"]["object"])
    assert set(named(found["data/ulbd/"]["hasPart"])) == {
        "data/ulbd/cubic.parquet",
        "data/ulbd/manifest.json",
    }
    run_of_all = found["#run"]
    assert named(run_of_all["instrument"]) == ["Snakefile"] == named(found["./"]["mainEntity"])
    assert set(named(run_of_all["result"])) == {
        "data/ulbd/",
        "results/report.html",
        "results/provenance.json",
    }
    assert found["#software/snakemake"]["softwareVersion"] == "9.27.1"
    assert found["Snakefile"]["version"] == "abc1234"
    assert named(found["data/ulbd/cubic.parquet"]["license"]) == ["https://spdx.org/licenses/CC0-1.0"]


def test_every_file_stands_in_the_crate_with_its_digest_and_size(shared):
    found = entities(shared)
    for name, content in contents(shared).items():
        if name not in ("ro-crate-metadata.json", "SHA256SUMS"):
            assert found[name]["sha256"] == hashlib.sha256(content).hexdigest(), name
            assert found[name]["contentSize"] == str(len(content))
    crate = ROCrate(shared)
    assert {entity.id for entity in crate.data_entities} >= {
        "Snakefile",
        "data/ulbd/cubic.parquet",
        "data/ulbd/",
    }


def test_no_entity_refers_to_one_that_is_not_there(shared):
    found = entities(shared)

    def references(value):
        if isinstance(value, dict):
            yield from [value["@id"]] if set(value) == {"@id"} else ()
        elif isinstance(value, list):
            for each in value:
                yield from references(each)

    for entity in found.values():
        for key, value in entity.items():
            missing = {each for each in references(value) if not each.startswith("https://")} - set(found)
            assert not missing, (entity["@id"], key)


#: What rocrate-validator recommends and nothing here knows: who built it and when, addresses of programs.
UNKNOWN = {
    "process-run-crate-0.5_3.2",
    "process-run-crate-0.5_5.1",
    "process-run-crate-0.5_8.4",
    "process-run-crate-0.5_8.6",
    "ro-crate-1.1_22.2",
    "ro-crate-1.1_22.3",
}


@pytest.fixture(scope="module")
def validator(tmp_path_factory):
    """Python of an environment with the validator, whose requirements exclude those of the project."""
    folder = tmp_path_factory.mktemp("validator")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, capture_output=True)
    python = folder / "bin" / "python"
    needed = ["roc-validator==0.13.0", "rocrate==0.13.0"]
    command = [python, "-m", "pip", "install", "--quiet", *needed]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "NewConnectionError" in done.stderr or "Name or service not known" in done.stderr:
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr[-3000:]
    return python


def issues(validator, folder):
    """(severity, check) of every issue that the validator finds."""
    script = Path(__file__).with_name("crate_validation.py")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [validator, script, folder], capture_output=True, text=True, check=False, env=environment
    )
    assert done.stdout.endswith("validated\n"), done.stderr[-3000:]
    return {tuple(line.split()[:2]) for line in done.stdout.splitlines()[:-1]}


@pytest.mark.slow
def test_the_crates_own_validator_accepts_it(validator, shared, tmp_path):
    found = issues(validator, shared)
    assert {check for severity, check in found if severity == "REQUIRED"} == set()
    assert {check for _, check in found} <= UNKNOWN
    copy = Path(shutil.copytree(shared, tmp_path / "copy"))
    path = copy / "ro-crate-metadata.json"
    path.write_text(path.read_text().replace('"FormalParameter"', '"PropertyValue"'))
    assert "REQUIRED" in {severity for severity, _ in issues(validator, copy)}


def test_tables_are_read_by_other_libraries(shared, recorded, tmp_path):
    import datasets

    path = "data/ulbd/cubic.parquet"
    original = pd.read_parquet(recorded / path)
    assert polars.read_parquet(shared / path)["sample_id"].to_list() == original["sample_id"].tolist()
    loaded = datasets.load_dataset(str(shared), "ulbd", cache_dir=str(tmp_path))
    assert list(loaded) == ["cubic"]
    assert loaded["cubic"]["split"][:] == original["split"].tolist()
    assert loaded["cubic"][0]["d_star"] == original["d_star"][0].tolist()


@pytest.mark.slow
def test_duckdb_reads_it(shared, recorded):
    """Slow only because its 70 MB stand in no list of requirements."""
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed; it takes 70 MB")
    counts = duckdb.sql(
        f"select split, count(*) from '{shared}/data/ulbd/*.parquet' group by split"
    ).fetchall()
    assert (
        dict(counts)
        == pd.read_parquet(recorded / "data/ulbd/cubic.parquet")["split"].value_counts().to_dict()
    )


# mlcroissant 1.1 uses what rdflib 7 and pandas 3 call deprecated.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_mlcroissant_accepts_and_reads_it(shared):
    import mlcroissant

    dataset = mlcroissant.Dataset(jsonld=shared / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    rows = list(dataset.records("data/ulbd/cubic"))
    assert len(rows) == len(pd.read_parquet(shared / "data/ulbd/cubic.parquet"))
    assert len(rows[0]["data/ulbd/cubic/d_star"]) > 5


def test_licences_of_measured_patterns_are_among_those_of_the_whole(tmp_path):
    """Rows of measured patterns name a laboratory where others name a source."""
    columns = {"laboratory": ["theirs", "ours", "theirs"], "licence": ["CC-BY-NC-4.0", "MIT", "CC-BY-NC-4.0"]}
    texts = {f.name: ["", "", ""] for f in MEASURED_PATTERNS if pa.types.is_string(f.type)}
    lists = {f.name: [[], [], []] for f in MEASURED_PATTERNS if pa.types.is_list(f.type)}
    others = dict.fromkeys(MEASURED_PATTERNS.names, [None] * 3) | {"ratio": [0.0] * 3}
    table = pa.Table.from_pydict({**others, **texts, **lists, **columns}, schema=MEASURED_PATTERNS)
    write_parquet(tmp_path / "data/measured/mine.parquet", [table], MEASURED_PATTERNS)
    _write_lines(tmp_path / "data/ulbd/cubic.parquet")
    tables = build_tables(tmp_path, ["data/measured/mine.parquet", "data/ulbd/cubic.parquet"])
    build = SharedBuild(tmp_path, About("both"), "2026-11-30", CONFIG, (), (), tables)
    assert build.licences == ["CC-BY-NC-4.0", "CC0-1.0", "MIT"]
    assert set(build.origins) == {("ulbd", "CC0-1.0")}
    card = build_card(build)
    assert "| ours | MIT | 1 |\n| theirs | CC-BY-NC-4.0 | 2 |\n" in card
    assert DatasetCard(card).data.license == ["cc-by-nc-4.0", "cc0-1.0", "mit"]


def test_the_card_counts_each_part_and_names_sources(shared):
    card = DatasetCard.load(shared / "README.md")
    assert card.data.license == "cc0-1.0"
    parts = pd.read_parquet(shared / "data/ulbd/cubic.parquet")["split"].tolist()
    counts = " | ".join(str(parts.count(part)) for part in ("train", "validation", "test"))
    assert f"| `data/ulbd/cubic.parquet` | {counts} |" in card.text
    assert "snakemake | 9.27.1" in card.text


def changed_file(build):
    (build / "results/report.html").write_text("another page")


def changed_code(build):
    (build / "workflow/scripts/ulbd.py").write_text("other code\n")


def changed_input(build):
    (build / "given/provenance.json").write_text("{}")


def changed_parameter(build):
    (build / "config/config.yaml").write_text(yaml.safe_dump(CONFIG | {"seed": 2}))


def missing_record(build):
    (build / "dvc.lock").unlink()


def no_checkout(build):
    shutil.rmtree(build / ".git")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (changed_file, "results/report.html is changed since the build was recorded (report)"),
        (changed_code, "workflow/scripts/ulbd.py (stage ulbd) changed since the build was recorded"),
        (changed_input, "given (stage ulbd) changed since the build was recorded"),
        (changed_parameter, "seed in config/config.yaml (stage ulbd) changed since the build was recorded"),
        (
            missing_record,
            "dvc.lock: no such file, so no digest is recorded; `xtinct snapshot` records a build",
        ),
        (no_checkout, "is no git checkout with a commit"),
    ],
)
def test_what_is_not_as_recorded_is_not_shared(build, tmp_path, change, said):
    change(build)
    with pytest.raises(XtinctError) as raised:
        share(tmp_path / "out", root=build)
    assert said in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_a_folder_for_something_else_is_left_alone(build, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.tex").write_text("years of work")
    for out, said in (
        (
            tmp_path / "out",
            "thesis.tex: the folder of a shared build may hold no file that is not part of it",
        ),
        (build, "lies within the build or around it"),
        (build / "data/shared", "lies within the build or around it"),
        (tmp_path, "lies within the build or around it"),
    ):
        with pytest.raises(XtinctError, match=said):
            share(out, root=build)
    assert contents(tmp_path / "out") == {"thesis.tex": b"years of work"}


def test_the_command_says_what_it_left_out(build, tmp_path, monkeypatch):
    monkeypatch.chdir(build)
    (build / "data/ulbd/notes.txt").write_text("mine alone")
    done = CliRunner().invoke(
        cli, ["share", str(tmp_path / "out"), "--licence", "cc-by-4.0", "--date", "2026-11-03"]
    )
    assert done.exit_code == 0, done.output
    assert "left out, as nothing names it: data/ulbd/notes.txt" in done.output
    assert not (tmp_path / "out/data/ulbd/notes.txt").exists()
    root = entities(tmp_path / "out")["./"]
    assert (root["datePublished"], named(root["license"])) == (
        "2026-11-03", ["https://spdx.org/licenses/CC-BY-4.0"],
    )  # fmt: skip

"""The workflow away from its own folder, on folders that change, and for machines that are not this one."""

import dataclasses
import os
import re
import shutil
import subprocess
import time

import pyarrow.parquet as pq
import pytest
import yaml

from xtinct.project.place import has_gpu

pytestmark = pytest.mark.workflow

CIF = "data_x\n_cell_length_a {0}\n"


@pytest.fixture(scope="module")
def clone(new_clone):
    """A clone in which nothing was made, with a small budget of training."""
    return new_clone(lambda text: text.replace("patterns: 4096", "patterns: 256"))


# --- sources on this disk --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def with_source(new_clone):
    """A clone with a folder of own structures, fetched by DVC."""
    source = "\nsources:\n  mine:\n    kind: files\n    path: data/mine\n"
    clone = new_clone(lambda text: text.replace("\nsources:\n", source, 1))
    deep = clone.path / "data/mine/deep/deeper"
    deep.mkdir(parents=True)
    for number in range(3):
        (deep / f"{number}.cif").write_text(CIF.format(number + 5))
    clone.run("dvc", "repro", "fetch@mine")
    return clone


def seen_by(clone):
    """Whether Snakemake, and whether DVC, would fetch the folder again."""
    planned = clone.snakemake_would_run("data/raw/mine.parquet")
    status = clone.ask("dvc", "status", "--json", "fetch@mine").stdout
    return bool(planned), "fetch@mine" in status


def test_every_edit_within_a_folder_is_seen_by_both_tools(with_source):
    folder = with_source.path / "data/mine"
    file = folder / "deep/deeper/1.cif"
    text = file.read_text()
    assert seen_by(with_source) == (False, False)

    file.write_text(text.replace("6", "7"))  # as long as before
    assert seen_by(with_source) == (True, True), "an edit in place"
    file.write_text(text)
    assert seen_by(with_source) == (False, False), "the content counts, not the time"

    file.rename(file.with_name("renamed.cif"))
    assert seen_by(with_source) == (True, True), "another name"
    file.with_name("renamed.cif").rename(file)
    (folder / "new").mkdir()
    (folder / "new" / "9.cif").write_text(CIF.format(9))
    assert seen_by(with_source) == (True, True), "a file more, in a new folder"

    with_source.run("dvc", "repro", "fetch@mine")
    assert seen_by(with_source) == (False, False)
    assert (with_source.path / "data/links/mine").resolve() == folder


def test_the_links_lead_nowhere_else_after_a_change_of_path(with_source):
    """Another folder of the same content is the same source; DVC follows the new one from then on."""
    config = with_source.path / "config/config.yaml"
    text = config.read_text()
    folder = with_source.path / "data/mine"
    try:
        folder.rename(folder.with_name("moved"))
        config.write_text(text.replace("path: data/mine", "path: data/moved"))
        with_source.run("dvc", "repro", "fetch@mine")
        assert (with_source.path / "data/links/mine").resolve() == folder.with_name("moved")
        (folder.with_name("moved") / "deep/deeper/0.cif").write_text(CIF.format(1))
        assert seen_by(with_source) == (True, True)
    finally:
        folder.with_name("moved").rename(folder)
        config.write_text(text)


# --- other folders ---------------------------------------------------------------------------------


def test_another_working_directory(clone, tmp_path):
    """Outputs go there; configuration, scripts and embedded structures are the project's."""
    project = str(clone.path)
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text("not: ours\n")
    there = clone.elsewhere(tmp_path)
    there.run("snakemake", "--snakefile", f"{project}/Snakefile", "--cores", "1", "--", "fetch")
    assert pq.ParquetFile(tmp_path / "data/raw/aflow.parquet").metadata.num_rows == 1091
    assert not (clone.path / "data/raw").exists()
    (tmp_path / "other").mkdir()
    planned = clone.ask("snakemake", "-n", "--directory", tmp_path / "other", "all")
    assert f"{project}/data/prototypes/aflow_prototypes.parquet" in planned.stdout + planned.stderr
    for name in ("config.yaml", "smoke.yaml"):  # relative to where the command is given
        clone.ask(
            "snakemake",
            "-n",
            "--directory",
            tmp_path / "other",
            "--configfile",
            f"config/{name}",
            "--",
            "all",
        )


def test_what_the_image_holds_is_a_whole_workflow(clone, root, tmp_path):
    """The parts that containers/Dockerfile names, from another folder; that jobs share the memory is said."""
    image, outputs = tmp_path / "opt ä/xtinct", tmp_path / "build"
    outputs.mkdir()
    image.mkdir(parents=True)
    for line in (root / "containers/Dockerfile").read_text().splitlines():
        if line.startswith("COPY "):
            for name in line.split()[1:-1]:
                place = clone.path / name
                (shutil.copytree if place.is_dir() else shutil.copy)(place, image / name)
    environment = {key: value for key, value in clone.environment.items() if key != "HOME"} | {"LC_ALL": "C"}
    there = dataclasses.replace(clone, path=outputs, environment=environment)
    planned = there.run("snakemake", "--snakefile", image / "Snakefile", "-n", "--cores", "640", "all")
    assert "results/report.html" in planned.stdout + planned.stderr
    assert "xtinct: --cores 640 on" in planned.stderr


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ('config: yaml.safe_load(open(f"{PROJECT}/config/smoke.yaml"))', ""),
        ('config: yaml.safe_load(open(f"{PROJECT}/config/config.yaml"))\n    prefix: "powder"', "powder/"),
        ("", ""),
    ],
    ids=["config", "prefix", "its own configuration"],
)
def test_as_a_module_of_another_workflow(clone, tmp_path, options, place):
    (tmp_path / "Snakefile").write_text(
        f'import yaml\nPROJECT = "{clone.path}"\n\n'
        f'module xtinct:\n    snakefile: "{clone.path}/Snakefile"\n    {options}\n\n'
        "use rule * from xtinct as xtinct_*\n"
    )
    there = clone.elsewhere(tmp_path)
    planned = there.ask("snakemake", "-n", "--", "xtinct_all")
    assert f"output: {place}results/report.html" in planned.stdout + planned.stderr
    if place:
        # What a training reads and writes stands below the prefix too.
        target = f"{place}models/ulbd/cubic/seed-0/model.safetensors"
        there.run("snakemake", "--cores", "1", "--", target)
        assert (tmp_path / target).exists()
        assert not (tmp_path / "models").exists()


def test_a_wrong_configuration_is_named_from_elsewhere(new_clone, tmp_path):
    clone = new_clone(lambda text: text.replace("symprec:", "symprek:"))
    there = clone.elsewhere(tmp_path)
    stopped = there.ask("snakemake", "-s", clone.path / "Snakefile", "--cores", "1", "all", check=False)
    assert stopped.returncode == 2
    assert f"xtinct: error: {clone.path}/config/config.yaml: unknown key cleaning.symprek" in stopped.stderr


@pytest.mark.slow
def test_an_archive_without_git_in_any_folder_and_language(clone, tmp_path):
    """And a second run in the same folder stops at the lock of the first."""
    folder = tmp_path / "weg mit größe ä"
    for name in clone.run("git", "ls-files").stdout.splitlines():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clone.path / name, folder / name)
    variables = {key: value for key, value in clone.environment.items() if key not in ("HOME", "LC_ALL")}
    variables |= {"LANG": "C", "XDG_CACHE_HOME": str(tmp_path / "cache")}

    def snakemake(*targets):
        command = ["snakemake", "--cores", "1", "--", *targets]
        return subprocess.Popen(
            command, cwd=folder, env=variables, stderr=subprocess.PIPE, text=True, umask=0o077
        )

    first = snakemake("fetch", "symmetry_tables")
    end = time.monotonic() + 60
    while not list(folder.glob(".snakemake/locks/*")):
        assert first.poll() is None, first.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.02)
    second = snakemake("symmetry_tables")
    assert "Directory cannot be locked" in second.communicate()[1]
    assert second.returncode == 1
    said = first.communicate()[1]
    assert first.returncode == 0, said
    assert (folder / "data/raw/aflow.parquet").stat().st_mode & 0o777 == 0o600
    again = snakemake("fetch")
    assert "Nothing to be done" in again.communicate()[1]


def test_an_output_newer_than_the_clock_stops_snakemake_with_one_line(clone):
    """A stale result would be kept: what is made anew before it were older."""
    output = clone.path / "data/splits/structures.parquet"
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(b"")
    os.utime(output, (time.time() + 3600,) * 2)
    stopped = clone.ask("snakemake", "-n", "all", check=False)
    output.unlink()
    assert stopped.returncode == 2
    (line,) = [line for line in stopped.stderr.splitlines() if line.startswith("xtinct: error: ")]
    assert line.startswith("xtinct: error: data/splits/structures.parquet: made at ")


# --- other machines --------------------------------------------------------------------------------


def gpus_by_rule(planned):
    """Numbers of GPUs that the jobs of each rule ask for, in the text of a dry run."""
    found, rule = {}, None
    for line in planned.splitlines():
        if begins := re.match(r"(?:local)?rule ([\w-]+):", line):
            rule = begins[1]
        elif line.strip().startswith("resources:"):
            asked = re.search(r"\bgpu=(\d+)", line)
            found.setdefault(rule, set()).add(int(asked[1]) if asked else 0)
    return found


@pytest.mark.parametrize(("device", "asked"), [("cpu", 0), ("cuda", 1), ("auto", 1)])
def test_gpus_are_asked_for_by_configuration(clone, tmp_path, device, asked):
    """Whatever the machine has that submits: with a driver's program on its path, and without."""
    config = yaml.safe_load((clone.path / "config/config.yaml").read_text())
    config["train"].update(device=device, processes=2, ghost_batch=32)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    found = []
    for path in (clone.environment["PATH"], f"{program.parent}:{clone.environment['PATH']}"):
        arguments = [
            "-n",
            "--forceall",
            "--resources",
            "gpu=8",
            "--configfile",
            tmp_path / "config.yaml",
            "--",
            "all",
        ]
        planned = clone.elsewhere(clone.path, PATH=path).ask("snakemake", *arguments)
        gpus = gpus_by_rule(planned.stdout + planned.stderr)
        found.append({rule: asks for rule, asks in gpus.items() if asks != {0}})
        assert len(gpus) > 30
    assert found[0] == found[1]
    evaluated = {f"evaluate_model-{name}" for name in config["experiments"]}
    using = {"train_model", "hybrid", "ask_networks"} | evaluated
    assert found[0] == {rule: {2 if rule == "train_model" else 1} for rule in using if asked}


def test_the_limit_of_gpus_holds_where_there_are_any(clone):
    """Without one, trainings of `train.device: auto` share the processors."""
    said = clone.run("snakemake", "--cores", "3", "--forcerun", "links", "--", "links").stderr
    (provided,) = re.findall(r"Provided resources: .*gpu.*?(\d+)", said)
    assert int(provided) == (1 if has_gpu() else 3)

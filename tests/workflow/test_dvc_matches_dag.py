"""Fails when dvc.yaml and the Snakemake DAG drift apart."""

import ast
import copy
import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from xtinct.patterns.instrument import Instrument
from xtinct.project.digests import SOURCE, module_file, source_files
from xtinct.project.dvc_stages import stale_stages

pytestmark = pytest.mark.workflow

#: Other valid values of what cannot be changed by adding to it.
OTHER = {
    "families": ["cubic", "tetragonal", "trigonal-hexagonal", "orthorhombic"],
    "sources": {"aflow": {"kind": "prototypes"}, "mine": {"kind": "files", "path": "config/smoke.yaml"}},
    "patterns": {"mine": {"kind": "files", "path": "config/smoke.yaml"}, "examples": {"kind": "carried"}},
    "cleaning.disordered": "reject",
    "splits.fractions": {"train": 0.5, "validation": 0.2, "test": 0.3},
    "splits.cddd": "formula",
    "splits.ulbd": "draw",
    "splits.gcdd": "formula",
    "lines.radiation": "neutron",
    "lines.anomalous": 1.5406,
    "gcdd.elements": [1, 4],
    "gcdd.learn_from": "all",
    "instrument.two_theta": {"min": 6, "max": 90, "points": 4096},
    "instrument.lorentz": "lorentz-polarisation",
    "instrument.monochromator": None,  # not without lorentz-polarisation
    "instrument.crystallite_size": 500,
    "instrument.zero_shift": 0.1,
    "instrument.impurities": [[0.3, 0.1]],
    "instrument.background": {"chebyshev": [0.01], "humps": []},
    "ceilings.ks": [1, 2],
    "observer.families": ["tetragonal"],
    "experiments.imbalanced.families": ["cubic", "tetragonal"],
    "observer.laws.ulbd": "physical",
    "observer.laws.cddd": "uniform",
    "observer.laws.gcdd": "uniform",
    "observer.hybrid": "cddd",
    "experiments.cddd-random.families": ["cubic", "tetragonal"],
    "train.device": "auto",
    "train.compile": "never",
    "train.precision": "bfloat16",
    "train.optimizer": "adamw",
    "train.schedule": "constant",
}
#: Observers of more families than experiments need of the variants; then of variants and copies as well.
OBSERVED = {"families": ["cubic", "tetragonal"], "samples": 8, "hybrid": "ulbd"}
ALL_KINDS = {
    "ulbd": "uniform",
    "ulbd-imbalanced": "uniform",
    "cddd-wang2025": "physical",
    "cddd-both": "physical",
}
#: Too coarse to be named key by key; any change of them counts.
WHOLE = ("sources", "patterns", "splits.fractions", "instrument.two_theta", "instrument.background")


@dataclass(frozen=True)
class Job:
    rule: str
    inputs: frozenset[str]
    outputs: frozenset[str]
    kept: frozenset[str]
    settings: str


class Parsed(dict):
    """In place of Snakemake's parser: the files of one clone do not change, and half of a plan is parsing."""

    def __init__(self, parse):
        self.parse = parse

    def __call__(self, path, workflow, linemap, rulecount):
        key = path.get_path_or_uri(secret_free=True), rulecount
        if key not in self:
            lines = {}
            self[key] = *self.parse(path, workflow, lines, rulecount=rulecount), lines
        code, rulecount, lines = self[key]
        linemap |= lines
        return code, rulecount


@pytest.fixture(scope="module", autouse=True)
def parsed_once():
    import snakemake.api  # not snakemake.workflow alone: the two import each other

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snakemake.workflow, "parse", Parsed(snakemake.workflow.parse))
        yield


def plan(clone, config):
    """Every job of a full run under `config`, as Snakemake plans it."""
    from snakemake.api import SnakemakeApi
    from snakemake.settings.types import (
        ConfigSettings,
        DAGSettings,
        OutputSettings,
        Quietness,
        ResourceSettings,
    )

    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=64),
            config_settings=ConfigSettings(config=copy.deepcopy(config), replace_workflow_config=True),
            snakefile=clone.path / "Snakefile",
            workdir=clone.path,
        )
        workflow.dag(DAGSettings(targets={"all"})).summary()
        return {
            Job(
                job.rule.name,
                frozenset(map(str, job.input)),
                frozenset(map(str, job.output)),
                frozenset(map(str, set(job.output) - set(job.temp_output))),
                # Threads stand in the params where they may decide a result; asking for them costs a third.
                repr(dict(job.params.items())),
            )
            for job in workflow._workflow.dag.jobs
            if job.rule.name != "all"
        }


@pytest.fixture(scope="module")
def clone(new_clone):
    return new_clone()


@pytest.fixture(scope="module")
def config(clone):
    return yaml.safe_load((clone.path / "config" / "config.yaml").read_text())


@pytest.fixture(scope="module")
def jobs(clone, config):
    return plan(clone, config)


@pytest.fixture(scope="module")
def unobserved(clone, config):
    """The jobs without those of the observer, which not every instrument suits."""
    return plan(clone, with_value(config, "observer.families", []))


@pytest.fixture(scope="module")
def stages(clone):
    from dvc.repo import Repo

    with Repo(str(clone.path)) as repo:
        return [stage for stage in repo.index.stages if stage.cmd]


def inside(path, roots):
    return any(path == root or path.startswith(root + os.sep) for root in roots)


def allowed_rules(stage):
    words = shlex.split(stage.cmd)
    return set(words[words.index("--allowed-rules") + 1 : words.index("--")])


def outs(stage):
    return {out.def_path for out in stage.outs}


def deps(stage):
    return {dep.def_path for dep in stage.deps}


def params(stage):
    return {key for dep in stage.deps for key in (getattr(dep, "params", None) or [])}


def family(stage):
    return stage.name.partition("@")[0]


def stage_of(job, stages):
    """The stage that runs a job: it allows the rule and holds the outputs, or what its shards become."""
    places = [re.sub("^shards/", "data/", path) for path in job.outputs]
    found = [
        stage
        for stage in stages
        if job.rule in allowed_rules(stage) and all(inside(path, outs(stage)) for path in places)
    ]
    assert len(found) == 1, f"{job.rule}, {sorted(job.outputs)}: {[stage.name for stage in found]}"
    return found[0]


def test_every_job_belongs_to_one_stage_and_every_stage_has_jobs(jobs, stages):
    assert len(jobs) > 30
    assert len(stages) > 10
    assert {stage_of(job, stages).name for job in jobs} == {stage.name for stage in stages}


@pytest.mark.parametrize("name", ["config.yaml", "paper.yaml"])
def test_the_other_configurations_can_be_planned(root, clone, name):
    config = yaml.safe_load((root / "config" / name).read_text())
    planned = plan(clone, config)
    models = {path for job in planned for path in job.kept if path.endswith("model.safetensors")}
    expected = sum(len(e["families"]) * len(e["seeds"]) for e in config["experiments"].values())
    assert len(models) == expected


def test_dvc_keeps_exactly_what_snakemake_keeps(jobs, stages):
    kept = set().union(*(job.kept for job in jobs))
    tracked = set().union(*map(outs, stages))
    assert {path for path in kept if not inside(path, tracked)} == set()
    assert {path for path in tracked if not any(inside(one, {path}) for one in kept)} == set()


def test_every_input_from_another_stage_is_a_dependency(jobs, stages):
    made = {stage.name: set() for stage in stages}
    needed = {stage.name: set() for stage in stages}
    for job in jobs:
        name = stage_of(job, stages).name
        made[name] |= job.outputs
        needed[name] |= job.inputs
    for stage in stages:
        foreign = needed[stage.name] - made[stage.name]
        assert {path for path in foreign if not inside(path, deps(stage))} == set(), stage.name


def test_a_stage_without_jobs_makes_its_folder(unobserved, stages):
    """DVC ends a stage whose outputs are not there."""
    busy = {stage_of(job, stages).name for job in unobserved}
    (idle,) = (stage for stage in stages if stage.name not in busy)
    assert idle.name == "observer"
    assert idle.cmd.startswith(f"mkdir -p {' '.join(outs(idle))} && ")


def test_the_observer_may_be_asked_about_variants_and_copies(clone, config, stages):
    planned = plan(clone, config | {"observer": OBSERVED | {"laws": ALL_KINDS}})
    observed = {stage.name: stage for stage in stages}["observer"]
    needed = set().union(*(job.inputs for job in planned if job.rule in ("observe", "hybrid")))
    assert len([path for path in needed if path.startswith("data/variants/")]) == 4
    assert {path for path in needed if not inside(path, deps(observed))} == set()
    # The stage before it makes what it asks for.
    (manifest,) = (job for job in planned if job.rule == "variants")
    assert {path for path in needed if path.startswith("data/variants/")} <= manifest.inputs


def imported(script):
    """Modules of the library that a script imports."""
    nodes = [node for node in ast.walk(ast.parse(script.read_text())) if isinstance(node, ast.ImportFrom)]
    names = {node.module for node in nodes} | {f"{n.module}.{name.name}" for n in nodes for name in n.names}
    return {name for name in names if module_file(name)}


def rules_of(clone, config):
    """Rule name -> (file, text of the rule); rules that are made in a loop stand under all their names."""
    found = {}
    for path in sorted((clone.path / "rules").glob("*.smk")):
        for block in re.split(r"^(?=rule |for |def )", path.read_text(), flags=re.M):
            names = re.findall(r"\Arule (\w+):", block)
            stems = re.findall(r'^ +f"(\w+-)\{name\}"$', block, re.M)
            names += [stem + experiment for stem in stems for experiment in config["experiments"]]
            found |= dict.fromkeys(names, (f"rules/{path.name}", block))
    return found


def test_scripts_and_the_code_behind_them_are_dependencies_and_in_the_digest(clone, config, stages):
    rules = rules_of(clone, config)
    for stage in stages:
        files, texts = zip(*(rules[name] for name in sorted(allowed_rules(stage))), strict=True)
        assert {dep for dep in deps(stage) if dep.endswith(".smk")} == set(files), stage.name
        assert f"rules/{family(stage)}.smk" in files, stage.name
        text = "".join(texts)
        scripts = {f"workflow/scripts/{name}" for name in re.findall(r"workflow/scripts/(\w+\.py)", text)}
        assert scripts, stage.name
        assert {dep for dep in deps(stage) if dep.startswith("workflow/")} == scripts, stage.name
        # job.py starts the jobs; what they write does not depend on it.
        modules = set().union(*(imported(clone.path / script) for script in scripts)) - {"xtinct.project.job"}
        behind = set(source_files(*modules))
        digested = set(source_files(*re.findall(r'"(xtinct\.[\w.]+)"', text)))
        code = {f"src/xtinct/{path.relative_to(SOURCE).as_posix()}" for path in behind | digested}
        assert {path for path in code if not inside(path, deps(stage))} == set(), stage.name
        declared = {dep for dep in deps(stage) if dep.startswith("src/")}
        assert {dep for dep in declared if not any(inside(path, {dep}) for path in code)} == set()
        assert behind <= digested, f"{stage.name}: code_digest leaves code out"


def test_dvc_yaml_is_what_the_command_writes(root):
    assert stale_stages(root) == []


def leaves(node, path=""):
    """Dotted paths of everything that is changed one by one."""
    for key, value in node.items():
        here = f"{path}.{key}" if path else key
        if isinstance(value, dict) and here not in WHOLE:
            yield from leaves(value, here)
        else:
            yield here, value


def other_value(path, value):
    if path in OTHER:
        return OTHER[path]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value + 0.01
    if isinstance(value, list) and all(isinstance(item, int) for item in value):
        return [*value[:-1], value[-1] + 1]
    return None


def with_value(config, path, value):
    changed = copy.deepcopy(config)
    target = changed
    *parents, key = path.split(".")
    for parent in parents:
        target = target[parent]
    target[key] = value
    return changed


@pytest.fixture(scope="module")
def touched(clone, config, jobs, unobserved, stages):
    """Path of the configuration -> stages whose jobs are planned differently when it changes."""
    found = {}
    for path, value in leaves(config):
        changed_value = other_value(path, value)
        if changed_value is None:  # names of things: kinds, models, families of an experiment
            continue
        changed = with_value(config, path, changed_value)
        if path == "families":
            changed["ulbd"]["lattices"]["orthorhombic"] = changed["ulbd"]["lattices"]["cubic"]
        if path == "instrument.monochromator":
            changed["instrument"]["lorentz"] = OTHER["instrument.lorentz"]
        before = jobs
        if not Instrument.from_config(changed["instrument"]).suits_exact_law:
            changed["observer"]["families"], before = [], unobserved
        planned = plan(clone, changed)
        assert planned != before, f"{path} changes nothing"
        # Compared as it was: a job that is no longer planned, or planned otherwise.
        found[path] = {stage_of(job, stages).name for job in before - planned}
    before, after = (
        plan(clone, config | {"observer": OBSERVED | {"laws": laws}})
        for laws in ({"ulbd": "uniform"}, ALL_KINDS)
    )
    found["observer.laws"] = {stage_of(job, stages).name for job in before - after}
    assert len(found) > 50
    return found


def covers(param, path):
    return path == param or path.startswith(param + ".")


def declares(param, path):
    # A stage of one set of patterns declares that set; here the sets are changed all at once.
    return covers(param, path) or (path == "patterns" and param.startswith("patterns."))


def test_every_stage_declares_the_configuration_that_its_jobs_read(stages, touched):
    for stage in stages:
        read = {path for path, names in touched.items() if stage.name in names}
        undeclared = {path for path in read if not any(declares(param, path) for param in params(stage))}
        assert undeclared == set(), f"{stage.name}: undeclared params"


def test_no_stage_declares_configuration_that_its_family_does_not_read(stages, touched):
    for stage in stages:
        for param in params(stage):
            readers = {
                name.partition("@")[0]
                for path, names in touched.items()
                if covers(param, path)
                for name in names
            }
            unseen = not any(covers(param, path) for path in touched)
            assert family(stage) in readers or unseen, f"{stage.name}: {param} is not read"


def test_no_family_of_rules_is_left_without_a_file_of_its_own(clone, stages):
    files = {path.stem for path in Path(clone.path, "rules").glob("*.smk")} - {"common"}
    assert files == {family(stage) for stage in stages}

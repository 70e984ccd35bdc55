"""Fails when dvc.yaml and the Snakemake DAG drift apart."""

import ast
import copy
import os
import re
import shlex
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import getitem
from pathlib import Path

import pytest
import yaml

from xtinct.auditing.pattern_paths import pattern_inputs
from xtinct.errors import XtinctError
from xtinct.patterns.instrument import Instrument
from xtinct.project.configuration import CONFIG, check
from xtinct.project.digests import SOURCE, module_file, source_files
from xtinct.project.dvc_stages import stale_stages
from xtinct.sources.fetching import source_inputs

pytestmark = pytest.mark.workflow

#: Other valid values of what cannot be changed by adding to it.
OTHER = {
    "families": ["cubic", "tetragonal", "trigonal-hexagonal", "orthorhombic"],
    "sources": {"aflow": {"kind": "prototypes"}, "mine": {"kind": "files", "path": "config/smoke.yaml"}},
    "patterns": {"mine": {"kind": "files", "path": "config/smoke.yaml"}, "examples": {"kind": "carried"}},
    "cleaning.disordered": "reject",
    "cleaning.protostructures": None,  # not where splits are by them: see TOGETHER
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
    "models.logq.points": 512,
    "train.processes": None,  # batches are whole ghost batches in each process: see TOGETHER
    "train.batch_size": 128,
    "train.ghost_batch": 32,
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
#: An experiment that is judged on the crystals of its training as well.
LIBRARIES = {
    "target": "spacegroup",
    "families": ["cubic"],
    "model": "logq",
    "patterns": 1024,
    "seeds": [0],
    "tests": ["gcdd"],
    "variation": {"zero_shift": [0, 0.1]},
    "libraries": 2,
}
#: Too coarse to be named key by key; any change of them counts.
WHOLE = ("sources", "patterns", "splits.fractions", "instrument.two_theta", "instrument.background")
#: What stages are repeated for.
REPEATED = frozenset({"sources", "patterns", "experiments"})
#: What the page alone is made from.
OF_THE_REPORT = ("report.title",)
#: Changes of config/smoke.yaml under which both tools must still make the same: sections that may be empty,
#: and what experiments may ask for.
CHANGES = {
    "no measured patterns": {"patterns": {}},
    "two sets of measured patterns": {
        "patterns": {"mine": {"kind": "files", "path": "config/smoke.yaml"}, "examples": {"kind": "carried"}}
    },
    "two sources": {"sources": OTHER["sources"]},
    "an observer of no families": {"observer.families": []},
    "an observer of no test sets": {"observer.laws": {}},
    "an observer without models of its families": {"observer.families": ["trigonal-hexagonal"]},
    "an observer of variants and copies": {"observer": OBSERVED | {"laws": ALL_KINDS}},
    "no robustness": {"robustness.tests": []},
    "robustness without curves": {
        f"robustness.{key}": [] for key in ("counts", "width_factor", "zero_shift", "start", "end")
    },
    "no variants": {
        "variants": {},
        "experiments.imbalanced.train": "gcdd",
        "experiments.imbalanced.tests": ["cddd-lattice"],
    },
    "variants that nothing asks for": {
        "experiments.imbalanced.train": "gcdd",
        "experiments.imbalanced.tests": ["gcdd"],
    },
    "few groups": {"splits.least": 2},
    "types left out": {"experiments.cddd.train": "data/apart"},
    "types left out of a mixture": {"experiments.cddd.train": {"data/apart": 2, "gcdd-online": 1}},
    "types left out, named as a file": {"experiments.cddd.train": "data/apart/cubic.parquet"},
    "libraries": {"experiments.cddd": LIBRARIES | {"train": "cddd"}},
    "libraries of types left out": {"experiments.cddd": LIBRARIES | {"train": "data/apart"}},
    "libraries of a variant": {"experiments.cddd": LIBRARIES | {"train": "cddd-wang2025"}},
    "figures": {
        "models.trees": {"kind": "extratrees", "trees": 5, "min_leaf": 1},
        "experiments.cddd.model": "trees",
        "experiments.cddd.figures": True,
        "experiments.cddd.tests": ["cddd", "gcdd", "cddd-wang2025", "cddd-both", "ulbd-imbalanced"],
    },
    "mixtures": {"experiments.gcdd.train": {"physical-online": 1, "gcdd-online": 2, "ulbd-imbalanced": 1}},
}
APART = {"experiments.cddd.train": "data/apart"}
#: What is read only where something else asks for it: path, and two changes that differ in it.
TOGETHER = (
    (
        "observer.laws",
        {"observer": OBSERVED | {"laws": {"ulbd": "uniform"}}},
        CHANGES["an observer of variants and copies"],
    ),
    (
        "cleaning.protostructures",
        {"splits.cddd": "formula"},
        {"splits.cddd": "formula", "cleaning.protostructures": False},
    ),
    ("experiments.cddd.train", {}, APART),
    ("train.processes", {"train.ghost_batch": 32}, {"train.ghost_batch": 32, "train.processes": 2}),
    ("patterns", APART, APART | CHANGES["two sets of measured patterns"]),
)


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


def plan(clone, config, targets=()):
    """Every job of a full run under `config`, as Snakemake plans it, with what else `targets` ask for."""
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
        workflow.dag(DAGSettings(targets={"all", *targets})).summary()
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


@dataclass(frozen=True)
class Stage:
    name: str
    cmd: str
    deps: frozenset[str]
    outs: frozenset[str]
    params: frozenset[str]

    @cached_property
    def rules(self):
        """Names of the rules that its command allows."""
        words = shlex.split(self.cmd)
        return frozenset(words[words.index("--allowed-rules") + 1 : words.index("--")])

    @cached_property
    def folders(self):
        """Folders that its command makes before anything else."""
        made = re.match("mkdir -p (.+?) && ", self.cmd)
        return frozenset(made[1].split() if made else ())

    @cached_property
    def targets(self):
        """Rules and files that its command asks for."""
        words = shlex.split(self.cmd)
        return frozenset(words[words.index("--") + 1 :])


@pytest.fixture(scope="module")
def stages_under(clone):
    """Function of a configuration: the stages that DVC reads from dvc.yaml under it."""
    from dvc.parsing import DataResolver
    from dvc.repo import Repo

    written = yaml.safe_load((clone.path / "dvc.yaml").read_text())
    file = clone.path / CONFIG
    kept = file.read_bytes()

    def read(config):
        file.write_text(yaml.safe_dump(config, sort_keys=False))
        try:
            with Repo(str(clone.path)) as repo:
                resolved = DataResolver(repo, repo.root_dir, copy.deepcopy(written)).resolve()["stages"]
        finally:
            file.write_bytes(kept)
        return [
            Stage(
                name,
                stage["cmd"],
                frozenset(stage["deps"]),
                frozenset(
                    path for kind in ("outs", "metrics", "plots") for path in flat(stage.get(kind, []))
                ),
                frozenset(key for of in stage.get("params", []) for key in of[CONFIG]),
            )
            for name, stage in resolved.items()
        ]

    return read


def flat(entries):
    """Paths of outputs, each of them alone or with what is said of it."""
    return [path for entry in entries for path in ([entry] if isinstance(entry, str) else entry)]


@pytest.fixture(scope="module")
def stages(config, stages_under):
    return stages_under(config)


def inside(path, roots):
    return any(path == root or path.startswith(root + os.sep) for root in roots)


def family(stage):
    return stage.name.partition("@")[0]


def stage_of(job, stages):
    """The stage that runs a job: it allows the rule and holds the outputs, or what its shards become."""
    places = [re.sub("^shards/", "data/", path) for path in job.outputs]
    found = [
        stage
        for stage in stages
        if job.rule in stage.rules and all(inside(path, stage.outs) for path in places)
    ]
    assert len(found) == 1, f"{job.rule}, {sorted(job.outputs)}: {[stage.name for stage in found]}"
    return found[0]


def names_of(jobs, stages):
    """Names of the stages that run these jobs."""
    return {stage_of(job, stages).name for job in jobs if job.outputs}


@pytest.fixture(scope="module")
def held_together(clone, stages_under):
    """Function of a configuration: its jobs; fails where DVC would not make the same under it as Snakemake.

    The jobs of a stage are what its targets lead to. DVC ends a stage whose dependencies or outputs are not
    there: each dependency comes from another stage or lies in the checkout, and each output has a job or is
    made by the command itself.
    """
    tracked = clone.run("git", "ls-files").stdout.splitlines()

    def hold(config):
        stages = stages_under(check(config))
        planned = plan(clone, config, set().union(*(stage.targets for stage in stages)))
        maker = {name: job for job in planned for name in (job.rule, *job.outputs)}
        jobs = {job for job in leading_to({"all"}, maker) if job.outputs}
        made = {stage.name: set() for stage in stages}
        for job in jobs:
            made[stage_of(job, stages).name].add(job)
        given = given_inputs(config)
        outs = set().union(*(stage.outs for stage in stages))
        links = {path.removesuffix(".json") for path in outs if path.startswith("data/links/")}
        there = outs | links | {*tracked}
        for stage in stages:
            mine = made[stage.name]
            within = {name: job for name, job in maker.items() if job in mine or not job.outputs}
            reached = {job for job in leading_to(stage.targets, within) if job.outputs}
            assert reached == mine, f"{stage.name} makes other files than Snakemake"
            needed = set().union(*(job.inputs for job in mine)) - set().union(*(job.outputs for job in mine))
            undeclared = needed - given.get(stage.name, set())
            assert {path for path in undeclared if not inside(path, stage.deps)} == set(), stage.name
            for path in stage.deps:
                found = inside(path, there) or any(inside(one, {path}) for one in there)
                assert found, f"{stage.name}: nothing makes {path}"
            kept = set().union(*(job.kept for job in mine))
            for path in stage.outs - stage.folders:
                assert any(inside(one, {path}) for one in kept), f"{stage.name} leaves no {path}"
        return jobs

    return hold


def leading_to(targets, maker):
    """The jobs that files or rules take, of those in `maker`."""
    found, paths = set(), [*targets]
    while paths:
        job = maker.get(paths.pop())
        if job is not None and job not in found:
            found.add(job)
            paths += job.inputs
    return found


def given_inputs(config):
    """Name of a stage -> what it reads through its link in data/links."""
    sources = {f"fetch@{name}": {*source_inputs(of)} for name, of in config["sources"].items()}
    patterns = {f"patterns@{name}": {*pattern_inputs(of)} for name, of in config["patterns"].items()}
    return sources | patterns


def without(config, path):
    changed = copy.deepcopy(config)
    *parents, key = path.split(".")
    del reduce(getitem, parents, changed)[key]
    return changed


def with_values(config, changes):
    for path, value in changes.items():
        config = with_value(config, path, value)
    return config


def test_every_stage_has_jobs_but_that_of_types_left_out(jobs, stages):
    assert len(jobs) > 30
    assert names_of(jobs, stages) == {stage.name for stage in stages} - {"apart"}


def configurations(root):
    files = [*root.glob("config/*.yaml"), *root.glob("benchmarks/**/*.yaml")]
    return {path.relative_to(root).as_posix() for path in files} - {"config/config.schema.yaml"}


@pytest.mark.parametrize("name", sorted(configurations(Path(__file__).parents[2])))
def test_both_tools_make_the_same_under_every_configuration(root, clone, held_together, name):
    config = yaml.safe_load((root / name).read_text())
    for path in {path for paths in given_inputs(config).values() for path in paths}:
        file = clone.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.exists() or file.touch()
    models = {
        path for job in held_together(config) for path in job.kept if path.endswith("model.safetensors")
    }
    expected = sum(len(e["families"]) * len(e["seeds"]) for e in config["experiments"].values())
    assert len(models) == expected


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_both_tools_make_the_same_whatever_is_left_out_or_asked_for(held_together, config, changes):
    held_together(with_values(config, changes))


def test_no_key_that_stages_read_may_be_left_out(config, stages):
    """DVC ends a stage if a parameter of it is missing, and every stage if that of a `foreach` is."""
    for path in REPEATED.union(*(stage.params for stage in stages if "@" not in stage.name)):
        with pytest.raises(XtinctError, match="missing"):
            check(without(config, path))


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
        files, texts = zip(*(rules[name] for name in sorted(stage.rules)), strict=True)
        assert {dep for dep in stage.deps if dep.endswith(".smk")} == set(files), stage.name
        assert f"rules/{family(stage)}.smk" in files, stage.name
        text = "".join(texts)
        scripts = {f"workflow/scripts/{name}" for name in re.findall(r"workflow/scripts/(\w+\.py)", text)}
        assert scripts, stage.name
        assert {dep for dep in stage.deps if dep.startswith("workflow/")} == scripts, stage.name
        # job.py starts the jobs; what they write does not depend on it.
        modules = set().union(*(imported(clone.path / script) for script in scripts)) - {"xtinct.project.job"}
        behind = set(source_files(*modules))
        digested = set(source_files(*re.findall(r'"(xtinct\.[\w.]+)"', text)))
        code = {f"src/xtinct/{path.relative_to(SOURCE).as_posix()}" for path in behind | digested}
        assert {path for path in code if not inside(path, stage.deps)} == set(), stage.name
        declared = {dep for dep in stage.deps if dep.startswith("src/")}
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
def touched(clone, config, jobs, unobserved, stages, stages_under):
    """Path of the configuration -> stages with jobs that are planned under one of its values alone."""
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
        again = stages_under(changed) if path in REPEATED else stages
        found[path] = names_of(before - planned, stages) | names_of(planned - before, again)
        assert found[path] - {"report"} or path in OF_THE_REPORT, f"{path} changes nothing"
    for path, *changes in TOGETHER:
        sides = [with_values(config, change) for change in changes]
        planned = [plan(clone, side) for side in sides]
        for jobs, side in zip(planned, sides, strict=True):
            alone = jobs - frozenset.intersection(*map(frozenset, planned))
            found[path] = found.get(path, set()) | names_of(alone, stages_under(side))
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
        undeclared = {path for path in read if not any(declares(param, path) for param in stage.params)}
        assert undeclared == set(), f"{stage.name}: undeclared params"


def test_no_stage_declares_configuration_that_its_family_does_not_read(stages, touched):
    for stage in stages:
        for param in stage.params:
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

"""The workflow through a Slurm that runs on this machine: `make test-cluster`."""

import importlib.util
import os
import re
from itertools import accumulate

import one_machine_slurm
import pytest

pytestmark = [pytest.mark.workflow, pytest.mark.cluster, pytest.mark.slow]

#: As profiles/slurm, but asking more often: these jobs take seconds, and nobody else asks this Slurm.
RUN = [
    *("snakemake", "--workflow-profile", "profiles/slurm", "--latency-wait", "20"),
    *("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "3"),
    *("--seconds-between-status-checks", "3", "--slurm-no-account"),
]
HOGS = "import time\nhog = bytearray(10**9)\ntime.sleep(5)\ndel hog\n"
LINGERS = "import time\ntime.sleep(75)\n"


@pytest.fixture(scope="module")
def cluster():
    """Variables of a Slurm with 4 processors, 64 GB and 2 GPUs, as far as it knows."""
    if missing := one_machine_slurm.missing_programs():
        pytest.skip(f"no {', '.join(missing)}: apt-get install slurm-wlm munge")
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        pytest.skip("no snakemake-executor-plugin-slurm: pip install '.[cluster]'")
    with one_machine_slurm.slurm(processors=4, memory=64000) as variables:
        yield variables


@pytest.fixture
def submitting(new_clone, cluster):
    """Function that makes a clone whose commands reach the cluster."""

    def make(change=None):
        clone = new_clone(change)
        path = os.pathsep.join([clone.environment["PYTHONPATH"], os.environ.get("PYTHONPATH", "")])
        commands = os.pathsep.join([clone.environment["PATH"].split(os.pathsep)[0], cluster["PATH"]])
        return clone.elsewhere(clone.path, PATH=commands, PYTHONPATH=path)

    return make


def jobs_of(clone):
    """What Slurm knows of every job so far, in the order of submission, by its comment: the rule."""
    shown = clone.run("scontrol", "--oneliner", "show", "job").stdout
    found = {}
    for line in shown.splitlines():
        job = dict(re.findall(r"(\w+)=(\S+)", line))
        found.setdefault(job["Comment"], []).append(job)
    return found


def put_before(script, lines):
    script.write_text(script.read_text().replace("\n\n", f"\n\n{lines}\n", 1))


def test_a_job_that_is_killed_for_memory_or_time_is_tried_again_with_more(submitting):
    clone = submitting(lambda text: text.replace("device: cpu", "device: auto"))
    scripts, rules = clone.path / "workflow/scripts", clone.path / "rules"
    put_before(scripts / "fetch_source.py", HOGS)
    put_before(scripts / "symmetry_tables.py", LINGERS)
    for file, amount, little in (
        ("fetch.smk", "mem_mb=sized(4000)", "mem_mb=sized(800)"),
        ("symmetry.smk", "runtime=sized(30)", "runtime=sized(1)"),
    ):
        text = (rules / file).read_text()
        assert amount in text
        (rules / file).write_text(text.replace(amount, little))
    targets = [
        "data/raw/aflow.parquet",
        "data/symmetry/wyckoff.parquet",
        "models/ulbd/cubic/seed-0/model.safetensors",
    ]
    planned = clone.run(*RUN, "-n", "--", *targets)
    (asked,) = re.findall(r"rule train_model:.*?resources: (.*?)\n", planned.stdout + planned.stderr, re.S)
    assert "gpu=1" in asked, "as it will be submitted"
    clone.run(*RUN, "--", *targets)
    assert all((clone.path / target).exists() for target in targets)
    jobs = jobs_of(clone)
    killed, again = jobs["rule_fetch_source_wildcards_aflow"]
    assert (killed["JobState"], killed["MinMemoryNode"]) == ("FAILED", "800M")
    assert (again["JobState"], again["MinMemoryNode"]) == ("COMPLETED", "1600M")
    late, *others = jobs["rule_symmetry_tables"]
    assert (late["JobState"], late["TimeLimit"]) == ("TIMEOUT", "00:01:00")
    assert (others[-1]["JobState"], others[0]["TimeLimit"]) == ("COMPLETED", "00:02:00")
    # Whatever this machine has, where the jobs are submitted: those that use a GPU ask for one.
    (training,) = jobs["rule_train_model_wildcards_ulbd_cubic_0"]
    assert training["TresPerJob"] == "gres:gpu:1"
    assert not any("TresPerJob" in job for job in (killed, again, late, *others))


def test_the_build_through_slurm_gives_the_bytes_of_the_local_build(submitting, built):
    clone = submitting()
    clone.run(*RUN, "--", "all")
    assert clone.snakemake_would_run() == set()
    ended = [job for jobs in jobs_of(clone).values() for job in jobs if job["WorkDir"] == str(clone.path)]
    assert {job["JobState"] for job in ended} == {"COMPLETED"}
    assert together(ended) > 1, "several jobs at a time"
    for pattern in ("data/**/*.parquet", "models/**/*.safetensors", "results/**/*.parquet", "results/*.csv"):
        there = contents(built, pattern)
        assert there
        ours = contents(clone, pattern)
        assert sorted(ours) == sorted(there)
        assert [name for name in ours if ours[name] != there[name]] == []


def contents(clone, pattern):
    """Files without those that hold times, and without what BLAS rounds by its number of threads."""
    timed = ("data/cache/", "results/measured/", "data/audit/")
    return {name: text for name, text in clone.files(pattern).items() if not name.startswith(timed)}


def together(jobs):
    """The most jobs that ran at one time."""
    changes = sorted(change for job in jobs for change in ((job["StartTime"], 1), (job["EndTime"], -1)))
    return max(accumulate(change for _, change in changes))

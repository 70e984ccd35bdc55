# Crystal structures -> line lists -> models -> extinction-law ceilings -> report.
#   snakemake --cores all all      everything that is missing or out of date
#   snakemake -n all               what that would be, and why
import os

import xtinct.project.configuration
import xtinct.project.place
from snakemake.utils import min_version

min_version("9.20")
# `snakemake --lint` asks for a conda environment or container for each rule. There is none on purpose: the
# rules import the library themselves, so Snakemake, library and jobs share one environment, pinned by
# requirements.lock (`make env`, or envs/xtinct.yaml with conda).

# "" in the project's own folder; elsewhere (--directory, module) where the project lies.
PROJECT = xtinct.project.configuration.project_folder(workflow.current_basedir)
CONFIG = os.path.join(PROJECT, xtinct.project.configuration.CONFIG)
# Read once before Snakemake does, which would name neither the line nor a key that stands twice.
# As a module the project is given its configuration, which rules/common.smk checks.
if workflow.modifier.is_main_snakefile():
    xtinct.project.configuration.exit_if_wrong(
        *(workflow.overwrite_configfiles or [CONFIG])
    )
    xtinct.project.place.exit_if_read_only()
    xtinct.project.place.exit_if_full()


configfile: CONFIG


# The first page of `snakemake --report`.
report: "workflow/report/workflow.rst"


include: "rules/common.smk"
include: "rules/links.smk"
include: "rules/fetch.smk"
include: "rules/pattern_links.smk"
include: "rules/patterns.smk"
include: "rules/structures.smk"
include: "rules/splits.smk"
include: "rules/symmetry.smk"
include: "rules/ceilings.smk"
include: "rules/cddd.smk"
include: "rules/ulbd.smk"
include: "rules/gcdd.smk"
include: "rules/copies.smk"
include: "rules/variants.smk"
include: "rules/apart.smk"
include: "rules/train.smk"
include: "rules/evaluate.smk"
include: "rules/observer.smk"
include: "rules/recognition.smk"
include: "rules/measured.smk"
include: "rules/measured_networks.smk"
include: "rules/report.smk"


# Jobs of a cluster are limited by their number (`nodes`); those of this machine by what it has.
limits = workflow.resource_settings
if (
    workflow.modifier.is_main_snakefile()
    and workflow.is_main_process
    and limits.nodes is None
):
    if "mem_mb" not in workflow.global_resources:
        memory = xtinct.project.place.memory_limit(limits.cores)
        if memory is not None:
            workflow.register_resource("mem_mb", memory)
    # A profile limits GPUs. Where there are none, jobs take the processors that they ask for as well.
    if not xtinct.project.place.has_gpu():
        workflow.register_resource(
            "gpu", max(limits.cores or 1, config["train"]["processes"])
        )


onstart:
    # Snakemake limits the jobs that it starts in a second, which a cluster may need. For that it looks once more a
    # second later, every time that it has looked, so that by the end of a build it looks a hundred times a
    # second, each time at all jobs that could start.
    if limits.nodes is None:
        workflow.scheduler.job_rate_limiter = None


if workflow.modifier.is_main_snakefile() and workflow.is_main_process:
    xtinct.project.place.exit_if_from_the_future(
        lambda path: any(
            output.match(path) for rule in workflow.rules for output in rule.output
        ),
        given_paths(),
    )


rule all:
    default_target: True
    input:
        final_targets(),

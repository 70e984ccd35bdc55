"""One set of measured patterns -> table of labelled patterns, and quarantine."""

from xtinct.auditing.pattern_sources import collect_patterns
from xtinct.project.job import job

params, output = snakemake.params, snakemake.output

with job(snakemake.log):
    collect_patterns(
        snakemake.wildcards.set, params.patterns, output.patterns, output.quarantine, project=params.project
    )

"""One source -> table of structures as received."""

from xtinct.project.job import job
from xtinct.sources.fetching import fetch

params = snakemake.params

with job(snakemake.log):
    fetch(snakemake.wildcards.source, params.source, snakemake.output[0], project=params.project)

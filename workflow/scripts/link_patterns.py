"""A set of measured patterns -> a link to what it reads, which DVC follows."""

from xtinct.project.job import job
from xtinct.sources.links import link_source

with job(snakemake.log):
    link_source(snakemake.params.paths, snakemake.output[0])

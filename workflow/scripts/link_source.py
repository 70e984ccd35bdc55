"""A source -> a link to what it reads, which DVC follows."""

from xtinct.pipeline import job
from xtinct.structures.links import link_source

with job(snakemake.log):
    link_source(snakemake.params.paths, snakemake.output[0])

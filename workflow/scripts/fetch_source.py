"""One source -> table of structures as received."""

from xtinct.pipeline import job
from xtinct.structures.sources import fetch

with job(snakemake.log):
    fetch(snakemake.wildcards.source, snakemake.params.source, snakemake.output[0])

"""One source -> table of structures as received."""

from xtinct.project.job import job
from xtinct.sources.fetching import fetch

params = snakemake.params
# What lies elsewhere was brought to this disk.
source = {**params.source, **({"path": snakemake.input.brought[0]} if snakemake.input.brought else {})}

with job(snakemake.log):
    fetch(snakemake.wildcards.source, source, snakemake.output[0], project=params.project)

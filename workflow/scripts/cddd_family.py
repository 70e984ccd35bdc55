"""Shards of one family's line lists of real structures -> one table."""

from xtinct.datasets.cddd import cddd_config, merge
from xtinct.project.job import job

with job(snakemake.log):
    merge(
        list(snakemake.input),
        out=snakemake.output[0],
        seed=snakemake.params.seed,
        config=cddd_config(snakemake.params.config),
    )

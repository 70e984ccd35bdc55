"""Shards of one family's line lists of generated crystals -> one table."""

from xtinct.datasets.gcdd import gcdd_config, merge_lines
from xtinct.project.job import job

with job(snakemake.log):
    merge_lines(
        list(snakemake.input),
        out=snakemake.output[0],
        seed=snakemake.params.seed,
        config=gcdd_config(snakemake.params.config),
    )

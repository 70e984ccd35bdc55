"""Shards of one family's uniform lattices -> one table."""

from xtinct.datasets.ulbd import merge, ulbd_config
from xtinct.project.job import job

with job(snakemake.log):
    merge(
        list(snakemake.input),
        out=snakemake.output[0],
        seed=snakemake.params.seed,
        config={
            **ulbd_config(snakemake.params.config, snakemake.wildcards.family),
            "variant": snakemake.params.variant,
        },
    )

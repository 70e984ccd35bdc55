"""Part of one family's lattices -> line lists with random intensities."""

from xtinct.datasets.ulbd import build_shard, ulbd_config
from xtinct.project.job import job

params, wildcards = snakemake.params, snakemake.wildcards

with job(snakemake.log):
    build_shard(
        **ulbd_config(params.config, wildcards.family),
        seed=params.seed,
        shard=int(wildcards.shard),
        shards=params.shards,
        out=snakemake.output[0],
        ranges=snakemake.input.get("ranges") or None,
    )

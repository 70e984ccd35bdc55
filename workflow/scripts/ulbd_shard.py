"""Part of one family's lattices -> line lists with random intensities."""

from xtinct.datasets.settings import UlbdSettings
from xtinct.datasets.ulbd import build_shard
from xtinct.files.shards import Shard
from xtinct.project.job import job

params, wildcards = snakemake.params, snakemake.wildcards

with job(snakemake.log):
    build_shard(
        UlbdSettings.from_config(params.config, wildcards.family, params.seed),
        Shard(int(wildcards.shard), params.shards),
        snakemake.output[0],
        ranges=snakemake.input.get("ranges") or None,
    )

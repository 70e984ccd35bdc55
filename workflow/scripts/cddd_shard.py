"""Part of the structures -> line lists by family, and quarantine."""

from xtinct.datasets.cddd import build_shard, cddd_config
from xtinct.project.job import job

params = snakemake.params

with job(snakemake.log):
    build_shard(
        snakemake.input[0],
        **cddd_config(params.config),
        seed=params.seed,
        shard=int(snakemake.wildcards.shard),
        shards=params.shards,
        lines_out=dict(zip(params.families, snakemake.output.lines, strict=True)),
        quarantine_out=snakemake.output.quarantine,
    )

"""Part of the structures -> line lists by family, and quarantine."""

from xtinct.datasets.cddd import build_shard
from xtinct.datasets.settings import CrystalSettings
from xtinct.files.shards import Shard
from xtinct.project.job import job

params = snakemake.params

with job(snakemake.log):
    build_shard(
        snakemake.input[0],
        CrystalSettings.from_config(params.config, params.seed),
        Shard(int(snakemake.wildcards.shard), params.shards),
        lines_out=dict(zip(params.families, snakemake.output.lines, strict=True)),
        quarantine_out=snakemake.output.quarantine,
    )

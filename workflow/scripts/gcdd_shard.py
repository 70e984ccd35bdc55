"""Part of the requested crystals -> structures, line lists by family, and quarantine."""

from xtinct.datasets.gcdd import build_shard
from xtinct.datasets.settings import GcddSettings
from xtinct.files.shards import Shard
from xtinct.project.job import job

outputs, params = snakemake.output, snakemake.params

with job(snakemake.log):
    build_shard(
        snakemake.input[0],
        GcddSettings.from_config(params.config, params.seed, second_finder=params.second_finder),
        Shard(int(snakemake.wildcards.shard), params.shards),
        structures_out=outputs.structures,
        lines_out=dict(zip(params.families, outputs.lines, strict=True)),
        quarantine_out=outputs.quarantine,
        attempts_out=outputs.attempts,
    )

"""Part of the requested crystals -> structures, line lists by family, and quarantine."""

from xtinct.datasets.gcdd import build_shard, gcdd_config
from xtinct.project.job import job

outputs, params = snakemake.output, snakemake.params

with job(snakemake.log):
    build_shard(
        snakemake.input[0],
        **gcdd_config(params.config),
        second_finder=params.second_finder,
        seed=params.seed,
        shard=int(snakemake.wildcards.shard),
        shards=params.shards,
        structures_out=outputs.structures,
        lines_out=dict(zip(params.families, outputs.lines, strict=True)),
        quarantine_out=outputs.quarantine,
        attempts_out=outputs.attempts,
    )

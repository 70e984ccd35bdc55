"""Structures, quarantine, attempts and manifest of the generated crystals."""

from xtinct.datasets import gcdd
from xtinct.datasets.manifest import write_manifest
from xtinct.project.job import job

inputs, outputs, params = snakemake.input, snakemake.output, snakemake.params

with job(snakemake.log):
    config = gcdd.gcdd_config(params.config)
    gcdd.merge_structures(inputs.structures, out=outputs.structures, seed=params.seed, config=config)
    gcdd.merge_quarantine(inputs.quarantine, out=outputs.quarantine)
    gcdd.merge_attempts(inputs.attempts, out=outputs.attempts)
    write_manifest(
        outputs.manifest,
        dataset="gcdd",
        tables=dict(zip(params.families, inputs.families, strict=True)),
        seed=params.seed,
        config=config,
        quarantine=outputs.quarantine,
        received=len(gcdd.requested(params.families, config["gcdd"]["per_group"])),
    )

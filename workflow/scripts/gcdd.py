"""Structures, quarantine, attempts and manifest of the generated crystals."""

from xtinct.datasets.gcdd import merge_attempts, requested
from xtinct.datasets.manifest import write_manifest
from xtinct.datasets.merging import merge_quarantine, merge_structures
from xtinct.datasets.settings import GcddSettings
from xtinct.project.job import job

inputs, outputs, params = snakemake.input, snakemake.output, snakemake.params

with job(snakemake.log):
    settings = GcddSettings.from_config(params.config, params.seed)
    merge_structures(inputs.structures, outputs.structures, settings.identity)
    merge_quarantine(inputs.quarantine, outputs.quarantine)
    merge_attempts(inputs.attempts, outputs.attempts)
    write_manifest(
        outputs.manifest,
        settings.identity,
        dict(zip(params.families, inputs.families, strict=True)),
        quarantine=outputs.quarantine,
        received=len(requested(params.families, settings.gcdd["per_group"])),
    )

"""Quarantine and manifest of the line lists of real structures."""

from xtinct.datasets.manifest import write_manifest
from xtinct.datasets.merging import merge_quarantine
from xtinct.datasets.settings import CrystalSettings
from xtinct.files.parquet import count_rows
from xtinct.project.job import job

inputs, outputs, params = snakemake.input, snakemake.output, snakemake.params

with job(snakemake.log):
    merge_quarantine(inputs.quarantine, outputs.quarantine)
    write_manifest(
        outputs.manifest,
        CrystalSettings.from_config(params.config, params.seed).identity,
        dict(zip(params.families, inputs.families, strict=True)),
        quarantine=outputs.quarantine,
        received=count_rows([inputs.structures]),
    )

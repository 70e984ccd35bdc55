"""Quarantine and manifest of the line lists of real structures."""

from xtinct.datasets.cddd import cddd_config, merge_quarantine
from xtinct.datasets.manifest import write_manifest
from xtinct.files.parquet import open_parquet
from xtinct.project.job import job

inputs, outputs, params = snakemake.input, snakemake.output, snakemake.params

with job(snakemake.log):
    merge_quarantine(inputs.quarantine, out=outputs.quarantine)
    write_manifest(
        outputs.manifest,
        dataset="cddd",
        tables=dict(zip(params.families, inputs.families, strict=True)),
        seed=params.seed,
        config=cddd_config(params.config),
        quarantine=outputs.quarantine,
        received=open_parquet(inputs.structures).metadata.num_rows,
    )

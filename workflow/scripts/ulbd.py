"""Manifest of the uniform lattices."""

from xtinct.datasets.manifest import write_manifest
from xtinct.project.job import job

params = snakemake.params

with job(snakemake.log):
    write_manifest(
        snakemake.output[0],
        dataset="ulbd",
        tables=dict(zip(params.families, snakemake.input, strict=True)),
        seed=params.seed,
        config=params.config,
    )

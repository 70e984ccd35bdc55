"""Manifest of the uniform lattices."""

from xtinct.datasets.manifest import write_manifest
from xtinct.datasets.merging import Identity
from xtinct.project.job import job

params = snakemake.params

with job(snakemake.log):
    write_manifest(
        snakemake.output[0],
        Identity("ulbd", params.seed, params.config),
        dict(zip(params.families, snakemake.input, strict=True)),
    )

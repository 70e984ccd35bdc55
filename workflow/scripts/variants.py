"""Manifest of the variants of the datasets."""

from xtinct.datasets.manifest import write_variants
from xtinct.project.job import job

inputs, params = snakemake.input, snakemake.params

with job(snakemake.log):
    write_variants(
        snakemake.output[0],
        variants=params.variants,
        tables={
            name: {family: inputs[f"{name}-{family}"] for family in families}
            for name, families in params.families.items()
        },
        seed=params.seed,
    )

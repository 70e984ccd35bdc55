"""Shards of structures -> one table, one quarantine, one manifest."""

from xtinct.project.job import job
from xtinct.structures.cleaning import merge

with job(snakemake.log):
    merge(
        raw=snakemake.input.raw,
        structures=snakemake.input.structures,
        quarantine=snakemake.input.quarantine,
        structures_out=snakemake.output.structures,
        quarantine_out=snakemake.output.quarantine,
        manifest_out=snakemake.output.manifest,
    )

"""Test crystals -> copies with coordinates, lattice or both drawn anew, and their line lists."""

from xtinct.datasets.cddd_copies import build_copies
from xtinct.project.job import job

inputs, outputs, params = snakemake.input, snakemake.output, snakemake.params

with job(snakemake.log):
    build_copies(
        inputs.structures,
        inputs.splits,
        inputs.statistics,
        kind=snakemake.wildcards.copies.removeprefix("cddd-"),
        split=params.config["splits"]["cddd"],
        lines=params.config["lines"],
        symprec=params.config["cleaning"]["symprec"],
        seed=params.seed,
        structures_out=outputs.structures,
        lines_out=dict(zip(params.families, outputs.lines, strict=True)),
        quarantine_out=outputs.quarantine,
        manifest_out=outputs.manifest,
    )

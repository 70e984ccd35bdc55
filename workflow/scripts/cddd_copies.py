"""Test crystals -> copies with coordinates, lattice or both drawn anew, and their line lists."""

from xtinct.datasets.cddd_copies import CopySettings, build_copies
from xtinct.datasets.manifest import write_manifest
from xtinct.project.job import job

inputs, outputs, params = snakemake.input, snakemake.output, snakemake.params

with job(snakemake.log):
    kind = snakemake.wildcards.copies.removeprefix("cddd-")
    settings = CopySettings.from_config(params.config, params.seed, kind)
    lines = dict(zip(params.families, outputs.lines, strict=True))
    counts = build_copies(
        inputs.structures,
        inputs.splits,
        inputs.statistics,
        settings,
        structures_out=outputs.structures,
        lines_out=lines,
        quarantine_out=outputs.quarantine,
    )
    write_manifest(
        outputs.manifest,
        settings.identity,
        lines,
        quarantine=outputs.quarantine,
        received=counts["received"],
    )

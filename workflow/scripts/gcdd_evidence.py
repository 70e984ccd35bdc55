"""Real and generated crystals, and the attempts -> tables that compare them."""

from xtinct.generators.evidence import write_evidence
from xtinct.project.job import job

inputs, outputs = snakemake.input, snakemake.output

with job(snakemake.log):
    write_evidence(
        inputs.real,
        inputs.generated,
        inputs.attempts,
        comparison_out=outputs.comparison,
        histograms_out=outputs.histograms,
        groups_out=outputs.groups,
    )

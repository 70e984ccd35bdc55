"""Real and generated crystals, and the attempts -> tables that compare them."""

from xtinct.pipeline import job
from xtinct.structures.generators.evidence import write_evidence

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

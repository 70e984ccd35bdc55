"""Every method on one set of measured patterns -> metrics and predictions."""

from xtinct.evaluation.measured_answers import MeasuredTest, judge_measured
from xtinct.project.job import job

inputs, outputs, params = snakemake.input, snakemake.output, snakemake.params

with job(snakemake.log):
    judge_measured(
        MeasuredTest(
            snakemake.wildcards.set, inputs.patterns, inputs.audit, inputs.database, params.confidence
        ),
        dict(zip(params.methods, zip(outputs.metrics, outputs.predictions, strict=True), strict=True)),
    )

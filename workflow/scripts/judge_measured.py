"""One method on one set of measured patterns -> metrics and predictions."""

from xtinct.evaluation.measured_answers import MeasuredTest, judge_measured
from xtinct.project.job import job

inputs, outputs = snakemake.input, snakemake.output

with job(snakemake.log):
    judge_measured(
        MeasuredTest(
            snakemake.wildcards.set,
            inputs.patterns,
            inputs.audit,
            inputs.database,
            snakemake.params.confidence,
        ),
        snakemake.wildcards.method,
        outputs.metrics,
        outputs.predictions,
    )

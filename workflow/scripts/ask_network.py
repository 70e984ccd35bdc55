"""One model on one set of measured patterns -> metrics and predictions."""

from pathlib import Path

from xtinct.evaluation.measured_networks import MeasuredSet, evaluate_on_measured
from xtinct.evaluation.methods import ModelFolder
from xtinct.project.job import job

inputs, outputs, params = snakemake.input, snakemake.output, snakemake.params

with job(snakemake.log):
    evaluate_on_measured(
        ModelFolder(Path(inputs.model).parent, params.device, params.precision, params.threads),
        MeasuredSet(snakemake.wildcards.set, inputs.patterns, inputs.audit, params.confidence),
        outputs.metrics,
        outputs.predictions,
    )

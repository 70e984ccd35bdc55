"""One model on one test set -> metrics and predictions."""

from pathlib import Path

from xtinct.evaluation.methods import ModelFolder
from xtinct.evaluation.networks import evaluate_model
from xtinct.evaluation.test_sets import TestSet
from xtinct.project.job import job

params = snakemake.params

with job(snakemake.log):
    folder = Path(snakemake.input.model).parent
    evaluate_model(
        ModelFolder(folder, params.device, params.precision, params.threads),
        TestSet(
            snakemake.wildcards.test,
            snakemake.input.datasets,
            params.instrument,
            confidence=params.confidence,
        ),
        snakemake.output.metrics,
        snakemake.output.predictions,
    )

"""The observer together with a trained model, on one test set -> metrics and predictions."""

from pathlib import Path

from xtinct.evaluation.methods import ModelFolder, ObserverSettings
from xtinct.evaluation.observers import evaluate_observer
from xtinct.evaluation.test_sets import TestSet
from xtinct.project.job import job

inputs, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards

with job(snakemake.log):
    evaluate_observer(
        ObserverSettings(wildcards.family, params.law, params.samples, params.lengths),
        TestSet(wildcards.test, [inputs.dataset], params.instrument, confidence=params.confidence),
        snakemake.output.metrics,
        snakemake.output.predictions,
        ModelFolder(Path(inputs.model).parent, params.device, params.precision),
    )

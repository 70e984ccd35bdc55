"""The observer on one test set -> metrics and predictions."""

from xtinct.evaluation.methods import ObserverSettings
from xtinct.evaluation.observers import evaluate_observer
from xtinct.evaluation.test_sets import TestSet
from xtinct.project.job import job

params, wildcards = snakemake.params, snakemake.wildcards

with job(snakemake.log):
    evaluate_observer(
        ObserverSettings(wildcards.family, params.law, params.samples, params.lengths),
        TestSet(wildcards.test, [snakemake.input.dataset], params.instrument, confidence=params.confidence),
        snakemake.output.metrics,
        snakemake.output.predictions,
    )

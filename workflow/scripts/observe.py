"""The observer on one test set -> metrics and predictions."""

from xtinct.evaluation.observers import evaluate_observer
from xtinct.project.job import job

params = snakemake.params

with job(snakemake.log):
    evaluate_observer(
        dataset_path=snakemake.input.dataset,
        family=snakemake.wildcards.family,
        test_name=snakemake.wildcards.test,
        law=params.law,
        samples=params.samples,
        instrument=params.instrument,
        output_json=snakemake.output.metrics,
        output_parquet=snakemake.output.predictions,
        lengths=params.lengths,
        confidence=params.confidence,
    )

"""The observer together with a trained model, on one test set -> metrics and predictions."""

from pathlib import Path

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
        model_dir=Path(snakemake.input.model).parent,
        device=params.device,
        precision=params.precision,
        lengths=params.lengths,
        confidence=params.confidence,
    )

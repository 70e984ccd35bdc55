"""One model on one test set -> metrics and predictions."""

from pathlib import Path

from xtinct.evaluation.networks import evaluate_model
from xtinct.project.job import job

params = snakemake.params

with job(snakemake.log):
    evaluate_model(
        model_dir=Path(snakemake.input.model).parent,
        dataset_paths=snakemake.input.datasets,
        test_name=snakemake.wildcards.test,
        instrument=params.instrument,
        output_json=snakemake.output.metrics,
        output_parquet=snakemake.output.predictions,
        device=params.device,
        precision=params.precision,
        threads=params.threads,
        confidence=params.confidence,
    )

"""One model on one test set, measured worse and worse -> accuracy under each condition."""

from pathlib import Path

from xtinct.evaluation.robustness import measure_robustness
from xtinct.project.job import job

params = snakemake.params

with job(snakemake.log):
    measure_robustness(
        model_dir=Path(snakemake.input.model).parent,
        dataset_paths=snakemake.input.datasets,
        test_name=snakemake.wildcards.test,
        instrument=params.instrument,
        robustness=params.robustness,
        output_csv=snakemake.output[0],
        device=params.device,
        precision=params.precision,
        threads=params.threads,
        confidence=params.confidence,
    )

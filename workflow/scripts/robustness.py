"""One model on one test set, measured worse and worse -> accuracy under each condition."""

from pathlib import Path

from xtinct.evaluation.methods import ModelFolder
from xtinct.evaluation.robustness import measure_robustness
from xtinct.evaluation.test_sets import TestSet
from xtinct.project.job import job

params = snakemake.params

with job(snakemake.log):
    folder = Path(snakemake.input.model).parent
    measure_robustness(
        ModelFolder(folder, params.device, params.precision, params.threads),
        TestSet(
            snakemake.wildcards.test,
            snakemake.input.datasets,
            params.instrument,
            confidence=params.confidence,
        ),
        params.robustness,
        snakemake.output[0],
    )

"""One experiment, family and seed -> a trained model."""

from pathlib import Path

from xtinct.learning.training import train_model
from xtinct.pipeline import job

params, wildcards = snakemake.params, snakemake.wildcards

with job(snakemake.log):
    train_model(
        experiment={"name": wildcards.experiment, **params.experiment},
        family=wildcards.family,
        seed=int(wildcards.seed),
        train=params.train,
        models={params.experiment["model"]: params.model},
        instrument=params.instrument,
        lines={"d_star_max": params.d_star_max},
        ulbd=params.ulbd,
        dataset_path=snakemake.input.get("dataset") or None,
        validation_path=None,
        output_dir=Path(snakemake.output.model).parent,
    )

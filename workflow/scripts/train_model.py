"""One experiment, family and seed -> a trained model."""

from pathlib import Path

from xtinct.learning.parallel import launch
from xtinct.learning.training import train_model
from xtinct.pipeline import job

params, wildcards = snakemake.params, snakemake.wildcards

with job(snakemake.log):
    settings = {
        "experiment": {"name": wildcards.experiment, **params.experiment},
        "family": wildcards.family,
        "seed": int(wildcards.seed),
        "train": params.train,
        "models": {params.experiment["model"]: params.model},
        "instrument": params.instrument,
        "lines": params.lines,
        "ulbd": params.ulbd,
        "datasets": params.datasets,
        "occupations": snakemake.input.get("occupations") or None,
        "output_dir": Path(snakemake.output.model).parent,
    }
    launch(train_model, settings, params.train["processes"])

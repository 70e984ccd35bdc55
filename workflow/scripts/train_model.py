"""One experiment, family and seed -> a trained model."""

from xtinct.learning.parallel import launch
from xtinct.learning.training import train_model
from xtinct.pipeline import job

with job(snakemake.log):
    settings = {**snakemake.params.settings, "code": snakemake.params.code}
    launch(train_model, settings, settings["train"]["processes"])

"""One experiment, family and seed -> a trained model."""

from pathlib import Path

import xtinct.project.lean_torch  # noqa: F401 (before torch)
from xtinct.learning.parallel import launch
from xtinct.learning.training import train_model
from xtinct.learning.training_settings import TrainingSettings
from xtinct.project.job import job

settings = snakemake.params.settings
# As a module of another workflow, and where files come from a storage, they may stand elsewhere than the
# settings say; their order is the same.
paths = iter(snakemake.input)
datasets = {name: [next(paths) for _ in files] for name, files in settings["datasets"].items()}
occupations = settings["occupations"] and next(paths)
experiment, table = settings["experiment"], next(paths, None)
if table is not None:
    prior = experiment["prior"]
    experiment = {
        **experiment,
        "prior": str(table) if isinstance(prior, str) else {**prior, "of": str(table)},
    }

with job(snakemake.log):
    arguments = {
        "settings": TrainingSettings.from_config(
            {**settings, "experiment": experiment, "datasets": datasets, "occupations": occupations}
        ),
        "output_dir": str(Path(snakemake.output.model).parent),
        "code": snakemake.params.code,
    }
    launch(train_model, arguments, settings["train"]["processes"])

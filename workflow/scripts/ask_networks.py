"""Every model of all families on one set of measured patterns -> metrics."""

from pathlib import Path

import xtinct.project.lean_torch  # noqa: F401 (before torch)
from xtinct.evaluation.measured_networks import MeasuredSet, ask_networks
from xtinct.evaluation.methods import ModelFolder
from xtinct.project.job import job

inputs, params = snakemake.input, snakemake.params

with job(snakemake.log):
    ask_networks(
        [
            ModelFolder(Path(path).parent, params.device, params.precision, params.threads)
            for path in inputs.models
        ],
        MeasuredSet(snakemake.wildcards.set, inputs.patterns, inputs.audit, params.confidence),
        snakemake.output[0],
    )

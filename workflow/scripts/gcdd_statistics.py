"""Structures -> the statistics that crystals are generated from."""

from xtinct.datasets.gcdd_statistics import learn_part
from xtinct.project.job import job

inputs, params = snakemake.input, snakemake.params

with job(snakemake.log):
    learn_part(
        inputs.structures,
        inputs.splits,
        snakemake.output[0],
        part=params.learn_from,
        split=params.split,
    )

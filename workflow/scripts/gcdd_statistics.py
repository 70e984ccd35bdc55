"""Structures -> the statistics that crystals are generated from."""

from xtinct.pipeline import job
from xtinct.structures.generators.statistics import learn_to_file

with job(snakemake.log):
    learn_to_file(snakemake.input[0], snakemake.output[0])

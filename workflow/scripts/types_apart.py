"""Line lists of one family of real structures -> those whose types no measured pattern has."""

from xtinct.datasets.types_apart import write_apart
from xtinct.project.job import job

inputs = snakemake.input

with job(snakemake.log):
    write_apart(inputs.lines, inputs.structures, inputs.patterns, snakemake.output[0])

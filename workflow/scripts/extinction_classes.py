"""Extinction classes of every family, with symbols and members."""

from xtinct.ceiling.extinction import write_extinction_classes
from xtinct.project.job import job

with job(snakemake.log):
    write_extinction_classes(snakemake.output[0])

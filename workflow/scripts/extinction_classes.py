"""Extinction classes of every family, with symbols and members."""

from xtinct.pipeline import job
from xtinct.symmetry.ceilings import write_extinction_classes

with job(snakemake.log):
    write_extinction_classes(snakemake.output[0])

"""The best that the extinction laws allow, for every family and target."""

from xtinct.ceiling.extinction import write_ceilings
from xtinct.project.job import job

with job(snakemake.log):
    write_ceilings(snakemake.output.csv, snakemake.output.json, ks=snakemake.params.ks)

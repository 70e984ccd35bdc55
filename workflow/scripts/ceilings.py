"""The best that the extinction laws allow, for every family and target."""

from xtinct.pipeline import job
from xtinct.symmetry.ceilings import write_ceilings

with job(snakemake.log):
    write_ceilings(snakemake.output.csv, snakemake.output.json, ks=snakemake.params.ks)

"""cctbx -> operations, reflection conditions and Wyckoff positions of the space groups."""

from pathlib import Path

from xtinct.project.job import job
from xtinct.symmetry.cctbx_tables import write_tables

with job(snakemake.log):
    write_tables(Path(snakemake.output.operations).parent)

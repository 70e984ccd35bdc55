"""cctbx -> operations, reflection conditions and Wyckoff positions, the same as in the library."""

from pathlib import Path

from xtinct.project.job import job
from xtinct.symmetry.cctbx_tables import check_packaged, write_tables

with job(snakemake.log):
    folder = Path(snakemake.output.operations).parent
    write_tables(folder)
    check_packaged(folder)

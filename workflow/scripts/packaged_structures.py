"""The embedded prototypes and powders -> the table of known structures that the library carries."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from xtinct.project.job import job
from xtinct.recognition.packaged_structures import packaged_table

with job(snakemake.log), TemporaryDirectory(dir=Path(snakemake.output.table).parent) as folder:
    table = packaged_table(folder, project=snakemake.params.project)
    shutil.move(Path(folder) / "quarantine.parquet", snakemake.output.quarantine)
    shutil.move(Path(folder) / "quarantine-lines.parquet", snakemake.output.quarantine_lines)
    shutil.move(table, snakemake.output.table)

"""The table of known structures that measured peaks are held against."""

import logging

from xtinct.project.job import job
from xtinct.recognition.known_structures import build_table, common_powders

with job(snakemake.log):
    lines, structures = snakemake.input.lines, snakemake.input.structures
    rows = build_table(lines, structures, snakemake.output[0], common_powders())
    logging.info("%d structures", rows)

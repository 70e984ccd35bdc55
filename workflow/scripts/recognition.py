"""The table of known structures that measured peaks are held against."""

import logging

from xtinct.project.job import job
from xtinct.recognition.known_structures import build_table

with job(snakemake.log):
    rows = build_table(snakemake.input.lines, snakemake.input.structures, snakemake.output[0])
    logging.info("%d structures", rows)

"""The table of known structures that measured peaks are held against."""

import logging

from xtinct.project.job import job
from xtinct.recognition.known_structures import build_table, common_powders

with job(snakemake.log):
    lines, structures = snakemake.input.lines, snakemake.input.structures
    powders = common_powders() if snakemake.params.radiation == "xray" else None
    rows = build_table(lines, structures, snakemake.output[0], powders)
    logging.info("%d structures", rows)

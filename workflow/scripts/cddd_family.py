"""Shards of one family's line lists of real structures -> one table."""

from xtinct.datasets.merging import merge_lines
from xtinct.datasets.settings import CrystalSettings
from xtinct.project.job import job

params = snakemake.params

with job(snakemake.log):
    settings = CrystalSettings.from_config(params.config, params.seed)
    merge_lines(snakemake.input, snakemake.output[0], settings.identity)

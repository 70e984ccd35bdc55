"""Shards of one family's line lists of generated crystals -> one table."""

from xtinct.datasets.merging import merge_lines
from xtinct.datasets.settings import GcddSettings
from xtinct.project.job import job

params = snakemake.params

with job(snakemake.log):
    settings = GcddSettings.from_config(params.config, params.seed)
    merge_lines(snakemake.input, snakemake.output[0], settings.identity)

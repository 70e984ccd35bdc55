"""Shards of one family's uniform lattices -> one table."""

from dataclasses import replace

from xtinct.datasets.merging import merge_lines
from xtinct.datasets.settings import UlbdSettings
from xtinct.project.job import job

params = snakemake.params

with job(snakemake.log):
    settings = UlbdSettings.from_config(params.config, snakemake.wildcards.family, params.seed)
    config = {**settings.identity.config, "variant": params.variant}
    merge_lines(snakemake.input, snakemake.output[0], replace(settings.identity, config=config))

"""Every way to split the structures, as columns, and links from duplicates to the first of their crystal."""

import logging

from xtinct.datasets.structure_splits import write_structure_splits
from xtinct.project.job import job

with job(snakemake.log):
    counts = write_structure_splits(
        snakemake.input[0],
        snakemake.output[0],
        fractions=snakemake.params.fractions,
        seed=snakemake.params.seed,
    )
    logging.info("%(structures)d structures, %(duplicates)d of them duplicates", counts)

"""Statistics -> confirmed occupations of Wyckoff positions, for training that draws its crystals itself."""

from xtinct.generators.statistical import write_occupations
from xtinct.project.job import job

params = snakemake.params

with job(snakemake.log):
    write_occupations(
        snakemake.input[0],
        snakemake.output[0],
        gcdd=params.config["gcdd"],
        families=params.families,
        seed=params.seed,
        symprec=params.config["cleaning"]["symprec"],
    )

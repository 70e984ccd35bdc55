"""How far the ideal observer of Wilson-distributed intensities gets beyond the extinction ceiling."""

from pathlib import Path

from xtinct.ceiling.ceiling_files import write_wilson
from xtinct.lattices.distributions import LatticeSpec
from xtinct.patterns.instrument import Instrument
from xtinct.project.job import job

params = snakemake.params
with job(snakemake.log):
    write_wilson(
        Path(snakemake.output.json).parent,
        {family: LatticeSpec.from_config(params.lattices[family]) for family in params.families},
        Instrument.from_config(params.instrument),
        ks=params.ceilings["ks"],
        seed=params.seed,
        lattices=params.ceilings["wilson_lattices"],
    )

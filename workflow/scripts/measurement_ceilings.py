"""What special lattices, the window, the resolution and the threshold leave of the ceilings."""

from pathlib import Path

from xtinct.ceiling.ceiling_files import Sampling, write_limitations
from xtinct.lattices.distributions import LatticeSpec
from xtinct.patterns.instrument import Instrument
from xtinct.project.job import job

params = snakemake.params
with job(snakemake.log):
    write_limitations(
        Path(snakemake.output.json).parent,
        {family: LatticeSpec.from_config(params.lattices[family]) for family in params.families},
        Instrument.from_config(params.instrument),
        threshold=params.ceilings["threshold"],
        d_star_max=params.d_star_max,
        ks=params.ceilings["ks"],
        sampling=Sampling(params.seed, params.ceilings["lattices"]),
    )

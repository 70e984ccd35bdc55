"""Part of the structures as received -> symmetrised structures and quarantine."""

from xtinct.project.job import job
from xtinct.structures.cleaning import clean_shard

with job(snakemake.log):
    clean_shard(
        raw=list(snakemake.input),
        cleaning=snakemake.params.cleaning,
        shard=int(snakemake.wildcards.shard),
        shards=snakemake.params.shards,
        structures_out=snakemake.output.structures,
        quarantine_out=snakemake.output.quarantine,
    )

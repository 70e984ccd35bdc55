"""A set of measured patterns -> verdict and reasons for each."""

from xtinct.auditing.pattern_audit import audit_patterns
from xtinct.project.job import job

with job(snakemake.log):
    audit_patterns(snakemake.input.patterns, list(snakemake.input.earlier), snakemake.output[0])

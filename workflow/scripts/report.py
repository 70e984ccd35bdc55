"""Everything that was measured -> metrics, tables and the page."""

from pathlib import Path

from xtinct.project.job import job
from xtinct.project.provenance import provenance
from xtinct.report.inputs import ReportPaths
from xtinct.report.page import ReportOutputs, write_report

inputs, outputs, params = snakemake.input, snakemake.output, snakemake.params

with job(snakemake.log):
    write_report(
        ReportPaths(
            metrics=inputs.metrics,
            predictions=inputs.predictions,
            ceilings=inputs.ceilings,
            classes=inputs.classes,
            manifests=inputs.manifests,
            quarantine=inputs.quarantine,
            histories=inputs.histories,
            lines=inputs.lines,
            curves=inputs.curves,
            limits=inputs.limits,
            wilson=inputs.wilson,
            measured=inputs.measured,
            audits=inputs.audits,
            networks=inputs.networks,
        ),
        ReportOutputs(
            html=outputs.html,
            metrics=outputs.metrics,
            summary=outputs.summary,
            provenance=outputs.provenance,
            tables=Path(outputs.tables[0]).parent,
        ),
        config=params.config,
        provenance=provenance(params.config, Path(snakemake.scriptdir).parents[1]),
    )

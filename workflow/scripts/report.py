"""Everything that was measured -> metrics, plot tables and the page."""

from pathlib import Path

from xtinct.project.job import job
from xtinct.project.provenance import provenance
from xtinct.report.page import write_report

inputs, outputs, params = snakemake.input, snakemake.output, snakemake.params

with job(snakemake.log):
    write_report(
        metrics_paths=inputs.metrics,
        prediction_paths=inputs.predictions,
        ceilings_path=inputs.ceilings,
        classes_path=inputs.classes,
        curve_paths=inputs.curves,
        limits_path=inputs.limits,
        wilson_path=inputs.wilson,
        manifest_paths=inputs.manifests,
        quarantine_paths=inputs.quarantine,
        history_paths=inputs.histories,
        lines_paths=inputs.lines,
        config=params.config,
        provenance=provenance(params.config, Path(snakemake.scriptdir).parents[1]),
        html_out=outputs.html,
        metrics_out=outputs.metrics,
        summary_dir=outputs.summary,
        plots_dir=Path(outputs.plots[0]).parent,
    )

"""The report: metrics, plot tables and one HTML page that needs nothing but itself."""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import jinja2
from markupsafe import Markup

from xtinct.errors import XtinctError
from xtinct.files.writing import write_csv, write_json, write_text
from xtinct.patterns.instrument import Instrument
from xtinct.report import generated, inputs, panels, tables
from xtinct.report.claims import claim_rows
from xtinct.report.curves import evaluation_charts, read_tables, size_charts, training_sizes
from xtinct.report.example_patterns import example_patterns, patterns_of_lattices
from xtinct.report.explorer import explorer_data
from xtinct.report.summary import TARGET_NAMES, summary_sentences
from xtinct.symmetry.absences import conditions
from xtinct.symmetry.families import FAMILIES, N_SPACE_GROUPS

#: The page opens quickly from disk and travels by mail below this size.
MAX_BYTES = 10_000_000


def write_report(
    *,
    metrics_paths: Sequence[str | Path],
    prediction_paths: Sequence[str | Path],
    ceilings_path: str | Path,
    classes_path: str | Path,
    manifest_paths: Sequence[str | Path],
    quarantine_paths: Sequence[str | Path],
    history_paths: Sequence[str | Path],
    lines_paths: Sequence[str | Path],
    config: Mapping,
    provenance: Mapping[str, object],
    html_out: str | Path,
    metrics_out: str | Path,
    summary_dir: str | Path,
    plots_dir: str | Path,
    curve_paths: Sequence[str | Path] = (),
    limits_path: str | Path | None = None,
    wilson_path: str | Path | None = None,
) -> None:
    """Write the HTML report, the metrics and the plot tables.

    metrics_paths     results/evaluation/{experiment}/{family}/seed-{seed}/{test}.json
    prediction_paths  the prediction tables beside them (.parquet); may be fewer or none
    ceilings_path     results/ceilings.json
    classes_path      data/symmetry/extinction_classes.parquet
    manifest_paths    manifest.json of each dataset
    quarantine_paths  quarantine.parquet of each stage that rejects entries
    history_paths     models/{experiment}/{family}/seed-{seed}/history.csv, each with its card.json beside it
    lines_paths       data/{cddd,ulbd,gcdd}/{family}.parquet; labels and cells are read, not the lines
    config            the whole configuration
    provenance        what to print about the build: text, or a table of names and texts, per key;
                      the library asks neither the clock nor git nor the machine
    html_out          the page
    metrics_out       all records as one sorted JSON list
    summary_dir       a small file for each model and test set, for `dvc metrics show`; older ones are removed
    plots_dir         accuracy.csv, training.csv, confusion.csv, counts.csv
    curve_paths       tidy tables of `curves.read_tables`: beside the evaluations, and results/generated
    limits_path       limits.json of xtinct.ceiling.limitations.write_limitations, if it was made
    wilson_path       wilson.json of xtinct.ceiling.limitations.write_wilson, if it was made

    Equal inputs give equal bytes. Raises XtinctError for an input that is missing or malformed, and
    if the page would exceed MAX_BYTES.
    """
    confidence = float(config["report"]["confidence"])
    evaluations = inputs.read_evaluations(metrics_paths, prediction_paths)
    records = inputs.all_records(evaluations)
    accuracy = tables.accuracy_rows(records)
    averaged = tables.mean_over_seeds(accuracy)
    published = json.loads(files("xtinct.report").joinpath("published.json").read_text(encoding="utf-8"))
    ceilings = tables.ceiling_rows(inputs.read_ceilings(ceilings_path), published)
    claims = claim_rows(averaged, ceilings, published, config)
    classes = inputs.read_classes(classes_path)
    trainings = inputs.read_trainings(history_paths)
    training = tables.training_rows(trainings)
    confusion = tables.confusion_rows(evaluations)
    labels = inputs.read_line_labels(lines_paths)
    counts = tables.count_rows(labels)
    quarantine = tables.quarantine_rows(inputs.read_quarantine(quarantine_paths))
    manifests = inputs.read_manifests(manifest_paths)

    write_json(metrics_out, records, indent=1)
    for stale in Path(summary_dir).glob("*.json"):
        stale.unlink()
    Path(summary_dir).mkdir(parents=True, exist_ok=True)
    for name, numbers in tables.metrics_by_test(averaged).items():
        write_json(Path(summary_dir) / f"{name}.json", numbers, indent=1)
    for name, rows in (
        ("accuracy", accuracy),
        ("training", training),
        ("confusion", confusion),
        ("counts", counts),
    ):
        write_csv(Path(plots_dir) / f"{name}.csv", rows)

    texts = {number: _conditions_text(number) for number in range(1, N_SPACE_GROUPS + 1)}
    limits = inputs.read_limits(limits_path, wilson_path)
    instrument = Instrument.from_config(config["instrument"])
    explorer = explorer_data(classes, texts, instrument.wavelength, int(config["seed"]))
    curves = read_tables(curve_paths)
    charts = [
        *size_charts(averaged, training_sizes(manifests)),
        *evaluation_charts(curves),
    ]
    histograms = tables.lattice_histograms(labels)
    lattice_patterns = {
        group: patterns_of_lattices(lines_paths, instrument, group)
        for group in panels.shown_groups(histograms)
    }
    accuracy_tables = panels.accuracy_tables(averaged, published)
    html = _render(
        title=config["report"]["title"],
        confidence=confidence,
        sentences=summary_sentences(averaged, claims),
        claims=claims,
        published=published,
        target_names=TARGET_NAMES,
        charts=charts,
        ceilings=panels.ceiling_table(ceilings),
        ceiling_drawing=panels.ceiling_drawing(ceilings),
        accuracy_tables=accuracy_tables,
        published_lines=panels.published_lines(accuracy_tables),
        topk_galleries=panels.topk_galleries(averaged),
        matrices={
            target: matrices
            for target in tables.in_order((row["target"] for row in averaged), TARGET_NAMES)
            if (matrices := tables.cross_matrices(averaged, target))
        },
        training_galleries=panels.training_gallery(training, config["variants"]),
        trainings=trainings,
        count_summary=tables.count_summary(counts),
        count_galleries=panels.count_galleries(counts, explorer["names"]),
        quarantine=quarantine,
        manifests=manifests,
        classes=classes,
        families=list(FAMILIES),
        lattice_gallery=panels.lattice_gallery(histograms, explorer["names"]),
        pattern_gallery=panels.pattern_gallery(lattice_patterns, explorer["names"]),
        comparison=generated.comparison_verdict(curves["comparison"]),
        comparison_gallery=generated.comparison_gallery(curves["comparison"]),
        group_gallery=generated.group_gallery(curves["groups"], explorer["names"]),
        group_tables=generated.group_tables(curves["groups"]),
        limits=limits,
        limit_gallery=panels.limit_gallery(limits),
        empty=[record for record in records if record["n"] == 0],
        records=records,
        config=config,
        provenance=provenance,
        data={
            "charts": charts,
            "confusion": panels.confusion_data(confusion, classes),
            "generated": generated.histogram_charts(curves["histograms"], curves["comparison"]),
            "lattices": panels.lattice_data(histograms),
            "shown": list(lattice_patterns),
            "explorer": explorer,
            "sets": {
                name: tables.set_name(name)
                for name in {*tables.SET_NAMES, *(record["train_set"] for record in records)}
            },
            "patterns": example_patterns(lines_paths, instrument),
            "range": [instrument.two_theta_min, instrument.two_theta_max],
        },
    )
    if len(html.encode()) > MAX_BYTES:
        raise XtinctError(
            f"{html_out}: the page would take {len(html.encode()):,} bytes, at most {MAX_BYTES:,} are allowed"
        )
    write_text(html_out, html)


def _conditions_text(number: int) -> list[str]:
    """Reflection conditions as printed in ITA, one text per zone."""
    of_zone: dict[str, list[str]] = {}
    for condition in conditions(number):
        if condition.representative:
            of_zone.setdefault(condition.zone, []).append(condition.condition)
    return [f"{zone}: {', '.join(texts)}" for zone, texts in of_zone.items()]


def _json_block(value: object) -> Markup:
    """JSON that may stand inside a script element: no `</`, no `<!--`."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True, allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))


def _render(**context: object) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("xtinct.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda value, digits=1: tables.percent(value, digits).removesuffix(" %")
    environment.filters["set_name"] = tables.set_name
    environment.filters["json_block"] = _json_block
    environment.filters["thousands"] = lambda value: f"{value:,}"
    source = environment.loader.get_source
    context["style"] = Markup(source(environment, "style.css")[0])
    context["script"] = Markup(source(environment, "page.js")[0])
    return environment.get_template("page.html").render(context)

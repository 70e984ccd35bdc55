"""The report: metrics, plot tables and one HTML page that needs nothing but itself."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup

from xtinct.errors import XtinctError
from xtinct.files.writing import write_csv, write_json, write_text
from xtinct.report.drawing import SIGNS, look
from xtinct.report.formatting import METHODS, TARGET_NAMES, method_text, percent, set_name, trained_on
from xtinct.report.inputs import ReportPaths, read_inputs
from xtinct.report.results import Results, metrics_by_test
from xtinct.report.sections import SECTIONS

#: The page opens quickly from disk and travels by mail below this size.
MAX_BYTES = 10_000_000


@dataclass(frozen=True)
class ReportOutputs:
    """Where the report goes.

    html        the page
    metrics     all records as one sorted JSON list
    summary     folder: a small file for each model and test set, for `dvc metrics show`; older ones go
    provenance  where the results come from, as JSON
    tables      folder: accuracy.csv, training.csv, confusion.csv, counts.csv
    """

    html: str | Path
    metrics: str | Path
    summary: str | Path
    provenance: str | Path
    tables: str | Path


def write_report(
    paths: ReportPaths, outputs: ReportOutputs, config: Mapping, provenance: Mapping[str, object]
) -> None:
    """Write the HTML report, the metrics and the tables.

    config      the whole configuration
    provenance  what to print about the build: text, or a table of names and texts, per key

    Equal inputs give equal bytes. Raises XtinctError for an input that is missing or malformed, and
    if the page would exceed MAX_BYTES.
    """
    results = Results(read_inputs(paths), config, provenance)
    write_json(outputs.metrics, results.records, indent=1)
    write_json(outputs.provenance, provenance)
    _write_summary(results, Path(outputs.summary))
    for name in ("accuracy", "training", "confusion", "counts"):
        write_csv(Path(outputs.tables) / f"{name}.csv", getattr(results, name))
    html = render_page(results)
    size = len(html.encode())
    if size > MAX_BYTES:
        raise XtinctError(
            f"{outputs.html}: the page would take {size:,} bytes, at most {MAX_BYTES:,} are allowed"
        )
    write_text(outputs.html, html)


def _write_summary(results: Results, folder: Path) -> None:
    for stale in folder.glob("*.json"):
        stale.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    for name, numbers in metrics_by_test(results.averaged).items():
        write_json(folder / f"{name}.json", numbers, indent=1)


def render_page(results: Results) -> str:
    """The page: every section that has something to show, in the order of SECTIONS."""
    environment = _environment(results)
    shown, data = [], {}
    for section in SECTIONS:
        content = section.content(results)
        if content is None:
            continue
        data |= content.script
        body = environment.get_template(section.path).render(content.shown)
        shown.append((section, Markup(body)))
    source = environment.loader.get_source
    return environment.get_template("page.html").render(
        title=results.config["report"]["title"],
        sections=shown,
        data=data,
        style=Markup(source(environment, "style.css")[0]),
        script=Markup(source(environment, "page.js")[0]),
    )


def _json_block(value: object) -> Markup:
    """JSON that may stand inside a script element: no `</`, no `<!--`."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True, allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))


def _environment(results: Results) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("xtinct.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda value, digits=1: percent(value, digits).removesuffix(" %")
    environment.filters["set_name"] = set_name
    environment.filters["trained_on"] = trained_on
    environment.filters["method_text"] = method_text
    environment.filters["json_block"] = _json_block
    environment.filters["thousands"] = lambda value: f"{value:,}"
    environment.globals |= {"names": results.names, "target_names": TARGET_NAMES, "methods": METHODS}
    environment.globals |= {"look": look, "signs": SIGNS}
    return environment

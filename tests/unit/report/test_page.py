import csv
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from xtinct.report import page as page_module
from xtinct.report.drawing import MOST_SERIES, SIGNS, Gallery, drawing, look, marker
from xtinct.report.inputs import read_inputs
from xtinct.report.page import MAX_BYTES, write_report
from xtinct.report.results import Results
from xtinct.report.section import Content, Section
from xtinct.report.sections import SECTIONS


class Page(HTMLParser):
    """Every attribute value that could load something, every tag, and the text of scripts."""

    def __init__(self, text: str):
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.scripts = 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.scripts += tag == "script"
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
                self.links.append(value)
            if name == "id":
                self.ids.append(value)


@pytest.fixture(scope="module")
def page(report) -> str:
    return Path(report["outputs"].html).read_text(encoding="utf-8")


def test_the_page_needs_nothing_but_itself(page):
    links = Page(page).links
    assert links
    assert all(link.startswith("#") or link == "data:," for link in links)
    assert not re.search(r"@import|url\((?!#)|fetch\(|XMLHttpRequest|import\(", page)
    assert len(page.encode()) < MAX_BYTES


def test_identifiers_are_unique_and_links_lead_somewhere(page):
    found = Page(page)
    assert len(found.ids) == len(set(found.ids))
    assert {link[1:] for link in found.links if link.startswith("#") and len(link) > 1} <= set(found.ids)


def test_equal_inputs_give_equal_bytes_in_another_process(report, tmp_path):
    script = (
        "import sys; sys.path.insert(0, sys.argv[2]); from pathlib import Path; from conftest import build; "
        "from xtinct.report.page import write_report; write_report(**build(Path(sys.argv[1])))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "TZ": "Asia/Tokyo"}
    subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), str(Path(__file__).parent)], check=True, env=environment
    )
    first = Path(report["outputs"].html).parent
    for path in sorted(first.glob("**/*.*")):
        if "evaluation" not in path.parts:
            assert (tmp_path / "results" / path.relative_to(first)).read_bytes() == path.read_bytes(), (
                path.name
            )


def test_metrics_hold_every_record_and_dvc_finds_numbers(report):
    records = json.loads(Path(report["outputs"].metrics).read_text())
    assert len(records) == 2 * len(report["paths"].metrics)
    folder = Path(report["outputs"].summary)
    assert len(list(folder.iterdir())) == len(report["paths"].metrics)
    for record in records:
        name = f"{record['experiment']}.{record['family']}.{record['test_set']}.json"
        leaf = json.loads((folder / name).read_text())[record["target"]]
        assert leaf["top1"] == pytest.approx(record["top1"])
        assert leaf["ceiling1"] == pytest.approx(record["ceiling1"])


def test_plot_tables_can_be_read_back(report):
    with (Path(report["outputs"].tables) / "accuracy.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5 * 2 * len(report["paths"].metrics)
    assert all(float(r["low"]) <= float(r["accuracy"]) <= float(r["high"]) for r in rows)
    for name in ("training", "confusion", "counts"):
        assert (Path(report["outputs"].tables) / f"{name}.csv").read_text().count("\n") > 10


def test_series_of_one_legend_are_told_apart_and_shown_in_it(page):
    """Figures of six test sets under one legend, each with the best twelve of its own."""
    seen = {(m["marker"], m["color"], m["markerfacecolor"]) for m in map(marker, range(6 * MOST_SERIES))}
    assert len(seen) == 6 * MOST_SERIES
    legends = re.findall(r'<p class="legend">(?:(?!</p>).)*var\(--c1\)(?:(?!</p>).)*</p>', page)
    assert legends
    for legend in legends:
        signs = re.findall(r"color:var\(--c(\d)\)\"[^>]*>(.)</b>", legend)
        expected = [look(i) for i in range(len(signs))]
        assert signs == [(str(colour + 1), SIGNS[shape][hollow]) for colour, shape, hollow in expected]


def test_text_from_outside_stays_text(report, page):
    assert "a &lt; b &amp; c" in page
    data = re.search(r'<script type="application/json" id="report-data">(.*?)</script>', page, re.DOTALL)[1]
    assert json.loads(data)["explorer"]["names"]["225"] == "F m -3 m"


def test_hostile_names_do_not_become_markup(tmp_path, build_inputs):
    arguments = build_inputs(tmp_path, families=("cubic",), n=40)
    hostile = "</script><script>alert(1)</script>"
    arguments["provenance"] = {"note": hostile}
    for path in arguments["paths"].metrics:
        records = json.loads(path.read_text())
        path.write_text(json.dumps([{**record, "experiment": hostile} for record in records]))
        break
    arguments["paths"] = replace(arguments["paths"], predictions=arguments["paths"].predictions[:1])
    write_report(**arguments)
    page = Path(arguments["outputs"].html).read_text()
    assert "alert(1)" in page
    assert "<script>alert" not in page


def test_a_build_without_models_still_reports_its_data(tmp_path, build_inputs):
    arguments = build_inputs(tmp_path, families=("cubic",), n=40)
    arguments["paths"] = replace(arguments["paths"], metrics=[], predictions=[], histories=[])
    write_report(**arguments)
    page = Path(arguments["outputs"].html).read_text()
    assert "No model has been evaluated." in page
    assert json.loads(Path(arguments["outputs"].metrics).read_text()) == []


def test_an_empty_test_set_is_named(tmp_path, build_inputs):
    arguments = build_inputs(tmp_path, families=("cubic",), n=40)
    path = arguments["paths"].metrics[0]
    records = json.loads(path.read_text())
    empty = [
        {k: None if k.startswith(("top", "ceiling")) else v for k, v in r.items()} | {"n": 0} for r in records
    ]
    path.write_text(json.dumps(empty))
    arguments["paths"] = replace(arguments["paths"], predictions=arguments["paths"].predictions[1:])
    write_report(**arguments)
    assert "These test sets hold no sample" in Path(arguments["outputs"].html).read_text()


def test_plots_of_dvc_draw_columns_that_exist(report):
    """Vega-Lite draws nothing, without a word, where a field is misspelt."""
    repository = Path(__file__).parents[3]
    stages = yaml.safe_load((repository / "dvc.yaml").read_text())["stages"]
    plots = {Path(path).name: of for plot in stages["report"]["plots"] for path, of in plot.items()}
    assert set(plots) == {path.name for path in Path(report["outputs"].tables).iterdir()}
    for name, of in plots.items():
        text = (repository / f".dvc/plots/{of['template']}.json").read_text()
        assert "<DVC_METRIC_DATA>" in text
        with (Path(report["outputs"].tables) / name).open(newline="") as file:
            columns = set(csv.DictReader(file).fieldnames) | {"rev", *re.findall(r'"as": "(\w+)"', text)}
        fields = re.findall(r'"field": "(\w+)"', text) + re.findall(r"datum\.(\w+)", text)
        fields += re.findall(r"datum\['(\w+)'\]", text)
        assert {of["x"], of["y"], *fields} <= columns


def test_a_new_plot_is_one_section_object(report, monkeypatch):
    def content(results: Results) -> Content:
        rows = [{"family": "cubic", "n": len(results.records)}]
        figure = drawing("records", "<svg><title>records by family</title></svg>", rows)
        return Content({"galleries": [Gallery("", (), (figure,))], "text": "One bar.", "empty": ""})

    new = Section("new-plot", "New", "A new plot", content, "figures.html")
    monkeypatch.setattr(page_module, "SECTIONS", (*SECTIONS, new))
    results = Results(read_inputs(report["paths"]), report["config"], report["provenance"])
    found = page_module.render_page(results)
    assert '<a href="#new-plot">New</a>' in found
    body = found[found.index('<section id="new-plot">') :]
    assert "records by family" in body
    assert f"cubic,{len(results.records)}" in body
    assert "One bar." in body


def test_modules_templates_and_anchors_of_sections_have_one_name():
    folder = Path(page_module.__file__).parent
    templates = {path.stem for path in (folder / "templates/sections").iterdir()}
    assert {section.name for section in SECTIONS} == {
        path.stem for path in (folder / "sections").glob("[a-z]*.py")
    }
    own = {section.name for section in SECTIONS if not section.template}
    assert templates == own | {"figures"}


def test_groups_are_shown_where_no_crystals_could_be_compared(report, monkeypatch):
    """No space group has both real and generated crystals: the tables of the comparison are empty."""
    inputs = read_inputs(report["paths"])
    alone = [section for section in SECTIONS if section.name == "generated"]
    monkeypatch.setattr(page_module, "SECTIONS", alone)
    for changed, shown in (
        ({"comparison": [], "histograms": []}, True),
        ({"comparison": [], "histograms": [], "groups": []}, False),
    ):
        found = replace(inputs, tables={**inputs.tables, **changed})
        text = page_module.render_page(Results(found, report["config"], report["provenance"]))
        assert ("so there is nothing to compare" in text) == shown
        assert ("Groups reached" in text) == shown
        assert "Kolmogorov" not in text

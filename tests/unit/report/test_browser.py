"""The page in a real browser: it opens from disk, reacts, saves files and reports no error."""

import base64
import csv
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from real_browser import started_browser


@pytest.fixture(scope="module")
def started(report, tmp_path_factory):
    with started_browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture
def browser(started, report):
    """The page, freshly opened; it must have logged nothing by the end of the test."""
    started.call("POST", "/url", {"url": Path(report["outputs"].html).as_uri()})
    yield started
    assert started.errors() == []


def test_the_page_opens_with_its_three_sentences(browser):
    assert browser.script("return document.querySelectorAll('.sentences li').length") == 3
    assert browser.script("return performance.getEntriesByType('resource').length") == 0


def test_choosing_a_group_shows_its_class_rivals_and_pattern(browser):
    """No. 227: class F d - -, shared with 203 alone; 200 is absent."""
    browser.choose("#explorer-form select", "227")
    head = browser.script("return document.querySelector('#explorer-head').textContent")
    assert "F d -3 m" in head
    assert "F d - -" in head
    assert "203" in head
    assert "0kl: k+l=4n" in browser.script(
        "return document.querySelector('#explorer-conditions').textContent"
    )
    state = "return document.querySelector('#explorer-plot [data-tip^=\"200 \"]').dataset.tip"
    assert "systematically absent" in browser.script(state)
    browser.choose("#explorer-form select", "225")
    assert "allowed" in browser.script(state)


def test_a_member_in_the_class_list_opens_in_the_explorer(browser):
    browser.click("#class_list a[data-group='205']")
    assert "P a -3" in browser.script("return document.querySelector('#explorer-head').textContent")


def test_confusion_matrix_follows_the_choice_and_explains_a_cell(browser):
    browser.choose("#confusion-form select[name=family]", "tetragonal")
    browser.choose("#confusion-form select[name=kind]", "spacegroup")
    rows = browser.script("return document.querySelectorAll('#confusion-plot text.hit').length")
    assert rows == 2 * 68
    browser.hover("#confusion-plot rect[data-tip^='true']")
    assert browser.script(
        "const t = document.querySelector('#tip'); return !t.hidden && t.textContent"
    ).startswith("true:")


def test_static_figures_explain_their_points(browser):
    browser.hover("#accuracy figure g.tip path, #accuracy figure g.tip use")
    assert "ceiling of this test set" in browser.script("return document.querySelector('#tip').textContent")


@pytest.mark.parametrize(
    "name",
    [
        "ceilings-spacegroup",
        "confusion",
        "example-pattern",
        "dataset-patterns",
        "lattice-parameters",
        "certainty",
        "generated",
        "generated-cubic",
        "wrong-groups-cubic",
        "lattices-128-c",
        "patterns-128",
    ],
)
def test_figures_are_saved_as_svg_and_csv(browser, name):
    browser.click(f"figure[data-name='{name}'] button[data-save=svg]")
    text = browser.saved(f"{name}.svg")
    assert ET.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
    assert "var(--" not in text
    browser.click(f"figure[data-name='{name}'] button[data-save=csv]")
    rows = list(csv.reader(browser.saved(f"{name}.csv").splitlines()))
    assert len(rows) > 2
    assert len({len(row) for row in rows}) == 1


def test_the_table_of_models_is_sorted_filtered_and_opens_a_matrix(browser):
    shown = (
        "return [...document.querySelectorAll('#models-table tbody tr')].filter(r => !r.hidden)"
        ".map(r => r.children[{}].dataset.value ?? r.children[{}].textContent)"
    )
    accuracies = shown.format(8, 8)
    heading = "#models-table thead th:nth-child(9) button"
    browser.click(heading)
    rising = [float(value) for value in browser.script(accuracies)]
    assert rising == sorted(rising)
    assert len(rising) == 16
    browser.click(heading)
    assert [float(value) for value in browser.script(accuracies)] == rising[::-1]
    browser.choose("#models-form select[name=tested]", "CDDD")
    assert set(browser.script(shown.format(3, 3))) == {"CDDDby protostructuren = 200"}
    assert browser.script("return document.querySelector('#models-count').textContent") == "8 of 16 rows"
    browser.script(
        "const f = document.querySelector('#models-form input'); f.value = 'ulbd tetragonal space';"
        "f.dispatchEvent(new Event('input', { bubbles: true }))"
    )
    assert browser.script("return document.querySelector('#models-count').textContent") == "1 of 16 rows"
    browser.click("#models-table tbody tr:not([hidden]) a[data-matrix]")
    chosen = (
        "return ['family', 'experiment', 'test_set', 'kind']"
        ".map(n => document.querySelector(`#confusion-form [name=${n}]`).value)"
    )
    assert browser.script(chosen) == ["tetragonal", "ulbd", "cddd", "spacegroup"]


def test_the_saved_confusion_counts_every_sample(browser):
    browser.choose("#confusion-form select[name=kind]", "extinction_class")
    (browser.downloads / "confusion.csv").unlink(missing_ok=True)
    browser.click("figure[data-name='confusion'] button[data-save=csv]")
    rows = list(csv.DictReader(browser.saved("confusion.csv").splitlines()))
    assert sum(int(row["count"]) for row in rows) == 200


def test_the_curves_follow_the_choice_and_explain_a_point(browser):
    browser.choose("#certainty-form select[name=what]", "robustness: zero shift")
    points = "return document.querySelectorAll('#certainty-plot circle').length"
    # Two models, four shifts and none.
    assert browser.script(points) == 2 * 5
    browser.hover("#certainty-plot circle")
    text = browser.script("return document.querySelector('#tip').textContent")
    assert "n = 200" in text
    (browser.downloads / "certainty.csv").unlink(missing_ok=True)
    browser.click("figure[data-name='certainty'] button[data-save=csv]")
    rows = list(csv.reader(browser.saved("certainty.csv").splitlines()))
    assert sorted(float(row[1]) for row in rows[1:]) == sorted(2 * [-0.1, -0.03, 0.0, 0.03, 0.1])


def test_names_above_a_chart_show_their_series_alone(browser):
    browser.choose("#certainty-form select[name=what]", "robustness: zero shift")
    points = "return document.querySelectorAll('#certainty-plot circle').length"
    browser.click("#certainty-legend button:nth-child(2)")
    assert browser.script(points) == 5
    state = "return [...document.querySelectorAll('#certainty-legend button')].map(b => b.ariaPressed)"
    assert browser.script(state) == ["false", "true"]
    assert browser.script("return document.activeElement.textContent") == browser.script(
        "return document.querySelector('#certainty-legend button:nth-child(2)').textContent"
    )
    browser.click("#certainty-legend button:nth-child(2)")
    assert browser.script(points) == 2 * 5


def test_each_crystal_system_has_a_colour_of_its_own(browser):
    colours = browser.script(
        "return [1, 2, 3, 4, 5, 6, 7].map(i => { const mark = document.createElement('i');"
        "mark.className = `s${i}`; document.querySelector('.legend').append(mark);"
        "return getComputedStyle(mark).backgroundColor; })"
    )
    assert len(set(colours)) == 7
    assert "rgba(0, 0, 0, 0)" not in colours


def test_headings_of_the_table_of_models_stay_in_sight(browser):
    top = "return document.querySelector('#models-table thead th').getBoundingClientRect().top"
    box = "const s = document.querySelector('#models-table').parentElement;"
    browser.script(f"{box} s.style.maxHeight = '200px'; s.scrollTop = 60")
    before = browser.script(top)
    browser.script(f"{box} s.scrollTop = 400")
    assert browser.script(f"{box} return s.scrollTop") > 100
    assert browser.script(top) == pytest.approx(before, abs=2)


def test_generated_crystals_are_explained(browser):
    browser.choose("#generated-form select[name=on]", "sites")
    browser.hover("#generated-plot rect[height]:not([height='0.0'])")
    assert browser.script("return document.querySelector('#tip').textContent").startswith("real: ")
    text = browser.script("return document.querySelector('table[data-name=out-of-reach]').textContent")
    assert "every crystal has at least F -4 3 m 216" in " ".join(text.split())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overflows_a_phone_and_colours_follow_the_scheme(browser, scheme):
    browser.devtools(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    browser.resize(400)
    try:
        # An experiment may have a name that no phone has room for.
        browser.script(
            "for (const s of document.querySelectorAll('select')) s.add(new Option('experiment '.repeat(9)))"
        )
        assert browser.script("return document.documentElement.scrollWidth") <= 400
        colours = browser.script(
            "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor].map("
            "c => c.match(/[0-9.]+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0))"
        )
        text, ground = colours
        assert (text > ground) == (scheme == "dark")
        assert abs(text - ground) > 3 * 128
        picture = browser.call("GET", "/screenshot")
        assert base64.b64decode(picture).startswith(b"\x89PNG")
    finally:
        browser.devtools("Emulation.clearDeviceMetricsOverride", {})
        browser.devtools("Emulation.setEmulatedMedia", {"features": []})

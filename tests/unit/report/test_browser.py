"""The page in a real browser: it opens from disk, reacts, saves files and reports no error."""

import base64
import contextlib
import csv
import json
import shutil
import subprocess
import time
import urllib.request
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key W3C WebDriver gives element references


class Browser:
    """The few W3C WebDriver commands these tests need, spoken to chromedriver on loopback."""

    def __init__(self, port: int, folder: Path):
        self.base = f"http://127.0.0.1:{port}"
        self.downloads = folder / "downloads"
        self.downloads.mkdir()
        options = {
            "binary": shutil.which("chromium"),
            "args": [
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                f"--user-data-dir={folder / 'profile'}",
            ],
            "prefs": {
                "download.default_directory": str(self.downloads),
                "download.prompt_for_download": False,
            },
        }
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.base += f"/session/{session['sessionId']}"

    def call(self, method: str, path: str, body: dict | None = None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.base + path, data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)["value"]

    def script(self, text: str, *arguments):
        return self.call("POST", "/execute/sync", {"script": text, "args": list(arguments)})

    def click(self, selector: str) -> None:
        found = self.call("POST", "/element", {"using": "css selector", "value": selector})
        self.script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", found)
        self.call("POST", f"/element/{found[ELEMENT]}/click", {})

    def hover(self, selector: str) -> None:
        found = self.call("POST", "/element", {"using": "css selector", "value": selector})
        self.script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", found)
        # Scrolling hides the hover text, and its event comes a frame later.
        wait = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done))"
        self.call("POST", "/execute/async", {"script": wait, "args": []})
        source = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}}
        # On a busy machine that event may come even later: the pointer moves on until the text is there.
        for attempt in range(20):
            move = {"type": "pointerMove", "duration": 0, "x": attempt % 2, "y": 0, "origin": found}
            self.call("POST", "/actions", {"actions": [{**source, "actions": [move]}]})
            if self.script("const t = document.querySelector('#tip'); return !t.hidden && t.textContent"):
                break
            time.sleep(0.1)

    def choose(self, selector: str, value: str) -> None:
        self.script(
            "const s = document.querySelector(arguments[0]); s.value = arguments[1];"
            "for (const kind of ['input', 'change']) s.dispatchEvent(new Event(kind, {bubbles: true}));",
            selector,
            value,
        )

    def resize(self, width: int, height: int = 900) -> None:
        # A window cannot be narrower than about 500 px; the emulated device can.
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.devtools("Emulation.setDeviceMetricsOverride", metrics)

    def devtools(self, command: str, parameters: dict):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def errors(self) -> list[str]:
        entries = self.call("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]

    def saved(self, name: str) -> str:
        path = self.downloads / name
        until = time.monotonic() + 20
        # Chromium holds the name with an empty file until the whole one takes its place.
        while not (path.exists() and path.stat().st_size) and time.monotonic() < until:
            time.sleep(0.05)
        return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def started(report, tmp_path_factory):
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("chromium and chromedriver are not installed")
    folder = tmp_path_factory.mktemp("browser")
    # Port 0: the driver picks a free one and says which.
    driver = subprocess.Popen(
        [shutil.which("chromedriver"), "--port=0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    opened = None
    try:
        line = next(text for text in driver.stdout if "started successfully on port" in text)
        opened = Browser(int(line.split("port ")[1].rstrip(". \n")), folder)
        yield opened
    finally:
        if opened is not None:
            with contextlib.suppress(OSError):
                opened.call("DELETE", "")
        driver.terminate()
        driver.wait(timeout=20)
        driver.stdout.close()


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

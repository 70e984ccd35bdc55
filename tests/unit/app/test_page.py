"""The page of `xtinct app` in a real browser: it reads, shows, is changed and asked again."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from real_browser import ELEMENT, started_browser

from xtinct.symmetry.operations import hermann_mauguin

TAB = "\ue004"


@pytest.fixture(scope="module")
def started(server, tmp_path_factory):
    with started_browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture
def page(started, server):
    """The page, freshly opened; it must have logged nothing by the end, and asked no other address."""
    started.call("POST", "/url", {"url": server.address.split()[0]})
    until(started, "return document.querySelectorAll('#family option').length === 7")
    yield started
    assert started.errors() == []
    asked = started.script("return performance.getEntriesByType('resource').map((one) => one.name)")
    assert len(asked) >= 4
    assert all(address.startswith(server.address.split()[0]) for address in asked)


def until(browser, condition):
    """Wait as long as an answer may take on a busy machine."""
    code = (
        "const done = arguments[arguments.length - 1], end = Date.now() + 20000;"
        f"const test = () => {{ {condition} }};"
        "const look = () => { if (test() || Date.now() > end) done(test()); else setTimeout(look, 50); };"
        "look();"
    )
    for _ in range(14):
        if browser.call("POST", "/execute/async", {"script": code, "args": []}):
            return
    raise AssertionError(condition + " / " + text(browser, "#status"))


def text(browser, selector):
    """What a reader reads there, blanks of all kinds alike."""
    found = browser.script("return document.querySelector(arguments[0]).textContent", selector)
    return found.replace("\u00a0", " ")


def answered(browser):
    until(browser, "return !document.querySelector('#result').hidden")


def press(browser, key):
    keys = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
    browser.call("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": keys}]})


def drop(browser, content, name):
    """Drop a file on the page, as a hand does."""
    browser.script(
        "const files = new DataTransfer(); files.items.add(new File([arguments[0]], arguments[1]));"
        "document.querySelector('#drop').dispatchEvent("
        "new DragEvent('drop', {dataTransfer: files, bubbles: true, cancelable: true}))",
        content.decode(),
        name,
    )


def test_a_pattern_is_dropped_read_zoomed_and_saved(page, salt):
    """Rock salt without a wavelength, under the name of an attack; then all that the page offers of it."""
    page.choose("#family", "cubic")
    drop(page, salt, '<img src=x onerror=alert(1)>"$_^$.xy')
    until(page, "return document.querySelector('#status').className === 'refusal'")
    assert "wavelength" in text(page, "#status")
    assert page.script("return document.activeElement.id") == "wavelength"
    page.type("#wavelength", "CuKa1\ue007")
    answered(page)
    # The name is text, and every number of a group has its symbol.
    assert text(page, "#headline").startswith('<img src=x onerror=alert(1)>"$_^$.xy: cubic')
    assert page.script("return document.images.length") == 0
    groups = page.script(
        "return [...document.querySelectorAll('#ranks table:nth-of-type(5) tbody td:first-child')]"
        ".map((one) => one.textContent)"
    )
    assert groups
    for shown in groups:
        symbol, _, number = shown.replace("\u00a0", " ").rstrip(")").rpartition(" (")
        assert hermann_mauguin(int(number)) == symbol
    # Pattern, background and fit; ticks that are allowed, and those of the class absent; found lines.
    for kind in ("measured", "background", "fitted", "residual"):
        assert page.script(f"return document.querySelectorAll('#chart path.{kind}').length") == 1
    allowed = "return document.querySelectorAll('#chart path.allowed').length"
    whole = page.script(allowed)
    assert whole >= 8
    assert "200" in text(page, "#chart").replace(" ", "")
    page.click("#chart")
    press(page, "+")
    assert 0 < page.script(allowed) < whole
    press(page, "0")
    assert page.script(allowed) == whole
    page.click("[data-zoom=in]")
    assert page.script(allowed) < whole
    # What is said of it, and its two files.
    assert "None of these" in text(page, "#lattices")
    assert "structures. What is not among them" in text(page, "#known")
    page.click("#json")
    saved = json.loads(page.saved("img_src_x_onerror_alert_1_.xy.json"))
    assert saved["name"] == '<img src=x onerror=alert(1)>"$_^$.xy'
    page.click("#svg")
    assert ET.fromstring(page.saved("img_src_x_onerror_alert_1_.xy.svg")).tag.endswith("}svg")
    # Asked again, the answer is of what is told now: no tetragonal lattice is a cubic one.
    page.choose("#family", "tetragonal")
    page.choose("#prior", "mp")
    page.click("#go")
    until(page, "return document.querySelector('#result').hidden")
    answered(page)
    assert "cubic" not in text(page, "#ranks")


def test_a_list_of_peaks_is_drawn_as_sticks(page):
    """d of a cubic P lattice of 4.12 angstrom (CsCl)."""
    page.choose("#kind", "peaks")
    squares = (1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14)
    drop(page, b"d I\n" + b"".join(b"%.5f %d\n" % (4.12 / n**0.5, 100 - n) for n in squares), "d.txt")
    answered(page)
    assert page.script("return document.querySelector('#svg').hidden")
    assert page.script("return document.querySelectorAll('#chart path.measured').length") == 1
    assert "4.12" in text(page, "#lattices")


def test_without_a_lattice_the_page_says_what_the_answer_says(page):
    """Noise alone: no lattice, and nothing to hold against the known structures."""
    counts = np.random.default_rng(0).poisson(100, 3750)
    page.type("#wavelength", "CuKa")
    drop(page, b"".join(b"%.2f %d\n" % (15 + 0.02 * i, n) for i, n in enumerate(counts)), "noise.xy")
    answered(page)
    assert text(page, "#lattices") == "No lattice was found, so the pattern does not show the symmetry."
    assert "Too few peaks" in text(page, "#known")


def test_an_axis_that_the_file_does_not_say_is_asked_for(page):
    """d of the same lattice, numbers alone: they could be Q as well."""
    squares = (1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14)
    page.choose("#kind", "peaks")
    drop(page, b"".join(b"%.5f %d\n" % (4.12 / n**0.5, 100 - n) for n in squares), "bare.txt")
    until(page, "return document.querySelector('#status').className === 'refusal'")
    assert "does not say whether its positions are 2theta, d or Q" in text(page, "#status")
    assert "--" not in text(page, "#status")
    assert page.script("return document.activeElement.id") == "axis"
    assert page.script("return document.querySelector('.wanted').id") == "axis"
    page.choose("#axis", "d")
    page.click("#go")
    answered(page)
    assert "4.12" in text(page, "#lattices")
    assert page.script("return document.querySelector('.wanted')") is None


def test_a_telephone_shows_it_all_without_moving_sideways(page, salt):
    """400 px wide, light and dark."""
    try:
        page.resize(400)
        page.choose("#family", "cubic")
        page.type("#wavelength", "CuKa1")
        drop(page, salt, "salt.xy")
        answered(page)
        assert page.script("return document.documentElement.scrollWidth") <= 400
        paper = "return getComputedStyle(document.body).backgroundColor"
        colours = set()
        for scheme in ("light", "dark"):
            feature = {"name": "prefers-color-scheme", "value": scheme}
            page.devtools("Emulation.setEmulatedMedia", {"features": [feature]})
            colours.add(page.script(paper))
        assert len(colours) == 2
    finally:
        page.resize(1200)
        page.devtools("Emulation.setEmulatedMedia", {"features": []})


def test_everything_is_reached_by_keys(page):
    page.script("document.body.focus()")
    reached = []
    for _ in range(9):
        press(page, TAB)
        reached.append(page.script("return document.activeElement.id"))
    assert reached[:7] == ["file", "wavelength", "family", "elements", "prior", "kind", "axis"]
    # The labels say what they are of.
    found = page.call("POST", "/elements", {"using": "css selector", "value": "input, select"})
    for one in found:
        labels = "return arguments[0].labels.length && arguments[0].labels[0].textContent.trim().length"
        assert page.script(labels, one), one[ELEMENT]

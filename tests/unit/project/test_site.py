"""The documentation as a site: complete, every link leads somewhere, and nothing is asked of a network."""

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click
import pytest
import yaml
from real_browser import started_browser

import xtinct
from xtinct.cli import cli
from xtinct.files.schema import LINES

pytest.importorskip("mkdocs", reason="the documentation is built with mkdocs: pip install 'xtinct[docs]'")

#: What a browser fetches by itself when it shows a page: element -> attribute.
FETCHED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "video": "src"}
#: <link> elements that only name an address.
NAMED = {"canonical", "next", "prev", "alternate"}


@dataclass
class Page(HTMLParser):
    """What one page fetches, where its links lead, and the places in it that a link can name."""

    fetched: list = field(default_factory=list)
    links: list = field(default_factory=list)
    places: set = field(default_factory=set)

    def __post_init__(self):
        super().__init__()

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.places |= {values.get("id"), values.get("name")} - {None}
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        if FETCHED.get(tag) in values and values.get("rel") not in NAMED:
            self.fetched.append(values[FETCHED[tag]])


@pytest.fixture(scope="module")
def site(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "WARNING" not in done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site):
    """Every page by its path."""
    found = {}
    for path in sorted(site.rglob("*.html")):
        found[path] = Page()
        found[path].feed(path.read_text(encoding="utf-8"))
    assert len(found) > 20
    return found


def outside(address):
    return bool(urlsplit(address).scheme not in ("", "data") or address.startswith("//"))


def test_no_page_and_no_style_fetches_anything_from_outside(site, pages):
    for path, page in pages.items():
        assert [address for address in page.fetched if outside(address)] == [], path
    styles = list(site.rglob("*.css"))
    assert len(styles) > 2
    for path in styles:
        text = path.read_text(encoding="utf-8")
        addresses = re.findall(r"(?:url\(|@import)\s*[\"']?([^\"')]+)", text)
        assert [address for address in addresses if outside(address)] == [], path


def test_no_page_has_what_the_theme_would_fetch_a_program_for(pages):
    """Diagrams and formulas are drawn by scripts of other servers: none may be there."""
    for path in pages:
        text = path.read_text(encoding="utf-8")
        assert 'class="mermaid"' not in text, path
        assert 'class="arithmatex"' not in text, path


def test_every_link_of_every_page_leads_to_a_place_that_is_there(pages):
    for path, page in pages.items():
        if path.name == "404.html":
            continue
        for link in [*page.links, *page.fetched]:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = Path(os.path.normpath(path.parent / unquote(parts.path))) if parts.path else path
            assert target.exists(), f"{path.name}: {link}"
            fragment = unquote(parts.fragment)
            if fragment and not fragment.startswith("__"):  # `__`: of the theme's own script
                assert fragment in pages[target].places, f"{path.name}: {link}"


def test_every_page_of_the_documentation_stands_in_the_navigation(root):
    text = (root / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:")[1]
    for path in (root / "docs").rglob("*.md"):
        assert f": {path.relative_to(root / 'docs')}\n" in text, f"{path.name}: name it in mkdocs.yml"


def slug(heading):
    """The place of a heading as code hosts name it."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def test_every_link_of_the_documents_leads_to_a_place_in_the_checkout(root):
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=root, capture_output=True, text=True, check=True)
    documents = [root / name for name in listed.stdout.split()]
    assert root / "README.md" in documents
    checked = 0
    for document in documents:
        text = re.sub(r"^ *```.*?^ *```$", "", document.read_text(encoding="utf-8"), flags=re.M | re.S)
        for path, fragment in re.findall(r"\]\((?![a-z]+:)([^)#\s]*)(?:#([^)\s]+))?\)", text):
            target = document.parent / path if path else document
            assert target.exists(), f"{document.name}: {path}"
            if fragment:
                headings = re.findall(r"^#+ +(.*)$", target.read_text(encoding="utf-8"), re.M)
                assert fragment in set(map(slug, headings)), f"{document.name}: {path}#{fragment}"
            checked += 1
    assert checked > 50


def test_reference_has_every_command_option_function_column_and_key(root, site):
    commands = (site / "reference/commands.html").read_text(encoding="utf-8")
    for name, command in cli.commands.items():
        if command.hidden:  # a former name
            continue
        assert f'id="xtinct-{name}"' in commands, name
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.opts[-1] in commands, f"{name} {option.opts}"
    functions = (site / "reference/functions.html").read_text(encoding="utf-8")
    for name in xtinct.__all__:
        assert f"xtinct.{name}" in functions, name
    assert "DEFAULT_INSTRUMENT shows" in functions  # of the docstring of line_list
    tables = (site / "reference/tables.html").read_text(encoding="utf-8")
    assert all(f"<code>{name}</code>" in tables for name in LINES.names)
    keys = (site / "configuration.html").read_text(encoding="utf-8")
    sections = yaml.safe_load((root / "config/config.yaml").read_text())
    assert all(f"<code>{key}</code>" in keys for key in sections)
    assert all(f"<code>{key}</code>" in keys for key in (*sections["train"], *sections["cleaning"]))


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with started_browser(tmp_path_factory.mktemp("browser")) as opened:
        opened.devtools("Network.enable", {})
        # Whatever is asked of a network fails and is logged.
        lost = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        opened.devtools("Network.emulateNetworkConditions", lost)
        yield opened


def test_every_page_fits_a_narrow_and_a_wide_screen(browser, pages):
    for width in (400, 1280):
        browser.resize(width)
        for path in pages:
            if path.name == "404.html":  # its addresses are those of a server
                continue
            browser.call("POST", "/url", {"url": path.as_uri()})
            assert browser.script("return document.documentElement.scrollWidth") <= width, path
            assert browser.script("return document.querySelector('h1').getBoundingClientRect().width") > 0
    assert browser.errors() == []


def test_search_works_where_the_pages_are_opened_from_disk(browser, site):
    browser.resize(1280)
    browser.call("POST", "/url", {"url": (site / "index.html").as_uri()})
    browser.type(".md-search__input", "quarantine")
    found, until = [], time.monotonic() + 20
    while not found and time.monotonic() < until:
        found = browser.script(
            "return [...document.querySelectorAll('.md-search-result__link')].map(link => link.href)"
        )
        time.sleep(0.1)
    assert any("tables.html" in address for address in found)
    assert browser.errors() == []

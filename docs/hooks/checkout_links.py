"""Links of the documentation that leave `docs/`: what they name in the checkout comes along into the site.

Pages become pages of the site, other files are copied, and a folder stands for its README.md. So a link
works in the checkout and in the site alike.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_FENCE = re.compile(r"(^ *```.*?^ *```$)", re.M | re.S)
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)([^)\s#]+)(?=[#)\s])")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add every file of the checkout that a page links to."""
    docs = Path(config.docs_dir)
    root = docs.parent
    pages = [file.abs_src_path for file in files if file.is_documentation_page()]
    pending = [Path(path) for path in pages if path]
    while pending:
        page = pending.pop()
        for link in _links(page.read_text(encoding="utf-8")):
            target = _target(page, link)
            uri = _uri(target, docs)
            if target.is_relative_to(docs) or files.get_file_from_path(uri) or not target.is_file():
                continue  # of the site, there already, or missing: mkdocs says so
            files.append(File(uri, str(root), config.site_dir, config.use_directory_urls))
            if target.suffix == ".md":
                pending.append(target)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let the links of a page name what they name in the checkout by its place in the site."""
    source = page.file.abs_src_path
    if not source:
        return markdown
    docs, here = Path(config.docs_dir), Path(page.file.src_uri).parent

    def moved(link: str) -> str:
        return os.path.relpath(_uri(_target(Path(source), link), docs), here)

    return _with_links(markdown, moved)


def _links(markdown: str) -> list[str]:
    found: list[str] = []
    _with_links(markdown, lambda link: found.append(link) or link)
    return found


def _with_links(markdown: str, change: Callable[[str], str]) -> str:
    """The text with every relative link outside of blocks of code changed."""
    parts = _FENCE.split(markdown)
    parts[::2] = [_LINK.sub(lambda link: change(link[1]), part) for part in parts[::2]]
    return "".join(parts)


def _target(page: Path, link: str) -> Path:
    """What a link of a page names; of a folder its README.md."""
    target = Path(os.path.normpath(page.parent / link))
    return target / "README.md" if target.is_dir() else target


def _uri(target: Path, docs: Path) -> str:
    """Where a file of the checkout stands in the site's sources; the project's README is its home."""
    if target == docs.parent / "README.md":
        return "index.md"
    return Path(os.path.relpath(target, docs if target.is_relative_to(docs) else docs.parent)).as_posix()

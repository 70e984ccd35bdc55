"""Docstrings that list names in one column and their meaning in another: a list of the page."""

import re
from typing import Any

import griffe

_ROW = re.compile(r"(\w[\w, ]*?) {2,}(\S.*)")


class Columns(griffe.Extension):
    """Turns such paragraphs into Markdown lists before they are rendered."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of an object that was read."""
        if obj.docstring:
            obj.docstring.value = "\n\n".join(map(_listed, obj.docstring.value.split("\n\n")))


def _listed(paragraph: str) -> str:
    lines = paragraph.split("\n")
    if not _ROW.fullmatch(lines[0]) or not all(_ROW.fullmatch(x) or x.startswith("    ") for x in lines):
        return paragraph
    rows: list[str] = []
    for line in lines:
        row = _ROW.fullmatch(line)
        if row:
            rows.append(f"- `{row[1]}`: {row[2]}")
        else:
            rows[-1] += f" {line.strip()}"
    return "\n".join(rows)

"""What a section of the report is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from xtinct.report.results import Results


@dataclass(frozen=True)
class Content:
    """What one section shows in this build.

    shown   name -> value, for its template
    script  key -> value, for templates/page.js: what the reader chooses from; keys differ between sections
    """

    shown: Mapping[str, object] = field(default_factory=dict)
    script: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Section:
    """One section of the page.

    name      its anchor, and its module and template unless they are named otherwise
    link      its name in the navigation
    title     its heading
    content   computes what it shows; None leaves the section out
    template  file below templates/sections. figures.html needs no further file: it shows `galleries`
              (each a `drawing.Gallery`), then `text`, or `empty` where there is no gallery
    """

    name: str
    link: str
    title: str
    content: Callable[[Results], Content | None]
    template: str = ""

    @property
    def path(self) -> str:
        """Name of its template for jinja2."""
        return f"sections/{self.template or self.name + '.html'}"

"""Static figures as SVG text: equal input gives equal bytes, colours follow the page's theme.

Figures are drawn with matplotlib in placeholder colours, which become CSS variables, so one SVG
serves the light and the dark page; text stays text. They stand in the page without any script, so
that it prints, opens fast and can be read where scripts are off. They are small on purpose: the page sets
them side by side on a wide screen and below each other on a narrow one. The drawing functions stand
beside the numbers that they draw, in `sections`.
"""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from html import escape

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from xtinct.files.writing import csv_text
from xtinct.symmetry.operations import hermann_mauguin


@dataclass(frozen=True)
class Drawing:
    """One downloadable figure: file name, SVG and the numbers in it."""

    name: str
    svg: Markup
    csv: str


@dataclass(frozen=True)
class Gallery:
    """Figures that stand together under one legend and caption."""

    heading: str
    legend: tuple[str, ...]
    drawings: tuple[Drawing, ...]


def drawing(name: str, svg: str, rows: Sequence[Mapping]) -> Drawing:
    """A figure whose numbers are `rows`."""
    return Drawing(name, Markup(svg), csv_text(rows))


#: Placeholder colour -> CSS variable of the page.
INK, MUTED, GRID, CEILING = "#0a0b01", "#0a0b02", "#0a0b03", "#0a0b04"


SERIES = tuple(f"#0a0c{i:02d}" for i in range(1, 7))


_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--rule",
    CEILING: "--ceiling",
    **{colour: f"--c{i}" for i, colour in enumerate(SERIES, start=1)},
}


STYLE = {
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
}


#: Width of a small figure in inches: two or three stand beside each other, one on a phone.
WIDTH = 3.9


MARKERS = ("o", "s", "D", "^", "v", "P")
#: The same as text, filled and hollow.
SIGNS = ("●○", "■□", "◆◇", "▲△", "▼▽", "✚✛")


#: Series that one figure tells apart.
MOST_SERIES = 12


def foremost(scores: Mapping[str, float]) -> set[str]:
    """The series with the highest scores, as many as one figure tells apart."""
    return set(sorted(scores, key=lambda name: (-scores[name], name))[:MOST_SERIES])


def look(i: int) -> tuple[int, int, bool]:
    """Colour, shape and whether it is hollow of the series number i, as the legend has it too.

    Six colours each with a shape, then the same hollow. Figures under one legend have twelve series each, but
    not the same ones: further series have the colours with other shapes.
    """
    return i % 6, (i + i // MOST_SERIES) % 6, i % MOST_SERIES > 5


def marker(i: int) -> dict[str, object]:
    """Marker of the series number i."""
    colour, shape, hollow = look(i)
    face = "none" if hollow else SERIES[colour]
    return {"marker": MARKERS[shape], "color": SERIES[colour], "markerfacecolor": face, "markersize": 4.8}


class Canvas:
    """One set of axes with hover texts; `svg()` gives the finished text."""

    def __init__(self, width: float = WIDTH, height: float = 2.7):
        self.tips: list[str] = []
        self.figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(self.figure)
        self.axes = self.figure.add_subplot()

    def tip(self, artist, text: str) -> None:
        """Show `text` when the pointer rests on `artist`."""
        artist.set_gid(f"tip-{len(self.tips)}")
        self.tips.append(text)

    def svg(self) -> str:
        """The finished figure: without size, date and serial names, in the colours of the page."""
        buffer = io.StringIO()
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        self.figure.savefig(buffer, format="svg", transparent=True, metadata=metadata)
        text = buffer.getvalue()
        text = text[text.index("<svg") :]
        text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
        text = re.sub(
            r'<g id="tip-(\d+)">',
            lambda m: f'<g class="tip"><title>{escape(self.tips[int(m[1])])}</title>',
            text,
        )
        # Serial names such as axes_1 repeat from figure to figure; nothing refers to them.
        text = re.sub(r' id="[A-Za-z]+[A-Za-z0-9.]*_\d+"', "", text)
        for colour, variable in _VARIABLES.items():
            text = text.replace(colour, f"var({variable})")
        # The width belongs to the page; the height follows from the view box.
        return re.sub(
            r'<svg (.*?)height="[^"]*pt" ?(.*?)width="[^"]*pt"', r"<svg \1\2", text, count=1, flags=re.DOTALL
        )


#: Space groups that are written at an axis of WIDTH, at most.
_NAMED_GROUPS = 4


def name_groups(axes: Axes, groups: Sequence[int]) -> None:
    """Write some of the space groups, which ascend, at the x axis where they stand by their numbers."""
    places = np.unique(np.linspace(0, len(groups) - 1, _NAMED_GROUPS).round().astype(int))
    shown = [groups[place] for place in places]
    axes.set_xticks(shown, [f"{hermann_mauguin(group)}\n({group})" for group in shown])
    axes.set_xlabel("space group")


def styled(draw):
    """Run a drawing function under the report's style, whatever the user's matplotlib settings are.

    The name comes first: it seeds the identifiers inside the SVG, so that no two figures of a page
    share one.
    """

    @wraps(draw)
    def styled(name: str, *args, **kwargs) -> str:
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update({**STYLE, "svg.hashsalt": name})
            return draw(*args, **kwargs)

    return styled

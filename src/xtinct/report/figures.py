"""Static figures as SVG text: equal input gives equal bytes, colours follow the page's theme.

Figures are drawn with matplotlib in placeholder colours, which become CSS variables, so one SVG
serves the light and the dark page; text stays text. They are small on purpose: the page sets them
side by side on a wide screen and below each other on a narrow one.
"""

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

#: Placeholder colour -> CSS variable of the page.
_INK, _MUTED, _GRID, _CEILING = "#0a0b01", "#0a0b02", "#0a0b03", "#0a0b04"
_SERIES = tuple(f"#0a0c{i:02d}" for i in range(1, 7))
_VARIABLES = {
    _INK: "--ink",
    _MUTED: "--muted",
    _GRID: "--rule",
    _CEILING: "--ceiling",
    **{colour: f"--c{i}" for i, colour in enumerate(_SERIES, start=1)},
}
_STYLE = {
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _MUTED,
    "axes.labelcolor": _MUTED,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.7,
    "text.color": _INK,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
}

#: Width of a small figure in inches: two or three stand beside each other, one on a phone.
WIDTH = 3.9

_MARKERS = ("o", "s", "D", "^", "v", "P")


class _Panel:
    """One set of axes with hover texts; `svg()` gives the finished text."""

    def __init__(self, name: str, *, width: float = WIDTH, height: float = 2.7):
        self.name = name
        self.tips: list[str] = []
        self.figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(self.figure)
        self.axes = self.figure.add_subplot()

    def tip(self, artist, text: str) -> None:
        """Show `text` when the pointer rests on `artist`."""
        artist.set_gid(f"tip-{len(self.tips)}")
        self.tips.append(text)

    def svg(self) -> str:
        buffer = io.StringIO()
        with mpl.rc_context({**_STYLE, "svg.hashsalt": self.name}):
            self.figure.savefig(
                buffer,
                format="svg",
                transparent=True,
                metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
            )
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


def _panel(name: str, **size: float) -> _Panel:
    with mpl.rc_context(_STYLE):
        return _Panel(name, **size)


def percent(value: float) -> str:
    """A fraction as per cent with one decimal."""
    return f"{100 * value:.1f} %"


def topk_figure(name: str, title: str, rows: Sequence[Mapping], labels: Sequence[str]) -> str:
    """Top-k accuracies with intervals of several models on one test set, below its ceiling.

    `rows`: averaged accuracy rows; `labels`: the series in their order, matched with
    row["series"].
    """
    panel = _panel(name)
    axes = panel.axes
    ks = sorted({row["k"] for row in rows})
    for k in ks:
        ceiling = max(row["ceiling"] for row in rows if row["k"] == k)
        (line,) = axes.plot(
            [k - 0.42, k + 0.42], [ceiling] * 2, color=_CEILING, linewidth=2.2, solid_capstyle="butt"
        )
        panel.tip(line, f"ceiling of this test set, top-{k}: {percent(ceiling)}")
    for i, label in enumerate(labels):
        shift = 0.0 if len(labels) == 1 else 0.5 * (i / (len(labels) - 1) - 0.5)
        colour = _SERIES[i % len(_SERIES)]
        for row in (row for row in rows if row["series"] == label):
            x = row["k"] + shift
            axes.plot([x, x], [row["low"], row["high"]], color=colour, linewidth=1.4)
            (point,) = axes.plot(
                x, row["accuracy"], marker=_MARKERS[i % 6], color=colour, markersize=5.5, linestyle=""
            )
            interval = f"[{percent(row['low'])}, {percent(row['high'])}]"
            panel.tip(
                point, f"{label}, top-{row['k']}: {percent(row['accuracy'])} {interval}, n = {row['n']}"
            )
    axes.set_xticks(ks, [f"top-{k}" for k in ks])
    axes.set_ylim(0, 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.tick_params(axis="x", length=0)
    axes.set_title(title)
    return panel.svg()


def training_figure(
    name: str, title: str, curves: Mapping[str, Sequence[tuple[float, float]]], ceiling: float | None
) -> str:
    """Validation accuracy over training patterns seen, one curve per label, and the ceiling."""
    panel = _panel(name)
    axes = panel.axes
    if ceiling is not None:
        line = axes.axhline(ceiling, color=_CEILING, linewidth=2.2)
        panel.tip(line, f"ceiling: {percent(ceiling)}")
    for i, (label, points) in enumerate(curves.items()):
        x, y = [p[0] for p in points], [p[1] for p in points]
        axes.plot(x, y, color=_SERIES[i % len(_SERIES)])
        for px, py in points:
            (point,) = axes.plot(
                px, py, marker=_MARKERS[i % 6], color=_SERIES[i % len(_SERIES)], markersize=4
            )
            panel.tip(point, f"{label}: {percent(py)} after {px:,.0f} patterns")
    axes.set_ylim(0, 1.03)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(lambda x, _: f"{x / 1000:g}k" if x else "0")
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("training patterns seen")
    axes.set_title(title)
    return panel.svg()


def counts_figure(
    name: str, title: str, counts: Mapping[int, int], groups: Iterable[int], hint: Mapping[int, str]
) -> str:
    """Samples per space group on a logarithmic axis; groups without any are marked below the axis."""
    panel = _panel(name, height=2.2)
    axes = panel.axes
    groups = list(groups)
    for group in groups:
        n = counts.get(group, 0)
        if n:
            (bar,) = axes.bar([group], [n], width=0.8, color=_SERIES[0])
        else:
            (bar,) = axes.plot(group, 0, marker="x", color=_CEILING, markersize=3.5, clip_on=False)
        panel.tip(bar, f"{hint[group]} (No. {group}): {n:,}")
    axes.set_yscale("symlog", linthresh=1, linscale=0.5)
    axes.set_ylim(0, max([1, *counts.values()]) * 1.6)
    axes.set_xlim(groups[0] - 0.8, groups[-1] + 0.8)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlabel("space group number")
    axes.set_title(title)
    return panel.svg()


def ceilings_figure(name: str, title: str, ceilings: Mapping[str, Sequence[float]]) -> str:
    """Top-1 to top-5 ceilings, one line per family, labelled at its end."""
    panel = _panel(name, width=6.4, height=3.4)
    axes = panel.axes
    for i, (family, values) in enumerate(ceilings.items()):
        ks = range(1, len(values) + 1)
        axes.plot(ks, values, color=_SERIES[i % 6], label=family)
        for k, value in zip(ks, values, strict=True):
            (point,) = axes.plot(k, value, marker=_MARKERS[i % 6], color=_SERIES[i % 6], markersize=5)
            panel.tip(point, f"{family}, top-{k}: {percent(value)}")
    longest = max(len(values) for values in ceilings.values())
    axes.set_xticks(range(1, longest + 1), [f"top-{k}" for k in range(1, longest + 1)])
    axes.set_ylim(0, 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_title(title)
    axes.legend(loc="lower right", ncols=2)
    return panel.svg()

"""Static figures as SVG text: equal input gives equal bytes, colours follow the page's theme.

Figures are drawn with matplotlib in placeholder colours, which become CSS variables, so one SVG
serves the light and the dark page; text stays text. They are small on purpose: the page sets them
side by side on a wide screen and below each other on a narrow one.
"""

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import wraps
from html import escape

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from xtinct.report.tables import percent

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


def _marker(i: int) -> dict[str, object]:
    """Marker of the series number i: six colours and shapes, then the same hollow."""
    colour = _SERIES[i % len(_SERIES)]
    face = colour if i < len(_SERIES) else "none"
    return {"marker": _MARKERS[i % 6], "color": colour, "markerfacecolor": face, "markersize": 4.8}


class _Panel:
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


def _styled(draw):
    """Run a drawing function under the report's style, whatever the user's matplotlib settings are.

    The name comes first: it seeds the identifiers inside the SVG, so that no two figures of a page
    share one.
    """

    @wraps(draw)
    def styled(name: str, *args, **kwargs) -> str:
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update({**_STYLE, "svg.hashsalt": name})
            return draw(*args, **kwargs)

    return styled


@_styled
def topk_figure(title: str, rows: Sequence[Mapping], labels: Sequence[str]) -> str:
    """Top-k accuracies with intervals of several models on one test set, below its ceiling.

    `rows`: averaged accuracy rows; `labels`: the series in their order, matched with
    row["series"].
    """
    panel = _Panel()
    axes = panel.axes
    ks = sorted({row["k"] for row in rows})
    for k in ks:
        # A sample of the test set has a ceiling of its own; the line is that of the whole.
        ceiling = max((row["n"], row["ceiling"]) for row in rows if row["k"] == k)[1]
        (line,) = axes.plot(
            [k - 0.42, k + 0.42], [ceiling] * 2, color=_CEILING, linewidth=2.2, solid_capstyle="butt"
        )
        panel.tip(line, f"ceiling of this test set, top-{k}: {percent(ceiling)}")
    present = [label for label in labels if any(row["series"] == label for row in rows)]
    for place, label in enumerate(present):
        i = labels.index(label)
        shift = 0.0 if len(present) == 1 else 0.6 * (place / (len(present) - 1) - 0.5)
        colour = _SERIES[i % len(_SERIES)]
        for row in (row for row in rows if row["series"] == label):
            x = row["k"] + shift
            axes.plot([x, x], [row["low"], row["high"]], color=colour, linewidth=1.4)
            (point,) = axes.plot(x, row["accuracy"], **_marker(i), linestyle="")
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


@_styled
def training_figure(
    title: str, curves: Mapping[str, Sequence[tuple[float, float]]], ceiling: float | None
) -> str:
    """Validation accuracy over training patterns seen, one curve per label, and the ceiling."""
    panel = _Panel()
    axes = panel.axes
    if ceiling is not None:
        line = axes.axhline(ceiling, color=_CEILING, linewidth=2.2)
        panel.tip(line, f"ceiling: {percent(ceiling)}")
    for i, (label, points) in enumerate(curves.items()):
        x, y = [p[0] for p in points], [p[1] for p in points]
        axes.plot(x, y, color=_SERIES[i % len(_SERIES)], linestyle="-" if i < len(_SERIES) else "--")
        for px, py in points:
            (point,) = axes.plot(px, py, **_marker(i))
            panel.tip(point, f"{label}: {percent(py)} after {px:,.0f} patterns")
    axes.set_ylim(0, 1.03)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(lambda x, _: f"{x / 1000:g}k" if x else "0")
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("training patterns seen")
    axes.set_title(title)
    return panel.svg()


@_styled
def counts_figure(
    title: str, counts: Mapping[int, int], groups: Iterable[int], hint: Mapping[int, str]
) -> str:
    """Samples per space group on a logarithmic axis; groups without any are marked below the axis."""
    panel = _Panel(height=2.2)
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
    axes.yaxis.set_major_formatter(lambda n, _: f"{n:,.0f}")
    axes.set_ylim(0, max([1, *counts.values()]) * 1.6)
    axes.set_xlim(groups[0] - 0.8, groups[-1] + 0.8)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlabel("space group number")
    axes.set_title(title)
    return panel.svg()


@_styled
def ceilings_figure(title: str, ceilings: Mapping[str, Sequence[float]]) -> str:
    """Top-1 to top-5 ceilings, one line per family, labelled at its end."""
    panel = _Panel(width=5.0, height=3.3)
    axes = panel.axes
    for i, (family, values) in enumerate(ceilings.items()):
        ks = range(1, len(values) + 1)
        colour = (*_SERIES, _INK)[i % 7]
        axes.plot(ks, values, color=colour, label=family, marker=_MARKERS[i % 6], markersize=5)
        for k, value in zip(ks, values, strict=True):
            (point,) = axes.plot(k, value, marker=_MARKERS[i % 6], color=colour, markersize=5)
            panel.tip(point, f"{family}, top-{k}: {percent(value)}")
    longest = max(len(values) for values in ceilings.values())
    axes.set_xticks(range(1, longest + 1), [f"top-{k}" for k in range(1, longest + 1)])
    axes.set_ylim(0, 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_title(title)
    axes.legend(loc="lower right", ncols=2)
    return panel.svg()


@_styled
def limits_figure(title: str, stages: Mapping[str, str], rows: Sequence[Mapping]) -> str:
    """Top-1, top-3 and top-5 ceilings after each limitation, with Monte-Carlo standard errors."""
    panel = _Panel(height=2.9)
    axes = panel.axes
    places = {stage: i for i, stage in enumerate(stages)}
    for i, k in enumerate((1, 3, 5)):
        mine = sorted((row for row in rows if row["k"] == k), key=lambda row: places[row["limitation"]])
        if not mine:
            continue
        # Physical intensities are another question, not a further limitation: no line leads there.
        chain = [row for row in mine if row["limitation"] != "wilson"]
        axes.plot(
            [places[row["limitation"]] for row in chain],
            [row["ceiling"] for row in chain],
            color=_SERIES[i],
            label=f"top-{k}",
        )
        for row in mine:
            x, value, error = places[row["limitation"]], row["ceiling"], row["standard_error"]
            axes.plot([x, x], [value - error, value + error], color=_SERIES[i], linewidth=1.2)
            (point,) = axes.plot(x, value, marker=_MARKERS[i], color=_SERIES[i], markersize=5)
            uncertainty = f" ± {percent(error)}" if error else ""
            panel.tip(point, f"{stages[row['limitation']]}, top-{k}: {percent(value)}{uncertainty}")
    axes.set_xticks(
        range(len(stages)), list(stages.values()), rotation=25, ha="right", rotation_mode="anchor"
    )
    axes.set_ylim(0, 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_title(title)
    axes.legend(loc="lower left", ncols=3)
    return panel.svg()


@_styled
def comparison_figure(title: str, rows: Sequence[Mapping[str, str]]) -> str:
    """Two-sample statistic of every quantity, and the critical value beyond which it is no chance."""
    panel = _Panel(height=0.62 + 0.24 * len(rows))
    axes = panel.axes
    critical = float(rows[0]["ks_critical"])
    for i, row in enumerate(rows):
        ks = float(row["ks"])
        (bar,) = axes.barh([i], [ks], height=0.62, color=_SERIES[1 if ks > critical else 0])
        medians = f"median real {row['median_real']}, generated {row['median_generated']} ({row['unit']})"
        panel.tip(bar, f"{row['quantity'].replace('_', ' ')}: {ks:.3f}\n{medians}")
    line = axes.axvline(critical, color=_CEILING, linewidth=1.8)
    panel.tip(line, f"1 % critical value: {critical:.3f}")
    axes.set_yticks(range(len(rows)), [row["quantity"].replace("_", " ") for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.tick_params(axis="y", length=0)
    axes.set_title(title)
    return panel.svg()


@_styled
def wrong_groups_figure(title: str, bars: Sequence[Mapping]) -> str:
    """Share of wrong groups before confirmation; groups without all their crystals are marked below."""
    panel = _Panel(height=2.2)
    axes = panel.axes
    for bar in bars:
        (drawn,) = axes.bar([bar["group"]], [bar["share"]], width=0.8, color=_SERIES[0])
        # A bar of no height has nothing to point at.
        (ground,) = axes.bar([bar["group"]], [1.0], width=1.0, color=_GRID, alpha=0.0)
        panel.tip(drawn, bar["text"])
        panel.tip(ground, bar["text"])
        if not bar["reached"]:
            (mark,) = axes.plot(
                bar["group"], 0, marker="x", color=_CEILING, markersize=4.5, clip_on=False, linestyle=""
            )
            panel.tip(mark, bar["text"])
    axes.set_ylim(0, 1)
    axes.set_xlim(bars[0]["group"] - 0.8, bars[-1]["group"] + 0.8)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlabel("space group number")
    axes.set_title(title)
    return panel.svg()


@_styled
def lattice_figure(
    title: str,
    label: str,
    of_dataset: Mapping[str, Sequence],
    colours: Sequence[str],
    span: tuple[float, float],
) -> str:
    """Distributions of one cell parameter of one space group, each scaled to its own highest bin.

    `of_dataset`: dataset -> (first edge, bin width, counts); `colours`: the datasets in the order of their
    colours; `span`: what the axis shows.
    """
    panel = _Panel(height=2.1)
    axes = panel.axes
    for dataset in (name for name in colours if name in of_dataset):
        first, width, counts = of_dataset[dataset]
        colour = _SERIES[colours.index(dataset)]
        edges = [first + i * width for i in range(len(counts) + 1)]
        heights = [count / max(counts) for count in counts]
        fill = axes.stairs(heights, edges, fill=True, color=colour, alpha=0.15)
        line = axes.stairs(heights, edges, color=colour, linewidth=1.4)
        for artist in (fill, line):
            panel.tip(artist, f"{dataset.upper()}: {sum(counts):,} from {first:g} to {edges[-1]:g}")
    axes.set_xlabel(label)
    axes.set_xlim(*span)
    axes.set_ylim(0, 1.05)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_title(title)
    return panel.svg()


@_styled
def patterns_figure(title: str, two_theta: Sequence[float], patterns: Mapping[str, Sequence[float]]) -> str:
    """Patterns of equal height above each other, each with its label."""
    panel = _Panel(width=4.7, height=0.7 + 0.75 * len(patterns))
    axes = panel.axes
    for i, (label, pattern) in enumerate(reversed(patterns.items())):
        axes.plot(two_theta, [value + 1.25 * i for value in pattern], color=_SERIES[0], linewidth=0.9)
        axes.text(two_theta[-1], 1.25 * i + 0.98, label, ha="right", va="top", color=_MUTED, fontsize=8.5)
    axes.set_xlim(two_theta[0], two_theta[-1])
    axes.set_ylim(-0.03, 1.25 * len(patterns))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("2θ, degree")
    axes.set_title(title)
    return panel.svg()

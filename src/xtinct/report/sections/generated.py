"""Generated crystals beside real ones: the evidence tables of GCDD as figures and rows."""

from collections.abc import Mapping, Sequence

from matplotlib.ticker import PercentFormatter

from xtinct.report.drawing import CEILING, GRID, SERIES, Canvas, Gallery, drawing, name_groups, styled
from xtinct.report.formatting import Row, in_order
from xtinct.report.results import Results
from xtinct.report.section import Content
from xtinct.symmetry.families import CRYSTAL_SYSTEMS, FAMILIES, family_of


def content(results: Results) -> Content | None:
    """The comparison with real crystals and the groups reached; None where there is neither."""
    tables = results.inputs.tables
    if not (tables["comparison"] or tables["groups"]):
        return None
    histograms = histogram_charts(tables["histograms"], tables["comparison"])
    return Content(
        {
            "comparison": comparison_verdict(tables["comparison"]),
            "comparison_gallery": comparison_gallery(tables["comparison"]),
            "histograms": bool(histograms),
            "groups": group_tables(tables["groups"]),
            "group_gallery": group_gallery(tables["groups"], results.names),
        },
        {"generated": histograms},
    )


#: Columns of the table of groups that are no reason for a rejected draw.
_NO_REASONS = frozenset(
    (
        "spacegroup_number",
        "requested",
        "reached",
        "out_of_reach",
        "draws",
        "wrong_group",
        "wrong_group_share",
        "most_frequent_wrong",
        "least_group_of_30_atoms",
    )
)


def comparison_gallery(comparison: Sequence[Mapping[str, str]]) -> Gallery | None:
    """One figure per crystal system: the two-sample statistic of every quantity."""
    drawings = []
    for system in in_order((row["crystal_system"] for row in comparison), CRYSTAL_SYSTEMS):
        mine = [row for row in comparison if row["crystal_system"] == system]
        name, title = f"generated-{system}", f"{system}, n = {int(mine[0]['n']):,}"
        drawings.append(drawing(name, comparison_figure(name, title, mine), mine))
    return Gallery("", (), tuple(drawings)) if drawings else None


@styled
def comparison_figure(title: str, rows: Sequence[Mapping[str, str]]) -> str:
    """Two-sample statistic of every quantity, and the critical value beyond which it is no chance."""
    panel = Canvas(height=0.62 + 0.24 * len(rows))
    axes = panel.axes
    critical = float(rows[0]["ks_critical"])
    for i, row in enumerate(rows):
        ks = float(row["ks"])
        (bar,) = axes.barh([i], [ks], height=0.62, color=SERIES[1 if ks > critical else 0])
        medians = f"median real {row['median_real']}, generated {row['median_generated']} ({row['unit']})"
        panel.tip(bar, f"{row['quantity'].replace('_', ' ')}: {ks:.3f}\n{medians}")
    line = axes.axvline(critical, color=CEILING, linewidth=1.8)
    panel.tip(line, f"1 % critical value: {critical:.3f}")
    axes.set_yticks(range(len(rows)), [row["quantity"].replace("_", " ") for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.tick_params(axis="y", length=0)
    axes.set_title(title)
    return panel.svg()


def comparison_verdict(comparison: Sequence[Mapping[str, str]]) -> Row | None:
    """How many of the compared distributions differ beyond the critical value, and which does most."""
    if not comparison:
        return None
    worst = max(comparison, key=lambda row: float(row["ks"]) / float(row["ks_critical"]))
    return {
        "compared": len(comparison),
        "differing": sum(float(row["ks"]) > float(row["ks_critical"]) for row in comparison),
        "worst": worst,
    }


def histogram_charts(
    histograms: Sequence[Mapping[str, str]], comparison: Sequence[Mapping[str, str]]
) -> list[dict]:
    """Distributions of generated beside real crystals of the same space groups, one chart per quantity.

    `comparison` tells the units.
    """
    units = {row["quantity"]: f", {row['unit']}" for row in comparison}
    charts = []
    for system in in_order((row["crystal_system"] for row in histograms), CRYSTAL_SYSTEMS):
        of_system = [row for row in histograms if row["crystal_system"] == system]
        for quantity in dict.fromkeys(row["quantity"] for row in of_system):
            mine = [row for row in of_system if row["quantity"] == quantity]
            edges = [(float(row["low"]), float(row["high"])) for row in mine]
            series = [
                {
                    "name": kind,
                    "points": [
                        [(low + high) / 2, float(row[kind]), None, None, f"{low:.4g} to {high:.4g}"]
                        for row, (low, high) in zip(mine, edges, strict=True)
                    ],
                }
                for kind in ("real", "generated")
            ]
            charts.append(
                {
                    "scope": system,
                    "on": quantity,
                    "x": {
                        "title": quantity.replace("_", " ") + units.get(quantity, ""),
                        "low": edges[0][0],
                        "high": edges[-1][1],
                    },
                    "y": {"title": "share of the crystals", "percent": True, "low": 0},
                    "bin": edges[0][1] - edges[0][0],
                    "series": series,
                }
            )
    return charts


def _reasons(row: Mapping[str, str]) -> str:
    """What became of the draws that gave no crystal of the group, the most frequent first."""
    counts = {name: int(value) for name, value in row.items() if name not in _NO_REASONS}
    counts["wrong_group"] = int(row["wrong_group"])
    ordered = sorted((-n, name.replace("_", " ")) for name, n in counts.items() if n)
    return ", ".join(f"{name} {-n:,}" for n, name in ordered)


def group_gallery(groups: Sequence[Mapping[str, str]], names: Mapping[str, str]) -> Gallery | None:
    """One figure per family: the share of wrong groups of the crystals drawn for each group."""
    drawings = []
    for family in FAMILIES:
        mine = [row for row in groups if family_of(int(row["spacegroup_number"])) == family]
        if not mine:
            continue
        bars = []
        for row in mine:
            number, wrong = row["spacegroup_number"], row["most_frequent_wrong"]
            parts = [
                f"{names[number]} (No. {number}): {int(row['reached']):,} of {int(row['requested']):,}",
                f"{int(row['draws']):,} draws",
            ]
            parts += [_reasons(row)] if _reasons(row) else []
            parts += [f"mostly {names[wrong]} ({wrong}) instead"] if wrong else []
            bars.append(
                {
                    "group": int(number),
                    "share": float(row["wrong_group_share"] or 0),
                    "reached": int(row["reached"]) >= int(row["requested"]),
                    "text": "\n".join(parts),
                }
            )
        name = f"wrong-groups-{family}"
        drawings.append(drawing(name, wrong_groups_figure(name, family, bars), mine))
    return Gallery("", (), tuple(drawings)) if drawings else None


@styled
def wrong_groups_figure(title: str, bars: Sequence[Mapping]) -> str:
    """Share of wrong groups before confirmation; groups without all their crystals are marked below."""
    panel = Canvas(height=2.2)
    axes = panel.axes
    for bar in bars:
        (drawn,) = axes.bar([bar["group"]], [bar["share"]], width=0.8, color=SERIES[0])
        # A bar of no height has nothing to point at.
        (ground,) = axes.bar([bar["group"]], [1.0], width=1.0, color=GRID, alpha=0.0)
        panel.tip(drawn, bar["text"])
        panel.tip(ground, bar["text"])
        if not bar["reached"]:
            (mark,) = axes.plot(
                bar["group"], 0, marker="x", color=CEILING, markersize=4.5, clip_on=False, linestyle=""
            )
            panel.tip(mark, bar["text"])
    axes.set_ylim(0, 1)
    axes.set_xlim(bars[0]["group"] - 0.8, bars[-1]["group"] + 0.8)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    name_groups(axes, [bar["group"] for bar in bars])
    axes.set_title(title)
    return panel.svg()


def group_tables(groups: Sequence[Mapping[str, str]]) -> Row | None:
    """Totals, the groups that did not get what was asked for, and those out of the seed paper's reach."""
    if not groups:
        return None
    rows = [
        {
            "number": int(row["spacegroup_number"]),
            "requested": int(row["requested"]),
            "reached": int(row["reached"]),
            "draws": int(row["draws"]),
            "wrong": int(row["wrong_group"]),
            "least": int(row["least_group_of_30_atoms"] or 0),
            "reasons": "out of reach" if int(row["out_of_reach"]) else _reasons(row),
        }
        for row in groups
    ]
    wrong, reached = sum(row["wrong"] for row in rows), sum(row["reached"] for row in rows)
    return {
        "groups": len(rows),
        "requested": sum(row["requested"] for row in rows),
        "reached": reached,
        "draws": sum(row["draws"] for row in rows),
        "wrong_share": wrong / (wrong + reached) if wrong + reached else 0.0,
        "unreached": [row for row in rows if row["reached"] < row["requested"]],
        "hopeless": [row for row in rows if row["least"] != row["number"]],
    }

"""Ceilings from absences alone, beside the published ones."""

from collections.abc import Mapping, Sequence

from matplotlib.ticker import PercentFormatter

from xtinct.report.drawing import INK, MARKERS, SERIES, Canvas, Drawing, drawing, styled
from xtinct.report.formatting import TARGET_NAMES, Row, in_order, percent
from xtinct.report.results import Results
from xtinct.report.section import Content
from xtinct.symmetry.families import FAMILIES


def content(results: Results) -> Content:
    """The figure of the space group ceilings, and a table for each target."""
    return Content(
        {
            "ceiling_drawing": ceiling_drawing(results.ceilings),
            "ceilings": ceiling_table(results.ceilings),
            "published": results.published,
        }
    )


def ceiling_table(ceilings: Sequence[Mapping]) -> dict[str, dict[str, list[Row]]]:
    """target -> family or scope -> rows by k; targets in their order."""
    table: dict[str, dict[str, list[Row]]] = {}
    for target in ("spacegroup", *in_order((row["target"] for row in ceilings), TARGET_NAMES)):
        table.setdefault(target, {})
    for row in ceilings:
        table.setdefault(row["target"], {}).setdefault(row["family"], []).append(row)
    return table


def ceiling_drawing(ceilings: Sequence[Mapping], target: str = "spacegroup") -> Drawing | None:
    """The figure of the ceilings of one target."""
    rows = [row for row in ceilings if row["target"] == target and row["family"] in (*FAMILIES, "all")]
    if not rows:
        return None
    families = in_order((row["family"] for row in rows), FAMILIES)
    values = {f: [row["ceiling"] for row in rows if row["family"] == f] for f in families}
    svg = ceilings_figure(f"ceilings-{target}", f"Ceilings for the {TARGET_NAMES[target]}", values)
    return drawing(f"ceilings-{target}", svg, rows)


@styled
def ceilings_figure(title: str, ceilings: Mapping[str, Sequence[float]]) -> str:
    """Top-1 to top-5 ceilings, one line per family, labelled at its end."""
    panel = Canvas(width=5.0, height=3.3)
    axes = panel.axes
    for i, (family, values) in enumerate(ceilings.items()):
        ks = range(1, len(values) + 1)
        colour = (*SERIES, INK)[i % 7]
        axes.plot(ks, values, color=colour, label=family, marker=MARKERS[i % 6], markersize=5)
        for k, value in zip(ks, values, strict=True):
            (point,) = axes.plot(k, value, marker=MARKERS[i % 6], color=colour, markersize=5)
            panel.tip(point, f"{family}, top-{k}: {percent(value)}")
    longest = max(len(values) for values in ceilings.values())
    axes.set_xticks(range(1, longest + 1), [f"top-{k}" for k in range(1, longest + 1)])
    axes.set_ylim(0, 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_title(title)
    axes.legend(loc="lower right", ncols=2)
    return panel.svg()

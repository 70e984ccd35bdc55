"""What a measurement leaves of the ceiling: lattices, range of angles, peak width, weak lines."""

from collections.abc import Mapping, Sequence

from matplotlib.ticker import PercentFormatter

from xtinct.report.drawing import MARKERS, SERIES, Canvas, Gallery, drawing, styled
from xtinct.report.formatting import in_order, percent
from xtinct.report.results import Results
from xtinct.report.section import Content
from xtinct.symmetry.families import FAMILIES


def content(results: Results) -> Content | None:
    """The figures, and the class pairs that lose most; None where nothing was computed."""
    gallery = remaining_gallery(results.inputs.limits)
    return gallery and Content({"gallery": gallery, "limits": results.inputs.limits})


#: Limitations in the order in which they add up, as a reader would call them.
LIMITATIONS = {
    "extinction": "absences alone",
    "lattices": "+ these lattices",
    "window": "+ 2θ window",
    "resolution": "+ peak width",
    "threshold": "+ detection threshold",
    "wilson": "physical intensities",
}


def remaining_gallery(limits: Mapping[str, Sequence[Mapping]]) -> Gallery | None:
    """Per family: the space group ceiling after each limitation, and with physical intensities."""
    rows = [
        {**{name: row[name] for name in ("family", "limitation", "k", "ceiling", "standard_error")}}
        for row in limits["limitations"]
        if row["target"] == "spacegroup"
    ] + [
        {
            "family": row["family"],
            "limitation": "wilson",
            "k": row["k"],
            "ceiling": row["accuracy"],
            "standard_error": row["standard_error"],
        }
        for row in limits["wilson"]
        if row["target"] == "spacegroup"
    ]
    drawings = []
    for family in in_order((row["family"] for row in rows), FAMILIES):
        mine = [row for row in rows if row["family"] == family]
        stages = {
            key: label for key, label in LIMITATIONS.items() if any(r["limitation"] == key for r in mine)
        }
        name = f"remaining-{family}"
        drawings.append(drawing(name, remaining_figure(name, family, stages, mine), mine))
    return Gallery("", (), tuple(drawings)) if drawings else None


@styled
def remaining_figure(title: str, stages: Mapping[str, str], rows: Sequence[Mapping]) -> str:
    """Top-1, top-3 and top-5 ceilings after each limitation, with Monte-Carlo standard errors."""
    panel = Canvas(height=2.9)
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
            color=SERIES[i],
            label=f"top-{k}",
        )
        for row in mine:
            x, value, error = places[row["limitation"]], row["ceiling"], row["standard_error"]
            axes.plot([x, x], [value - error, value + error], color=SERIES[i], linewidth=1.2)
            (point,) = axes.plot(x, value, marker=MARKERS[i], color=SERIES[i], markersize=5)
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

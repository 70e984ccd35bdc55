"""Validation accuracy while the models were trained."""

from collections.abc import Mapping, Sequence

from matplotlib.ticker import MaxNLocator, PercentFormatter

from xtinct.report.drawing import (
    CEILING,
    MOST_SERIES,
    SERIES,
    Canvas,
    Gallery,
    drawing,
    foremost,
    look,
    marker,
    styled,
)
from xtinct.report.formatting import TARGET_NAMES, in_order, is_ulbd, percent, set_name, set_place
from xtinct.report.results import Results
from xtinct.report.section import Content
from xtinct.symmetry.families import FAMILIES

TEXT = (
    "Top-1 accuracy on validation samples of the model's own train set, for its own target, over the number "
    "of training patterns seen. The ceiling is that of the validation samples of ULBD itself; its versions "
    "have ceilings of their own."
)


def content(results: Results) -> Content:
    """A gallery for each target."""
    return Content(
        {
            "galleries": training_gallery(results.training, results.config["variants"]),
            "text": TEXT,
            "empty": "There are no training histories.",
        }
    )


def _origin(train_set: str, variants: Mapping[str, Mapping]) -> str:
    """The dataset that a train set is a version of."""
    if train_set in variants:
        return variants[train_set]["of"]
    return "ulbd" if train_set in ("ulbd-online", "wilson-online", "physical-online") else train_set


def training_gallery(training: Sequence[Mapping], variants: Mapping[str, Mapping]) -> list[Gallery]:
    """One gallery per target with a figure per family and dataset; curves by experiment and seed.

    `variants`: those of the configuration; they stand with the dataset that they are versions of.
    """
    galleries = []
    for target in in_order((row["target"] for row in training), TARGET_NAMES):
        of_target = [row for row in training if row["target"] == target]
        by_train_set = sorted(
            of_target,
            key=lambda r: (set_place(_origin(r["train_set"], variants)), r["experiment"], r["seed"]),
        )
        figures: dict[tuple[str, str], list[Mapping]] = {}
        for family in in_order((row["family"] for row in of_target), FAMILIES):
            for row in by_train_set:
                if row["family"] == family:
                    figures.setdefault((family, _origin(row["train_set"], variants)), []).append(row)
        drawn = {key: _foremost(rows) for key, rows in figures.items()}
        present = {_curve_label(row) for rows in drawn.values() for row in rows}
        labels = [name for name in dict.fromkeys(map(_curve_label, by_train_set)) if name in present]
        drawings = []
        for (family, origin), rows in drawn.items():
            # Every label has its place in every figure, so that colours agree.
            curves = {
                label: [(row["patterns"], row["accuracy"]) for row in rows if _curve_label(row) == label]
                for label in labels
            }
            # Validation samples differ between training sets, and with them their ceilings.
            known = {row["ceiling"] for row in rows if is_ulbd(row["train_set"])}
            name = f"training-{target}-{family}-{origin}"
            title = f"{family}, {set_name(origin)}"
            several = len({_curve_label(row) for row in figures[family, origin]})
            if several > MOST_SERIES:
                title += f", best {MOST_SERIES} of {several}"
            svg = training_figure(name, title, curves, max(known) if known else None)
            drawings.append(drawing(name, svg, rows))
        galleries.append(Gallery(f"Target: {TARGET_NAMES[target]}", tuple(labels), tuple(drawings)))
    return galleries


def _foremost(rows: Sequence[Mapping]) -> list[Mapping]:
    """The rows of the curves that end highest, as many as a figure tells apart."""
    kept = foremost({_curve_label(row): row["accuracy"] for row in rows})
    return [row for row in rows if _curve_label(row) in kept]


def _curve_label(row: Mapping) -> str:
    return f"{row['experiment']}, seed {row['seed']}"


@styled
def training_figure(
    title: str, curves: Mapping[str, Sequence[tuple[float, float]]], ceiling: float | None
) -> str:
    """Validation accuracy over training patterns seen, one curve per label, and the ceiling."""
    panel = Canvas()
    axes = panel.axes
    if ceiling is not None:
        line = axes.axhline(ceiling, color=CEILING, linewidth=2.2)
        panel.tip(line, f"ceiling: {percent(ceiling)}")
    for i, (label, points) in enumerate(curves.items()):
        x, y = [p[0] for p in points], [p[1] for p in points]
        colour, _, hollow = look(i)
        axes.plot(x, y, color=SERIES[colour], linestyle="--" if hollow else "-")
        for px, py in points:
            (point,) = axes.plot(px, py, **marker(i))
            panel.tip(point, f"{label}: {percent(py)} after {px:,.0f} patterns")
    axes.set_ylim(0, 1.03)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(lambda x, _: f"{x / 1000:g}k" if x else "0")
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("training patterns seen")
    axes.set_title(title)
    return panel.svg()

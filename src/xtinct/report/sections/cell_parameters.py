"""Cell parameters of one space group in each dataset, and its patterns on several lattices."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xtinct.files.schema import DATASETS
from xtinct.report.drawing import MUTED, SERIES, Canvas, Gallery, drawing, styled
from xtinct.report.example_patterns import patterns_of_lattices
from xtinct.report.formatting import Row, in_order
from xtinct.report.results import Results
from xtinct.report.section import Content
from xtinct.symmetry.families import FAMILIES, family_of


def content(results: Results) -> Content:
    """Figures of the groups that the seed paper shows; the histograms of all groups for the page's script."""
    histograms = lattice_histograms(results.inputs.line_labels)
    patterns = {
        group: patterns_of_lattices(results.inputs.lines_paths, results.instrument, group)
        for group in shown_groups(histograms)
    }
    return Content(
        {
            "lattice_gallery": lattice_gallery(histograms, results.names),
            "pattern_gallery": pattern_gallery(patterns, results.names),
            "shown": list(patterns),
        },
        {"lattices": lattice_data(histograms), "shown": list(patterns)},
    )


#: Datasets in the order of their colours, as in page.js.
DATASET_COLOURS = ("ulbd", "cddd", "gcdd")


SYMBOLS = {"alpha": "α", "beta": "β", "gamma": "γ"}


#: The space groups whose lattices the seed paper shows (its figures 2 to 4): P 2 2 2 and P 4/m n c.
SHOWN_GROUPS = (16, 128)


def shown_groups(histograms: Iterable[Mapping]) -> list[int]:
    """SHOWN_GROUPS as far as there are samples, else the first group that has some."""
    present = sorted({row["spacegroup_number"] for row in histograms})
    return [group for group in SHOWN_GROUPS if group in present] or present[:1]


def lattice_histograms(labels: pa.Table, length_bin: float = 0.2, angle_bin: float = 1.0) -> list[Row]:
    """Histograms of the free cell parameters per dataset and space group.

    One row per (dataset, group, parameter): the lower edge of the first bin, the bin width
    (angstrom or degree) and the counts of consecutive bins. Bins are whole multiples of the width.
    `shown`: what a picture shows, without the 2 % of the samples on each side that lie furthest out.
    """
    numbers = labels["spacegroup_number"].to_numpy()
    columns = {name: labels[name].to_numpy() for name in ("a", "b", "c", "alpha", "beta", "gamma")}
    rows = []
    for dataset in in_order(labels["dataset"].unique().to_pylist(), DATASETS):
        of_dataset = np.flatnonzero(pc.equal(labels["dataset"], dataset).to_numpy())
        order = of_dataset[np.argsort(numbers[of_dataset], kind="stable")]
        groups, starts = np.unique(numbers[order], return_index=True)
        for group, members in zip(groups.tolist(), np.split(order, starts[1:]), strict=True):
            for name in FAMILIES[family_of(group)].parameters:
                width = length_bin if len(name) == 1 else angle_bin
                # A length of a mesh may be the edge of a bin, and 4.6 / 0.2 is less than 23.
                bins = np.floor(columns[name][members] / width + 1e-9).astype(np.int64)
                inner = np.quantile(bins, [0.02, 0.98], method="inverted_cdf") + np.array([0, 1])
                rows.append(
                    {
                        "dataset": dataset,
                        "spacegroup_number": group,
                        "parameter": name,
                        "first": round(float(bins.min() * width), 6),
                        "width": width,
                        "counts": np.bincount(bins - bins.min()).tolist(),
                        "shown": [round(float(edge * width), 6) for edge in inner],
                    }
                )
    return rows


def lattice_gallery(histograms: Sequence[Mapping], names: Mapping[str, str]) -> Gallery:
    """One figure per free cell parameter of the shown groups: its distribution in each dataset."""
    drawings = []
    for group in shown_groups(histograms):
        mine = [row for row in histograms if row["spacegroup_number"] == group]
        for parameter in dict.fromkeys(row["parameter"] for row in mine):
            rows = [row for row in mine if row["parameter"] == parameter]
            bins = [
                {
                    **{name: row[name] for name in ("dataset", "spacegroup_number", "parameter")},
                    "from": round(row["first"] + i * row["width"], 6),
                    "to": round(row["first"] + (i + 1) * row["width"], 6),
                    "count": count,
                }
                for row in rows
                for i, count in enumerate(row["counts"])
                if count
            ]
            name = f"lattices-{group}-{parameter}"
            svg = lattice_figure(
                name,
                f"{names.get(str(group), '')} (No. {group})",
                f"{SYMBOLS.get(parameter, parameter)}, {'Å' if len(parameter) == 1 else 'degree'}",
                {row["dataset"]: (row["first"], row["width"], row["counts"]) for row in rows},
                DATASET_COLOURS,
                (min(row["shown"][0] for row in rows), max(row["shown"][1] for row in rows)),
            )
            drawings.append(drawing(name, svg, bins))
    return Gallery("", (), tuple(drawings))


@styled
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
    panel = Canvas(height=2.1)
    axes = panel.axes
    for dataset in (name for name in colours if name in of_dataset):
        first, width, counts = of_dataset[dataset]
        colour = SERIES[colours.index(dataset)]
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


def pattern_gallery(
    patterns: Mapping[int, tuple[Sequence[float], Mapping[str, Sequence[float]]]], names: Mapping[str, str]
) -> Gallery:
    """One figure per group: its pattern on several lattices.

    `patterns`: group -> (2theta, label -> intensities) of `patterns_of_lattices`.
    """
    drawings = []
    for group, (two_theta, of_lattice) in patterns.items():
        if not of_lattice:
            continue
        name, title = f"patterns-{group}", f"{names.get(str(group), '')} (No. {group})"
        rows = [
            {"two_theta": round(float(angle), 3)}
            | {label: round(float(of_lattice[label][i]), 4) for label in of_lattice}
            for i, angle in enumerate(two_theta)
        ]
        svg = patterns_figure(name, title, two_theta, of_lattice)
        drawings.append(drawing(name, svg, rows))
    return Gallery("", (), tuple(drawings))


@styled
def patterns_figure(title: str, two_theta: Sequence[float], patterns: Mapping[str, Sequence[float]]) -> str:
    """Patterns of equal height above each other, each with its label."""
    panel = Canvas(width=4.7, height=0.7 + 0.75 * len(patterns))
    axes = panel.axes
    for i, (label, pattern) in enumerate(reversed(patterns.items())):
        axes.plot(two_theta, [value + 1.25 * i for value in pattern], color=SERIES[0], linewidth=0.9)
        axes.text(two_theta[-1], 1.25 * i + 0.98, label, ha="right", va="top", color=MUTED, fontsize=8.5)
    axes.set_xlim(two_theta[0], two_theta[-1])
    axes.set_ylim(-0.03, 1.25 * len(patterns))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("2θ, degree")
    axes.set_title(title)
    return panel.svg()


def lattice_data(histograms: Iterable[Mapping]) -> dict:
    """group -> parameter -> dataset -> [first, width, counts, [low, high] of the picture]."""
    data: dict[str, dict] = {}
    for row in histograms:
        of_group = data.setdefault(str(row["spacegroup_number"]), {})
        of_group.setdefault(row["parameter"], {})[row["dataset"]] = [
            row["first"],
            row["width"],
            row["counts"],
            row["shown"],
        ]
    return data

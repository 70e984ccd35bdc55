"""How many samples the datasets hold, by family, split and space group."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from xtinct.files.schema import DATASETS, SPLITS
from xtinct.report.drawing import CEILING, SERIES, Canvas, Gallery, drawing, name_groups, styled
from xtinct.report.formatting import Row, in_order
from xtinct.report.results import Results
from xtinct.report.section import Content
from xtinct.symmetry.families import FAMILIES, space_groups


def content(results: Results) -> Content:
    """The table of counts, and a gallery for each dataset."""
    return Content(
        {
            "count_summary": count_summary(results.counts),
            "count_galleries": count_galleries(results.counts, results.names),
        }
    )


def count_summary(rows: Iterable[Mapping]) -> list[Row]:
    """Per dataset and family: samples of each split, their sum, and how many groups have any."""
    totals: dict[tuple, Counter] = defaultdict(Counter)
    groups: dict[tuple, set] = defaultdict(set)
    for row in rows:
        key = (row["dataset"], row["family"])
        totals[key][row["split"]] += row["count"]
        groups[key].add(row["spacegroup_number"])
    return [
        {
            "dataset": dataset,
            "family": family,
            "groups": len(groups[dataset, family]),
            **{split: totals[dataset, family][split] for split in SPLITS},
            "samples": sum(totals[dataset, family].values()),
        }
        for dataset in DATASETS
        for family in FAMILIES
        if (dataset, family) in totals
    ]


def count_galleries(counts: Sequence[Mapping], names: Mapping[str, str]) -> list[Gallery]:
    """One gallery per dataset with a figure per family: samples of every group, zeros included."""
    galleries = []
    for dataset in in_order((row["dataset"] for row in counts), DATASETS):
        rows = [row for row in counts if row["dataset"] == dataset]
        drawings = []
        for family in in_order((row["family"] for row in rows), FAMILIES):
            mine = [row for row in rows if row["family"] == family]
            per_group: dict[int, int] = {}
            for row in mine:
                per_group[row["spacegroup_number"]] = (
                    per_group.get(row["spacegroup_number"], 0) + row["count"]
                )
            groups = space_groups(family)
            name = f"counts-{dataset}-{family}"
            hint = {group: names.get(str(group), str(group)) for group in groups}
            svg = counts_figure(name, f"{family}: {sum(per_group.values()):,}", per_group, groups, hint)
            drawings.append(drawing(name, svg, mine))
        galleries.append(Gallery(dataset.upper(), (), tuple(drawings)))
    return galleries


@styled
def counts_figure(
    title: str, counts: Mapping[int, int], groups: Iterable[int], hint: Mapping[int, str]
) -> str:
    """Samples per space group on a logarithmic axis; groups without any are marked below the axis."""
    panel = Canvas(height=2.2)
    axes = panel.axes
    groups = list(groups)
    for group in groups:
        n = counts.get(group, 0)
        if n:
            (bar,) = axes.bar([group], [n], width=0.8, color=SERIES[0])
        else:
            (bar,) = axes.plot(group, 0, marker="x", color=CEILING, markersize=3.5, clip_on=False)
        panel.tip(bar, f"{hint[group]} (No. {group}): {n:,}")
    axes.set_yscale("symlog", linthresh=1, linscale=0.5)
    axes.yaxis.set_major_formatter(lambda n, _: f"{n:,.0f}")
    axes.set_ylim(0, max([1, *counts.values()]) * 1.6)
    axes.set_xlim(groups[0] - 0.8, groups[-1] + 0.8)
    name_groups(axes, groups)
    axes.set_title(title)
    return panel.svg()

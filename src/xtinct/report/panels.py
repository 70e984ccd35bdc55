"""What the page shows, arranged: tables by family, figures with their captions and data."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from xtinct.files.schema import DATASETS
from xtinct.files.writing import csv_text
from xtinct.report import figures
from xtinct.report.summary import TARGET_NAMES, is_ulbd
from xtinct.report.tables import ALL, SETS, Row, in_order, set_name, set_place
from xtinct.symmetry.families import FAMILIES, space_groups

#: Datasets in the order of their colours, as in page.js.
DATASET_COLOURS = ("ulbd", "cddd", "gcdd")
SYMBOLS = {"alpha": "α", "beta": "β", "gamma": "γ"}


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


def ceiling_table(ceilings: Sequence[Mapping]) -> dict[str, dict[str, list[Row]]]:
    """target -> family or scope -> rows by k; targets in their order."""
    table: dict[str, dict[str, list[Row]]] = {}
    for target in ("spacegroup", *in_order((row["target"] for row in ceilings), TARGET_NAMES)):
        table.setdefault(target, {})
    for row in ceilings:
        table.setdefault(row["target"], {}).setdefault(row["family"], []).append(row)
    return table


def accuracy_tables(averaged: Sequence[Mapping], published: Mapping) -> dict[str, dict[str, list[Row]]]:
    """target -> family -> one line per model and test set with its cells by k.

    A line trained and tested on ULBD carries the published values of its family: the paper reports
    that its models lie on them.
    """
    result: dict[str, dict[str, list[Row]]] = {}
    for target in in_order((row["target"] for row in averaged), TARGET_NAMES):
        rows = [row for row in averaged if row["target"] == target]
        for family in in_order((row["family"] for row in rows), FAMILIES):
            lines: dict[tuple, Row] = {}
            for row in (row for row in rows if row["family"] == family):
                key = tuple(row[name] for name in ("experiment", "train_set", "model", "test_set"))
                line = lines.setdefault(
                    key,
                    {
                        **{n: row[n] for n in ("experiment", "train_set", "model", "test_set", "seeds", "n")},
                        "cells": [],
                    },
                )
                on_ulbd = (
                    is_ulbd(row["train_set"]) and is_ulbd(row["test_set"]) and target == published["target"]
                )
                printed = published["table_1"].get(family, ()) if on_ulbd else ()
                value = printed[row["k"] - 1] / 100 if row["k"] <= len(printed) else None
                line["cells"].append(
                    {
                        **row,
                        "published": value,
                        "differs": value is not None and not _holds(row, value, published),
                    }
                )
            ordered = sorted(
                lines.items(), key=lambda item: (set_place(item[0][1]), item[0][:3], set_place(item[0][3]))
            )
            result.setdefault(target, {})[family] = [line for _, line in ordered]
    return result


def published_lines(accuracy: Mapping[str, Mapping[str, Sequence[Row]]]) -> list[Row]:
    """Lines of `accuracy_tables` that the paper has numbers for, with their family."""
    return [
        {"family": family, **line}
        for of_family in accuracy.values()
        for family, lines in of_family.items()
        for line in lines
        if any(cell["published"] is not None for cell in line["cells"])
    ]


def _holds(row: Mapping, value: float, published: Mapping) -> bool:
    """Whether the interval of `row` holds a printed value, within the rounding of the print."""
    half_digit = 0.5 * 10 ** -(published["decimals"] + 2)
    return row["low"] - half_digit <= value <= row["high"] + half_digit


def topk_galleries(averaged: Sequence[Mapping]) -> dict[str, list[Gallery]]:
    """target -> one gallery per family with a figure per test set, series by experiment."""
    galleries: dict[str, list[Gallery]] = {}
    for target in in_order((row["target"] for row in averaged), TARGET_NAMES):
        for family in in_order((r["family"] for r in averaged if r["target"] == target), FAMILIES):
            rows = [
                {"series": _series(row), **row}
                for row in averaged
                if row["target"] == target and row["family"] == family
            ]
            if target == "extinction_class":
                # What models of groups say about classes stands in the table alone.
                rows = [row for row in rows if row["trained_target"] == target] or rows
            by_train_set = sorted(rows, key=lambda row: (set_place(row["train_set"]), row["series"]))
            labels = list(dict.fromkeys(row["series"] for row in by_train_set))
            drawings = []
            for test in in_order((row["test_set"] for row in rows), SETS):
                mine = [row for row in rows if row["test_set"] == test]
                name = f"topk-{target}-{family}-{test}"
                sizes = sorted({row["n"] for row in mine})
                n = " to ".join(dict.fromkeys((f"{sizes[0]:,}", f"{sizes[-1]:,}")))
                title = f"on {set_name(test)}, n = {n}"
                drawings.append(drawing(name, figures.topk_figure(name, title, mine, labels), mine))
            galleries.setdefault(target, []).append(Gallery(family, tuple(labels), tuple(drawings)))
    return galleries


def _series(row: Mapping) -> str:
    if row["experiment"] == row["model"]:
        return row["experiment"]
    name = f"{row['experiment']} ({row['model']})"
    return (
        name if row["experiment"] == row["train_set"] else f"{name}, trained on {set_name(row['train_set'])}"
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
        labels = list(dict.fromkeys(_curve_label(row) for row in by_train_set))
        drawings = []
        for family in in_order((row["family"] for row in of_target), FAMILIES):
            of_family = [row for row in by_train_set if row["family"] == family]
            for origin in dict.fromkeys(_origin(row["train_set"], variants) for row in of_family):
                rows = [row for row in of_family if _origin(row["train_set"], variants) == origin]
                # Every label has its place in every figure, so that colours agree.
                curves = {
                    label: [(row["patterns"], row["accuracy"]) for row in rows if _curve_label(row) == label]
                    for label in labels
                }
                # Validation samples differ between training sets, and with them their ceilings.
                known = {row["ceiling"] for row in rows if is_ulbd(row["train_set"])}
                name = f"training-{target}-{family}-{origin}"
                title = f"{family}, {set_name(origin)}"
                svg = figures.training_figure(name, title, curves, max(known) if known else None)
                drawings.append(drawing(name, svg, rows))
        galleries.append(Gallery(TARGET_NAMES[target], tuple(labels), tuple(drawings)))
    return galleries


def _curve_label(row: Mapping) -> str:
    return f"{row['experiment']}, seed {row['seed']}"


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
            svg = figures.counts_figure(
                name, f"{family}: {sum(per_group.values()):,}", per_group, groups, hint
            )
            drawings.append(drawing(name, svg, mine))
        galleries.append(Gallery(dataset.upper(), (), tuple(drawings)))
    return galleries


def ceiling_drawing(ceilings: Sequence[Mapping], target: str = "spacegroup") -> Drawing | None:
    """The figure of the ceilings of one target."""
    rows = [row for row in ceilings if row["target"] == target and row["family"] in (*FAMILIES, "all")]
    if not rows:
        return None
    families = in_order((row["family"] for row in rows), FAMILIES)
    values = {f: [row["ceiling"] for row in rows if row["family"] == f] for f in families}
    svg = figures.ceilings_figure(f"ceilings-{target}", f"Ceilings for the {TARGET_NAMES[target]}", values)
    return drawing(f"ceilings-{target}", svg, rows)


def _labels(classes: Sequence[Mapping], symbols: Sequence[str]) -> dict:
    return {
        "extinction_class": list(symbols),
        "spacegroup": [member for c in classes for member in c["members"]],
        "class_of": [i for i, c in enumerate(classes) for _ in c["members"]],
        "opens": [c["members"][0] for c in classes],
    }


def confusion_data(confusion: Sequence[Mapping], classes: Sequence[Mapping]) -> dict:
    """Sparse matrices with indices into the labels of their family, for the page's script.

    Class labels stand in the order of the class list and space groups in the order of their
    classes, so that groups which no powder pattern tells apart lie in one block.
    """
    labels: dict[str, dict] = {}
    for family in in_order((c["family"] for c in classes), FAMILIES):
        mine = [c for c in classes if c["family"] == family]
        labels[family] = _labels(mine, [c["symbol"] for c in mine])
    # A joint model names the family before the symbol.
    every = [c for family in labels for c in classes if c["family"] == family]
    if any(row["family"] == ALL for row in confusion):
        labels[ALL] = _labels(every, [f"{c['family']} {c['symbol']}" for c in every])
    index = {
        (family, kind): {label: i for i, label in enumerate(labels[family][kind])}
        for family in labels
        for kind in ("extinction_class", "spacegroup")
    }
    matrices: dict[tuple, dict] = {}
    head = ("family", "experiment", "train_set", "test_set", "model", "seed", "kind")
    for row in confusion:
        key = tuple(row[name] for name in head)
        matrix = matrices.setdefault(key, {**dict(zip(head, key, strict=True)), "cells": []})
        position = index[row["family"], row["kind"]]
        matrix["cells"] += [position[row["true"]], position[row["predicted"]], row["count"]]
    ordered = sorted(
        matrices.values(),
        key=lambda m: (
            (*FAMILIES, ALL).index(m["family"]),
            set_place(m["train_set"]),
            m["experiment"],
            set_place(m["test_set"]),
            m["seed"],
            m["kind"],
        ),
    )
    return {"labels": labels, "matrices": ordered}


#: The space groups whose lattices the seed paper shows (its figures 2 to 4): P 2 2 2 and P 4/m n c.
SHOWN_GROUPS = (16, 128)


def shown_groups(histograms: Iterable[Mapping]) -> list[int]:
    """SHOWN_GROUPS as far as there are samples, else the first group that has some."""
    present = sorted({row["spacegroup_number"] for row in histograms})
    return [group for group in SHOWN_GROUPS if group in present] or present[:1]


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
            svg = figures.lattice_figure(
                name,
                f"{names.get(str(group), '')} (No. {group})",
                f"{SYMBOLS.get(parameter, parameter)}, {'Å' if len(parameter) == 1 else 'degree'}",
                {row["dataset"]: (row["first"], row["width"], row["counts"]) for row in rows},
                DATASET_COLOURS,
                (min(row["shown"][0] for row in rows), max(row["shown"][1] for row in rows)),
            )
            drawings.append(drawing(name, svg, bins))
    return Gallery("", (), tuple(drawings))


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
        svg = figures.patterns_figure(name, title, two_theta, of_lattice)
        drawings.append(drawing(name, svg, rows))
    return Gallery("", (), tuple(drawings))


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


#: Limitations in the order in which they add up, as a reader would call them.
LIMITATIONS = {
    "extinction": "absences alone",
    "lattices": "+ these lattices",
    "window": "+ 2θ window",
    "resolution": "+ peak width",
    "threshold": "+ detection threshold",
    "wilson": "physical intensities",
}


def limit_gallery(limits: Mapping[str, Sequence[Mapping]]) -> Gallery | None:
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
        name = f"limits-{family}"
        drawings.append(drawing(name, figures.limits_figure(name, family, stages, mine), mine))
    return Gallery("", (), tuple(drawings)) if drawings else None

"""Measured accuracies of every model on every test set, below the ceiling of that test set."""

from collections.abc import Mapping, Sequence

from matplotlib.ticker import PercentFormatter

from xtinct.report.drawing import (
    CEILING,
    MOST_SERIES,
    SERIES,
    Canvas,
    Gallery,
    drawing,
    foremost,
    marker,
    styled,
)
from xtinct.report.formatting import (
    METHODS,
    SETS,
    TARGET_NAMES,
    Row,
    in_order,
    is_ulbd,
    percent,
    set_name,
    set_place,
)
from xtinct.report.results import Results
from xtinct.report.section import Content
from xtinct.symmetry.families import FAMILIES


def content(results: Results) -> Content:
    """For each target and family a gallery and a table; the records of empty test sets."""
    return Content(
        {
            "accuracy_tables": accuracy_tables(results.averaged, results.published),
            "topk_galleries": topk_galleries(results.averaged),
            "empty": [record for record in results.records if record["n"] == 0],
        }
    )


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
            drawn = {
                test: _foremost([row for row in rows if row["test_set"] == test])
                for test in in_order((row["test_set"] for row in rows), SETS)
            }
            present = {row["series"] for mine in drawn.values() for row in mine}
            labels = [s for s in dict.fromkeys(row["series"] for row in by_train_set) if s in present]
            drawings = []
            for test, mine in drawn.items():
                name = f"topk-{target}-{family}-{test}"
                sizes = sorted({row["n"] for row in mine})
                n = " to ".join(dict.fromkeys((f"{sizes[0]:,}", f"{sizes[-1]:,}")))
                title = f"on {set_name(test)}, n = {n}"
                several = len({row["series"] for row in rows if row["test_set"] == test})
                if several > MOST_SERIES:
                    title += f", best {MOST_SERIES} of {several}"
                drawings.append(drawing(name, topk_figure(name, title, mine, labels), mine))
            galleries.setdefault(target, []).append(Gallery(family, tuple(labels), tuple(drawings)))
    return galleries


def _foremost(rows: Sequence[Row]) -> list[Row]:
    """The rows of the best series by their top-1 accuracy, as many as a figure tells apart."""
    kept = foremost({row["series"]: row["accuracy"] for row in rows if row["k"] == 1})
    return [row for row in rows if row["series"] in kept]


def _series(row: Mapping) -> str:
    if row["train_set"] in METHODS:
        return METHODS[row["train_set"]]
    if row["experiment"] == row["model"]:
        return row["experiment"]
    name = f"{row['experiment']} ({row['model']})"
    return (
        name if row["experiment"] == row["train_set"] else f"{name}, trained on {set_name(row['train_set'])}"
    )


@styled
def topk_figure(title: str, rows: Sequence[Mapping], labels: Sequence[str]) -> str:
    """Top-k accuracies with intervals of several models on one test set, below its ceiling.

    `rows`: averaged accuracy rows; `labels`: the series in their order, matched with
    row["series"].
    """
    panel = Canvas()
    axes = panel.axes
    ks = sorted({row["k"] for row in rows})
    for k in ks:
        # A sample of the test set has a ceiling of its own; the line is that of the whole.
        ceiling = max((row["n"], row["ceiling"]) for row in rows if row["k"] == k)[1]
        (line,) = axes.plot(
            [k - 0.42, k + 0.42], [ceiling] * 2, color=CEILING, linewidth=2.2, solid_capstyle="butt"
        )
        panel.tip(line, f"ceiling of this test set, top-{k}: {percent(ceiling)}")
    present = [label for label in labels if any(row["series"] == label for row in rows)]
    for place, label in enumerate(present):
        i = labels.index(label)
        shift = 0.0 if len(present) == 1 else 0.6 * (place / (len(present) - 1) - 0.5)
        colour = SERIES[i % len(SERIES)]
        for row in (row for row in rows if row["series"] == label):
            x = row["k"] + shift
            axes.plot([x, x], [row["low"], row["high"]], color=colour, linewidth=1.4)
            (point,) = axes.plot(x, row["accuracy"], **marker(i), linestyle="")
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

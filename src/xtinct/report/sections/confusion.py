"""Confusion matrices; the page's script draws the one that the reader chooses."""

from collections.abc import Mapping, Sequence

from xtinct.report.formatting import ALL, METHODS, SET_NAMES, in_order, set_name, set_place
from xtinct.report.results import Results
from xtinct.report.section import Content
from xtinct.symmetry.families import CRYSTAL_SYSTEMS, FAMILIES, crystal_system


def content(results: Results) -> Content:
    """The matrices, and what the page calls the train and test sets."""
    confusion = confusion_data(results.confusion, results.inputs.classes)
    sets = {*SET_NAMES, *(record["train_set"] for record in results.records)}
    return Content(
        {"matrices": confusion["matrices"]},
        {"confusion": confusion, "sets": {name: set_name(name) for name in sets}, "methods": METHODS},
    )


def _labels(classes: Sequence[Mapping], symbols: Sequence[str]) -> dict:
    return {
        "extinction_class": list(symbols),
        "spacegroup": [member for c in classes for member in c["members"]],
        "class_of": [i for i, c in enumerate(classes) for _ in c["members"]],
        "opens": [c["members"][0] for c in classes],
        "crystal_system": in_order(
            (crystal_system(member) for c in classes for member in c["members"]), CRYSTAL_SYSTEMS
        ),
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
        for kind in ("extinction_class", "spacegroup", "crystal_system")
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

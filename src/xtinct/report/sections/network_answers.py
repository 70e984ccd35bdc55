"""Networks on measured patterns: what they say beside what frequencies alone say."""

from collections.abc import Mapping, Sequence

from xtinct.report.formatting import Row, in_order
from xtinct.report.measured_cells import MEASURED_TARGETS, target_cells
from xtinct.report.results import Results
from xtinct.report.section import Content

_PRIORS = {"training": "of training", "mp": "Materials Project", "mp alone": "these alone, no pattern"}


def content(results: Results) -> Content | None:
    """A table of shares that are right; None without a model of all families or without measured patterns."""
    rows = network_rows(results.inputs.networks)
    return Content({"networks": rows, "targets": list(MEASURED_TARGETS.values())}) if rows else None


def network_rows(records: Sequence[Mapping]) -> list[Row]:
    """A row for each set, laboratory, model and prior, with a cell for each target that labels say."""
    found: dict[tuple, dict] = {}
    for record in records:
        if record["n"]:
            names = ("test_set", "laboratory", "experiment", "seed", "prior")
            found.setdefault(tuple(record[name] for name in names), {})[record["target"]] = record
    order = in_order((key[-1] for key in found), _PRIORS)
    keys = sorted(found, key=lambda key: (key[0], key[1] != "all", *key[1:4], order.index(key[-1])))
    return [_row(key, found[key]) for key in keys]


def _row(key: tuple, of: Mapping[str, Mapping]) -> Row:
    classes, groups = of.get("extinction_class", {}), of.get("spacegroup", {})
    return {
        **dict(zip(("set", "laboratory", "experiment", "seed"), key, strict=False)),
        "prior": _PRIORS.get(key[-1], key[-1]),
        "n": max(record["n"] for record in of.values()),
        "failed": max(record["failed"] for record in of.values()),
        "cells": target_cells(of),
        "class5": classes.get("top5"),
        "group5": groups.get("top5"),
        "group10": groups.get("top10"),
        "held": classes.get("held"),
        "ece": classes.get("ece"),
        "sure": f"{classes['sure_right']} of {classes['sure_n']}" if classes else None,
    }

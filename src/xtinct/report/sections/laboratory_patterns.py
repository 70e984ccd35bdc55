"""Measured patterns: what was said of those that passed the audit, and why the others did not pass."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.resources import files

from xtinct.report.formatting import Row, in_order
from xtinct.report.measured_cells import MEASURED_TARGETS, target_cells
from xtinct.report.results import Results
from xtinct.report.section import Content

_METHODS = ("index", "predict")


def content(results: Results) -> Content | None:
    """Shares that are right by set, laboratory and method, the audit, and published numbers; None without."""
    records, audit = results.inputs.measured, results.inputs.audit
    if not records and not audit:
        return None
    return Content(
        {
            "measured": measured_rows(records),
            "targets": list(MEASURED_TARGETS.values()),
            "audit": audit_rows(audit),
            "reasons": reason_rows(audit),
            "passed": passed_rows(audit),
            "published": published(),
        }
    )


def measured_rows(records: Sequence[Mapping]) -> list[Row]:
    """A row for each set, laboratory and method, with a cell for each target that labels say."""
    found: dict[tuple, dict] = {}
    for record in records:
        if record["n"]:
            key = record["set"], record["laboratory"], record["method"]
            found.setdefault(key, {})[record["target"]] = record
    order = in_order((key[2] for key in found), _METHODS)
    rows = []
    for key in sorted(found, key=lambda key: (key[0], key[1] != "all", key[1], order.index(key[2]))):
        of = found[key]
        classes = of.get("extinction_class")
        rows.append(
            {
                "set": key[0],
                "laboratory": key[1],
                "method": key[2],
                "n": max(record["n"] for record in of.values()),
                "known": max(record["known"] for record in of.values()),
                "failed": max(record["failed"] for record in of.values()),
                "cells": target_cells(of),
                "top5": classes and classes["top5"],
                "ceiling": classes and classes["ceiling1"],
                "counted": [(of.get(x) or {}).get("counted1") for x in ("extinction_class", "spacegroup")],
                "set_share": classes and classes["held"],
                "ece": classes and classes["ece"],
                "sure": classes and f"{classes['sure_right']} of {classes['sure_n']}",
                "seconds": max(record["seconds"] for record in of.values()),
            }
        )
    return rows


def audit_rows(audit: Sequence[Mapping]) -> list[Row]:
    """How many patterns of each set and laboratory passed."""
    places = ((row["pattern_id"].partition(":")[0], row["laboratory"]) for row in audit)
    counts, passed = Counter(), Counter()
    for place, row in zip(places, audit, strict=True):
        counts[place] += 1
        passed[place] += row["verdict"] == "pass"
    return [
        {"set": name, "laboratory": laboratory, "patterns": n, "passed": passed[name, laboratory]}
        for (name, laboratory), n in sorted(counts.items())
    ]


def passed_rows(audit: Sequence[Mapping]) -> list[Row]:
    """The patterns that passed: their counts, peaks and range, and what these allow at best."""
    names = ("counts", "peaks", "two_theta_min", "two_theta_max", "class_ceiling", "group_ceiling")
    passed = [row for row in audit if row["verdict"] == "pass"]
    return [
        {"pattern": row["pattern_id"], **{name: row[name] for name in names}}
        for row in sorted(passed, key=lambda row: row["pattern_id"])
    ]


def reason_rows(audit: Sequence[Mapping]) -> list[Row]:
    """The patterns that were rejected, with what was found."""
    rejected = [row for row in audit if row["verdict"] != "pass"]
    return [
        {"pattern": row["pattern_id"], "reasons": ", ".join(row["reasons"]), "detail": row["detail"]}
        for row in sorted(rejected, key=lambda row: row["pattern_id"])
    ]


def published() -> list[Row]:
    """Published shares on measured patterns: measured_published.json."""
    return json.loads(files("xtinct.report").joinpath("measured_published.json").read_text(encoding="utf-8"))

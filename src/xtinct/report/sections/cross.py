"""Top-1 accuracy of every train set on every test set."""

from collections import Counter
from collections.abc import Iterable, Mapping

from xtinct.report.formatting import SETS, TARGET_NAMES, Row, in_order, set_place
from xtinct.report.results import Results
from xtinct.report.section import Content
from xtinct.symmetry.families import FAMILIES


def content(results: Results) -> Content:
    """target -> family -> matrix."""
    targets = in_order((row["target"] for row in results.averaged), TARGET_NAMES)
    matrices = {target: cross_matrices(results.averaged, target) for target in targets}
    return Content({"matrices": {target: found for target, found in matrices.items() if found}})


def cross_matrices(averaged: Iterable[Mapping], target: str) -> dict[str, Row]:
    """Per family: the train sets, the test sets, and the top-1 row of each pair.

    Models that were trained for another target are left out, and so are models and test sets that stand
    alone: a matrix compares. Where several experiments share a train set, each has a line of its own.
    """
    matrices: dict[str, Row] = {}
    rows = [r for r in averaged if r["target"] == target == r["trained_target"] and r["k"] == 1]
    for family in in_order((row["family"] for row in rows), FAMILIES):
        cells = {
            ((row["experiment"], row["train_set"], row["model"]), row["test_set"]): row
            for row in rows
            if row["family"] == family
        }
        tested = Counter(test for _, test in cells)
        tests = in_order((test for test, n in tested.items() if n > 1), SETS)
        trained = Counter(line for line, test in cells if test in tests)
        lines = sorted(
            (line for line, n in trained.items() if n > 1), key=lambda line: (set_place(line[1]), line)
        )
        if lines:
            matrices[family] = {
                "tests": tests,
                "n": [max(row["n"] for (_, of), row in cells.items() if of == test) for test in tests],
                "lines": [
                    {
                        "experiment": line[0],
                        "train_set": line[1],
                        "model": line[2],
                        "cells": [cells.get((line, test)) for test in tests],
                    }
                    for line in lines
                ],
            }
    return matrices

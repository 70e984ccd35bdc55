"""The tables behind the report: pure functions from records and labels to rows.

A row is a dictionary with the same keys in the same order for every row of a table; accuracies
are fractions.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xtinct.files.schema import DATASETS, SPLITS
from xtinct.report.inputs import Evaluation
from xtinct.symmetry.families import FAMILIES, HEXAGONAL, TRIGONAL, family_of

Row = dict[str, object]


def percent(value: float, digits: int = 1) -> str:
    """A fraction as per cent. Only 1 itself prints as 100: 99.97 % gets the digit that shows it."""
    text = f"{100 * value:.{digits}f}"
    while value < 1 and float(text) >= 100 and digits < 6:
        digits += 1
        text = f"{100 * value:.{digits}f}"
    return f"{text} %"


def interval(row: Mapping) -> str:
    """The interval of an accuracy row in per cent, in brackets."""
    return f"[{percent(row['low']).removesuffix(' %')}, {percent(row['high']).removesuffix(' %')}]"


def verdict(ceiling: float, low: float, high: float) -> str:
    """How a measured accuracy with interval [low, high] stands to its ceiling.

    `at`: the interval holds the ceiling; `below` and `above`: it does not.
    """
    # The ceiling of a test set is a mean of floats; the tolerance is its rounding error.
    if ceiling > high + 1e-9:
        return "below"
    if ceiling < low - 1e-9:
        return "above"
    return "at"


def accuracy_rows(records: Iterable[Mapping]) -> list[Row]:
    """One row per record and k: accuracy, its interval, the ceiling of that test set, the verdict.

    Records of an empty test set give no rows; they stay visible in the table of records.
    """
    rows = []
    for record in records:
        if record["n"] == 0:
            continue
        for k in ranks(record):
            accuracy, ceiling = float(record[f"top{k}"]), float(record[f"ceiling{k}"])
            low, high = float(record[f"top{k}_low"]), float(record[f"top{k}_high"])
            rows.append(
                {
                    **{key: record[key] for key in ("experiment", "train_set", "test_set", "target")},
                    **{key: record[key] for key in ("family", "model", "seed", "n")},
                    "trained_target": record.get("trained_target", record["target"]),
                    "k": k,
                    "accuracy": accuracy,
                    "low": low,
                    "high": high,
                    "ceiling": ceiling,
                    "against_ceiling": verdict(ceiling, low, high),
                }
            )
    return rows


def ranks(record: Mapping) -> list[int]:
    """The k for which the record holds both an accuracy and a ceiling, ascending."""
    ks = (int(key[3:]) for key in record if key.startswith("top") and key[3:].isdigit())
    return sorted(k for k in ks if f"ceiling{k}" in record)


def mean_over_seeds(rows: Iterable[Mapping]) -> list[Row]:
    """Accuracy rows of models that differ in their seed alone, averaged.

    The interval is the mean of theirs, for they share one test set and its chance; `seeds` and the
    lowest and highest accuracy tell how far the seeds lie apart.
    """
    groups: dict[tuple, list[Mapping]] = defaultdict(list)
    keys = ("experiment", "train_set", "test_set", "target", "trained_target", "family", "model", "k")
    for row in rows:
        groups[tuple(row[key] for key in keys)].append(row)
    averaged = []
    for values, members in groups.items():
        n = min(member["n"] for member in members)
        accuracy, ceiling, low, high = (
            sum(member[key] for member in members) / len(members)
            for key in ("accuracy", "ceiling", "low", "high")
        )
        averaged.append(
            {
                **dict(zip(keys, values, strict=True)),
                "seeds": len(members),
                "n": n,
                "accuracy": accuracy,
                "low": low,
                "high": high,
                "lowest": min(member["accuracy"] for member in members),
                "highest": max(member["accuracy"] for member in members),
                "ceiling": ceiling,
                "against_ceiling": verdict(ceiling, low, high),
            }
        )
    return averaged


def metrics_by_test(rows: Iterable[Mapping]) -> dict[str, dict]:
    """experiment.family.test -> target -> {n, top1, ceiling1}, means over seeds.

    As one file each they are a table in `dvc metrics show`, whose lines are files and columns numbers.
    """
    found: dict[str, dict] = {}
    for row in (row for row in rows if row["k"] == 1):
        parts = (re.sub(r"[^\w-]", "-", str(row[key])) for key in ("experiment", "family", "test_set"))
        numbers = {"n": row["n"], "top1": row["accuracy"], "ceiling1": row["ceiling"]}
        found.setdefault(".".join(parts), {})[row["target"]] = numbers
    return found


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


#: What stands for the family of a model that tells the groups of all families apart.
ALL = "all"

#: Train and test sets in the order of the report, and as a reader would call them.
SET_NAMES = {
    "ulbd-online": "ULBD (streamed)",
    "ulbd": "ULBD",
    "wilson-online": "ULBD lattices, Wilson intensities",
    "physical-online": "ULBD lattices, physical intensities",
    "cddd": "CDDD",
    "cddd-coordinates": "CDDD, coordinates redrawn",
    "cddd-lattice": "CDDD, lattice redrawn",
    "cddd-both": "CDDD, both redrawn",
    "gcdd-online": "GCDD (streamed)",
    "gcdd": "GCDD",
    "observer": "no training: the exact law",
    "hybrid": "a trained model × the exact law",
}
SETS = tuple(SET_NAMES)


def set_name(name: str) -> str:
    """What the report calls a train or test set, or a mixture: `2 cddd + gcdd-online`, with weights."""
    parts = []
    for part in name.split(" + "):
        weight, space, single = part.rpartition(" ")
        parts.append(weight + space + SET_NAMES.get(single, single))
    return " + ".join(parts)


def set_place(name: str) -> tuple[int, str]:
    """Sort key of a train or test set."""
    return (SETS.index(name), "") if name in SETS else (len(SETS), name)


def in_order(values: Iterable, order: Iterable) -> list:
    """Distinct values, those in `order` first and in its order, the others sorted behind them."""
    present = set(values)
    known = [value for value in dict.fromkeys(order) if value in present]
    return known + sorted(present - set(known), key=str)


def confusion_rows(evaluations: Iterable[Evaluation]) -> list[Row]:
    """Non-zero cells of the confusion matrices: class and space group, true against most probable.

    One row per model, test set, kind and (true, predicted) pair, with its count; pairs ascend.
    """
    rows = []
    for evaluation in evaluations:
        if evaluation.predictions is None or not evaluation.records:
            continue
        record = evaluation.records[0]
        head = {
            key: record[key] for key in ("experiment", "train_set", "test_set", "family", "model", "seed")
        }
        table = evaluation.predictions
        for kind, truth, ranked in (
            ("extinction_class", "extinction_class", "classes"),
            ("spacegroup", "spacegroup_number", "groups"),
        ):
            true, best = table[truth].to_pylist(), table[ranked].to_pylist()
            pairs = Counter((t, p[0]) for t, p in zip(true, best, strict=True) if p)
            rows += [
                {**head, "kind": kind, "true": t, "predicted": p, "count": count}
                for (t, p), count in sorted(pairs.items())
            ]
    return rows


def count_rows(labels: pa.Table) -> list[Row]:
    """Samples per dataset, family, space group and split; groups without a sample have no row."""
    keys = ["dataset", "spacegroup_number", "split"]
    counted = labels.group_by(keys).aggregate([([], "count_all")])
    rows = [
        {
            "dataset": row["dataset"],
            "family": family_of(row["spacegroup_number"]),
            "spacegroup_number": row["spacegroup_number"],
            "split": row["split"],
            "count": row["count_all"],
        }
        for row in counted.to_pylist()
    ]
    order = {name: i for names in (DATASETS, SPLITS) for i, name in enumerate(names)}
    return sorted(rows, key=lambda r: (order[r["dataset"]], r["spacegroup_number"], order[r["split"]]))


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


def quarantine_rows(quarantine: pa.Table) -> list[Row]:
    """Rejected entries per stage and reason, with the first entry and its detail as an example."""
    counts: Counter = Counter()
    example: dict[tuple, tuple[str, str]] = {}
    for row in quarantine.to_pylist():
        key = (row["stage"], row["reason"])
        counts[key] += 1
        entry = (row["structure_id"], row["detail"])
        example[key] = min(example.get(key, entry), entry)
    return [
        {
            "stage": stage,
            "reason": reason,
            "count": count,
            "example": example[stage, reason][0],
            "detail": example[stage, reason][1],
        }
        for (stage, reason), count in sorted(
            counts.items(), key=lambda item: (item[0][0], -item[1], item[0][1])
        )
    ]


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
                bins = np.floor(columns[name][members] / width).astype(np.int64)
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


#: Order of the scopes in ceiling tables: the families, the systems that share a metric, all groups.
SCOPES = (*FAMILIES, TRIGONAL, HEXAGONAL, "all", "all-system-told", "all-metric-ignored")


def ceiling_rows(ceilings: Iterable[Mapping], published: Mapping) -> list[Row]:
    """Axis-unlabelled ceilings beside the published ones.

    `ceilings`: rows with family, axes, target, k, fraction (text such as "17/36") and ceiling;
    `published`: the content of published.json. `agrees` compares at the decimals of the print and
    is None where nothing was published.
    """
    rows = []
    for row in ceilings:
        if row["axes"] != "unlabelled":
            continue
        printed = published["table_1"].get(row["family"], ()) if row["target"] == published["target"] else ()
        value = printed[row["k"] - 1] if row["k"] <= len(printed) else None
        digits = published["decimals"]
        agrees = None if value is None else f"{100 * row['ceiling']:.{digits}f}" == f"{value:.{digits}f}"
        rows.append({**row, "published": value, "agrees": agrees})
    place = {scope: i for i, scope in enumerate(SCOPES)}
    return sorted(rows, key=lambda r: (r["target"], place.get(r["family"], len(place)), r["family"], r["k"]))


def training_rows(trainings: Iterable[Mapping]) -> list[Row]:
    """One row per validation of every model."""
    return [
        {
            **{key: training["card"][key] for key in ("experiment", "train_set", "target", "family", "seed")},
            **point,
        }
        for training in trainings
        for point in training["points"]
    ]

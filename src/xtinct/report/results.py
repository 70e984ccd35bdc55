"""What the sections of the report have in common: rows computed from the inputs, each table once.

A row is a dictionary with the same keys in the same order for every row of a table; accuracies
are fractions.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

import pyarrow as pa

from xtinct.files.schema import DATASETS, SPLITS
from xtinct.patterns.instrument import Instrument
from xtinct.report.formatting import Row, in_order
from xtinct.report.inputs import EvaluationFile, Inputs, all_records
from xtinct.symmetry.families import FAMILIES, HEXAGONAL, TRIGONAL, family_of, space_groups
from xtinct.symmetry.operations import hermann_mauguin


@dataclass(frozen=True)
class Results:
    """The inputs, the configuration, what to print about the build, and the tables that sections share.

    A table that one section alone shows is computed there. `provenance`: a text, or a table of names and
    texts, per key; the library asks neither the clock nor git nor the machine.
    """

    inputs: Inputs
    config: Mapping
    provenance: Mapping[str, object]

    @property
    def confidence(self) -> float:
        """Confidence level of the intervals, a fraction."""
        return float(self.config["report"]["confidence"])

    @cached_property
    def instrument(self) -> Instrument:
        """The instrument of the datasets."""
        return Instrument.from_config(self.config["instrument"])

    @cached_property
    def published(self) -> Mapping:
        """What the seed paper prints: published.json."""
        text = files("xtinct.report").joinpath("published.json").read_text(encoding="utf-8")
        return json.loads(text)

    @cached_property
    def names(self) -> dict[str, str]:
        """Space group number as text -> Hermann-Mauguin symbol, for the families with classes."""
        present = in_order({c["family"] for c in self.inputs.classes}, FAMILIES)
        return {str(group): hermann_mauguin(group) for family in present for group in space_groups(family)}

    @cached_property
    def records(self) -> list[dict]:
        """Every evaluation record, sorted."""
        return all_records(self.inputs.evaluations)

    @cached_property
    def accuracy(self) -> list[Row]:
        """Rows of `accuracy_rows`."""
        return accuracy_rows(self.records)

    @cached_property
    def averaged(self) -> list[Row]:
        """Rows of `mean_over_seeds`."""
        return mean_over_seeds(self.accuracy)

    @cached_property
    def ceilings(self) -> list[Row]:
        """Rows of `ceiling_rows`."""
        return ceiling_rows(self.inputs.ceilings, self.published)

    @cached_property
    def confusion(self) -> list[Row]:
        """Rows of `confusion_rows`, and those of crystal systems that models were trained on."""
        return confusion_rows(self.inputs.evaluations) + system_rows(self.inputs.tables["confusion"])

    @cached_property
    def training(self) -> list[Row]:
        """Rows of `training_rows`."""
        return training_rows(self.inputs.trainings)

    @cached_property
    def counts(self) -> list[Row]:
        """Rows of `count_rows`."""
        return count_rows(self.inputs.line_labels)


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

    Records of an empty test set give no rows, nor do those that are no `is_own_answer`; they stay visible
    in the table of records.
    """
    rows = []
    for record in records:
        if record["n"] == 0 or not is_own_answer(record):
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


def is_own_answer(record: Mapping) -> bool:
    """Whether a model was made to tell the label of a record.

    A model of space groups tells the class and the system as well; one of crystal systems tells them alone.
    """
    trained = record.get("trained_target", record["target"])
    return trained != "crystal_system" or record["target"] == trained


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


def confusion_rows(evaluations: Iterable[EvaluationFile]) -> list[Row]:
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


def system_rows(confusion: Iterable[Mapping[str, str]]) -> list[Row]:
    """The cells of the tables `confusion` of `read_tables` as rows of `confusion_rows`."""
    return [
        {
            **{key: row[key] for key in ("experiment", "train_set", "test_set", "family", "model")},
            "seed": int(row["seed"]),
            "kind": row["target"],
            **{key: row[key] for key in ("true", "predicted")},
            "count": int(row["count"]),
        }
        for row in confusion
    ]


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

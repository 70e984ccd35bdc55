"""Tables of a build of config/zoo.yaml: `python benchmarks/zoo/collect.py BUILD CONFIG --out FOLDER`.

zoo.csv        model x training set x split x target: the rows of the report's section "All models"
confusion.csv  samples of each true label by the label that was given most often in its place
frequency.csv  accuracy of the labels that the training part of the test set has most, fewer and fewest
               samples of, whatever a model was trained on; where it has none, those of the model's training

An experiment without an evaluation is named and left out.
"""

import argparse
import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import yaml

from xtinct.files.writing import write_csv
from xtinct.report.sections.all_models import model_rows
from xtinct.scores.frequency import by_frequency, label_counts


def main() -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("build", type=Path)
    parser.add_argument("config", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    config = yaml.safe_load(arguments.config.read_text(encoding="utf-8"))
    stored = _stored_counts(arguments.build, config)
    tables: dict[str, list[dict]] = {"zoo": [], "confusion": [], "frequency": []}
    for evaluation in _evaluations(arguments.build, config, stored):
        for name, rows in evaluation.items():
            tables[name] += rows
    for name, rows in tables.items():
        write_csv(arguments.out / f"{name}.csv", rows)


def _stored_counts(build: Path, config: dict) -> dict[str, dict]:
    """Training set -> samples of each space group in it, of the sets that are stored."""
    found = {}
    for name, experiment in config["experiments"].items():
        for path in sorted((build / "models" / name).glob("*/seed-*/card.json")):
            counts = json.loads(path.read_text(encoding="utf-8"))["group_counts"]
            if counts is not None and "prior" not in experiment:
                found[experiment["train"]] = counts
    return found


def _evaluations(build: Path, config: dict, stored: dict) -> Iterator[dict[str, list[dict]]]:
    for name, experiment in config["experiments"].items():
        for family in experiment["families"]:
            for seed in experiment["seeds"]:
                for test in experiment["tests"]:
                    model = Path(name) / family / f"seed-{seed}"
                    path = build / "results/evaluation" / model / f"{test}.json"
                    if not path.exists():
                        print(f"{name}: not run on {test}", file=sys.stderr)
                        continue
                    yield _evaluation(build, config, stored, path)


def _evaluation(build: Path, config: dict, stored: dict, path: Path) -> dict[str, list[dict]]:
    model = path.parent.relative_to(build / "results/evaluation")
    card = json.loads((build / "models" / model / "card.json").read_text(encoding="utf-8"))
    # Of a card that was written before it said so itself.
    card.setdefault("cpu_seconds", _cpu_seconds(build, model))
    records = [r for r in json.loads(path.read_text(encoding="utf-8")) if r["target"] == card["target"]]
    cards = {(card["experiment"], card["family"], card["seed"]): card}
    (row,) = model_rows(records, cards, config)
    published = {protocol: accuracy for protocol, accuracy, _ in row.pop("published")}
    identity = {key: row[key] for key in _IDENTITY}
    row = {key: _short(value) for key, value in row.items()}
    row["published"] = "; ".join(f"{protocol} {accuracy:g}" for protocol, accuracy in published.items())
    labels = [r for r in _read(path.with_suffix(".labels.csv")) if r["target"] == card["target"]]
    confusion = [
        {**identity, **{key: r[key] for key in ("label", "n", "right", "mistaken_for", "n_mistaken")}}
        for r in labels
    ]
    frequency = [
        {**identity, **{k: _short(v) for k, v in r.items()}}
        for r in _by_frequency(card, stored.get(path.stem), labels)
    ]
    return {"zoo": [row], "confusion": confusion, "frequency": frequency}


_IDENTITY = ("experiment", "name", "version", "train_set", "test_set", "split", "target", "seed")


def _by_frequency(card: dict, of_test_set: dict | None, rows: list[dict]) -> list[dict]:
    """Strata by the training samples of a label, from the samples of each and how many of them are right.

    `of_test_set`: samples of each group in the training part of the test set, where it has one: with it,
    models that were trained on different sets are compared on the same strata.
    """
    names = [output["symbol"] for output in card["outputs"]]
    counts = of_test_set or card["group_counts"]
    counts = counts and {int(group): n for group, n in counts.items()}
    trained = label_counts(counts, [output["members"] for output in card["outputs"]])
    labels, predicted = [], []
    for row in rows:
        if row["label"] in names:
            n, right, own = int(row["n"]), int(row["right"]), names.index(row["label"])
            labels += [own] * n
            predicted += [own] * right + [-1] * (n - right)
    return by_frequency(np.array(predicted), np.array(labels), trained)


def _cpu_seconds(build: Path, model: Path) -> float | None:
    """Of the training, as Snakemake has noted it; None where it has not."""
    path = build / "logs/train_model" / model.with_suffix(".tsv")
    return float(_read(path, "\t")[0]["cpu_time"]) if path.exists() else None


def _read(path: Path, delimiter: str = ",") -> list[dict]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def _short(value: object) -> object:
    return "" if value is None else f"{value:.5g}" if isinstance(value, float) else value


if __name__ == "__main__":
    main()

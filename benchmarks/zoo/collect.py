"""Tables of a build of config/zoo.yaml: `python benchmarks/zoo/collect.py BUILD CONFIG --out FOLDER`.

zoo.csv        model x training set x split x target: size, patterns seen, CPU seconds, accuracy with
               interval, macro F1, calibration error, ceiling of the test set, published accuracies
confusion.csv  samples of each true label by the label that was given most often in its place
frequency.csv  accuracy of the labels that training has most, fewer and fewest samples of

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
from xtinct.scores.frequency import by_frequency, label_counts

SHARES = ("top1", "macro_f1", "ece")
PUBLISHED = Path(__file__).with_name("published.csv")


def main() -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("build", type=Path)
    parser.add_argument("config", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    config = yaml.safe_load(arguments.config.read_text(encoding="utf-8"))
    tables: dict[str, list[dict]] = {"zoo": [], "confusion": [], "frequency": []}
    for evaluation in _evaluations(arguments.build, config):
        for name, rows in evaluation.items():
            tables[name] += rows
    for name, rows in tables.items():
        write_csv(arguments.out / f"{name}.csv", rows)


def _evaluations(build: Path, config: dict) -> Iterator[dict[str, list[dict]]]:
    for name, experiment in config["experiments"].items():
        for family in experiment["families"]:
            for seed in experiment["seeds"]:
                for test in experiment["tests"]:
                    model = Path(name) / family / f"seed-{seed}"
                    path = build / "results/evaluation" / model / f"{test}.json"
                    if not path.exists():
                        print(f"{name}: not run on {test}", file=sys.stderr)
                        continue
                    yield _evaluation(build, config, model, path)


def _evaluation(build: Path, config: dict, model: Path, path: Path) -> dict[str, list[dict]]:
    card = json.loads((build / "models" / model / "card.json").read_text(encoding="utf-8"))
    target, test = card["target"], path.stem
    record = next(r for r in json.loads(path.read_text(encoding="utf-8")) if r["target"] == target)
    kind = config["models"][card["architecture"]["name"]]
    variant = config["variants"].get(test, {"of": test})
    identity = {
        "experiment": card["experiment"],
        "model": kind.get("name", kind["kind"]),
        "version": kind.get("version") or kind.get("input") or "",
        "train_set": card["train_set"],
        "test_set": test,
        "split": variant.get("split", config["splits"][variant["of"]]),
        "target": target,
        "seed": card["seed"],
    }
    training = config["experiments"][card["experiment"]].get("training", {})
    measures = {
        "remedy": next((str(training[k]) for k in ("loss", "sampling", "correction") if k in training), ""),
        "learning_rate": "" if kind["kind"] == "extratrees" else _rate(config, training),
        "parameters": card["architecture"]["parameters"],
        "patterns": card["patterns"],
        "cpu_seconds": _cpu_seconds(build, model),
        "n": record["n"],
        **{f"{s}{end}": f"{record[f'{s}{end}']:.4f}" for s in SHARES for end in ("", "_low", "_high")},
        "ceiling": f"{record['ceiling1']:.4f}",
        **_published(kind, target),
    }
    labels = [row for row in _read(path.with_suffix(".labels.csv")) if row["target"] == target]
    confusion = [
        {**identity, **{key: row[key] for key in ("label", "n", "right", "mistaken_for", "n_mistaken")}}
        for row in labels
    ]
    frequency = [
        {**identity, **{key: _short(value) for key, value in row.items()}}
        for row in _by_frequency(card, labels)
    ]
    return {"zoo": [identity | measures], "confusion": confusion, "frequency": frequency}


def _by_frequency(card: dict, rows: list[dict]) -> list[dict]:
    """Strata by the training samples of a label, from the samples of each and how many of them are right."""
    names = [output["symbol"] for output in card["outputs"]]
    counts = card["group_counts"] and {int(group): n for group, n in card["group_counts"].items()}
    trained = label_counts(counts, [output["members"] for output in card["outputs"]])
    labels, predicted = [], []
    for row in rows:
        if row["label"] in names:
            n, right, own = int(row["n"]), int(row["right"]), names.index(row["label"])
            labels += [own] * n
            predicted += [own] * right + [-1] * (n - right)
    return by_frequency(np.array(predicted), np.array(labels), trained)


def _published(kind: dict, target: str) -> dict[str, str]:
    found = {
        row["protocol"]: row["accuracy"]
        for row in _read(PUBLISHED)
        if kind["kind"] == "simxrd" and (row["model"], row["target"]) == (kind["name"], target)
    }
    return {
        f"published_{key.replace('-', '_')}": found.get(key, "") for key in ("in-library", "out-of-library")
    }


def _rate(config: dict, training: dict) -> float:
    return training.get("learning_rate", config["train"]["learning_rate"])


def _cpu_seconds(build: Path, model: Path) -> str:
    """Of the training, as Snakemake has noted it; empty where it has not."""
    path = build / "logs/train_model" / model.with_suffix(".tsv")
    return _read(path, "\t")[0].get("cpu_time", "") if path.exists() else ""


def _read(path: Path, delimiter: str = ",") -> list[dict]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def _short(value: object) -> object:
    return f"{value:.4f}" if isinstance(value, float) else value


if __name__ == "__main__":
    main()

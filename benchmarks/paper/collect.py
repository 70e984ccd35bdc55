"""Small tables of a finished build: `python benchmarks/paper/collect.py BUILD CONFIG... --out FOLDER`.

Accuracies with intervals, ceilings and published values; training curves; models; and the claims of the
paper with their verdicts. The claims are read with the variants of the first configuration.
"""

import argparse
import json
from importlib.resources import files
from pathlib import Path

import yaml

from xtinct.files.writing import write_csv
from xtinct.report import inputs, results
from xtinct.report.sections.accuracy import accuracy_tables
from xtinct.report.sections.claims import claim_rows

KEYS = ("experiment", "model", "family", "train_set", "test_set", "target", "trained_target", "n", "k")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=Path)
    parser.add_argument("configs", type=Path, nargs="+")
    parser.add_argument("--ceilings", type=Path, help="ceilings.json, where the build has none")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    configs = [yaml.safe_load(path.read_text()) for path in arguments.configs]
    wanted = {name for config in configs for name in config["experiments"]}
    published = json.loads(files("xtinct.report").joinpath("published.json").read_text(encoding="utf-8"))

    def found(pattern: str) -> list[Path]:
        return [p for p in sorted(arguments.build.glob(pattern)) if p.parts[-4] in wanted]

    records = inputs.all_records(inputs.read_evaluations(found("results/evaluation/*/*/*/*.json"), []))
    averaged = results.mean_over_seeds(results.accuracy_rows(records))
    lines = accuracy_tables(averaged, published)
    printed = {
        (line["experiment"], family, line["test_set"], target, cell["k"]): cell["published"]
        for target, of_family in lines.items()
        for family, of_line in of_family.items()
        for line in of_line
        for cell in line["cells"]
    }
    accuracy = []
    for row in averaged:
        value = printed[tuple(row[key] for key in ("experiment", "family", "test_set", "target", "k"))]
        numbers = {key: f"{row[key]:.5f}" for key in ("accuracy", "low", "high", "ceiling")}
        difference = "" if value is None else f"{row['accuracy'] - value:+.5f}"
        numbers |= {"published": "" if value is None else f"{value:.3f}", "difference": difference}
        accuracy.append({key: row[key] for key in KEYS} | numbers)
    trainings = inputs.read_trainings(found("models/*/*/*/history.csv"))
    curves = [
        row | {key: f"{row[key]:.5f}" for key in ("accuracy", "ceiling")}
        for row in results.training_rows(trainings)
    ]
    models = [
        {
            **{key: training["card"][key] for key in ("experiment", "train_set", "target", "family", "seed")},
            "model": training["card"]["architecture"]["name"],
            "parameters": training["card"]["architecture"]["parameters"],
            "patterns": training["patterns"],
            "seconds": training["card"]["seconds"],
            "device": training["card"]["device"],
        }
        for training in trainings
    ]
    ceilings = inputs.read_ceilings(arguments.ceilings or arguments.build / "results/ceilings.json")
    columns = ("figure", "claim", "published", "verdict", "ours", "experiments")
    claims = [
        {key: claim[key] for key in columns}
        for claim in claim_rows(averaged, results.ceiling_rows(ceilings, published), published, configs[0])
    ]
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, rows in (("results", accuracy), ("training", curves), ("models", models), ("claims", claims)):
        write_csv(arguments.out / f"{name}.csv", rows)


if __name__ == "__main__":
    main()

"""Models on the crystals that they were trained on, measured anew, and on crystals that they never saw.

    python benchmarks/zoo/in_library.py BUILD CONFIG --out FILE.csv

One row for each protocol and model of a build of config/zoo.yaml that was trained on stored samples under
varying conditions.
"""

import argparse
from pathlib import Path

import yaml

from xtinct.evaluation.libraries import by_library
from xtinct.evaluation.methods import ModelFolder
from xtinct.files.writing import write_csv
from xtinct.project.experiments import families_of, line_list_file


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("build", type=Path)
    parser.add_argument("config", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    config = yaml.safe_load(arguments.config.read_text(encoding="utf-8"))
    rows = []
    for name, experiment in config["experiments"].items():
        train = experiment["train"]
        if "variation" not in experiment or not isinstance(train, str) or train.endswith("-online"):
            continue
        for family in experiment["families"]:
            paths = [arguments.build / line_list_file(config, train, each) for each in families_of(family)]
            for seed in experiment["seeds"]:
                folder = arguments.build / f"models/{name}/{family}/seed-{seed}"
                if (folder / "card.json").exists():
                    identity = {"experiment": name, "train_set": train, "family": family, "seed": seed}
                    for row in by_library(ModelFolder(folder, "cpu", "float32"), paths):
                        short = {k: f"{v:.4f}" if isinstance(v, float) else v for k, v in row.items()}
                        rows.append(identity | short)
    write_csv(arguments.out, rows)


if __name__ == "__main__":
    main()

"""Models on the crystals that they were trained on, measured anew, and on crystals that they never saw.

    python benchmarks/zoo/in_library.py BUILD CONFIG --out FILE.csv

One row for each protocol and model of the experiments of a build of config/zoo.yaml that have `libraries`. An
experiment that was not evaluated is named and left out.
"""

import argparse
import csv
import sys
from pathlib import Path

import yaml

from xtinct.files.writing import write_csv


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
        for family in experiment["families"] if "libraries" in experiment else ():
            for seed in experiment["seeds"]:
                model = f"results/evaluation/{name}/{family}/seed-{seed}"
                rows += _rows(arguments.build / model / "libraries.csv")
    write_csv(arguments.out, rows)


def _rows(path: Path) -> list[dict]:
    """Rows of the evaluation, numbers with five digits."""
    if not path.exists():
        print(f"{path}: not run", file=sys.stderr)
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [{key: _short(value) for key, value in row.items()} for row in csv.DictReader(file)]


def _short(value: str) -> str:
    return f"{float(value):.5f}" if "." in value else value


if __name__ == "__main__":
    main()

"""Bring the answers in rruff.csv or other.csv up to date.

    python benchmarks/measured/what_was_right.py rruff.csv COLLECTED.pickle ...

COLLECTED is of `benchmarks/joint/collect.py`. The three columns of what `xtinct predict` had right are
written anew, from what stands in the collected records and the weights that stand; all else is kept.
"""

import argparse
import csv
import pickle
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "joint"))
from weights import answered

from xtinct.observer.judging.weighing import SUGGESTED

SETTINGS = {
    "all": "right_in_database",
    "own": "right_without_own_composition",
    "type": "right_without_own_type",
}


def right_of(record):
    """Levels that the answer has right, joined by +; none."""
    weights = np.array([*SUGGESTED.candidate, *SUGGESTED.suggestion, *SUGGESTED.none])
    if "figures" not in record:
        return "none"
    answer = answered(record, weights, SUGGESTED.temper, SUGGESTED.votes)
    return "+".join(level for level in ("lattice", "class", "group") if answer[level][0]) or "none"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("collected", type=Path, nargs="+")
    options = parser.parse_args()
    with options.table.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    records = [one for path in options.collected for one in pickle.loads(path.read_bytes())]
    found = {(one["id"], one["setting"]): right_of(one) for one in records}
    asked = {(row.get("rruff_id") or row["id"], setting) for row in rows for setting in SETTINGS}
    if missing := sorted(asked - found.keys()):
        parser.error(
            f"{', '.join(map(str, options.collected))}: no record of {missing[0]}; collect it as well"
        )
    changed = 0
    for row in rows:
        for setting, column in SETTINGS.items():
            said = found[row.get("rruff_id") or row["id"], setting]
            changed += row[column] != said
            row[column] = said
    with options.table.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"{len(rows)} patterns, {changed} answers changed")


if __name__ == "__main__":
    main()

"""How often `xtinct predict --cell` names class and group of measured patterns whose cell is told.

    python benchmarks/joint/cell_given.py TABLE.parquet OUT.csv --patterns PATTERNS.parquet
        [--source NAME ...] [--rows even|odd|all]

TABLE, PATTERNS and the settings as for `collect.py`. Each pattern is asked with its cell and family, without
known structures (none) and with those of each setting. OUT has a row per pattern and setting: ranks of class
and group, probabilities of the first class and of the true one, and whether known structures had a vote.
"""

import csv
import math

import numpy as np
from collect import SETTINGS, measured_options, measured_rows, radiation
from truth import Truth

from xtinct.joint.identifying import identify_found, told_by
from xtinct.measurements import Measurement
from xtinct.observer.asking import asked
from xtinct.observer.observe import peaks_of
from xtinct.recognition.known_structures import load_table
from xtinct.recognition.recognising import recognise_targets
from xtinct.recognition.targets import targets_of
from xtinct.scores.metrics import wilson_interval
from xtinct.symmetry.classes import class_symbol
from xtinct.symmetry.families import FAMILIES, family_of

COLUMNS = (
    "source", "id", "number", "setting", "voted", "class_rank", "group_rank", "p_class", "p_true_class",
)  # fmt: skip
_CELL = ("a", "b", "c", "alpha", "beta", "gamma")


def answers(row, truth):
    """One row of the table for each setting."""
    number = int(row["spacegroup_number"])
    cell = np.array([row[name] for name in _CELL], dtype=np.float64)
    family = family_of(number)
    angles = FAMILIES[family].angles
    cell[3:] = [own if angle is None else angle for own, angle in zip(cell[3:], angles, strict=True)]
    question = asked(cell=cell.tolist(), family=family)
    points = [np.array(row[name], dtype=np.float64) for name in ("two_theta", "intensity")]
    measurement = Measurement(*points, None, radiation(row), name=row["id"])
    found = peaks_of(measurement, None)
    about = {"source": row["source"], "id": row["id"], "number": number}
    true = (family, class_symbol(number))
    for setting in ("none", *SETTINGS):
        table, rows, voted = None, None, False
        if setting != "none":
            table = truth.table
            rows = truth.rows(setting, row["formula"], number, cell, row.get("entry"))
            known = recognise_targets(table, targets_of(found), rows)
            voted = told_by(known, question) is not question
        answer = identify_found(measurement, found, question, table, rows)
        classes, groups = list(answer.classes), list(answer.groups)
        yield {
            **about,
            "setting": setting,
            "voted": voted,
            "class_rank": classes.index(true) + 1 if true in classes else 0,
            "group_rank": groups.index(number) + 1 if number in groups else 0,
            "p_class": f"{next(iter(answer.classes.values())):.4f}",
            "p_true_class": f"{answer.classes.get(true, 0.0):.4g}",
        }


def summary(rows):
    """A line of what the rows of one setting say."""
    n = len(rows)
    first, five = (sum(0 < r["class_rank"] <= k for r in rows) for k in (1, 5))
    group = sum(r["group_rank"] == 1 for r in rows)
    loss = float(np.mean([-math.log(max(float(r["p_true_class"]), 1e-4)) for r in rows]))
    sure = [r["class_rank"] == 1 for r in rows if float(r["p_class"]) > 0.9]
    low, high = wilson_interval(first, n)
    return (
        f"n {n}, voted {sum(r['voted'] for r in rows)}: class {first / n:.2f} ({low:.2f}-{high:.2f}), "
        f"among five {five / n:.2f}, group {group / n:.2f}, log loss {loss:.2f}, "
        f"right above .9 {sum(sure)}/{len(sure)}"
    )


def main():
    options = measured_options(__doc__)
    truth = Truth(load_table(options.table))
    done = []
    with options.out.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in measured_rows(options):
            for one in answers(row, truth):
                done.append(one)
                writer.writerow(one)
            stream.flush()
    for setting in ("none", *SETTINGS):
        print(setting, summary([r for r in done if r["setting"] == setting]))


if __name__ == "__main__":
    main()

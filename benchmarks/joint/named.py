"""How often `xtinct predict` names system, class and group of measured patterns, against one table.

    python benchmarks/joint/named.py TABLE.parquet OUT.csv --patterns PATTERNS.parquet
        [--source NAME ...] [--rows even|odd|all]

TABLE: known structures, all of which are asked; for those of the package
src/xtinct/recognition/data/known_structures.parquet. PATTERNS as for `collect.py`. OUT has a row per pattern:
the first system, class and group with their probabilities, ranks of the true ones, the size of the set of
classes, and whether it holds the true one.
"""

import csv
import math

import numpy as np
from collect import measured_options, measured_rows, radiation

from xtinct import predict
from xtinct.measurements import Measurement
from xtinct.recognition.known_structures import load_table
from xtinct.scores.metrics import wilson_interval
from xtinct.symmetry.classes import class_symbol
from xtinct.symmetry.families import crystal_system, family_of

COLUMNS = (
    "source", "id", "number", "system", "class", "group", "system_right", "class_rank", "group_rank",
    "p_class", "p_group", "p_true_class", "in_set", "set_size",
)  # fmt: skip


def answer(row, table):
    """One row of OUT."""
    number = int(row["spacegroup_number"])
    points = [np.array(row[name], dtype=np.float64) for name in ("two_theta", "intensity")]
    measurement = Measurement(*points, None, radiation(row), name=row["id"])
    said = predict(measurement, database=table)
    true = (family_of(number), class_symbol(number))
    systems, classes, groups = list(said.systems), list(said.classes), list(said.groups)
    return {
        "source": row["source"],
        "id": row["id"],
        "number": number,
        "system": systems[0],
        "class": classes[0][1],
        "group": groups[0],
        "system_right": int(systems[0] == crystal_system(number)),
        "class_rank": classes.index(true) + 1 if true in classes else 0,
        "group_rank": groups.index(number) + 1 if number in groups else 0,
        "p_class": f"{said.classes[classes[0]]:.4f}",
        "p_group": f"{said.groups[groups[0]]:.4f}",
        "p_true_class": f"{said.classes.get(true, 0.0):.4g}",
        "in_set": int(true in said.class_set),
        "set_size": len(said.class_set),
    }


def summary(rows):
    """What the rows say, in lines."""

    def share(right):
        low, high = wilson_interval(sum(right), len(rows))
        return f"{sum(right) / len(rows):.2f} ({low:.2f}-{high:.2f})"

    sure = [r["class_rank"] == 1 for r in rows if float(r["p_class"]) > 0.9]
    sure_groups = [r["group_rank"] == 1 for r in rows if float(r["p_group"]) > 0.9]
    loss = np.mean([-math.log(max(float(r["p_true_class"]), 1e-4)) for r in rows])
    return (
        f"{len(rows)} patterns: system {share([r['system_right'] for r in rows])}, "
        f"class {share([r['class_rank'] == 1 for r in rows])}, "
        f"among five {share([0 < r['class_rank'] <= 5 for r in rows])}, "
        f"group {share([r['group_rank'] == 1 for r in rows])}, log loss of the class {loss:.3f}, "
        f"right of classes above .9 {sum(sure)} of {len(sure)}, "
        f"of groups {sum(sure_groups)} of {len(sure_groups)}, "
        f"the set holds {share([r['in_set'] for r in rows])}, "
        f"{np.mean([r['set_size'] for r in rows]):.1f} classes"
    )


def main():
    options = measured_options(__doc__)
    table = load_table(options.table)
    done = []
    with options.out.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in measured_rows(options):
            done.append(answer(row, table))
            writer.writerow(done[-1])
            stream.flush()
    print(summary(done))


if __name__ == "__main__":
    main()

"""How long `xtinct predict` takes for each measured pattern, on one core.

    python benchmarks/joint/timing.py TABLE.parquet OUT.csv --patterns PATTERNS.parquet [--source NAME ...]
        [--rows even|odd|all]

TABLE and PATTERNS as for `collect.py`. The table is opened and the first pattern asked once before, so that
no pattern pays for imports and compiled code. Set OMP_NUM_THREADS=1. OUT has seconds by the clock and of the
processor, the most probable family, and the load of the machine (jobs, mean of a minute) when each pattern
was done.
"""

import csv
import os
import time

import numpy as np
from collect import measured_options, measured_rows, radiation

from xtinct.joint.identifying import identify
from xtinct.measurements import Measurement
from xtinct.recognition.recognising import open_table

COLUMNS = ("source", "id", "family", "wall", "cpu", "load")


def row_of(row, table):
    points = [np.array(row[name], dtype=np.float64) for name in ("two_theta", "intensity")]
    measurement = Measurement(*points, None, radiation(row), name=row["id"])
    wall, cpu = time.perf_counter(), time.process_time()
    answer = identify(measurement, database=table)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "source": row["source"],
        "id": row["id"],
        "family": next(iter(answer.families)),
        "wall": f"{wall:.2f}",
        "cpu": f"{cpu:.2f}",
        "load": f"{os.getloadavg()[0]:.1f}",
    }


def main():
    options = measured_options(__doc__)
    table, rows = open_table(options.table), measured_rows(options)
    row_of(rows[0], table)
    done = []
    with options.out.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            done.append(row_of(row, table))
            writer.writerow(done[-1])
            stream.flush()
    for clock in ("wall", "cpu"):
        seconds = np.array([float(one[clock]) for one in done])
        print(
            f"{clock}: n {len(seconds)}, median {np.median(seconds):.2f} s, "
            f"90 % {np.quantile(seconds, 0.9):.2f}, "
            f"longest {seconds.max():.2f}, within 4 s {(seconds <= 4).sum()}"
        )
    loads = np.array([float(one["load"]) for one in done])
    print(f"load: {loads.min()} to {loads.max()}, median {np.median(loads)}")


if __name__ == "__main__":
    main()

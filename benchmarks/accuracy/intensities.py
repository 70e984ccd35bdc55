"""How weak lines are: real crystals against the intensity laws, on the same cells and for the same groups.

    python benchmarks/accuracy/intensities.py data/cddd/*.parquet > benchmarks/accuracy/intensities.csv

Shares of the lines below 1e-2 to 1e-6 of the strongest, Lorentz factor included; `fall_off`: median over the
samples of log10(mean |F|^2 of the upper third of the lines / of the lower third).
"""

import csv
import sys

import numpy as np
import pyarrow.parquet as pq

from xtinct.linelists.ulbd_lines import INTENSITY_LAWS, UlbdLines
from xtinct.symmetry.families import family_of

SAMPLES, LONGEST, WAVELENGTH = 400, 25.0, 1.5406
CELL = ["a", "b", "c", "alpha", "beta", "gamma"]


def measures(lists):
    """Number of lines, shares of weak ones and fall-off of (d_star, intensity) pairs of 20 lines or more."""
    strengths, falls = [], []
    for d_star, intensity in lists:
        shown = (d_star > 0.0566) & (d_star < 0.918)
        x, y = d_star[shown], intensity[shown]
        if len(x) < 20:
            continue
        theta = np.arcsin(x * WAVELENGTH / 2)
        height = y / (np.sin(2 * theta) * np.sin(theta))
        strengths.append(height / height.max())
        low, high = np.quantile(x, [1 / 3, 2 / 3])
        falls.append(np.log10(y[x > high].mean() / y[x < low].mean()))
    joined = np.concatenate(strengths)
    return [len(strengths), round(len(joined) / len(strengths), 1)] + [
        round(float(value), 4)
        for value in (*((joined < 10.0**-k).mean() for k in range(2, 7)), np.median(falls))
    ]


def main(paths):
    """Print one row for each file and law."""
    out = csv.writer(sys.stdout, lineterminator="\n")
    weak = [f"below_1e-{k}" for k in range(2, 7)]
    out.writerow(["family", "intensities", "samples", "lines", *weak, "fall_off"])
    for path in paths:
        table = pq.read_table(path, columns=["spacegroup_number", *CELL, "d_star", "intensity"])
        cells = np.stack([table[name].to_numpy() for name in CELL], axis=1)
        longest = cells[:, :3].max(axis=1)
        rows = np.flatnonzero((longest > 6) & (longest < LONGEST))
        rows = rows[np.linspace(0, len(rows) - 1, min(SAMPLES, len(rows))).astype(int)]
        table, cells = table.take(rows), cells[rows]
        groups = table["spacegroup_number"].to_numpy().astype(np.int64)
        family = family_of(int(groups[0]))
        real = zip(*(map(np.array, table[name].to_pylist()) for name in ("d_star", "intensity")), strict=True)
        out.writerow([family, "real", *measures(real)])
        lines = UlbdLines(family, 0.93, LONGEST, (cells[:, 3:].min(), cells[:, 3:].max()))
        keys = np.arange(len(groups), dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        for law in INTENSITY_LAWS:
            lists = lines.draw(groups, cells, keys, law)
            out.writerow([family, law, *measures(lists[i] for i in range(len(lists)))])


if __name__ == "__main__":
    main(sys.argv[1:])

"""Rates of the crystal generators on one core, in crystals per second of CPU time.

    python benchmarks/generators.py data/gcdd/statistics.json data/gcdd/occupations.json [OUT.csv]

Averaged over the 230 space groups, equally many of each; compilation is not counted.
"""

import csv
import sys
import time
from pathlib import Path

import numpy as np
import yaml

from xtinct.generators.online import CrystalLines
from xtinct.generators.sampling import GroupSampler, read_statistics
from xtinct.generators.statistical import generate_one, structure_row
from xtinct.linelists.line_lists import LineLists
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.rendering import render

GROUPS = range(1, 231)
SYMPREC = 0.01


def confirmed(samplers, per_group, *, rows=False):
    for sampler in samplers:
        for index in range(per_group):
            draw, pearson, _ = generate_one(sampler, 1, index, symprec=SYMPREC, max_attempts=2000)
            if rows:
                structure_row(sampler, draw, pearson, index, symprec=SYMPREC, second_finder=False)


def cpu_seconds(work, *args, **kwargs):
    start = time.process_time()
    result = work(*args, **kwargs)
    return time.process_time() - start, result


def measure(statistics, occupations, per_group=10):
    config = yaml.safe_load(Path("config/config.yaml").read_text())
    learned = read_statistics(statistics)
    plain = [GroupSampler(number, learned) for number in GROUPS]
    spaced = [GroupSampler(number, learned, min_distance_scale=0.8) for number in GROUPS]
    confirmed(plain, 1, rows=True)
    confirmed(spaced, 1)
    n = len(GROUPS) * per_group
    yield "confirmed by moyo", n / cpu_seconds(confirmed, plain, per_group)[0]
    yield (
        "confirmed by moyo, rows of structures written",
        n / cpu_seconds(confirmed, plain, per_group, rows=True)[0],
    )
    yield "confirmed by moyo, distance rule 0.8", n / cpu_seconds(confirmed, spaced, per_group)[0]

    crystals = CrystalLines(occupations, config["lines"])
    instrument = Instrument.from_config(config["instrument"])
    numbers = np.repeat(np.array(GROUPS), per_group)
    keys = np.arange(n, dtype=np.uint64)
    warm, _ = crystals.draw(numbers[::per_group], keys[::per_group])
    render(warm, instrument)
    generation, _ = cpu_seconds(lambda: [crystals.crystal(*one) for one in zip(numbers, keys, strict=True)])
    to_lines, (lines, _) = cpu_seconds(crystals.draw, numbers, keys)
    rendering, _ = cpu_seconds(in_batches, lines, instrument)
    yield "online: crystal", n / generation
    yield "online: crystal and lines", n / to_lines
    yield "online: rendering alone, 8192 points", n / rendering
    yield "online: crystal to pattern", n / (to_lines + rendering)
    yield "lines of a crystal, mean", len(lines.d_star) / n


def in_batches(lines: LineLists, instrument, size=128):
    for start in range(0, len(lines), size):
        render(lines.slice(start, start + size), instrument)


def main(statistics, occupations, out=None):
    rows = [(name, round(rate)) for name, rate in measure(statistics, occupations)]
    for name, rate in rows:
        print(f"{name:50s} {rate:8,d}")
    if out:
        with Path(out).open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([("case", "per_second"), *rows])


if __name__ == "__main__":
    main(*sys.argv[1:])

"""What a trained network has right of RRUFF scans, by counts, width, number of peaks and group.

    python benchmarks/measured/networks_by.py MODEL PATTERNS.parquet [--rows odd|even|all]

MODEL is a folder with model.safetensors and card.json of a network of all families, PATTERNS as for
`audit.py`. It is asked under the frequencies of its training; beside it stand the frequencies of the
Materials Project alone. Rows are cut into thirds; the share of a group is that in the Materials Project.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
from audit import told_in_words

from xtinct.auditing.pattern_sets import labelled_measurements
from xtinct.auditing.pattern_sources import collect_patterns
from xtinct.ceiling.priors import read_prior
from xtinct.learning.measured_patterns import as_trained
from xtinct.learning.predictor import Predictor
from xtinct.observer.observe import peaks_of
from xtinct.symmetry.classes import class_symbol
from xtinct.symmetry.families import crystal_system, family_of

LABORATORY = "RRUFF via pxrd_candidate_benchmark"
LEVELS = (crystal_system, lambda number: (family_of(number), class_symbol(number)), int)


def patterns_of(path):
    with tempfile.TemporaryDirectory() as folder:
        told, table, rejected = (Path(folder, f"{n}.parquet") for n in ("told", "table", "rejected"))
        told_in_words(path, told)
        collect_patterns("patterns", {"kind": "table", "path": str(told)}, table, rejected)
        return [one for one in labelled_measurements(table) if one.laboratory == LABORATORY]


def best(groups, probabilities, of):
    """The most probable value of `of` over space groups (n,) with probabilities (n,)."""
    sums = {}
    for number, p in zip(groups.tolist(), probabilities.tolist(), strict=True):
        sums[of(number)] = sums.get(of(number), 0.0) + p
    return max(sums, key=sums.get)


def figures(pattern, frequency):
    """(highest point, width of peaks in degrees, number of peaks, share of the group)."""
    peaks = peaks_of(pattern.measurement).peaks
    highest = float(pattern.measurement.intensity.max())
    return highest, float(np.median(peaks.fwhm)), len(peaks), frequency[pattern.label.number]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("patterns", type=Path)
    parser.add_argument("--rows", choices=["odd", "even", "all"], default="odd")
    options = parser.parse_args()
    predictor = Predictor(options.model)
    patterns = patterns_of(options.patterns)
    patterns = {"all": patterns, "even": patterns[::2], "odd": patterns[1::2]}[options.rows]
    known = read_prior("mp")
    frequency = {number: float(known.get(number, 0)) for number in range(1, 231)}
    alone = np.array([frequency[number] for number in range(1, 231)])
    raw = np.stack(
        [predictor.outputs_of_measured(as_trained(predictor, one.measurement))[0] for one in patterns]
    )
    answer = predictor.interpret(raw, prior=predictor.training_prior)
    right = np.array(
        [
            [best(answer.groups, p, of) == of(one.label.number) for of in LEVELS]
            + [best(np.arange(1, 231), alone, of) == of(one.label.number) for of in LEVELS]
            for one, p in zip(patterns, answer.group_probabilities, strict=True)
        ]
    )
    values = np.array([figures(one, frequency) for one in patterns])
    print("| | n | network: system / class / group | frequencies alone |")
    print("|---|---|---|---|")

    def line(name, rows):
        share = [f"{x:.2f}".removeprefix("0") for x in right[rows].mean(axis=0)]
        print(f"| {name} | {len(rows)} | {' / '.join(share[:3])} | {' / '.join(share[3:])} |")

    line("all", np.arange(len(right)))
    for i, name in enumerate(("highest point, counts", "width, degree", "peaks found", "share of the group")):
        cuts = np.quantile(values[:, i], (1 / 3, 2 / 3))
        for third in range(3):
            rows = np.flatnonzero(np.searchsorted(cuts, values[:, i]) == third)
            if len(rows):
                low, high = values[rows, i].min(), values[rows, i].max()
                line(f"{name} {low:.3g}-{high:.3g}", rows)


if __name__ == "__main__":
    main()

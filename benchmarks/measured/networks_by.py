"""What is right of measured scans, by counts, width, number of peaks and how frequent the group is.

    python benchmarks/measured/networks_by.py PATTERNS.parquet [--model NAME=FOLDER ...] [--observer]
        [--collected COLLECTED.pickle] [--rows odd|even|all] [--laboratory NAME]

Prints a column of crystal system / class / group for each that is asked, and one for the frequencies of the
Materials Project alone. PATTERNS as for `audit.py`. FOLDER has model.safetensors and card.json of a network
of all families, which is asked under the frequencies of its training. `--observer` asks lattice and absences
alone (3 s a scan). COLLECTED is of `benchmarks/joint/collect.py`: recognition alone and `xtinct predict`,
with all structures and with those of the scan's type left out. Rows are cut into thirds; scans with one
value stay together.
"""

import argparse
import pickle
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
from audit import told_in_words
from expert import joint

from xtinct.auditing.pattern_sets import labelled_measurements
from xtinct.auditing.pattern_sources import collect_patterns
from xtinct.ceiling.priors import read_prior
from xtinct.learning.measured_patterns import as_trained
from xtinct.learning.predictor import Predictor
from xtinct.observer.observe import observe_found, peaks_of
from xtinct.symmetry.classes import class_symbol
from xtinct.symmetry.families import N_SPACE_GROUPS, crystal_system, family_of

GROUPS = np.arange(1, N_SPACE_GROUPS + 1)
LEVELS = (crystal_system, lambda number: (family_of(number), class_symbol(number)), int)
SETTINGS = {"all": "", "type": ", types left out"}
FIGURES = (
    "highest point, counts",
    "width of peaks, degree",
    "peaks found",
    "structures with the group",
)


def patterns_of(path, laboratory):
    with tempfile.TemporaryDirectory() as folder:
        told, table, rejected = (Path(folder, f"{n}.parquet") for n in ("told", "table", "rejected"))
        told_in_words(path, told)
        collect_patterns("patterns", {"kind": "table", "path": str(told)}, table, rejected)
        return [one for one in labelled_measurements(table) if one.laboratory == laboratory]


def best(probabilities, of, groups=GROUPS):
    """The most probable value of `of` over space groups (n,) with probabilities (n,)."""
    sums = {}
    for number, p in zip(groups.tolist(), probabilities.tolist(), strict=True):
        sums[of(number)] = sums.get(of(number), 0.0) + p
    return max(sums, key=sums.get)


def right_of(numbers, answers, groups=GROUPS):
    """bool (n, 3): whether the most probable system, class and group (n, groups) are those of the label."""
    return np.array(
        [
            [best(p, of, groups) == of(int(number)) for of in LEVELS]
            for number, p in zip(numbers, answers, strict=True)
        ]
    )


def of_network(folder, patterns):
    """Probabilities (n, groups) by a network, and its groups."""
    predictor = Predictor(folder)
    raw = [predictor.outputs_of_measured(as_trained(predictor, one.measurement))[0] for one in patterns]
    answer = predictor.interpret(np.stack(raw), prior=predictor.training_prior)
    return answer.group_probabilities, answer.groups


def of_groups(weights):
    """float64 (230,) of a mapping of space group numbers; all alike where there is none."""
    if not weights:
        return np.full(N_SPACE_GROUPS, 1 / N_SPACE_GROUPS)
    return np.array([float(weights.get(int(number), 0)) for number in GROUPS])


def of_collected(path, names):
    """Title and probabilities (n, 230) of recognition alone and of both together, in two settings."""
    known = {(one["id"], one["setting"]): one for one in pickle.loads(path.read_bytes())}
    for what, answer in (("recognise", lambda one: of_groups(one.get("votes"))), ("predict", joint)):
        for setting, text in SETTINGS.items():
            if missing := [name for name in names if (name, setting) not in known]:
                sys.exit(f"{path}: no record of {missing[0]}, {setting}; collect it as well")
            yield f"{what}{text}", np.array([answer(known[name, setting]) for name in names])


def thirds(values):
    """Rows of the lowest, middle and highest third of values (n,); equal values stay together."""
    cuts = np.quantile(values, (1 / 3, 2 / 3))
    parts = [np.flatnonzero(np.searchsorted(cuts, values) == third) for third in range(3)]
    return [rows for rows in parts if len(rows)]


def lines_of(right, values):
    """Lines of the table. right  title -> bool (n, 3); values float64 (n, 4), as FIGURES names them."""
    yield f"| system / class / group | n | {' | '.join(right)} |"
    yield f"|---|---|{'---|' * len(right)}"
    parts = [("all", np.arange(len(values)))]
    for name, column in zip(FIGURES, values.T, strict=True):
        parts += [
            (f"{name} {column[rows].min():.3g}-{column[rows].max():.3g}", rows) for rows in thirds(column)
        ]
    for name, rows in parts:
        cells = [
            " / ".join(f"{x:.2f}".removeprefix("0") for x in one[rows].mean(axis=0)) for one in right.values()
        ]
        yield f"| {name} | {len(rows)} | {' | '.join(cells)} |"


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("patterns", type=Path)
    parser.add_argument("--model", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--observer", action="store_true")
    parser.add_argument("--collected", type=Path)
    parser.add_argument("--rows", choices=["odd", "even", "all"], default="odd")
    parser.add_argument("--laboratory", default="RRUFF via pxrd_candidate_benchmark")
    options = parser.parse_args(arguments)
    patterns = patterns_of(options.patterns, options.laboratory)
    patterns = {"all": patterns, "even": patterns[::2], "odd": patterns[1::2]}[options.rows]
    numbers = [one.label.number for one in patterns]
    frequency = of_groups(read_prior("mp"))
    right = {"frequencies alone": right_of(numbers, [frequency] * len(patterns))}
    for model in options.model:
        name, _, folder = model.partition("=")
        right[name] = right_of(numbers, *of_network(Path(folder), patterns))
    found = [peaks_of(one.measurement) for one in patterns]
    if options.observer:
        answers = [observe_found(one.measurement, x) for one, x in zip(patterns, found, strict=True)]
        right["observer"] = right_of(numbers, [of_groups(dict(x.groups)) for x in answers])
    if options.collected:
        names = [one.pattern_id.partition(":")[2] for one in patterns]
        right |= {title: right_of(numbers, p) for title, p in of_collected(options.collected, names)}
    values = [
        (
            float(one.measurement.intensity.max()),
            float(np.median(x.peaks.fwhm)),
            len(x.peaks),
            frequency[int(one.label.number) - 1],
        )
        for one, x in zip(patterns, found, strict=True)
    ]
    print("\n".join(lines_of(right, np.array(values))))


if __name__ == "__main__":
    main()

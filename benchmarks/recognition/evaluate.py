"""What recognition makes of measured patterns with known space groups, per laboratory and setting.

    python benchmarks/recognition/evaluate.py PATTERNS.parquet TABLE.parquet [--source NAME ...]
        [--rows even|odd|all] [--setting all|own|type|elements ...] [--out results.json]

PATTERNS.parquet has a row per pattern: id, source, formula, two_theta and intensity (lists), wavelength
(angstrom; null: copper is taken), spacegroup_number, a b c alpha beta gamma. TABLE.parquet is a table of
`xtinct.recognition.known_structures.build_table`. Settings: truth.py. A pattern that fails counts as wrong.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parent))
from truth import SETTINGS, Truth

from xtinct.errors import XtinctError
from xtinct.lattices.bravais import reduced, same
from xtinct.observer.peaks.radiation_found import find
from xtinct.radiation.tubes import radiation_of
from xtinct.recognition.known_structures import load_table
from xtinct.recognition.recognising import recognise_targets
from xtinct.recognition.targets import targets_of
from xtinct.scores.metrics import wilson_interval
from xtinct.symmetry.classes import class_symbol
from xtinct.symmetry.families import crystal_system, family_of
from xtinct.symmetry.operations import centring

_CELL = ("a", "b", "c", "alpha", "beta", "gamma")
LEVELS = {
    "system": crystal_system,
    "family": family_of,
    "class": lambda group: (family_of(group), class_symbol(group)),
    "group": int,
}


def peaks_of(row):
    told = row["wavelength"]
    radiation = radiation_of(told if told and np.isfinite(told) else "Cu")
    points = (np.array(row[name], dtype=np.float64) for name in ("two_theta", "intensity"))
    return targets_of(find(*points, radiation))


def judged(row, targets, truth, setting):
    """Ranks and probabilities of the truth in an answer."""
    number = int(row["spacegroup_number"])
    cell = np.array([row[name] for name in _CELL], dtype=np.float64)
    rows = truth.rows(setting, row["formula"], number, cell)
    right = truth.right(row["formula"], number, cell)
    out = {"id": row["id"], "source": row["source"], "setting": setting, "number": number}
    out["there"] = bool(right[rows].any())
    begun = time.process_time()
    try:
        answer = recognise_targets(truth.table, targets, rows)
    except XtinctError as error:
        return {**out, "error": str(error)}
    out["seconds"] = time.process_time() - begun
    for level, of in LEVELS.items():
        sums = {}
        for group, p in answer.groups.items():
            sums[of(group)] = sums.get(of(group), 0.0) + p
        order = sorted(sums, key=lambda key: -sums[key])
        out[level] = order.index(of(number)) + 1
        out[f"p_{level}"] = sums[order[0]]
    best = answer.known[0]
    true = reduced(cell, centring(number))
    lattices = [_same(x, true) for x in answer.known]
    own = [bool(_names(x) & _ids(truth, right)) for x in answer.known]
    return out | {
        "best": f"{best.formula} {best.structure_id} {best.number}",
        "best_group": best.number == number,
        "structure": own.index(True) + 1 if True in own else 0,
        "lattice": lattices.index(True) + 1 if True in lattices else 0,
        "p_best": answer.probability,
        "best_right": best.number == number and lattices[0],
    }


def _same(known, true):
    try:
        return same(reduced(known.cell, centring(known.number)), true)
    except ValueError:
        return False


def _names(known):
    return {known.structure_id, *(name for name, _, _ in known.also)}


def _ids(truth, right):
    return {x["structure_id"] for x in truth.table.names(np.flatnonzero(right))}


def share(right):
    """Share of True with its 95 % Wilson interval."""
    if not len(right):
        return "-"
    low, high = wilson_interval(sum(right), len(right))
    return f"{sum(right)}/{len(right)} {sum(right) / len(right):.2f} ({low:.2f}-{high:.2f})"


def calibration(p, right):
    """Expected calibration error over ten bins."""
    p, right = np.asarray(p), np.asarray(right, dtype=float)
    bins = np.minimum((10 * p).astype(int), 9)
    return sum(abs(p[bins == b].mean() - right[bins == b].mean()) * (bins == b).mean() for b in set(bins))


def summary(rows):
    good = [r for r in rows if "error" not in r]
    out = {"n": str(len(rows))}
    for level in LEVELS:
        out[level] = share([r.get(level) == 1 for r in rows])
        out[f"{level} top-5"] = share([0 < r.get(level, 0) <= 5 for r in rows])
    out["lattice"] = share([r.get("lattice") == 1 for r in rows])
    out["lattice in 10"] = share([r.get("lattice", 0) > 0 for r in rows])
    out["structure, where there"] = share([r.get("structure") == 1 for r in rows if r.get("there")])
    out["structure top-5"] = share([0 < r.get("structure", 0) <= 5 for r in rows if r.get("there")])
    for level in LEVELS:
        sure = [r for r in good if r[f"p_{level}"] > 0.9]
        out[f"{level}, p > .9"] = f"{sum(r[level] == 1 for r in sure)}/{len(sure)}"
        out[f"{level}, ECE"] = (
            f"{calibration([r[f'p_{level}'] for r in good], [r[level] == 1 for r in good]):.3f}"
        )
    named = [r for r in good if r["p_best"] >= 0.5]
    doubted = [r for r in good if r["p_best"] < 0.5]
    out["named: lattice and group right"] = share([r["best_right"] for r in named])
    out["doubted: lattice and group right"] = share([r["best_right"] for r in doubted])
    out["best, ECE"] = f"{calibration([r['p_best'] for r in good], [r['best_right'] for r in good]):.3f}"
    seconds = [r["seconds"] for r in good]
    out["seconds median, 90 %"] = f"{np.median(seconds):.2f}, {np.quantile(seconds, 0.9):.2f}"
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("patterns", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument(
        "--source", action="append", help="laboratory; all that have a space group without it"
    )
    parser.add_argument("--rows", choices=["all", "even", "odd"], default="all", help="of each laboratory")
    parser.add_argument("--setting", action="append", choices=SETTINGS)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    patterns = [
        r
        for r in pq.read_table(options.patterns).to_pylist()
        if all(r[x] is not None and np.isfinite(r[x]) for x in ("a", "spacegroup_number"))
    ]
    truth = Truth(load_table(options.table))
    settings = options.setting or list(SETTINGS[:3])
    results = []
    for source in options.source or sorted({r["source"] for r in patterns}):
        own = [r for r in patterns if r["source"] == source]
        for row in {"all": own, "even": own[::2], "odd": own[1::2]}[options.rows]:
            try:
                targets = peaks_of(row)
            except XtinctError as error:
                results += [
                    {"id": row["id"], "source": source, "setting": s, "error": str(error)} for s in settings
                ]
                continue
            results += [judged(row, targets, truth, setting) for setting in settings]
        if options.out:
            options.out.write_text(json.dumps(results, indent=1), encoding="utf-8")
    for source in sorted({r["source"] for r in results}):
        parts = [
            summary([r for r in results if r["source"] == source and r["setting"] == s]) for s in settings
        ]
        print(f"\n| {source} | {' | '.join(settings)} |\n|{'---|' * (len(settings) + 1)}")
        for key in parts[0]:
            print(f"| {key} | {' | '.join(part[key] for part in parts)} |")


if __name__ == "__main__":
    main()

"""What the observer makes of measured patterns with known cells, per laboratory.

    python benchmarks/observer/evaluate.py PATTERNS.parquet [--source NAME ...] [--rows even|odd|all]
        [--cell-given] [--out results.json]

PATTERNS.parquet has a row per pattern: id, source, two_theta and intensity (lists), wavelength (angstrom;
null: copper is taken), spacegroup_number (null where only the cell is known), a b c alpha beta gamma.
A lattice is right when its reduced primitive cell agrees within 2.5 % and 2 degrees.
"""

import argparse
import json
import time
import traceback
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

import xtinct
from xtinct.lattices.bravais import reduced, same
from xtinct.scores.metrics import wilson_interval
from xtinct.symmetry.families import family_of
from xtinct.symmetry.operations import centring

_CELL = ("a", "b", "c", "alpha", "beta", "gamma")


def judged(row: dict, *, cell_given: bool) -> dict:
    """What the observer says of one pattern, beside the truth."""
    number = row["spacegroup_number"]
    cell = np.array([row[name] for name in _CELL], dtype=np.float64)
    letter = centring(int(number)) if number is not None and np.isfinite(number) else "P"
    true = reduced(cell, letter)
    begun = time.process_time()
    told = {"cell": cell.tolist(), "family": family_of(int(number))} if cell_given else {}
    wavelength = row["wavelength"] if row["wavelength"] and np.isfinite(row["wavelength"]) else "Cu"
    out = {"id": row["id"], "source": row["source"], "spacegroup_number": number}
    try:
        points = (np.array(row["two_theta"], dtype=np.float64), np.array(row["intensity"], dtype=np.float64))
        answer = xtinct.index(points, wavelength, **told)
    except Exception as error:  # a benchmark goes on and says what failed
        traceback.print_exc()
        return {**out, "error": f"{type(error).__name__}: {error}", "seconds": time.process_time() - begun}
    out["seconds"] = time.process_time() - begun
    right = [same(reduced(x.cell, x.centring), true) for x in answer.lattices]
    rank = right.index(True) + 1 if True in right else 0
    out |= {
        "peaks": len(answer.lines),
        "rank": rank,
        "p_lattice": answer.lattices[0].probability if answer.lattices else 0.0,
        "statements": [s.kind for s in answer.statements],
        "found": f"{answer.lattice.bravais} {' '.join(answer.lattice.cell_text())}"
        if answer.lattice
        else None,
    }
    if number is None or not np.isfinite(number):
        return out
    family = family_of(int(number))
    best = max(answer.families, key=lambda f: answer.families[f])
    ranked = [int(number) in c.members for c in answer.classes]
    groups = [g for g, _ in answer.groups]
    return out | {
        "family": family,
        "family_right": best == family,
        "p_family": answer.families[best],
        "class_rank": ranked.index(True) + 1,
        "p_class": answer.classes[0].probability,
        "group_rank": groups.index(int(number)) + 1,
    }


def share(rows: list[dict], right: list[bool]) -> str:
    """Share of rows that are right, with its 95 % Wilson interval."""
    k, n = sum(right), len(rows)
    if not n:
        return "-"
    low, high = wilson_interval(k, n)
    return f"{k / n:.2f} ({low:.2f}-{high:.2f})"


def summary(rows: list[dict]) -> dict[str, str]:
    """The columns of the table for some rows; a failure counts as wrong."""
    labelled = [
        r for r in rows if r.get("spacegroup_number") is not None and np.isfinite(r["spacegroup_number"])
    ]
    lattice = [r.get("rank", 0) == 1 for r in rows]
    both = [r.get("rank", 0) == 1 and r.get("class_rank") == 1 for r in labelled]
    seconds = sorted(r["seconds"] for r in rows)
    sure = {
        name: [r for r in rows if r.get(p, 0) > 0.9]
        for name, p in (("lattice", "p_lattice"), ("family", "p_family"), ("class", "p_class"))
    }
    correct = {
        "lattice": lambda r: r["rank"] == 1,
        "family": lambda r: r.get("family_right", False),
        "class": lambda r: r.get("class_rank") == 1,
    }
    return {
        "n": str(len(rows)),
        "lattice": share(rows, lattice),
        "top-5": share(rows, [0 < r.get("rank", 0) <= 5 for r in rows]),
        "family": share(labelled, [r.get("family_right", False) for r in labelled]),
        "class, lattice right": share(labelled, both),
        "class": share(labelled, [r.get("class_rank") == 1 for r in labelled]),
        "class top-5": share(labelled, [0 < r.get("class_rank", 0) <= 5 for r in labelled]),
        **{
            f"p > .9: {name}": f"{sum(correct[name](r) for r in found)}/{len(found)}"
            for name, found in sure.items()
        },
        "median s": f"{np.median(seconds):.1f}",
        "90 % s": f"{np.quantile(seconds, 0.9):.1f}",
        "longest s": f"{seconds[-1]:.1f}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("patterns", type=Path)
    parser.add_argument("--source", action="append", help="laboratory; all that have a cell without it")
    parser.add_argument("--rows", choices=["all", "even", "odd"], default="all", help="of each laboratory")
    parser.add_argument("--cell-given", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = [
        r for r in pq.read_table(options.patterns).to_pylist() if r["a"] is not None and np.isfinite(r["a"])
    ]
    results: list[dict] = []
    for source in options.source or sorted({r["source"] for r in rows}):
        own = [r for r in rows if r["source"] == source]
        own = {"all": own, "even": own[::2], "odd": own[1::2]}[options.rows]
        for row in own:
            results.append(judged(row, cell_given=options.cell_given))
            print(json.dumps(results[-1]), flush=True)
            if options.out:
                options.out.write_text(json.dumps(results, indent=1), encoding="utf-8")
    tables = {
        "without triclinic": [r for r in results if r.get("family") != "triclinic"],
        "all": results,
        **{
            source: [r for r in results if r["source"] == source] for source in {r["source"] for r in results}
        },
    }
    columns = list(summary(results))
    print(f"| | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
    for name, part in tables.items():
        if part:
            print(f"| {name} | {' | '.join(summary(part).values())} |")


if __name__ == "__main__":
    main()

"""What the observer makes of measured patterns with known cells, per laboratory.

    python benchmarks/observer/evaluate.py PATTERNS [--source NAME ...] [--rows even|odd|all]
        [--cell-given] [--prior uniform|mp|TABLE] [--processed NAME] [--out results.json]

PATTERNS is a table or a folder. A .parquet table has a row per pattern: id, source, two_theta and intensity
(lists), wavelength (angstrom; null: copper is taken), spacegroup_number (null where only the cell is known),
a b c alpha beta gamma (null where only the group is known). A folder holds files as instruments write them
and truth.csv, with a row per file: file, source, wavelength (as for --wavelength; empty: the file says it),
axis and scan (likewise), spacegroup_number, a b c alpha beta gamma. A lattice is right when its reduced
primitive cell agrees within 2.5 % and 2 degrees. Of a cell without a group the centring is not known:
there an answer is right when it has this conventional cell with a centring that its shape allows. Angles
that a row does not tell are those of its family.
"""

import argparse
import csv
import json
import resource
import time
import traceback
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from processed import PROCESSED

import xtinct
from xtinct.lattices.bravais import reduced, same
from xtinct.lattices.conventional import conventional_cell_errors
from xtinct.scores.metrics import wilson_interval
from xtinct.symmetry.families import FAMILIES, family_of
from xtinct.symmetry.operations import centring

_CELL = ("a", "b", "c", "alpha", "beta", "gamma")


def rows_of(patterns: Path) -> list[dict]:
    """Patterns whose cell or group is known, of a table or of a folder with truth.csv."""
    if not patterns.is_dir():
        return [
            r for r in pq.read_table(patterns).to_pylist() if known(r["a"]) or known(r["spacegroup_number"])
        ]
    with (patterns / "truth.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    for row in rows:
        row |= {"id": row["file"], "path": patterns / row["file"]}
        row |= {x: float(row[x]) if row[x] else None for x in (*_CELL, "spacegroup_number")}
    return rows


def known(value: float | None) -> bool:
    """Whether a number is told."""
    return value is not None and np.isfinite(value)


def asked(row: dict, **told: object) -> "xtinct.observer.answer.observation.Observation":
    """The observer's answer to a file, or to the points of a row."""
    if "path" in row:
        told |= {key: row[key] for key in ("axis", "scan") if row.get(key)}
        return xtinct.index(row["path"], row["wavelength"] or None, **told)
    points = (np.array(row["two_theta"], dtype=np.float64), np.array(row["intensity"], dtype=np.float64))
    return xtinct.index(points, row["wavelength"] if known(row["wavelength"]) else "Cu", **told)


def told_cell(row: dict) -> np.ndarray | None:
    """Conventional cell float64 (6,) of a row; None where it has none."""
    if not known(row["a"]):
        return None
    cell = np.array([row[name] for name in _CELL], dtype=np.float64)
    if known(row["spacegroup_number"]):
        angles = FAMILIES[family_of(int(row["spacegroup_number"]))].angles
        cell[3:] = [own if angle is None else angle for own, angle in zip(cell[3:], angles, strict=True)]
    return cell


def primitive_cells(cell: np.ndarray, number: float | None) -> list[np.ndarray]:
    """Reduced cells (6,) that a conventional cell (6,) may have: one where its group is known."""
    if known(number):
        return [reduced(cell, centring(int(number)))]
    # Axes of a cell without a group stand in any order, as C-centred ones with b unique or not.
    orders = [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 2, 1], [2, 1, 0], [1, 0, 2]]
    for name in FAMILIES:  # the highest family first
        for order in orders:
            turned = np.concatenate([cell[:3][order], cell[3:][order]])
            if conventional_cell_errors(name, turned[None]).max() < 1e-3:
                letters = set(FAMILIES[name].centrings)
                letters |= set("ABC") if letters & set("ABC") else set()
                return [reduced(cell, letter) for letter in sorted(letters)]
    return [reduced(cell)]


def judged(row: dict, *, cell_given: bool, prior: str | None = None) -> dict:
    """What the observer says of one pattern, beside the truth; `prior` as `xtinct.index` takes it."""
    number = row["spacegroup_number"]
    cell = told_cell(row)
    true = [] if cell is None else primitive_cells(cell, number)
    begun = time.process_time()
    told = {"cell": cell.tolist(), "family": family_of(int(number))} if cell_given else {}
    if prior is not None:
        told["prior"] = prior
    out = {
        "id": row["id"],
        "source": row["source"],
        "spacegroup_number": number,
        "cell_known": cell is not None,
    }
    try:
        answer = asked(row, **told)
    except Exception as error:  # a benchmark goes on and says what failed
        traceback.print_exc()
        return {**out, "error": f"{type(error).__name__}: {error}", "seconds": time.process_time() - begun}
    out["seconds"] = time.process_time() - begun
    right = [any(same(reduced(x.cell, x.centring), one) for one in true) for x in answer.lattices]
    rank = right.index(True) + 1 if True in right else 0
    out |= {
        "peaks": len(answer.lines),
        "rank": rank,
        "p_lattice": answer.lattices[0].probability if answer.lattices else 0.0,
        "p_cell": answer.lattices[0].cell_probability if answer.lattices else 0.0,
        "statements": [s.kind for s in answer.statements],
        "found": f"{answer.lattice.bravais} {' '.join(answer.lattice.cell_text())}"
        if answer.lattice
        else None,
    }
    if not known(number):
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
        "p_true_class": next((c.probability for c in answer.classes if int(number) in c.members), 0.0),
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
    labelled = [r for r in rows if known(r.get("spacegroup_number"))]
    cells = [r for r in rows if r["cell_known"]]
    lattice = [r.get("rank", 0) == 1 for r in cells]
    both = [r.get("rank", 0) == 1 and r.get("class_rank") == 1 for r in labelled if r["cell_known"]]
    seconds = sorted(r["seconds"] for r in rows)
    sure = {
        name: [r for r in part if r.get(p, 0) > 0.9]
        for name, p, part in (
            ("lattice", "p_cell", cells),
            ("family", "p_family", labelled),
            ("class", "p_class", labelled),
        )
    }
    correct = {
        "lattice": lambda r: r["rank"] == 1,
        "family": lambda r: r.get("family_right", False),
        "class": lambda r: r.get("class_rank") == 1,
    }
    return {
        "n": str(len(rows)),
        "lattice": share(cells, lattice),
        "top-5": share(cells, [0 < r.get("rank", 0) <= 5 for r in cells]),
        "family": share(labelled, [r.get("family_right", False) for r in labelled]),
        "class, lattice right": share(both, both),
        "class": share(labelled, [r.get("class_rank") == 1 for r in labelled]),
        "class top-5": share(labelled, [0 < r.get("class_rank", 0) <= 5 for r in labelled]),
        **{
            f"p > .9: {name}": f"{sum(correct[name](r) for r in found)}/{len(found)}"
            for name, found in sure.items()
        },
        "median s": f"{np.median(seconds):.1f}",
        "90 % s": f"{np.quantile(seconds, 0.9):.1f}",
        "longest s": f"{seconds[-1]:.1f}",
        "GB": f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("patterns", type=Path, help="table, or folder with truth.csv")
    parser.add_argument("--source", action="append", help="laboratory; all without it")
    parser.add_argument("--rows", choices=["all", "even", "odd"], default="all", help="of each laboratory")
    parser.add_argument("--cell-given", action="store_true")
    parser.add_argument("--processed", choices=PROCESSED, help="asked of the points of a table, changed so")
    parser.add_argument(
        "--prior", help="of space groups: uniform, mp, or a table; as `xtinct index` without it"
    )
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = rows_of(options.patterns)
    results: list[dict] = []
    for source in options.source or sorted({r["source"] for r in rows}):
        own = [r for r in rows if r["source"] == source]
        own = {"all": own, "even": own[::2], "odd": own[1::2]}[options.rows]
        for row in own:
            if options.processed:
                points = (np.array(row[name], dtype=np.float64) for name in ("two_theta", "intensity"))
                row |= zip(("two_theta", "intensity"), PROCESSED[options.processed](*points), strict=True)
            results.append(judged(row, cell_given=options.cell_given, prior=options.prior))
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

"""Score the answers of engines, with a reason for every failure.

    python benchmarks/indexing/score.py LISTS.json ENGINE=ANSWERS.json ... [--out results.csv]

A lattice is right where its reduced primitive cell maps onto the true one within 5 % and 3 degrees, as in the
league of pxrd-cell-indexer (pymatgen's Lattice.find_mapping, equal volumes); "close": within 1 % and 0.5
degrees. Reasons:

    out of time     the engine's time was over, and the true lattice was not in its answer
    hidden          some smaller lattice explains all lines of the list that the true one explains
    too few lines   fewer lines than free numbers of the cell and two more
    outside limits  a family or volume that the engine does not look for
    related         the first lattice is a sub- or superlattice (index 2 to 4) of the true one
    outscored       the true lattice is in the answer, but not first
    no answer       the engine found nothing
    never tried     the true lattice is not in the answer
"""

import argparse
import csv
import json
from pathlib import Path

import gemmi
import numpy as np
from pymatgen.core import Lattice

from xtinct.observer.indexing.candidates import Limits

LEAGUE, CLOSE = (0.05, 3.0), (0.01, 0.5)
FREE = {
    "cubic": 1,
    "tetragonal": 2,
    "trigonal-hexagonal": 2,
    "orthorhombic": 3,
    "monoclinic": 4,
    "triclinic": 6,
}
#: Degrees within which a calculated line is an observed one, for `hidden`.
SAME_ANGLE = 0.03
#: Lines that engines get, where not all.
FIRST = {"mcmaille": 20, "gsas": 20, "xtinct20": 20}
#: Families that engines do not look for, as they are called here.
LEFT_OUT = {"mcmaille": {"triclinic"}}


def reduced(cell, centring):
    """Niggli-reduced primitive lattice of a conventional cell, or None of one that is none."""
    try:
        vector = gemmi.GruberVector(gemmi.UnitCell(*cell), centring)
        vector.niggli_reduce()
        lattice = Lattice.from_parameters(*vector.cell_parameters())
        return lattice if np.isfinite(lattice.volume) and lattice.volume > 1 else None
    except (RuntimeError, ValueError):
        return None


def same(a, b, tolerance):
    """Whether two primitive lattices are one within (share of lengths, degrees)."""
    length, angle = tolerance
    if abs(a.volume / b.volume - 1) > 0.25:
        return False
    mapping = a.find_mapping(b, ltol=length, atol=angle)
    return mapping is not None and abs(abs(np.linalg.det(mapping[2])) - 1) < 0.25


def superlattices(lattice):
    """All sublattices of index 2 to 4 (Hermite normal forms), reduced."""
    for index in (2, 3, 4):
        for a in (x for x in range(1, index + 1) if index % x == 0):
            for b in (x for x in range(1, index // a + 1) if (index // a) % x == 0):
                c = index // a // b
                for i, j, k in np.ndindex(a, a, b):
                    form = np.array([[a, 0, 0], [i, b, 0], [j, k, c]])
                    yield reduced(Lattice(form @ lattice.matrix).parameters, "P")


def related(a, b):
    return any(same(x, b, LEAGUE) for x in superlattices(a)) or any(
        same(x, a, LEAGUE) for x in superlattices(b)
    )


def hidden(one, truth, first):
    """Whether the lines come from a part of the true reciprocal lattice that is a lattice itself.

    Then hkl . v is a multiple of a prime for all their hkl and some v. Any hkl at a line's angle counts, so
    that hardly a list is called hidden wrongly; nor is one whose lines are shifted off their angles.
    """
    angles = np.array(one["two_theta"][:first])
    reach = 2 * np.sin(np.radians(angles.max() / 2 + 0.1)) / one["wavelength"]
    most = [int(x * reach) for x in truth.abc]
    hkl = np.stack(np.meshgrid(*(np.arange(-x, x + 1) for x in most)), axis=-1).reshape(-1, 3)
    length = np.linalg.norm(hkl @ truth.reciprocal_lattice_crystallographic.matrix, axis=1)
    sine = length * one["wavelength"] / 2
    hkl, sine = hkl[(sine > 0) & (sine < 1)], sine[(sine > 0) & (sine < 1)]
    calculated = 2 * np.degrees(np.arcsin(sine))
    near = np.abs(calculated[:, None] - angles) < SAME_ANGLE
    seen = hkl[near.any(axis=1)]
    return near.any(axis=0).mean() > 0.8 and any(
        ((seen @ np.array(v)) % prime == 0).all()
        for prime in (2, 3, 5)
        for v in np.ndindex(prime, prime, prime)
        if any(v)
    )


def judged(engine, one, answer):
    """Rank of the true lattice (1 first, 0 absent), whether close, and the reason of a failure."""
    truth = reduced(one["cell"], one["centring"])
    lattices = [reduced(cell, centring) for cell, centring in answer["lattices"]]
    ranks = [i + 1 for i, x in enumerate(lattices) if x is not None and same(x, truth, LEAGUE)]
    rank = ranks[0] if ranks else 0
    close = rank > 0 and same(lattices[rank - 1], truth, CLOSE)
    return rank, close, "" if rank == 1 else _reason(engine, one, answer, truth, lattices, rank)


def _reason(engine, one, answer, truth, lattices, rank):
    lines = len(set(one["two_theta"][: FIRST.get(engine)]))
    largest = Limits().largest[one["family"]] if engine.startswith("xtinct") else np.inf
    if one["family"] in LEFT_OUT.get(engine, ()) or Lattice.from_parameters(*one["cell"]).volume > largest:
        return "outside limits"
    if hidden(one, truth, FIRST.get(engine)):
        return "hidden"
    if lines < FREE[one["family"]] + 2:
        return "too few lines"
    if lattices and lattices[0] is not None and related(lattices[0], truth):
        return "related"
    if rank:
        return "outscored"
    if answer["error"]:
        return answer["error"] if answer["error"] == "out of time" else "crashed"
    return "never tried" if lattices else "no answer"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("lists")
    parser.add_argument("answers", nargs="+")
    parser.add_argument("--out")
    options = parser.parse_args()
    lists = json.loads(Path(options.lists).read_text())
    rows = []
    for engine, path in (x.split("=", 1) for x in options.answers):
        answers = json.loads(Path(path).read_text())
        for one in lists:
            if one["name"] in answers:
                answer = answers[one["name"]]
                rank, close, reason = judged(engine, one, answer)
                rows.append(
                    {
                        "list": one["name"],
                        "family": one["family"],
                        "engine": engine,
                        "rank": rank,
                        "close": int(close),
                        "seconds": answer["seconds"],
                        "reason": reason,
                    }
                )
        show(engine, [row for row in rows if row["engine"] == engine])
    if options.out:
        with Path(options.out).open("w", newline="", encoding="utf-8") as handle:
            writer = csv.DictWriter(handle, rows[0].keys(), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def interval(k, n):
    """Wilson's 95 % interval of k of n, per cent."""
    z = 1.96
    centre, half = (k + z * z / 2) / (n + z * z), z / (n + z * z) * np.sqrt(k * (n - k) / n + z * z / 4)
    return f"{100 * (centre - half):.0f}-{100 * (centre + half):.0f}"


def show(engine, rows):
    n = len(rows)
    first, in20 = (sum(0 < row["rank"] <= most for row in rows) for most in (1, 20))
    close = sum(row["rank"] == 1 and row["close"] for row in rows)
    seconds = np.median([row["seconds"] for row in rows])
    print(
        f"{engine}: {n} lists, first {first} ({interval(first, n)} %), of 20 {in20}, close {close}, "
        f"{seconds:.1f} s"
    )
    for family in FREE:
        part = [row for row in rows if row["family"] == family]
        if part:
            print(f"  {family:20s} {sum(row['rank'] == 1 for row in part):3d} of {len(part)}")
    reasons = [row["reason"] for row in rows if row["reason"]]
    print("  " + ", ".join(f"{reasons.count(x)} {x}" for x in sorted(set(reasons), key=reasons.count)[::-1]))


if __name__ == "__main__":
    main()

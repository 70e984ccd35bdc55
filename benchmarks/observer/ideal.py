"""The observer on ideal patterns of random intensities, as in the tables of `docs/observer.md`.

    python benchmarks/observer/ideal.py joint [--n 780] [--seed 0]
    python benchmarks/observer/ideal.py FAMILY [--n 1000] [--lengths 3 20] [--told] [--seed 0]

joint: groups uniform over all 230, family not known, axes 3 to 20 angstrom log-uniform, angles 60 to 120
degrees (triclinic ones 75 to 105). FAMILY: groups uniform over those of one family, which is told; `--told`
tells the range of axes too. Prints how often class, group and lattice are right, with 95 % Wilson intervals,
and milliseconds of the processor.
"""

import argparse
import time

import numpy as np

import xtinct
from xtinct.api import DEFAULT_INSTRUMENT
from xtinct.lattices.bravais import reduced, same
from xtinct.lattices.cells import LONGEST, SHORTEST
from xtinct.lattices.distributions import LatticeSpec
from xtinct.observer.exact.exact_observer import Observer
from xtinct.scores.metrics import wilson_interval
from xtinct.symmetry.classes import class_symbol
from xtinct.symmetry.families import FAMILIES, TRICLINIC, family_of, space_groups


def drawn(groups: np.ndarray, lengths: tuple[float, float], seed: int) -> list[tuple[int, np.ndarray]]:
    """(group, cell float64 (6,)) of every group of `groups`, int (n,), on a lattice of its own."""
    cells = []
    for index, number in enumerate(groups.tolist()):
        family = family_of(number)
        angles = (75.0, 105.0) if family == TRICLINIC else (60.0, 120.0)
        lattices = LatticeSpec("continuous", lengths, angles, "log", count=len(groups))
        cells.append((number, lattices.cells(family, seed, np.array([index]))[0]))
    return cells


def share(right: list[bool]) -> str:
    """Share that is right, with its 95 % Wilson interval."""
    low, high = wilson_interval(sum(right), len(right))
    return f"{sum(right)} of {len(right)}, {np.mean(right):.3f} ({low:.3f}-{high:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("problem", choices=["joint", *FAMILIES])
    parser.add_argument("--n", type=int, default=780)
    parser.add_argument("--lengths", type=float, nargs=2, default=(3.0, 20.0))
    parser.add_argument("--told", action="store_true", help="the range of axes is told")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    joint = options.problem == "joint"
    lengths = tuple(options.lengths)
    family = "all" if joint else options.problem
    expected = lengths if options.told else (SHORTEST, LONGEST)
    observer = Observer(DEFAULT_INSTRUMENT, family, lengths=expected)
    possible = np.array(range(1, 231) if joint else space_groups(family))
    groups = np.random.Generator(np.random.PCG64(options.seed)).choice(possible, options.n)
    rows = []
    for index, (number, cell) in enumerate(drawn(groups, lengths, options.seed)):
        pattern = xtinct.ulbd_patterns(number, cell[None], 1, options.seed + index)
        begun = time.process_time()
        (answer,) = observer.predict(pattern)
        seconds = time.process_time() - begun
        own = family_of(number)
        found = answer.lattice
        # Conventional cells, whatever their centring: that is told by the class.
        right = found is not None and same(reduced(found.cell), reduced(cell), 1e-3, 0.1)
        rows.append(
            {
                "family": own,
                "cell": right,
                "class": answer.classes[0][:2] == (own, class_symbol(number)),
                "places": [g for g, _ in answer.groups].index(number),
                "seconds": seconds,
            }
        )
    print(f"{'class':10s} {share([r['class'] for r in rows])}")
    for k in range(5):
        print(f"group, {k + 1:2d}  {share([r['places'] <= k for r in rows])}")
    for name in FAMILIES:
        own = [r for r in rows if r["family"] == name]
        if own:
            milliseconds = 1000 * np.mean([r["seconds"] for r in own])
            told = ", ".join(f"{what} {share([r[what] for r in own])}" for what in ("class", "cell"))
            print(f"{name:20s} {told}, {milliseconds:.0f} ms")


if __name__ == "__main__":
    main()

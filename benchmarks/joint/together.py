"""Calibration of classes over tuning and test patterns together, and what exact probabilities would show.

    python benchmarks/joint/together.py --tuning COLLECTED.pickle ... --test COLLECTED.pickle ...
        [--source NAME]

COLLECTED is of `collect.py`. Patterns that the weights of lattices were fitted on are weighed by weights that
are fitted without them (tenths left out in turn); of the test patterns what stands is told. Flattening,
votes, sharpness and the sums of sets are those that stand: they saw the tuning patterns; five numbers.
"""

import argparse
import pickle
from pathlib import Path

import numpy as np
from calibration import error
from weights import _FOLDS, _by_class, answered, design, fitted, groups_of, set_sum

from xtinct.observer.judging.weighing import SUGGESTED
from xtinct.scores.metrics import wilson_interval

_DRAWS = 2000


def size_of(record, weights):
    """Classes in the set."""
    x, _ = design(record)
    share = np.exp(x @ weights - (x @ weights).max())
    share /= share.sum()
    said = sorted(_by_class(groups_of(record, share, SUGGESTED.temper, SUGGESTED.votes)).values())[::-1]
    return int((np.cumsum(said) < set_sum(record, share, SUGGESTED.temper)).sum()) + 1


def tell(pairs, title):
    """Error with its interval (patterns drawn anew), beside that of exact probabilities; how sets hold."""
    answers = [answered(r, w, SUGGESTED.temper, SUGGESTED.votes) for r, w in pairs]
    p, right = (np.array([a["class"][i] for a in answers], dtype=float) for i in (1, 0))
    held, random, n = sum(a["set"] for a in answers), np.random.default_rng(0), len(p)
    exact = [error(p, random.random(n) < p) for _ in range(_DRAWS)]
    rows = random.integers(n, size=(_DRAWS, n))
    low, high = np.quantile([error(p[i], right[i]) for i in rows], [0.025, 0.975])
    found = error(p, right)
    worse = np.mean(np.array(exact) >= found)
    interval = "-".join(f"{x:.2f}" for x in wilson_interval(held, n))
    below = np.mean(np.array(exact) <= 0.05)
    sizes = np.mean([size_of(r, w) for r, w in pairs])
    print(f"{title}: n {n}, class {right.mean():.2f}, said {p.mean():.2f}")
    print(f"  calibration error {found:.3f} ({low:.3f}-{high:.3f})")
    print(f"  exact: {np.mean(exact):.3f}, below .05 in {below:.2f}, as large as this in {worse:.2f}")
    print(f"  sets hold {held / n:.2f} ({interval}) with {sizes:.1f} classes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tuning", type=Path, nargs="+", required=True)
    parser.add_argument("--test", type=Path, nargs="+", required=True)
    parser.add_argument("--source", default="RRUFF via pxrd_candidate_benchmark")
    options = parser.parse_args()
    tuning, test = (
        [r for path in paths for r in pickle.loads(path.read_bytes()) if "figures" in r]
        for paths in (options.tuning, options.test)
    )
    names = sorted({r["id"] for r in tuning})
    fold = dict(zip(names, np.random.default_rng(0).permutation(len(names)) % _FOLDS, strict=True))
    unseen = {k: fitted([r for r in tuning if fold[r["id"]] != k]) for k in range(_FOLDS)}
    stands = np.array([*SUGGESTED.candidate, *SUGGESTED.suggestion, *SUGGESTED.none])
    parts = {
        "tuning, left out": [(r, unseen[fold[r["id"]]]) for r in tuning if r["source"] == options.source],
        "test": [(r, stands) for r in test if r["source"] == options.source],
    }
    parts["together"] = [pair for part in list(parts.values()) for pair in part]
    for part, pairs in parts.items():
        for setting in ("all", "own", "type"):
            tell([x for x in pairs if x[0]["setting"] == setting], f"{part}, {setting}")
    tell(parts["together"], "together, the three settings")


if __name__ == "__main__":
    main()

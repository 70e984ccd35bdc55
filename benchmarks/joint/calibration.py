"""Other ways to calibrate the classes of the joint answer, and how often sets of classes hold the true one.

    python benchmarks/joint/calibration.py COLLECTED.pickle ... [--test COLLECTED.pickle ...]

COLLECTED is of `collect.py`. Weights of lattices are those that stand; powers and shares are fitted to the
log loss of the true class, tenths of the patterns left out in turn. Of the test patterns only what stands is
told.
"""

import argparse
import pickle
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from weights import _by_class, design, groups_of, set_sum

from xtinct.observer.judging.weighing import SUGGESTED
from xtinct.symmetry.classes import class_symbol
from xtinct.symmetry.families import N_SPACE_GROUPS, family_of

_FOLDS = 10
_NAMES = list(_by_class(dict.fromkeys(range(1, N_SPACE_GROUPS + 1), 1.0)))
_EQUAL = np.array(list(_by_class(dict.fromkeys(range(1, N_SPACE_GROUPS + 1), 1.0)).values())) / N_SPACE_GROUPS


def classes(groups):
    """Probability float64 (n,) of every class of _NAMES."""
    sums = _by_class(groups)
    return np.array([sums.get(name, 0.0) for name in _NAMES])


def told(record):
    """Classes before they are sharpened, by absences alone and by votes; the true one; up to which sum."""
    x, _ = design(record)
    value = x @ np.array([*SUGGESTED.candidate, *SUGGESTED.suggestion, *SUGGESTED.none])
    share = np.exp(value - value.max())
    share /= share.sum()
    whole = groups_of(record, share, SUGGESTED.temper, SUGGESTED.votes)
    absences = groups_of({**record, "votes": None}, share, SUGGESTED.temper, 0.0)
    votes = record["votes"] or dict.fromkeys(range(1, N_SPACE_GROUPS + 1), 1 / N_SPACE_GROUPS)
    blunt = powered(classes(whole), 1 / SUGGESTED.sharpness)
    true = _NAMES.index((family_of(record["number"]), class_symbol(record["number"])))
    return blunt, classes(absences), classes(votes), true, set_sum(record, share, SUGGESTED.temper)


def powered(p, power):
    out = np.where(p > 0, np.maximum(p, 1e-300) ** power, 0.0)
    return out / out.sum()


def mixed(p, other, logit):
    share = 1 / (1 + np.exp(-logit))
    return (1 - share) * p + share * other / other.sum()


def agree(x):
    return x[1].argmax() == x[2].argmax()


#: Name -> (start, classes of a record under parameters).
WAYS = {
    "power": ([1.1], lambda v, x: powered(x[0], v[0])),
    "powers by agreement": ([1.1, 1.1], lambda v, x: powered(x[0], v[0] if agree(x) else v[1])),
    "power, equal frequencies": ([1.1, -4.0], lambda v, x: mixed(powered(x[0], v[0]), _EQUAL, v[1])),
    "power, votes": ([1.1, -3.0], lambda v, x: mixed(powered(x[0], v[0]), x[2], v[1])),
    "power, absences": ([1.1, -3.0], lambda v, x: mixed(powered(x[0], v[0]), x[1], v[1])),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("collected", type=Path, nargs="+")
    parser.add_argument("--test", type=Path, nargs="*", default=[])
    options = parser.parse_args()
    sets = [[r for r in pickle.loads(path.read_bytes()) if "figures" in r] for path in options.collected]
    weight = np.concatenate([np.full(len(rows), 1 / len(rows) / len(sets)) for rows in sets])
    records = [r for rows in sets for r in rows]
    said = [told(r) for r in records]
    names = sorted({r["id"] for r in records})
    fold = dict(zip(names, np.random.default_rng(0).permutation(len(names)) % _FOLDS, strict=True))
    of_record = np.array([fold[r["id"]] for r in records])

    def loss(v, way, chosen):
        return sum(weight[i] * -np.log(way(v, said[i])[said[i][3]] + 1e-9) for i in np.flatnonzero(chosen))

    fit = {"method": "Nelder-Mead", "options": {"xatol": 0.01, "fatol": 1e-4}}
    every = np.ones(len(records), dtype=bool)
    print(f"as it stands: {loss([SUGGESTED.sharpness], WAYS['power'][1], every):.3f}")
    for name, (start, way) in WAYS.items():
        best = minimize(loss, start, args=(way, every), **fit).x
        left_out = sum(
            loss(minimize(loss, best, args=(way, of_record != k), **fit).x, way, of_record == k)
            for k in range(_FOLDS)
        )
        print(f"{name}: {left_out:.3f}, fitted on all {np.round(best, 2).tolist()}", flush=True)
    for path in (*options.collected, *options.test):
        rows = [r for r in pickle.loads(path.read_bytes()) if "figures" in r]
        for setting in ("all", "own", "type"):
            tell([told(r) for r in rows if r["setting"] == setting], f"{path.name}, {setting}")


def tell(said, title):
    """Calibration error beside that of exact probabilities, and how often sets hold the true class."""
    final = [(powered(x[0], SUGGESTED.sharpness), x[3], x[4]) for x in said]
    first = np.array([p.max() for p, _, _ in final])
    right = np.array([p.argmax() == true for p, true, _ in final])
    random = np.random.default_rng(0)
    exact = np.mean([error(first, random.random(len(first)) < first) for _ in range(200)])
    held, sizes = [], []
    for p, true, most in final:
        order = np.argsort(-p, kind="stable")
        place = list(order).index(true)
        sizes.append(int((np.cumsum(p[order]) < most).sum()) + 1)
        held.append(p[order[:place]].sum() < most)
    print(
        f"{title}: n {len(said)}, ECE {error(first, right):.3f} (exact probabilities {exact:.3f}), "
        f"sets hold {np.mean(held):.3f} with {np.mean(sizes):.2f} classes"
    )


def error(p, right):
    bins = np.minimum((10 * p).astype(int), 9)
    return sum(abs(p[bins == b].mean() - right[bins == b].mean()) * (bins == b).mean() for b in set(bins))


if __name__ == "__main__":
    main()

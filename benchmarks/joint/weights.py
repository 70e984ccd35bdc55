"""Fit what observer and recognition weigh together, and say how well that does on patterns not seen.

    python benchmarks/joint/weights.py COLLECTED.pickle ... [--test COLLECTED.pickle ...]

COLLECTED is of `collect.py`. Prints the numbers of `SUGGESTED` in `xtinct.observer.judging.weighing`, and for
each setting how often lattice, family, class and group are right: of the patterns that the fit did not see
(tenths left out in turn), and of the test patterns.
"""

import argparse
import pickle
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from xtinct.ceiling.priors import occurrence
from xtinct.joint.identification import SUM, SUM_APART
from xtinct.observer.judging.weighing import FIGURES, SUGGESTED, Weights, sharpened, tempered, voted
from xtinct.scores.metrics import wilson_interval
from xtinct.symmetry.classes import class_symbol
from xtinct.symmetry.families import crystal_system, family_of

_RIDGE, _FOLDS = 0.3, 10
_LEFT = [FIGURES.index(name) for name in ("spurious", "foreign", "strong", "left")]


def design(record):
    """(features float64 (n + 1, k), right bool (n + 1,)): candidates, then none of them."""
    each, none = record["figures"].copy(), record["none"].copy()
    if record["second"] is not None:
        each[record["first"], _LEFT] = 0.0
        none[1] += record["second"] / 10
        none[3:5] = 0.0
    both = np.hstack([each, record["suggestions"]])
    n, k = both.shape
    out = np.zeros((n + 1, k + len(none)))
    out[:n, :k], out[n, k:] = both, none
    right = record["right"]
    own = right & record["family_right"]
    right = own if own.any() else right
    return out, np.append(right, not right.any())


def fitted(records):
    """Weights (k,) of the conditional logit."""
    sets = [design(r) for r in records if "figures" in r]

    def loss(v):
        total, slope = 0.5 * _RIDGE * v @ v, _RIDGE * v
        for x, right in sets:
            value = x @ v
            e = np.exp(value - value.max())
            own = e[right].sum() + 1e-12
            total -= np.log(own / e.sum()) / 3
            slope = slope + (-(e[right] @ x[right]) / own + (e @ x) / e.sum()) / 3
        return total, slope

    return minimize(loss, np.zeros(sets[0][0].shape[1]), jac=True, method="L-BFGS-B").x


def set_sum(record, share, temper):
    """Sum of probabilities up to which classes are in the set: absences and votes may name two classes."""
    if record["votes"] is None:
        return SUM
    absences = groups_of({**record, "votes": None}, share, temper, 0.0)
    first = [max(sums, key=lambda name: sums[name]) for sums in map(_by_class, (absences, record["votes"]))]
    return SUM if first[0] == first[1] else SUM_APART


def _by_class(groups):
    sums = {}
    for g, p in groups.items():
        name = (family_of(int(g)), class_symbol(int(g)))
        sums[name] = sums.get(name, 0.0) + p
    return sums


def groups_of(record, share, temper, votes):
    """Probability of every space group."""
    out = dict.fromkeys(range(1, 231), 0.0)
    for p, posterior in zip(share, record["classes"], strict=False):
        numbers = np.array(list(posterior))
        q = tempered(np.array(list(posterior.values())), temper)
        if record["votes"] is not None:
            q = _heard(record, q, numbers, votes)
        for g, x in zip(numbers, q, strict=True):
            out[int(g)] += p * x
    uniform = np.full(230, 1 / 230)
    if record["votes"] is not None:
        uniform = _heard(record, uniform, range(1, 231), votes)
    for g in range(1, 231):
        out[g] += share[-1] * uniform[g - 1]
    return sharpened(out, SUGGESTED.sharpness)


def _heard(record, probability, numbers, power):
    usual, votes = occurrence(), record["votes"]
    share, told = (np.array([x.get(int(g), 0.0) for g in numbers]) for x in (votes, usual))
    return voted(probability, share, told, power)


def answered(record, weights, temper, votes):
    """What is right of an answer, and how probable it was said to be."""
    x, _ = design(record)
    share = np.exp(x @ weights - (x @ weights).max())
    share /= share.sum()
    order = np.argsort(-share[:-1], kind="stable")
    number = record["number"]
    groups = groups_of(record, share, temper, votes)
    out = {"lattice": (record["right"][order[0]], share[order[0]], bool(record["right"][order[:5]].any()))}
    for level, of in (
        ("system", crystal_system),
        ("family", family_of),
        ("class", lambda g: (family_of(g), class_symbol(g))),
        ("group", int),
    ):
        sums = {}
        for g, p in groups.items():
            sums[of(g)] = sums.get(of(g), 0.0) + p
        ranked = sorted(sums, key=lambda key: -sums[key])
        place = ranked.index(of(number))
        out[level] = (place == 0, sums[ranked[0]], place < 5)
        out[f"p {level}"] = sums[of(number)]
        if level == "class":
            before = sum(sums[key] for key in ranked[:place])
            out["set"] = before < set_sum(record, share, temper)
    return out


def table(answers, title):
    """Lines of a table: right first, within five, right of those above .9, calibration error."""
    print(f"\n{title}: n = {len(answers)}")
    inside = np.array([a["set"] if a else False for a in answers])
    print(f"  the set of classes for 90 % holds the true one in {inside.mean():.2f}")
    for level in ("lattice", "system", "family", "class", "group"):
        right = np.array([a[level][0] if a else False for a in answers])
        five = np.array([a[level][2] if a else False for a in answers])
        p = np.array([a[level][1] if a else 0.0 for a in answers])
        low, high = wilson_interval(right.sum(), len(right))
        sure = p > 0.9
        bins = np.minimum((10 * p).astype(int), 9)
        error = sum(
            abs(p[bins == b].mean() - right[bins == b].mean()) * (bins == b).mean() for b in set(bins)
        )
        print(
            f"  {level:8s} {right.mean():.2f} ({low:.2f}-{high:.2f})  top-5 {five.mean():.2f}  "
            f"p > .9: {right[sure].sum()}/{sure.sum()}  ECE {error:.3f}"
        )


def best_of_classes(records, weights):
    """(temper, votes) of the least log loss of the true class."""
    best = (np.inf, 0.8, 1.0)
    for temper in (0.3, 0.5, 0.8, 1.0):
        for votes in (0.0, 0.3, 0.5, 0.75, 1.0, 1.3):
            loss = -np.mean(
                [
                    np.log(answered(r, weights, temper, votes)["p class"] + 1e-6)
                    for r in records
                    if "figures" in r
                ]
            )
            best = min(best, (loss, temper, votes))
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("collected", type=Path, nargs="+")
    parser.add_argument("--test", type=Path, nargs="*", default=[])
    parser.add_argument("--as-it-stands", action="store_true", help="test with SUGGESTED, fit nothing")
    options = parser.parse_args()
    records = [r for path in options.collected for r in pickle.loads(path.read_bytes())]
    names = sorted({r["id"] for r in records})
    fold = dict(zip(names, np.random.default_rng(0).permutation(len(names)) % _FOLDS, strict=True))
    if options.as_it_stands:
        weights = np.array([*SUGGESTED.candidate, *SUGGESTED.suggestion, *SUGGESTED.none])
        temper, votes = SUGGESTED.temper, SUGGESTED.votes
    else:
        weights = fitted(records)
        loss, temper, votes = best_of_classes(records, weights)
        n = len(FIGURES)
        print(
            Weights(
                tuple(np.round(weights[:n], 2).tolist()),
                tuple(np.round(weights[n + 3 :], 2).tolist()),
                temper,
                tuple(np.round(weights[n : n + 3], 2).tolist()),
                votes,
                SUGGESTED.sharpness,
            ),
            f"log loss {loss:.3f}",
        )
        unseen = {k: fitted([r for r in records if fold[r["id"]] != k]) for k in range(_FOLDS)}
    for source in sorted({r["source"] for r in records}):
        for setting in ("all", "own", "type"):
            own = [r for r in records if r["setting"] == setting and r["source"] == source]
            table(
                [
                    answered(r, weights if options.as_it_stands else unseen[fold[r["id"]]], temper, votes)
                    if "figures" in r
                    else None
                    for r in own
                ],
                f"{source}, {setting}, " + ("as it stands" if options.as_it_stands else "tenths left out"),
            )
    for path in options.test:
        test = pickle.loads(path.read_bytes())
        for source in sorted({r["source"] for r in test}):
            for setting in ("all", "own", "type"):
                own = [r for r in test if r["setting"] == setting and r["source"] == source]
                table(
                    [answered(r, weights, temper, votes) if "figures" in r else None for r in own],
                    f"{source}, {setting}",
                )


if __name__ == "__main__":
    main()

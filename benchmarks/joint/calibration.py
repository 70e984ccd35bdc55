"""Other ways to calibrate the classes of the joint answer, and how often sets of classes hold the true one.

    python benchmarks/joint/calibration.py COLLECTED.pickle ... [--test COLLECTED.pickle ...]

COLLECTED is of `collect.py`. Weights of lattices are those that stand; powers and shares are fitted to the
log loss of the true class, tenths of the patterns left out in turn. Then, of all patterns: what stands, by
who names the class of the answer; probabilities of the first answers by a logistic law of who names it,
fitted on the patterns that are not for testing; and how often sets hold with other sums (SUMS).
"""

import argparse
import pickle
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from weights import _by_class, design, groups_of, set_sum

from xtinct.joint.identification import SUM, SUM_APART
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


#: Who names the class of an answer: absences and votes alike, one of them, or neither.
WHO = ("both", "absences", "votes", "neither")
#: Sums of probabilities for sets: where absences and votes name one class, and where they do not.
SUMS = ((0.75, 0.75), (0.75, 0.8), (0.75, 0.85), (0.75, 0.9), (0.95, 0.98))


def who(x):
    """Index in WHO."""
    if agree(x):
        return 0
    named = (x[1].argmax(), x[2].argmax())
    return named.index(x[0].argmax()) + 1 if x[0].argmax() in named else 3


#: Name -> (start, classes of a record under parameters).
WAYS = {
    "power": ([1.1], lambda v, x: powered(x[0], v[0])),
    "powers by agreement": ([1.1, 1.1], lambda v, x: powered(x[0], v[0] if agree(x) else v[1])),
    "powers by who names it": ([1.1] * 4, lambda v, x: powered(x[0], v[who(x)])),
    "power, equal frequencies": ([1.1, -4.0], lambda v, x: mixed(powered(x[0], v[0]), _EQUAL, v[1])),
    "power, votes": ([1.1, -3.0], lambda v, x: mixed(powered(x[0], v[0]), x[2], v[1])),
    "power, absences": ([1.1, -3.0], lambda v, x: mixed(powered(x[0], v[0]), x[1], v[1])),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("collected", type=Path, nargs="+")
    parser.add_argument("--test", type=Path, nargs="*", default=[])
    options = parser.parse_args()
    tuned = [[r for r in pickle.loads(path.read_bytes()) if "figures" in r] for path in options.collected]
    weight = np.concatenate([np.full(len(rows), 1 / len(rows) / len(tuned)) for rows in tuned])
    records = [r for rows in tuned for r in rows]
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
    law = logistic(said, weight)
    for path in (*options.collected, *options.test):
        rows = [r for r in pickle.loads(path.read_bytes()) if "figures" in r]
        settings = {s: [told(r) for r in rows if r["setting"] == s] for s in ("all", "own", "type")}
        for setting, own in settings.items():
            tell(own, f"{path.name}, {setting}")
        tell_who([x for own in settings.values() for x in own], path.name)
        tell_logistic([x for own in settings.values() for x in own], law)
        for sums in SUMS:
            parts = [f"{h:.2f}, {n:.1f}" for h, n in (sets(own, *sums) for own in settings.values())]
            print(f"  sets up to {sums[0]} and {sums[1]}: {'; '.join(parts)}")


def first_answers(said):
    """Probability of the first answer, and whether it is right, (n,) each."""
    final = [(powered(x[0], SUGGESTED.sharpness), x[3]) for x in said]
    return np.array([p.max() for p, _ in final]), np.array([p.argmax() == true for p, true in final])


def sets(said, together, apart):
    """How often sets up to these sums hold the true class, and how many classes are in them."""
    held, sizes = [], []
    for x in said:
        p, most = powered(x[0], SUGGESTED.sharpness), apart if x[4] == SUM_APART else together
        order = np.argsort(-p, kind="stable")
        place = list(order).index(x[3])
        sizes.append(int((np.cumsum(p[order]) < most).sum()) + 1)
        held.append(p[order[:place]].sum() < most)
    return np.mean(held), np.mean(sizes)


def tell(said, title):
    """Calibration error beside that of exact probabilities, and how often sets hold the true class."""
    first, right = first_answers(said)
    random = np.random.default_rng(0)
    exact = np.mean([error(first, random.random(len(first)) < first) for _ in range(200)])
    held, size = sets(said, SUM, SUM_APART)
    print(
        f"{title}: n {len(said)}, ECE {error(first, right):.3f} (exact probabilities {exact:.3f}), "
        f"sets hold {held:.3f} with {size:.2f} classes"
    )


def tell_who(said, title):
    """What is said and what is right, by who names the class."""
    first, right = first_answers(said)
    kinds = np.array([who(x) for x in said])
    for kind, name in enumerate(WHO):
        own = kinds == kind
        if own.any():
            sure = own & (first > 0.9)
            print(
                f"  {title}, {name}: n {own.sum()}, said {first[own].mean():.2f}, "
                f"right {right[own].mean():.2f}; above .9 {right[sure].sum()} of {sure.sum()}"
            )


def _of_first(said):
    """Figures (n, 5) of a first answer: 1, its logit, and who names it but for both."""
    first, right = first_answers(said)
    kinds = np.array([who(x) for x in said])
    p = np.clip(first, 1e-3, 1 - 1e-3)
    return np.stack([np.ones(len(p)), np.log(p / (1 - p)), *(kinds == k for k in (1, 2, 3))], axis=1), right


def logistic(said, weight):
    """Coefficients (5,) of the probability that a first answer is right."""
    x, right = _of_first(said)
    sign, start = 1.0 - 2.0 * right, np.array([0.0, 1, 0, 0, 0])
    return minimize(
        lambda v: (weight * np.logaddexp(0, sign * (x @ v))).sum() + 0.01 * ((v - start) ** 2).sum(), start
    ).x


def tell_logistic(said, law):
    """Log loss and calibration error of first answers, as they stand and by the law."""
    x, right = _of_first(said)
    for name, v in (("as it stands", np.array([0.0, 1, 0, 0, 0])), ("by the law", law)):
        p = 1 / (1 + np.exp(-x @ v))
        loss = -np.log(np.where(right, p, 1 - p)).mean()
        print(f"  first answers {name}: log loss {loss:.3f}, ECE {error(p, right):.3f}")


def error(p, right):
    bins = np.minimum((10 * p).astype(int), 9)
    return sum(abs(p[bins == b].mean() - right[bins == b].mean()) * (bins == b).mean() for b in set(bins))


if __name__ == "__main__":
    main()

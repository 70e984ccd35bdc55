"""Fit the weights of `xtinct.observer.judging.weighing` on patterns with known cells.

    python benchmarks/observer/weights.py SIMULATED.parquet [MEASURED.parquet --source NAME --rows even]

Measured patterns count twice. Prints the coefficients, and how they do on patterns that an eighth of the fit
did not see. Columns of the tables as `evaluate.py` (measured) and `simulated.py` (simulated) say.
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from scipy.optimize import minimize

from xtinct.lattices.bravais import reduced, same
from xtinct.measurements import Radiation, radiation_of
from xtinct.observer.judging.court import Court
from xtinct.observer.judging.weighing import FIGURES, distinct, figures, none_of_them
from xtinct.observer.peaks.radiation_found import find
from xtinct.observer.question import Question
from xtinct.observer.weighed_lattices import worth_fitting
from xtinct.symmetry.families import family_of
from xtinct.symmetry.operations import centring

_RIDGE, _FOLDS, _MEASURED = 1.0, 8, 2.0
#: Figures without a weight where nothing suggests lattices: log loss is the same without them.
UNUSED = ("missing", "spurious", "volume", "misfit")
_CELL = ("a", "b", "c", "alpha", "beta", "gamma")


def radiation(row: dict) -> Radiation:
    """Wavelengths of a row of either table."""
    if row.get("ratio"):
        return Radiation(row["wavelength"], row["second"], row["ratio"])
    return radiation_of(row["wavelength"])


def judged(row: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray, float] | None:
    """(figures of the candidates, those of none, which are right, how much it counts) of one pattern."""
    two_theta, intensity = (np.array(row[name], dtype=np.float64) for name in ("two_theta", "intensity"))
    found = find(two_theta, intensity, radiation(row))
    pool = worth_fitting(found, Question()) if len(found.peaks) >= 3 else []
    if not pool:
        return None
    court = Court.of(found, pool)
    all_of_them = [one for candidate in pool if (one := court.judge(candidate)) is not None]
    if not all_of_them:
        return None
    all_of_them = distinct(all_of_them)
    number = int(row["spacegroup_number"])
    true = reduced(np.array([row[name] for name in _CELL], dtype=np.float64), centring(number))
    right = np.array([same(one.reduced, true) for one in all_of_them])
    own = right & np.array([one.candidate.family == family_of(number) for one in all_of_them])
    right = own if own.any() else right
    each = figures(all_of_them)
    each[:, [FIGURES.index(name) for name in UNUSED]] = 0.0
    return each, none_of_them(all_of_them, len(found.peaks)), right, 1.0 if "settings" in row else _MEASURED


def cost(weights: np.ndarray, patterns: list) -> tuple[float, np.ndarray]:
    """Negative logarithm of the probability of what is right, with a ridge, and its gradient."""
    total, slope = 0.5 * _RIDGE * weights @ weights, _RIDGE * weights
    for each, none, right, counts in patterns:
        n, k = each.shape
        design = np.zeros((n + 1, k + len(none)))
        design[:n, :k], design[n, k:] = each, none
        true = np.append(right, not right.any())
        share = np.exp(design @ weights - (design @ weights).max())
        own = share[true].sum() + 1e-12
        total -= counts * np.log(own / share.sum())
        slope = slope + counts * ((share @ design) / share.sum() - (share[true] @ design[true]) / own)
    return total, slope


def fitted(patterns: list) -> np.ndarray:
    """Weights of the candidates' figures, then of none of them."""
    start = np.zeros(len(FIGURES) + len(patterns[0][1]))
    return minimize(cost, start, args=(patterns,), jac=True, method="L-BFGS-B").x


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("simulated", type=Path)
    parser.add_argument("measured", type=Path, nargs="?")
    parser.add_argument("--source")
    parser.add_argument("--rows", choices=["all", "even"], default="even")
    options = parser.parse_args()
    rows = pq.read_table(options.simulated).to_pylist()
    if options.measured:
        own = [r for r in pq.read_table(options.measured).to_pylist() if r["source"] == options.source]
        rows += own if options.rows == "all" else own[::2]
    patterns = [one for row in rows if (one := judged(row)) is not None]
    fold = np.random.Generator(np.random.PCG64(0)).permutation(len(patterns)) % _FOLDS
    hits = 0
    for k in range(_FOLDS):
        weights = fitted([p for p, f in zip(patterns, fold, strict=True) if f != k])
        for each, _, right, _ in (p for p, f in zip(patterns, fold, strict=True) if f == k):
            hits += bool(right[np.argmax(each @ weights[: len(FIGURES)])])
    print(f"right first, of patterns not seen: {hits} of {len(rows)}")
    weights = fitted(patterns)
    for name, weight in zip(FIGURES, weights, strict=False):
        print(f"{name:14s} {weight:+.2f}")
    print("none of them:", " ".join(f"{w:+.2f}" for w in weights[len(FIGURES) :]))


if __name__ == "__main__":
    main()

"""Learn the weights of recognition on simulated measurements, and on measured ones that are for tuning.

    python benchmarks/recognition/weights.py STRUCTURES.parquet TABLE.parquet [--per-system 30] [--seed 1]
        [--measured PATTERNS.parquet --source NAME --rows even --times 3]

STRUCTURES has the columns material_id (or structure_id) and cif; TABLE, of the same structures, is of
`xtinct.recognition.known_structures.build_table`. Crystals are drawn per crystal system, with cells strained
as those of density-functional theory are against measured ones. Each is asked for with its structure in the
table, without its composition and without its type (truth.py). Prints the dictionaries of
`xtinct.recognition.learned_weights`.
"""

import argparse
import itertools
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from scipy.optimize import minimize

sys.path.insert(0, str(Path(__file__).parent))
from truth import Truth

from xtinct.errors import XtinctError
from xtinct.lattices.bravais import reduced, same
from xtinct.lattices.conventional import conventional_cell
from xtinct.lattices.metric import cell_of
from xtinct.observer.peaks.radiation_found import find
from xtinct.observer.simulation import Settings, simulate_measurement
from xtinct.recognition import structure_scores
from xtinct.recognition.known_structures import load_table
from xtinct.recognition.learned_weights import DOUBT, SCORE
from xtinct.recognition.matching import FREE, Matched
from xtinct.recognition.recognising import rank
from xtinct.recognition.targets import targets_of
from xtinct.sources.given import standard_of
from xtinct.symmetry.families import CRYSTAL_SYSTEMS, FAMILIES, family_of
from xtinct.symmetry.operations import centring

SETTINGS = ("all", "own", "type")
#: Largest cell that is drawn, cubic angstrom; logarithmic mean and deviation of a common strain, deviation of
#: that of an axis, and of an angle (degree): measured cells over calculated ones.
LARGEST, COMMON, AXIS, ANGLE = 3000.0, (-0.006, 0.010), 0.006, 0.4
#: Candidates whose lattice is held against the true one; strength of the Gaussian priors of weights.
LOOKED, PRIOR = 40, 0.3


@dataclass
class Sample:
    """One pattern in one setting: what was measured of its candidates, and which of them are right."""

    matched: Matched
    likeness: np.ndarray
    numbers: np.ndarray
    right: np.ndarray
    lattice: np.ndarray
    number: int
    peaks: int

    @property
    def features(self):
        return structure_scores.features(self.matched, self.likeness)


def lattice_right(table, ranked, number, cell):
    """bool (n,): candidates of the true group and lattice, of those most alike."""
    true = reduced(cell, centring(number))
    own = np.flatnonzero((table.numbers[ranked.rows] == number) & (ranked.matched["cosine"] > 0.2))
    out = np.zeros(len(ranked.rows), dtype=bool)
    family = family_of(number)
    free = FREE[list(FAMILIES).index(family)]
    for at in own[np.argsort(-ranked.matched["cosine"][own])[:LOOKED]]:
        with np.errstate(invalid="ignore"):
            refined = cell_of(family, ranked.matched.metric[at, :free])
        out[at] = np.isfinite(refined).all() and same(reduced(refined, centring(number)), true)
    return out


def samples_of(truth, targets, about, entry=None):
    """Samples of a pattern (formula, number, cell) in all settings."""
    formula, number, cell = about
    right = truth.right(formula, number, cell)
    if entry is not None:
        right |= (truth.type == truth.type[entry]) & (truth.whole == truth.whole[entry])
    for setting in SETTINGS:
        ranked = rank(truth.table, truth.rows(setting, formula, number, cell, entry), targets)
        lattice = lattice_right(truth.table, ranked, number, cell)
        own = right[ranked.rows]
        yield Sample(
            ranked.matched,
            ranked.likeness,
            truth.table.numbers[ranked.rows].astype(int),
            own if own.any() else lattice,
            lattice,
            number,
            len(targets),
        )


def strained(standard, random):
    """The crystal with a cell as it might be measured."""
    cell, family = standard.crystal.cell.copy(), family_of(standard.number)
    cell[:3] *= np.exp(random.normal(*COMMON) + random.normal(0, AXIS, 3))
    if family in ("monoclinic", "triclinic"):
        cell[3:] += random.normal(0, ANGLE, 3)
    return replace(standard, crystal=replace(standard.crystal, cell=conventional_cell(family, cell)))


def simulated(structures, truth, per_system, seed):
    """Samples of drawn crystals; those that cannot be used are replaced."""
    table = truth.table
    random = np.random.default_rng(seed)
    volumes = np.prod(table.cells[:, :3], axis=1)
    for first, last in CRYSTAL_SYSTEMS.values():
        drawn = (table.numbers >= first) & (table.numbers <= last) & (volumes < LARGEST)
        found = 0
        for row in random.permutation(np.flatnonzero(drawn)):
            if found == per_system:
                break
            try:
                crystal = strained(standard_of(structures[table.names([row])[0]["structure_id"]]), random)
                other = standard_of(structures[table.names([random.integers(len(table))])[0]["structure_id"]])
                number = int(random.integers(1 << 30))
                pattern = simulate_measurement(crystal, number, Settings(counts=(200.0, 1e5)), second=other)
                targets = targets_of(find(pattern.two_theta, pattern.intensity, pattern.radiation))
            except XtinctError as error:
                print(error, file=sys.stderr)
                continue
            found += 1
            about = (pattern.truth.formula, crystal.number, crystal.crystal.cell)
            yield from samples_of(truth, targets, about, entry=int(row))


def measured(path, source, rows, truth):
    """Samples of measured patterns."""
    from evaluate import _CELL, peaks_of

    own = [
        r
        for r in pq.read_table(path).to_pylist()
        if r["source"] == source
        and all(r[x] is not None and np.isfinite(r[x]) for x in ("a", "spacegroup_number"))
    ]
    for row in {"all": own, "even": own[::2], "odd": own[1::2]}[rows]:
        cell = np.array([row[name] for name in _CELL], dtype=np.float64)
        try:
            targets = peaks_of(row)
        except XtinctError as error:
            print(row["id"], error, file=sys.stderr)
            continue
        yield from samples_of(truth, targets, (row["formula"], int(row["spacegroup_number"]), cell))


def fit_score(samples, weights=None):
    """Weights (k,) of a conditional logit: the right candidates of each sample against its others."""
    sets = [(s.features, s.right) for s in samples if s.right.any() and not s.right.all()]

    def loss(v):
        total, slope = 0.5 * PRIOR * v @ v, PRIOR * v
        for x, right in sets:
            value = x @ v
            e = np.exp(value - value.max())
            own = e[right].sum() + 1e-300
            total -= np.log(own / e.sum())
            slope = slope - e[right] @ x[right] / own + e @ x / e.sum()
        return total, slope

    return minimize(loss, np.zeros(len(SCORE)), jac=True, method="L-BFGS-B").x


def best_of(sample, score):
    values = np.where(sample.matched["lines"] > 0, sample.features @ score, -np.inf)
    return structure_scores.Best(int(np.argmax(values)), values, sample.numbers, sample.peaks)


def fit_doubt(samples, score):
    """Weights (k,) of a logistic regression: is the best of its group and lattice?"""
    best = [best_of(s, score) for s in samples]
    x = np.array([structure_scores.doubt_features(s.matched, b) for s, b in zip(samples, best, strict=True)])
    y = np.array([s.lattice[b.at] for s, b in zip(samples, best, strict=True)])
    middle, width = x.mean(axis=0), x.std(axis=0)
    constant = width < 1e-9
    middle, width = np.where(constant, 0, middle), np.where(constant, 1, width)
    z = (x - middle) / width

    def loss(v):
        value = z @ v
        prior = np.where(constant, 0.0, 1.0)
        p = 1 / (1 + np.exp(-value))
        total = np.logaddexp(0, np.where(y, -value, value)).sum() + 0.5 * (prior * v * v).sum()
        return total, z.T @ (p - y) + prior * v

    v = minimize(loss, np.zeros(len(DOUBT)), jac=True, method="L-BFGS-B").x
    plain = v / width
    plain[constant] -= (plain * middle)[~constant].sum()
    return plain, x, y


def fit_votes(samples, score, right, frequency):
    """Temperatures and share of the frequencies by the likelihood of the true groups."""
    choice, top = None, -np.inf
    grid = itertools.product((0.7, 1.0, 1.5, 2.0, 3.0), (2.0, 3.0, 5.0, 8.0), (0.1, 0.2, 0.3, 0.5, 0.7))
    best = [best_of(s, score) for s in samples]
    for temperature, wide, floor in grid:
        total = 0.0
        for s, b, p in zip(samples, best, right, strict=True):
            own, alike = (
                np.bincount(s.numbers, structure_scores.shares(b.scores, t), minlength=231)[s.number]
                for t in (temperature, wide)
            )
            other = (1 - floor) * alike + floor * frequency[s.number]
            total += np.log(p * own + (1 - p) * other)
        if total > top:
            top, choice = total, {"temperature": temperature, "wide": wide, "floor": floor}
    return choice, top / len(samples)


def report(samples, numbers):
    score = fit_score(samples)
    doubt, x, y = fit_doubt(samples, score)
    right = 1 / (1 + np.exp(-x @ doubt))
    votes, likelihood = fit_votes(samples, score, right, structure_scores.frequencies(numbers))
    print("SCORE =", {k: round(float(v), 4) for k, v in zip(SCORE, score, strict=True)})
    print("DOUBT =", {k: round(float(v), 4) for k, v in zip(DOUBT, doubt, strict=True)})
    print("VOTES =", votes)
    print(f"{len(samples)} samples, best right in {y.sum()}, log-likelihood of the group {likelihood:.3f}")
    for low, high in itertools.pairwise((0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0001)):
        inside = (right >= low) & (right < high)
        print(f"p {low}-{high}: {y[inside].sum()} of {inside.sum()} right")
    return score, doubt, votes


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("structures", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("--per-system", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--measured", type=Path)
    parser.add_argument("--source")
    parser.add_argument("--rows", choices=["all", "even", "odd"], default="even")
    parser.add_argument("--times", type=int, default=3, help="how often a measured pattern counts")
    options = parser.parse_args()
    truth = Truth(load_table(options.table))
    names = pq.read_schema(options.structures).names
    name = "structure_id" if "structure_id" in names else "material_id"
    table = pq.read_table(options.structures, columns=[name, "cif"])
    structures = dict(zip(table[name].to_pylist(), table["cif"].to_pylist(), strict=True))
    samples = list(simulated(structures, truth, options.per_system, options.seed))
    if options.measured:
        samples += options.times * list(measured(options.measured, options.source, options.rows, truth))
    report(samples, truth.table.numbers)


if __name__ == "__main__":
    main()

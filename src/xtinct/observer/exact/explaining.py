"""Whether some lattice of a crystal family explains the strong lines of a pattern better than chance does.

For patterns of any instrument: positions alone are asked, errors of a few hundredths of a degree and foreign
lines are allowed, and what a lattice with many lines explains by chance counts for nothing.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

import numpy as np

from xtinct.compiling import assign, njit
from xtinct.lattices.cells import hit
from xtinct.lattices.metric import cell_of, quadratic_forms
from xtinct.measurements.strong_peaks import StrongPeaks
from xtinct.observer.exact.search import Range, in_range, new_trial
from xtinct.symmetry.families import CUBIC, TETRAGONAL, TRIGONAL_HEXAGONAL

#: Families whose lattices are tried, from high symmetry to low.
EXPLAINED = (CUBIC, TETRAGONAL, TRIGONAL_HEXAGONAL)
#: First lines that are asked, and the fewest that say anything.
MOST, FEWEST = 25, 5
#: Largest error of a position, and shifts of the zero that are tried, degree.
TOLERANCE = 0.04
_ZEROS = {1: (0.0, 0.04, -0.04, 0.08, -0.08, 0.12, -0.12), 2: (0.0, 0.06, -0.06)}
#: Natural logarithm of the evidence against chance that a lattice needs. Of patterns of ULBD as the default
#: configuration draws them, 40 of each family, 36 cubic, 31 tetragonal and 38 trigonal-hexagonal ones are
#: found to be of their family, 13 of 80 orthorhombic and monoclinic ones of one of these three.
NEEDED = 10.0
#: How far the evidence of a lattice of lower symmetry, which has more freedom, may exceed it, and the share
#: of the lines on such a one that must lie on that of higher symmetry.
_FREEDOM, _FEWER = 4.0, 0.8
#: Probability that a line of the lattice is not where it should be: foreign, or moved by overlap.
_LOST = 0.1
#: Least and largest probability that a line is on a lattice by chance.
_LEAST_CHANCE, _MOST_CHANCE = 1e-3, 0.999
#: By how much sums of evidence in another order may differ, and far more.
_ROUNDING = 1e-6
#: A lattice is given up when fewer than half of the lines lie on it, from this many on.
_FIRST = 8
#: Volumes for which it is known beforehand what the lines can give at most.
_VOLUMES = 64
#: Equivalent reflections of a general line, with Friedel opposites.
_MULTIPLICITY = {CUBIC: 36.0, TETRAGONAL: 12.0, TRIGONAL_HEXAGONAL: 18.0}
#: K-alpha2 over K-alpha1 of every tube, 1.0025 to 1.0023 (copper to molybdenum differ in the third digit).
_SECOND = 1.0025


@dataclass(frozen=True)
class Explanation:
    """The lattice of a family that explains lines best.

    family     crystal family
    cell       float64 (6,), angstrom and degrees; None: too few lines, or no lattice in range
    evidence   natural logarithm of the probability of the lines under it over that by chance, less that of
               the number of lattices that were tried
    lines      number of lines that were asked
    explained  number of them that lie on it
    zero       shift of the zero that was assumed, degree
    """

    family: str
    cell: np.ndarray | None
    evidence: float
    lines: int
    explained: int
    zero: float


def best_families(peaks: StrongPeaks, wavelength: float) -> tuple[dict[str, Explanation], str | None]:
    """(the explanation of every family of EXPLAINED, the family of highest symmetry that explains the lines).

    None where none does better than chance. A lattice of higher symmetry is also one of lower: the first of
    EXPLAINED counts whose evidence suffices and is not clearly less than that of those after it.
    """
    found = {family: explain(family, peaks, wavelength) for family in EXPLAINED}
    for i, family in enumerate(EXPLAINED):
        own = found[family]
        # Tetragonal and hexagonal lattices have as many parameters: neither is of the higher symmetry.
        equals = [found[other] for other in EXPLAINED[1:] if i and other != family]
        below = [found[other] for other in EXPLAINED[1:] if not i]
        if own.evidence <= max(NEEDED, *(other.evidence for other in equals), -math.inf):
            continue
        if all(
            own.evidence > other.evidence - _FREEDOM and own.explained >= _FEWER * other.explained
            for other in below
        ):
            return found, family
    return found, None


def explain(family: str, peaks: StrongPeaks, wavelength: float) -> Explanation:
    """The best lattice of `family`, one of EXPLAINED, for the first lines; wavelength in angstrom.

    As many lines as the lattice has parameters are given small indices in turn; a lattice is judged by all
    lines: one that lies on it counts by how seldom chance would do that, one that does not counts against it.
    """
    two_theta = _without_second_line(peaks)[:MOST]
    best = Explanation(family, None, -math.inf, len(two_theta), 0, 0.0)
    if len(two_theta) < FEWEST:
        return best
    lattices = Range.of(family)
    p = len(lattices.general)
    guesses = _guesses(family, min(len(two_theta), p + 3))
    zeros = _ZEROS[p]
    for zero in zeros:
        angle = np.radians(two_theta - zero)
        if angle[0] <= 0:
            continue
        q = (2 * np.sin(angle / 2) / wavelength) ** 2
        tolerance = 2 * np.sin(angle) / wavelength**2 * math.radians(TOLERANCE)
        lines = _Lines(q, tolerance, _MULTIPLICITY[family])
        metric, evidence, hits = _best(lines, _Most.of(lines, lattices), guesses, lattices)
        evidence -= math.log(len(zeros) * guesses.number)
        if evidence > best.evidence and hits:
            best = Explanation(family, cell_of(family, metric), evidence, len(q), int(hits), zero)
    return best


def _without_second_line(peaks: StrongPeaks) -> np.ndarray:
    """Positions without those where the K-alpha2 line of a stronger peak stands apart from it."""
    sine = np.sin(np.radians(peaks.two_theta / 2)) * _SECOND
    second = np.degrees(2 * np.arcsin(np.minimum(sine, 1.0)))
    near = np.abs(peaks.two_theta[:, None] - second) < TOLERANCE
    near &= peaks.prominence[:, None] < peaks.prominence / 1.2
    near &= second - peaks.two_theta > TOLERANCE
    return peaks.two_theta[~near.any(axis=1)]


class _Guesses(NamedTuple):
    """Which lines determine a lattice, and which forms they may have.

    forms  float64 (n, p), quadratic forms of small indices
    basis  int64 (m, p), numbers of as many lines as the lattice has parameters
    """

    forms: np.ndarray
    basis: np.ndarray

    @property
    def number(self) -> int:
        """Number of lattices that are tried."""
        return len(self.basis) * len(self.forms) ** self.forms.shape[1]


class _Lines(NamedTuple):
    """Lines that are asked: q and tolerance float64 (n,), 1/angstrom^2, and equivalents of each."""

    q: np.ndarray
    tolerance: np.ndarray
    multiplicity: float


class _Most(NamedTuple):
    """The evidence that lines give at most, which falls with the volume of the lattice.

    smallest  the smallest volume, angstrom^3
    step      natural logarithm of the ratio of one volume to the one before
    rest      float64 (m, n + 1), of the lines from each one on, on lattices of at least each volume
    """

    smallest: float
    step: float
    rest: np.ndarray

    @classmethod
    def of(cls, lines: _Lines, lattices: Range) -> "_Most":
        """That of all lattices in range."""
        # Rounding aside, the smallest volume is that of a hexagonal cell.
        volumes = np.geomspace(0.8 * lattices.shortest**3, lattices.longest**3, _VOLUMES)
        density = 2.0 * np.pi * volumes[:, None] * np.sqrt(lines.q) / lines.multiplicity
        if len(lattices.general) == 1:
            density = np.minimum(density, volumes[:, None] ** (2 / 3))
        chance = np.clip(1.0 - np.exp(-2.0 * lines.tolerance * density), _LEAST_CHANCE, _MOST_CHANCE)
        gain = np.log((1.0 - _LOST + _LOST * chance) / chance)
        rest = np.zeros((_VOLUMES, len(lines.q) + 1))
        rest[:, :-1] = gain[:, ::-1].cumsum(axis=1)[:, ::-1]
        return cls(float(volumes[0]), float(np.log(volumes[1] / volumes[0])), rest)


@lru_cache(maxsize=64)
def _guesses(family: str, first: int) -> _Guesses:
    """The guesses of a family for the `first` lines."""
    reach = (6, 6, 6) if family == CUBIC else (4, 4, 8)
    grid = np.meshgrid(*(np.arange(n + 1) for n in reach), indexing="ij")
    hkl = np.stack(grid, axis=-1).reshape(-1, 3)
    forms = np.unique(quadratic_forms(family, hkl[hkl.any(axis=1)]), axis=0)
    if family == CUBIC:
        forms = forms[forms[:, 0] <= 48]
    basis = np.array(list(combinations(range(first), forms.shape[1])), dtype=np.int64)
    return _Guesses(forms.astype(np.float64), basis)


@njit(cache=True)
def _best(lines, most, guesses, lattices):
    """Metric float64 (p,), evidence, and number of lines on it, of the best lattice of the guesses."""
    p = lattices.general.shape[0]
    index = np.zeros(p, np.int64)
    matrix, side = np.empty((p, p)), np.empty(p)
    trial = new_trial(p)
    best, best_metric, best_hits = -1e300, np.zeros(p), 0
    for b in range(guesses.basis.shape[0]):
        for i in range(p):
            side[i] = lines.q[guesses.basis[b, i]]
        index[:] = 0
        while True:
            for i in range(p):
                for j in range(p):
                    matrix[i, j] = guesses.forms[index[i], j]
            if _solve(matrix, side, trial.metric) and in_range(trial, lattices):
                value, hits = _evidence(lines, most, trial, best)
                if value > best:
                    best, best_hits = value, hits
                    assign(best_metric, trial.metric)
            if not _advance(index, guesses.forms.shape[0]):
                break
    return best_metric, best, best_hits


@njit(cache=True)
def _advance(index, n):
    """Count `index` (p,), digits below n, up by one; False after the last."""
    for last in range(index.size - 1, -1, -1):
        index[last] += 1
        if index[last] < n:
            return True
        index[last] = 0
    return False


@njit(cache=True)
def _solve(a, b, x):
    """Solve a x = b for 1 or 2 unknowns by Cramer's rule; False if there is no single positive solution."""
    p = b.size
    if p == 1:
        x[0] = b[0] / a[0, 0]
    else:
        d = a[0, 0] * a[1, 1] - a[0, 1] * a[1, 0]
        if d == 0.0:
            return False
        x[0] = (b[0] * a[1, 1] - b[1] * a[0, 1]) / d
        x[1] = (a[0, 0] * b[1] - a[1, 0] * b[0]) / d
    for i in range(p):  # noqa: SIM110 (numba has no generators)
        if not x[i] > 0.0:
            return False
    return True


@njit(cache=True)
def _evidence(lines, most, trial, best):
    """(evidence, lines on it) of a lattice; given up where it cannot reach `best`.

    Lines of a lattice of volume V lie 2 pi V sqrt(q) / multiplicity to a unit of q = 1/d^2; a line within its
    tolerance of one is chance with probability 1 - exp(-2 tolerance density).
    """
    q, tolerance, g, axes = lines.q, lines.tolerance, trial.g, trial.axes
    n = q.size
    volume = axes[0] * axes[1] * axes[2]
    if g[4] != 0.0:
        volume *= 0.8660254037844386
    one = g[0] == g[1] and g[1] == g[2] and g[4] == 0.0
    # A cubic lattice among those of more freedom has fewer lines, each of which may say more.
    known = trial.metric.size == 1 or not one
    place = max(0, min(most.rest.shape[0] - 1, int(math.log(volume / most.smallest) / most.step)))
    total, hits = 0.0, 0
    if known and most.rest[place, 0] + _ROUNDING < best:
        return -1e300, 0
    for i in range(n):
        density = 2.0 * math.pi * volume * math.sqrt(q[i]) / lines.multiplicity
        if one:  # a cubic lattice has no more lines than whole numbers
            density = min(density, 1.0 / g[0])
        chance = min(_MOST_CHANCE, max(_LEAST_CHANCE, 1.0 - math.exp(-2.0 * tolerance[i] * density)))
        if hit(g, axes, q[i], tolerance[i], True, trial.hkl):
            total += math.log((1.0 - _LOST + _LOST * chance) / chance)
            hits += 1
        else:
            total += math.log(_LOST)
        left = most.rest[place, i + 1] + _ROUNDING if known else (n - 1 - i) * -math.log(_LEAST_CHANCE)
        if total + left < best:
            return -1e300, 0
        if n >= _FIRST and 2 * (hits + max(0, _FIRST - 1 - i)) < max(_FIRST, i + 1):
            return -1e300, 0
    return total, hits

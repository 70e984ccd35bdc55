"""Ceilings of a lattice distribution: what special lattices and a finite window cost.

The observer sees the exact positions of all lines within the window, and every allowed line has some
intensity. What remains undecided is decided by the prior:

    ceiling(k) = sum over line sets X of the k largest values of P(label, X)

On a mesh the sum runs over all lattices at once, in exact arithmetic, so that two lattices which
show the same lines under two classes count as undecided as well. For a continuous distribution
such coincidences between lattices have probability zero except in windows of a few lines; the
observer is given the lattice there, and what is lost is lost to the window alone.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from xtinct.ceiling.extinction import USUAL, CeilingQuestion, k_largest
from xtinct.ceiling.hypotheses import Hypotheses, Window, best_of, blocks, partitions
from xtinct.lattices.distributions import LatticeSpec
from xtinct.randomness import spread_over
from xtinct.symmetry.families import CUBIC, TETRAGONAL, TRIGONAL_HEXAGONAL


@dataclass(frozen=True)
class MergedLattice:
    """A lattice on which classes that differ in general show the same lines.

    cell   conventional cell (a, b, c, alpha, beta, gamma)
    pairs  extinction symbols of the classes, pair by pair
    share  share of the distribution that the lattice stands for
    """

    cell: tuple[float, ...]
    pairs: tuple[tuple[str, str], ...]
    share: float


@dataclass(frozen=True)
class LatticeCeiling:
    """Ceilings of a lattice distribution.

    ceilings         k -> Fraction where the lattices were enumerated, otherwise float
    standard_errors  k -> standard error of the mean over sampled lattices; 0 for enumerated ones
    n_lattices       lattices that were looked at
    exact            whether these are the whole distribution
    merged           the special lattices among them
    across           pairs of lattices of a mesh that show the same lines under different classes
    """

    ceilings: dict[int, Fraction | float]
    standard_errors: dict[int, float]
    n_lattices: int
    exact: bool
    merged: tuple[MergedLattice, ...]
    across: int


#: Lattices of a mesh that are enumerated at most, and the most steps of its common unit up to the longest
#: axis, which whole numbers of 64 bits compare exactly; above either the mesh is sampled.
MESH_LIMIT, _STEPS_LIMIT = 60_000, 1000


def lattice_ceiling(
    family: str,
    spec: LatticeSpec,
    window: Window,
    *,
    question: CeilingQuestion = USUAL,
    seed: int = 0,
    samples: int = 2000,
) -> LatticeCeiling:
    """Best top-k accuracy over the lattices of `spec`, seen through `window`.

    Meshes that can be (`_enumerable`) are enumerated: the result is an exact fraction. Continuous
    cubic lattices are integrated exactly (the loss changes only where a line enters or leaves the
    window). Otherwise `samples` lattices are drawn with `seed`, and the standard error is given.
    """
    hypotheses = Hypotheses(family, window.d_star_max, spec.length_max, spec.angles)
    if _enumerable(family, spec):
        return _mesh(hypotheses, spec, window, question, seed)
    if spec.kind == "continuous" and family == CUBIC:
        cells, shares = _cubic_intervals(hypotheses, spec, window)
        return _known_lattices(hypotheses, cells, shares, window, question, sampled=False)
    shares = np.full(samples, 1.0 / samples)
    cells = sampled_cells(family, spec, seed, samples)
    return _known_lattices(hypotheses, cells, shares, window, question, sampled=True)


def _enumerable(family: str, spec: LatticeSpec) -> bool:
    """Whether a specification is a mesh of up to MESH_LIMIT lattices whose lines compare exactly."""
    if spec.kind != "mesh" or spec.n_lattices(family) > MESH_LIMIT:
        return False
    lengths = _in_billionths(spec.cells(CUBIC, 0, np.arange(spec.n_lattices(CUBIC)))[:, :1])
    return int(lengths.max()) <= _STEPS_LIMIT * int(np.gcd.reduce(lengths, axis=None))


def sampled_cells(family: str, spec: LatticeSpec, seed: int, samples: int) -> np.ndarray:
    """Cells float64 (samples, 6) of lattices of `spec`; of a mesh, from all over it, each equally often.

    Of a mesh with fewer lattices than `samples` they come round again.
    """
    indices = np.arange(samples)
    if spec.kind == "mesh":
        indices = spread_over(spec.n_lattices(family), samples, seed)
    return spec.cells(family, seed, indices)


def _cubic_intervals(
    hypotheses: Hypotheses, spec: LatticeSpec, window: Window
) -> tuple[np.ndarray, np.ndarray]:
    """A cell inside every interval of a in which the same lines are visible, and the interval's share."""
    low, high = spec.lengths
    roots = np.sqrt(hypotheses.lines.forms[:, 0])
    edges = roots / window.d_star_max
    if window.d_star_min > 0:
        edges = np.concatenate([edges, roots / window.d_star_min])
    edges = np.unique(np.concatenate([[low, high], edges[(edges > low) & (edges < high)]]))
    if low == high:
        edges = np.array([low, high])
    measure = np.log if spec.spacing == "log" else np.asarray
    widths = np.diff(measure(edges))
    shares = widths / widths.sum() if widths.sum() else np.ones(1)
    cells = np.full((len(shares), 6), 90.0)
    cells[:, :3] = ((edges[:-1] + edges[1:]) / 2)[:, None]
    return cells, shares


def _known_lattices(
    hypotheses: Hypotheses,
    cells: np.ndarray,
    shares: np.ndarray,
    window: Window,
    question: CeilingQuestion,
    sampled: bool,
) -> LatticeCeiling:
    ks = question.ks
    weights, _, total = hypotheses.joint(question.target, question.prior)
    partition = partitions(hypotheses.signatures(cells, window))
    values = _lattice_values(weights, partition, ks)
    ceilings: dict[int, Fraction | float] = {}
    errors = {}
    for k in ks:
        if len(set(values[k])) == 1:  # the same on every lattice
            ceilings[k], errors[k] = Fraction(int(values[k][0]), total), 0.0
            continue
        of_lattice = np.array([float(Fraction(int(value), total)) for value in values[k]])
        ceilings[k] = float((shares * of_lattice).sum())
        errors[k] = float(of_lattice.std(ddof=1) / math.sqrt(len(cells))) if sampled else 0.0
    return LatticeCeiling(
        ceilings, errors, len(cells), not sampled, _merged(hypotheses, cells, shares, partition), 0
    )


def _lattice_values(weights: np.ndarray, partition: np.ndarray, ks: tuple[int, ...]) -> dict[int, list[int]]:
    """Weight won on every lattice, for every k; the few different partitions are worked out once."""
    different, which = np.unique(partition, axis=0, return_inverse=True)
    won = [best_of(weights, blocks(row), ks) for row in different]
    return {k: [won[i][k] for i in which.reshape(-1)] for k in ks}


def _merged(
    hypotheses: Hypotheses, cells: np.ndarray, shares: np.ndarray, partition: np.ndarray
) -> tuple[MergedLattice, ...]:
    generic = np.arange(partition.shape[1])
    merged = []
    for i in np.flatnonzero((partition != generic).any(axis=1)):
        pairs = set()
        for members in blocks(partition[i]):
            symbols = sorted({hypotheses.symbols[m] for m in members})
            pairs |= {(a, b) for n, a in enumerate(symbols) for b in symbols[n + 1 :]}
        if pairs:  # sets of one class may coincide on a lattice of higher symmetry: nothing is lost
            merged.append(
                MergedLattice(tuple(float(x) for x in cells[i]), tuple(sorted(pairs)), float(shares[i]))
            )
    return tuple(merged)


def _mesh(
    hypotheses: Hypotheses,
    spec: LatticeSpec,
    window: Window,
    question: CeilingQuestion,
    seed: int,
) -> LatticeCeiling:
    family, ks = hypotheses.family, question.ks
    n = spec.n_lattices(family)
    cells = spec.cells(family, seed, np.arange(n))
    signatures = hypotheses.signatures(cells, window, exact=_exact_metric(family, cells))
    weights, _, total = hypotheses.joint(question.target, question.prior)
    partition = partitions(signatures)
    won = {k: sum(values) for k, values in _lattice_values(weights, partition, ks).items()}
    across = 0
    # Line sets that several lattices show: take their separate contributions back, add the joint one.
    own = partition == np.arange(partition.shape[1])
    lattice, hypothesis = np.nonzero(own)
    _, inverse, counts = np.unique(signatures[own], return_inverse=True, return_counts=True)
    order = np.argsort(inverse.reshape(-1), kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)])
    for s in np.flatnonzero(counts > 1):
        joint = np.zeros(weights.shape[1], dtype=object)
        symbols = set()
        for entry in order[starts[s] : starts[s + 1]]:
            members = np.flatnonzero(partition[lattice[entry]] == hypothesis[entry])
            alone = weights[members].sum(axis=0)
            joint += alone
            symbols |= {hypotheses.symbols[m] for m in members}
            for k, value in best_of(weights, [members], ks).items():
                won[k] -= value
        for k, value in k_largest(joint, ks).items():
            won[k] += value
        if len(symbols) > 1:
            across += math.comb(int(counts[s]), 2)
    return LatticeCeiling(
        ceilings={k: Fraction(int(won[k]), total * n) for k in ks},
        standard_errors=dict.fromkeys(ks, 0.0),
        n_lattices=n,
        exact=True,
        merged=_merged(hypotheses, cells, np.full(n, 1.0 / n), partition),
        across=across,
    )


def _exact_metric(family: str, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers with forms @ weights / denominators = unit^2 / d^2, the unit common to all cells."""
    lengths = _in_billionths(cells[:, :3])
    a, b, c = (lengths // np.gcd.reduce(lengths, axis=None)).T
    if family == CUBIC:
        return np.ones((len(a), 1), dtype=np.int64), a * a
    if family == TETRAGONAL:
        return np.stack([c * c, a * a], axis=1), a * a * c * c
    if family == TRIGONAL_HEXAGONAL:
        return np.stack([4 * c * c, 3 * a * a], axis=1), 3 * a * a * c * c
    return (
        np.stack([b * b * c * c, a * a * c * c, a * a * b * b], axis=1),
        a * a * b * b * c * c,
    )


def _in_billionths(lengths: np.ndarray) -> np.ndarray:
    """Lengths of a mesh, angstrom, as whole numbers: they are decimal numbers of at most nine places."""
    return np.rint(lengths * 1e9).astype(np.int64)

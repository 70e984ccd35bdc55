"""Lattices whose metric is that of a higher family than their crystal's, as far as the pattern resolves it.

Of a monoclinic crystal with beta near 90 degrees no line splits; its metric says orthorhombic. How many such
crystals there are is known, and absences can tell: h0l with l odd and 0k0 with k odd are those of P 21/c and
of no orthorhombic class. Both together are the odds of the lower family.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from xtinct.ceiling.extinction import Weight, prior_weights
from xtinct.lattices.bravais import POINTS, bravais
from xtinct.lattices.metric import cell_of, cells_of_tensors, direct_tensor, form_metric
from xtinct.observer.fitting.line_sets import absence_sets, absence_sets_on
from xtinct.observer.judging.court import Judged
from xtinct.observer.judging.pattern_evidence import LAW, heights_of, set_evidence
from xtinct.symmetry.families import (
    CUBIC,
    FAMILIES,
    MONOCLINIC,
    ORTHORHOMBIC,
    TETRAGONAL,
    TRIGONAL_HEXAGONAL,
)
from xtinct.symmetry.operations import centring

#: Strains: relative differences of the spacings of lines that the higher symmetry makes one.
STRAINS = (0.001, 0.003, 0.01)
#: Crystals of a lower family with such a metric, for 100 crystals of the Bravais lattice that it imitates,
#: at each strain. Of the 154,918 structures of the Materials Project (2025-02-12, CC BY 4.0) by
#: `benchmarks/observer/pseudosymmetry.py`.
FREQUENCIES: dict[tuple[str, str], tuple[float, ...]] = {
    ("oP", "monoclinic"): (1.82, 4.86, 10.65),
    ("oC", "monoclinic"): (5.74, 11.49, 22.12),
    ("oI", "monoclinic"): (4.18, 8.36, 14.47),
    ("oF", "monoclinic"): (11.75, 22.44, 31.52),
    ("tP", "orthorhombic"): (5.86, 11.70, 21.85),
    ("tI", "orthorhombic"): (1.42, 3.76, 8.70),
    ("hP", "orthorhombic"): (0.72, 2.24, 5.63),
    ("hR", "monoclinic"): (0.72, 3.14, 9.17),
    ("cP", "tetragonal"): (4.88, 8.82, 13.11),
    ("cP", "trigonal-hexagonal"): (0.86, 1.48, 3.19),
    ("cI", "tetragonal"): (0.99, 3.63, 8.76),
    ("cI", "trigonal-hexagonal"): (1.08, 2.00, 3.23),
    ("cF", "tetragonal"): (0.15, 0.27, 0.83),
    ("cF", "trigonal-hexagonal"): (0.39, 1.13, 3.52),
}
#: Probability that the absences are those of the higher family too.
_IMITATES = 0.5
#: Part of a width by which two lines must differ to be seen as two.
_RESOLVED = 0.4


@cache
def embeddings(family: str, lower: str) -> tuple[np.ndarray, ...]:
    """Cells of a lower family within those of a higher one: matrices M float64 (3, 3), a cell's axes are
    the columns of M on those of the higher cell, and its hkl the higher one's @ M."""
    turns = [np.eye(3)[:, list(order)] for order in ((0, 1, 2), (1, 2, 0), (2, 0, 1))]
    halved = np.array([[0.5, 0.5, 0.0], [-0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    doubled = np.array([[1.0, 1.0, 0.0], [-1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    if (family, lower) == (ORTHORHOMBIC, MONOCLINIC):
        # b unique along each axis: the cell itself; of one face centred the rhombic half; of all of them.
        rhombic = halved[:, [0, 2, 1]]
        faces = [np.array([[1, 0, 0.5], [0, 1, 0], [0, 0, 0.5]]), np.array([[0.5, 0, 0], [0, 1, 0], [0.5, 0, 1]])]
        return tuple(turn @ one for turn in turns for one in (np.eye(3), rhombic, *faces))
    if (family, lower) == (TETRAGONAL, ORTHORHOMBIC):
        return np.eye(3), doubled
    if (family, lower) == (TRIGONAL_HEXAGONAL, ORTHORHOMBIC):
        return (np.array([[1.0, 1.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 1.0]]),)
    if (family, lower) == (TRIGONAL_HEXAGONAL, MONOCLINIC):
        rhombohedral = np.array([[2.0, -1.0, -1.0], [1.0, 1.0, -2.0], [1.0, 1.0, 1.0]]) / 3
        one, two, three = rhombohedral.T
        return (np.column_stack([one + two, two - one, three]),)
    if (family, lower) == (CUBIC, TETRAGONAL):
        return tuple(turn @ one for turn in turns for one in (np.eye(3), halved))
    if (family, lower) == (CUBIC, TRIGONAL_HEXAGONAL):
        long = np.array([[1.0, 0.0, 1.0], [-1.0, 1.0, 1.0], [0.0, -1.0, 1.0]])
        return tuple(long * scale for scale in (np.ones(3), np.array([0.5, 0.5, 1.0]), np.array([1, 1, 0.5])))
    return ()


#: Next lower families of each Bravais lattice.
LOWER = {
    "oP": (MONOCLINIC,),
    "oC": (MONOCLINIC,),
    "oI": (MONOCLINIC,),
    "oF": (MONOCLINIC,),
    "tP": (ORTHORHOMBIC,),
    "tI": (ORTHORHOMBIC,),
    "hP": (ORTHORHOMBIC,),
    "hR": (MONOCLINIC,),
    "cP": (TETRAGONAL, TRIGONAL_HEXAGONAL),
    "cI": (TETRAGONAL, TRIGONAL_HEXAGONAL),
    "cF": (TETRAGONAL, TRIGONAL_HEXAGONAL),
}


@dataclass(frozen=True)
class Lower:
    """A lattice read in a lower family.

    odds    of that family against the lattice's own
    metric  float64 (p,), of the cell of the family by whose absences the pattern is explained best
    """

    family: str
    metric: np.ndarray
    odds: float


def resolved(one: Judged) -> float:
    """Strain from which lines of a judged lattice would be seen to split, where most of them stand."""
    peaks = np.average(one.fit.angle, weights=np.sqrt(np.maximum(one.fit.area, 0.0)) + 1e-12)
    width = float(np.median(heights_of(one.fit).fwhm))
    return _RESOLVED * math.radians(width) / (2 * math.tan(math.radians(float(peaks) / 2)))


def frequency(kind: str, lower: str, strain: float) -> float:
    """Crystals of a lower family for one of a Bravais lattice, that has its metric within a strain."""
    counts = FREQUENCIES.get((kind, lower))
    if counts is None:
        return 0.0
    # In proportion to the strain below the smallest that was counted: nothing less is known there.
    return float(np.interp(strain, (0.0, *STRAINS), (0.0, *counts))) / 100


def lower_families(
    one: Judged,
    prior_of: Callable[[str], Mapping[int, Weight] | None],
    families: tuple[str, ...],
    power: float,
) -> list[Lower]:
    """The lower families that a judged lattice may be of, with their odds.

    prior_of  weights of the groups of a family; power, of the evidence of absences
    """
    kind = bravais(one.fit.family, one.centring)
    strain = resolved(one)
    heights = heights_of(one.fit)
    own_sets = absence_sets(one.fit.lines)
    points = POINTS[one.centring]
    own = _log_mean(heights, own_sets, one.fit.family, prior_of, lambda n: POINTS[centring(n)] == points, power)
    found = []
    for family in LOWER.get(kind, ()):
        often = frequency(kind, family, strain)
        if family not in families or not often or own is None:
            continue
        read = []
        for matrix in embeddings(one.fit.family, family):
            # The same lattice: volumes of primitive cells agree.
            size = abs(np.linalg.det(matrix)) * points
            sets = absence_sets_on(one.fit.lines, family, matrix)
            value = _log_mean(
                heights, sets, family, prior_of, lambda n, size=size: abs(POINTS[centring(n)] - size) < 1e-6, power
            )
            if value is not None:
                read.append((value, matrix))
        if not read:
            continue
        total = np.logaddexp.reduce([value for value, _ in read]) - math.log(len(read))
        matrix = max(read, key=lambda x: x[0])[1]
        direct = direct_tensor(cell_of(one.fit.family, one.fit.metric))
        cell = cells_of_tensors(matrix.T @ direct @ matrix)
        if family == MONOCLINIC and cell[4] < 90:
            cell[4] = 180 - cell[4]
        # Where the metric imitates a higher symmetry the atoms mostly do so too: lines that only the lower
        # family allows may all be weak, and then absences do not tell.
        odds = often * (_IMITATES + (1 - _IMITATES) * math.exp(min(float(total - own), 30.0)))
        found.append(Lower(family, form_metric(family, cell[None])[0], odds))
    return found


def _log_mean(heights, sets, family, prior_of, suits, power) -> float | None:
    """Logarithm of the mean evidence, to a power, over the groups that suit; None where none has weight."""
    weights = prior_weights(family, prior_of(family))
    weight = np.array([float(weights.get(int(n), 0)) * suits(int(n)) for n in sets.groups])
    if not weight.sum() > 0:
        return None
    kept = (sets.share @ weight) > 0
    value = power * set_evidence(heights, sets.allowed[kept], LAW).total
    top = value.max()
    return float(top + math.log(np.exp(value - top) @ sets.share[kept] @ (weight / weight.sum())))

"""Absence sets as hypotheses about a lattice, and which of them show the same lines."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import permutations

import numpy as np

from xtinct.ceiling.extinction import Weight, k_largest, labels, prior_weights
from xtinct.compiling import njit
from xtinct.errors import XtinctError
from xtinct.lattices.metric import form_metric
from xtinct.linelists.ordering import EQUAL_D
from xtinct.linelists.ulbd_lines import UlbdLines
from xtinct.patterns.instrument import Instrument
from xtinct.randomness import bits
from xtinct.symmetry.classes import class_symbol
from xtinct.symmetry.families import ORTHORHOMBIC


@dataclass(frozen=True)
class Window:
    """Range of 1/d that is measured, both ends included, 1/angstrom."""

    d_star_min: float
    d_star_max: float

    def __post_init__(self) -> None:
        if not 0 <= self.d_star_min <= self.d_star_max < math.inf or self.d_star_max == 0:
            raise XtinctError(
                f"window {self.d_star_min}-{self.d_star_max} 1/angstrom: expected 0 <= min <= max"
            )

    @classmethod
    def of_instrument(cls, instrument: Instrument) -> "Window":
        """Lines whose centre lies on the instrument's grid."""
        low, high = (
            2.0 * math.sin(math.radians(angle / 2.0)) / instrument.wavelength
            for angle in (instrument.two_theta_min, instrument.two_theta_max)
        )
        return cls(low, high)


class Hypotheses:
    """Everything that can have produced the lines of a lattice of a family.

    The lattice itself is known to the observer, as it is after indexing; the names of its axes are
    not, where the family leaves them open: an orthorhombic group in its standard setting meets an
    indexed lattice in six ways. A hypothesis is one absence set on the axes as they were written
    down; `probability` says how each space group spreads over the sets.

    Attributes
    ----------
    groups     int64 (n_groups,), space group numbers
    lines      the family's quadratic forms and standard settings (xtinct.linelists.ulbd_lines.UlbdLines)
    allowed    bool (n_sets, n_forms): forms that an absence set leaves
    share      int64 (n_sets, n_groups): relabellings of the axes that lead a group to a set
    relabelled number of relabellings, 6 for orthorhombic families and 1 otherwise
    symbols    axis-unlabelled extinction symbol of every set
    """

    def __init__(
        self, family: str, d_star_max: float, length_max: float, angles: tuple[float, float] = (90.0, 90.0)
    ) -> None:
        self.family = family
        self.lines = UlbdLines(family, d_star_max, length_max, angles)
        self.groups = self.lines.groups
        self._orders = list(permutations(range(3))) if family == ORTHORHOMBIC else [None]
        self.relabelled = len(self._orders)
        rows = self.on_relabelled_axes(self.lines.allowed)
        packed, set_of_row = np.unique(np.packbits(rows, axis=1), axis=0, return_inverse=True)
        set_of_row = set_of_row.reshape(-1)
        self.allowed = np.zeros((len(packed), rows.shape[1]), dtype=bool)
        self.allowed[set_of_row] = rows
        #: The set of every group on the axes as they were written down.
        self.set_of_group = set_of_row[: len(self.groups)]
        self.share = np.zeros((len(packed), len(self.groups)), dtype=np.int64)
        np.add.at(self.share, (set_of_row, np.tile(np.arange(len(self.groups)), self.relabelled)), 1)
        # Forms beyond reach may have merged classes: such a set is named after all of them.
        self.symbols = tuple(
            " = ".join(dict.fromkeys(class_symbol(int(number)) for number in self.groups[row > 0]))
            for row in self.share
        )

    def on_relabelled_axes(self, of_forms: np.ndarray) -> np.ndarray:
        """`of_forms` (n_groups, n_forms) for every naming of the axes: (relabelled * n_groups, n_forms)."""
        forms = self.lines.forms.astype(np.int64)
        parts = []
        for order in self._orders:
            if order is None:
                parts.append(of_forms)
                continue
            _, position = np.unique(
                np.concatenate([forms, forms[:, list(order)]]), axis=0, return_inverse=True
            )
            position = position.reshape(2, -1)
            index = np.empty(len(forms), dtype=np.int64)
            index[position[0]] = np.arange(len(forms))
            parts.append(of_forms[:, index[position[1]]])
        return np.concatenate(parts)

    def joint(
        self, target: str, prior: Mapping[int, Weight] | None = None
    ) -> tuple[np.ndarray, list[str | int], int]:
        """(weight of every set and label, the labels, sum of all weights), all in whole numbers.

        Returns object (n_sets, n_labels), the labels, and an int; weight / sum is the joint
        probability of the absence set and the target's label.
        """
        weight_of = prior_weights(self.family, prior)
        common = math.lcm(*(weight.denominator for weight in weight_of.values()))
        label_of = labels(self.family, target)
        names = sorted({label_of[int(number)] for number in self.groups}, key=str)
        weights = np.zeros((len(self.share), len(names)), dtype=object)
        for column, number in enumerate(self.groups):
            weight = int(weight_of.get(int(number), Fraction(0)) * common)
            weights[:, names.index(label_of[int(number)])] += self.share[:, column] * weight
        return weights, names, int(sum(weight_of.values()) * common) * self.relabelled

    def signatures(
        self, cells: np.ndarray, window: Window, exact: tuple[np.ndarray, np.ndarray] | None = None
    ) -> np.ndarray:
        """A number for the line set that every hypothesis shows on every lattice.

        `cells` float64 (n, 6). Equal numbers in a row: equal lines within the window, hkl of equal d
        being one line. With `exact` (int64 weights (n, p) and denominators (n,) such that
        forms @ weights / denominator is 1/d^2 in a unit that all lattices share) equal numbers mean
        equal lines across lattices too. Returns uint64 (n, n_sets); unequal line sets collide with
        probability 2^-64 per pair.
        """
        cells = np.asarray(cells, dtype=np.float64).reshape(-1, 6)
        self.check_window(window)
        metric = form_metric(self.family, cells)
        weights, denominators = exact or (
            np.zeros_like(metric, dtype=np.int64),
            np.zeros(len(cells), np.int64),
        )
        return _signatures(
            metric,
            self.lines.forms,
            np.ascontiguousarray(self.allowed.T),
            window.d_star_min**2 * (1 - 1e-12),
            window.d_star_max**2 * (1 + 1e-12),
            weights,
            denominators,
        )

    def check_window(self, window: Window) -> None:
        """XtinctError if the window reaches beyond the lines that were prepared."""
        if window.d_star_max > self.lines.d_star_max * (1 + 1e-9):
            raise XtinctError(
                f"window up to {window.d_star_max:g} 1/angstrom, but lines were prepared up to "
                f"{self.lines.d_star_max:g}"
            )


@njit(cache=True)
def _gcd(a, b):
    while b:
        a, b = b, a % b
    return a


@njit(cache=True)
def _signatures(metric, forms, allowed, q_min, q_max, weights, denominators):
    n, p = metric.shape
    n_forms, n_sets = allowed.shape
    out = np.zeros((n, n_sets), np.uint64)
    values = np.empty(n_forms)
    index = np.empty(n_forms, np.int64)
    shown = np.empty(n_sets, np.bool_)
    for i in range(n):
        found = 0
        for f in range(n_forms):
            q = 0.0
            for j in range(p):
                q += forms[f, j] * metric[i, j]
            if q_min <= q <= q_max:
                values[found] = q
                index[found] = f
                found += 1
        order = np.argsort(values[:found])
        start = 0
        line = np.uint64(0)
        while start < found:
            stop = start + 1
            while (
                stop < found and values[order[stop]] - values[order[start]] <= EQUAL_D * values[order[stop]]
            ):
                stop += 1
            shown[:] = False
            for member in range(start, stop):
                f = index[order[member]]
                for s in range(n_sets):
                    shown[s] |= allowed[f, s]
            line += np.uint64(1)
            name = bits(np.uint64(0), line)
            if denominators[i]:
                f = index[order[start]]
                numerator = np.int64(0)
                for j in range(p):
                    numerator += np.int64(forms[f, j]) * weights[i, j]
                common = _gcd(numerator, denominators[i])
                numerator_key = bits(np.uint64(1), np.uint64(numerator // common))
                name = bits(numerator_key, np.uint64(denominators[i] // common))
            for s in range(n_sets):
                if shown[s]:
                    out[i, s] += name
            start = stop
    return out


def partitions(signatures: np.ndarray) -> np.ndarray:
    """For every lattice (row) and hypothesis, the first hypothesis with the same lines: int16, same shape."""
    result = np.empty(signatures.shape, dtype=np.int16)
    for first in range(0, len(signatures), 512):  # bounds the memory of the comparison
        part = signatures[first : first + 512]
        result[first : first + 512] = (part[:, :, None] == part[:, None, :]).argmax(axis=2)
    return result


def best_of(weights: np.ndarray, group: Iterable[Iterable[int]], ks: tuple[int, ...]) -> dict[int, int]:
    """Sum over the groups of hypotheses of the k largest label weights, for every k."""
    won = dict.fromkeys(ks, 0)
    for members in group:
        for k, value in k_largest(weights[list(members)].sum(axis=0), ks).items():
            won[k] += value
    return won


def blocks(partition: np.ndarray) -> list[list[int]]:
    """The groups of hypotheses of one row of `partitions`."""
    members: dict[int, list[int]] = {}
    for hypothesis, first in enumerate(partition):
        members.setdefault(int(first), []).append(hypothesis)
    return list(members.values())

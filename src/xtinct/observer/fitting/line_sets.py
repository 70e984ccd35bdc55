"""Lines of a lattice within a range, and which of them the groups of its family allow."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from xtinct.compiling import njit
from xtinct.errors import XtinctError
from xtinct.lattices.metric import cell_of, quadratic_forms
from xtinct.symmetry.absences import conditions
from xtinct.symmetry.classes import extinction_classes, relabellings
from xtinct.symmetry.families import FAMILIES
from xtinct.symmetry.reflection_conditions import DENOMINATOR

#: hkl that are looked through for one lattice at most; more are no lattice that a powder pattern can show.
MOST_HKL = 2_000_000


@dataclass(frozen=True)
class Lines:
    """Lines of a lattice, ascending in 1/d^2; hkl of equal quadratic form are one line.

    family        crystal family
    forms         float64 (m, p): 1/d^2 is forms @ metric
    multiplicity  float64 (m,): hkl of each line, Friedel mates counted
    hkl           int64 (k, 3): one hkl of every Friedel pair
    owner         int64 (k,): line of every hkl, ascending
    """

    family: str
    forms: np.ndarray
    multiplicity: np.ndarray
    hkl: np.ndarray
    owner: np.ndarray

    def __len__(self) -> int:
        return len(self.forms)

    def representative(self, *, obverse: bool = False) -> np.ndarray:
        """int64 (m, 3): the hkl of each line that is written down: the largest indices first.

        obverse: of a rhombohedral lattice on hexagonal axes those with -h + k + l = 3n (0 1 2, not 1 0 2)
        """
        other = obverse & (self.hkl @ np.array([-1, 1, 1]) % 3 != 0)
        key = np.lexsort((*(-self.hkl.T[::-1]), -(self.hkl >= 0).sum(axis=1), other, self.owner))
        first = np.searchsorted(self.owner[key], np.arange(len(self)))
        return self.hkl[key][first]


def lines_of(family: str, metric: np.ndarray, q_min: float, q_max: float) -> Lines:
    """Lines with q_min < 1/d^2 <= q_max (1/angstrom^2) of a metric float64 (p,) (form_metric's numbers).

    XtinctError for a lattice with more than MOST_HKL hkl to look through.
    """
    metric = np.asarray(metric, dtype=np.float64)
    cell = cell_of(family, metric)
    # |h| <= a / d, whatever the angles.
    reach = [math.floor(axis * math.sqrt(q_max)) for axis in cell[:3]]
    if math.prod(2 * n + 1 for n in reach) > MOST_HKL:
        raise XtinctError(
            f"{family} cell of {cell[0]:.5g} {cell[1]:.5g} {cell[2]:.5g} angstrom: too many lines up to "
            f"d = {q_max**-0.5:.3g} angstrom"
        )
    grid = np.meshgrid(*[np.arange(-n, n + 1) for n in reach], indexing="ij")
    hkl = np.stack(grid, axis=-1).reshape(-1, 3)
    hkl = hkl[len(hkl) // 2 + 1 :]  # one of each Friedel pair: lexicographically above 000
    forms = quadratic_forms(family, hkl)
    q = forms @ metric
    inside = (q <= q_max) & (q > q_min)
    hkl, forms, q = hkl[inside], forms[inside], q[inside]
    # Forms as one number each: unique over rows is slow.
    low = forms.min(axis=0, initial=0)
    span = forms.max(axis=0, initial=0) - low + 1
    key = np.ravel_multi_index(tuple((forms - low).T), tuple(span)) if len(forms) else np.zeros(0, np.int64)
    _, first, owner, count = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(q[first], kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    owner = rank[owner.reshape(-1)]
    by_line = np.argsort(owner, kind="stable")
    return Lines(
        family,
        forms[first][order].astype(np.float64),
        2.0 * count[order],
        hkl[by_line],
        owner[by_line],
    )


#: hkl (k, 3) that a centring lets show.
_SHOWN = {
    "F": lambda h, k, l: ((h + k) % 2 == 0) & ((k + l) % 2 == 0),  # noqa: E741
    "I": lambda h, k, l: (h + k + l) % 2 == 0,  # noqa: E741
    "R": lambda h, k, l: ((-h + k + l) % 3 == 0) | ((h - k + l) % 3 == 0),  # noqa: E741
    "A": lambda h, k, l: (k + l) % 2 == 0,  # noqa: E741
    "B": lambda h, k, l: (h + l) % 2 == 0,  # noqa: E741
    "C": lambda h, k, l: (h + k) % 2 == 0,  # noqa: E741
}


def shown_lines(lines: Lines, letter: str) -> np.ndarray:
    """bool (m,): lines that a centring lets show."""
    kept = np.zeros(len(lines), dtype=bool)
    np.logical_or.at(kept, lines.owner, _SHOWN[letter](*lines.hkl.T) if letter != "P" else True)
    return kept


def centring_of(lines: Lines, allowed: np.ndarray) -> str:
    """Letter of the centring that the lines `allowed`, bool (m,), show; P where they show none.

    A centring is shown where it forbids two lines or more, and none of them is allowed.
    """
    for letter in _SHOWN:
        if letter not in FAMILIES[lines.family].centrings:
            continue
        kept = shown_lines(lines, letter)
        if (~kept).sum() >= 2 and not allowed[~kept].any():
            return letter
    return "P"


@dataclass(frozen=True)
class AbsenceSets:
    """What the groups of a family can do to the lines of a lattice whose axes are not named.

    groups    int64 (n_groups,): space group numbers
    allowed   bool (n_sets, m): lines that a set leaves; the sets are distinct
    share     float64 (n_sets, n_groups): part of the namings of the axes (monoclinic: cell choices) by
              which a group leads to a set; columns sum to 1
    symbols   extinction symbol of every class of the family
    class_of  int64 (n_groups,): class of every group
    """

    groups: np.ndarray
    allowed: np.ndarray
    share: np.ndarray
    symbols: tuple[str, ...]
    class_of: np.ndarray


@dataclass(frozen=True)
class _Law:
    """Conditions of every class on every naming of the axes, as flat arrays for the kernel."""

    owner: np.ndarray  # class of every hypothesis
    start: np.ndarray  # first condition of every hypothesis
    phase: np.ndarray  # (n_conditions, 3)
    equations: np.ndarray  # (n_conditions, 2, 3), zeros where there are fewer


@lru_cache(maxsize=6)
def _law(family: str) -> _Law:
    owner, start, phases, equations = [], [0], [], []
    for number, cls in enumerate(extinction_classes(family)):
        seen = set()
        for matrix in relabellings(family):
            owner.append(number)
            rows = []
            for condition in conditions(cls.members[0]):
                # hkl' = hkl M, so hkl' . x = hkl . (M x)
                zone = np.zeros((2, 3), dtype=np.int64)
                for i, equation in enumerate(condition.equations):
                    zone[i] = matrix @ np.array(equation)
                rows.append((matrix @ np.array(condition.phase), zone))
            seen.add(str(rows))
            phases.extend(row[0] for row in rows)
            equations.extend(row[1] for row in rows)
            start.append(len(phases))
    shape = (len(phases), 3)
    return _Law(
        np.array(owner),
        np.array(start),
        np.array(phases, dtype=np.int64).reshape(shape),
        np.array(equations, dtype=np.int64).reshape(len(phases), 2, 3),
    )


def absence_sets(lines: Lines) -> AbsenceSets:
    """The distinct absence sets of the family on these lines."""
    law = _law(lines.family)
    classes = extinction_classes(lines.family)
    shown = _shown(law.start, law.phase, law.equations, lines.hkl, lines.owner, len(lines), DENOMINATOR)
    _, first, set_of = np.unique(np.packbits(shown, axis=1), axis=0, return_index=True, return_inverse=True)
    set_of = set_of.reshape(-1)
    per_class = np.zeros((len(first), len(classes)))
    np.add.at(per_class, (set_of, law.owner), 1.0)
    per_class /= per_class.sum(axis=0)
    groups = np.array(sorted(number for cls in classes for number in cls.members))
    class_of = np.empty(len(groups), dtype=np.int64)
    for index, cls in enumerate(classes):
        class_of[np.searchsorted(groups, cls.members)] = index
    return AbsenceSets(
        groups, shown[first], per_class[:, class_of], tuple(cls.symbol for cls in classes), class_of
    )


@njit(cache=True)
def _shown(start, phase, equations, hkl, owner, n_lines, modulus):
    """bool (n_hypotheses, n_lines): lines with an allowed hkl."""
    n = start.size - 1
    out = np.zeros((n, n_lines), np.bool_)
    for s in range(n):
        for i in range(owner.size):
            line = owner[i]
            if out[s, line]:
                continue
            h, k, l = hkl[i, 0], hkl[i, 1], hkl[i, 2]  # noqa: E741
            allowed = True
            for c in range(start[s], start[s + 1]):
                if (h * phase[c, 0] + k * phase[c, 1] + l * phase[c, 2]) % modulus == 0:
                    continue
                e = equations[c]
                if (
                    h * e[0, 0] + k * e[0, 1] + l * e[0, 2] == 0
                    and h * e[1, 0] + k * e[1, 1] + l * e[1, 2] == 0
                ):
                    allowed = False
                    break
            out[s, line] = allowed
    return out

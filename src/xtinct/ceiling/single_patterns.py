"""Ceilings of given patterns, and the groups that a line list leaves possible."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xtinct.ceiling.extinction import USUAL, CeilingQuestion, Weight, checked_ks, k_largest
from xtinct.ceiling.hypotheses import Hypotheses, Window, partitions
from xtinct.errors import XtinctError
from xtinct.lattices.conventional import free_angle_range
from xtinct.lattices.metric import form_metric
from xtinct.linelists.ordering import EQUAL_D
from xtinct.symmetry.families import space_groups
from xtinct.symmetry.operations import group_in_words

#: Orders of reflection along an axis that are looked at. Larger cells are judged by a shorter
#: window: a coincidence of classes in 30 orders along every axis is counted as one.
_ORDERS = 30

#: Longest axes, in angstrom, of the batches that patterns are worked through in.
_SIZES = (8.0, 16.0, 32.0, 64.0, np.inf)


def pattern_ceilings(
    family: str,
    numbers: Sequence[int] | np.ndarray,
    cells: np.ndarray,
    window: Window,
    *,
    target: str = "spacegroup",
    ks: Iterable[int] = (1, 2, 3, 4, 5),
    prior: Mapping[int, Weight] | None = None,
) -> dict[int, np.ndarray]:
    """Expected top-k accuracy of the best classifier on each of these patterns: k -> float64 (n,).

    `numbers` (n,) are space groups of the family and `cells` float64 (n, 6) their conventional cells
    in standard settings. The classifier knows the lattice and sees which lines of `window` are
    there; what its lines cannot separate on this very lattice it decides by the prior, which is the
    frequency of the groups among `numbers` if None. The mean over the patterns is then the ceiling
    of exactly this test set. Further absences of a crystal (special positions, weak lines) are no
    law of the group and do not count.
    """
    ks = checked_ks(ks)
    numbers = np.asarray(numbers, dtype=np.int64)
    cells = np.asarray(cells, dtype=np.float64).reshape(-1, 6)
    if len(numbers) != len(cells) or not len(numbers):
        raise XtinctError(
            f"{len(numbers)} space groups and {len(cells)} cells: expected as many, at least one"
        )
    for number in set(numbers.tolist()) - set(space_groups(family)):
        raise XtinctError(f"space group {group_in_words(number)} is not of the {family} family")
    prior = prior if prior is not None else dict(Counter(numbers.tolist()))
    result = {k: np.empty(len(numbers)) for k in ks}
    size = np.digitize(cells[:, :3].max(axis=1), _SIZES, right=True)
    for batch in np.unique(size):
        rows = np.flatnonzero(size == batch)
        hypotheses, seen = _batch(family, cells[rows], window)
        weights, _, total = hypotheses.joint(target, prior)
        weights = (weights / total).astype(np.float64)
        partition = partitions(hypotheses.signatures(cells[rows], seen))
        own = hypotheses.set_of_group[numbers[rows] - hypotheses.groups[0]]
        known: dict[bytes, dict[int, float]] = {}
        for row, of_lattice, mine in zip(rows, partition, own, strict=True):
            members = of_lattice == of_lattice[mine]
            if (key := members.tobytes()) not in known:
                known[key] = _shares(weights[members].sum(axis=0), ks)
            for k, value in known[key].items():
                result[k][row] = value
    return result


def _batch(family: str, cells: np.ndarray, window: Window) -> tuple[Hypotheses, Window]:
    longest = float(cells[:, :3].max())
    reach = min(window.d_star_max, _ORDERS / longest)
    seen = Window(min(window.d_star_min, reach), reach)
    return Hypotheses(family, reach, longest, free_angle_range(family, cells)), seen


@dataclass(frozen=True)
class PossibleGroups:
    """What a list of observed lines leaves of a family.

    exact       groups that show exactly these lines on this lattice
    permitting  groups that allow all of these lines, and perhaps more
    expected    k -> expected top-k accuracy of the best classifier that knows the exact groups;
                empty if there are none
    """

    exact: tuple[int, ...]
    permitting: tuple[int, ...]
    expected: dict[int, float]


def possible_groups(
    family: str,
    d_star: np.ndarray,
    cell: np.ndarray,
    window: Window,
    *,
    question: CeilingQuestion = USUAL,
    tolerance: float = 1e-6,
) -> PossibleGroups:
    """Space groups of a family that the observed lines `d_star` (n,) of the lattice `cell` (6,) leave.

    `tolerance`: relative error of d_star (1e-6 suits positions stored as float32); lines of the
    lattice closer than twice that count as one. Lines outside `window` are not looked at. An
    observed line that the lattice does not have raises XtinctError.
    """
    ks = question.ks
    cell = np.asarray(cell, dtype=np.float64)
    angles = free_angle_range(family, cell[None])
    hypotheses = Hypotheses(family, window.d_star_max, float(cell[:3].max()), angles)
    q = hypotheses.lines.forms @ form_metric(family, cell[None])[0]
    positions = np.sqrt(q)
    order = np.argsort(positions, kind="stable")
    inside = (positions[order] >= window.d_star_min) & (positions[order] <= window.d_star_max)
    order = order[inside]
    positions = positions[order]
    gap = np.diff(positions) > max(2 * tolerance, EQUAL_D) * positions[1:]
    line = np.concatenate([[0], np.cumsum(gap)]).astype(np.int64)[: len(order)]
    shown = np.zeros((int(line[-1]) + 1 if len(line) else 0, len(hypotheses.symbols)), dtype=bool)
    np.logical_or.at(shown, line, hypotheses.allowed[:, order].T)
    seen = np.zeros(len(shown), dtype=bool)
    d_star = np.asarray(d_star, dtype=np.float64)
    for observed in d_star[(d_star >= window.d_star_min) & (d_star <= window.d_star_max)]:
        near = np.flatnonzero(abs(positions - observed) <= tolerance * observed)
        if not len(near):
            raise XtinctError(f"line at 1/d = {observed:.7g} 1/angstrom: the lattice has no line there")
        seen[line[near]] = True
    permits = ~(seen[:, None] & ~shown).any(axis=0)
    exact = permits & ~(shown & ~seen[:, None]).any(axis=0)
    weights, _, total = hypotheses.joint(question.target, question.prior)
    left = (weights[exact] / total).astype(np.float64).sum(axis=0)
    return PossibleGroups(
        exact=_groups(hypotheses, exact),
        permitting=_groups(hypotheses, permits),
        expected=_shares(left, ks) if left.any() else {},
    )


def _shares(weights: np.ndarray, ks: tuple[int, ...]) -> dict[int, float]:
    """Share of the whole that the k largest weights (n,) have, for every k; 0 of nothing."""
    won = k_largest(weights, (*ks, len(weights)))
    whole = won[len(weights)]
    return {k: float(won[k] / whole) if whole else 0.0 for k in ks}


def _groups(hypotheses: Hypotheses, sets: np.ndarray) -> tuple[int, ...]:
    return tuple(int(number) for number in hypotheses.groups[hypotheses.share[sets].any(axis=0)])

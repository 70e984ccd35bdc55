"""Ceilings: the best top-k accuracy that the extinction laws allow, as exact fractions.

A classifier that sees only which reflections are absent sees the extinction class. With a prior
P(g) over the groups of a scope, and a target that maps each group to a label, the best it can do is
to name, for every class, the k labels with the largest prior inside the class:

    ceiling(k) = sum over classes X of the k largest values of P(label, X)

For the space group itself and a uniform prior over N groups this is sum over classes of min(k, n) / N
(Table I of the paper that introduced uniform lattice-based datasets).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from xtinct.errors import XtinctError
from xtinct.files import schema
from xtinct.files.parquet import write_parquet
from xtinct.files.writing import write_csv, write_json
from xtinct.symmetry.classes import AXES, SCOPES, extinction_classes, scope_groups
from xtinct.symmetry.families import crystal_system
from xtinct.symmetry.operations import bravais_lattice, group_in_words, laue_class, point_group

#: What can be asked of a pattern. Each maps a space group to a label.
TARGETS = ("spacegroup", "extinction_class", "crystal_system", "bravais_lattice", "laue_class", "point_group")

Weight = int | float | Fraction | str


def labels(family: str, target: str, axes: str = "unlabelled") -> dict[int, str | int]:
    """Label of every space group of a scope, for a target of TARGETS."""
    if target == "extinction_class":
        classes = extinction_classes(family, axes)
        return {number: index for index, cls in enumerate(classes) for number in cls.members}
    of_group = {
        "spacegroup": int,
        "crystal_system": crystal_system,
        "bravais_lattice": bravais_lattice,
        "laue_class": laue_class,
        "point_group": point_group,
    }.get(target)
    if of_group is None:
        raise XtinctError(f"target {target!r}: expected one of {', '.join(TARGETS)}")
    return {number: of_group(number) for number in scope_groups(family)}


def ceilings(
    family: str,
    target: str = "spacegroup",
    ks: Iterable[int] = (1, 2, 3, 4, 5),
    prior: Mapping[int, Weight] | None = None,
    axes: str = "unlabelled",
) -> dict[int, Fraction]:
    """Best top-k accuracy of a classifier that sees only the extinction class, exactly.

    `family`: a crystal family, a crystal system or a pooled scope (`xtinct.symmetry.classes.SCOPES`).
    `prior`: weight of each space group, not necessarily summing to 1; groups left out weigh nothing;
    None weighs all groups of the scope equally. Integers, fractions and strings ("0.1", "3/7") are
    taken exactly, floats as the binary fractions they are.
    """
    ks = checked_ks(ks)
    weights = prior_weights(family, prior)
    label = labels(family, target, axes)
    groups_of_classes = [cls.members for cls in extinction_classes(family, axes)]
    return _best(groups_of_classes, weights, label, ks)


def checked_ks(ks: Iterable[int]) -> tuple[int, ...]:
    """`ks` as a tuple of positive integers, or XtinctError naming the one that is none."""
    ks = tuple(ks)
    for k in ks:
        if not isinstance(k, int | np.integer) or k < 1:
            raise XtinctError(f"k = {k!r}: expected a whole number of answers, 1 or more")
    return tuple(int(k) for k in ks)


@dataclass(frozen=True)
class CeilingQuestion:
    """What is asked of the groups of a family.

    target  one of TARGETS
    ks      answers that are allowed, each 1 or more
    prior   weight of every space group that has one; None: all alike
    """

    target: str = "spacegroup"
    ks: Iterable[int] = (1, 2, 3, 4, 5)
    prior: Mapping[int, Weight] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "ks", checked_ks(self.ks))


#: The space group, all groups alike, up to five answers.
USUAL = CeilingQuestion()


def prior_weights(family: str, prior: Mapping[int, Weight] | None) -> dict[int, Fraction]:
    """Exact weight of every space group of a scope that has one; XtinctError for a prior that is none."""
    groups = scope_groups(family)
    if prior is None:
        return dict.fromkeys(groups, Fraction(1))
    weights = {}
    for number, weight in prior.items():
        group = f"space group {group_in_words(number)}"
        if number not in groups:
            raise XtinctError(f"prior: {group} is not in {family}")
        try:
            weights[int(number)] = Fraction(weight)
        except (ValueError, OverflowError, TypeError, ZeroDivisionError):
            raise XtinctError(f"prior: weight {weight!r} of {group} is no number") from None
        if weights[int(number)] < 0:
            raise XtinctError(f"prior: weight {weight!r} of {group} is negative")
    if not any(weights.values()):
        raise XtinctError(f"prior: all weights{'' if family == 'all' else f' of {family}'} are zero")
    return weights


def _best(
    classes: Sequence[Sequence[int]],
    weights: Mapping[int, Fraction],
    label: Mapping[int, str | int],
    ks: Sequence[int],
) -> dict[int, Fraction]:
    total = sum(weights.values())
    won = dict.fromkeys(ks, Fraction(0))
    for members in classes:
        of_label: dict[str | int, Fraction] = {}
        for number in members:
            of_label[label[number]] = of_label.get(label[number], Fraction(0)) + weights.get(
                number, Fraction(0)
            )
        for k, value in k_largest(list(of_label.values()), ks).items():
            won[k] += value
    return {k: won[k] / total for k in ks}


def k_largest(weights: Sequence[Weight] | np.ndarray, ks: Iterable[int]) -> dict[int, Any]:
    """Sum of the k largest of `weights` along the last axis, for every k: what k answers win at best.

    weights  fractions or whole numbers (n,), whose sums are exact, or float64 (..., n)

    Which of two equal weights counts is of no matter: the sum is the same. Ties between the answers of
    a classifier are another matter (`xtinct.scores.metrics.rank`).
    """
    if isinstance(weights, np.ndarray) and weights.dtype != object:
        falling = -np.sort(-weights, axis=-1)
        return {k: falling[..., :k].sum(axis=-1) for k in ks}
    falling = sorted(weights, reverse=True)
    return {k: sum(falling[:k]) for k in ks}


def ceiling_of_samples(
    numbers: Sequence[int] | np.ndarray, target: str = "spacegroup", ks: Iterable[int] = (1, 2, 3, 4, 5)
) -> dict[int, float]:
    """Best top-k accuracy on exactly these samples of a classifier that sees family and class.

    `numbers`: space group of every sample; their frequencies are the prior. Samples of several
    families may be mixed: the metric tells the family.
    """
    values, counts = np.unique(np.asarray(numbers, dtype=np.int64), return_counts=True)
    if not len(values):
        raise XtinctError("ceiling of samples: there are no samples")
    prior = {int(number): int(count) for number, count in zip(values, counts, strict=True)}
    return {k: float(value) for k, value in ceilings("all", target, ks, prior).items()}


def ceiling_rows(
    scopes: Iterable[str] = SCOPES,
    targets: Iterable[str] = TARGETS,
    ks: Iterable[int] = (1, 2, 3, 4, 5),
    prior: Mapping[int, Weight] | None = None,
) -> list[dict]:
    """Rows of schema.CEILINGS: every scope, both senses of the axes, every target and k.

    Scopes to which the prior gives no weight have no ceiling and no row.
    """
    ks = tuple(ks)
    rows = []
    for family in scopes:
        inside = None
        if prior is not None:
            inside = {number: weight for number, weight in prior.items() if number in scope_groups(family)}
            if not any(Fraction(weight) for weight in inside.values()):
                continue
        for axes in AXES:
            for target in targets:
                for k, value in ceilings(family, target, ks, inside, axes).items():
                    rows.append(
                        {
                            "family": family,
                            "axes": axes,
                            "target": target,
                            "k": k,
                            "numerator": value.numerator,
                            "denominator": value.denominator,
                            "ceiling": float(value),
                        }
                    )
    return rows


def write_ceilings(
    csv_path: str | Path,
    json_path: str | Path,
    ks: Iterable[int] = (1, 2, 3, 4, 5),
    prior: Mapping[int, Weight] | None = None,
) -> None:
    """Write the ceilings of every scope and target as CSV and as a JSON list of the same records."""
    rows = ceiling_rows(ks=ks, prior=prior)
    write_csv(csv_path, rows, schema.CEILINGS.names)
    write_json(json_path, rows, indent=1, sort_keys=False)


def write_extinction_classes(path: str | Path) -> None:
    """Write the extinction classes of every scope, in both senses, as Parquet."""
    rows = [
        {"family": family, "axes": axes, "symbol": cls.symbol, "members": cls.members}
        for family in SCOPES
        for axes in AXES
        for cls in extinction_classes(family, axes)
    ]
    write_parquet(
        path, [pa.Table.from_pylist(rows, schema=schema.EXTINCTION_CLASSES)], schema.EXTINCTION_CLASSES
    )

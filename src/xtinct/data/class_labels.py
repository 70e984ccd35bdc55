"""What a sample is labelled with: a number for its space group, extinction class, system or family."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from xtinct.errors import XtinctError
from xtinct.scores.outputs import Outputs, families_of
from xtinct.symmetry.classes import scope_groups
from xtinct.symmetry.families import N_SPACE_GROUPS, family_of

#: Labels that count from 0, and the number of the space group in International Tables.
LABELS = ("extinction_class", "spacegroup", "crystal_system", "family", "spacegroup_number")


@dataclass(frozen=True)
class Labels:
    """Labels of the space groups of a scope.

    family  crystal family, or all
    target  one of LABELS: samples get a number; or several: samples get a mapping of them to numbers
    """

    family: str
    target: str | tuple[str, ...] = "extinction_class"

    def __post_init__(self) -> None:
        scope_groups(self.family)
        if not isinstance(self.target, str):
            object.__setattr__(self, "target", tuple(self.target))
        for target in self._targets:
            if target not in LABELS:
                raise XtinctError(f"target {target!r}: expected one of {', '.join(LABELS)}")

    @property
    def _targets(self) -> tuple[str, ...]:
        return (self.target,) if isinstance(self.target, str) else self.target

    def names(self, target: str | None = None) -> list[str]:
        """What the labels 0, 1, ... of a target mean; without one, of the only target."""
        target = target or self._targets[0]
        if target == "spacegroup_number":
            raise XtinctError(
                "spacegroup_number: the labels are the numbers of International Tables themselves"
            )
        if target == "family":
            return list(families_of(self.family))
        return list(Outputs.of(self.family, target).symbols)

    def __call__(self, groups: np.ndarray) -> Sequence[int | dict[str, int]]:
        """The label of each of the space group numbers int (n,)."""
        columns = {target: self._tables[target][groups].tolist() for target in self._targets}
        if isinstance(self.target, str):
            return columns[self.target]
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    @cached_property
    def _tables(self) -> dict[str, np.ndarray]:
        """Target -> label of every space group number, int64 (231,), -1 where the scope has it not."""
        return {target: self._table(target) for target in self._targets}

    def _table(self, target: str) -> np.ndarray:
        if target == "spacegroup_number":
            return np.arange(N_SPACE_GROUPS + 1)
        if target != "family":
            return Outputs.of(self.family, target).output_of_group
        table = np.full(N_SPACE_GROUPS + 1, -1)
        names = self.names("family")
        for number in scope_groups(self.family):
            table[number] = names.index(family_of(number))
        return table

"""What is known of a crystal, and what is asked of the observer."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from xtinct.ceiling.extinction import Weight
from xtinct.ceiling.priors import occurrence
from xtinct.errors import XtinctError
from xtinct.lattices.conventional import conventional_cell_errors
from xtinct.lattices.metric import reciprocal_metric
from xtinct.observer.indexing.candidates import Suggestion
from xtinct.observer.judging.known_lines import KnownLines
from xtinct.symmetry.families import FAMILIES, MONOCLINIC, family_of, space_groups
from xtinct.symmetry.operations import centring


@dataclass(frozen=True)
class Question:
    """What is known of the crystal, and what is asked.

    families   crystal families that are possible
    prior      weight of every space group; None: within a family as often as groups occur, by square roots
    cell       six numbers, angstrom and degrees, on conventional axes, about right; None: unknown
    centring   letter of the centring (P A B C I F R), where it is known; A, B and C are one
    law        intensity law of patterns without noise: physical, or uniform for random intensities
    suggested  lattices to be judged beside those that the observer finds, the strongest first
    trust      probability that the first of them is right
    votes      probability of every space group by what suggested them; None: they have no voice
    known      lines of the structures that vote, the most probable first
    note       what was made of the cell, where it was told on other axes
    """

    families: tuple[str, ...] = tuple(FAMILIES)
    prior: Mapping[int, Weight] | None = None
    cell: tuple[float, ...] | None = None
    centring: str | None = None
    law: str = "physical"
    suggested: tuple[Suggestion, ...] = ()
    trust: float = 0.0
    votes: Mapping[int, float] | None = None
    known: tuple[KnownLines, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        unknown = [f for f in self.families if f not in FAMILIES]
        if unknown or not self.families:
            raise XtinctError(f"crystal family {unknown or '(none)'}: expected some of {', '.join(FAMILIES)}")
        if self.cell is not None:
            cell = np.asarray(self.cell, dtype=np.float64)
            if cell.shape != (6,) or not (np.isfinite(cell).all() and (cell > 0).all()):
                raise XtinctError(f"cell {self.cell}: expected six positive numbers, a b c alpha beta gamma")
            if cell[3:].max() < np.pi:
                raise XtinctError(f"cell {self.cell}: angles of radians, expected degrees")
            reciprocal_metric(cell)
        if self.centring is not None and self.centring not in tuple("PABCIFR"):
            raise XtinctError(f"centring {self.centring!r}: expected one of P A B C I F R")

    @property
    def informed(self) -> bool:
        """Whether groups are weighted, by a prior or by a known centring."""
        return self.prior is not None or self.centring is not None

    def suits(self, family: str, letter: str) -> bool:
        """Whether a lattice is possible: its centring by what is known, its family by the prior."""
        return self._suits_centring(family, letter) and self.has_weight(family)

    def has_weight(self, family: str) -> bool:
        """Whether a group of a family has weight."""
        return family in self._weighted

    @cached_property
    def _weighted(self) -> frozenset[str]:
        """Families with a group that has weight."""
        return frozenset(family_of(number) for number, weight in self.weights().items() if weight)

    def _suits_centring(self, family: str, letter: str) -> bool:
        """Whether a lattice of a family may have a centring; a monoclinic I is a C on other axes."""
        if self.centring is None:
            return True
        faces = "ABCI" if family == MONOCLINIC else "ABC"
        alike = faces if self.centring in faces else self.centring
        return letter in alike

    def of_family(self, family: str) -> dict[int, float] | None:
        """Weights by which the groups of a family are judged; None where all groups are alike.

        What is told; else `occurrence`, but where known structures vote: they say it themselves.
        """
        if self.votes is not None and not self.informed:
            return None
        weights, usual = self.weights(), occurrence()
        if self.prior is None and self.votes is None:
            weights = {g: w * usual[g] for g, w in weights.items()}
        return {g: weights[g] for g in space_groups(family) if weights.get(g)}

    def weights(self) -> dict[int, float]:
        """Prior of the groups of all families asked for, float, summing to 1."""
        groups = [g for f in self.families for g in space_groups(f) if self._suits_centring(f, centring(g))]
        raw = {g: 1.0 if self.prior is None else float(self.prior.get(g, 0)) for g in groups}
        total = sum(raw.values())
        if not groups:
            letters = dict.fromkeys(x for f in self.families for x in FAMILIES[f].centrings)
            raise XtinctError(
                f"centring {self.centring}: no conventional cell of {', '.join(self.families)} has it; "
                f"expected one of {' '.join(letters)}"
            )
        if not total > 0:
            raise XtinctError(
                f"prior: no weight on any group of {', '.join(self.families)}"
                + (f" with centring {self.centring}" if self.centring else "")
            )
        return {g: w / total for g, w in raw.items()}


def family_of_told(question: Question) -> str:
    """The family of a cell that is told: the highest whose axes it has, unless a lower one is asked for."""
    cell = np.asarray(question.cell, dtype=np.float64)
    possible = [f for f in question.families if question.has_weight(f)]
    fitting = [f for f in possible if conventional_cell_errors(f, cell[None]).max() < 1e-3]
    if not fitting:
        raise XtinctError(
            f"cell {' '.join(f'{x:g}' for x in cell)}: no conventional cell of {', '.join(possible)}"
        )
    return fitting[0]

"""What recognition says of a pattern: known structures, votes of symmetry, doubt, further phases."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xtinct.symmetry.classes import class_symbol
from xtinct.symmetry.families import crystal_system, family_of
from xtinct.symmetry.operations import hermann_mauguin

#: Below this probability the best structure is in doubt; above the second it is named without reserve.
DOUBTFUL, SURE = 0.5, 0.9


@dataclass(frozen=True)
class Known:
    """A known structure whose lines fit the peaks.

    structure_id, formula, number    of the database; symbol, of the space group; bravais, aP ... cF
    cell            float64 (6,), refined on the peaks, angstrom and degrees; stored, the database's
    score           logarithm of how much more probable than others, up to a constant
    probability     that it, or one that the pattern does not tell from it, is the sample
    shift           of the pattern, observed less true 2theta, degree
    cosine          likeness of root intensities, 0 to 1
    explained       share of the peaks' root areas that have a line
    also            structures that this pattern does not tell from it: (id, formula, number)
    """

    structure_id: str
    formula: str
    number: int
    symbol: str
    bravais: str
    cell: np.ndarray
    stored: np.ndarray
    score: float
    probability: float
    shift: float
    cosine: float
    explained: float
    also: tuple[tuple[str, str, int], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, texts and lists."""
        return {
            "structure_id": self.structure_id,
            "formula": self.formula,
            "spacegroup_number": self.number,
            "spacegroup": self.symbol,
            "bravais": self.bravais,
            "cell": [round(float(x), 5) for x in self.cell],
            "cell_of_database": [round(float(x), 5) for x in self.stored],
            "score": round(self.score, 3),
            "probability": round(self.probability, 4),
            "shift": round(self.shift, 4),
            "cosine": round(self.cosine, 4),
            "explained": round(self.explained, 4),
            "also": [{"structure_id": i, "formula": f, "spacegroup_number": g} for i, f, g in self.also],
        }


@dataclass(frozen=True)
class Recognition:
    """What recognition says of a pattern, or of what other phases leave of it.

    name          of the pattern
    known         structures, best first, each for all that the pattern does not tell from it
    probability   that lattice and space group of the first are those of the sample
    groups        probability of each space group number, best first, summing to 1
    peaks         peaks that were held against; structures, of the database that were
    notes         what was found and what is to be known, one sentence each
    others        further phases, in the peaks that those before leave
    """

    name: str
    known: tuple[Known, ...]
    probability: float
    groups: Mapping[int, float]
    peaks: int
    structures: int
    notes: tuple[str, ...] = ()
    others: tuple["Recognition", ...] = field(default=())

    @property
    def doubtful(self) -> bool:
        """Whether the best structure is more probably wrong than right."""
        return self.probability < DOUBTFUL

    @property
    def classes(self) -> dict[tuple[str, str], float]:
        """Probability of each extinction class, (family, symbol), best first."""
        return self._summed(lambda group: (family_of(group), class_symbol(group)))

    @property
    def families(self) -> dict[str, float]:
        """Probability of each crystal family, best first."""
        return self._summed(family_of)

    @property
    def systems(self) -> dict[str, float]:
        """Probability of each crystal system, best first."""
        return self._summed(crystal_system)

    def _summed(self, key) -> dict:
        sums: dict = {}
        for group, probability in self.groups.items():
            sums[key(group)] = sums.get(key(group), 0.0) + probability
        return dict(sorted(sums.items(), key=lambda item: -item[1]))

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, texts and lists, for JSON."""
        return {
            "name": self.name,
            "recognised": self.known[0].structure_id if self.known and not self.doubtful else None,
            "probability": round(self.probability, 4),
            "doubtful": self.doubtful,
            "structures": [one.to_dict() for one in self.known],
            "systems": {name: round(p, 4) for name, p in self.systems.items()},
            "families": {name: round(p, 4) for name, p in self.families.items()},
            "classes": [
                {"family": family, "symbol": symbol, "probability": round(p, 4)}
                for (family, symbol), p in list(self.classes.items())[:10]
            ],
            "groups": [
                {"number": g, "symbol": hermann_mauguin(g), "probability": round(p, 4)}
                for g, p in list(self.groups.items())[:10]
            ],
            "peaks": self.peaks,
            "database_structures": self.structures,
            "notes": list(self.notes),
            "other_phases": [other.to_dict() for other in self.others],
        }

    def to_json(self) -> str:
        """As text."""
        return json.dumps(self.to_dict(), indent=1)

    def __str__(self) -> str:
        from xtinct.recognition.recognition_text import told

        return told(self)

"""What recognition says of a pattern: known structures, votes of symmetry, doubt, further phases."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xtinct.observer.answer.wording import RANKED_APART, table
from xtinct.symmetry.classes import class_symbol
from xtinct.symmetry.families import crystal_system, family_of
from xtinct.symmetry.operations import hermann_mauguin

#: How many structures, classes and groups are told.
_TOLD = 5
#: Structures that are told beside another answer, where the best one is in doubt.
_IN_DOUBT = 3
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
    d_star          float64 (m,): 1/d of its lines by the refined cell, 1/angstrom; intensity, (m,), of them
                    over the strongest, under the Lorentz-polarisation factor of one wavelength
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
    also: tuple[tuple[str, str, int], ...]
    d_star: np.ndarray = field(repr=False)
    intensity: np.ndarray = field(repr=False)

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
            "also": [
                {
                    "structure_id": i,
                    "formula": f,
                    "spacegroup_number": g,
                    "spacegroup": hermann_mauguin(g),
                }
                for i, f, g in self.also
            ],
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
        return told(self)

    # In a notebook and at the prompt an answer is what a person reads, not its thousands of numbers.
    __repr__ = __str__


_LIKENESS = (
    "This is the likeness to a known structure; what the absences show is another question, which "
    "`xtinct index` answers."
)


def told(recognition: Recognition, alone: bool = True) -> str:
    """The answer as text: what it is recognised as, structures, votes, notes, further phases.

    alone  whether it stands alone, under its name, with its votes, and says what it does not know
    """
    parts = [recognition.name] if alone else []
    parts.append(_sentence(recognition))
    if alone and recognition.known and not recognition.doubtful:
        parts[-1] += f" {_LIKENESS}"
    if recognition.known:
        most = _TOLD if alone or not recognition.doubtful else _IN_DOUBT
        parts += [_structures(recognition, most), _votes(recognition) if alone else ""]
    parts += [_notes(recognition)]
    for i, other in enumerate(recognition.others, start=2):
        parts += [f"Phase {i}, in what is left: {_sentence(other)}", _structures(other)]
    return "\n\n".join(part for part in parts if part)


def _sentence(recognition: Recognition) -> str:
    if not recognition.known:
        return "Not recognised: no structure of the database has a line where a peak is."
    best = recognition.known[0]
    what = f"{best.formula} ({best.structure_id}), {best.symbol} ({best.number})"
    if recognition.doubtful:
        return (
            f"Not recognised: the most alike of {recognition.structures:,} structures is {what}, with a "
            f"probability of {recognition.probability:.2f} that its lattice and space group are right."
        )
    sure = "Recognised as" if recognition.probability > SURE else "Perhaps"
    return (
        f"{sure} {what}, or a compound of the same structure type: probability {recognition.probability:.2f} "
        "that its lattice and space group are right."
    )


def _cell(known: Known) -> tuple[str, ...]:
    lengths = (f"{x:.4f}" for x in known.cell[:3])
    return (*lengths, *(f"{x:.2f}" for x in known.cell[3:]))


def _structures(recognition: Recognition, most: int = _TOLD) -> str:
    rows = [
        (
            *(one.structure_id, one.formula, f"{one.symbol} ({one.number})", one.bravais, *_cell(one)),
            *(f"{one.cosine:.2f}", f"{one.explained:.2f}", f"{one.score:.1f}", f"{one.probability:.2f}"),
            f"{len(one.also)}" if one.also else "",
        )
        for one in recognition.known[:most]
    ]
    angles = ("alpha", "beta", "gamma")
    header = (
        *("structure", "formula", "space group", "lattice", "a (A)", "b (A)", "c (A)", *angles),
        *("cosine", "explained", "score", "share", "also"),
    )
    text = table(header, rows) + "\nshare: what each has of that probability"
    if any(one.also for one in recognition.known[:most]):
        text += (
            "\nalso: structures of the same elements that this pattern does not tell from it (all in --json)"
        )
    return text


def _votes(recognition: Recognition) -> str:
    systems, classes = list(recognition.systems.items()), list(recognition.classes.items())
    groups = list(recognition.groups.items())
    rows = []
    for i in range(_TOLD):
        system, p_system = systems[i] if i < len(systems) else ("", 0.0)
        (family, symbol), p_class = classes[i] if i < len(classes) else (("", ""), 0.0)
        group, p_group = groups[i] if i < len(groups) else (0, 0.0)
        rows.append(
            (
                *(system, _percent(p_system), f"{family} {symbol}".strip(), _percent(p_class)),
                *(f"{hermann_mauguin(group)} ({group})" if group else "", _percent(p_group)),
            )
        )
    header = (
        "crystal system",
        "probability",
        "extinction class",
        "probability",
        "space group",
        "probability",
    )
    return f"Votes of known structures:\n{table(header, rows)}\n{RANKED_APART}"


def _percent(probability: float) -> str:
    return f"{probability:.2f}" if probability else ""


def _notes(recognition: Recognition) -> str:
    return "\n".join(recognition.notes)

"""One answer on the symmetry of a powder, and who said what."""

import json
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xtinct.observer.answer.answer_data import LatticeAnswer
from xtinct.observer.answer.observation import Observation
from xtinct.recognition.recognising import DATABASE, PACKAGED
from xtinct.recognition.recognition import Known, Recognition, told
from xtinct.symmetry.classes import class_symbol
from xtinct.symmetry.families import crystal_system, family_of
from xtinct.symmetry.operations import bravais_lattice, hermann_mauguin

#: Sum of probabilities up to which classes are in the set of a coverage; found on simulated measurements.
SUMS = {0.9: 0.75}


def _class_of(number: int) -> tuple[str, str]:
    return family_of(number), class_symbol(number)


@dataclass(frozen=True)
class Identification:
    """What observer and recognition say together of a measured pattern.

    observation  of the observer, whose candidates include the lattices of recognised structures; its groups
                 are weighted with the votes of recognition, and `observation.by_absences` is without them
    recognition  of the database alone; None where none was asked
    database     file of the known structures; None where none was asked
    """

    observation: Observation
    recognition: Recognition | None
    database: Path | None = None

    @property
    def lattice(self) -> LatticeAnswer | None:
        """The most probable lattice, with cell and uncertainties; None where none was found."""
        return self.observation.lattice

    @property
    def similar(self) -> tuple[Known, ...]:
        """The known structures whose lines fit best, the most similar first; empty where none was asked."""
        return () if self.recognition is None else self.recognition.known

    @property
    def groups(self) -> dict[int, float]:
        """Probability of every space group number, most probable first; all others are sums of these."""
        return dict(self.observation.groups)

    @property
    def classes(self) -> dict[tuple[str, str], float]:
        """Probability of every extinction class, (family, symbol), most probable first."""
        return self._summed(_class_of)

    @property
    def bravais_lattices(self) -> dict[str, float]:
        """Probability of every Bravais lattice (aP ... cF), most probable first."""
        return self._summed(bravais_lattice)

    @property
    def families(self) -> dict[str, float]:
        """Probability of every crystal family, most probable first."""
        return self._summed(family_of)

    @property
    def systems(self) -> dict[str, float]:
        """Probability of every crystal system, most probable first."""
        return self._summed(crystal_system)

    @property
    def class_set(self) -> list[tuple[str, str]]:
        """Extinction classes that hold the true one for 90 % of patterns, most probable first."""
        chosen, total = [], 0.0
        for name, probability in self.classes.items():
            chosen.append(name)
            total += probability
            if total >= SUMS[0.9]:
                break
        return chosen

    @property
    def agreement(self) -> str:
        """Who said what of the extinction class, in one sentence."""
        if self.recognition is None:
            return "No known structure votes: this is what lattice and absences show."
        if not self.recognition.known:
            return "No known structure fits: this is what lattice and absences show."
        voted = next(iter(self.recognition.classes))
        if not self.observation.lattices:
            return f"Known structures vote for {_named(voted)}; no lattice was found to judge absences on."
        if self.observation.measured is None:
            return (
                f"Known structures vote for {_named(voted)}; a list of peaks shows no absences, and the "
                "probabilities are those of its lattices alone."
            )
        # Where nothing voted, the absences speak in the groups themselves.
        shown = self.observation.by_absences or self.observation.groups
        alone: dict[tuple[str, str], float] = {}
        for number, probability in shown:
            alone[_class_of(number)] = alone.get(_class_of(number), 0.0) + probability
        best = max(alone, key=lambda name: alone[name])
        if best == voted:
            return f"Absences and known structures agree on {_named(best)}."
        return (
            f"Absences alone show {_named(best)} ({alone[best]:.2f}); known structures vote for "
            f"{_named(voted)} ({self.recognition.classes[voted]:.2f})."
        )

    @property
    def asked(self) -> str:
        """Which known structures were asked, and what others would add, in one or two sentences."""
        larger = f"name a table of known structures (--database, or {DATABASE} in the environment)"
        if self.database is None:
            return f"No known structure was asked. If the crystal may be known, {larger}."
        if self.recognition is None:
            return f"Too few peaks between d = 0.94 and 25 angstrom to ask what {self.database} knows."
        number = f"{self.recognition.structures:,} known structures"
        if self.database != PACKAGED:
            return f"{number} of {self.database} were asked."
        return (
            f"{number} were asked, the prototypes that come with xtinct. "
            f"If the crystal may be known, {larger}: of crystals that "
            "the Materials Project has, its table names the class of nearly nine in ten."
        )

    @property
    def summary(self) -> str:
        """The most probable of each, in one line."""
        (system, p_system), (kind, p_kind), (name, p_class), (number, p_group) = (
            next(iter(ranked.items()))
            for ranked in (self.systems, self.bravais_lattices, self.classes, self.groups)
        )
        return (
            f"Most probable: {system} ({p_system:.2f}), Bravais lattice {kind} ({p_kind:.2f}), class "
            f"{name[1]} ({p_class:.2f}), space group {hermann_mauguin(number)} ({number}; {p_group:.2f})."
        )

    def _summed(self, of: Callable[[int], Hashable]) -> dict:
        sums: dict = {}
        for number, probability in self.observation.groups:
            sums[of(number)] = sums.get(of(number), 0.0) + probability
        return dict(sorted(sums.items(), key=lambda item: -item[1]))

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values, for JSON."""
        return {
            "name": self.observation.name,
            "lattice": None if self.lattice is None else self.lattice.to_dict(),
            "no_lattice_probability": self.observation.unknown,
            "crystal_systems": self.systems,
            "families": self.families,
            "bravais_lattices": self.bravais_lattices,
            "classes": [
                {"family": family, "symbol": symbol, "probability": p}
                for (family, symbol), p in self.classes.items()
            ],
            "class_set_90": [{"family": family, "symbol": symbol} for family, symbol in self.class_set],
            "groups": [
                {"number": g, "symbol": hermann_mauguin(g), "probability": p} for g, p in self.groups.items()
            ],
            "similar_structures": [known.to_dict() for known in self.similar],
            "agreement": self.agreement,
            "asked": self.asked,
            "observation": self.observation.to_dict(),
            "recognition": None if self.recognition is None else self.recognition.to_dict(),
        }

    def to_json(self) -> str:
        """`to_dict` as text."""
        return json.dumps(self.to_dict(), indent=1)

    def to_cif(self, path=None) -> str:
        """CIF text of the best cell, with a block for every group of the best class; see `Observation`."""
        return self.observation.to_cif(path)

    def to_input(self, path) -> None:
        """Write the input of the program that `path` is named for; see `Observation`."""
        self.observation.to_input(path)

    def plot(self, path) -> None:
        """Write the picture of the observation: .svg, .png or .html."""
        self.observation.plot(path)

    def __str__(self) -> str:
        parts = [self.summary, f"{self.observation}", self.agreement, self.asked]
        if self.recognition is not None:
            parts.append(told(self.recognition, alone=False))
        if self.observation.groups and self.observation.lattices:
            names = ", ".join(_named(name) for name in self.class_set)
            parts.insert(2, f"Classes that hold the true one for 90 % of patterns: {names}.")
        return "\n\n".join(parts)


def _named(name: tuple[str, str]) -> str:
    return f"{name[1]} ({name[0]})"

"""One answer on the symmetry of a powder, and who said what."""

import json
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xtinct.lattices.bravais import reduced, relation
from xtinct.observer.answer import wording
from xtinct.observer.answer.answer_data import LatticeAnswer
from xtinct.observer.answer.observation import Observation
from xtinct.recognition.known_structures import PACKAGED
from xtinct.recognition.recognising import DATABASE
from xtinct.recognition.recognition import Known, Recognition, told
from xtinct.symmetry.absences import absent
from xtinct.symmetry.classes import class_symbol
from xtinct.symmetry.families import crystal_system, family_of
from xtinct.symmetry.operations import bravais_lattice, centring, hermann_mauguin
from xtinct.symmetry.reflection_conditions import box

#: Sum of probabilities up to which classes are in the set of 90 %; and where absences and known structures
#: name different classes, so that sets hold the true one in both cases (`benchmarks/joint/README.md`).
SUM, SUM_APART = 0.75, 0.9
#: Probabilities above which a part of the answer is called sure, and below which it is called open.
SURE, OPEN = 0.9, 0.5
#: Probability that no lattice is right above which the text says where that share goes.
UNKNOWN = 0.1
#: Lines of the pattern that the text shows.
_LINES = 20


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
        """Extinction classes that hold the true one for 90 % of patterns, most probable first.

        Where absences and known structures name different classes, more of them.
        """
        alone = self._by_absences()
        apart = alone is not None and max(alone, key=lambda name: alone[name]) != self._voted()
        chosen, total = [], 0.0
        for name, probability in self.classes.items():
            chosen.append(name)
            total += probability
            if total >= (SUM_APART if apart else SUM):
                break
        return chosen

    def _voted(self) -> tuple[str, str]:
        """The class that known structures vote for."""
        return next(iter(self.recognition.classes))

    def _by_absences(self) -> dict[tuple[str, str], float] | None:
        """Probability of every class by absences alone; None where no absences or no votes were asked."""
        observation = self.observation
        if self.recognition is None or not self.recognition.known:
            return None
        if not observation.lattices or observation.measured is None:
            return None
        # Where nothing voted, the absences speak in the groups themselves.
        alone: dict[tuple[str, str], float] = {}
        for number, probability in observation.by_absences or observation.groups:
            alone[_class_of(number)] = alone.get(_class_of(number), 0.0) + probability
        return alone

    @property
    def agreement(self) -> str:
        """Who said what of the extinction class, in one sentence."""
        if self.recognition is None and not self.observation.lattices:
            return "No known structure was held against the peaks."
        if self.recognition is None:
            return "No known structure votes: this is what lattice and absences show."
        if not self.recognition.known:
            return "No known structure fits: this is what lattice and absences show."
        voted = self._voted()
        if not self.observation.lattices:
            return f"Known structures vote for {_named(voted)}; no lattice was found to judge absences on."
        if self.observation.measured is None:
            return (
                f"Known structures vote for {_named(voted)}; a list of peaks shows no absences, and the "
                "probabilities are those of its lattices alone."
            )
        alone = self._by_absences()
        best = max(alone, key=lambda name: alone[name])
        if not self.observation.by_absences:
            return (
                f"Known structures vote for {_named(voted)}; the probabilities are those of lattice and "
                "absences alone: the pattern has no noise, or none of them has the cell that is told."
            )
        if best == voted:
            together = next(iter(self.classes))
            if together != best:
                # Votes count within each lattice, so the sum over lattices can lead elsewhere than both.
                return (
                    f"Absences and known structures each name {_named(best)}; weighed together, lattice by "
                    f"lattice, {_named(together)} leads."
                )
            return f"Absences and known structures agree on {_named(best)}."
        return (
            f"Absences alone show {_named(best)} ({alone[best]:.2f}); known structures vote for "
            f"{_named(voted)} ({self.recognition.classes[voted]:.2f}).{self._scattering_alike(best)}"
        )

    def _scattering_alike(self, shown: tuple[str, str]) -> str:
        """That the best known structure fits too, if it has lines more than the class that absences show, and
        none of them can be seen: those of KCl, CsI and GaAs depend on how differently two atoms scatter."""
        known, lattice = self.recognition.known[0], self.lattice
        if self.recognition.probability < OPEN or shown[0] != lattice.family:
            return ""
        index = relation(reduced(known.cell, centring(known.number)), reduced(lattice.cell, lattice.centring))
        if index < 1:
            return ""
        if index == 1:
            number = next(n for n, _ in self.observation.by_absences if _class_of(n) == shown)
            hkl = box(4)
            missing, not_shown = absent(known.number, hkl), absent(number, hkl)
            if (missing & ~not_shown).any() or (missing == not_shown).all():
                return ""
        return (
            f" {known.formula}, {known.symbol}, fits too: lines that need two atoms to scatter differently "
            "are too weak to be seen where both scatter alike."
        )

    @property
    def asked(self) -> str:
        """Which known structures were asked, and what others would add, in one or two sentences."""
        larger = f"name a table of known structures (--database, or {DATABASE} in the environment)"
        if self.database is None:
            return f"No known structure was asked. If the crystal may be known, {larger}."
        if self.recognition is None:
            which = "that come with xtinct" if self.database == PACKAGED else f"of {self.database}"
            return (
                "Too few peaks between d = 0.94 and 25 angstrom to hold them against the known structures "
                f"{which}."
            )
        number = f"{self.recognition.structures:,} known structures"
        if self.database != PACKAGED:
            return f"{number} of {self.database} were asked."
        return (
            f"{number} were asked, those that come with xtinct. "
            f"If the crystal may be known, {larger}: of crystals that "
            "the Materials Project has, its table names the class of 86 in 100."
        )

    @property
    def summary(self) -> str:
        """The most probable of each, in one line; without a lattice, that there is no answer."""
        if not self.observation.lattices:
            text = "No lattice was found, so the pattern does not show the symmetry."
            if self.recognition is None or not self.recognition.known:
                return text
            name, p = next(iter(self.classes.items()))
            return f"{text} By known structures alone the class {_named(name)} leads ({p:.2f})."
        parts = [f"{name} {text} ({p:.2f})" for name, text, p in self._levels()]
        return f"Most probable: {', '.join(parts)}."

    @property
    def certainty(self) -> str:
        """Which parts of the summary are sure and which are open, and whether they belong together."""
        if not self.observation.lattices:
            return ""
        # As they are printed: 0.90 is not above 0.9.
        levels = [(name, text, round(p, 2)) for name, text, p in self._levels()]
        sure = [name for name, _, p in levels if p > SURE]
        likely = [name for name, _, p in levels if OPEN <= p <= SURE]
        left = [name for name, _, p in levels if p < OPEN]
        kinds = (
            (f"Sure (above {SURE})", sure),
            (f"Likely ({OPEN} to {SURE})", likely),
            (f"Open (below {OPEN})", left),
        )
        text = " ".join(f"{kind}: {', '.join(names)}." for kind, names in kinds if names)
        group, kind = next(iter(self.groups)), next(iter(self.bravais_lattices))
        first = (next(iter(self.systems)), kind, next(iter(self.classes)))
        if (crystal_system(group), bravais_lattice(group), _class_of(group)) != first:
            text += " They do not belong to one crystal: each is a sum over all that is possible."
        if self.lattice.bravais != kind:
            text += f" The best single lattice is {self.lattice.bravais} ({self.lattice.probability:.2f})."
        if self.observation.unknown > UNKNOWN:
            voted = self.recognition is not None and self.recognition.known
            by = "known structures" if voted else "what was expected beforehand"
            text += (
                f" A probability of {self.observation.unknown:.2f} is left for lattices that were not found; "
                f"it is shared out by {by}."
            )
        return text

    def _levels(self) -> tuple[tuple[str, str, float], ...]:
        """Name, text and probability of the most probable crystal system, lattice, class and group."""
        (system, p_system), (kind, p_kind), (name, p_class), (number, p_group) = (
            next(iter(ranked.items()))
            for ranked in (self.systems, self.bravais_lattices, self.classes, self.groups)
        )
        return (
            ("crystal system", system, p_system),
            ("Bravais lattice", kind, p_kind),
            ("extinction class", name[1], p_class),
            ("space group", f"{hermann_mauguin(number)}, no. {number}", p_group),
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
            "summary": self.summary,
            "certainty": self.certainty,
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
        observation, found = self.observation, self.recognition
        symbols: dict[str, list[str]] = {}
        for family, symbol in self.class_set:
            symbols.setdefault(family, []).append(symbol)
        by_family = "; ".join(f"{', '.join(those)} ({family})" for family, those in symbols.items())
        reckoned = (
            f"Classes to reckon with: {by_family}. On laboratory scans, nine such sets in ten held "
            "the true class."
        )
        parts = [
            observation.name,
            f"{self.summary}\n{self.certainty}".rstrip(),
            reckoned if observation.lattices else "",
            self.agreement,
            wording.statements(observation),
            wording.symmetry(observation) if observation.lattices else "",
            "" if found is None else told(found, alone=False),
            wording.lines(observation, _LINES),
            self.asked,
        ]
        return "\n\n".join(part for part in parts if part)

    # In a notebook and at the prompt an answer is what a person reads, not its thousands of numbers.
    __repr__ = __str__


def _named(name: tuple[str, str]) -> str:
    return f"{name[1]} ({name[0]})"

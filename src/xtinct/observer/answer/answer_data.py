"""What the observer says of a measured pattern, as data."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from xtinct.observer.fitting.pawley import LatticeFit
from xtinct.observer.judging.lattice_classes import DecidingLine
from xtinct.observer.peaks.gridded import Measured
from xtinct.radiation.tubes import Radiation
from xtinct.symmetry.operations import bravais_lattice, hermann_mauguin

#: Names of the six numbers of a cell.
CELL = ("a", "b", "c", "alpha", "beta", "gamma")


@dataclass(frozen=True)
class Statement:
    """Something to be known of an answer: `kind` is one of KINDS; `help`, what to do about it."""

    kind: str
    text: str
    help: str = ""

    def __str__(self) -> str:
        return f"{self.text} {self.help}".strip()


#: What statements are about.
KINDS = (
    "reading",
    "radiation",
    "amorphous",
    "few lines",
    "broad",
    "range",
    "foreign lines",
    "second phase",
    "shift",
    "no lattice",
    "undecided",
)


@dataclass(frozen=True)
class LatticeAnswer:
    """A lattice, with its probability among all.

    family, bravais  crystal family and Bravais lattice (aP ... cF)
    centring         letter of the centring on the axes of `cell` (P A B C I F R)
    cell             float64 (6,), angstrom and degrees; cell_error, standard uncertainties, NaN where unknown
    probability      that this is the lattice of the crystal, its symmetry included
    cell_probability that this is its cell, whatever the symmetry: the sum over the lattices of the answer
                     with the same primitive cell within 2.5 % and 2 degrees
    m20, f20         figures of merit of de Wolff (1968) and of Smith and Snyder (1979), over up to 20 lines
    score            log-likelihood ratio of the lines over chance, less the costs of the metric's numbers;
                     infinite (None in JSON) where the exact law found the lattice
    volume           of the conventional cell, angstrom^3
    """

    family: str
    bravais: str
    centring: str
    cell: np.ndarray
    cell_error: np.ndarray
    probability: float
    m20: float
    f20: float
    score: float
    volume: float
    cell_probability: float = math.nan

    def to_dict(self) -> dict[str, object]:
        """Plain values; unknown uncertainties are None."""
        return {
            "family": self.family,
            "bravais": self.bravais,
            "centring": self.centring,
            "cell": [float(x) for x in self.cell],
            "cell_uncertainty": [float(x) if math.isfinite(x) else None for x in self.cell_error],
            "volume": self.volume,
            "probability": self.probability,
            "cell_probability": self.cell_probability,
            "M20": self.m20,
            "F20": self.f20,
            "score": self.score if math.isfinite(self.score) else None,
        }

    def cell_text(self) -> list[str]:
        """The six numbers with their uncertainties in brackets."""
        return [with_error(*pair) for pair in zip(self.cell, self.cell_error, strict=True)]


@dataclass(frozen=True)
class LineAnswer:
    """An observed line: hkl is None where the best lattice has no line; angles in degrees, d in angstrom."""

    hkl: tuple[int, int, int] | None
    two_theta: float
    error: float
    calculated: float | None
    d: float
    area: float
    area_error: float
    fwhm: float

    def to_dict(self) -> dict[str, object]:
        """Plain values."""
        names = ("two_theta", "error", "calculated", "d", "area", "area_error", "fwhm")
        return {"hkl": list(self.hkl) if self.hkl else None, **{name: getattr(self, name) for name in names}}


@dataclass(frozen=True)
class ClassAnswer:
    """An extinction class with its probability; members, numbers of its space groups."""

    family: str
    symbol: str
    members: tuple[int, ...]
    probability: float

    def to_dict(self) -> dict[str, object]:
        """Plain values; groups as number and symbol."""
        groups = [{"number": g, "symbol": hermann_mauguin(g)} for g in self.members]
        return {
            "family": self.family,
            "symbol": self.symbol,
            "space_groups": groups,
            "probability": self.probability,
        }


@dataclass(frozen=True)
class AnswerData:
    """What the observer says of a pattern.

    name         of the pattern
    radiation    taken; None for a list of d values whose wavelength nobody tells
    lattices     candidates, the best of the most probable cell first, then by probability; empty where none
                 was found
    unknown      probability that the lattice is none of them
    families     probability of every crystal family, the most probable first
    classes      extinction classes, most probable first; groups, (number, probability) likewise
    read_as      (family, symbol) of the best class of the best lattice, where its lines were judged
    lines        observed lines, ascending
    by_absences  groups by what the absences show alone, where something else votes too; empty without
    deciding     for each rival of the best lattice's best class, the lines that decide, strongest first
    statements   what is to be known
    measured     the pattern as it was judged, None for a list; fit, the whole-pattern fit of the best lattice
    absent       2theta of the lines that this class forbids, degrees
    axes         of every group of this class: int64 (3, 3), hkl @ this are those of its standard setting
    """

    name: str
    radiation: Radiation | None
    lattices: list[LatticeAnswer]
    unknown: float
    families: dict[str, float]
    classes: list[ClassAnswer]
    groups: list[tuple[int, float]]
    lines: list[LineAnswer]
    by_absences: list[tuple[int, float]] = field(default_factory=list)
    deciding: dict[str, list[DecidingLine]] = field(default_factory=dict)
    statements: list[Statement] = field(default_factory=list)
    measured: Measured | None = None
    fit: LatticeFit | None = None
    absent: np.ndarray = field(default_factory=lambda: np.zeros(0))
    axes: dict[int, np.ndarray] = field(default_factory=dict)
    read_as: tuple[str, str] | None = None

    @property
    def lattice_class(self) -> ClassAnswer | None:
        """The best class of the best lattice, None where no lattice was found.

        It need not be the most probable class of all: that may belong to other lattices.
        """
        best = self.lattice
        if best is None:
            return None
        if self.read_as is not None:
            return next(c for c in self.classes if (c.family, c.symbol) == self.read_as)
        own = [c for c in self.classes if c.family == best.family]
        suits = (c for c in own if bravais_lattice(c.members[0]) == best.bravais)
        return next(suits, own[0] if own else None)

    @property
    def lattice(self) -> LatticeAnswer | None:
        """The best lattice of the most probable cell, None where none was found."""
        return self.lattices[0] if self.lattices else None


def with_error(value: float, error: float) -> str:
    """A number with its uncertainty in brackets, two digits of it: 10.6040(12)."""
    if not math.isfinite(error) or error <= 0:
        return f"{value:.5g}" if error != 0 else f"{value:g}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    scaled = round(error * 10**digits)
    if digits > 8:
        return f"{value:.8f}"
    return f"{value:.{digits}f}({scaled})"


def spread(values: Mapping[int, float]) -> list[tuple[int, float]]:
    """(key, probability), most probable first; equal ones by number."""
    return sorted(values.items(), key=lambda item: (-item[1], item[0]))

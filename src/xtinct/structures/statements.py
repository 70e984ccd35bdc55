"""What a file says of the content of its own cell, held against the content that was read."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import gemmi

#: g/cm^3 of one atomic mass unit per cubic angstrom.
DENSITY_UNIT = 1.66053907
#: Relative differences of an amount or a density that rounding and analyses explain.
TOLERANCE = 0.05
#: Mass with hydrogen over mass without, where it is not known how much is missing.
_HYDROGEN_SHARE = 1.05
#: Masses of isotopes that have a symbol of their own, atomic mass units.
_MASSES = {"D": 2.014, "T": 3.016}
_TERM = re.compile(r"([A-Z][a-z]?)(\d+\.?\d*|\.\d+|)", re.ASCII)
_GROUP = re.compile(r"\(([A-Za-z0-9.\s]*)\)\s*(\d+\.?\d*|\.\d+|)", re.ASCII)

AGREES, RESOLVED, CONTRADICTS, SILENT = "agreeing", "resolved", "contradicting", "silent"
#: The ways in which a structure can stand to what its file says of it.
VERDICTS = (AGREES, RESOLVED, CONTRADICTS, SILENT)


@dataclass(frozen=True)
class Statements:
    """A file's own words on its cell; None where it has none.

    formula  atoms of one formula unit, hydrogen isotopes as H
    units    formula units in the cell (Z)
    density  g/cm^3
    """

    formula: Mapping[str, float] | None = None
    units: float | None = None
    density: float | None = None


@dataclass(frozen=True)
class CellContent:
    """What was read: atoms in the cell by element (isotopes apart), positions by element, angstrom^3."""

    atoms: Mapping[str, float]
    positions: Mapping[str, float]
    volume: float


@dataclass(frozen=True)
class Verdict:
    """How a structure stands to the statements.

    kind      AGREES, CONTRADICTS or SILENT
    amounts   whether Z or the density, which tell the number of atoms, are among what agrees
    detail    both values of the first contradiction, for a person
    """

    kind: str
    amounts: bool = False
    detail: str = ""


@lru_cache(maxsize=65536)
def read_formula(text: str) -> Mapping[str, float] | None:
    """Atoms by element of a formula such as `H12 Cl2 Mg O6` or `Cl2 (H2 O)6 Mg`; None if it is none.

    Deuterium and tritium are counted as hydrogen.
    """
    text = re.sub(r"\s+\d*[+-]\s*$", "", text.strip())
    while "(" in text and (unfolded := _GROUP.sub(_unfold, text)) != text:
        text = unfolded
    if _TERM.sub("", text).strip():
        return None
    amounts: dict[str, float] = {}
    for symbol, count in _TERM.findall(text):
        element = "H" if symbol in ("D", "T") else symbol
        if not _known(element):
            return None
        amounts[element] = amounts.get(element, 0.0) + (float(count) if count else 1.0)
    amounts = {symbol: amount for symbol, amount in amounts.items() if amount}
    return amounts or None


@lru_cache(maxsize=1024)
def _known(symbol: str) -> bool:
    element = gemmi.Element(symbol)
    return element.atomic_number > 0 and element.name == symbol


def _unfold(group: re.Match[str]) -> str:
    """`(H2 O)6` as `H12 O6`; what is no formula stays none."""
    if _TERM.sub("", group[1]).strip():
        return "?"
    times = float(group[2] or 1)
    return (
        " ".join(f"{symbol}{float(count or 1) * times:g}" for symbol, count in _TERM.findall(group[1])) + " "
    )


@lru_cache(maxsize=256)
def _mass(symbol: str) -> float:
    return _MASSES.get(symbol) or gemmi.Element(symbol).weight


def check(content: CellContent, said: Statements, *, hydrogen_missing: bool) -> Verdict:
    """The content of a cell against what its file says.

    Hydrogen may be missing, wholly or in part; more than the formula has is a contradiction. Z and density
    are two words on one thing: where they contradict each other, one that agrees together with the
    proportions of the formula is enough.
    """
    amounts = _isotopes_joined(content.atoms)
    proportions = counts = None
    if said.formula is not None:
        own = _scale(amounts, said.formula)
        proportions = _difference(amounts, said.formula, own)
        if proportions and content.positions != content.atoms:
            # Formulas of structure types count positions, whatever their occupancy.
            filled = _isotopes_joined(content.positions)
            if not _difference(filled, said.formula, _scale(filled, said.formula)):
                amounts, proportions = filled, ""
        if said.units:
            counts = _difference(amounts, said.formula, said.units)
    return _verdict(proportions, counts, _density(content, said, proportions == "", hydrogen_missing))


def _density(
    content: CellContent, said: Statements, proportional: bool, hydrogen_missing: bool
) -> str | None:
    """Both densities if they differ; empty if they agree, None if none is stated."""
    if not said.density:
        return None
    atoms = _isotopes_joined(content.atoms)
    mass = sum(amount * _mass(symbol) for symbol, amount in content.atoms.items())
    if said.formula is not None and proportional:
        lost = _scale(atoms, said.formula) * said.formula.get("H", 0.0) - atoms.get("H", 0.0)
        mass += max(0.0, lost) * _mass("H")
    elif hydrogen_missing:
        mass *= _HYDROGEN_SHARE
    found = mass / content.volume * DENSITY_UNIT
    if abs(found / said.density - 1) <= TOLERANCE:
        return ""
    return f"density {found:.4g} g/cm3 read, {said.density:.4g} stated"


def _isotopes_joined(atoms: Mapping[str, float]) -> dict[str, float]:
    joined: dict[str, float] = {}
    for symbol, amount in atoms.items():
        element = "H" if symbol in ("D", "T") else symbol
        joined[element] = joined.get(element, 0.0) + amount
    return joined


def _verdict(proportions: str | None, counts: str | None, density: str | None) -> Verdict:
    said = [detail for detail in (proportions, counts, density) if detail is not None]
    if not said:
        return Verdict(SILENT)
    if proportions:
        return Verdict(CONTRADICTS, detail=proportions)
    if counts == "" or density == "":
        return Verdict(AGREES, amounts=True)
    if counts or density:
        return Verdict(CONTRADICTS, detail=counts or density)
    return Verdict(AGREES)


def _scale(amounts: Mapping[str, float], formula: Mapping[str, float]) -> float:
    """Formula units that the heavy atoms of the cell make up."""
    heavy = [symbol for symbol in formula if symbol != "H"] or list(formula)
    total = sum(formula[symbol] for symbol in heavy)
    return sum(amount for symbol, amount in amounts.items() if symbol in heavy) / total


def _difference(amounts: Mapping[str, float], formula: Mapping[str, float], units: float) -> str:
    """Both contents if they differ; empty if they agree."""
    for symbol in amounts.keys() | formula.keys():
        read, stated = amounts.get(symbol, 0.0), units * formula.get(symbol, 0.0)
        if symbol == "H" and read < stated and len(formula) > 1:
            continue
        if not abs(read - stated) <= TOLERANCE * stated + 0.02 * units:
            return _both(amounts, formula, units)
    return ""


def _both(amounts: Mapping[str, float], formula: Mapping[str, float], units: float) -> str:
    stated = {symbol: units * amount for symbol, amount in formula.items()}
    return f"cell content {_shown(amounts)} read, {_shown(stated)} stated (formula x {units:g})"


def _shown(amounts: Mapping[str, float]) -> str:
    return " ".join(f"{symbol}{amounts[symbol]:.4g}" for symbol in sorted(amounts) if amounts[symbol])


def positive(value: float) -> float | None:
    """`value` if it is a finite positive number, else None."""
    return value if math.isfinite(value) and value > 0 else None

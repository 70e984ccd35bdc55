"""Names that say what a structure is: reduced formula, protostructure, prototype.

The protostructure label is that of Goodall et al. (Sci. Adv. 8, eabn4117, 2022) as pymatgen makes it,
e.g. `AB_cF8_225_a_b:Cl-Na`: anonymous formula, Pearson symbol, space group, Wyckoff letters of each
element, and the elements in alphabetical order. A shared or partly occupied site counts as an element
of its own, named by what occupies it, so that solid solutions have labels too. The prototype is the label
without regard to which element is which; structures with one prototype are isopointal.
"""

import gzip
import json
import re
import string
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.util import find_spec
from math import gcd
from pathlib import Path

from xtinct.structures.crystal import Species


def species_name(species: Species) -> str:
    """`Na` for a full site of one element; `(Al0.25Si0.75)` for anything else."""
    if len(species) == 1 and species[0][1] == 1.0:
        return species[0][0]
    return "(" + "".join(f"{symbol}{occupancy:g}" for symbol, occupancy in species) + ")"


def protostructure_label(
    number: int, pearson: str, orbits: Sequence[tuple[Species, str]], sites: Sequence[Species]
) -> str | None:
    """Label of a structure of space group `number`; None if it cannot be made.

    `orbits`: what occupies each Wyckoff position and the position's letter. `sites`: what occupies
    each site of the conventional cell; the label is refused when the multiplicities of the letters
    do not add up to it.
    """
    counts = {species_name(kind): n for kind, n in Counter(sites).items()}
    if len(counts) > len(string.ascii_uppercase):
        return None
    names = sorted(counts)
    letters: dict[str, Counter[str]] = {name: Counter() for name in names}
    for site, letter in orbits:
        letters[species_name(site)][letter] += 1
    of_letter = _table("multiplicities")[str(number)]
    if any(sum(n * of_letter[w] for w, n in letters[name].items()) != counts[name] for name in names):
        return None
    divisor = gcd(*counts.values())
    formula = "".join(
        symbol + (str(counts[name] // divisor) if counts[name] > divisor else "")
        for symbol, name in zip(string.ascii_uppercase, names, strict=False)
    )
    forms = _relabelled(number, [sorted(letters[name].items()) for name in names])
    wyckoffs = min("_".join(form) for form in _of_lowest_letters(forms))
    return f"{formula}_{pearson}_{number}_{wyckoffs}:{'-'.join(names)}"


def _relabelled(number: int | str, wyckoffs: list[list[tuple[str, int]]]) -> list[list[str]]:
    """Wyckoff strings of each element ("a2e") under every relabelling by choice of origin or axes."""
    forms = []
    for relabelling in _table("relabelings")[str(number)]:
        letter_of = {chr(int(code)): letter for code, letter in relabelling.items()}
        moved = [sorted((letter_of.get(letter, letter), n) for letter, n in element) for element in wyckoffs]
        forms.append(["".join(f"{n if n > 1 else ''}{letter}" for letter, n in element) for element in moved])
    return forms


def _of_lowest_letters(forms: list[list[str]]) -> list[list[str]]:
    """The forms whose letters come earliest in the alphabet ("A", 27th letter of group 47, counts 0)."""
    scores = [sum(max(0, ord(c) - 96) for text in form for c in text if c.isalpha()) for form in forms]
    return [form for form, score in zip(forms, scores, strict=True) if score == min(scores)]


@lru_cache(maxsize=65536)
def prototype(protostructure: str) -> str:
    """Prototype of a protostructure label: equal for all isopointal structures.

    The Wyckoff strings of the elements are sorted with their counts, under every relabelling of the
    Wyckoff positions that a shift of origin or axes allows, and the first in order is taken.
    """
    formula, pearson, number, *wyckoffs = protostructure.partition(":")[0].split("_")
    counts = [int(n or 1) for n in re.findall(r"[A-Z](\d*)", formula)]
    positions = [
        [(letter, int(n or 1)) for n, letter in re.findall(r"(\d*)([A-Za-z])", text)] for text in wyckoffs
    ]
    forms = [sorted(zip(counts, form, strict=True)) for form in _relabelled(number, positions)]
    first = min(forms)
    anonymous = "".join(
        f"{symbol}{count if count > 1 else ''}"
        for symbol, (count, _) in zip(string.ascii_uppercase, first, strict=False)
    )
    return "_".join([anonymous, pearson, number, *(text for _, text in first)])


def reduced_formula(composition: Mapping[str, float]) -> str:
    """Reduced formula, elements in order of electronegativity, of atoms per cell."""
    return _reduced_formula(tuple((symbol, round(amount, 3)) for symbol, amount in composition.items()))


@lru_cache(maxsize=65536)
def _reduced_formula(composition: tuple[tuple[str, float], ...]) -> str:
    from pymatgen.core import Composition

    with warnings.catch_warnings():
        # Noble gases and the heaviest elements have no electronegativity; they come last.
        warnings.filterwarnings("ignore", "No Pauling electronegativity")
        return Composition(dict(composition)).reduced_formula


@lru_cache(maxsize=2)
def _table(name: str) -> dict:
    """A table of Wyckoff letters by space group number, from pymatgen's package data.

    Read as a file: importing the module around it costs seconds, which every job would pay.
    """
    folder = Path(find_spec("pymatgen.analysis").submodule_search_locations[0]) / "prototypes"
    with gzip.open(folder / f"wyckoff-position-{name}.json.gz") as stream:
        return json.load(stream)

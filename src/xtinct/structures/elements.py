"""What sits on a site, from the type symbol or the label that a file gives it. Nothing is guessed."""

import re
from functools import lru_cache

import gemmi

from xtinct.structures.crystal import RejectedError

#: Symbols of groups whose hydrogen atoms were not located: the atom that stands for them.
HYDROGEN_GROUPS = {
    "OH": "O", "OW": "O", "WAT": "O", "H2O": "O", "HOH": "O", "D2O": "O", "OH2": "O", "H3O": "O", "OD": "O",
    "NH": "N", "NH2": "N", "NH3": "N", "NH4": "N", "CH": "C", "CH2": "C", "CH3": "C",
}  # fmt: skip
#: Isotopes with a name of their own, as types.
ISOTOPES = {"D": "D", "T": "T", "2H": "D", "3H": "T"}
#: Two capitals that are an element or a group of two light atoms: only the formula can tell.
_TWO_ATOMS = frozenset({"NO", "CO", "HO", "CN", "PO", "CF", "BH"})
#: Elements from here on were never crystallised.
_HEAVIEST = 103
_TYPE = re.compile(r"(2H|3H|[A-Za-z]+)(?:\d+(?:\.\d+)?)?(?:[+-]\d*)?", re.ASCII)
#: Valence form factors of International Tables.
_VALENCE = {"Cval": "C", "Siva": "Si", "Sival": "Si"}
_PART = r"([A-Z][a-z]?)(0?\.\d+)"
_MIXTURE = re.compile(rf"(?:{_PART}){{2,}}", re.ASCII)

#: (element symbol, share of the site's occupancy) pairs.
Occupants = tuple[tuple[str, float], ...]


def occupants(type_symbol: str, label: str, formula: frozenset[str]) -> tuple[Occupants, bool]:
    """Elements of a site and their shares, and whether hydrogen that no site shows belongs to it.

    `type_symbol`: `Fe`, `Fe3+`, `O2-`, `FE`, `D`, `T`, `OH`, `H2O`, or a mixture `Si0.75Al0.25` whose shares
    add up to 1; empty where the file has none, and then the label decides. `formula`: the elements of the
    file's formula, which tells HO1 (a hydrogen) from Ho1; empty if there is none. RejectedError
    (unknown_species) where the name is no element, or more than one.
    """
    try:
        if type_symbol:
            return _plain(type_symbol) or _of_type(type_symbol, formula)
        return _of_label(label, formula)
    except ValueError as error:
        raise RejectedError("unknown_species", f"site {label or '?'}: {error}") from None


@lru_cache(maxsize=4096)
def _plain(text: str) -> tuple[Occupants, bool] | None:
    """What `Fe` or `Fe3+` is; None for everything that needs a closer look."""
    found = re.fullmatch(r"([A-Z][a-z]?)(?:\d?[+-])?", text, re.ASCII)
    return (((found[1], 1.0),), False) if found and _exists(found[1]) else None


@lru_cache(maxsize=65536)
def _of_type(text: str, formula: frozenset[str]) -> tuple[Occupants, bool]:
    if _MIXTURE.fullmatch(text):
        return _mixture(text), False
    found = _TYPE.fullmatch(text)
    name = text if text.upper() in HYDROGEN_GROUPS else found[1] if found else ""
    name = _VALENCE.get(name, name)
    if not name:
        raise ValueError(f"{text!r} is not an element")
    if name in ISOTOPES:
        return ((ISOTOPES[name], 1.0),), False
    return _of_name(name, text, formula, whole=True)


@lru_cache(maxsize=65536)
def _of_label(text: str, formula: frozenset[str]) -> tuple[Occupants, bool]:
    name = _label_letters(text)
    if not name:
        raise ValueError("its label does not begin with an element")
    return _of_name(name, text, formula, whole=False)


def _of_name(name: str, text: str, formula: frozenset[str], *, whole: bool) -> tuple[Occupants, bool]:
    if (group := HYDROGEN_GROUPS.get(name.upper())) is not None and not _is_element(name, formula):
        return ((group, 1.0),), True
    return ((_element(name, text, formula, whole=whole), 1.0),), False


def _is_element(name: str, formula: frozenset[str]) -> bool:
    """Whether a name that is also a group's is the element: Nh, or an element that the formula has."""
    return (
        len(name) == 2 and (name[1].islower() or name.capitalize() in formula) and _exists(name.capitalize())
    )


def _mixture(text: str) -> Occupants:
    parts = [(symbol, float(share)) for symbol, share in re.findall(_PART, text)]
    if any(not _exists(symbol) and symbol not in ISOTOPES for symbol, _ in parts):
        raise ValueError(f"{text!r} names something that is not an element")
    if abs(sum(share for _, share in parts) - 1) > 0.01 or len({symbol for symbol, _ in parts}) < len(parts):
        raise ValueError(f"{text!r} is a mixture whose shares do not add up to 1")
    return tuple(parts)


def _label_letters(label: str) -> str:
    """The letters that a label begins with; none if what follows is no serial number or further label."""
    found = re.match("[A-Za-z]+", label)
    if found is None or re.search(rf"[/|,&]|{_PART}", label):
        return ""
    return found.group()


def _element(name: str, text: str, formula: frozenset[str], *, whole: bool) -> str:
    """The one element that `name` can be: a whole type symbol, or the beginning of a label's letters."""
    candidates = _candidates(name, whole)
    if "T" in formula and name[0] == "T" and not whole and not name[1:2].islower():
        candidates.append("T")
    if formula:
        named = [symbol for symbol in candidates if _same(symbol, formula)]
        if len(named) == 1:
            return named[0]
        if len(named) > 1:
            raise ValueError(f"{text!r} can be {' or '.join(named)}; the formula has both")
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise ValueError(f"{text!r} is not an element")
    told = "the formula has neither" if formula else "no formula tells"
    raise ValueError(f"{text!r} can be {' or '.join(candidates)}; {told}")


def _same(symbol: str, formula: frozenset[str]) -> bool:
    return symbol in formula or (symbol in "HDT" and not formula.isdisjoint("HDT"))


def _candidates(name: str, whole: bool) -> list[str]:
    first, two = name[0].upper(), name[:2].capitalize()
    one = first if _exists(first) or first == "D" else ""
    pair = two if len(name) > 1 and _exists(two) else ""
    if whole:
        if len(name) == 1:
            return [one] if one else []
        if len(name) > 2 or not pair:
            return []
        # CO as a type is cobalt or carbonyl; Co and AL are what they say.
        return [pair, name] if name.isupper() and name in _TWO_ATOMS else [pair]
    if pair and len(name) > 1 and name[1].islower():
        return [pair]
    return [symbol for symbol in (pair, one) if symbol]


@lru_cache(maxsize=1024)
def _exists(symbol: str) -> bool:
    element = gemmi.Element(symbol)
    return 0 < element.atomic_number <= _HEAVIEST and element.name == symbol and symbol != "D"

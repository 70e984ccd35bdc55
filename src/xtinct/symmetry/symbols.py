"""ITA extinction symbols from reflection conditions (ITA 2016, sections 1.6.4 and 3.1.3).

A symbol is the centring letter followed by one entry per symmetry direction: the glide plane
and/or screw axis whose condition is observed, or a dash. The rules below are ITA's letters for
conditions; which conditions a group has is computed from its operations. Conditions that follow
from others (a row from its plane) carry no letter: `xtinct.symmetry.reflection_conditions` leaves them out.
"""

from collections.abc import Iterable

from xtinct.errors import XtinctError
from xtinct.symmetry.families import (
    CUBIC,
    HEXAGONAL,
    MONOCLINIC,
    ORTHORHOMBIC,
    TETRAGONAL,
    TRICLINIC,
    TRIGONAL,
    TRIGONAL_HEXAGONAL,
)
from xtinct.symmetry.reflection_conditions import Condition

_CENTRING = {
    frozenset(): "P",
    frozenset({"k+l=2n"}): "A",
    frozenset({"h+l=2n"}): "B",
    frozenset({"h+k=2n"}): "C",
    frozenset({"h+k+l=2n"}): "I",
    frozenset({"h+k=2n", "h+l=2n"}): "F",
    frozenset({"-h+k+l=3n"}): "R(obv)",
}

# (plane, row) of each symmetry direction, the representative zones of its equivalents.
_AXIAL = (("0kl", "h00"), ("h0l", "0k0"), ("hk0", "00l"))
_DIRECTIONS = {
    TRICLINIC: ((None, None),),
    MONOCLINIC: _AXIAL,
    ORTHORHOMBIC: _AXIAL,
    TETRAGONAL: (("hk0", "00l"), ("0kl", "h00"), ("hhl", None)),
    TRIGONAL: ((None, "00l"), ("0kl", None), ("hhl", None)),
    HEXAGONAL: ((None, "00l"), ("0kl", None), ("hhl", None)),
    TRIGONAL_HEXAGONAL: ((None, "00l"), ("0kl", None), ("hhl", None)),
    CUBIC: (("0kl", "h00"), (None, None), ("hhl", None)),
}

_GLIDES = {
    "0kl": {"k=2n": "b", "l=2n": "c", "k+l=2n": "n", "k+l=4n": "d"},
    "h0l": {"h=2n": "a", "l=2n": "c", "h+l=2n": "n", "h+l=4n": "d"},
    "hk0": {"h=2n": "a", "k=2n": "b", "h+k=2n": "n", "h+k=4n": "d"},
    "hhl": {"l=2n": "c", "h=2n": "c", "2h+l=4n": "d"},
}
# Where ITA names the same condition otherwise: (system, plane, condition, centring) -> letter.
_GLIDE_EXCEPTIONS = {
    (TETRAGONAL, "0kl", "k=2n", "I"): "c",  # k, l = 2n: glides b and c, named c
    (CUBIC, "0kl", "k=2n", "P"): "a",
    (CUBIC, "0kl", "k=2n", "I"): "a",
    (CUBIC, "hhl", "l=2n", "P"): "n",
}

_SCREWS = {
    MONOCLINIC: {"2n": "21"},
    ORTHORHOMBIC: {"2n": "21"},
    TETRAGONAL: {"2n": "42", "4n": "41"},
    TRIGONAL: {"3n": "31"},
    HEXAGONAL: {"2n": "63", "3n": "62", "6n": "61"},
    TRIGONAL_HEXAGONAL: {"2n": "63", "3n": "31(62)", "6n": "61"},
    CUBIC: {"2n": "21(42)", "4n": "41"},
}


def extinction_symbol(system: str, conditions: Iterable[Condition], unique_axis: str = "b") -> str:
    """ITA extinction symbol of a set of reflection conditions, "P 42/n - -".

    `system`: crystal system, or the family "trigonal-hexagonal", whose axes 31 and 62 give the same
    condition and are written "31(62)" as ITA writes 21(42) for cubic groups. `unique_axis` concerns
    monoclinic settings.
    """
    of_zone: dict[str, list[str]] = {}
    for condition in conditions:
        of_zone.setdefault(condition.zone, []).append(condition.condition)
    centring = _CENTRING[frozenset(of_zone.get("hkl", ()))]
    entries = []
    for plane, row in _DIRECTIONS[system]:
        screw = _screw(system, row, of_zone.get(row, ()))
        glide = _glide(system, plane, of_zone.get(plane, ()), centring[0])
        entries.append("/".join(filter(None, (screw, glide))) or "-")
    if system == MONOCLINIC:
        entries = _monoclinic_entries(entries, centring, unique_axis)
    elif system == ORTHORHOMBIC:
        entries = _centred_orthorhombic_entries(entries, centring)
    elif centring == "R(obv)":
        entries = entries[:2]  # rhombohedral lattices have two symmetry directions
    return " ".join([centring, *entries])


def _screw(system: str, row: str | None, conditions: Iterable[str]) -> str:
    if row is None or not conditions:
        return ""
    (condition,) = conditions
    period = condition.split("=")[1]
    if system == TETRAGONAL and row == "h00":
        return {"2n": "21"}[period]
    return _SCREWS[system][period]


def _glide(system: str, plane: str | None, conditions: Iterable[str], centring: str) -> str:
    if plane is None or not conditions:
        return ""
    (condition,) = conditions
    exception = _GLIDE_EXCEPTIONS.get((system, plane, condition, centring))
    return exception or _GLIDES[plane][condition]


def _monoclinic_entries(entries: list[str], centring: str, unique_axis: str) -> list[str]:
    """1 for the axes without symmetry; in centred cells the letter of ITA's cell choices 1, 2, 3.

    There every glide comes as a pair (c with n, a with n, a with c), and ITA names C c, A n, I a.
    """
    unique = "abc".index(unique_axis)
    entry = entries[unique]
    if centring != "P" and entry != "-":
        # Frame with unique axis b: cyclic, so that C c, A n, I a hold there.
        shift = unique - 1
        in_frame = {"I": "I"}.get(centring) or "ABC"[("ABC".index(centring) - shift) % 3]
        letter = {"C": "c", "A": "n", "I": "a"}[in_frame]
        entry = letter if letter == "n" else "abc"[("abc".index(letter) + shift) % 3]
    return [entry if axis == unique else "1" for axis in range(3)]


def _centred_orthorhombic_entries(entries: list[str], centring: str) -> list[str]:
    """Letters of planes that hold two glides in A, B, C and I cells (ITA 2016, Table 1.6.4.4).

    A, B, C: a plane through the centring vector shows both glides, "(ab)"; a plane across it is
    named after its axial glide. I: one such plane shows both, "(ab)"; of two, each takes the letter
    of the other's axis; three are b c a.
    """
    glides = [axis for axis in range(3) if entries[axis] not in ("-", "21")]
    if centring in ("P", "F") or not glides:
        return entries
    named = list(entries)
    if centring == "I":
        if len(glides) == 3:
            return ["b", "c", "a"]
        for axis in glides:
            other = [a for a in glides if a != axis]
            named[axis] = "abc"[other[0]] if other else _both_glides(axis)
        return named
    across = "ABC".index(centring)
    for axis in glides:
        # In a plane other than the centred one the axes left are `across` and one with an even index.
        named[axis] = _both_glides(axis) if axis == across else "abc"[across]
    return named


def _both_glides(normal: int) -> str:
    return f"({''.join(letter for axis, letter in enumerate('abc') if axis != normal)})"


def unique_axis_of(hermann_mauguin: str) -> str:
    """Unique axis of a full monoclinic Hermann-Mauguin symbol: "P 1 21/c 1" -> "b"."""
    parts = hermann_mauguin.split()[1:]
    named = [axis for axis, part in zip("abc", parts, strict=False) if part != "1"]
    if len(parts) != 3 or len(named) != 1:
        raise XtinctError(f"{hermann_mauguin!r} is no full monoclinic symbol such as 'P 1 21/c 1'")
    return named[0]

"""Extinction classes: space groups that a diffraction experiment cannot tell apart by absences.

Two senses. *Unlabelled axes* is what a powder pattern of unknown cell gives: nothing says which
axis is a, so classes are orbits of absence sets under every relabelling of the axes that keeps the
form of the family's cell. *Labelled axes* is what is left to decide when the cell of the standard
setting is given: two groups are in one class when their absence sets are the same.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations, product

import numpy as np

from xtinct.errors import XtinctError
from xtinct.symmetry.absences import absent, absent_under, conditions
from xtinct.symmetry.families import (
    CRYSTAL_SYSTEMS,
    CUBIC,
    FAMILIES,
    HEXAGONAL,
    MONOCLINIC,
    N_SPACE_GROUPS,
    ORTHORHOMBIC,
    TETRAGONAL,
    TRIGONAL,
    TRIGONAL_HEXAGONAL,
    family_of,
    space_groups,
)
from xtinct.symmetry.operations import group_of_name, hermann_mauguin, settings
from xtinct.symmetry.reflection_conditions import box
from xtinct.symmetry.symbols import extinction_symbol, unique_axis_of

AXES = ("unlabelled", "labelled")

#: All groups together: the crystal family is known from the metric; the crystal system is told; or
#: not even the metric is used, only which hkl are absent.
POOLED = ("all", "all-system-told", "all-metric-ignored")

#: Everything that classes and ceilings can be asked for.
SCOPES = (*FAMILIES, *(system for system in CRYSTAL_SYSTEMS if system not in FAMILIES), *POOLED)

#: Absence sets that agree here agree everywhere: reflection conditions have moduli 2, 3, 4 and 6,
#: and a box of half-width 12 holds a whole period of each in every zone (whose indices are h, -2h at most).
_REACH = 12
_BOX = box(_REACH)


@dataclass(frozen=True)
class ExtinctionClass:
    """Space groups with the same observable absences.

    symbol   ITA extinction symbol of the member with the lowest number in its standard setting;
             unique within a family, not over all families
    family   crystal family of the members, or their crystal system where the scope separates systems;
             where the scope mixes families, that of the first member
    members  space group numbers, ascending
    """

    symbol: str
    family: str
    members: tuple[int, ...]


def scope_groups(scope: str) -> tuple[int, ...]:
    """Space group numbers of a family, crystal system or pooled scope, ascending."""
    if scope in POOLED:
        return tuple(range(1, N_SPACE_GROUPS + 1))
    if scope in CRYSTAL_SYSTEMS and scope not in FAMILIES:
        first, last = CRYSTAL_SYSTEMS[scope]
        return tuple(range(first, last + 1))
    if scope not in FAMILIES:
        raise XtinctError(
            f"crystal family {scope!r}: expected one of {', '.join(SCOPES)}; or the "
            "number or Hermann-Mauguin symbol of a space group, such as 62 or Pnma, for its extinction class"
        )
    return space_groups(scope)


def _signed_permutations(signs: bool) -> list[np.ndarray]:
    matrices = []
    for order in permutations(range(3)):
        for sign in product((1, -1), repeat=3) if signs else [(1, 1, 1)]:
            if sign[0] == 1:  # hkl and -h-k-l are absent together
                matrices.append(np.eye(3, dtype=np.int64)[list(order)] * np.array(sign))
    return matrices


def relabellings(scope: str) -> list[np.ndarray]:
    """Matrices M, hkl' = hkl M, that lead from one cell of a family's form to all others.

    Every family includes the symmetries of its lattice that some of its groups lack, such as
    obverse against reverse for R. Monoclinic: the cell choices, which mix a and c; absences depend
    on parities only, so the six matrices modulo 2 stand for all of them.
    """
    if scope == "all-metric-ignored":
        return _signed_permutations(signs=True)
    if scope in (CUBIC, ORTHORHOMBIC):
        return _signed_permutations(signs=False)
    exchange = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]])
    if scope == TETRAGONAL:
        return [np.eye(3, dtype=np.int64), exchange]
    if scope in (TRIGONAL, HEXAGONAL, TRIGONAL_HEXAGONAL):
        return [np.eye(3, dtype=np.int64), np.diag([-1, -1, 1]), exchange, exchange * np.array([-1, -1, 1])]
    if scope == MONOCLINIC:
        matrices = []
        for p, q, r, s in product((0, 1), repeat=4):
            if (p * s - q * r) % 2:
                matrices.append(np.array([[p, 0, q], [0, 1, 0], [r, 0, s]]))
        return matrices
    return [np.eye(3, dtype=np.int64)]


@lru_cache(maxsize=N_SPACE_GROUPS)
def _absence_table(number: int) -> np.ndarray:
    return absent(number, _BOX)


def _places(relabelling: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """The reflections of the box under other names, and where they stand in it if all of them do."""
    hkl = _BOX @ relabelling
    if abs(hkl).max() > _REACH:
        return hkl, None
    side = 2 * _REACH + 1
    return hkl, (hkl + _REACH) @ np.array([side * side, side, 1])


def _absences(number: int, hkl: np.ndarray, places: np.ndarray | None) -> bytes:
    found = absent(number, hkl) if places is None else _absence_table(number)[places]
    return found.tobytes()


def _symbol(number: int, scope: str) -> str:
    """Symbol of a group's standard setting, with ITA's letters for the scope's crystal system."""
    family = family_of(number)
    system = scope if scope in CRYSTAL_SYSTEMS else family
    unique_axis = unique_axis_of(hermann_mauguin(number)) if system == MONOCLINIC else "b"
    return extinction_symbol(system, conditions(number), unique_axis)


@lru_cache(maxsize=64)
def extinction_classes(family: str, axes: str = "unlabelled") -> tuple[ExtinctionClass, ...]:
    """Extinction classes of a family, ordered by their lowest member; of a space group the one it is in.

    `family` may also be a crystal system ("trigonal", "hexagonal") or a pooled scope: "all" (the
    metric gives the family), "all-system-told", "all-metric-ignored" (only the absent hkl are
    compared, up to names and directions of the axes), or a space group by number or Hermann-Mauguin symbol
    ("Pnma", "P 1 21/c 1", "62"). `axes`: "unlabelled" or "labelled".
    """
    if axes not in AXES:
        raise XtinctError(f"axes {axes!r}: expected one of {', '.join(AXES)}")
    if family not in SCOPES and (number := group_of_name(family)):
        return tuple(c for c in extinction_classes(family_of(number), axes) if number in c.members)
    groups = scope_groups(family)
    if family in ("all", "all-system-told"):
        parts = FAMILIES if family == "all" else CRYSTAL_SYSTEMS
        joined = [cls for part in parts for cls in extinction_classes(part, axes)]
        return tuple(sorted(joined, key=lambda cls: cls.members))
    namings = relabellings(family) if axes == "unlabelled" else [np.eye(3, dtype=np.int64)]
    # The same for all groups of the scope.
    namings = [_places(relabelling) for relabelling in namings]
    members: dict[bytes, list[int]] = {}
    for number in groups:
        orbit = min(_absences(number, *naming) for naming in namings)
        members.setdefault(orbit, []).append(number)
    return tuple(
        ExtinctionClass(
            symbol=_symbol(numbers[0], family),
            family=family if family in CRYSTAL_SYSTEMS else family_of(numbers[0]),
            members=tuple(numbers),
        )
        for numbers in members.values()
    )


@lru_cache(maxsize=N_SPACE_GROUPS)
def class_symbol(number: int) -> str:
    """Symbol of the axis-unlabelled extinction class of a space group, within its family."""
    for cls in extinction_classes(family_of(number)):
        if number in cls.members:
            return cls.symbol
    raise AssertionError(number)


@dataclass(frozen=True)
class SettingClass:
    """Settings with the same absence set on labelled axes: one line of ITA's tables.

    symbol    ITA extinction symbol
    settings  (space group number, Hermann-Mauguin symbol of the setting)
    """

    symbol: str
    settings: tuple[tuple[int, str], ...]


@lru_cache(maxsize=2)
def setting_classes(system: str) -> tuple[SettingClass, ...]:
    """Extinction classes over every tabulated setting of the monoclinic or orthorhombic groups.

    Monoclinic classes are kept apart by unique axis, as in ITA: the axis is known from the cell.
    """
    if system not in (MONOCLINIC, ORTHORHOMBIC):
        raise XtinctError(f"settings are tabulated for monoclinic and orthorhombic groups, not {system!r}")
    found: dict[tuple[str, bytes], list[tuple[int, str]]] = {}
    symbols: dict[tuple[str, bytes], str] = {}
    for number in space_groups(system):
        for setting in settings(number):
            axis = unique_axis_of(setting.symbol) if system == MONOCLINIC else "b"
            given = conditions(number, setting.symbol)
            key = (axis, absent_under(given, _BOX).tobytes())
            found.setdefault(key, []).append((number, setting.symbol))
            symbols.setdefault(key, extinction_symbol(system, given, axis))
    return tuple(SettingClass(symbols[key], tuple(members)) for key, members in found.items())

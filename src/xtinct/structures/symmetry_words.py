"""The space group in a file's own words: operations, Hall symbol, symbol, number, and whether they agree."""

from dataclasses import dataclass
from functools import lru_cache

from xtinct.structures.crystal import RejectedError
from xtinct.structures.groups import (
    IDENTITY,
    NamedOperations,
    TabulatedSetting,
    listed_operations,
    operations_of,
    settings_named,
    settings_numbered,
)
from xtinct.symmetry.families import TRICLINIC
from xtinct.symmetry.operations import group_in_words, group_name

_UNKNOWN = ("", "?", ".")


@dataclass(frozen=True)
class Words:
    """What a file says of its symmetry; empty and 0 where it says nothing.

    triplets   operations `x,y,z`; `centrings` are to be combined with each of them
    hall, symbol, number   names of the group
    code       coordinate system code of International Tables: 1, 2, h, r, b1, cab, ...
    system     crystal system
    """

    triplets: tuple[str, ...] = ()
    centrings: tuple[str, ...] = ()
    hall: str = ""
    symbol: str = ""
    number: int = 0
    code: str = ""
    system: str = ""


@dataclass(frozen=True, eq=False)
class Symmetry:
    """The operations that words can mean.

    stated     one entry; several where the words leave the setting open; none where they are no group
    partial    the listed operations, where there are some
    problem    how the words contradict each other, for a person; empty if they do not
    origins    the same axes with another origin, or the other axes of a rhombohedral lattice
    settings   every setting of the declared group
    declared   number that the file declares; 0 if none, or P 1, which only says that every site is listed
    """

    stated: tuple[NamedOperations, ...] = (IDENTITY,)
    partial: NamedOperations | None = None
    problem: str = ""
    origins: tuple[TabulatedSetting, ...] = ()
    settings: tuple[TabulatedSetting, ...] = ()
    declared: int = 0


@lru_cache(maxsize=8192)
def symmetry_of(words: Words) -> Symmetry:
    """What `words` mean. RejectedError (unknown_symmetry) if they name nothing that is known."""
    named = settings_named(words.symbol)
    numbered = settings_numbered(words.number) if words.number else ()
    hall = _hall(words, lonely=not (named or numbered or words.triplets))
    numbers = _numbers(words, hall, named)
    declared = words.number or (named[0].number if named else hall.number if hall else 0)
    if words.triplets:
        found = _listed(words, numbers, named or numbered)
    else:
        found = _named(words, hall, named, numbered, numbers)
    return Symmetry(*found, declared if declared > 1 else 0)


def _hall(words: Words, *, lonely: bool) -> NamedOperations | None:
    if words.hall in _UNKNOWN:
        return None
    try:
        return operations_of(words.hall, f"Hall symbol {words.hall}")
    except RejectedError:
        if lonely:
            raise
        return None


def _numbers(
    words: Words, hall: NamedOperations | None, named: tuple[TabulatedSetting, ...]
) -> dict[str, int]:
    """Word for a person -> number of the group that it names."""
    numbers = {}
    if words.number:
        numbers[f"number {group_name(words.number)}"] = words.number
    if named:
        numbers[f"symbol {words.symbol} ({group_name(named[0].number)})"] = named[0].number
    if hall is not None and hall.closed:
        numbers[f"Hall symbol {words.hall} ({group_in_words(hall.number)})"] = hall.number
    return numbers


def _listed(words: Words, numbers: dict[str, int], declared: tuple[TabulatedSetting, ...]) -> tuple:
    listed = listed_operations(words.triplets, words.centrings)
    if not listed.closed:
        return (), listed, f"the {len(listed)} listed operations are no group", (), declared
    others = [word for word, number in numbers.items() if listed.number and number != listed.number]
    problem = ""
    if others:
        problem = (
            f"the {len(listed)} listed operations form group {group_name(listed.number)}, the file declares "
        )
        problem += " and ".join(others)
    settings = tuple(s for number in sorted(set(numbers.values())) for s in settings_numbered(number))
    named = settings_named(words.symbol)
    settings = named + tuple(s for s in settings if s not in named)
    return (
        (listed,),
        listed,
        problem,
        _origins(listed),
        settings if problem else settings_numbered(listed.number),
    )


def _origins(operations: NamedOperations) -> tuple[TabulatedSetting, ...]:
    if operations.tabulated is None:
        return ()
    base = operations.tabulated.hm
    same = [s for s in settings_numbered(operations.tabulated.number) if s.base == base]
    return tuple(s for s in same if s.operations() is not operations)


def _named(
    words: Words,
    hall: NamedOperations | None,
    named: tuple[TabulatedSetting, ...],
    numbered: tuple[TabulatedSetting, ...],
    numbers: dict[str, int],
) -> tuple:
    if hall is not None:
        stated, settings = (hall,), named or settings_numbered(hall.number)
        origins = _origins(hall)
    elif found := named or numbered:
        coded = tuple(setting for setting in found if words.code and words.code.lower() in setting.codes)
        settings = coded or found
        stated = tuple(setting.operations() for setting in settings)
        origins = tuple(
            s for s in settings_numbered(settings[0].number) if s.base in {found.base for found in settings}
        )
        settings = settings_numbered(settings[0].number)
    else:
        return _nameless(words), None, "", (), ()
    problem = ""
    if len(set(numbers.values())) > 1:
        problem = "the file declares " + " and ".join(numbers)
        settings = named + numbered
        stated += tuple(setting.operations() for setting in settings)
    return stated, None, problem, origins, settings


def _nameless(words: Words) -> tuple[NamedOperations, ...]:
    if words.symbol not in _UNKNOWN:
        raise RejectedError(
            "unknown_symmetry", f"no operations listed and no known group named {words.symbol!r}"
        )
    if words.system.lower() not in (*_UNKNOWN, TRICLINIC, "other"):
        raise RejectedError(
            "unknown_symmetry", f"a {words.system} crystal without operations and name of its group"
        )
    return (IDENTITY,)

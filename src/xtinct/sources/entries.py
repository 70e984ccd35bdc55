"""What a source of structures is made of: its kind, itself once opened, and its entries."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Entry:
    """One structure as a source gives it.

    identifier  unique within the source
    text        CIF or POSCAR, as received
    declared    space group number that the source declares; 0 if none
    error       "reason: detail" if no usable text was received
    version, licence   of this entry, where they differ from the source's
    """

    identifier: str
    text: str = ""
    declared: int = 0
    error: str = ""
    version: str | None = None
    licence: str | None = None


@dataclass(frozen=True)
class Source:
    """An opened source: what holds for all entries, and the entries, read as they are asked for.

    about    where they come from, and what their server counts; kept in the table's metadata
    counts   more counts for the caller of `fetch`, filled while the entries are read
    """

    version: str
    licence: str
    entries: Iterable[Entry]
    about: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class SourceKind:
    """A kind of source: how to open it, what it may be told, and the paths that it reads.

    inputs    local paths; or addresses of files elsewhere, of which a copy is opened as `path`
    pattern   of the names of the files that it reads in a folder
    carried   the table that the project itself carries, relative to its folder; it is opened as `path`
    """

    open: Callable[[str, Mapping[str, Any]], Source]
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    inputs: Callable[[Mapping[str, Any]], list[str]] = lambda config: []
    pattern: Callable[[Mapping[str, Any]], str] = lambda config: "*"
    carried: str = ""

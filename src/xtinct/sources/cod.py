"""The Crystallography Open Database as a source: by query over the network, or from a local mirror.

Over the network, the answer to the query lists identifiers with their revisions, and every CIF is
then asked for by both, so a text once received never has to be asked for again. Entries that the COD
itself marks as duplicates, as retracted or as wrong keep their row, with an error.
Interface: https://wiki.crystallography.net/RESTful_API and https://wiki.crystallography.net/howtoquerycod
"""

import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from xtinct.sources.archives import texts
from xtinct.sources.entries import Entry, Source, SourceKind
from xtinct.sources.listing import existing_path
from xtinct.sources.network import (
    LARGEST_LIST,
    MOST_ENTRIES,
    Cache,
    FailedError,
    Gate,
    RefusedError,
    ServerLimits,
    Session,
    estimate,
    in_order,
    patiently,
    progress,
)

_LICENCE = "CC0-1.0"
#: Names of the entries in a mirror.
_MIRRORED = "[0-9]*.cif"
#: Marks of the COD's curators -> reason in the quarantine (COD::CIFData::CODFlags of cod-tools).
_STATUS = {"retracted": "retracted", "errors": "marked_wrong"}

#: A CIF value: a text field, a quoted text or a word.
_VALUE = r"\s+(;[^;]*\n;|'[^'\n]*'|\"[^\"\n]*\"|\S+)"


def _tag(*names: str) -> re.Pattern[str]:
    return re.compile(rf"^(?:{'|'.join(names)}){_VALUE}", re.MULTILINE | re.IGNORECASE)


_DUPLICATE = _tag(
    r"_cod_duplicate_entry", r"_\[local\]_cod_duplicate_entry", r"_cod_related_duplicate_entry[._]code"
)
_ERROR_FLAG = _tag(r"_cod_error_flag", r"_\[local\]_cod_error_flag")
_FORMULA = _tag(r"_chemical_formula_sum")
_GROUP = _tag(r"_space_group_IT_number", r"_symmetry_Int_Tables_number")
_REVISION = re.compile(r"^#\$Revision: (\d+) \$", re.MULTILINE)
_BLOCK = re.compile(r"^data_\S", re.MULTILINE | re.IGNORECASE)
_ELEMENT = re.compile(r"[A-Z][a-z]?")


def open_cod(where: str, config: Mapping[str, Any]) -> Source:
    """Entries of the COD that match `query`, from the server at `server`.

    `query` holds parameters of the COD's own search (text, el1, nel1, strictmax, vmax, ...). `exclude`
    lists sets of elements; entries that hold all elements of one are not taken. XtinctError if the
    server does not list as many entries as it counts.
    """
    limits = ServerLimits.of(config)
    database = _Database(where, config["server"], limits, Cache(config["cache"], "cod"))
    listed = database.entries(config["query"])
    selected = [entry for entry in listed if not _excluded(entry["formula"], config["exclude"])]
    wanted = [entry for entry in selected if not entry["error"]]
    cached = database.cached(wanted)
    estimate(where, entries=len(selected), cached=cached, requests_left=len(wanted) - cached, limits=limits)
    revision = max((entry["revision"] for entry in listed), default=0)
    fetched = in_order(database.entry, selected, limits.parallel)
    return Source(
        version=f"r{revision}",
        licence=_LICENCE,
        entries=progress(fetched, where=where, total=len(selected)),
        about={
            "database": "Crystallography Open Database",
            "server": database.server,
            "query": dict(config["query"]),
            "exclude": list(config["exclude"]),
            "latest_revision": revision,
            "server_count": len(listed),
        },
        counts={"not_selected": len(listed) - len(selected)},
    )


def open_cod_mirror(where: str, config: Mapping[str, Any]) -> Source:
    """Entries of a local mirror: the folder that rsync keeps, or an archive of it (zip, tar.xz, ...).

    `exclude` as for `cod`; `version` names the state of the mirror, for instance the day of the rsync.
    """
    path = existing_path(f"{where}.path", config["path"])
    counts = {"not_selected": 0}
    entries = _mirrored(where, path, config["exclude"], counts)
    return Source(
        version=config["version"],
        licence=_LICENCE,
        entries=progress(entries, where=where, total=None),
        about={"database": "Crystallography Open Database", "exclude": list(config["exclude"])},
        counts=counts,
    )


def _mirrored(
    where: str, path: Path, exclude: Sequence[Sequence[str]], counts: dict[str, int]
) -> Iterator[Entry]:
    for name, text, error in texts(path, _MIRRORED, where):
        identifier = PurePosixPath(name).stem
        if error:
            yield Entry(identifier, error=error)
        elif _excluded(_value(_FORMULA, text), exclude):
            counts["not_selected"] += 1
        else:
            yield _entry(identifier, text)


def _entry(identifier: str, text: str, revision: int | None = None) -> Entry:
    """The row of a CIF, with what its own curators' tags say of it."""
    found = _REVISION.search(text)
    revision = revision if revision is not None else int(found[1]) if found else None
    group = _value(_GROUP, text)
    return Entry(
        identifier,
        text,
        declared=int(group) if group.isdecimal() and 1 <= int(group) <= 230 else 0,
        error=_mark(_value(_DUPLICATE, text), _value(_ERROR_FLAG, text)),
        version=f"r{revision}" if revision is not None else None,
    )


def _mark(duplicate_of: str, status: str) -> str:
    if duplicate_of and duplicate_of not in ("?", "."):
        return f"duplicate_of: entry {duplicate_of}, says the COD"
    if status in _STATUS:
        return f"{_STATUS[status]}: status {status!r} in the COD"
    return ""


def _value(tag: re.Pattern[str], text: str) -> str:
    found = tag.search(text)
    return found[1].strip("'\";\n ") if found else ""


def _excluded(formula: str, exclude: Sequence[Sequence[str]]) -> bool:
    elements = set(_ELEMENT.findall(formula))
    if "D" in elements:
        elements.add("H")
    return any(elements.issuperset(group) for group in exclude)


class _Database:
    """The COD's server."""

    def __init__(self, where: str, server: str, limits: ServerLimits, cache: Cache) -> None:
        self.where = where
        self.server = server.rstrip("/")
        self.limits = limits
        self.cache = cache
        self._gate = Gate(limits.rate)
        self._here = threading.local()

    def _session(self) -> Session:
        if not hasattr(self._here, "session"):
            self._here.session = Session(self.limits, self._gate)
        return self._here.session

    def entries(self, query: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The entries that match `query`, by identifier: `id`, `revision`, `formula` and `error`."""
        what = f"{self.where}: {self.server}/result"
        return patiently(partial(self._list, query), self.limits, what)

    def _list(self, query: Mapping[str, Any]) -> list[dict[str, Any]]:
        def ask(form: str) -> str:
            with Session(self.limits, self._gate, LARGEST_LIST) as session:
                return session.get(f"{self.server}/result", params={**query, "format": form}).text

        counted = ask("count").strip()
        if not (counted.isdecimal() and len(counted) <= len(str(MOST_ENTRIES))):
            raise FailedError("the answer is not a count")
        try:
            rows = json.loads(ask("json"))
            entries = {
                int(row["file"]): {
                    "id": int(row["file"]),
                    "revision": int(row["svnrevision"] or 0),
                    "formula": str(row.get("formula") or ""),
                    "error": _mark(str(row.get("duplicateof") or ""), row.get("status") or "")
                    or ("" if row["svnrevision"] else "no_revision: the COD lists none for this entry"),
                }
                for row in rows
            }
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise FailedError("the answer is not a list of entries") from None
        if len(entries) != int(counted):
            raise FailedError(f"it counts {counted} entries and lists {len(entries)}")
        return [entries[identifier] for identifier in sorted(entries)]

    def entry(self, listed: Mapping[str, Any]) -> Entry:
        """A listed entry with its CIF; without one if the COD itself has set it aside."""
        identifier, revision = str(listed["id"]), listed["revision"]
        if listed["error"]:
            return Entry(identifier, error=listed["error"], version=f"r{revision}")
        kept = self.cache.get(_key(listed))
        if kept is None:
            address = f"{self.server}/{identifier}.cif@{revision}"
            kept = patiently(partial(self._cif, address), self.limits, f"{self.where}: {address}")
            if kept is None:
                return Entry(
                    identifier, error=f"not_found: {address} is listed but not there", version=f"r{revision}"
                )
            self.cache.put({_key(listed): kept})
        try:
            text = kept.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = kept.decode("latin-1")
        return _entry(identifier, text, revision)

    def _cif(self, address: str) -> bytes | None:
        try:
            body = self._session().get(address).content
        except RefusedError as error:
            if error.status in (404, 410):
                return None
            raise
        if not _BLOCK.search(body.decode("latin-1")):
            raise FailedError("the answer is not a CIF")
        return body

    def cached(self, listed: Sequence[Mapping[str, Any]]) -> int:
        """How many of the entries need not be asked for."""
        return len(self.cache.present(map(_key, listed)))


def _key(listed: Mapping[str, Any]) -> str:
    # A revision never changes, so neither server nor query belong to the key.
    return f"cod {listed['id']}@{listed['revision']}"


COD = SourceKind(open_cod, required=("server", "cache", "query", "exclude", "network"))
COD_MIRROR = SourceKind(
    open_cod_mirror,
    required=("path", "exclude", "version"),
    inputs=lambda config: [config["path"]],
    pattern=lambda config: _MIRRORED,
)

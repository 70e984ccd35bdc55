"""The Materials Project as a source, through its own client `mp-api`.

First the identifiers that match, a page at a time, then the structures by lists of identifiers: what
was received stays in the cache, and a list is complete or it is asked for again. The client's own
retrieval of whole collections is not used: it takes every field of every document.
"""

import contextlib
import hashlib
import json
import os
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from xtinct.errors import XtinctError
from xtinct.sources.entries import Entry, Source, SourceKind
from xtinct.sources.network import (
    FEW_TRIES,
    MOST_ENTRIES,
    Cache,
    FailedError,
    ForbiddenError,
    Gate,
    RefusedError,
    ServerLimits,
    Session,
    estimate,
    in_order,
    patiently,
    progress,
)
from xtinct.structures.crystal import Crystal, cell_of_basis, format_cif, on_right_handed_axes

#: Identifiers of one page, the server's maximum.
_PAGE = 1000
#: Structures of one request: longer lists of identifiers exceed the server's limit for addresses.
_LIST = 200
_FIELDS = ["material_id", "structure", "symmetry"]
#: The server's name of a licence -> SPDX identifier. BY-NC is that of the GNoME structures.
_LICENCES = {"BY-C": "CC-BY-4.0", "BY-NC": "CC-BY-NC-4.0"}
_ABOUT_THE_KEY = "; is MP_API_KEY right? It is shown at https://next-gen.materialsproject.org/api"
#: Filter of the configuration -> parameter of the server, for those that are passed on as they are.
_PLAIN = {"is_stable": "is_stable", "theoretical": "theoretical"}
_JOINED = {
    "elements": "elements",
    "exclude_elements": "exclude_elements",
    "chemsys": "chemsys",
    "formula": "formula",
}
_RANGES = {"num_sites": "nsites", "num_elements": "nelements", "energy_above_hull": "energy_above_hull"}
_ONE_EACH = {"spacegroup_numbers": "spacegroup_number"}
#: Keys of `filters`.
FILTERS = (*_PLAIN, *_JOINED, *_RANGES, *_ONE_EACH, "material_ids")


def open_mp(where: str, config: Mapping[str, Any]) -> Source:
    """Structures of the Materials Project that match `filters`; every one of them if there are none.

    The key of the interface is taken from MP_API_KEY or pymatgen's settings and goes nowhere but into
    the requests. Entries under a non-commercial licence are listed with an error, or fetched like the
    others if `non_commercial` is `include`. XtinctError if the server does not deliver all it lists.
    """
    limits = ServerLimits.of(config)
    project = _Project(where, config["endpoint"], limits, Cache(config["cache"], "materials-project"))
    queries = _queries(where, config["filters"])
    listed = {licence: project.identifiers(queries, licence) for licence in _LICENCES}
    wanted = dict.fromkeys(listed["BY-C"], "BY-C")
    excluded = set(listed["BY-NC"]) - wanted.keys()
    if config["non_commercial"] == "include":
        wanted.update(dict.fromkeys(excluded, "BY-NC"))
        excluded = set()
    lists = [list(some) for some in _slices(sorted(wanted), _LIST)]
    left = [len(some) - project.cached(some) for some in lists]
    estimate(
        where,
        entries=len(wanted),
        cached=len(wanted) - sum(left),
        requests_left=sum(map(bool, left)),
        limits=limits,
    )
    return Source(
        version=project.version,
        licence=_LICENCES["BY-C"],
        entries=progress(
            _entries(project, lists, wanted, excluded), where=where, total=len(wanted) + len(excluded)
        ),
        about={
            "database": "Materials Project",
            "endpoint": project.endpoint,
            "database_version": project.version,
            "filters": dict(config["filters"]),
            "server_count": {_LICENCES[licence]: len(found) for licence, found in listed.items()},
            "excluded_non_commercial": len(excluded),
        },
    )


def _entries(
    project: "_Project", lists: list[list[str]], wanted: Mapping[str, str], excluded: set[str]
) -> Iterator[Entry]:
    for identifier in sorted(excluded):
        yield Entry(
            identifier,
            error=f"non_commercial: {_LICENCES['BY-NC']}; not fetched because non_commercial is exclude",
            licence=_LICENCES["BY-NC"],
        )
    for documents in in_order(project.documents, lists, project.limits.parallel):
        for document in documents:
            identifier = document["material_id"]
            yield _entry(document, _LICENCES[wanted[identifier]])


def _entry(document: Mapping[str, Any], licence: str) -> Entry:
    identifier = document["material_id"]
    structure = document["structure"]
    if not structure:
        return Entry(identifier, error="missing_structure: the entry holds none", licence=licence)
    try:
        basis = np.array(structure["lattice"]["matrix"], dtype=np.float64).reshape(3, 3)
        frac = np.array([site["abc"] for site in structure["sites"]], dtype=np.float64).reshape(-1, 3)
        crystal = Crystal(
            cell=cell_of_basis(basis),
            frac=on_right_handed_axes(basis, frac),
            species=[
                tuple(sorted((_symbol(atom), float(atom["occu"])) for atom in site["species"]))
                for site in structure["sites"]
            ],
        )
        text = format_cif(identifier, crystal)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        return Entry(
            identifier, error=f"unreadable: {type(error).__name__} in its structure: {error}", licence=licence
        )
    return Entry(identifier, text, _declared(document.get("symmetry")), licence=licence)


def _symbol(atom: Mapping[str, Any]) -> str:
    # It becomes a word of a CIF.
    if not (isinstance(symbol := atom["element"], str) and symbol.isalpha()):
        raise ValueError(f"{str(symbol)[:20]!r} is no element")
    return symbol


def _declared(symmetry: Any) -> int:
    """Number of the space group as the database tells it; 0 if it tells none."""
    number = symmetry.get("number") if isinstance(symmetry, dict) else None
    return number if isinstance(number, int) and 1 <= number <= 230 else 0


def _queries(where: str, filters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The server's parameters for `filters`: several queries where the server takes one value at a time."""
    shared: dict[str, Any] = {"deprecated": False}
    for key, value in filters.items():
        if key in _PLAIN:
            shared[_PLAIN[key]] = value
        elif key in _JOINED:
            shared[_JOINED[key]] = ",".join(value)
        elif key in _RANGES:
            if value[0] > value[1]:
                raise XtinctError(
                    f"{where}.filters.{key}: {value} is an empty range; the smaller value comes first"
                )
            shared[f"{_RANGES[key]}_min"], shared[f"{_RANGES[key]}_max"] = value
        elif key not in FILTERS:
            raise XtinctError(f"{where}.filters.{key}: unknown filter, expected one of {', '.join(FILTERS)}")
    several = [[(name, value) for value in filters[key]] for key, name in _ONE_EACH.items() if key in filters]
    if "material_ids" in filters:
        chosen = sorted(set(filters["material_ids"]))
        several.append([("material_ids", ",".join(some)) for some in _slices(chosen, _LIST)])
    return [{**shared, **dict(choice)} for choice in product(*several)]


class _Project:
    """The server, as patient and as complete as we need it."""

    def __init__(self, where: str, endpoint: str, limits: ServerLimits, cache: Cache) -> None:
        self.where = where
        self.endpoint = endpoint.rstrip("/") + "/"
        self.limits = limits
        self.cache = cache
        self._gate = Gate(limits.rate)
        self._here = threading.local()
        self._heartbeat: tuple[str, list[str]] = ("", [])
        #: Whether the server has answered a request that needs the key.
        self._granted = False
        # The client looks for the key itself; without one it would go on and be refused.
        self._key = os.environ.get("MP_API_KEY") or _pymatgen_key()
        if not self._key:
            raise XtinctError(f"{where}: no API key; set the environment variable MP_API_KEY")
        self._heartbeat = patiently(self._ask_heartbeat, limits, f"{where}: {self.endpoint}heartbeat")
        self.version = self._heartbeat[0]

    def _ask_heartbeat(self) -> tuple[str, list[str]]:
        with Session(self.limits, self._gate) as session:
            session.headers["x-api-key"] = self._key
            try:
                answer = session.get(self.endpoint + "heartbeat")
            except ForbiddenError as error:
                raise ForbiddenError(f"{error}{_ABOUT_THE_KEY}") from None
            except RefusedError as error:
                raise RefusedError(f"{error}{_hint(error)}", error.status) from None
        try:
            heartbeat = answer.json()
            version, batches = heartbeat["db_version"], heartbeat.get("access_controlled_batch_ids", [])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise FailedError("the answer is not a heartbeat") from None
        if not (isinstance(version, str) and version):
            raise FailedError("the heartbeat names no database version")
        return version, batches

    def _client(self) -> Any:
        """A client of this thread; sessions are not made to be shared."""
        if not hasattr(self._here, "client"):
            # Imported here: seconds of start-up that only this source needs.
            from mp_api.client.core import MPRestError
            from mp_api.client.routes.materials.summary import SummaryRester

            heartbeat = self._heartbeat

            class Client(SummaryRester):
                """Without the client's own heartbeat, which has no time limit and remembers a failure."""

                @staticmethod
                def _get_heartbeat_info(endpoint: str) -> tuple[str, list[str]]:
                    return heartbeat

            session = Session(self.limits, self._gate)
            session.headers["x-api-key"] = self._key
            try:
                self._here.client = Client(
                    api_key=self._key,
                    endpoint=self.endpoint,
                    session=session,
                    use_document_model=False,
                    mute_progress_bars=True,
                )
            except MPRestError:
                # Its text could show the key.
                raise XtinctError(f"{self.where}: MP_API_KEY is not a key of the Materials Project") from None
        return self._here.client

    def _ask(self, request: partial, what: str) -> Any:
        from mp_api.client.core import MPRestError

        def attempt() -> Any:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # advice on the use of its other routes
                try:
                    answer = request()
                    self._granted = True
                    return answer
                except ForbiddenError as error:
                    # Of a key that has been granted something, it is the busy gate's.
                    if self._granted:
                        raise
                    raise RefusedError(f"{error}{_ABOUT_THE_KEY}", 403) from None
                except RefusedError as error:
                    raise RefusedError(f"{error}{_hint(error)}", error.status) from None
                except (
                    MPRestError,
                    ValueError,
                    KeyError,
                    TypeError,
                    AttributeError,
                    RecursionError,
                ) as error:
                    # Refusals and faults of the connection have exceptions of their own, so what is
                    # left is an answer that is not what the client expects.
                    raise FailedError(f"the answer is not understood ({type(error).__name__})") from None

        return patiently(attempt, self.limits, f"{self.where}: {self.endpoint}{what}")

    def identifiers(self, queries: Sequence[Mapping[str, Any]], licence: str) -> list[str]:
        """All identifiers that match one of `queries` and stand under `licence`, sorted."""
        found: set[str] = set()
        for query in queries:
            found.update(self._identifiers({**query, "license": licence}))
        return sorted(found)

    def _identifiers(self, query: Mapping[str, Any]) -> set[str]:
        name = hashlib.sha256(json.dumps(query, sort_keys=True).encode()).hexdigest()
        count = self._ask(partial(self._count, query), "materials/summary (count)")
        keys = [self._key_of(f"page {name} {count} {start}") for start in range(0, count, _PAGE)]
        pages = in_order(partial(self._page, query, count), enumerate(keys), self.limits.parallel)
        found = {identifier for page in pages for identifier in page}
        if len(found) != count:
            self.cache.forget(keys)
            raise XtinctError(
                f"{self.where}: {self.endpoint} counts {count} entries and lists {len(found)}; run again"
            )
        return found

    def _count(self, query: Mapping[str, Any]) -> int:
        # Everything is compared with the count, so one wrong answer must not pass for it.
        first, second = (self._client().count(dict(query)) for _ in range(2))
        if first != second:
            raise FailedError(f"it counts {first} entries, and then {second}")
        if type(first) is not int or not 0 <= first <= MOST_ENTRIES:
            raise FailedError(f"it counts {str(first)[:40]} entries, which no database has", tries=FEW_TRIES)
        return first

    def _page(self, query: Mapping[str, Any], count: int, page: tuple[int, str]) -> list[str]:
        number, key = page
        if (kept := self.cache.get(key)) is not None:
            return json.loads(kept)
        size = min(_PAGE, count - number * _PAGE)

        def ask() -> list[str]:
            documents = self._client()._search(
                num_chunks=1,
                chunk_size=_PAGE,
                all_fields=False,
                fields=["material_id"],
                **{**query, "_skip": number * _PAGE, "_sort_fields": "material_id"},
            )
            identifiers = [document["material_id"] for document in documents]
            if len(identifiers) != size:
                raise FailedError(f"{len(identifiers)} of {size} identifiers of a page")
            return identifiers

        identifiers = self._ask(ask, "materials/summary (identifiers)")
        self.cache.put({key: json.dumps(identifiers).encode()})
        return identifiers

    def documents(self, identifiers: Sequence[str]) -> list[dict[str, Any]]:
        """The documents of `identifiers`, in their order; only those not in the cache are asked for."""
        keys = {identifier: self._key_of(identifier) for identifier in identifiers}
        present = self.cache.present(keys.values())
        missing = [identifier for identifier, key in keys.items() if key not in present]
        if missing:
            answers = self._ask(partial(self._ask_documents, missing), "materials/summary (structures)")
            self.cache.put(
                {keys[identifier]: json.dumps(answers[identifier]).encode() for identifier in missing}
            )
        return [json.loads(self.cache.get(key)) for key in keys.values()]

    def _ask_documents(self, missing: Sequence[str]) -> dict[str, dict[str, Any]]:
        found = self._client()._search(
            num_chunks=1,
            chunk_size=_PAGE,
            all_fields=False,
            fields=_FIELDS,
            license="All",
            material_ids=",".join(missing),
        )
        documents = {
            document["material_id"]: {key: document.get(key) for key in _FIELDS} for document in found
        }
        if documents.keys() != set(missing):
            raise FailedError(
                f"{len(documents.keys() & set(missing))} of {len(missing)} structures of a list"
            )
        return documents

    def cached(self, identifiers: Sequence[str]) -> int:
        """How many of `identifiers` need not be asked for."""
        return len(self.cache.present(map(self._key_of, identifiers)))

    def _key_of(self, what: str) -> str:
        return f"{self.endpoint} {self.version} {what}"


def _hint(error: RefusedError) -> str:
    return _ABOUT_THE_KEY if error.status in (401, 402) else ""


def _pymatgen_key() -> str | None:
    with contextlib.suppress(ImportError):
        from pymatgen.core import SETTINGS

        return SETTINGS.get("PMG_MAPI_KEY")
    return None


def _slices(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


MP = SourceKind(open_mp, required=("endpoint", "cache", "filters", "non_commercial", "network"))

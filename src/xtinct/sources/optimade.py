"""Any OPTIMADE provider as a source, through the consortium's own client `optimade`.

The client builds the requests, finds providers and checks filters; pages are asked for one by one, so
that each stays in the cache and none is asked for twice. Specification: https://specification.optimade.org
"""

import json
import logging
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import gemmi
import numpy as np

from xtinct.errors import XtinctError
from xtinct.sources.entries import Entry, Source, SourceKind
from xtinct.sources.network import (
    FEW_TRIES,
    MOST_ENTRIES,
    Cache,
    FailedError,
    Gate,
    RefusedError,
    ServerLimits,
    Session,
    estimate,
    patiently,
    progress,
)
from xtinct.structures.crystal import Crystal, cell_of_basis, format_cif, on_right_handed_axes

log = logging.getLogger(__name__)

#: Without these there is no structure.
_NEEDED = ("lattice_vectors", "cartesian_site_positions", "species", "species_at_sites")
_FIELDS = [*_NEEDED, "dimension_types", "nperiodic_dimensions", "nsites", "structure_features"]
#: angstrom^3; no cell of a crystal is smaller.
_LEAST_VOLUME = 1e-3
#: Symbols that stand for an element; D and X, which stand for none in OPTIMADE, are not among them.
_ELEMENTS = frozenset(gemmi.Element(z).name for z in range(1, 119))
#: Features of a structure that its list of sites does not tell.
_UNTOLD = ("implicit_atoms", "site_attachments", "assemblies", "unknown_positions")


def open_optimade(where: str, config: Mapping[str, Any]) -> Source:
    """Structures of one database that match `filter`.

    `database`: the base address of an OPTIMADE database, or the identifier of a provider that has one
    database only. `page_limit`: entries of one request, which providers restrict to different values.
    XtinctError if the database delivers another number of entries than it announces.
    """
    limits = ServerLimits.of(config)
    _check_filter(where, config["filter"])
    provider = _Provider(where, config, limits)
    return Source(
        version=provider.version,
        licence=provider.licence,
        entries=progress(provider.entries(), where=where, total=provider.count),
        about={
            "database": provider.name,
            "base_url": provider.base_url,
            "filter": config["filter"],
            "provider_version": provider.version,
            "server_count": provider.count,
        },
    )


def _check_filter(where: str, text: str) -> None:
    from optimade.exceptions import BadRequest
    from optimade.filterparser import LarkParser

    try:
        if text:
            LarkParser().parse(text)
    except BadRequest as error:
        raise XtinctError(f"{where}.filter: {text!r}: {' '.join(str(error).split())[:200]}") from None


class _Provider:
    """One OPTIMADE database: its pages, one at a time."""

    def __init__(self, where: str, config: Mapping[str, Any], limits: ServerLimits) -> None:
        from optimade.client import OptimadeClient

        self.where = where
        self.limits = limits
        self.filter = config["filter"]
        self.page_limit = config["page_limit"]
        self.cache = Cache(config["cache"], "optimade")
        gate = Gate(limits.rate)
        self._failures: list[Exception] = []
        failures = self._failures

        class Watched(Session):
            """The client turns every exception into a text; this keeps the exception."""

            def __init__(self) -> None:
                super().__init__(limits, gate)

            def send(self, request: Any, **options: Any) -> Any:
                try:
                    return super().send(request, **options)
                except (FailedError, RefusedError) as error:
                    failures.append(error)
                    raise

        database = config["database"]
        is_address = database.startswith(("http://", "https://"))
        address = database if is_address else self._only_database(database, Watched())
        self.base_url = address.rstrip("/")
        self.client = OptimadeClient(
            self.base_url, use_async=False, http_client=Watched, silent=True, callbacks=[_tidied]
        )
        info = self._ask("info", "info")
        meta, attributes = info["meta"], _object(info["data"].get("attributes"))
        implementation = _object(meta.get("implementation"))
        program = f"{implementation.get('name') or 'unnamed'} {implementation.get('version') or ''}".rstrip()
        self.name = str(_object(meta.get("provider")).get("name") or self.base_url)
        self.version = f"{program}, OPTIMADE {attributes.get('api_version') or meta.get('api_version')}"
        self.licence = _licence(attributes)
        self.count = patiently(self._count, limits, f"{where}: {self.base_url} (count)")
        pages = -(-self.count // self.page_limit) if self.count is not None else 1
        kept = sum(1 for _ in self._kept_pages())
        estimate(
            where,
            entries=self.count or 0,
            cached=min(kept * self.page_limit, self.count or 0),
            requests_left=max(pages - kept, 0),
            limits=limits,
        )

    def _only_database(self, provider: str, session: Session) -> str:
        from optimade.utils import get_all_databases

        def look_up() -> list[str]:
            found = list(get_all_databases(include_providers=[provider], session=session))
            if not found:
                raise FailedError("no such provider among those registered, or it cannot be reached")
            return found

        found = patiently(look_up, self.limits, f"{self.where}.database: {provider!r}")
        if len(found) > 1:
            raise XtinctError(
                f"{self.where}.database: {provider!r} has several; write the address of one: "
                + ", ".join(sorted(found))
            )
        return found[0]

    def _ask(
        self,
        endpoint: str,
        name: str,
        *,
        fields: list[str] | None = None,
        page_limit: int | None = None,
        url: str = "",
    ) -> dict[str, Any]:
        """One answer: `data`, `meta` and `links`."""

        def attempt() -> dict[str, Any]:
            self._failures.clear()
            answers = self.client.get_one(
                endpoint=endpoint,
                filter=self.filter if endpoint == "structures" else "",
                base_url=self.base_url,
                response_fields=fields,
                page_limit=page_limit,
                paginate=False,
                override_url=url or None,
            )
            if self._failures:
                raise self._failures[-1]
            (answer,) = answers.values()
            if not isinstance(answer.meta, dict) or not answer.meta:
                raise FailedError("the answer is not one of OPTIMADE")
            expected = list if endpoint == "structures" else dict
            if not isinstance(answer.data, expected):
                raise FailedError("the answer holds no data", tries=FEW_TRIES)
            if answer.errors:
                said = " ".join(str(answer.errors[0]).split())[:200]
                raise FailedError(f"the server reports an error: {said}", tries=FEW_TRIES)
            return {"data": answer.data, "meta": answer.meta, "links": answer.links or {}}

        return patiently(attempt, self.limits, f"{self.where}: {self.base_url} ({name})")

    def _count(self) -> int | None:
        # Everything is compared with the count, so one wrong answer must not pass for it.
        first, second = (
            self._ask("structures", "count", fields=["id"], page_limit=1)["meta"].get("data_returned")
            for _ in range(2)
        )
        if first != second:
            raise FailedError(f"it counts {first} entries, and then {second}")
        return first

    def _key(self, number: int) -> str:
        asked = [self.base_url, self.version, self.filter, _FIELDS, self.page_limit, self.count]
        return json.dumps(["optimade", *asked, number])

    def _kept_pages(self) -> Iterator[dict[str, Any]]:
        number = 0
        while (kept := self.cache.get(self._key(number))) is not None:
            yield json.loads(kept)
            number += 1

    def _pages(self) -> Iterator[dict[str, Any]]:
        number, page = 0, None
        for page in self._kept_pages():
            number += 1
            yield page
        while page is None or page["next"]:
            what = f"{self.where}: {self.base_url} (page {number + 1})"
            page = patiently(partial(self._page, page["next"] if page else ""), self.limits, what)
            self.cache.put({self._key(number): json.dumps(page).encode()})
            number += 1
            yield page

    def _page(self, url: str) -> dict[str, Any]:
        page = self._read_page(url)
        # Some servers forget in their links what was asked for.
        if url and page["entries"] and all(map(_bare, page["entries"])) and not _asks_for_fields(url):
            fields = urlencode({"response_fields": ",".join(_FIELDS)})
            log.info("%s: %s forgets the fields in its links; asked for again", self.where, self.base_url)
            page = self._read_page(f"{url}{'&' if urlsplit(url).query else '?'}{fields}")
        return page

    def _read_page(self, url: str) -> dict[str, Any]:
        answer = self._ask("structures", "structures", fields=_FIELDS, page_limit=self.page_limit, url=url)
        announced = answer["meta"].get("data_returned")
        if announced != self.count:
            raise FailedError(f"{announced} entries announced, {self.count} at the start", tries=FEW_TRIES)
        following = _next(answer["links"])
        entries = [_identified(entry, place, url) for place, entry in enumerate(answer["data"], start=1)]
        return {"entries": entries, "next": following and urljoin(f"{self.base_url}/", following)}

    def entries(self) -> Iterator[Entry]:
        """All entries, in the database's order; what is wrong with one is in its `error`."""
        seen: set[str] = set()
        for number, page in enumerate(self._pages(), start=1):
            found = [entry["id"] for entry in page["entries"]]
            if number > 1 and found and seen.issuperset(found):
                if len(seen) == self.count:
                    log.warning("%s: %s: after the last page comes an earlier one", self.where, self.base_url)
                    return
                self._give_up(f"pages go round: page {number} holds only entries that came before", seen)
            for entry in page["entries"]:
                seen.add(entry["id"])
                yield _entry(entry["id"], entry["attributes"])
            if self.count is not None and len(seen) > self.count:
                self._give_up("more entries than announced", seen)
            if len(seen) > MOST_ENTRIES:
                self._give_up("the pages have no end", seen)
        if self.count is not None and len(seen) != self.count:
            self._give_up("fewer entries than announced", seen)

    def _give_up(self, reason: str, seen: set[str]) -> None:
        """End the pull; its pages are forgotten, so that the next one asks for them again."""
        self.cache.forget([self._key(number) for number in range(sum(1 for _ in self._kept_pages()))])
        announced = "an unknown number of" if self.count is None else self.count
        raise XtinctError(
            f"{self.where}: {self.base_url} announces {announced} entries and delivers {len(seen)}; "
            f"run again ({reason})"
        )


def _tidied(url: str, answer: dict[str, Any]) -> None:
    """Before the client reads it: empty objects for what an answer gives as null, and a count or none."""
    for key in ("meta", "links", "data"):
        if answer[key] is None:
            answer[key] = {}
    for key in ("included", "errors"):
        answer[key] = answer[key] or []
    following = answer["links"].get("next") if isinstance(answer["links"], dict) else None
    if isinstance(following, dict):
        answer["links"]["next"] = following.get("href")
    if isinstance(answer["meta"], dict):
        count = answer["meta"].get("data_returned")
        if isinstance(count, str) and count.isdecimal():
            count = int(count)
        answer["meta"]["data_returned"] = count if type(count) is int else None


def _next(links: Any) -> str:
    """Address of the next page; empty if there is none."""
    following = links.get("next") if isinstance(links, dict) else None
    if following and not isinstance(following, str):
        raise FailedError("the link to the next page is no address", tries=FEW_TRIES)
    return following or ""


def _asks_for_fields(url: str) -> bool:
    return "response_fields" in parse_qs(urlsplit(url).query, keep_blank_values=True)


def _identified(entry: Any, place: int, url: str) -> dict[str, Any]:
    """An entry as it is kept: `id`, made up where the database gives none, and `attributes`."""
    entry = entry if isinstance(entry, dict) else {}
    page = urlsplit(url).query or "first"
    identifier = entry.get("id")
    return {
        "id": f"no-id:{page}:{place}" if identifier in (None, "") else str(identifier),
        "attributes": entry.get("attributes"),
    }


def _bare(entry: Mapping[str, Any]) -> bool:
    attributes = entry["attributes"]
    return not isinstance(attributes, dict) or all(attributes.get(name) is None for name in _NEEDED)


def _entry(identifier: str, attributes: Any) -> Entry:
    if identifier.startswith("no-id:"):
        return Entry(identifier, error="missing_id: the entry has no identifier")
    if not isinstance(attributes, dict):
        return Entry(identifier, error="missing_fields: the entry has no attributes")
    missing = [name for name in _NEEDED if attributes.get(name) is None]
    if missing:
        return Entry(identifier, error=f"missing_fields: {', '.join(missing)}; asked for and not sent")
    try:
        if reason := _not_a_whole_crystal(attributes):
            return Entry(identifier, error=reason)
        return Entry(identifier, format_cif(identifier, _crystal(attributes)))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        kind = "" if type(error) is ValueError else f"{type(error).__name__}: "
        return Entry(identifier, error=f"unreadable: {kind}{' '.join(str(error).split())[:200]}")


def _not_a_whole_crystal(attributes: Mapping[str, Any]) -> str:
    """ "reason: detail" if the entry says that it is not periodic in space, or not listed in full."""
    features = attributes.get("structure_features") or ()
    if untold := [name for name in _UNTOLD if name in features]:
        return f"incomplete_listing: structure_features {', '.join(untold)}"
    types = attributes.get("dimension_types")
    told = [] if types is None else [value for value in types if value is not None]
    periodic = attributes.get("nperiodic_dimensions")
    if any(value not in (0, 1) for value in told) or (told and len(types) != 3):
        raise ValueError(f"dimension_types {types}, expected three of 0 and 1")
    # What is not told is no reason to doubt a structure with three lattice vectors.
    if 0 in told:
        return f"not_three_dimensional: dimension_types {types}"
    if periodic not in (None, 3):
        return f"not_three_dimensional: nperiodic_dimensions {periodic}"
    return ""


def _crystal(attributes: Mapping[str, Any]) -> Crystal:
    basis = np.array(attributes["lattice_vectors"], dtype=np.float64).reshape(3, 3)
    positions = np.array(attributes["cartesian_site_positions"], dtype=np.float64).reshape(-1, 3)
    if not (np.isfinite(basis).all() and np.isfinite(positions).all()):
        raise ValueError("lattice vectors and positions must be numbers")
    if abs(np.linalg.det(basis)) < _LEAST_VOLUME:
        raise ValueError("the lattice vectors span no volume")
    occupants = {species["name"]: _occupants(species) for species in attributes["species"]}
    names = attributes["species_at_sites"]
    if unknown := sorted({str(name) for name in names if name not in occupants}):
        raise ValueError(f"species_at_sites names {', '.join(unknown)}, which species does not hold")
    if len(names) != len(positions) or attributes.get("nsites") not in (None, len(positions)):
        raise ValueError(
            f"{len(positions)} positions, {len(names)} species_at_sites, nsites {attributes.get('nsites')}"
        )
    sites = [occupants[name] for name in names]
    # A site that is all vacancy holds nothing.
    filled = [i for i, site in enumerate(sites) if site]
    if not filled:
        raise ValueError("no site holds an atom")
    return Crystal(
        cell=cell_of_basis(basis),
        frac=on_right_handed_axes(basis, np.linalg.solve(basis.T, positions.T).T[filled]),
        species=[sites[i] for i in filled],
    )


def _occupants(species: Mapping[str, Any]) -> tuple[tuple[str, float], ...]:
    """Elements of a site with their shares; ValueError for what is no element, or has atoms attached."""
    symbols, shares = species["chemical_symbols"], species["concentration"]
    if species.get("attached"):
        raise ValueError(f"species {species['name']}: atoms without positions are attached to its sites")
    if len(symbols) != len(shares):
        raise ValueError(
            f"species {species['name']}: {len(symbols)} chemical_symbols, {len(shares)} concentrations"
        )
    pairs = [(symbol, float(share)) for symbol, share in zip(symbols, shares, strict=True)]
    for symbol, share in pairs:
        if symbol != "vacancy" and symbol not in _ELEMENTS:
            raise ValueError(f"species {species['name']}: {symbol!r} is no element")
        if not 0 <= share <= 1:
            raise ValueError(f"species {species['name']}: concentration {share:g} of {symbol}")
    return tuple(sorted((symbol, share) for symbol, share in pairs if symbol != "vacancy" and share))


def _licence(attributes: Mapping[str, Any]) -> str:
    """What the provider states in /info: SPDX identifiers, or an address."""
    stated = attributes.get("license")
    if isinstance(stated, dict):
        stated = stated.get("href")
    identifiers = attributes.get("available_licenses")
    if isinstance(identifiers, list) and identifiers:
        return ", ".join(map(str, identifiers))
    return str(stated or "not stated")


def _object(value: Any) -> Mapping[str, Any]:
    """`value`; empty where a database gives something else than an object."""
    return value if isinstance(value, dict) else {}


OPTIMADE = SourceKind(open_optimade, required=("database", "cache", "filter", "page_limit", "network"))

"""Any OPTIMADE provider as a source, through the consortium's own client `optimade`.

The client builds the requests, finds providers and checks filters; pages are asked for one by one, so
that each stays in the cache and none is asked for twice. Specification: https://specification.optimade.org
"""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from xtinct.errors import XtinctError
from xtinct.structures.crystal import Crystal, cell_of_basis, format_cif
from xtinct.structures.entries import Entry, Kind, Source
from xtinct.structures.network import (
    Cache,
    FailedError,
    Gate,
    Limits,
    RefusedError,
    Session,
    estimate,
    patiently,
    progress,
)

_FIELDS = [
    "lattice_vectors",
    "cartesian_site_positions",
    "species",
    "species_at_sites",
    "dimension_types",
    "structure_features",
]
#: Features of a structure that its list of sites does not tell.
_UNTOLD = ("implicit_atoms", "site_attachments", "assemblies", "unknown_positions")


def open_optimade(where: str, config: Mapping[str, Any]) -> Source:
    """Structures of one database that match `filter`.

    `database`: the base address of an OPTIMADE database, or the identifier of a provider that has one
    database only. `page_limit`: entries of one request, which providers restrict to different values.
    XtinctError if the database delivers another number of entries than it announces.
    """
    limits = Limits.of(config)
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

    def __init__(self, where: str, config: Mapping[str, Any], limits: Limits) -> None:
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
        self.client = OptimadeClient(self.base_url, use_async=False, http_client=Watched, silent=True)
        info = self._ask("info", "info")
        meta, attributes = info["meta"], info["data"].get("attributes", {})
        implementation = meta.get("implementation") or {}
        program = f"{implementation.get('name') or 'unnamed'} {implementation.get('version') or ''}".rstrip()
        self.name = (meta.get("provider") or {}).get("name") or self.base_url
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
            if answer.errors or not isinstance(answer.meta, dict) or not answer.meta:
                raise FailedError("the answer is not one of OPTIMADE")
            expected = list if endpoint == "structures" else dict
            if not isinstance(answer.data, expected):
                raise FailedError("the answer holds no data")
            return {"data": answer.data, "meta": answer.meta, "links": answer.links}

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
        return json.dumps(
            ["optimade", self.base_url, self.version, self.filter, self.page_limit, self.count, number]
        )

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
        answer = self._ask("structures", "structures", fields=_FIELDS, page_limit=self.page_limit, url=url)
        announced = answer["meta"].get("data_returned")
        if announced != self.count:
            raise FailedError(f"{announced} entries announced, {self.count} at the start")
        following = answer["links"].get("next")
        if isinstance(following, dict):
            following = following.get("href")
        if following and not answer["data"]:
            raise FailedError("a page without entries that is not the last")
        entries = [{"id": entry["id"], "attributes": entry["attributes"]} for entry in answer["data"]]
        return {"entries": entries, "next": following}

    def entries(self) -> Iterator[Entry]:
        """All entries, in the database's order; what is wrong with one is in its `error`."""
        seen: set[str] = set()
        for page in self._pages():
            for entry in page["entries"]:
                seen.add(entry["id"])
                yield _entry(str(entry["id"]), entry["attributes"])
        if self.count is not None and len(seen) != self.count:
            self.cache.forget(self._key(number) for number in range(sum(1 for _ in self._kept_pages())))
            raise XtinctError(
                f"{self.where}: {self.base_url} announces {self.count} entries and delivers {len(seen)}; "
                "run again"
            )


def _entry(identifier: str, attributes: Mapping[str, Any]) -> Entry:
    if untold := [name for name in _UNTOLD if name in (attributes.get("structure_features") or ())]:
        return Entry(identifier, error=f"incomplete_listing: structure_features {', '.join(untold)}")
    if attributes.get("dimension_types") != [1, 1, 1]:
        return Entry(
            identifier, error=f"not_three_dimensional: dimension_types {attributes.get('dimension_types')}"
        )
    try:
        basis = np.array(attributes["lattice_vectors"], dtype=np.float64).reshape(3, 3)
        positions = np.array(attributes["cartesian_site_positions"], dtype=np.float64).reshape(-1, 3)
        occupants = {species["name"]: _occupants(species) for species in attributes["species"]}
        sites = [occupants[name] for name in attributes["species_at_sites"]]
        if len(sites) != len(positions):
            raise ValueError(f"{len(positions)} positions of {len(sites)} sites")
        # A site that is all vacancy holds nothing.
        filled = [i for i, site in enumerate(sites) if site]
        crystal = Crystal(
            cell=cell_of_basis(basis),
            frac=np.linalg.solve(basis.T, positions.T).T[filled],
            species=[sites[i] for i in filled],
        )
        return Entry(identifier, format_cif(identifier, crystal))
    except (KeyError, TypeError, ValueError, np.linalg.LinAlgError) as error:
        return Entry(
            identifier, error=f"unreadable: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
        )


def _occupants(species: Mapping[str, Any]) -> tuple[tuple[str, float], ...]:
    pairs = zip(species["chemical_symbols"], species["concentration"], strict=True)
    return tuple(sorted((symbol, float(amount)) for symbol, amount in pairs if symbol != "vacancy"))


def _licence(attributes: Mapping[str, Any]) -> str:
    """What the provider states in /info: SPDX identifiers, or an address."""
    stated = attributes.get("license")
    if isinstance(stated, dict):
        stated = stated.get("href")
    identifiers = attributes.get("available_licenses")
    return ", ".join(identifiers) if identifiers else stated or "not stated"


OPTIMADE = Kind(open_optimade, required=("database", "cache", "filter", "page_limit", "network"))

"""Servers on loopback that speak like the real ones, and go wrong on demand.

Everything here is sockets and HTTP as on the network; nothing of the code under test is replaced.
"""

import contextlib
import json
import os
import re
import socket
import struct
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import gemmi
from pymatgen.core import Structure

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("XTINCT_SHARED_DATA", ROOT.parent / "shared" / "data"))
KEY = "0123456789abcdefghijklmnopqrstuv"


@dataclass
class Answer:
    body: bytes
    status: int = 200
    headers: dict = field(default_factory=lambda: {"Content-Type": "application/json"})


def as_json(value, status=200) -> Answer:
    return Answer(json.dumps(value).encode(), status)


# --- what can go wrong with an answer: (handler, answer) -> None -----------------------------------


def deliver(handler, answer: Answer) -> None:
    handler.send_response(answer.status)
    for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(answer.body)


def reset(handler, answer) -> None:
    """The peer vanishes: TCP RST."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def hang_up(handler, answer) -> None:
    """An orderly end of the connection instead of an answer."""
    handler.close_connection = True


def truncated(handler, answer) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(answer.body)))
    handler.end_headers()
    handler.wfile.write(answer.body[: len(answer.body) // 2])
    handler.close_connection = True


def truncated_chunks(handler, answer) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    half = answer.body[: len(answer.body) // 2]
    handler.wfile.write(f"{len(half):x}\r\n".encode() + half + b"\r\n")
    handler.close_connection = True


def slow_bytes(handler, answer) -> None:
    """A byte now and then: no read ever times out, yet the answer takes for ever."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(answer.body)))
    handler.end_headers()
    with contextlib.suppress(OSError):
        for byte in answer.body[:400]:
            handler.wfile.write(bytes([byte]))
            time.sleep(0.02)
    handler.close_connection = True


def silent(handler, answer) -> None:
    time.sleep(3)
    handler.close_connection = True


def garbage(handler, answer) -> None:
    """A proxy's page with status 200."""
    deliver(handler, Answer(b"<html><body>please come back later</body></html>"))


def half_json(handler, answer) -> None:
    """Cut off by the server itself, which declares the wrong length as the right one."""
    deliver(handler, Answer(answer.body[: len(answer.body) // 2]))


def http_status(code: int, **headers: str) -> Callable:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, answer: deliver(handler, Answer(b"busy", code, named))


def edited(change: Callable[[bytes], bytes]) -> Callable:
    return lambda handler, answer: deliver(
        handler, Answer(change(answer.body), answer.status, answer.headers)
    )


@dataclass
class Fault:
    """`effect` on the requests whose target matches `pattern`: after `skip` of them, `times` times."""

    pattern: str
    effect: Callable
    skip: int = 0
    times: float = 1


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        target = urllib.parse.unquote(self.path)
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        answer = self.server.answer(self, parts.path, query)
        effect = self.server.effect(target)
        with contextlib.suppress(ConnectionError):
            (effect or deliver)(self, answer)
            if effect is None and answer.status == 200:
                self.server.delivered.append(target)

    def log_message(self, *_) -> None:
        pass


class Server(ThreadingHTTPServer):
    """A server with its data; `delivered` are the targets of the requests that it answered well."""

    daemon_threads = True
    block_on_close = False
    data: Callable[[str, dict], Answer]

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.faults: list[Fault] = []
        self.asked: list[str] = []
        self.delivered: list[str] = []
        self._lock = threading.Lock()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def effect(self, target: str) -> Callable | None:
        with self._lock:
            self.asked.append(target)
            for fault in self.faults:
                if re.search(fault.pattern, target):
                    if fault.skip > 0:
                        fault.skip -= 1
                    elif fault.times > 0:
                        fault.times -= 1
                        return fault.effect
        return None

    def answer(self, handler: Handler, path: str, query: dict) -> Answer:
        raise NotImplementedError

    def close(self) -> None:
        self.shutdown()
        self.server_close()


# --- the Materials Project -------------------------------------------------------------------------


class MaterialsProject(Server):
    """`/heartbeat` and `/materials/summary/` with the parameters and the envelope of its REST interface."""

    version = "2025.02.12"

    def __init__(self, documents: list[dict], port: int = 0) -> None:
        self.documents = documents
        super().__init__(port)

    def answer(self, handler, path, query) -> Answer:
        if path == "/heartbeat":
            return as_json({"status": "OK", "db_version": self.version, "access_controlled_batch_ids": []})
        if handler.headers.get("x-api-key") != KEY:
            said = f"Invalid authentication credentials: {handler.headers.get('x-api-key')}"
            return as_json({"message": said}, 401)
        if len(handler.path) > 4096:
            return as_json({"detail": "URI too long"}, 414)
        if path != "/materials/summary/":
            return as_json({"detail": "Not found"}, 404)
        found = [document for document in self.documents if self._matches(document, query)]
        found.sort(key=lambda document: document["material_id"])
        start, size = int(query.get("_skip", 0)), int(query.get("_limit", 100))
        fields = query.get("_fields", "material_id").split(",")
        page = [{name: document[name] for name in fields} for document in found[start : start + size]]
        return as_json({"data": page, "meta": {"api_version": "0.86", "total_doc": len(found)}, "errors": []})

    def _matches(self, document, query) -> bool:
        licence = query.get("license", "BY-C")
        return (
            (licence == "All" or document["license"] == licence)
            and ("material_ids" not in query or document["material_id"] in query["material_ids"].split(","))
            and set(query.get("elements", "").split(",")) - {""} <= set(document["elements"])
            and (document["nsites"] <= int(query.get("nsites_max", 10**6)))
            and (
                "spacegroup_number" not in query
                or query["spacegroup_number"] == str(document["symmetry"]["number"])
            )
        )


# --- the Crystallography Open Database -------------------------------------------------------------


class OpenDatabase(Server):
    """`/cod/result` with its formats, and `/cod/ID.cif@REVISION`."""

    def __init__(self, entries: dict[str, dict], port: int = 0) -> None:
        self.entries = entries
        super().__init__(port)

    def answer(self, handler, path, query) -> Answer:
        if path == "/cod/result":
            rows = [entry for entry in self.entries.values() if self._matches(entry, query)]
            if query["format"] == "count":
                return Answer(f"{len(rows)}\n".encode())
            names = ("file", "svnrevision", "formula", "duplicateof", "status", "sgNumber")
            return as_json([{name: row[name] for name in names} for row in rows])
        asked = re.fullmatch(r"/cod/(\d{7})\.cif(?:@(\d+))?", path)
        entry = self.entries.get(asked[1]) if asked else None
        if entry is None or "cif" not in entry or asked[2] not in (None, entry["svnrevision"]):
            return Answer(b"Not Found", 404)
        return Answer(entry["cif"].encode(), headers={"Content-Type": "chemical/x-cif"})

    @staticmethod
    def _matches(entry, query) -> bool:
        elements = set(re.findall("[A-Z][a-z]?", entry["formula"]))
        return (
            all(query[key] in elements for key in query if re.fullmatch(r"el\d", key))
            and not any(query[key] in elements for key in query if re.fullmatch(r"nel\d", key))
            and int(query.get("strictmin", 0)) <= len(elements) <= int(query.get("strictmax", 99))
        )


def cod_entry(identifier: str, revision: str, text: str, **marks: str) -> dict:
    block = gemmi.cif.read_string(text).sole_block()
    formula = gemmi.cif.as_string(block.find_value("_chemical_formula_sum") or "")
    return {
        "file": identifier,
        "svnrevision": revision,
        "formula": f"- {formula} -",
        "duplicateof": None,
        "status": None,
        "sgNumber": "1",
        "cif": text,
        **marks,
    }


# --- OPTIMADE --------------------------------------------------------------------------------------


class Gateway(Server):
    """In front of another server: passes requests on, and goes wrong on demand."""

    def __init__(self, upstream: str, port: int = 0) -> None:
        self.upstream = upstream
        super().__init__(port)

    def answer(self, handler, path, query) -> Answer:
        # With our own address as Host, the server's links to the next page lead through here.
        request = urllib.request.Request(
            self.upstream + handler.path, headers={"Host": handler.headers["Host"]}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return Answer(answer.read(), answer.status, {"Content-Type": answer.headers["Content-Type"]})
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.read(), error.code)


class Optimade(Server):
    """`/v1/info` and `/v1/structures`, with every answer as `change(answer, page)` leaves it."""

    def __init__(self, count: int = 6) -> None:
        self.count = count
        self.change: Callable[[dict, int], None] = lambda answer, page: None
        super().__init__()

    def answer(self, handler, path, query) -> Answer:
        meta = {"api_version": "1.1.0", "data_returned": self.count, "provider": {"name": "small"}}
        if path == "/v1/info":
            return as_json({"data": {"attributes": {"api_version": "1.1.0"}}, "meta": meta})
        start, size = int(query.get("page_offset", 0)), int(query["page_limit"])
        stop = start + size
        following = f"{self.address}/v1/structures?page_offset={stop}&page_limit={size}"
        answer = {
            "data": [self._entry(number) for number in range(start, min(stop, self.count))],
            "meta": meta,
            "links": {"next": following if stop < self.count else None},
        }
        self.change(answer, start // size + 1)
        return as_json(answer)

    @staticmethod
    def _entry(number: int) -> dict:
        a = 4.0 + 0.1 * number
        attributes = {
            "lattice_vectors": [[a, 0, 0], [0, a, 0], [0, 0, a]],
            "cartesian_site_positions": [[0, 0, 0], [a / 2, a / 2, a / 2]],
            "species": [{"name": e, "chemical_symbols": [e], "concentration": [1.0]} for e in ("Cs", "Cl")],
            "species_at_sites": ["Cs", "Cl"],
            "dimension_types": [1, 1, 1],
            "structure_features": [],
        }
        return {"id": f"x-{number}", "type": "structures", "attributes": attributes}


def optimade_line(identifier: str, structure: Structure) -> dict:
    """A structure as a line of OPTIMADE JSON Lines."""
    amounts = structure.composition.reduced_composition.get_el_amt_dict()
    elements = sorted(amounts)
    count = sum(amounts.values())
    formula = "".join(f"{e}{int(amounts[e]) if amounts[e] != 1 else ''}" for e in elements)
    letters = sorted((int(amounts[e]) for e in elements), reverse=True)
    anonymous = "".join(f"{chr(65 + i)}{n if n != 1 else ''}" for i, n in enumerate(letters))
    return {
        "id": identifier,
        "type": "structures",
        "attributes": {
            "elements": elements,
            "nelements": len(elements),
            "elements_ratios": [amounts[e] / count for e in elements],
            "chemical_formula_descriptive": formula,
            "chemical_formula_reduced": formula,
            "chemical_formula_anonymous": anonymous,
            "dimension_types": [1, 1, 1],
            "nperiodic_dimensions": 3,
            "lattice_vectors": structure.lattice.matrix.tolist(),
            "cartesian_site_positions": structure.cart_coords.tolist(),
            "nsites": len(structure),
            "species": [{"name": e, "chemical_symbols": [e], "concentration": [1.0]} for e in elements],
            "species_at_sites": [site.specie.symbol for site in structure],
            "structure_features": [],
            "last_modified": "2025-01-01T00:00:00Z",
        },
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

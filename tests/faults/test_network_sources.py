"""Faults of real connections: what was fetched stays, and the result is that of an undisturbed pull."""

import io
import json
import logging
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import zipfile
import zlib
from pathlib import Path

import gemmi
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from loopback_servers import (
    KEY,
    ROOT,
    SHARED,
    Answer,
    Fault,
    MaterialsProject,
    OpenDatabase,
    edited,
    free_port,
    garbage,
    half_json,
    hang_up,
    http_status,
    reset,
    silent,
    slow_bytes,
    truncated,
    truncated_chunks,
)
from pymatgen.core import Structure

from xtinct.errors import XtinctError
from xtinct.sources.fetching import fetch
from xtinct.structures.cleaning import clean_row
from xtinct.structures.crystal import RejectedError

# A busy machine may take its time: only where a server falls silent is the timeout waited for.
NETWORK = {"timeout": 20.0, "patience": 6.0, "backoff": [0.01, 0.05], "rate": 2000, "parallel": 3}
#: What a request for data looks like, for each source (as opposed to version, count and list).
DATA = {"mp": "material_ids=", "cod": r"\.cif@", "optimade": "response_fields=lattice"}
KINDS = ("mp", "cod", "optimade")


class Pull:
    """A source on a server, pulled into a folder of its own."""

    def __init__(self, kind, server, folder):
        self.kind, self.server, self.folder = kind, server, folder
        self.config = {"kind": kind, "cache": str(folder / "cache"), "network": dict(NETWORK)}
        self.config |= {
            "mp": {"endpoint": server.address, "filters": {}, "non_commercial": "exclude"},
            "cod": {
                "server": f"{server.address}/cod",
                "query": {"el1": "O", "strictmin": 3},
                "exclude": [["C", "H"]],
            },
            "optimade": {"database": server.address, "filter": "nelements<4", "page_limit": 20},
        }[kind]

    def run(self, name="pulled.parquet", **network) -> bytes:
        config = {**self.config, "network": {**self.config["network"], **network}}
        fetch("source", config, self.folder / name)
        return (self.folder / name).read_bytes()

    def rows(self, name="pulled.parquet") -> dict[str, dict]:
        rows = pq.read_table(self.folder / name).to_pylist()
        return {row["structure_id"].removeprefix("source:"): row for row in rows}

    def data_requests(self) -> list[str]:
        return [target for target in self.server.delivered if re.search(DATA[self.kind], target)]


@pytest.fixture
def pull(request, tmp_path, cod_entries, monkeypatch):
    kind = request.param
    server = request.getfixturevalue(
        {"mp": "materials_project", "cod": "open_database", "optimade": "gateway"}[kind]
    )
    server.faults, server.asked, server.delivered = [], [], []
    if kind == "cod":
        server.entries = {identifier: dict(entry) for identifier, entry in cod_entries.items()}
    monkeypatch.setenv("MP_API_KEY", KEY)
    return Pull(kind, server, tmp_path)


@pytest.fixture(scope="session")
def whole_pulls() -> dict[str, bytes]:
    return {}


@pytest.fixture
def undisturbed(pull, whole_pulls, tmp_path_factory) -> bytes:
    """The result of a pull without faults, from an empty cache of its own."""
    if pull.kind not in whole_pulls:
        whole_pulls[pull.kind] = Pull(pull.kind, pull.server, tmp_path_factory.mktemp("undisturbed")).run()
        pull.server.asked, pull.server.delivered = [], []
    return whole_pulls[pull.kind]


def everywhere(kinds=KINDS):
    return pytest.mark.parametrize("pull", kinds, indirect=True)


# --- undisturbed -----------------------------------------------------------------------------------


@everywhere(["mp"])
def test_materials_project_gives_the_structures_it_has(pull, mp_documents):
    pull.run()
    rows = pull.rows()
    assert len(rows) == len(mp_documents)
    for document in mp_documents[::7]:
        row = rows[document["material_id"]]
        if document["license"] == "BY-NC":
            assert row["error"].startswith("non_commercial: ")
            assert (row["cif"], row["licence"]) == ("", "CC-BY-NC-4.0")
            continue
        assert (row["error"], row["source_version"], row["licence"]) == ("", "2025.02.12", "CC-BY-4.0")
        assert row["spacegroup_declared"] == document["symmetry"]["number"]
        assert_same_crystal(row["cif"], Structure.from_dict(document["structure"]))
    # Nothing but the needed fields was asked for.
    fields = {target.split("_fields=")[1].split("&")[0] for target in pull.data_requests()}
    assert fields == {"material_id,structure,symmetry"}


def assert_same_crystal(cif: str, expected: Structure) -> None:
    """Read by gemmi; pymatgen's reader moves coordinates near 1/3 and 2/3."""
    found = gemmi.make_small_structure_from_block(gemmi.cif.read_string(cif).sole_block())
    assert found.cell.parameters == pytest.approx(expected.lattice.parameters, abs=1e-6)
    sites = {(site.element.name, site.occ): [] for site in found.sites}
    for site in found.sites:
        sites[site.element.name, site.occ].append(site.fract.tolist())
    for atoms in {site.species for site in expected}:
        where = [site.frac_coords for site in expected if site.species == atoms]
        for element, amount in atoms.items():
            # Every site of one has a site of the other at the same place.
            distances = expected.lattice.get_all_distances(where, sites[element.symbol, amount])
            assert distances.min(axis=1) == pytest.approx(np.zeros(len(where)), abs=1e-6)
    assert len(found.sites) == sum(len(site.species) for site in expected)


@everywhere(["mp"])
def test_materials_project_includes_gnome_only_when_asked(pull, mp_documents):
    pull.config["non_commercial"] = "include"
    pull.run()
    licences = {name: row["licence"] for name, row in pull.rows().items() if not row["error"]}
    assert licences == {
        document["material_id"]: {"BY-C": "CC-BY-4.0", "BY-NC": "CC-BY-NC-4.0"}[document["license"]]
        for document in mp_documents
    }


@everywhere(["mp"])
def test_materials_project_filters(pull, mp_documents):
    chosen = [document["material_id"] for document in mp_documents]  # far more than one address can hold
    pull.config["filters"] = {
        "material_ids": chosen, "elements": ["O"], "num_sites": [0, 30],
        "spacegroup_numbers": [14, 62, 221, 225],
    }  # fmt: skip
    pull.run()
    assert set(pull.rows()) == {
        document["material_id"]
        for document in mp_documents
        if "O" in document["elements"]
        and document["nsites"] <= 30
        and document["symmetry"]["number"] in (14, 62, 221, 225)
    }


@everywhere(["cod"])
def test_cod_gives_the_text_of_each_revision_and_sets_marked_entries_aside(pull, cod_entries):
    pull.config["query"] = {"strictmax": 99}
    pull.config["exclude"] = []
    pull.run()
    rows = pull.rows()
    assert set(rows) == set(cod_entries)
    reasons = {name: row["error"].split(":")[0] for name, row in rows.items()}
    assert {reasons[name] for name, entry in cod_entries.items() if entry["duplicateof"]} == {"duplicate_of"}
    assert reasons["9900004"] == reasons["9900005"] == "retracted"
    assert reasons["9900007"] == "not_found"
    fine = [name for name, reason in reasons.items() if not reason]
    assert "9900006" in fine
    for name in fine:
        assert rows[name]["cif"] == cod_entries[name]["cif"]
        assert rows[name]["source_version"] == f"r{cod_entries[name]['svnrevision']}"


@everywhere(["cod"])
def test_cod_asks_again_for_a_new_revision_only(pull):
    pull.run()
    pull.server.delivered.clear()
    name = next(name for name, row in pull.rows().items() if not row["error"])
    entry = pull.server.entries[name]
    entry["svnrevision"] = "299999"
    entry["cif"] = "#$Revision: 299999 $\n" + entry["cif"].split("\n", 1)[1]
    pull.run()
    assert pull.data_requests() == [f"/cod/{name}.cif@299999"]
    assert pull.rows()[name]["source_version"] == "r299999"


@everywhere(["cod"])
@pytest.mark.parametrize("form", ["folder", "zip"])
def test_cod_mirror_gives_what_the_server_gives(pull, cod_entries, tmp_path, form):
    pull.run()
    mirror = tmp_path / "mirror"
    for name, entry in cod_entries.items():
        if "cif" in entry:
            path = mirror / name[0] / name[1:3] / name[3:5] / f"{name}.cif"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(entry["cif"], encoding="utf-8")
    if form == "zip":
        with zipfile.ZipFile(tmp_path / "mirror.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(mirror.rglob("*.cif")):
                archive.write(path, path.relative_to(mirror))
        mirror = tmp_path / "mirror.zip"
    config = {"kind": "cod-mirror", "path": str(mirror), "exclude": [["C", "H"]], "version": "2026-11-01"}
    counts = fetch("source", config, tmp_path / "mirror.parquet")
    local, remote = pull.rows("mirror.parquet"), pull.rows()
    taken = {name for name, row in remote.items() if not row["error"]}
    assert len(taken) > 5
    assert {name: local[name] for name in taken} == {name: remote[name] for name in taken}
    assert counts["received"] + counts["not_selected"] == sum(
        "cif" in entry for entry in cod_entries.values()
    )


def test_cod_real_entries_are_served(cod_entries):
    if not (SHARED / "cod_and_zeolites.parquet").exists():
        pytest.skip("the optional table of COD entries is not there (XTINCT_SHARED_DATA)")
    assert sum(not name.startswith("99000") for name in cod_entries) > 300


@everywhere(["optimade"])
def test_optimade_gives_the_structures_of_the_reference_server(pull, optimade_structures):
    pull.run()
    rows = pull.rows()
    expected = {name for name, s in optimade_structures.items() if len(s.composition) < 4}
    assert set(rows) - {"layer"} == expected
    assert rows.pop("layer")["error"].startswith("not_three_dimensional")
    for name, row in rows.items():
        assert row["error"] == ""
        assert "OPTIMADE 1." in row["source_version"]
        assert_same_crystal(row["cif"], optimade_structures[name])
    about = json.loads(pq.read_schema(pull.folder / "pulled.parquet").metadata[b"about"])
    assert about["server_count"] == len(rows) + 1


@everywhere(["optimade"])
def test_optimade_filter_that_is_no_filter(pull):
    pull.config["filter"] = "nelements<"
    with pytest.raises(XtinctError, match=r"sources.source.filter: 'nelements<'"):
        pull.run()
    assert pull.server.asked == []


@everywhere(["optimade"])
def test_optimade_provider_by_name(pull, undisturbed, monkeypatch):
    def links(base_urls, link_type):
        rows = [
            {
                "id": f"{link_type}{i}", "type": "links",
                "attributes": {
                    "name": "a", "description": "a", "base_url": url, "homepage": None,
                    "link_type": link_type, "aggregate": "ok",
                },
            }
            for i, url in enumerate(base_urls)
        ]  # fmt: skip
        return json.dumps({"data": rows, "meta": {}}).encode()

    class Registry(type(pull.server)):
        children = (pull.server.address,)

        def answer(self, handler, path, query):
            if path == "/v1/links":
                return Answer(links(self.children, "child"))
            return Answer(links([self.address], "external").replace(b"external0", b"somewhere"))

    registry = Registry("unused")
    monkeypatch.setattr("optimade.utils.PROVIDER_LIST_URLS", (f"{registry.address}/providers",))
    pull.config["database"] = "somewhere"
    assert pull.run() == undisturbed
    Registry.children = (pull.server.address, "http://127.0.0.1:9/other")
    with pytest.raises(XtinctError, match=r"database: 'somewhere' has several; .*127.0.0.1:9/other"):
        pull.run()
    pull.config["database"] = "nowhere"
    with pytest.raises(XtinctError, match="'nowhere': no such provider"):
        pull.run(patience=0.2)
    registry.close()


# --- faults that pass ------------------------------------------------------------------------------

PASSING = {
    "reset": reset,
    "closed": hang_up,
    "429": http_status(429, Retry_After="0.2"),
    "500": http_status(500),
    "503 until a date": http_status(503, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"),
    "403": http_status(403),
    "truncated": truncated,
    "truncated chunks": truncated_chunks,
    "slow bytes": slow_bytes,
    "silent": silent,
    "garbage": garbage,
}


@everywhere()
@pytest.mark.parametrize("effect", PASSING.values(), ids=PASSING.keys())
def test_a_passing_fault_changes_nothing(pull, undisturbed, effect):
    # Once for the first request of all, and once amid the data.
    pull.server.faults = [Fault("", effect), Fault(DATA[pull.kind], effect, skip=1, times=1)]
    told = {"timeout": 0.5} if effect in (silent, slow_bytes) else {}
    assert pull.run(**told) == undisturbed
    assert all(fault.times == 0 for fault in pull.server.faults)
    # No answer that arrived was asked for a second time.
    assert len(pull.data_requests()) == len(set(pull.data_requests()))


@everywhere()
def test_half_of_the_json_is_not_taken_for_the_whole(pull, undisturbed):
    pull.server.faults = [Fault("_fields|format=json|/structures", half_json, times=2)]
    assert pull.run() == undisturbed
    assert pull.server.faults[0].times == 0


@everywhere()
def test_a_wrong_count_is_noticed_and_asked_for_again(pull, undisturbed):
    pattern, number = {
        "mp": ("_limit=1$|license=BY-C$", rb'("total_doc": )(\d+)'),
        "cod": ("format=count", rb"()(\d+)"),
        "optimade": ("response_fields=id", rb'("data_returned":)(\d+)'),
    }[pull.kind]

    def one_less(body):
        changed = re.sub(number, lambda m: m[1] + str(int(m[2]) - 1).encode(), body)
        assert changed != body
        return changed

    pull.server.faults = [Fault(pattern, edited(one_less))]
    assert pull.run() == undisturbed
    assert pull.server.faults[0].times == 0


@everywhere(["mp", "optimade"])
def test_an_entry_left_out_of_an_answer_is_noticed(pull, undisturbed):
    def shorter(body):
        answer = json.loads(body)
        answer["data"] = answer["data"][:-1]
        return json.dumps(answer).encode()

    pull.server.faults = [Fault(DATA[pull.kind], edited(shorter))]
    if pull.kind == "optimade":
        # Its pages do not say how long they ought to be, so only the sum can be compared.
        with pytest.raises(XtinctError, match=r"announces \d+ entries and delivers \d+; run again"):
            pull.run()
        assert not (pull.folder / "pulled.parquet").exists()
    assert pull.run() == undisturbed


@everywhere(["cod"])
def test_malformed_cif_is_received_and_set_aside_later(pull):
    entry = pull.server.entries["9900011"]
    pull.config["query"] = {"strictmax": 2}
    entry.update(formula="- Al Sb -", duplicateof=None, status=None)
    entry["cif"] = f"data_{entry['file']}\nloop_\n_atom_site_label\n_cell_length_a 5.0.0\n'open"
    pull.run()
    row = pull.rows()[entry["file"]]
    assert row["cif"] == entry["cif"]
    # Its open quote is closed; what is left has no sites.
    with pytest.raises(RejectedError, match="no_sites"):
        clean_row(row, yaml.safe_load((ROOT / "config/config.yaml").read_text())["cleaning"])


# --- faults that do not pass -----------------------------------------------------------------------


@everywhere()
@pytest.mark.parametrize("effect", [reset, http_status(500), slow_bytes, garbage], ids=lambda e: e.__name__)
def test_a_server_that_never_recovers_ends_in_one_line_and_the_rerun_goes_on(pull, undisturbed, effect):
    pull.server.faults = [Fault(DATA[pull.kind], effect, skip=1, times=np.inf)]
    pull.config["network"]["parallel"] = 1
    start = time.monotonic()
    with pytest.raises(XtinctError) as caught:
        pull.run(patience=0.8, timeout=0.3)
    assert time.monotonic() - start < 20
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith("sources.source: http://127.0.0.1:")
    assert "no success within 0.8 s" in said
    assert not (pull.folder / "pulled.parquet").exists()

    pull.server.faults = []
    before = set(pull.data_requests())
    assert before
    pull.server.delivered.clear()
    assert pull.run() == undisturbed
    assert pull.data_requests()
    assert before.isdisjoint(pull.data_requests())


@everywhere()
def test_a_server_that_asks_for_too_long_a_wait(pull):
    pull.server.faults = [Fault("", http_status(429, Retry_After="3600"), times=np.inf)]
    start = time.monotonic()
    with pytest.raises(XtinctError, match=r"HTTP 429.*asks to wait 3600 s; no success within 6 s"):
        pull.run()
    assert time.monotonic() - start < 6


@everywhere(["mp", "cod"])
def test_a_count_that_stays_wrong(pull):
    number = {"mp": rb'("total_doc": )(\d+)', "cod": rb"^()(\d+)$"}[pull.kind]
    wrong = edited(lambda body: re.sub(number, lambda m: m[1] + str(int(m[2]) + 1).encode(), body))
    pull.server.faults = [Fault("license=BY-C$|format=count", wrong, times=np.inf)]
    with pytest.raises(XtinctError, match=r"\d+ of \d+ identifiers|counts \d+ entries and lists \d+"):
        pull.run(patience=0.3)


def test_nobody_listens_and_later_somebody_does(tmp_path, cod_entries):
    port = free_port()
    server = None

    def open_late():
        nonlocal server
        server = OpenDatabase(cod_entries, port)

    class Later:
        address = f"http://127.0.0.1:{port}"

    pull = Pull("cod", Later, tmp_path)
    with pytest.raises(XtinctError, match=r"connection refused; no success within 0.2 s"):
        pull.run(patience=0.2)
    timer = threading.Timer(0.5, open_late)
    timer.start()
    late = pull.run()
    assert server.delivered
    assert pull.run() == late
    server.close()


@everywhere()
def test_killed_in_the_middle(pull, undisturbed):
    """SIGKILL leaves no output, and nothing that was received has to be received again."""
    pull.config["network"]["parallel"] = 1
    pull.server.faults = [Fault(DATA[pull.kind], silent, skip=1, times=np.inf)]
    (pull.folder / "config.json").write_text(json.dumps(pull.config))
    code = (
        "import json; from xtinct.sources.fetching import fetch; "
        "fetch('source', json.load(open('config.json')), 'pulled.parquet')"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=pull.folder, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while sum(bool(re.search(DATA[pull.kind], target)) for target in list(pull.server.asked)) < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (pull.folder / "pulled.parquet").exists()

    pull.server.faults = []
    before = set(pull.data_requests())
    assert len(before) == 1
    pull.server.delivered.clear()
    assert pull.run() == undisturbed
    assert before.isdisjoint(pull.data_requests())


@everywhere()
def test_a_second_pull_asks_for_no_data_and_is_the_same(pull, undisturbed):
    assert pull.run() == undisturbed
    pull.server.delivered.clear()
    assert pull.run("again.parquet") == undisturbed
    # COD lists one entry that it does not have; that one may be asked for again, in vain.
    assert pull.data_requests() == []


@everywhere(["cod"])
def test_a_damaged_cache_is_named(pull):
    (pull.folder / "cache").mkdir()
    (pull.folder / "cache" / "cod.sqlite").write_bytes(b"this is not a database" * 100)
    with pytest.raises(XtinctError, match=r"cod.sqlite: the cache cannot be used .*delete the file"):
        pull.run()


# --- the key of the Materials Project --------------------------------------------------------------


def everything_written(folder: Path) -> bytes:
    """All bytes of all files, those packed in caches and tables unpacked."""
    found = io.BytesIO()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found.write(path.read_bytes())
        if path.suffix == ".sqlite":
            database = sqlite3.connect(path)
            for key, body in database.execute("SELECT key, body FROM answers"):
                found.write(key.encode() + zlib.decompress(body))
            database.close()
        if path.suffix == ".parquet":
            found.write(str(pq.read_table(path).to_pylist()).encode())
            found.write(str(pq.read_schema(path).metadata).encode())
    return found.getvalue()


@everywhere(["mp"])
def test_the_key_is_never_written(pull, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    pull.server.faults = [Fault(DATA["mp"], http_status(500))]
    pull.run()

    # A server that repeats the key in its refusal.
    def refuse(handler, answer):
        body = f"no such key: {handler.headers['x-api-key']}".encode()
        handler.send_response(400)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    pull.server.faults = [Fault("license", refuse, times=np.inf)]
    with pytest.raises(XtinctError, match=r"HTTP 400 .*no such key: \*\*\*") as caught:
        pull.run("refused.parquet")
    assert pull.server.asked
    logged = capfd.readouterr()
    for text in (str(caught.value), repr(caught.getrepr(style="long")), caplog.text, logged.out, logged.err):
        assert KEY not in text
    assert KEY.encode() not in everything_written(pull.folder)
    assert not any(KEY in target for target in pull.server.asked)


@everywhere(["mp"])
def test_a_key_that_is_wrong_or_missing(pull, monkeypatch):
    monkeypatch.setenv("MP_API_KEY", "x" * 32)
    with pytest.raises(XtinctError, match=r"HTTP 401 .*is MP_API_KEY right") as caught:
        pull.run()
    assert "x" * 32 not in str(caught.value)
    monkeypatch.setenv("MP_API_KEY", "short")
    with pytest.raises(XtinctError, match="MP_API_KEY is not a key of the Materials Project"):
        pull.run()
    monkeypatch.delenv("MP_API_KEY")
    monkeypatch.setattr("pymatgen.core.SETTINGS", {})
    with pytest.raises(XtinctError, match="no API key; set the environment variable MP_API_KEY"):
        pull.run()


@everywhere(["mp"])
def test_the_key_from_pymatgens_settings(pull, undisturbed, monkeypatch):
    monkeypatch.delenv("MP_API_KEY")
    monkeypatch.setattr("pymatgen.core.SETTINGS", {"PMG_MAPI_KEY": KEY})
    assert pull.run() == undisturbed


@everywhere(["mp"])
def test_a_new_database_version_is_fetched_anew(pull, monkeypatch):
    pull.run()
    monkeypatch.setattr(MaterialsProject, "version", "2025.09.25")
    pull.server.delivered.clear()
    pull.run()
    assert {row["source_version"] for row in pull.rows().values()} == {"2025.09.25"}
    assert pull.data_requests()


@everywhere()
def test_the_estimate_comes_before_the_pull(pull, caplog):
    caplog.set_level(logging.INFO)
    pull.run()
    said = [record.message for record in caplog.records if "requests to make" in record.message]
    assert len(said) == 1
    entries, left = re.search(r": ([\d,]+) entries, .* ([\d,]+) requests to make", said[0]).groups()
    assert int(left.replace(",", "")) == len(pull.data_requests())
    excluded = sum(row["error"].startswith("non_commercial") for row in pull.rows().values())
    assert int(entries.replace(",", "")) == len(pull.rows()) - excluded

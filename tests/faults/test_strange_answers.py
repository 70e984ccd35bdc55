"""Answers that a database may give and no specification foresees: read as far as they go, or refused."""

import time

import pyarrow.parquet as pq
import pytest
from loopback_servers import KEY, Answer, Fault, MaterialsProject, Optimade, deliver

from xtinct.errors import XtinctError
from xtinct.sources.fetching import fetch

NETWORK = {"timeout": 5, "patience": 60.0, "backoff": [0.01, 0.02], "rate": 2000, "parallel": 2}


@pytest.fixture
def optimade():
    server = Optimade()
    yield server
    server.close()


def pulled(server, tmp_path, filter=""):
    """Rows of the entries by identifier."""
    config = {
        "kind": "optimade", "database": server.address, "filter": filter, "page_limit": 2,
        "cache": str(tmp_path / "cache"), "network": NETWORK,
    }  # fmt: skip
    fetch("s", config, tmp_path / "s.parquet")
    rows = pq.read_table(tmp_path / "s.parquet").to_pylist()
    return {row["structure_id"].removeprefix("s:"): row for row in rows}


def with_attributes(**values):
    """A change of the attributes of every entry; None leaves one out."""

    def change(answer, page):
        for entry in answer["data"]:
            for name, value in values.items():
                if value is ...:
                    del entry["attributes"][name]
                else:
                    entry["attributes"][name] = value

    return change


# --- attributes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        {"dimension_types": None},
        {"dimension_types": ...},
        {"dimension_types": [None, None, None]},
        {"dimension_types": [1, None, 1]},
        {"dimension_types": []},
        {"dimension_types": [None]},
        {"dimension_types": None, "nperiodic_dimensions": 3},
        {"structure_features": None},
        {"structure_features": ..., "dimension_types": ...},
        {"nsites": 2},
    ],
)
def test_what_is_not_told_is_no_reason_to_refuse(optimade, tmp_path, values):
    optimade.change = with_attributes(**values)
    rows = pulled(optimade, tmp_path)
    assert len(rows) == 6
    assert {row["error"] for row in rows.values()} == {""}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"dimension_types": [1, 1, 0]}, "not_three_dimensional: dimension_types [1, 1, 0]"),
        ({"dimension_types": [None, None, 0]}, "not_three_dimensional: dimension_types [None, None, 0]"),
        (
            {"dimension_types": None, "nperiodic_dimensions": 2},
            "not_three_dimensional: nperiodic_dimensions 2",
        ),
        ({"dimension_types": [1, 1]}, "unreadable: dimension_types [1, 1], expected three of 0 and 1"),
        ({"dimension_types": "xyz"}, "unreadable: dimension_types xyz, expected three of 0 and 1"),
        ({"dimension_types": 3}, "unreadable: TypeError"),
        ({"structure_features": 3}, "unreadable: TypeError"),
        ({"structure_features": ["assemblies"]}, "incomplete_listing: structure_features assemblies"),
        ({"lattice_vectors": None}, "missing_fields: lattice_vectors; asked for and not sent"),
        ({"lattice_vectors": ...}, "missing_fields: lattice_vectors; asked for and not sent"),
        ({"species": ..., "species_at_sites": None}, "missing_fields: species, species_at_sites;"),
        ({"lattice_vectors": [[4, 0, 0], [0, 4, 0]]}, "unreadable: cannot reshape"),
        ({"lattice_vectors": [[4, 0, 0], [0, 4, 0], [None] * 3]}, "unreadable: lattice vectors and"),
        ({"lattice_vectors": [[4, 0, 0], [0, 4, 0], [4, 4, 0]]}, "unreadable: the lattice vectors span no"),
        ({"cartesian_site_positions": [[0, 0, 0]]}, "unreadable: 1 positions, 2 species_at_sites"),
        ({"species_at_sites": ["Cs"]}, "unreadable: 2 positions, 1 species_at_sites"),
        ({"species_at_sites": ["Cs", "Br"]}, "unreadable: species_at_sites names Br, which species does not"),
        ({"species": []}, "unreadable: species_at_sites names Cl, Cs, which species does not hold"),
        ({"nsites": 4}, "unreadable: 2 positions, 2 species_at_sites, nsites 4"),
        ({"cartesian_site_positions": [], "species_at_sites": []}, "unreadable: no site holds an atom"),
    ],
)
def test_what_contradicts_or_lacks_is_set_aside_with_its_reason(optimade, tmp_path, values, reason):
    optimade.change = with_attributes(**values)
    rows = pulled(optimade, tmp_path)
    assert len(rows) == 6
    for row in rows.values():
        assert row["error"].startswith(reason), row["error"]
        assert row["cif"] == ""


@pytest.mark.parametrize(
    ("species", "reason"),
    [
        ({"chemical_symbols": ["X"]}, "'X' is no element"),
        ({"chemical_symbols": ["Xy"]}, "'Xy' is no element"),
        ({"chemical_symbols": ["Cs", "Rb"]}, "2 chemical_symbols, 1 concentrations"),
        ({"concentration": [1.5]}, "concentration 1.5 of Cs"),
        ({"concentration": [None]}, "TypeError"),
        ({"attached": ["H"], "nattached": [3]}, "atoms without positions are attached"),
    ],
)
def test_species_are_elements_with_shares(optimade, tmp_path, species, reason):
    def change(answer, page):
        for entry in answer["data"]:
            entry["attributes"]["species"][0].update(species)

    optimade.change = change
    assert all(reason in row["error"] for row in pulled(optimade, tmp_path).values())


@pytest.mark.parametrize("attributes", [None, [], "none", ...])
def test_entries_without_attributes(optimade, tmp_path, attributes):
    def change(answer, page):
        for entry in answer["data"]:
            entry["attributes"] = attributes
            if attributes is ...:  # flattened, as some servers have it
                del entry["attributes"]
                entry["lattice_vectors"] = [[4, 0, 0], [0, 4, 0], [0, 0, 4]]

    optimade.change = change
    rows = pulled(optimade, tmp_path)
    assert len(rows) == 6
    assert {row["error"] for row in rows.values()} == {"missing_fields: the entry has no attributes"}


def test_entries_without_identifier_and_with_numbers_for_it(optimade, tmp_path):
    def change(answer, page):
        if len(answer["data"]) < 2:  # asked for the count
            return
        answer["data"][0] = {1: None, 2: {**answer["data"][0], "id": None}, 3: answer["data"][0]}[page]
        answer["data"][1]["id"] = page

    optimade.change = change
    rows = pulled(optimade, tmp_path)
    assert {name for name, row in rows.items() if not row["error"]} == {"1", "2", "3", "x-4"}
    assert sum(row["error"].startswith("missing_id: ") for row in rows.values()) == 2


# --- links -----------------------------------------------------------------------------------------


def test_links_that_forget_the_fields_are_reminded(optimade, tmp_path):
    """The next page comes bare, as the link names no fields; asked for with them, it has them."""
    inside = type(optimade).answer

    class Forgetful(Optimade):
        def answer(self, handler, path, query):
            bare = path == "/v1/structures" and "response_fields" not in query
            self.change = with_attributes(**dict.fromkeys(NEEDED, ...)) if bare else lambda *_: None
            return inside(self, handler, path, query)

    server = Forgetful()
    rows = pulled(server, tmp_path)
    server.close()
    assert {row["error"] for row in rows.values()} == {""}
    assert len(rows) == 6


NEEDED = ("lattice_vectors", "cartesian_site_positions", "species", "species_at_sites")


@pytest.mark.parametrize("form", [str, lambda to: {"href": to, "meta": {}}, lambda to: to[to.index("/v1") :]])
def test_forms_of_the_link_to_the_next_page(optimade, tmp_path, form):
    def change(answer, page):
        following = answer["links"]["next"]
        answer["links"]["next"] = following and form(following)

    optimade.change = change
    assert len(pulled(optimade, tmp_path)) == 6


@pytest.mark.parametrize(
    "links", [None, ..., {}, {"next": None}, {"next": {"href": None}}, {"next": {}}, {"next": ""}]
)
def test_forms_of_having_no_next_page(optimade, tmp_path, links):
    def change(answer, page):
        if page == 3:
            answer["links"] = links
            if links is ...:
                del answer["links"]

    optimade.change = change
    assert len(pulled(optimade, tmp_path)) == 6


def to_page(number):
    return lambda server: f"{server.address}/v1/structures?page_offset={2 * number - 2}&page_limit=2"


@pytest.mark.parametrize("counted", [True, False], ids=["counted", "uncounted"])
@pytest.mark.parametrize("leads", [{1: 1}, {2: 2}, {2: 1}, {1: 2, 2: 1}], ids=str)
def test_pages_that_go_round_end_in_one_line(optimade, tmp_path, leads, counted):
    def change(answer, page):
        if not counted:
            del answer["meta"]["data_returned"]
        if page in leads:
            answer["links"]["next"] = to_page(leads[page])(optimade)

    optimade.change = change
    start = time.monotonic()
    with pytest.raises(XtinctError, match=r"pages go round: page [234] holds only entries that came before"):
        pulled(optimade, tmp_path)
    assert time.monotonic() - start < 10
    assert not (tmp_path / "s.parquet").exists()
    # What went round is not kept: the repaired server is asked anew.
    optimade.change = lambda answer, page: None
    assert len(pulled(optimade, tmp_path)) == 6


def test_a_first_page_after_the_last_ends_a_complete_pull(optimade, tmp_path):
    def change(answer, page):
        answer["links"]["next"] = answer["links"]["next"] or to_page(1)(optimade)

    optimade.change = change
    assert len(pulled(optimade, tmp_path)) == 6


def from_page_2(change):
    return lambda answer, page: change(answer) if page > 1 else None


def counting(count):
    return lambda answer, page: answer["meta"].update(data_returned=count)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (from_page_2(lambda answer: answer["data"].clear()), "infinite loop"),
        (from_page_2(lambda answer: answer["links"].update(next=7)), "link to the next page is no address"),
        (from_page_2(lambda answer: answer.update(data=None)), "the answer holds no data"),
        (from_page_2(lambda answer: answer.update(errors=[{"title": "no"}])), "the server reports an error"),
        (
            lambda a, page: a["meta"].update(data_returned=len(a["data"])),
            "2 entries announced, 1 at the start",
        ),
        (counting(3), "announces 3 entries and delivers 4; .*more entries"),
        (counting("9"), "announces 9 entries and delivers 6; .*fewer entries"),
        (counting(-1), "announces -1 entries"),
    ],
)
def test_pages_that_cannot_be_right_end_soon_in_one_line(optimade, tmp_path, change, message):
    optimade.change = change
    start = time.monotonic()
    with pytest.raises(XtinctError, match=message) as caught:
        pulled(optimade, tmp_path)
    assert "\n" not in str(caught.value)
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("count", [None, "six", {}, True])
def test_a_count_that_is_none_is_not_held_against_the_pull(optimade, tmp_path, count):
    optimade.change = counting(count)
    assert len(pulled(optimade, tmp_path)) == 6


# --- refusals --------------------------------------------------------------------------------------


def page_of(status, body, kind="text/html"):
    answer = Answer(body.encode(), status, {"Content-Type": kind})
    return lambda handler, _: deliver(handler, answer)


PROXY = (
    "<!DOCTYPE html><html><head><title>no</title><style>b {}</style></head><body><h1>Blocked by</h1> gate 7"
)


@pytest.mark.parametrize("status", [401, 402, 403])
@pytest.mark.parametrize("body", ["", '{"message": "no such key"}', PROXY], ids=["empty", "json", "page"])
def test_a_refused_key_is_said_at_once(tmp_path, monkeypatch, status, body):
    monkeypatch.setenv("MP_API_KEY", KEY)
    server = MaterialsProject([])
    server.faults = [Fault("materials", page_of(status, body), times=float("inf"))]
    config = {
        "kind": "mp", "endpoint": server.address, "filters": {}, "non_commercial": "exclude",
        "cache": str(tmp_path), "network": {**NETWORK, "backoff": [1, 60], "patience": 900},
    }  # fmt: skip
    with pytest.raises(XtinctError, match=rf"HTTP {status} .*; is MP_API_KEY right\?") as caught:
        fetch("s", config, tmp_path / "s.parquet")
    server.close()
    assert sum("materials" in target for target in server.asked) == 1
    said = str(caught.value)
    assert "\n" not in said
    assert "<" not in said
    assert ("no such key" in said) == body.startswith("{")
    assert ("a web page, as of a proxy or firewall on the way: Blocked by gate 7" in said) == (body == PROXY)


def test_a_gate_that_forbids_even_the_heartbeat_is_not_asked_for_a_quarter_of_an_hour(tmp_path, monkeypatch):
    monkeypatch.setenv("MP_API_KEY", KEY)
    server = MaterialsProject([])
    server.faults = [Fault("heartbeat", page_of(403, PROXY), times=float("inf"))]
    config = {
        "kind": "mp", "endpoint": server.address, "filters": {}, "non_commercial": "exclude",
        "cache": str(tmp_path), "network": {**NETWORK, "patience": 900},
    }  # fmt: skip
    with pytest.raises(XtinctError, match=r"HTTP 403 .*Blocked by gate 7.*MP_API_KEY.*no success in 4 tries"):
        fetch("s", config, tmp_path / "s.parquet")
    server.close()
    assert len(server.asked) == 4


def test_a_provider_that_forbids(optimade, tmp_path):
    optimade.faults = [Fault("structures", page_of(403, "not from here", "text/plain"), times=float("inf"))]
    with pytest.raises(XtinctError, match=r"HTTP 403 Forbidden: not from here; no success in 4 tries"):
        pulled(optimade, tmp_path)
    assert sum("structures" in target for target in optimade.asked) == 4


def document(**changed):
    structure = {
        "lattice": {"matrix": [[4, 0, 0], [0, 4, 0], [0, 0, 4]]},
        "sites": [{"species": [{"element": "Po", "occu": 1}], "abc": [0, 0, 0]}],
    }
    row = {
        "material_id": "mp-1", "license": "BY-C", "elements": ["Po"], "nsites": 1,
        "symmetry": {"number": 221}, "structure": structure,
    }  # fmt: skip
    return {**row, **changed}


@pytest.mark.parametrize(
    ("changed", "error", "declared"),
    [
        ({}, "", 221),
        ({"symmetry": None}, "", 0),
        ({"symmetry": {"number": None}}, "", 0),
        ({"symmetry": {"number": "221"}}, "", 0),
        ({"symmetry": {"number": 231}}, "", 0),
        ({"symmetry": "Pm-3m"}, "", 0),
        ({"structure": None}, "missing_structure: ", 0),
        ({"structure": {}}, "missing_structure: ", 0),
        ({"structure": {"lattice": {"matrix": [[4, 0, 0]]}, "sites": []}}, "unreadable: ", 0),
        ({"structure": {"lattice": None, "sites": []}}, "unreadable: ", 0),
        ({"structure": [1]}, "unreadable: ", 0),
    ],
)
def test_documents_of_the_materials_project(tmp_path, monkeypatch, changed, error, declared):
    monkeypatch.setenv("MP_API_KEY", KEY)
    server = MaterialsProject([document(**changed)])
    config = {
        "kind": "mp", "endpoint": server.address, "filters": {}, "non_commercial": "exclude",
        "cache": str(tmp_path), "network": NETWORK,
    }  # fmt: skip
    fetch("s", config, tmp_path / "s.parquet")
    server.close()
    (row,) = pq.read_table(tmp_path / "s.parquet").to_pylist()
    assert row["error"].startswith(error)
    assert bool(row["error"]) == bool(error)
    assert row["spacegroup_declared"] == declared

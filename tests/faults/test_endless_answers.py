"""Answers that are too large, have no end, or lie about their size: one line, soon, in little memory."""

import contextlib
import gzip
import json
import resource
import time

import pytest
from loopback_servers import KEY, Answer, Fault, MaterialsProject, OpenDatabase, Optimade, deliver

import xtinct.sources.cod as cod_source
import xtinct.sources.network as network
import xtinct.sources.optimade as optimade_source
from xtinct.errors import XtinctError
from xtinct.sources.fetching import fetch

NETWORK = {"timeout": 5, "patience": 30.0, "backoff": [0.01, 0.02], "rate": 2000, "parallel": 2}


@pytest.fixture(params=["mp", "cod", "optimade"])
def kind(request, tmp_path, monkeypatch):
    """A server of every kind, and what asks it."""
    monkeypatch.setenv("MP_API_KEY", KEY)
    config = {"kind": request.param, "cache": str(tmp_path), "network": NETWORK}
    if request.param == "mp":
        server, target = MaterialsProject([]), "materials"
        config |= {"endpoint": server.address, "filters": {}, "non_commercial": "exclude"}
    elif request.param == "cod":
        server, target = OpenDatabase({}), "cod/result"
        config |= {"server": f"{server.address}/cod", "query": {"text": "quartz"}, "exclude": []}
    else:
        server, target = Optimade(), "structures"
        config |= {"database": server.address, "filter": "", "page_limit": 2}
    yield server, target, config
    server.close()


def refused(config, tmp_path):
    """The message, of one line, in which the pull ends soon and without much memory."""
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(XtinctError) as caught:
        fetch("s", config, tmp_path / "s.parquet")
    assert "\n" not in str(caught.value)
    assert time.monotonic() - start < 25
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KiB
    assert not (tmp_path / "s.parquet").exists()
    return str(caught.value)


def endless(handler, answer):
    """Chunks of blanks for as long as somebody reads them."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    piece = b"100000\r\n" + b" " * 2**20 + b"\r\n"
    with contextlib.suppress(OSError):
        while True:
            handler.wfile.write(piece)


def bomb(handler, answer):
    """A kilobyte for each megabyte of blanks."""
    packed = gzip.compress(b" " * (64 * 2**20))
    deliver(handler, Answer(packed, 200, {"Content-Type": "application/json", "Content-Encoding": "gzip"}))


@pytest.mark.parametrize("effect", [endless, bomb], ids=lambda effect: effect.__name__)
def test_an_answer_without_end_is_left(kind, tmp_path, monkeypatch, effect):
    server, target, config = kind
    monkeypatch.setattr(network, "LARGEST_ANSWER", 8 * 2**20)
    monkeypatch.setattr(cod_source, "LARGEST_LIST", 8 * 2**20)
    server.faults = [Fault(target, effect, times=float("inf"))]
    assert "an answer of more than 8,388,608 bytes; no success in 4 tries" in refused(config, tmp_path)


@pytest.mark.parametrize("size", [10**10, 10], ids=["10 GB", "10 bytes"])
def test_an_answer_that_lies_about_its_size(kind, tmp_path, size):
    """More is announced than comes before the connection ends, or less than the answer has."""
    server, target, config = kind

    def announced(handler, answer):
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(size))
        handler.end_headers()
        with contextlib.suppress(OSError):
            handler.wfile.write(answer.body)
        handler.close_connection = True

    config["network"] = {**NETWORK, "patience": 0.2}
    server.faults = [Fault(target, announced, times=float("inf"))]
    assert "no success within" in refused(config, tmp_path)


def test_brackets_in_brackets(kind, tmp_path):
    server, target, config = kind
    config["network"] = {**NETWORK, "patience": 0.2}
    nested = Answer(b"[" * 200_000 + b"]" * 200_000)
    server.faults = [Fault(target, lambda handler, _: deliver(handler, nested), times=float("inf"))]
    refused(config, tmp_path)


@pytest.mark.parametrize("count", [10**15, -1, "many", None, 1.5, True])
def test_the_materials_project_counts_what_no_database_has(tmp_path, monkeypatch, count):
    """Pages of a thousand would be listed first: a million million of them take all memory."""
    monkeypatch.setenv("MP_API_KEY", KEY)
    server = MaterialsProject([])
    lie = Answer(json.dumps({"data": [], "meta": {"total_doc": count}, "errors": []}).encode())
    server.faults = [Fault("materials", lambda handler, _: deliver(handler, lie), times=float("inf"))]
    config = {
        "kind": "mp", "endpoint": server.address, "filters": {}, "non_commercial": "exclude",
        "cache": str(tmp_path), "network": {**NETWORK, "patience": 0.5},
    }  # fmt: skip
    assert "materials/summary (count)" in refused(config, tmp_path)
    server.close()


@pytest.mark.parametrize("count", ["9" * 5000, "99999999999999", "-1", "²"])
def test_the_cod_counts_what_no_database_has(tmp_path, count):
    server = OpenDatabase({})
    lie = Answer(count.encode())
    server.faults = [Fault("format=count", lambda handler, _: deliver(handler, lie), times=float("inf"))]
    config = {
        "kind": "cod", "cache": str(tmp_path), "network": {**NETWORK, "patience": 0.3}, "exclude": [],
        "server": f"{server.address}/cod", "query": {"text": "quartz"},
    }  # fmt: skip
    assert "the answer is not a count" in refused(config, tmp_path)
    server.close()


def test_pages_of_new_entries_without_end(tmp_path, monkeypatch):
    """A database that does not count, and whose every page leads to another one."""
    monkeypatch.setattr(optimade_source, "MOST_ENTRIES", 50)
    server = Optimade(10**9)
    server.change = lambda answer, page: answer["meta"].pop("data_returned")
    config = {
        "kind": "optimade", "database": server.address, "filter": "", "page_limit": 10,
        "cache": str(tmp_path), "network": NETWORK,
    }  # fmt: skip
    assert "announces an unknown number of entries and delivers 60; " in refused(config, tmp_path)
    server.close()


@pytest.mark.parametrize(
    "info",
    [
        {"attributes": None}, {"attributes": [1]}, {"attributes": {"license": 7}},
        {"attributes": {"available_licenses": [1, None]}}, {"attributes": {"license": {"href": None}}}, {},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("meta", [{"implementation": "x"}, {"provider": [1], "implementation": {"name": 5}}])
def test_a_provider_that_says_strange_things_of_itself(tmp_path, info, meta):
    server = Optimade()
    said = Answer(json.dumps({"data": info, "meta": {"api_version": "1.1.0", **meta}}).encode())
    server.faults = [Fault("info", lambda handler, _: deliver(handler, said), times=float("inf"))]
    config = {
        "kind": "optimade", "database": server.address, "filter": "", "page_limit": 10,
        "cache": str(tmp_path), "network": {**NETWORK, "patience": 0.3},
    }  # fmt: skip
    assert fetch("s", config, tmp_path / "s.parquet")["received"] == 6
    server.close()

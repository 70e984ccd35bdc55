"""Patience, pauses, rate and cache of the network sources, without a network."""

import itertools
import threading
import time

import pytest

from xtinct.errors import XtinctError
from xtinct.sources.cod import _entry, _excluded
from xtinct.sources.network import Cache, FailedError, Gate, RefusedError, ServerLimits, in_order, patiently

LIMITS = ServerLimits(timeout=1, patience=1.0, backoff=(0.01, 0.04), rate=100, parallel=2)


def test_pauses_grow_up_to_the_longest():
    times = []

    def call():
        times.append(time.monotonic())
        if len(times) < 6:
            raise FailedError("no")
        return "answer"

    assert patiently(call, LIMITS, "here") == "answer"
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    for pause, expected in zip(pauses, (0.01, 0.02, 0.04, 0.04, 0.04), strict=True):
        assert expected <= pause < expected + 2


def test_the_server_may_ask_for_a_longer_pause():
    times = []

    def call():
        times.append(time.monotonic())
        if len(times) == 1:
            raise FailedError("later", retry_after=0.3)

    patiently(call, LIMITS, "here")
    assert times[1] - times[0] >= 0.3


def test_a_refusal_is_final():
    calls = []

    def call():
        calls.append(1)
        raise RefusedError("HTTP 404 Not Found", 404)

    with pytest.raises(XtinctError, match=r"^here: HTTP 404 Not Found$"):
        patiently(call, LIMITS, "here")
    assert len(calls) == 1


def test_rate_holds_for_all_threads_together():
    gate = Gate(50.0)
    start = time.monotonic()
    threads = [threading.Thread(target=lambda: [gate.wait() for _ in range(5)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # 20 requests have 19 gaps of 20 ms between them.
    assert time.monotonic() - start >= 0.38


def test_results_come_in_order_and_the_first_error_ends_the_work():
    begun = []

    def work(number):
        begun.append(number)
        time.sleep(0.002 * (number % 3))
        if number == 7:
            raise FailedError("seven")
        return number

    got = []
    with pytest.raises(FailedError, match="seven"):
        got.extend(in_order(work, range(1000), parallel=3))
    assert got == list(range(7))
    assert len(begun) < 20


def test_cache_keeps_all_answers_of_a_call_or_none(tmp_path):
    cache = Cache(tmp_path / "new" / "folder", "name")
    cache.put({"a": b"1" * 1000, "b": b""})
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (b"1" * 1000, b"", None)
    assert cache.present(["c", "b", *map(str, range(2000))]) == {"b"}

    with pytest.raises(TypeError):
        cache.put({"d": b"2", "e": None})
    assert cache.present(["d", "e"]) == set()
    cache.forget(["a"])
    cache.close()
    again = Cache(tmp_path / "new" / "folder", "name")
    assert (again.get("a"), again.get("b")) == (None, b"")
    again.close()


def test_two_processes_may_share_a_cache(tmp_path):
    one, other = Cache(tmp_path, "shared"), Cache(tmp_path, "shared")
    writers = [
        threading.Thread(target=lambda c=cache, n=name: [c.put({f"{n}{i}": b"x"}) for i in range(30)])
        for name, cache in (("a", one), ("b", other))
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    wanted = [f"{name}{i}" for name in "ab" for i in range(30)]
    assert one.present(wanted) == other.present(wanted) == set(wanted)
    one.close()
    other.close()


@pytest.mark.parametrize(
    "tag",
    [
        "_cod_duplicate_entry 9011036",
        "_cod_duplicate_entry   '9011036'",
        "_[local]_cod_duplicate_entry\n9011036",
        "_cod_related_duplicate_entry.code 9011036",
        "_cod_duplicate_entry\n;\n9011036\n;",
    ],
)
def test_cod_duplicates_in_every_spelling(tag):
    # Names of the tag: cod-tools, COD::CIFData::CODFlags and cif2cod.
    entry = _entry("1000000", f"#$Revision: 17 $\ndata_1000000\n{tag}\n_cell_length_a 5\n")
    assert entry.error == "duplicate_of: entry 9011036, says the COD"
    assert entry.version == "r17"


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        ("_cod_error_flag retracted", "retracted"),
        ("_cod_error_flag 'errors'", "marked_wrong"),
        ("_cod_error_flag warnings", ""),
        ("_cod_duplicate_entry ?", ""),
        ("_publ_section_title '_cod_error_flag retracted'", ""),
    ],
)
def test_cod_status(tag, reason):
    assert _entry("1000000", f"data_1000000\n{tag}\n_cell_length_a 5\n").error.split(":")[0] == reason


@pytest.mark.parametrize(
    ("formula", "organic"),
    [
        ("- C6 H12 O6 -", True),
        ("- C O3 Ca -", False),
        ("Ca H2 O2", False),
        ("C D4", True),
        ("Cs Hg Cl", False),
    ],
)
def test_carbon_with_hydrogen_is_what_makes_an_entry_organic(formula, organic):
    assert _excluded(formula, [["C", "H"]]) is organic

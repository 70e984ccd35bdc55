import ctypes
import functools
import math
import operator
import time

from xtinct.structures.isolated import isolated_map

# The functions under test come from the standard library: a worker imports them by name.


def test_results_come_in_order_and_exceptions_name_themselves():
    outcomes = list(isolated_map(math.sqrt, [4.0, -1.0, "x", *range(100)], time_limit=20))
    assert outcomes[0].result == 2.0
    assert (outcomes[1].failure, outcomes[1].detail[:10]) == ("exception", "ValueError")
    assert outcomes[2].detail.startswith("TypeError")
    assert [outcome.result for outcome in outcomes[3:]] == [math.sqrt(i) for i in range(100)]


def test_a_hang_costs_one_item():
    start = time.monotonic()
    outcomes = list(isolated_map(time.sleep, [0, 1000, 0.01, 0], time_limit=1.5))
    assert [outcome.failure for outcome in outcomes] == [None, "timeout", None, None]
    assert time.monotonic() - start < 60


def test_a_segmentation_fault_costs_one_item():
    # Reads a string from an address: 8 is not mapped.
    read = functools.partial(operator.call, ctypes.string_at)
    outcomes = list(isolated_map(read, [8, b"ok", 8, b"well"], time_limit=20))
    assert [outcome.failure for outcome in outcomes] == ["crashed", None, "crashed", None]
    assert [outcome.result for outcome in outcomes] == [None, b"ok", None, b"well"]
    assert "-11" in outcomes[0].detail


def test_a_worker_that_somebody_killed_costs_no_item(tmp_path):
    """By hand, or for memory that others took: a structure would go to quarantine for nothing."""
    kill = "__import__('os').kill(__import__('os').getpid(), 9)"
    once = f"{kill} if not __import__('os').path.exists(%r) and open(%r, 'w') else 'well'"
    items = ["1", *(once % ((str(tmp_path / name),) * 2) for name in "ab"), "2", kill, "3"]
    outcomes = list(isolated_map(eval, items, time_limit=60))
    assert [outcome.result for outcome in outcomes] == [1, "well", "well", 2, None, 3]
    assert [outcome.item for outcome in outcomes] == items
    assert outcomes[4].failure == "crashed"
    assert "-9" in outcomes[4].detail


def test_a_caller_that_stops_early_leaves_no_process(tmp_path):
    outcomes = isolated_map(math.sqrt, range(1000), time_limit=20)
    next(outcomes)
    worker = outcomes.gi_frame.f_locals["worker"].process
    outcomes.close()
    assert worker.returncode is not None

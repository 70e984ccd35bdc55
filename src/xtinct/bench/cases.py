"""One case of a comparison, and its measurement: baseline and own code take turns."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """Two ways to the same result.

    baseline, ours  do the work once and return how many items that were
    target          ratio of the times per item: at least this, or at most if `at_most`
    """

    name: str
    baseline_name: str
    baseline: Callable[[], int]
    ours: Callable[[], int]
    target: float
    at_most: bool = False


def measure(case: Case, rounds: int) -> dict[str, object]:
    """Run both sides in turn, after one round to warm up, and return ratios and times per item."""
    case.baseline()
    case.ours()
    base, own = [], []
    for _ in range(rounds):
        base.append(_seconds_per_item(case.baseline))
        own.append(_seconds_per_item(case.ours))
    # What is asked for is how much faster, or (at_most) how much slower, ours is.
    ratios = [o / b if case.at_most else b / o for b, o in zip(base, own, strict=True)]
    ratio = statistics.median(ratios)
    return {
        "case": case.name,
        "baseline": case.baseline_name,
        "baseline_us": 1e6 * statistics.median(base),
        "ours_us": 1e6 * statistics.median(own),
        "ratio": ratio,
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "target": f"{'<=' if case.at_most else '>='} {case.target:g}",
        "met": ratio <= case.target if case.at_most else ratio >= case.target,
        "rounds": rounds,
    }


def _seconds_per_item(work: Callable[[], int]) -> float:
    start = time.process_time()
    items = work()
    return (time.process_time() - start) / items

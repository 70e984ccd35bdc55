"""Probabilities of space groups judged at every level of symmetry."""

import numpy as np
import pytest

from xtinct.errors import XtinctError
from xtinct.scores.levels import LEVELS, TrueSymmetry, level_records, summed
from xtinct.scores.metrics import wilson_interval
from xtinct.symmetry.classes import scope_groups

GROUPS = np.array(scope_groups("all"))


@pytest.mark.parametrize(
    ("level", "count"),
    [
        ("crystal_system", 7),
        ("family", 6),
        ("bravais", 14),
        ("extinction_class", 97),
        ("spacegroup", 230),
    ],
)
def test_levels_have_as_many_names_as_the_tables_say_and_keep_the_sum(level, count):
    """Seven systems, six families, 14 Bravais lattices, 97 classes with unlabelled axes, 230 groups."""
    p = np.random.Generator(np.random.PCG64(1)).dirichlet(np.ones(230), size=4)
    names, by_name = summed(GROUPS, p, level)
    assert len(names) == len(set(names)) == count
    assert by_name.sum(axis=1) == pytest.approx(1)


def one_hot(*rows):
    p = np.zeros((len(rows), 230))
    for i, row in enumerate(rows):
        for group, weight in row.items():
            p[i, np.searchsorted(GROUPS, group)] = weight
    return p


def test_an_answer_is_right_at_the_levels_that_it_shares_with_the_truth():
    """Fm-3m taken for Fd-3m: same lattice, other class. For P6/mmm, R-3m is of its family alone."""
    p = one_hot({227: 0.95, 225: 0.05}, {166: 0.6, 191: 0.4}, {14: 1.0}, {148: 1.0})
    truth = TrueSymmetry([225, 191, None, None], [None, None, "monoclinic", "trigonal"])
    found = {record["target"]: record for record in level_records(GROUPS, p, truth)}
    assert list(found) == list(LEVELS)
    assert (found["crystal_system"]["n"], found["crystal_system"]["top1"]) == (4, 0.75)
    assert (found["family"]["n"], found["family"]["top1"]) == (4, 1.0)
    # A crystal system alone says no more.
    for level, top1 in (("bravais", 0.5), ("extinction_class", 0), ("spacegroup", 0)):
        assert (found[level]["n"], found[level]["top1"], found[level]["top5"]) == (2, top1, 1.0)
    assert [found["spacegroup"][key] for key in ("sure", "sure_n", "sure_right")] == [0.5, 1, 0]
    assert [found["family"][key] for key in ("sure", "sure_n", "sure_right")] == [1, 4, 4]
    low, high = wilson_interval(3, 4)
    assert (found["crystal_system"]["top1_low"], found["crystal_system"]["top1_high"]) == (low, high)
    # 0.95 and 0.6 that are both wrong: off by their mean.
    assert found["spacegroup"]["ece"] == pytest.approx((0.95 + 0.6) / 2)


def test_a_truth_that_the_model_has_no_name_for_counts_as_wrong():
    cubic = GROUPS >= 195
    p = one_hot({225: 1.0})[:, cubic]
    record = level_records(GROUPS[cubic], p, TrueSymmetry([14], [None]))[-1]
    assert (record["n"], record["top1"], record["top10"]) == (1, 0.0, 0.0)


def test_without_any_known_truth_there_are_no_numbers():
    record = level_records(GROUPS, one_hot({1: 1.0}), TrueSymmetry([None], [None]))[0]
    assert record == {"target": "crystal_system", "confidence": 0.95, "n": 0}
    with pytest.raises(XtinctError, match="2 space groups, but 1 crystal systems"):
        TrueSymmetry([1, 2], [None])

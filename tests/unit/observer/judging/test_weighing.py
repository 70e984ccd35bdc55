"""Sharpened probabilities: classes to a power, groups of a class in their shares."""

import numpy as np
import pytest

from xtinct.observer.judging.weighing import sharpened
from xtinct.symmetry.classes import class_symbol
from xtinct.symmetry.families import family_of


@pytest.fixture(scope="module")
def groups():
    p = np.random.default_rng(4).dirichlet(np.full(230, 0.3))
    return dict(zip(range(1, 231), p.tolist(), strict=True))


def classes(groups):
    sums = {}
    for number, p in groups.items():
        name = (family_of(number), class_symbol(number))
        sums[name] = sums.get(name, 0.0) + p
    return sums


@pytest.mark.parametrize("power", [0.7, 1.0, 1.1, 2.0])
def test_classes_are_brought_to_a_power_and_groups_keep_their_shares(groups, power):
    out = sharpened(groups, power)
    assert sum(out.values()) == pytest.approx(1)
    before, after = classes(groups), classes(out)
    expected = {name: p**power for name, p in before.items()}
    total = sum(expected.values())
    assert after == pytest.approx({name: p / total for name, p in expected.items()})
    # P 2 3 and P m -3 m and so on: groups of one class.
    for one, two in ((195, 221), (200, 215), (75, 123)):
        assert out[one] / out[two] == pytest.approx(groups[one] / groups[two])


def test_a_class_of_no_probability_keeps_none(groups):
    without = {number: 0.0 if number == 19 else p for number, p in groups.items()}
    assert sharpened(without, 1.1)[19] == 0.0

"""The ceiling of a counted pattern: against quadrature, the observer's own integral, and what limits it."""

import numpy as np
import pytest

from xtinct.ceiling import counted_patterns
from xtinct.ceiling.counted_patterns import CountedPattern, HeightLaw, Trials, counted_ceiling
from xtinct.errors import XtinctError
from xtinct.observer.judging.pattern_evidence import INTENSITY_MEANS, INTENSITY_WEIGHTS, log_evidence
from xtinct.symmetry.classes import extinction_classes

LAW = HeightLaw(INTENSITY_WEIGHTS, INTENSITY_MEANS)
RUTILE = np.array([4.594, 4.594, 2.958, 90.0, 90.0, 90.0])


def counted(height=1000.0, background=20.0, fwhm=0.1, last=90.0):
    x = np.arange(10.0, last, 0.02)
    one = np.ones(len(x))
    return CountedPattern(x, background * one, fwhm * one, 0.5 * one, height * one, 1.5406)


def right(number, cell=RUTILE, family="tetragonal", trials=Trials(60, 8), **how):  # noqa: B008
    return counted_ceiling(family, number, cell, counted(**how), LAW, ks=(1, 5), trials=trials).right


@pytest.fixture(scope="module")
def overlapping():
    """Normal equations (P, b) of clumps of 1 to 4 overlapping lines, and the means of their heights."""
    random, found = np.random.default_rng(3), []
    for n in (1, 2, 3, 4):
        shown = np.exp(-0.5 * (np.arange(40) - 16.0 - 3 * np.arange(n)[:, None]) ** 2 / 9) / 7.5
        precision = shown @ shown.T * random.uniform(2, 60)
        heights = random.exponential(1.0, n)
        noise = np.linalg.cholesky(precision) @ random.normal(size=n)
        found.append((precision, precision @ heights + noise, random.uniform(0.5, 2.0, n)))
    return found


def integral(precision, right, expected, samples):
    lower, about = counted_patterns._factored(precision, right, np.arange(len(right)))
    law = LAW.shares, LAW.means
    return counted_patterns._log_integral(lower, about, expected, law, (samples, np.uint64(5)))


def test_the_integral_over_heights_is_that_of_quadrature(overlapping):
    t = np.exp(np.linspace(np.log(1e-7), np.log(60.0), 1200))
    weight = np.gradient(np.log(t)) * t
    for precision, right, expected in overlapping[:2]:
        laws = [
            (LAW.shares / (e * LAW.means) * np.exp(-t[:, None] / (e * LAW.means))).sum(axis=1) * weight
            for e in expected
        ]
        if len(right) == 1:
            value = np.log(laws[0] @ np.exp(right[0] * t - precision[0, 0] * t**2 / 2))
        else:
            x, y = t[:, None], t[None, :]
            quadratic = precision[0, 0] * x**2 + precision[1, 1] * y**2 + 2 * precision[0, 1] * x * y
            value = np.log(laws[0] @ np.exp(right[0] * x + right[1] * y - quadratic / 2) @ laws[1])
        assert integral(precision, right, expected, 4000) == pytest.approx(value, abs=0.05)


def test_the_observer_has_the_same_integral_by_another_method(overlapping):
    """Expectation propagation beside sequential importance sampling: no line of code is shared."""
    for precision, right, expected in overlapping:
        mixture = np.stack([np.tile(LAW.shares, (len(right), 1)), LAW.means * expected[:, None]])
        value = log_evidence(precision, right, mixture, 12)
        assert integral(precision, right, expected, 4000) == pytest.approx(value, abs=0.1)


def test_with_many_counts_the_extinction_law_is_left():
    """P 42/m n m on its own cell: its class has three of the 68 groups, and nothing else is in the way."""
    members = next(x.members for x in extinction_classes("tetragonal") if 136 in x.members)
    found = right(136, height=1e7)
    assert found["extinction_class"][1] == 1
    assert found["spacegroup"][1] == pytest.approx(1 / len(members))
    assert found["spacegroup"][5] == 1


def test_fewer_counts_wider_lines_and_a_shorter_range_each_cost_something():
    much = right(136)["extinction_class"][1]
    assert much > 0.9
    assert right(136, height=0.3)["extinction_class"][1] < much - 0.2
    assert right(136, fwhm=3.0, height=30.0)["extinction_class"][1] < much - 0.1
    assert right(136, last=40.0)["extinction_class"][1] < much - 0.1


def test_without_counts_the_prior_is_left():
    """Nothing is seen, so the first answer is the class that the prior prefers, whatever the label is."""
    prior = dict.fromkeys(range(75, 143), 1) | {136: 50}
    about = {"prior": prior, "trials": Trials(10, 4)}
    nothing = counted(height=1e-6)
    for number, share in ((136, 1), (137, 0)):
        found = counted_ceiling("tetragonal", number, RUTILE, nothing, LAW, **about)
        assert found.right["extinction_class"][1] == share
        assert found.said["spacegroup"][1] == pytest.approx(50 / 117, abs=1e-3)


def test_over_all_groups_in_turn_the_judge_is_as_often_right_as_it_says():
    cell = np.array([6.0, 6.0, 6.0, 90.0, 90.0, 90.0])
    said, was = [], []
    for cls in extinction_classes("cubic"):
        pattern = counted(height=20.0, background=400.0)
        found = counted_ceiling("cubic", cls.members[0], cell, pattern, LAW, ks=(1,), trials=Trials(60, 8))
        said += [found.said["extinction_class"][1]] * len(cls.members)
        was += [found.right["extinction_class"][1]] * len(cls.members)
    assert np.mean(said) == pytest.approx(np.mean(was), abs=0.05)
    assert 0.3 < np.mean(was) < 0.97


def test_a_cell_without_lines_in_the_range_is_named():
    with pytest.raises(XtinctError, match="no line of the cell lies between"):
        right(136, cell=RUTILE / np.array([4, 4, 4, 1, 1, 1]), last=20.0)


def test_of_a_large_cell_the_lowest_lines_are_looked_at_and_each_alone(monkeypatch):
    cell = np.array([11.0, 12.0, 13.0, 90.0, 97.0, 90.0])
    lines = counted_patterns._lines_of("monoclinic", cell, counted())
    monkeypatch.setattr(counted_patterns, "_LINES", 40)
    short = counted_patterns._lines_of("monoclinic", cell, counted())
    assert (len(lines.angle), len(short.angle)) == (250, 40)
    np.testing.assert_array_equal(short.angle, lines.angle[:40])
    # The last line is no brighter for those that lie beyond it.
    assert short.expected[:, -1].max() < 3 * np.median(short.expected[:, -10:].max(axis=0))

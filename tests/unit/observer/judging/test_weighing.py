"""Probabilities: classes to a power, groups of a class in their shares; one lattice counted once."""

from dataclasses import dataclass

import numpy as np
import pytest

from xtinct.lattices.bravais import reduced
from xtinct.observer.judging.weighing import distinct, none_of_them, of_cells, sharpened, voted
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


@dataclass(frozen=True)
class Described:
    """A lattice as far as `distinct` looks at it."""

    candidate: object
    reduced: np.ndarray


@dataclass(frozen=True)
class Told:
    family: str
    score: float
    suggestion: float | None = None


#: Rock salt by its own cell and by one twice as large, of which only lines of even h, k and l show.
HALITE = reduced(np.array([5.64, 5.64, 5.64, 90, 90, 90]), "F")
STRAINED = reduced(np.array([5.64, 5.64, 5.70, 90, 90, 90]), "F")
OTHER = reduced(np.array([4.2, 4.2, 4.2, 90, 90, 90]), "P")


def test_a_lattice_described_twice_counts_once():
    judged = [
        Described(Told("cubic", 20.0), HALITE * np.array([1.001] * 3 + [1] * 3)),
        Described(Told("cubic", 25.0, 1.0), HALITE),
        Described(Told("cubic", 21.0, 3.0), HALITE),
        Described(Told("tetragonal", 15.0), HALITE),
        Described(Told("cubic", 18.0), OTHER),
        Described(Told("tetragonal", 14.0), STRAINED),
    ]
    kept = distinct(judged)
    assert [one.candidate.score for one in kept] == [25.0, 18.0, 15.0, 14.0]
    # The suggestion of a description that went stays with its lattice, the strongest of them.
    assert kept[0].candidate.suggestion == 3.0
    assert kept[1].candidate.suggestion is None


@dataclass(frozen=True)
class Fitted:
    """A candidate as far as `none_of_them` looks at it."""

    candidate: Told
    evidence: float
    reduced: np.ndarray
    strong: int = 1
    left: float = 0.05


def cubic(edge, score, evidence):
    return Fitted(Told("cubic", score), evidence, reduced(np.array([edge] * 3 + [90] * 3)))


def test_further_candidates_do_not_make_it_more_probable_that_none_is_right():
    """Large cells fit whatever there is, foreign lines as well, and all nearly alike, at low scores."""
    few = [cubic(5.0 + k, 30.0 - k, -100.0 - 40 * k) for k in range(5)]
    more = [cubic(15.0 + k, 8.0 - k, -float(k)) for k in range(7)]
    assert none_of_them(few + more, 30) == pytest.approx(none_of_them(few, 30))
    # The same with a rival among the five best: then no cell is far ahead.
    rival = [*few[:4], cubic(9.0, 26.0, -101.0)]
    assert none_of_them(rival, 30)[-1] < none_of_them(few, 30)[-1] - 1


def test_symmetries_of_one_cell_are_summed():
    total = of_cells([HALITE, OTHER, STRAINED], np.array([0.5, 0.2, 0.1]))
    assert total == pytest.approx([0.6, 0.2, 0.6])


def test_groups_without_a_vote_keep_a_share_by_their_usual_frequency():
    """Known structures that lack the sample's type say nothing of its group; frequencies do."""
    absences, usual = np.array([0.5, 0.3, 0.2]), np.array([1.0, 3.0, 6.0])
    without = voted(absences, np.zeros(3), usual, 1.0)
    assert without == pytest.approx(absences * usual / (absences * usual).sum())
    heard = voted(absences, np.array([0.4, 0.0, 0.0]), usual, 1.0)
    assert heard[0] > 0.9
    assert heard[2] / heard[1] == pytest.approx(without[2] / without[1])
    # Only the shares of the votes and of the frequencies count.
    assert voted(absences, np.array([0.1, 0.0, 0.0]), 7 * usual, 1.0) == pytest.approx(heard)
    assert voted(absences, np.array([0.4, 0.0, 0.0]), usual, 0.0) == pytest.approx(absences)

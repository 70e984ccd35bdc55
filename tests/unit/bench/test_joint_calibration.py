"""Calibration of the joint answer: who names a class, what sets hold, and a law of first answers."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from xtinct.joint.identification import SUM, SUM_APART

_FOLDER = Path(__file__).resolve().parents[3] / "benchmarks" / "joint"


@pytest.fixture(scope="module")
def calibration():
    path = list(sys.path)
    sys.path.insert(0, str(_FOLDER))
    spec = importlib.util.spec_from_file_location("joint_calibration", _FOLDER / "calibration.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path[:] = path
    return module


def _said(together, absences, votes, true, most):
    return (*(np.array(p, dtype=float) for p in (together, absences, votes)), true, most)


FIRST, SECOND, THIRD = [0.7, 0.2, 0.1], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7]


@pytest.mark.parametrize(
    ("together", "absences", "votes", "name"),
    [
        (FIRST, FIRST, FIRST, "both"),
        (FIRST, FIRST, SECOND, "absences"),
        (SECOND, FIRST, SECOND, "votes"),
        (THIRD, FIRST, SECOND, "neither"),
        # A third class leads though both name the first: what both say is what counts.
        (THIRD, FIRST, FIRST, "both"),
    ],
)
def test_who_names_the_class_of_an_answer(calibration, together, absences, votes, name):
    assert calibration.WHO[calibration.who(_said(together, absences, votes, 0, SUM))] == name


def test_sets_take_classes_until_the_sum_is_reached_and_more_where_two_disagree(calibration):
    agree = _said([0.6, 0.3, 0.1], FIRST, FIRST, 2, SUM)
    apart = _said([0.6, 0.3, 0.1], FIRST, SECOND, 2, SUM_APART)
    # The sharpened probabilities are .63, .29 and .08: two classes reach .75, three .95.
    assert calibration.sets([agree], 0.75, 0.95) == (0.0, 2.0)
    assert calibration.sets([apart], 0.75, 0.95) == (1.0, 3.0)
    assert calibration.sets([agree, apart], 0.75, 0.95) == (0.5, 2.5)
    assert calibration.sets([agree], 0.5, 0.95) == (0.0, 1.0)
    assert calibration.sets([agree], 0.95, 0.5) == (1.0, 3.0)


def test_the_law_of_first_answers_finds_who_is_too_sure(calibration):
    """Where votes alone name the class half as many are right as elsewhere; the others are as they say."""
    random, said = np.random.default_rng(0), []
    for i in range(600):
        together, absences, votes = (FIRST, FIRST, FIRST) if i % 2 else (SECOND, FIRST, SECOND)
        first = int(np.argmax(together))
        p = calibration.powered(np.array(together), calibration.SUGGESTED.sharpness).max()
        right = random.random() < (p if i % 2 else p / 2)
        said.append(_said(together, absences, votes, first if right else 2, SUM))
    logit = np.log(p / (1 - p))
    law = calibration.logistic(said, np.full(600, 1 / 600))
    assert law[1 + calibration.WHO.index("votes")] < -0.5
    assert abs(law[1 + calibration.WHO.index("absences")]) < 0.05
    # Of the others the chance to be right is as it was said.
    assert abs(law[0] + (law[1] - 1) * logit) < 0.3

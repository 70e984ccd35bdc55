"""What lines that are weak, missing or seen at a large angle say about an extinction class."""

import numpy as np
import pytest

from xtinct.linelists.line_lists import LineLists
from xtinct.linelists.structure_factors import structure_lines
from xtinct.observer.exact.exact_classes import UNIFORM, evidence
from xtinct.observer.exact.exact_observer import Observer
from xtinct.observer.exact.line_fit import Decomposition
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.rendering import render

#: Fluoroperovskite KMgF3, Pm-3m: K at 0 0 0, Mg at the centre, F on the faces.
KMGF3 = {
    "cell": np.array([3.9889, 3.9889, 3.9889, 90.0, 90.0, 90.0]),
    "species": np.array([19, 12, 9, 9, 9]),
    "frac": np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]),
    "occupancy": np.ones(5),
}


def test_one_line_that_a_crystal_happens_to_lack_does_not_exclude_its_class():
    """F(100) of KMgF3 is f(K) - f(Mg) - f(F), next to nothing, and P 42 - - forbids 100 and little else."""
    copper = Instrument(1.5406, 5, 90, 8192, "lorentz-polarisation", 0.1)
    d_star, intensity = structure_lines(**KMGF3, d_star_max=copper.d_star_reach)
    assert intensity[0] < 0.003 * intensity.max()
    lines = LineLists(
        np.array([0, len(d_star) - 1]), d_star[1:], (intensity[1:] / intensity.max()).astype(np.float32)
    )
    (answer,) = Observer(copper, "cubic", "physical").predict(render(lines, copper)[0])
    assert {symbol: p for _, symbol, p in answer.classes}["P - - -"] > 0.05


def polarised(two_theta, monochromator=0.0):
    """(1 + A cos^2 2theta) / (sin theta sin 2theta) without its constants: ITC vol. C, section 6.2.5."""
    theta = np.radians(two_theta / 2)
    share = np.cos(np.radians(monochromator)) ** 2
    return (1 + share * np.cos(2 * theta) ** 2) / (np.sin(theta) * np.sin(2 * theta))


@pytest.mark.parametrize("monochromator", [0.0, 26.6])
def test_an_unseen_line_says_the_less_the_more_the_geometry_weakens_it(monochromator):
    """Of equal |F|^2 with equal errors: the share of intensities below the error goes as 1 / factor."""
    two_theta = np.array([25.0, 90.0])
    error = 1e-3
    found = Decomposition(
        two_theta=two_theta,
        forms=np.array([0, 1]),
        line=np.array([0, 1]),
        height=polarised(two_theta, monochromator),
        error=np.full(2, error),
        local=np.full(2, error),
        covariance=np.eye(2),
        residual=1e-4,
        points=100,
    )
    machine = Instrument(1.5406, 5, 120, 8192, "lorentz-polarisation", 0.1, monochromator=monochromator)
    weak = evidence(found, machine, UNIFORM).weak
    low, high = polarised(two_theta, monochromator)
    assert weak[1] / weak[0] == pytest.approx(low / high, rel=1e-6)

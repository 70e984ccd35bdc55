"""Ceilings of a measurement: limits, monotony, and the distribution of summed intensities."""

import math

import numpy as np
import pytest

from xtinct.ceiling.extinction import CeilingQuestion, ceilings
from xtinct.ceiling.hypotheses import Hypotheses
from xtinct.ceiling.measured_lines import (
    MeasurementModel,
    irwin_hall,
    irwin_hall_below,
    measurement_ceiling,
    resolution_elements,
)
from xtinct.errors import XtinctError
from xtinct.lattices.distributions import LatticeSpec
from xtinct.patterns.instrument import Instrument
from xtinct.symmetry.families import FAMILIES, space_groups

SPECS = {
    family: LatticeSpec("continuous", (6.0, 10.0), angles, count=1)
    for family, angles in dict.fromkeys(FAMILIES, (90.0, 90.0)).items()
    | {"monoclinic": (90.0, 115.0), "triclinic": (75.0, 105.0)}.items()
}


def measure(**changes):
    settings = {
        "wavelength": 1.5406,
        "two_theta_min": 5.0,
        "two_theta_max": 90.0,
        "width": 0.0,
        "threshold": 0.0,
    }
    return MeasurementModel(**settings | changes)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_perfect_measurement_reaches_the_extinction_ceiling(family):
    result = measurement_ceiling(family, SPECS[family], measure(), lattices=4, draws=1)
    expected = ceilings(family)
    for k, value in result.ceilings.items():
        assert value == pytest.approx(float(expected[k]), abs=1e-9)
    assert result.lost_pairs == ()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_range_without_lines_leaves_the_prior(family):
    blind = measure(two_theta_min=1.0, two_theta_max=2.0, width=0.1, threshold=0.01)
    result = measurement_ceiling(
        family, SPECS[family], blind, question=CeilingQuestion(ks=(1, 2)), lattices=2, draws=1
    )
    assert result.ceilings[1] == pytest.approx(1 / len(space_groups(family)))
    assert result.ceilings[2] == pytest.approx(2 / len(space_groups(family)))


def test_a_threshold_above_every_line_leaves_the_prior():
    result = measurement_ceiling(
        "cubic",
        SPECS["cubic"],
        measure(threshold=1e6),
        question=CeilingQuestion(ks=(1,)),
        lattices=2,
        draws=1,
    )
    assert result.ceilings[1] == pytest.approx(1 / 36)


@pytest.mark.parametrize("family", ["cubic", "tetragonal", "monoclinic"])
def test_worse_measurements_allow_less(family):
    """Coarser elements of nested widths and higher thresholds are functions of the finer data."""
    common = {"question": CeilingQuestion(ks=(1,)), "lattices": 40, "draws": 2}
    fine, coarse, coarser = (
        measurement_ceiling(family, SPECS[family], measure(width=w), **common) for w in (0.1, 0.4, 3.2)
    )
    errors = [r.standard_errors[1] for r in (fine, coarse, coarser)]
    assert fine.ceilings[1] >= coarse.ceilings[1] - 3 * math.hypot(*errors[:2])
    assert coarse.ceilings[1] > coarser.ceilings[1] + 3 * math.hypot(*errors[1:])
    low, high = (
        measurement_ceiling(family, SPECS[family], measure(threshold=t), **common) for t in (0.01, 0.1)
    )
    assert low.ceilings[1] > high.ceilings[1]


def test_intensities_tell_more_than_detection():
    common = {"question": CeilingQuestion(ks=(1,)), "lattices": 100, "draws": 2}
    more, less = (
        measurement_ceiling("tetragonal", SPECS["tetragonal"], measure(width=1.0, uses=uses), **common)
        for uses in ("intensities", "detection")
    )
    assert more.ceilings[1] > less.ceilings[1]


def test_classes_that_hang_on_one_line_are_lost_first():
    """I against I 41: the line N = 4 alone; F against F 41 likewise."""
    result = measurement_ceiling("cubic", SPECS["cubic"], measure(threshold=0.01), lattices=100)
    worst = [pair[:2] for pair in result.lost_pairs[:3]]
    assert ("I - - -", "I 41 - -") in worst
    assert ("F - - -", "F 41 - -") in worst


def test_a_result_depends_on_the_seed_only():
    first, again, other = (
        measurement_ceiling("cubic", SPECS["cubic"], measure(threshold=0.05), seed=seed, lattices=5)
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first.ceilings != other.ceilings


@pytest.mark.parametrize("x", [0.3, 1.0, 2.5, 4.9, 9.7])
def test_density_of_sums_of_uniform_numbers(x):
    """Irwin (1927) and Hall (1927), closed form."""
    densities = np.empty(12)
    irwin_hall(x, densities)
    below = np.empty(12)
    irwin_hall_below(x, below)
    for n in range(1, 12):
        signs = [(-1) ** j * math.comb(n, j) for j in range(n + 1) if j < x]
        density = sum(s * (x - j) ** (n - 1) for j, s in enumerate(signs)) / math.factorial(n - 1)
        probability = sum(s * (x - j) ** n for j, s in enumerate(signs)) / math.factorial(n)
        if x != 1.0 or n > 1:  # the density of one number jumps there
            assert densities[n] == pytest.approx(density if x < n else 0.0, abs=1e-7)
        assert below[n] == pytest.approx(probability if x < n else 1.0, abs=1e-7)
    assert below[0] == 1.0


@pytest.mark.parametrize("key", ["wavelength", "width", "threshold", "two_theta_max"])
def test_bad_measurements_are_refused(key):
    with pytest.raises(XtinctError, match=key.removesuffix("_max")):
        measure(**{key: -1.0})


def test_a_mesh_of_few_lattices_is_seen_through_as_often_as_is_asked():
    """One lattice: the error is that of its drawn intensities, and a number."""
    spec = LatticeSpec("mesh", (6.0, 7.0), step=1.0)
    result = measurement_ceiling("cubic", spec, measure(threshold=0.05), lattices=20)
    assert 0 < result.standard_errors[1] < 0.05


def test_too_few_lattices_for_an_error_are_refused():
    with pytest.raises(XtinctError, match="at least 2"):
        measurement_ceiling("cubic", SPECS["cubic"], measure(), lattices=1)


@pytest.mark.parametrize("monochromator", [None, 0.0, 26.6])
def test_the_geometry_decides_what_a_threshold_hides(monochromator):
    """A line must be as much stronger to be seen as the factor is smaller: ITC vol. C, section 6.2.5."""
    polarised = monochromator is not None
    machine = Instrument(
        *(1.5406, 5.0, 90.0, 4096, "lorentz-polarisation" if polarised else "lorentz", 0.1),
        monochromator=monochromator or 0.0,
    )
    measurement = MeasurementModel.of_instrument(machine, 0.02)
    hypotheses = Hypotheses("cubic", measurement.window.d_star_max, 4.0)
    # a = 4 angstrom: 100, 110, 111, ... stand far apart; of a primitive lattice all are there.
    _, threshold = resolution_elements(hypotheses, np.array([4.0, 4, 4, 90, 90, 90]), measurement)
    sine = 1.5406 / 8 * np.sqrt([n for n in range(1, 14) if n != 7])[: len(threshold)]
    double = 2 * np.arcsin(sine)
    share = 0 if not polarised else math.cos(math.radians(monochromator)) ** 2
    factor = (1 + share * np.cos(double) ** 2) / (sine * np.sin(double))
    np.testing.assert_allclose(threshold, 0.02 * factor[0] / factor, rtol=1e-9)

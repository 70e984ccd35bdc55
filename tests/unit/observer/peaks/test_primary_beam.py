import numpy as np
import pytest
from patterns import pattern, rock_salt

from xtinct.observer.answer.remarks import of_peaks
from xtinct.observer.peaks.primary_beam import end_of_beam
from xtinct.observer.peaks.radiation_found import find
from xtinct.radiation.tubes import radiation_of

COPPER = 1.5406
TWO_THETA = np.arange(0.6, 60, 0.02)


def counts(mean, seed=0):
    return np.random.default_rng(seed).poisson(mean).astype(float)


def line(angle, height, fwhm=0.12):
    return height * np.exp(-4 * np.log(2) * ((TWO_THETA - angle) / fwhm) ** 2)


def beam(height=2e6, width=0.35):
    return height * np.exp(-TWO_THETA / width)


def behind_a_stop(y, edge=3.5):
    return np.where(edge > TWO_THETA, 0.002 * y, y)


def test_the_flank_of_the_beam_ends_where_the_background_begins():
    end = end_of_beam(TWO_THETA, counts(beam() + 200), COPPER)
    assert 2.5 < TWO_THETA[end] < 4.0
    # Whatever the unit of the intensities.
    assert end_of_beam(TWO_THETA, counts(beam() + 200) / 120, COPPER) == end
    # At a shorter wavelength all angles are smaller.
    shorter = end_of_beam(TWO_THETA / 2, counts(beam() + 200), COPPER / 2)
    assert shorter == end


def test_the_edge_of_a_beam_stop_is_no_line():
    y = counts(behind_a_stop(beam(5e4, 0.8) + 200))
    end = end_of_beam(TWO_THETA, y, COPPER)
    assert 3.5 < TWO_THETA[end] < 5.5


def test_a_line_on_the_flank_ends_it():
    end = end_of_beam(TWO_THETA, counts(beam() + line(2.2, 9e4) + 200), COPPER)
    assert TWO_THETA[end] < 2.1


@pytest.mark.parametrize(
    "mean",
    [
        200 + line(3.2, 20_000),
        200 + line(3.2, 20_000) + line(4.1, 9_000),
        200 * (1 + 3 * np.exp(-TWO_THETA / 15)),
        200 * (1 + 5 * np.exp(-TWO_THETA / 3)),
        200 + line(0.6, 20_000),
        np.full(len(TWO_THETA), 200.0),
    ],
)
def test_lines_and_backgrounds_are_no_beam(mean):
    assert end_of_beam(TWO_THETA, counts(mean), COPPER) == 0


def test_a_pattern_that_begins_late_has_no_beam():
    late = TWO_THETA > 6
    assert end_of_beam(TWO_THETA[late], counts(beam() + 200)[late], COPPER) == 0


@pytest.mark.parametrize("stopped", [False, True])
def test_lines_are_found_beside_the_beam_and_what_was_left_out_is_said(stopped):
    two_theta, y = pattern(rock_salt(), low=0.6, noise=False)
    y = y + (5e4 * np.exp(-two_theta / 0.8) if stopped else 2e6 * np.exp(-two_theta / 0.35))
    y = counts(np.where((two_theta < 3.5) & stopped, 0.002 * y, y))
    found = find(two_theta, y, radiation_of("Cu"))
    assert found.peaks.two_theta[0] == pytest.approx(27.4, abs=0.2)
    assert len(found.peaks) >= 9
    (said,) = [one for one in of_peaks(found) if "primary beam" in one.text]
    assert said.kind == "range"
    assert f"Below {found.beam:.2f} degrees" in said.text
    assert find(*pattern(rock_salt()), radiation_of("Cu")).beam is None

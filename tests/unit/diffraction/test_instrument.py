"""The instrument: its grid, its identity and what it refuses."""

import math

import numpy as np
import pytest

from xtinct.diffraction.instrument import Instrument
from xtinct.errors import XtinctError

SETTINGS = {
    "wavelength": 1.5406,
    "two_theta": {"min": 5, "max": 90, "points": 8192},
    "lorentz": "lorentz",
    "fwhm": 0.23548,
}


def test_the_published_grid():
    instrument = Instrument.from_config(SETTINGS)
    np.testing.assert_array_equal(instrument.two_theta, np.linspace(5, 90, 8192))
    assert instrument.step == pytest.approx(85 / 8191)
    assert instrument.sigma == pytest.approx(0.1, rel=1e-5)


def test_identity_survives_a_round_trip_and_changes_with_every_field():
    instrument = Instrument.from_config(SETTINGS)
    assert Instrument(**instrument.to_dict()) == instrument
    changed = [
        Instrument.from_config({**SETTINGS, **change})
        for change in (
            {"wavelength": 1.5405},
            {"two_theta": {"min": 5, "max": 90, "points": 8191}},
            {"two_theta": {"min": 6, "max": 90, "points": 8192}},
            {"lorentz": "lorentz-polarisation"},
            {"fwhm": 0.2},
        )
    ]
    assert len({instrument.digest(), *(other.digest() for other in changed)}) == 6


def test_reach_includes_the_tail_of_lines_beyond_the_last_point():
    instrument = Instrument.from_config(SETTINGS)
    edge = 2 * math.sin(math.radians(45)) / 1.5406
    assert edge < instrument.d_star_reach < edge * 1.01
    instrument.check_reach(0.93)
    with pytest.raises(XtinctError, match=r"lines\.d_star_max: 0\.918"):
        instrument.check_reach(0.918)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wavelength": 0}, "wavelength"),
        ({"wavelength": float("nan")}, "wavelength"),
        ({"fwhm": -1}, "fwhm"),
        ({"two_theta": {"min": 90, "max": 5, "points": 10}}, "two_theta"),
        ({"two_theta": {"min": 5, "max": 180, "points": 10}}, "two_theta"),
        ({"two_theta": {"min": 5, "max": 90, "points": 1}}, "points"),
        ({"lorentz": "none"}, "lorentz"),
    ],
)
def test_impossible_instruments_are_refused(change, message):
    with pytest.raises(XtinctError, match=message):
        Instrument.from_config({**SETTINGS, **change})

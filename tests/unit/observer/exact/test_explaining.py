"""Lattices that are given up early are none that would have been found."""

from dataclasses import replace

import numpy as np
import pytest

from xtinct.api import DEFAULT_INSTRUMENT, ulbd_patterns
from xtinct.measurements.strong_peaks import strong_lines
from xtinct.observer.exact import explaining


@pytest.mark.parametrize(
    ("group", "cell"),
    [
        (225, [4.05, 4.05, 4.05, 90, 90, 90]),
        (88, [5.243, 5.243, 11.376, 90, 90, 90]),
        (167, [4.759, 4.759, 12.991, 90, 90, 120]),
        (2, [9, 10, 11, 80, 95, 105]),
    ],
)
def test_bounds_change_no_explanation(group, cell, monkeypatch):
    instrument = replace(DEFAULT_INSTRUMENT, fwhm=0.1, zero_shift=0.03)
    (pattern,) = ulbd_patterns(group, np.array([cell], dtype=float), 1, 3, instrument).astype(float)
    peaks = strong_lines(instrument.two_theta, pattern)
    bounded = {family: explaining.explain(family, peaks, 1.5406) for family in explaining.EXPLAINED}
    without = explaining._Most(1.0, 1.0, np.full((1, explaining.MOST + 1), 1e9))
    monkeypatch.setattr(explaining._Most, "of", lambda lines, lattices: without)
    for family, found in bounded.items():
        expected = explaining.explain(family, peaks, 1.5406)
        np.testing.assert_equal(vars(found), vars(expected))

"""Patterns without peaks are refused, measured ones never; lattices are told from chance."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

import xtinct
from xtinct.api import DEFAULT_INSTRUMENT, ulbd_patterns
from xtinct.errors import XtinctError
from xtinct.measurements.strong_peaks import require_peaks, strong_lines
from xtinct.observer.exact.explaining import NEEDED, best_families, explain

X = np.arange(5.0, 90.0, 0.02)


def halo(height, centre, width):
    return height * np.exp(-4 * np.log(2) * ((X - centre) / width) ** 2)


@pytest.mark.parametrize("counts", [3, 100, 1e4])
@pytest.mark.parametrize("shape", ["flat", "falling", "glass"])
@pytest.mark.parametrize("smooth", [False, True])
def test_noise_and_glass_have_no_peaks(counts, shape, smooth):
    mean = {
        "flat": np.ones_like(X),
        "falling": 0.3 + 3 * np.exp(-X / 20),
        "glass": 0.3 + halo(2, 22, 7) + halo(0.6, 45, 12),
    }[shape]
    y = np.random.Generator(np.random.PCG64(2)).poisson(counts * mean).astype(float)
    if smooth:
        y = np.round(gaussian_filter1d(y, 4) / y.max() * 1e4)
    for call in (
        require_peaks,
        lambda x, y: xtinct.predict((x, y), 1.5406, models="no models", fill_missing=True),
    ):
        with pytest.raises(XtinctError, match=r"no peaks: nothing narrower|no trained model"):
            call(X, y)
    assert xtinct.index((X, y), 1.5406).lattice is None


def test_constants_and_smooth_humps_have_no_peaks():
    with pytest.raises(XtinctError, match="no peaks: every intensity is 500"):
        require_peaks(X, np.full_like(X, 500.0))
    with pytest.raises(XtinctError, match="no peaks: nothing narrower"):
        require_peaks(X, 100 + halo(1000, 22, 7))


@pytest.mark.parametrize("fwhm", [0.05, 0.23548, 1.0])
@pytest.mark.parametrize("cell", [[6, 6, 6, 90, 90, 90], [9, 10, 11, 80, 95, 105]])
def test_patterns_have_peaks_with_noise_and_without(fwhm, cell):
    instrument = replace(DEFAULT_INSTRUMENT, fwhm=fwhm)
    group = 225 if cell[3] == 90 else 2
    rng = np.random.Generator(np.random.PCG64(1))
    for pattern in ulbd_patterns(group, np.array([cell], dtype=float), 4, 1, instrument).astype(float):
        require_peaks(instrument.two_theta, pattern)
        require_peaks(instrument.two_theta, rng.poisson(1000 * pattern + 50).astype(float))


@pytest.mark.parametrize(
    ("family", "group", "cell"),
    [
        ("cubic", 206, [10.604, 10.604, 10.604, 90, 90, 90]),  # Y2O3
        ("tetragonal", 88, [5.243, 5.243, 11.376, 90, 90, 90]),  # CaWO4
        ("trigonal-hexagonal", 167, [4.759, 4.759, 12.991, 90, 90, 120]),  # Al2O3
        (None, 14, [5.145, 5.208, 5.311, 90, 99.2, 90]),  # ZrO2
    ],
)
def test_the_family_of_the_lattice_is_told(family, group, cell):
    """With K-alpha2, a shifted zero, background and counting noise."""
    instrument = replace(
        DEFAULT_INSTRUMENT,
        fwhm=0.1,
        lorentz="lorentz-polarisation",
        further_wavelengths=((1.5444, 0.5),),
        zero_shift=0.03,
    )
    rng = np.random.Generator(np.random.PCG64(4))
    right = 0
    for pattern in ulbd_patterns(group, np.array([cell]), 5, 3, instrument).astype(float):
        y = rng.poisson(5000 * pattern + 100).astype(float)
        found, best = best_families(strong_lines(instrument.two_theta, y), 1.5406)
        right += best == family
        assert all(0 <= e.explained <= e.lines <= 25 for e in found.values())
    assert right >= 4


def test_an_orthorhombic_pattern_is_not_cubic():
    """PbSO4, whose lines lie nearly on a hexagonal lattice."""
    cell = np.array([[8.478, 5.396, 6.958, 90, 90, 90]])
    for pattern in ulbd_patterns(62, cell, 3, 3).astype(float):
        found, best = best_families(strong_lines(DEFAULT_INSTRUMENT.two_theta, pattern), 1.5406)
        assert best != "cubic"
        assert not found["cubic"].evidence > NEEDED


def test_few_lines_say_nothing():
    y = 1 + 1000 * np.exp(-(((X - 30) / 0.1) ** 2)) + 500 * np.exp(-(((X - 50) / 0.1) ** 2))
    peaks = strong_lines(X, y)
    assert len(peaks) == 2
    assert peaks.two_theta == pytest.approx([30, 50], abs=0.005)
    assert explain("cubic", peaks, 1.5406).cell is None

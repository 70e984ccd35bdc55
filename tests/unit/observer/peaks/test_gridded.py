import numpy as np
import pytest
from patterns import pattern, rock_salt, yttria
from scipy.ndimage import gaussian_filter1d, uniform_filter1d
from scipy.signal import savgol_filter

from xtinct.errors import XtinctError
from xtinct.observer.peaks.gridded import measured
from xtinct.observer.peaks.peak_search import find_peaks
from xtinct.radiation.tubes import radiation_of

COPPER = radiation_of("Cu")


def test_counts_have_the_variance_of_counts():
    noise = measured(*pattern(yttria()), COPPER).noise
    assert noise.gain == pytest.approx(1.0, abs=0.1)
    assert not noise.correlated


def test_scaled_counts_show_their_gain():
    two_theta, y = pattern(yttria())
    noise = measured(two_theta, 0.037 * y, COPPER).noise
    assert noise.gain == pytest.approx(0.037, rel=0.25)


def test_joined_points_keep_their_variance():
    two_theta, y = pattern(yttria(), step=0.004, height=3000)
    found = measured(two_theta, y, COPPER)
    joined = round(found.step / 0.004)
    assert joined > 1
    assert found.noise.gain == pytest.approx(1 / joined, rel=0.25)


def test_smoothed_counts_are_not_taken_for_exact_ones():
    two_theta, y = pattern(yttria(), height=3000)
    smooth = savgol_filter(y, 15, 3)
    found = measured(two_theta, smooth, COPPER)
    quiet = (two_theta > 12) & (two_theta < 19.5)
    scatter = np.std(
        smooth[quiet] - np.poly1d(np.polyfit(two_theta[quiet], smooth[quiet], 3))(two_theta[quiet])
    )
    level = smooth[quiet].mean()
    assert found.noise.correlated
    # A peak search sums over a width: the noise that counts is larger than the scatter of smoothed points.
    assert found.noise.gain * level + found.noise.floor > 1.2 * scatter**2


@pytest.mark.parametrize(
    "smoothed",
    [
        lambda y: savgol_filter(y, 15, 2),
        lambda y: uniform_filter1d(y, 9),
        lambda y: gaussian_filter1d(y, 2.5),
    ],
)
def test_smoothed_counts_have_the_noise_of_the_counts_though_weak_lines_stand_everywhere(smoothed):
    """Means over a peak's width scatter as those of the counts did; weak lines are no noise."""
    random = np.random.default_rng(5)
    two_theta = np.arange(8.0, 88.0, 0.01)
    y = np.full(len(two_theta), 150.0)
    for count, mean in ((60, 40.0), (12, 1500.0)):
        centres, heights = random.uniform(10, 86, count), random.exponential(mean, count)
        for centre, height in zip(centres, heights, strict=True):
            y += height * np.exp(-np.log(2) * ((two_theta - centre) / 0.08) ** 2)
    found = measured(two_theta, smoothed(random.poisson(y).astype(float)), COPPER)
    assert found.noise.correlated
    level = float(np.median(found.background))
    independent = level * 0.01 / found.step
    assert 0.7 < (found.noise.gain * level + found.noise.floor) / independent < 1.55


def test_the_background_is_found_under_the_peaks():
    two_theta, y = pattern(yttria())
    true = 60.0 * (1 + 3 * np.exp(-two_theta / 15))
    found = measured(two_theta, y, COPPER)
    inside = (found.two_theta > 12) & (found.two_theta < 88)
    off = found.background[inside] / np.interp(found.two_theta[inside], two_theta, true) - 1
    assert np.median(np.abs(off)) < 0.12


@pytest.mark.parametrize(("points", "value", "said"), [(20, None, "too few"), (500, 7.0, "same everywhere")])
def test_what_holds_no_peaks_is_refused(points, value, said):
    y = np.full(points, value) if value is not None else np.random.default_rng(0).random(points)
    with pytest.raises(XtinctError, match=said):
        measured(np.linspace(10, 60, points), y, COPPER)


def test_every_line_that_stands_out_is_found_once_where_it_is():
    two_theta, y = pattern(rock_salt())
    peaks, _ = find_peaks(measured(two_theta, y, COPPER))
    # d = a / sqrt(N) for N = 3 4 8 11 12 16 19 20 24 (27 is 0.2 % of 200), shifted by 0.03 degrees.
    true = (
        2 * np.degrees(np.arcsin(1.540593 * np.sqrt([3, 4, 8, 11, 12, 16, 19, 20, 24]) / (2 * 5.64))) + 0.03
    )
    true = true[true < 89]
    assert len(peaks) == len(true)
    assert np.abs(peaks.two_theta - true).max() < 0.01
    assert (np.abs(peaks.two_theta - true) < 5 * peaks.error + 2e-3).all()
    assert np.allclose(peaks.fwhm, 0.12, rtol=0.15)


@pytest.mark.parametrize("window", [9, 15, 31])
def test_smoothing_makes_no_peaks(window):
    two_theta, y = pattern(rock_salt(), height=2000)
    smooth = np.round(1e4 * savgol_filter(y, window, 3) / y.max())
    peaks, _ = find_peaks(measured(two_theta, smooth, COPPER))
    assert 6 <= len(peaks) <= 9


def test_noise_alone_has_no_peaks():
    counts = np.random.default_rng(1).poisson(200, 4000).astype(float)
    peaks, _ = find_peaks(measured(np.linspace(10, 90, 4000), counts, COPPER))
    assert len(peaks) <= 1


def test_tungsten_and_k_beta_lines_are_no_peaks():
    two_theta, y = pattern(rock_salt(), background=20.0)
    strongest = 2 * 5.64 / np.sqrt(4)  # twice d of 200
    for wavelength in (1.392234, 1.4763112):
        place = 2 * np.degrees(np.arcsin(wavelength / strongest)) + 0.03
        y += 150 * np.exp(-np.log(2) * ((two_theta - place) / 0.06) ** 2)
    peaks, fit = find_peaks(measured(two_theta, y, COPPER))
    for wavelength in (1.392234, 1.4763112):
        place = 2 * np.degrees(np.arcsin(wavelength / strongest)) + 0.03
        assert np.abs(fit.two_theta - place).min() < 0.03, "the bump itself is seen"
        assert np.abs(peaks.two_theta - place).min() > 0.2, "but is no line of the crystal"

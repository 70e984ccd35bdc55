from dataclasses import replace

import numpy as np
import pytest

from xtinct.errors import XtinctError
from xtinct.linelists.line_lists import LineLists
from xtinct.measurements.preparation import (
    checked_pattern,
    on_grid,
    width_factor,
    with_model_widths,
    without_background,
)
from xtinct.patterns.conditions import Conditions
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.rendering import render

COPPER = Instrument(
    wavelength=1.5406, two_theta_min=5.0, two_theta_max=90.0, points=4096, lorentz="lorentz", fwhm=0.2
)
# Cubic P lattice of 6 angstrom; few lines, well apart.
LINES = LineLists(
    np.array([0, 5]),
    np.sqrt(np.array([1.0, 2, 3, 5, 8])) / 6.0,
    np.array([30.0, 100, 55, 80, 60], dtype=np.float32),
)


@pytest.fixture(scope="module")
def copper():
    return render(LINES, COPPER)[0]


def peak_heights(pattern, two_theta, d_star, wavelength):
    centres = np.degrees(2 * np.arcsin(d_star * wavelength / 2))
    return np.array([pattern[abs(two_theta - centre) < 0.5].max() for centre in centres])


def test_a_pattern_on_the_grid_stays_what_it_is(copper):
    """Straight lines between points and the mean over a step broaden by step^2 / 4: 0.7 % of the top."""
    again = on_grid(COPPER.two_theta, copper.astype(float), 1.5406, COPPER)
    assert again == pytest.approx(copper, abs=1e-2)


@pytest.mark.parametrize("kind", ["lorentz", "lorentz-polarisation"])
@pytest.mark.parametrize("wavelength", [0.7107, 1.7902])
def test_lines_of_another_wavelength_come_to_lie_where_the_model_expects_them(wavelength, kind):
    """Positions by equal 1/d; relative heights by the Lorentz factors, for peaks of constant width."""
    copper = Instrument(1.5406, 5.0, 90.0, 4096, kind, 0.2)
    other = Instrument(wavelength, 1.0, 150.0, 30000, kind, 0.2)
    measured = render(LINES, other)[0]
    found = on_grid(other.two_theta, measured.astype(float), wavelength, copper)
    d_star = LINES.d_star
    expected = peak_heights(render(LINES, copper)[0], copper.two_theta, d_star, 1.5406)
    heights = peak_heights(found, copper.two_theta, d_star, 1.5406)
    assert heights / heights.max() == pytest.approx(expected / expected.max(), rel=0.02)
    tops = copper.two_theta[
        [
            np.argmax(np.where(abs(copper.two_theta - c) < 0.5, found, 0))
            for c in np.degrees(2 * np.arcsin(d_star * 1.5406 / 2))
        ]
    ]
    assert tops == pytest.approx(np.degrees(2 * np.arcsin(d_star * 1.5406 / 2)), abs=2 * copper.step)


def test_a_line_narrower_than_the_grid_keeps_its_area():
    """Synchrotron lines may fall between two points of the grid; none may vanish."""
    two_theta = np.arange(5.0, 90.0, 0.0005)
    for centre in (30.0, 30.0103, 30.0151):
        line = np.exp(-0.5 * ((two_theta - centre) / 0.001) ** 2)
        pattern = on_grid(two_theta, line, 1.5406, COPPER, fill_missing=True)
        assert pattern.sum() * COPPER.step == pytest.approx(0.001 * np.sqrt(2 * np.pi), rel=0.01)


def test_what_is_missing_is_refused_or_filled_but_never_guessed(copper):
    part = COPPER.two_theta > 20
    two_theta, intensity = COPPER.two_theta[part], copper[part].astype(float)
    with pytest.raises(
        XtinctError, match=r"20\.0\d*-90 degrees at 1\.5406 angstrom, but the model needs 4\.99-90"
    ):
        on_grid(two_theta, intensity, 1.5406, COPPER)
    filled = on_grid(two_theta, intensity, 1.5406, COPPER, fill_missing=True)
    assert (filled[COPPER.two_theta < 19.9] == 0).all()
    assert filled[part][5:] == pytest.approx(copper[part][5:], abs=1e-2)
    with pytest.raises(XtinctError, match=r"needs 24\.\d+-over 180"):
        on_grid(COPPER.two_theta, copper.astype(float), 7.4, COPPER)
    with pytest.raises(XtinctError, match="has nothing of the range"):
        on_grid(np.array([100.0, 110.0]), np.array([1.0, 1.0]), 1.5406, COPPER, fill_missing=True)


@pytest.mark.parametrize("wavelength", [1.5406, 0.7107])
def test_a_gap_is_missing_as_the_ends_are(wavelength):
    """A straight line over it would say that no line is there; coarse steps are no gaps."""
    machine = replace(COPPER, wavelength=wavelength, two_theta_min=1.0, two_theta_max=110.0)
    two_theta, intensity = machine.two_theta, render(LINES, machine)[0].astype(float)
    line = np.degrees(2 * np.arcsin(LINES.d_star[2] * wavelength / 2))
    kept = abs(two_theta - line) > 2
    told = (
        rf"between {two_theta[kept][two_theta[kept] < line].max():.2f} and .* degrees, which the model needs"
    )
    with pytest.raises(XtinctError, match=told):
        on_grid(two_theta[kept], intensity[kept] + 0.3, wavelength, COPPER)
    filled = on_grid(two_theta[kept], intensity[kept] + 0.3, wavelength, COPPER, fill_missing=True)
    there = abs(COPPER.two_theta - np.degrees(2 * np.arcsin(LINES.d_star[2] * 1.5406 / 2))) < 1.9
    assert (filled[there] == 0).all()
    whole = on_grid(two_theta, intensity + 0.3, wavelength, COPPER)
    np.testing.assert_allclose(filled[filled > 0], whole[filled > 0], rtol=1e-6)
    assert (filled > 0).mean() > 0.85
    on_grid(two_theta[::40], intensity[::40], wavelength, COPPER)
    needless = (two_theta > 2) & (two_theta < 2.2)
    on_grid(two_theta[~needless], intensity[~needless], wavelength, COPPER)


def test_the_background_goes_and_the_lines_stay(copper):
    two_theta = COPPER.two_theta
    background = 800 * np.exp(-two_theta / 15) + 60 + 100 * np.exp(-0.5 * ((two_theta - 25) / 6) ** 2)
    left = without_background(two_theta, 5000 * copper + background) / 5000
    assert left == pytest.approx(copper, abs=0.02)
    rng = np.random.Generator(np.random.PCG64(1))
    noisy = without_background(two_theta, rng.poisson(background).astype(float))
    assert np.median(noisy) < 2 * np.sqrt(background.max())
    assert noisy.min() >= 0


@pytest.mark.parametrize(
    ("two_theta", "intensity", "wavelength", "message"),
    [
        ([20, 10], [1, 1], 1.5, "must ascend"),
        ([10, 20], [1, np.nan], 1.5, "must be finite"),
        ([10, 20], [0, -1], 1.5, "somewhere positive"),
        ([10, 20, 30], [1, 1], 1.5, r"must be \(n,\)"),
        ([10, 20], [1, 1], 0, "wavelength: 0"),
        ([10, 190], [1, 1], 1.5, "10.0-190.0 degrees"),
    ],
)
def test_what_is_no_pattern_is_refused(two_theta, intensity, wavelength, message):
    with pytest.raises(XtinctError, match=message):
        checked_pattern(np.array(two_theta), np.array(intensity), wavelength)


def measurement(width, instrument=COPPER, counts=np.inf, background=0.0):
    """LINES with peaks `width` times as wide as the instrument's, counted and on a background."""
    pattern = render(LINES, instrument, conditions=Conditions(width_factor=np.array([width])))[0] + background
    if np.isfinite(counts):
        pattern = np.random.Generator(np.random.PCG64(2)).poisson(counts * pattern) / counts
    return pattern.astype(np.float32)


#: A doublet, widths that rise with the angle, and crystallites.
TUBE = Instrument(
    1.5406, 5.0, 90.0, 4096, "lorentz-polarisation", (0.04, -0.01, 0.03),
    further_wavelengths=((1.5444, 0.5),), profile="thompson-cox-hastings", crystallite_size=600.0,
    zero_shift=0.1, background=(0.1,), counts=1000.0,
)  # fmt: skip


@pytest.mark.parametrize("width", [0.2, 0.5, 1.0, 1.5, 4.0])
@pytest.mark.parametrize(("counts", "background"), [(np.inf, 0.0), (2000, 0.0), (np.inf, 0.3), (2000, 0.3)])
def test_widths_are_measured_through_noise_and_background(width, counts, background):
    found = width_factor(measurement(width, COPPER, counts, background), COPPER)
    assert found == pytest.approx(width, rel=0.01 if counts == np.inf and 0.2 < width < 4 else 0.1)


def test_single_lines_of_any_instrument_have_its_widths():
    """A doublet of Voigt functions that widen with the angle is no wider than itself."""
    clean = replace(TUBE, counts=0.0, background=())
    for width in (1.0, 2.0):
        found = width_factor(measurement(width, clean), TUBE)
        # The doublet stays as far apart as it is, whatever the widths.
        assert found == pytest.approx(width, rel=0.03 if width == 1 else 0.15)


def test_overlapping_lines_are_not_taken_for_wide_ones():
    """Pairs of lines apart by less than their width, beside two that stand alone."""
    two_theta = np.array([20.0, 25.0, *(x + y for x in (30, 40, 50) for y in (0.0, 0.15))])
    d_star = 2 * np.sin(np.radians(two_theta / 2)) / 1.5406
    heights = 1 / (np.sin(np.radians(two_theta)) * np.sin(np.radians(two_theta / 2)))
    lines = LineLists(np.array([0, len(d_star)]), d_star, (1 / heights).astype(np.float32))
    assert width_factor(render(lines, COPPER)[0], COPPER) == pytest.approx(1, rel=0.05)
    assert width_factor(np.ones(COPPER.points), COPPER) is None
    same, said = with_model_widths(np.ones(COPPER.points), COPPER)
    assert (same == 1).all()
    assert "no peak stands alone" in said[0]


@pytest.mark.parametrize("width", [0.2, 0.4, 0.8])
def test_narrow_peaks_get_the_widths_of_the_model(width):
    for instrument in (COPPER, replace(COPPER, fwhm=(0.04, -0.01, 0.03))):
        narrow = measurement(width, instrument)
        broad, said = with_model_widths(narrow, instrument)
        assert broad / broad.max() == pytest.approx(render(LINES, instrument)[0], abs=0.03)
        assert said == []
        assert broad.sum() == pytest.approx(narrow.sum(), rel=1e-3)


def test_peaks_within_the_trained_widths_stay_and_others_are_refused():
    for width in (0.5, 1.0, 2.9):
        pattern = measurement(width)
        same, said = with_model_widths(pattern, COPPER, (0.4, 3.0))
        assert same is pattern
        assert said == []
    told = r"peaks are 0\.[67]\d\d degrees wide .* those of the model 0\.080 to 0\.600"
    with pytest.raises(XtinctError, match=told):
        with_model_widths(measurement(3.5), COPPER, (0.4, 3.0))
    wide = measurement(1.3)
    same, said = with_model_widths(wide, COPPER, any_width=True)
    assert same is wide
    assert "not to be relied on" in said[0]
    # A Gaussian does not make narrow peaks of another shape the model's.
    lorentzian = replace(COPPER, profile="lorentzian")
    with pytest.raises(XtinctError, match="degrees wide"):
        with_model_widths(measurement(0.5, lorentzian), lorentzian)

"""Patterns of any instrument: against the exact sums in float64, published numbers and conservation laws."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import voigt_profile

from xtinct.linelists.line_lists import LineLists
from xtinct.patterns.conditions import Conditions
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.rendering import render
from xtinct.patterns.rendering_torch import Renderer
from xtinct.patterns.variation import Variation

PLAIN = Instrument(1.5406, 5, 90, 8192, "lorentz", 0.2)
INSTRUMENTS = {
    "gaussian": replace(PLAIN, fwhm=(0.02, -0.01, 0.01)),
    "narrow lorentzian": replace(PLAIN, fwhm=0.005, profile="lorentzian"),
    "lorentzian": replace(PLAIN, fwhm=0.1, profile="lorentzian"),
    "broad lorentzian": replace(PLAIN, fwhm=1.5, profile="lorentzian"),
    "scherrer": replace(PLAIN, fwhm=0.0, crystallite_size=150.0, profile="lorentzian"),
    "pseudo-voigt": replace(PLAIN, profile="pseudo-voigt", eta=0.4, crystallite_size=400.0),
    "thompson-cox-hastings": replace(
        PLAIN,
        lorentz="lorentz-polarisation",
        monochromator=26.4,
        fwhm=(0.004, -0.002, 0.003),
        profile="thompson-cox-hastings",
        crystallite_size=300.0,
    ),
    "doublet": replace(PLAIN, wavelength=1.5405929, further_wavelengths=((1.5444274, 0.5), (1.3922, 0.1))),
    "shifted": replace(PLAIN, zero_shift=0.07, displacement=-0.15, goniometer_radius=217.5),
    "impure": replace(PLAIN, impurities=((0.33, 0.2), (0.61, 0.05)), background=(0.1, -0.05, 0.02)),
}


def exact(lines: LineLists, instrument: Instrument, width_factor=1.0) -> np.ndarray:
    """Sums over all lines at every point from the textbook's formulas, in float64, nothing cut."""
    x, patterns = instrument.two_theta, []
    u, v, w = instrument.fwhm if isinstance(instrument.fwhm, tuple) else (0, 0, instrument.fwhm**2)
    for i in range(len(lines)):
        groups = [(*lines[i], True)]
        if instrument.impurities:
            groups.append((*np.array(instrument.impurities).T, False))
        pattern, strongest = np.zeros_like(x), None
        for d_star, intensity, own in groups:
            peaks = []
            for wavelength, share in [(instrument.wavelength, 1), *instrument.further_wavelengths]:
                seen = d_star * wavelength < 2
                theta = np.arcsin(wavelength / 2 * d_star[seen].astype(float))
                area = share * intensity[seen].astype(float)
                if own:
                    area /= np.sin(2 * theta) * np.sin(theta)
                    if instrument.lorentz == "lorentz-polarisation":
                        a = np.cos(np.radians(instrument.monochromator)) ** 2
                        area *= (1 + a * np.cos(2 * theta) ** 2) / (1 + a)
                peaks.append((theta, area, wavelength))
            strongest = max(area.max() for _, area, _ in peaks) if own else strongest
            for theta, area, wavelength in peaks:
                centre = np.degrees(2 * theta) + instrument.zero_shift
                centre -= np.degrees(
                    2 * instrument.displacement * np.cos(theta) / instrument.goniometer_radius
                )
                g2 = u * np.tan(theta) ** 2 + v * np.tan(theta) + w
                size = instrument.crystallite_size
                b = np.degrees(0.9 * wavelength / size / np.cos(theta)) if size else 0 * theta
                if instrument.profile == "lorentzian":
                    h, eta = np.sqrt(g2) + b, 1.0
                elif instrument.profile == "thompson-cox-hastings":
                    g, terms = np.sqrt(g2), (1, 2.69269, 2.42843, 4.47163, 0.07842, 1)
                    h = sum(c * g ** (5 - n) * b**n for n, c in enumerate(terms)) ** 0.2
                    eta = 1.36603 * (b / h) - 0.47719 * (b / h) ** 2 + 0.11116 * (b / h) ** 3
                else:
                    h, eta = np.sqrt(g2 + b**2), instrument.eta
                h, t = h * width_factor, x[:, None] - centre
                scale = area / strongest if own else area
                gauss = np.sqrt(4 * np.log(2) / np.pi) / h * np.exp(-4 * np.log(2) * (t / h) ** 2)
                lorentz = 2 / np.pi / h / (1 + 4 * (t / h) ** 2)
                pattern = pattern + ((1 - eta) * gauss + eta * lorentz) @ scale
        pattern = pattern / pattern.max()
        if instrument.background:
            z = np.linspace(-1, 1, instrument.points)
            c0, c1, c2 = instrument.background
            pattern = pattern + np.maximum(c0 + c1 * z + c2 * (2 * z * z - 1), 0)
        patterns.append(pattern / pattern.max())
    return np.array(patterns)


def make_lines(sizes, seed=0, d_star_max=1.2) -> LineLists:
    rng = np.random.default_rng(seed)
    d_star = [np.sort(rng.uniform(0.05, d_star_max, size)) for size in sizes]
    intensity = [rng.uniform(0, 1, size) ** 4 * 10.0 ** rng.integers(-3, 12) for size in sizes]
    return LineLists(
        np.concatenate([[0], np.cumsum(sizes)]),
        np.concatenate(d_star),
        np.concatenate(intensity).astype("f4"),
    )


def at(two_theta, wavelength=1.5406) -> np.ndarray:
    return 2 * np.sin(np.radians(np.asarray(two_theta) / 2)) / wavelength


def single(two_theta, intensity=None) -> LineLists:
    d_star = at(np.atleast_1d(two_theta))
    height = np.ones(len(d_star)) if intensity is None else np.asarray(intensity)
    return LineLists(np.array([0, len(d_star)]), d_star, height.astype(np.float32))


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_patterns_are_the_exact_sums(name):
    """Gaussians to 1e-6; Lorentzians, whose tails go through a coarse grid, to 1e-5."""
    instrument, lines = INSTRUMENTS[name], make_lines([1, 3, 40, 300])
    expected = exact(lines, instrument)
    lorentzian = instrument.profile != "gaussian"
    np.testing.assert_allclose(render(lines, instrument), expected, rtol=0, atol=1e-5 if lorentzian else 1e-6)
    torched = Renderer(instrument)(lines)
    assert torched.dtype == torch.float32
    np.testing.assert_allclose(torched.numpy(), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", ["gaussian", "pseudo-voigt", "impure"])
def test_conditions_are_those_of_each_sample(name):
    """A sample under its conditions is the sample on an instrument that has them for everybody."""
    instrument, lines = INSTRUMENTS[name], make_lines([40, 3, 300])
    conditions = Conditions(
        width_factor=np.array([0.5, 1.0, 2.3]),
        zero_shift=np.array([0.1, 0.0, -0.2]),
        displacement=np.array([0.0, 0.3, 0.1]),
    )
    rows = []
    for i in range(3):
        shifted = replace(
            instrument,
            zero_shift=conditions.zero_shift[i],
            displacement=conditions.displacement[i],
        )
        rows.append(exact(lines.slice(i, i + 1), shifted, conditions.width_factor[i])[0])
    np.testing.assert_allclose(render(lines, instrument, conditions=conditions), rows, rtol=0, atol=1e-5)
    np.testing.assert_allclose(Renderer(instrument)(lines, conditions).numpy(), rows, rtol=0, atol=2e-5)


def test_no_conditions_are_the_plain_instrument():
    lines = make_lines([40, 300])
    plain = render(lines, PLAIN)
    np.testing.assert_allclose(render(lines, PLAIN, conditions=Conditions()), plain, rtol=0, atol=1e-6)
    ones = Conditions(width_factor=np.ones(2), zero_shift=np.zeros(2))
    np.testing.assert_allclose(Renderer(PLAIN)(lines, ones).numpy(), plain, rtol=0, atol=1e-5)


@pytest.mark.parametrize("profile", ["gaussian", "lorentzian", "pseudo-voigt"])
def test_integrated_intensity_does_not_depend_on_the_width(profile):
    """Two far lines of equal area keep their ratio of areas, whatever broadens one more than the other."""
    grid = {"two_theta_min": 10, "two_theta_max": 150, "points": 20000}
    lines = single([50.0, 110.0])
    areas = []
    for change in ({"fwhm": 0.1}, {"fwhm": 0.4}, {"fwhm": (0.1, -0.02, 0.01)}, {"crystallite_size": 200.0}):
        instrument = replace(PLAIN, **grid, profile=profile, eta=0.5, **change)
        pattern = render(lines, instrument).astype(float)[0]
        middle = np.searchsorted(instrument.two_theta, 80.0)
        areas.append(pattern[:middle].sum() / pattern[middle:].sum())
    # 1 / (sin 2theta sin theta) at both angles.
    theta = np.radians([25.0, 55.0])
    expected = (np.sin(2 * theta[1]) * np.sin(theta[1])) / (np.sin(2 * theta[0]) * np.sin(theta[0]))
    # A Lorentzian has 1 % of its area beyond 30 widths, some of it on the other half of the grid.
    np.testing.assert_allclose(areas, expected, rtol=1e-5 if profile == "gaussian" else 0.03)


def width_at_half(instrument: Instrument, two_theta: float) -> float:
    pattern, x = render(single(two_theta), instrument)[0], instrument.two_theta
    above = np.flatnonzero(pattern >= 0.5)
    left, right = above[0], above[-1]
    rise = np.interp(0.5, pattern[[left - 1, left]], x[[left - 1, left]])
    return np.interp(-0.5, -pattern[[right, right + 1]], x[[right, right + 1]]) - rise


@pytest.mark.parametrize("profile", ["gaussian", "lorentzian", "pseudo-voigt", "thompson-cox-hastings"])
def test_scherrer_gives_radians(profile):
    """100 angstrom at 1.5406 angstrom: 0.9 x 1.5406 / (100 cos 15) = 0.014355 rad = 0.8225 degrees at 30."""
    instrument = replace(PLAIN, fwhm=0.0, crystallite_size=100.0, profile=profile, eta=0.3)
    assert width_at_half(instrument, 30.0) == pytest.approx(0.8225, abs=1e-3)
    # cos 15 / cos 35 = 1.1792 times that at 70 degrees.
    assert width_at_half(instrument, 70.0) == pytest.approx(0.8225 * 1.1792, abs=1e-3)


def test_caglioti_widths():
    """u = 0.1, v = -0.05, w = 0.03 with tan 15 = 0.267949 and tan 45 = 1."""
    instrument = replace(PLAIN, two_theta_max=150, points=16384, fwhm=(0.1, -0.05, 0.03))
    assert width_at_half(instrument, 30.0) == pytest.approx(
        np.sqrt(0.1 * 0.0717968 - 0.05 * 0.267949 + 0.03), abs=1e-3
    )
    assert width_at_half(instrument, 90.0) == pytest.approx(np.sqrt(0.1 - 0.05 + 0.03), abs=1e-3)


@pytest.mark.parametrize("size", [1500.0, 500.0, 150.0])
def test_thompson_cox_hastings_is_nearly_a_voigt_function(size):
    """Within 1.2 % of the peak of the convolution it stands for (Thompson, Cox and Hastings 1987)."""
    instrument = replace(PLAIN, fwhm=0.2, crystallite_size=size, profile="thompson-cox-hastings")
    pattern = render(single(45.0), instrument)[0]
    hwhm = np.degrees(0.9 * 1.5406 / size / np.cos(np.radians(22.5))) / 2
    voigt = voigt_profile(instrument.two_theta - 45.0, 0.2 / np.sqrt(8 * np.log(2)), hwhm)
    assert 1e-5 < np.abs(pattern - voigt / voigt.max()).max() < 0.012


def centre_of(pattern: np.ndarray, instrument: Instrument) -> float:
    return float((pattern * instrument.two_theta).sum() / pattern.sum())


@pytest.mark.parametrize("two_theta", [20.0, 60.0, 85.0])
def test_displacement_and_zero_shift(two_theta):
    """0.1 mm at R = 200 mm moves a line by -2 x 0.1 / 200 x cos theta rad = -0.05730 cos theta degrees."""
    for renderer in (render, lambda lines, instrument: Renderer(instrument)(lines).numpy()):
        displaced = replace(PLAIN, displacement=0.1)
        moved = centre_of(renderer(single(two_theta), displaced)[0].astype(float), displaced) - two_theta
        assert moved == pytest.approx(-0.0572958 * np.cos(np.radians(two_theta / 2)), abs=1e-4)
        shifted = replace(PLAIN, zero_shift=0.2)
        assert centre_of(renderer(single(two_theta), shifted)[0].astype(float), shifted) == pytest.approx(
            two_theta + 0.2, abs=1e-4
        )


def test_a_doublet_is_resolved_at_high_angles():
    """Corundum-like line at 1/d = 1.1: CuKa1 at 115.83, CuKa2 at 116.27 degrees, half as strong."""
    instrument = Instrument.from_config(
        {
            "wavelength": "CuKa",
            "two_theta": {"min": 110, "max": 122, "points": 6001},
            "lorentz": "lorentz",
            "fwhm": 0.05,
        }
    )
    d_star = 2 * np.sin(np.radians(115.83 / 2)) / 1.5405929
    lines = LineLists(np.array([0, 1]), np.array([d_star]), np.ones(1, np.float32))
    pattern, x = render(lines, instrument)[0].astype(float), instrument.two_theta
    second = np.degrees(2 * np.arcsin(1.5444274 * d_star / 2))
    cut = (115.83 + second) / 2
    assert x[pattern.argmax()] == pytest.approx(115.83, abs=0.002)
    assert x[np.where(x > cut, pattern, 0).argmax()] == pytest.approx(second, abs=0.002)
    theta = np.radians([115.83 / 2, second / 2])
    lorentz = 1 / (np.sin(2 * theta) * np.sin(theta))
    assert pattern[x > cut].sum() / pattern[x < cut].sum() == pytest.approx(
        0.5 * lorentz[1] / lorentz[0], rel=1e-4
    )


def test_a_monochromator_polarises():
    """Graphite (2theta 26.4) lowers 2theta = 90 against 30 by 1 / (1 + 0.8023 x 0.75) over 1 / 1.75."""
    lines, grid = single([30.0, 90.0]), {"two_theta_max": 120, "points": 12000}
    ratios = []
    for angle in (0.0, 26.4):
        instrument = replace(PLAIN, **grid, lorentz="lorentz-polarisation", monochromator=angle)
        pattern = render(lines, instrument)[0].astype(float)
        ratios.append(pattern[instrument.two_theta > 60].sum() / pattern[instrument.two_theta < 60].sum())
    assert ratios[1] / ratios[0] == pytest.approx(1.75 / (1 + 0.80230 * 0.75), rel=1e-4)


def test_impurities_and_background_are_relative_to_the_sample():
    lines = single([30.0, 60.0], [1.0, 2.0])
    pattern = render(lines, replace(PLAIN, impurities=((float(at(45.0)), 0.25),)))[0].astype(float)
    x, clean = PLAIN.two_theta, render(lines, PLAIN)[0].astype(float)
    near = (x > 43) & (x < 47)
    assert clean[near].max() == 0
    strongest = max(clean[x < 45].sum(), clean[x > 45].sum())
    assert pattern[near].sum() == pytest.approx(0.25 * strongest, rel=1e-4)
    hump = render(lines, replace(PLAIN, humps=((0.5, 22.0, 8.0),)))[0]
    assert hump[np.searchsorted(x, 22.0)] == pytest.approx(0.5 / hump.max(), rel=0.1)
    # Nothing to be relative to: an empty sample stays empty but for the background.
    empty = LineLists(np.array([0, 0]), np.empty(0), np.empty(0, np.float32))
    assert not render(empty, replace(PLAIN, impurities=((0.3, 0.2),))).any()


def test_gradients_of_the_torch_renderer():
    """torch.autograd.gradcheck, in float64, for the plain and for a general instrument."""
    small = replace(PLAIN, two_theta_min=20, two_theta_max=60, points=120, fwhm=1.0)
    d_star = torch.tensor([0.3, 0.35, 0.4, 0.5, 0.33, 0.61], dtype=torch.float64)
    sample = torch.tensor([0, 0, 0, 0, 1, 1])
    intensity = torch.tensor([1.0, 5, 2, 3, 1, 0.5], dtype=torch.float64, requires_grad=True)
    rich = replace(
        small,
        profile="pseudo-voigt",
        eta=0.5,
        crystallite_size=200.0,
        further_wavelengths=((1.5444, 0.5),),
        background=(0.1,),
    )
    varied = Conditions(width_factor=np.array([0.7, 1.4]), zero_shift=np.array([0.1, 0.0]))
    for instrument, conditions in ((small, None), (rich, None), (small, varied)):
        renderer = Renderer(instrument)

        def patterns(i, renderer=renderer, conditions=conditions):
            return renderer.render(sample, d_star, i, 2, conditions)

        assert patterns(intensity).dtype == torch.float64
        assert torch.autograd.gradcheck(patterns, (intensity,), atol=1e-6)


def test_torch_keeps_its_precision_inside_bfloat16():
    lines, instrument = make_lines([40, 300]), INSTRUMENTS["pseudo-voigt"]
    renderer = Renderer(instrument)
    expected = renderer(lines)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(renderer(lines), expected, rtol=0, atol=0)
    # Intensities that were stored in half precision are summed in single precision.
    halved = LineLists(lines.offsets, lines.d_star, np.round(lines.intensity / lines.intensity.max(), 2))
    sample = torch.repeat_interleave(torch.arange(2), torch.tensor([40, 300]))
    low = renderer.render(
        sample, torch.from_numpy(lines.d_star), torch.from_numpy(halved.intensity).bfloat16(), 2
    )
    assert low.dtype == torch.float32
    assert torch.isfinite(low).all()


def test_a_batch_is_its_samples():
    lines = make_lines([40, 3, 300, 7])
    ranges = {
        "width_factor": [0.5, 2],
        "zero_shift": [-0.1, 0.1],
        "background": [0, 0.2],
        "counts": [50, 5000],
    }
    conditions = Variation.from_config(ranges).draw(np.uint64(3), 0, 4)
    together = render(lines, INSTRUMENTS["doublet"], conditions=conditions)
    for i in range(4):
        alone = render(lines.slice(i, i + 1), INSTRUMENTS["doublet"], conditions=conditions.slice(i, i + 1))
        np.testing.assert_array_equal(alone[0], together[i])
    torched = Renderer(INSTRUMENTS["doublet"])(lines, conditions).numpy()
    # A count may fall on the other side of a rounding: one count of at least 50, at a few points.
    assert np.mean(np.abs(torched - together) > 1e-4) < 1e-3

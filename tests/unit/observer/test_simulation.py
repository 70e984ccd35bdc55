"""Simulated measurements: physics by published numbers, noise by its law, settings by their shares."""

import dataclasses
import math

import numpy as np
import pytest
from pymatgen.analysis.diffraction.xrd import XRDCalculator
from pymatgen.core import Lattice, Structure

from xtinct.errors import XtinctError
from xtinct.observer.peaks.peak_shapes import Profile
from xtinct.observer.simulation import (
    Background,
    Processing,
    Settings,
    Setup,
    as_plain,
    draw_setup,
    measure,
    simulate_measurement,
)
from xtinct.sources.given import standard_of

_SITES = """_space_group_name_H-M_alt '{group}'
_cell_length_a {a}
_cell_length_b {a}
_cell_length_c {a}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
{atoms}
"""
SILICON = "data_Si\n" + _SITES.format(group="F d -3 m:1", a=5.43088, atoms="Si Si 0 0 0")
HALITE = "data_NaCl\n" + _SITES.format(group="F m -3 m", a=5.6402, atoms="Na Na 0 0 0\nCl Cl 0.5 0.5 0.5")
PLAIN = Setup(
    anode="Cu",
    ratio=0.0,
    first=20.0,
    last=80.0,
    step=0.01,
    monochromator=0.0,
    profile=Profile(W=0.01, eta0=0.0),
    b_iso=0.45,
    pole=(0, 0, 1),
    r=1.0,
    grain=0.0,
    counts=1e7,
    background=Background(0.0, (0.0, 0.0, 0.0), 0.0, (0.0, 20.0, 5.0)),
    foreign=(),
    second_phase=0.0,
    beta=0.0,
    tungsten=0.0,
    processing=Processing(),
)


@pytest.fixture(scope="module")
def silicon():
    return standard_of(SILICON)


def setup(**changes) -> Setup:
    return dataclasses.replace(PLAIN, **changes)


def highest_near(pattern, angle: float, reach: float = 0.5) -> tuple[float, float]:
    near = np.abs(pattern.two_theta - angle) < reach
    at = np.argmax(np.where(near, pattern.intensity, -1))
    return float(pattern.two_theta[at]), float(pattern.intensity[at])


def test_silicon_shows_the_lines_of_its_card(silicon):
    """Angles of NIST's SRM 640; heights of equally wide peaks as the integrated intensities of pymatgen.

    pymatgen leaves out dispersion, which changes these by up to 1.1.
    """
    pattern = measure(silicon, PLAIN, 1)
    calculator = XRDCalculator(wavelength=1.5405929, debye_waller_factors={"Si": PLAIN.b_iso})
    lattice = Lattice.cubic(5.43088)
    other = calculator.get_pattern(
        Structure.from_spacegroup("Fd-3m", lattice, ["Si"], [[0, 0, 0]]), two_theta_range=(20, 80)
    )
    card = [28.443, 47.303, 56.123, 69.131, 76.377]
    assert other.x == pytest.approx(card, abs=0.01)
    for angle, height in zip(card, other.y, strict=True):
        at, counts = highest_near(pattern, angle)
        assert at == pytest.approx(angle, abs=0.011)
        assert counts / 1e5 == pytest.approx(height, abs=1.2)
    assert pattern.truth.number == 227
    assert pattern.truth.formula == "Si"


def test_zero_and_displacement_move_lines_as_geometry_says(silicon):
    pattern = measure(silicon, setup(profile=Profile(zero=0.1, displacement=0.2, W=0.01, eta0=0.0)), 1)
    for angle in (28.443, 76.377):
        moved = angle + 0.1 + 0.2 * math.cos(math.radians(angle / 2))
        assert highest_near(pattern, moved)[0] == pytest.approx(moved, abs=0.011)


def test_ghosts_lie_where_bragg_puts_their_wavelengths(silicon):
    """Cu K-beta 1.39222 and W L-alpha1 1.47639 angstrom of d(111) = 3.1355 angstrom."""
    pattern = measure(silicon, setup(beta=0.02, tungsten=0.01), 1)
    for wavelength, share in ((1.39222, 0.02), (1.47639, 0.01)):
        angle = 2 * math.degrees(math.asin(wavelength / 2 / 3.13552))
        at, counts = highest_near(pattern, angle, 0.2)
        assert at == pytest.approx(angle, abs=0.02)
        assert counts / 1e7 == pytest.approx(share, rel=0.06)


def test_a_doublet_has_its_second_line_at_half_height(silicon):
    sharp = setup(ratio=0.5, profile=Profile(W=0.002, eta0=0.0), last=100.0)
    pattern = measure(silicon, sharp, 1)
    first, second = (2 * math.degrees(math.asin(x / 2 / 1.10857)) for x in (1.5405929, 1.5444274))
    assert highest_near(pattern, second, 0.05)[1] / highest_near(pattern, first, 0.05)[1] == pytest.approx(
        0.5, abs=0.02
    )
    assert (pattern.radiation.second, pattern.radiation.ratio) == (1.5444274, 0.5)


def test_texture_along_one_axis_of_a_cubic_crystal_spares_no_equivalent(silicon):
    """March-Dollase by hand: 111 has four axes at the same angle to 001, 220 has four at 45 and two at 90."""
    textured, plain = (measure(silicon, setup(r=r), 1).truth for r in (0.7, 1.0))

    def march(cosine: float) -> float:
        return (0.7**2 * cosine**2 + (1 - cosine**2) / 0.7) ** -1.5

    hand = [march(math.sqrt(1 / 3)), (2 * march(math.sqrt(1 / 2)) + march(0.0)) / 3]
    ratio = (textured.height[1] / textured.height[0]) / (plain.height[1] / plain.height[0])
    assert ratio == pytest.approx(hand[1] / hand[0], rel=1e-6)


def test_counts_scatter_as_poisson_says(silicon):
    noisy = setup(counts=200.0, background=Background(0.2, (0.1, 0.0, 0.0), 1.0, (0.1, 30.0, 8.0)), step=0.04)
    draws = np.array([measure(silicon, noisy, seed).intensity for seed in range(60)])
    assert np.array_equal(draws, np.round(draws))
    assert np.mean(draws.var(axis=0, ddof=1) / draws.mean(axis=0)) == pytest.approx(1.0, abs=0.02)


def test_the_same_seed_gives_the_same_pattern():
    a, b, c = (simulate_measurement(HALITE, seed, second=SILICON) for seed in (11, 11, 12))
    np.testing.assert_array_equal(a.intensity, b.intensity)
    assert as_plain(a.truth.setup) == as_plain(b.truth.setup) != as_plain(c.truth.setup)
    assert len(a.intensity) != len(c.intensity) or (a.intensity != c.intensity).any()


def test_one_more_setting_moves_no_other():
    """Parts have random numbers of their own: without foreign lines all else stays."""
    for seed in range(40):
        full, clean = (
            draw_setup(seed, settings) for settings in (Settings(), Settings(foreign_lines=0, second_phase=0))
        )
        assert clean.foreign == ()
        kept = {"foreign", "second_phase", "beta", "tungsten"}
        assert {k: v for k, v in vars(full).items() if k not in kept} == {
            k: v for k, v in vars(clean).items() if k not in kept
        }


def test_setups_are_as_frequent_as_the_settings_say():
    setups = [draw_setup(seed, Settings(), second_phase=True) for seed in range(1500)]
    shares = {
        1 / 3: [s.processing != Processing() for s in setups],
        0.15: [s.ratio == 0 for s in setups],
        0.5: [s.r != 1 for s in setups],
        0.25: [len(s.foreign) > 0 for s in setups],
    }
    for share, seen in shares.items():
        assert np.mean(seen) == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / 1500))
    assert np.mean([s.second_phase > 0 for s in setups]) == pytest.approx(0.15, abs=0.037)
    shift = [s.profile.zero + s.profile.displacement for s in setups]
    assert np.mean(shift) == pytest.approx(0.04, abs=0.006)
    assert np.std(shift) == pytest.approx(0.05, abs=0.004)
    near = math.tan(math.radians(20))
    fwhm = [math.sqrt(s.profile.W + s.profile.V * near + s.profile.U * near**2) for s in setups]
    assert (min(fwhm), max(fwhm)) == pytest.approx((0.05, 0.3), rel=0.02)
    assert np.median(fwhm) == pytest.approx(math.sqrt(0.05 * 0.3), rel=0.08)


def test_processing_does_what_it_is_called(silicon):
    raw = setup(counts=500.0, background=Background(0.5, (0.0, 0.0, 0.0), 0.0, (0.0, 20.0, 5.0)))
    plain = measure(silicon, raw, 3)
    steps = Processing("moving-average", 5, 0.03, True, True, 100.0, 1)
    done = measure(silicon, dataclasses.replace(raw, processing=steps), 3)
    assert np.diff(done.two_theta) == pytest.approx(0.03)
    assert done.intensity.max() == 100.0
    assert done.intensity.min() == 0.0
    np.testing.assert_array_equal(done.intensity, np.round(done.intensity, 1))
    assert np.median(done.intensity) / 100 < 0.2 * np.median(plain.intensity) / plain.intensity.max()
    smooth = measure(silicon, dataclasses.replace(raw, processing=Processing("moving-average", 5)), 3)
    assert np.var(np.diff(smooth.intensity[:500])) < 0.2 * np.var(np.diff(plain.intensity[:500]))


def test_a_range_without_lines_is_refused(silicon):
    with pytest.raises(XtinctError, match=r"no line between 5\.00 and 12\.00 degrees"):
        measure(silicon, setup(first=5.0, last=12.0), 1)


def test_what_is_no_structure_is_refused():
    with pytest.raises(XtinctError, match="structure: "):
        simulate_measurement("data_x\n_cell_length_a 3\n", 1)


def test_uneven_lines_differ_in_width_and_keep_their_areas(silicon):
    even, uneven = (measure(silicon, setup(uneven=share), 1) for share in (0.0, 0.3))
    ratio = []
    for angle in (28.443, 47.303, 56.123):
        near = np.abs(even.two_theta - angle) < 1.5
        heights = [pattern.intensity[near].max() for pattern in (even, uneven)]
        areas = [pattern.intensity[near].sum() for pattern in (even, uneven)]
        # Both are scaled by their highest peak: shares of area over height are those of the widths.
        ratio.append(areas[1] / heights[1] / (areas[0] / heights[0]))
    assert np.std(np.log(ratio)) > 0.05
    assert max(ratio) / min(ratio) < 5

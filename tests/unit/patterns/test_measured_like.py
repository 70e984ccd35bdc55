"""Patterns as laboratories measure them: both renderers agree, and imperfections are what physics says."""

from dataclasses import replace

import numpy as np
import pytest

from xtinct.errors import XtinctError
from xtinct.linelists.line_lists import LabelledLines, LineLists
from xtinct.patterns.axial import divided
from xtinct.patterns.conditions import Conditions
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.placement import PlacedLines
from xtinct.patterns.rendering import render
from xtinct.patterns.rendering_torch import Renderer
from xtinct.patterns.variation import Variation
from xtinct.randomness import stream_key

COPPER = Instrument(
    1.5405929,
    5.0,
    90.0,
    4251,
    "lorentz-polarisation",
    0.1,
    further_wavelengths=((1.5444274, 0.5),),
    monochromator=26.6,
)
EVERYTHING = {
    "width_factor": [0.9, 1.1],
    "fwhm": [0.06, 0.3],
    "microstrain": [0.0, 0.001],
    "crystallite_size": [200, 5000],
    "eta": [0.0, 1.0],
    "asymmetry": [0.0, 0.05],
    "zero_shift": [-0.06, 0.06],
    "displacement": [-0.12, 0.12],
    "log_background": [0.003, 0.4],
    "hump": [0.02, 0.3],
    "hump_two_theta": [15, 35],
    "hump_fwhm": [5, 15],
    "air_scatter": [0, 3],
    "air_decay": [3, 8],
    "counts": [50, 100000],
    "impurity_lines": [0, 3],
    "impurity_intensity": [0.01, 0.1],
    "impurity_d_star": [0.2, 0.9],
    "foreign_phase": [0.01, 0.3],
    "k_beta": [0.005, 0.02],
    "tungsten": [0.005, 0.02],
    "start": [5, 12],
    "end": [75, 90],
    "d_scale": [0.98, 1.02],
    "strain": [-0.01, 0.01],
    "b_iso": [-0.4, 1.5],
    "texture": [0.5, 1.6],
    "shares": {"hump": 0.5, "foreign_phase": 0.5, "texture": 0.5, "k_beta": 0.5, "start": 0.5},
}
KEY = stream_key(3, "measured-like")


def lines_of(*samples: np.ndarray, intensity: float = 1.0) -> LineLists:
    sizes = [len(x) for x in samples]
    d_star = np.concatenate(samples)
    return LineLists(np.cumsum([0, *sizes]), d_star, np.full(len(d_star), intensity, np.float32))


def at(two_theta: float, wavelength: float = COPPER.wavelength) -> np.ndarray:
    return 2 * np.sin(np.radians(np.atleast_1d(two_theta) / 2)) / wavelength


def random_lines(n: int, seed: int = 0) -> LineLists:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 150, n)
    d_star = [np.sort(0.95 * rng.uniform(0.001, 1, size) ** (1 / 3)) for size in sizes]
    intensity = np.concatenate([rng.exponential(size=size) ** 2 for size in sizes])
    return LineLists(np.cumsum([0, *sizes]), np.concatenate(d_star), intensity.astype(np.float32))


def whole(law: dict, n: int) -> Conditions:
    """The conditions of a law, with foreign phases."""
    variation = Variation.from_config(law)
    strength, _ = variation.draw_foreign(KEY, 0, n)
    return replace(variation.draw(KEY, 0, n), foreign=random_lines(n, 9), foreign_strength=strength)


@pytest.mark.parametrize("profile", ["gaussian", "thompson-cox-hastings"])
def test_both_renderers_agree_with_everything_on(profile):
    law = {k: v for k, v in EVERYTHING.items() if k != "counts"}
    instrument = replace(COPPER, profile=profile, humps=((0.1, 25.0, 9.0),), background=(0.05,))
    if profile != "gaussian":
        del law["eta"]
    lines, conditions = random_lines(24), whole(law, 24)
    ours = render(lines, instrument, conditions=conditions)
    torched = Renderer(instrument)(lines, conditions).numpy()
    np.testing.assert_allclose(torched, ours, rtol=0, atol=3e-5)
    assert (ours.max(axis=1) == 1).all()
    alone = render(lines.slice(5, 6), instrument, conditions=conditions.slice(5, 6))
    np.testing.assert_array_equal(alone[0], ours[5])


def test_both_renderers_count_the_same():
    lines, conditions = random_lines(8), whole(EVERYTHING, 8)
    ours = render(lines, COPPER, conditions=conditions)
    torched = Renderer(COPPER)(lines, conditions).numpy()
    # A count may fall on the other side of a rounding; nothing else differs.
    assert np.mean(np.abs(torched - ours) > 1e-4) < 2e-3


def published_axial(two_theta: float, a: float, x: np.ndarray, fwhm: float) -> np.ndarray:
    """Finger, Cox and Jephcoat, equations 1 to 8, integrated over their 2phi in small steps, for S = H."""
    tt = np.radians(two_theta)
    lowest = np.arccos(np.cos(tt) * np.sqrt((2 * a) ** 2 + 1))
    # D is singular at 2phi = 2theta, integrably: 2phi = 2theta - s^2 takes that away.
    s = (np.arange(4000) + 0.5) / 4000 * np.sqrt(tt - lowest)
    phi = tt - s * s
    h = np.sqrt(np.cos(phi) ** 2 / np.cos(tt) ** 2 - 1)
    weight = (2 * a - h) / (h * np.cos(phi)) * s
    sigma = fwhm / np.sqrt(8 * np.log(2))
    return np.exp(-0.5 * ((x[:, None] - np.degrees(phi)) / sigma) ** 2) @ weight / weight.sum()


@pytest.mark.parametrize(("two_theta", "a"), [(10.0, 0.02), (10.0, 0.05), (25.0, 0.05), (80.0, 0.05)])
def test_axial_divergence_is_the_published_function(two_theta, a):
    instrument = replace(COPPER, further_wavelengths=(), points=17001)
    conditions = Conditions(asymmetry=np.array([a]))
    x = instrument.two_theta
    near = np.abs(x - two_theta) < 3
    expected = published_axial(two_theta, a, x[near], 0.1)
    for made in (
        render(lines_of(at(two_theta)), instrument, conditions=conditions)[0],
        Renderer(instrument)(lines_of(at(two_theta)), conditions).numpy()[0],
    ):
        np.testing.assert_allclose(made[near], expected / expected.max(), rtol=0, atol=4e-3)
    assert x[near] @ expected / expected.sum() < two_theta - (0.003 if two_theta < 70 else 0)


def test_axial_divergence_keeps_areas_and_turns_round_at_90_degrees():
    two_theta, area = np.array([0.0, 3.0, 20.0, 160.0]), np.array([0.0, 1.0, 2.0, 3.0])
    peaks = PlacedLines(two_theta, area, np.full(4, 0.1), np.zeros(4))
    parts, source = divided(np, peaks, np.full(4, 0.08))
    np.testing.assert_allclose(np.bincount(source, parts.area), peaks.area)
    centres = np.bincount(source, parts.two_theta * parts.area)[1:] / peaks.area[1:]
    assert (np.sign(centres - two_theta[1:]) == [-1, -1, 1]).all()
    assert np.isfinite(parts.two_theta).all()


def test_ghosts_stand_where_their_wavelengths_are_reflected():
    """Cu K-beta 1.392234 and W L-alpha1 1.476311 angstrom: sin(theta) in proportion, areas as told."""
    plain = replace(COPPER, further_wavelengths=(), lorentz="lorentz", monochromator=0.0, points=17001)
    conditions = Conditions(k_beta=np.array([0.02]), tungsten=np.array([0.01]))
    pattern = render(lines_of(at(40.0)), plain, conditions=conditions)[0].astype(float)
    x = plain.two_theta
    for wavelength, weight in ((1.392234, 0.02), (1.476311, 0.01)):
        theta = np.arcsin(np.sin(np.radians(20)) * wavelength / 1.5405929)
        near = np.abs(x - 2 * np.degrees(theta)) < 0.4
        assert x[near] @ pattern[near] / pattern[near].sum() == pytest.approx(2 * np.degrees(theta), abs=1e-3)
        ratio = np.sin(np.radians(40)) * np.sin(np.radians(20)) / (np.sin(2 * theta) * np.sin(theta))
        share = pattern[near].sum() / pattern[np.abs(x - 40) < 0.4].sum()
        assert share == pytest.approx(weight * ratio, rel=1e-3)
    with pytest.raises(XtinctError, match=r"variation.k_beta: 1.8 angstrom is no K-alpha1"):
        Variation.from_config({"k_beta": [0.01, 0.02]}).check(replace(plain, wavelength=1.8), 2.0)


def test_a_foreign_phase_has_the_strength_asked_for():
    """Its strongest line on the grid, not one that the wavelength brings below its first angle."""
    plain = replace(COPPER, further_wavelengths=(), two_theta_min=20.0)
    foreign = lines_of(np.concatenate([at(8.0), at(50.0), at(70.0)]), intensity=7.0)
    conditions = Conditions(foreign=foreign, foreign_strength=np.array([0.25]))
    pattern = render(lines_of(np.concatenate([at(10.0), at(30.0)])), plain, conditions=conditions)[0]
    x = plain.two_theta
    areas = [pattern[np.abs(x - angle) < 1].astype(float).sum() for angle in (30.0, 50.0, 70.0)]
    assert areas[1] / areas[0] == pytest.approx(0.25, rel=1e-4)
    assert 0 < areas[2] < areas[1]


def width_at_half(pattern: np.ndarray, x: np.ndarray) -> float:
    above = np.flatnonzero(pattern >= 0.5)
    left, right = above[0], above[-1]
    low = np.interp(0.5, pattern[[left - 1, left]], x[[left - 1, left]])
    return np.interp(-0.5, -pattern[[right, right + 1]], x[[right, right + 1]]) - low


def test_widths_follow_their_laws():
    """fwhm^2 + (4 e tan)^2 + (0.9 lambda / (size cos))^2 at 60 degrees, for e = 0.001 and 300 angstrom."""
    plain = replace(COPPER, further_wavelengths=(), points=17001)
    given = {"caglioti": np.array([[0, 0, 0.01]]), "microstrain": np.array([1e-3])}
    given["crystallite_size"] = np.array([300.0])
    for eta in (0.0, 0.5, 1.0):
        conditions = Conditions(**given, eta=np.array([eta]))
        pattern = render(lines_of(at(60.0)), plain, conditions=conditions)[0].astype(float)
        strain = np.degrees(4e-3 * np.tan(np.radians(30)))
        size = np.degrees(0.9 * 1.5405929 / 300 / np.cos(np.radians(30)))
        expected = np.sqrt(0.01 + strain**2 + size**2)
        assert width_at_half(pattern, plain.two_theta) == pytest.approx(expected, abs=1e-3)
    far = pattern[np.argmin(np.abs(plain.two_theta - 60 - 5 * expected))]
    assert far == pytest.approx(1 / 101, rel=0.01)


def test_backgrounds_are_the_curves_they_say():
    conditions = Conditions(
        background=np.array([[0.2, 0.05]]), hump=np.array([[0.3, 25.0, 8.0]]), air=np.array([[0.4, 5.0]])
    )
    plain = replace(COPPER, further_wavelengths=())
    pattern = render(lines_of(at(80.0)), plain, conditions=conditions)[0].astype(float)
    x = plain.two_theta
    curve = 0.2 + 0.05 * (2 * (x - 5) / 85 - 1) + 0.4 * np.exp(-(x - 5) / 5)
    curve += 0.3 * np.exp(-4 * np.log(2) * ((x - 25) / 8) ** 2)
    far = np.abs(x - 80) > 2
    scale = 1 + curve[np.argmin(np.abs(x - 80))]
    np.testing.assert_allclose(pattern[far], (curve / scale)[far], rtol=0, atol=2e-4)


def test_nothing_is_measured_outside_the_range():
    conditions = Conditions(start=np.array([12.345]), end=np.array([70.0]), background=np.array([[0.1]]))
    lines = lines_of(np.concatenate([at(8.0), at(40.0)]))
    pattern, x = render(lines, COPPER, conditions=conditions)[0], COPPER.two_theta
    measured = (x >= 12.345) & (x <= 70.0 + 1e-9)
    assert not pattern[~measured].any()
    assert (pattern[measured] > 0).all()
    assert pattern.max() == 1


def rutile(lengths=(4.594, 4.594, 2.959), **texture) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cell and lines of rutile (4/mmm, so that all hkl of a line are equivalent)."""
    from xtinct.linelists.structure_factors import structure_lines

    u = 0.3053
    frac = np.array(
        [(0, 0, 0), (0.5, 0.5, 0.5), (u, u, 0), (-u, -u, 0), (0.5 + u, 0.5 - u, 0.5), (0.5 - u, 0.5 + u, 0.5)]
    )
    cell = np.array([*lengths, 90.0, 90.0, 90.0])
    species = np.array([22, 22, 8, 8, 8, 8])
    d_star, intensity = structure_lines(cell, species, frac, np.ones(6), d_star_max=0.95, **texture)
    return cell, d_star, intensity


def labelled(cell, d_star, intensity, group=136) -> LabelledLines:
    lines = LineLists(np.array([0, len(d_star)]), d_star, intensity.astype(np.float32))
    return LabelledLines(lines, np.array([group], np.int16), cell[None])


def test_texture_is_that_of_the_structure_factors():
    """March and Dollase over all hkl of a line, as the calculation from atoms has it for every pole."""
    from xtinct.patterns.sample_changes import POLES, SampleChanges
    from xtinct.randomness import integer

    seen = set()
    for i in range(40):
        key = stream_key(i, "axis")
        pole = tuple(POLES[integer(key, np.uint64(0), len(POLES))].astype(int))
        if pole in seen:
            continue
        seen.add(pole)
        changes = SampleChanges(march_r=np.array([0.6]), axis_keys=np.array([key]))
        changed = changes.applied(labelled(*rutile()))
        # The engine's axis is a pole of the reciprocal lattice too.
        _, d_star, expected = rutile(preferred_axis=pole, march_r=0.6)
        np.testing.assert_allclose(changed.d_star, d_star, rtol=1e-7)
        np.testing.assert_allclose(
            changed.intensity / changed.intensity.sum(), expected / expected.sum(), rtol=0, atol=1e-5
        )
    assert len(seen) == len(POLES)


def test_strain_and_scale_move_lines_as_those_of_the_strained_cell():
    from xtinct.patterns.sample_changes import SampleChanges

    strain = np.array([[0.01, -0.5, -0.02, 0.3, 0.3, 0.3]])
    changes = SampleChanges(strain=strain, d_scale=np.array([1.02]))
    changed = changes.applied(labelled(*rutile()))
    # Of a tetragonal cell a and c are free: numbers of the first and the second length.
    _, expected, _ = rutile((4.594 * 1.01 * 1.02, 4.594 * 1.01 * 1.02, 2.959 * 0.5 * 1.02))
    strained = np.sort(changed.d_star)
    assert len(strained) == len(changed.intensity)
    inside = strained[strained < 0.8]
    nearest = np.abs(inside[:, None] - expected).min(axis=1)
    assert nearest.max() < 1e-6


def test_a_temperature_factor_dampens_as_debye_and_waller_say():
    from xtinct.patterns.sample_changes import SampleChanges

    given = labelled(*rutile())
    changed = SampleChanges(b_iso=np.array([1.5])).applied(given)
    s = given.lines.d_star / 2
    np.testing.assert_allclose(changed.intensity / given.lines.intensity, np.exp(-2 * 1.5 * s * s), rtol=1e-5)


def test_lines_of_another_cell_are_refused():
    from xtinct.patterns.sample_changes import SampleChanges

    cell, d_star, intensity = rutile()
    wrong = labelled(cell * [1.1, 1, 1, 1, 1, 1], d_star, intensity)
    changes = SampleChanges(march_r=np.array([0.6]), axis_keys=np.array([KEY]))
    with pytest.raises(XtinctError, match=r"space group 136 is no reflection of its cell \[5.05"):
        changes.applied(wrong)
    with pytest.raises(XtinctError, match="need the cells of the samples"):
        changes.applied(replace(wrong, cells=None))


@pytest.mark.parametrize(
    ("law", "message"),
    [
        ({"eta": [0.5, 1.2]}, "variation.eta"),
        ({"hump": [0.1, 0.2]}, "hump, hump_two_theta and hump_fwhm go together"),
        ({"air_scatter": [0, 1], "air_decay": [1, 2]}, "air_scatter: in units of a background"),
        ({"background": [0.1, 0.2], "log_background": [0.1, 0.2]}, "not both"),
        ({"start": [5, 40], "end": [30, 80]}, "start must be below end"),
        ({"shares": {"texture": 0.5}}, "variation.texture is missing"),
        ({"eta": [0, 1], "shares": {"eta": 0.5}}, "variation.shares.eta: expected one of"),
        ({"texture": [0.5, 2], "shares": {"texture": 1.5}}, "expected 0 to 1"),
        ({"texture": [0.0, 2]}, "variation.texture"),
    ],
)
def test_laws_that_make_no_sense_are_refused(law, message):
    with pytest.raises(XtinctError, match=message):
        Variation.from_config(law)


def test_laws_that_do_not_fit_the_instrument_are_refused():
    law = Variation.from_config
    with pytest.raises(XtinctError, match="grow by up to 2 %"):
        law({"d_scale": [1.0, 1.02]}).check(COPPER, COPPER.d_star_reach)
    for name, wavelength in (("k_beta", 1.392234), ("tungsten", 1.4763112)):
        reach = COPPER.d_star_reach * COPPER.wavelength / wavelength
        with pytest.raises(XtinctError, match=rf"variation.{name}: .*lines up to {reach:.4f} 1/angstrom"):
            law({name: [0.01, 0.02]}).check(COPPER, reach - 1e-6)
        law({name: [0.01, 0.02]}).check(COPPER, reach + 1e-6)
    law({"d_scale": [1.0, 1.02]}).check(COPPER, 1.02 * COPPER.d_star_reach + 1e-9)
    # Peaks that stand lower than they should bring lines from beyond the range into it.
    for shift, lower in (({"zero_shift": [-0.5, 0.1]}, 0.5), ({"displacement": [-0.1, 0.3]}, None)):
        if lower is None:
            height = np.degrees(2 * 0.3 / COPPER.goniometer_radius)
            lower = height * np.cos(np.radians(COPPER.two_theta_max / 2))
        reach = replace(COPPER, two_theta_max=COPPER.two_theta_max + lower).d_star_reach
        with pytest.raises(XtinctError, match=f"peaks stand up to {lower:.3g} degrees lower"):
            law(shift).check(COPPER, reach - 1e-3)
        law(shift).check(COPPER, reach + 1e-3)
    law({"zero_shift": [0.0, 0.5], "displacement": [-0.3, 0.0]}).check(COPPER, COPPER.d_star_reach)
    with pytest.raises(XtinctError, match=r"variation.start: \[2.0, 9.0\] is not within"):
        law({"start": [2, 9]}).check(COPPER, 2.0)
    with pytest.raises(XtinctError, match="thompson-cox-hastings"):
        law({"eta": [0, 1]}).check(replace(COPPER, profile="thompson-cox-hastings"), 2.0)


def test_shares_and_further_draws_move_nothing_else():
    law = Variation.from_config(EVERYTHING)
    drawn = law.draw(KEY, 0, 4000)
    assert np.mean(drawn.hump[:, 0] > 0) == pytest.approx(0.5, abs=0.03)
    assert np.mean(drawn.start > 0) == pytest.approx(0.5, abs=0.03)
    changes = law.draw_changes(KEY, 0, 4000)
    assert np.mean(changes.march_r == 1) == pytest.approx(0.5, abs=0.03)
    fewer = {k: v for k, v in EVERYTHING.items() if k not in ("eta", "k_beta", "shares", "strain")}
    again = Variation.from_config(fewer)
    np.testing.assert_array_equal(again.draw(KEY, 7, 10).caglioti, drawn.caglioti[7:17])
    np.testing.assert_array_equal(again.draw_changes(KEY, 7, 10).d_scale, changes.d_scale[7:17])
    _, number = law.draw_foreign(KEY, 0, 4000)
    own = np.arange(4000)
    assert (number != own).all()
    assert (number // 64 == own // 64).all()

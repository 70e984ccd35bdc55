"""Rendering, on the CPU and in torch, against the exact sum of Gaussians in float64."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from xtinct.errors import XtinctError
from xtinct.linelists.line_lists import LineLists
from xtinct.linelists.ulbd_lines import UlbdLines
from xtinct.patterns import rendering
from xtinct.patterns.gaussians import STREAMED_BYTES
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.rendering import render
from xtinct.patterns.rendering_torch import Renderer
from xtinct.patterns.ulbd_patterns import ulbd_patterns
from xtinct.randomness import stream_key, subkeys

INSTRUMENT = Instrument(1.5406, 5, 90, 8192, "lorentz", 0.23548)
INSTRUMENTS = [
    INSTRUMENT,
    Instrument(1.5406, 5, 90, 8192, "lorentz-polarisation", 0.05),
    Instrument(0.7093, 3, 60, 1000, "lorentz", 0.3),
    Instrument(1.5406, 5, 90, 500, "lorentz", 0.1),  # a step of four sigma
    Instrument(2.2897, 20, 160, 20000, "lorentz-polarisation", 1.0),
]


def exact(lines: LineLists, instrument: Instrument) -> np.ndarray:
    """The definition: Bragg's law, geometric factor, sum of Gaussians, maximum 1; all float64."""
    x, patterns = instrument.two_theta, []
    for i in range(len(lines)):
        d_star, intensity = lines[i]
        theta = np.arcsin(instrument.wavelength / 2 * d_star[d_star * instrument.wavelength < 2])
        weight = intensity[: len(theta)] / (np.sin(2 * theta) * np.sin(theta))
        if instrument.lorentz == "lorentz-polarisation":
            weight = weight * (1 + np.cos(2 * theta) ** 2) / 2
        shift = x[None, :] - np.degrees(2 * theta)[:, None]
        pattern = weight @ np.exp(-4 * np.log(2) * (shift / instrument.fwhm) ** 2)
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


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=str)
def test_cpu_rendering_is_the_exact_sum(instrument):
    lines = make_lines([1, 3, 40, 300, 3000])
    np.testing.assert_allclose(render(lines, instrument), exact(lines, instrument), rtol=0, atol=1e-6)


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=str)
def test_torch_rendering_is_the_exact_sum(instrument):
    lines = make_lines([1, 3, 40, 300, 3000])
    actual = Renderer(instrument, "cpu")(lines)
    assert actual.dtype == torch.float32
    np.testing.assert_allclose(actual.numpy(), exact(lines, instrument), rtol=0, atol=1e-5)


def test_draws_of_one_lattice_share_peaks_without_changing_them():
    one = make_lines([200])
    weights = np.random.default_rng(1).uniform(0, 1, (5, 200)).astype("f4")
    other = make_lines([50], seed=2)
    draws = [LineLists(one.offsets, one.d_star, w) for w in weights]
    together = LineLists.concatenate([other, *draws, other])
    expected = np.concatenate([render(part, INSTRUMENT) for part in (other, *draws, other)])
    np.testing.assert_array_equal(render(together, INSTRUMENT), expected)


@pytest.mark.parametrize("points", [8192, 8191])
@pytest.mark.parametrize("skip", [0, 1, 15])
def test_large_output_is_that_of_small_pieces_wherever_it_lies(points, skip):
    """More memory than the caches hold is written past them, from multiples of 64 bytes on."""
    instrument = Instrument(1.5406, 5, 90, points, "lorentz", 0.23548)
    lines = make_lines([20] * 160)
    out = np.zeros(160 * points + skip, np.float32)[skip:].reshape(160, points)
    assert out.nbytes > STREAMED_BYTES
    pieces = [render(lines.slice(i, i + 1), instrument) for i in range(160)]
    np.testing.assert_array_equal(render(lines, instrument, out), np.concatenate(pieces))


def test_draws_with_unsorted_positions_are_right():
    d_star = np.array([0.5, 0.2, 0.9, 0.21])
    lines = LineLists(np.array([0, 4, 8]), np.tile(d_star, 2), np.arange(1, 9, dtype=np.float32))
    np.testing.assert_allclose(render(lines, INSTRUMENT), exact(lines, INSTRUMENT), rtol=0, atol=1e-6)


@pytest.mark.parametrize("outside", [4.9, 90.1])
def test_a_line_just_beyond_the_grid_leaves_its_tail(outside):
    inside = 47.0
    d_star = 2 * np.sin(np.radians(np.sort([inside, outside]) / 2)) / INSTRUMENT.wavelength
    lines = LineLists(np.array([0, 2]), d_star, np.ones(2, np.float32))
    expected = exact(lines, INSTRUMENT)
    assert max(expected[0, 0], expected[0, -1]) > 0.1
    np.testing.assert_allclose(render(lines, INSTRUMENT), expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(Renderer(INSTRUMENT)(lines).numpy(), expected, rtol=0, atol=1e-5)


def test_a_sample_without_a_line_in_range_is_zero():
    lines = LineLists(np.array([0, 0, 1, 3]), np.array([1.29, 0.01, 1.4]), np.ones(3, np.float32))
    assert not render(lines, INSTRUMENT).any()
    assert not Renderer(INSTRUMENT)(lines).any()


def test_lines_of_no_intensity_are_zero():
    lines = LineLists(np.array([0, 2]), np.array([0.3, 0.5]), np.zeros(2, np.float32))
    assert not render(lines, INSTRUMENT).any()
    assert not Renderer(INSTRUMENT)(lines).any()


def test_stored_precision_of_positions_is_enough():
    lines = make_lines([40, 300], d_star_max=0.93)
    stored = LineLists(lines.offsets, lines.d_star.astype(np.float32), lines.intensity)
    np.testing.assert_allclose(render(stored, INSTRUMENT), render(lines, INSTRUMENT), atol=1e-4)


def test_drawn_and_stored_lines_share_their_compiled_code():
    """Code that is compiled for other types once more takes seconds after an installation."""
    drawn = make_lines([3, 40])
    stored = LineLists(drawn.offsets, drawn.d_star.astype(np.float32), drawn.intensity.copy())
    stored.d_star.flags.writeable = stored.intensity.flags.writeable = False
    for lines in (drawn, stored):
        whole, broken = (render(lines, replace(INSTRUMENT, two_theta_min=start)) for start in (5, 5.0))
        np.testing.assert_array_equal(whole, broken)
    assert len(rendering._render.signatures) == 1


def test_out_is_filled_or_refused():
    lines = make_lines([40, 300])
    out = np.full((2, 8192), 7, np.float32)
    assert render(lines, INSTRUMENT, out) is out
    np.testing.assert_array_equal(out, render(lines, INSTRUMENT))
    with pytest.raises(XtinctError, match="out is float64"):
        render(lines, INSTRUMENT, np.empty((2, 8192)))


def test_torch_gradients_are_the_derivatives():
    instrument = Instrument(1.5406, 20, 60, 300, "lorentz", 0.5)
    renderer = Renderer(instrument)
    d_star = torch.tensor([0.3, 0.35, 0.4, 0.5], dtype=torch.float64)
    sample = torch.zeros(4, dtype=torch.int64)
    probe = torch.linspace(-1, 1, 300)

    def score(intensity):
        return (renderer.render(sample, d_star, intensity, 1)[0] * probe).sum()

    intensity = torch.tensor([1.0, 5.0, 2.0, 3.0], requires_grad=True)
    score(intensity).backward()
    with torch.no_grad():
        steps = 0.01 * torch.eye(4)
        numeric = torch.stack([(score(intensity + s) - score(intensity - s)) / 0.02 for s in steps])
    torch.testing.assert_close(intensity.grad, numeric, rtol=2e-3, atol=2e-3)


def test_torch_is_float32_inside_an_autocast_region():
    lines = make_lines([40, 300])
    renderer = Renderer(INSTRUMENT)
    expected = renderer(lines)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(renderer(lines), expected, rtol=0, atol=0)


def test_patterns_without_line_lists_in_between_are_the_same():
    lines = UlbdLines("tetragonal", 0.93, 9.0)
    cells = np.array([[5.1, 5.1, 8.2, 90, 90, 90], [8.8, 8.8, 4.3, 90, 90, 90]])
    groups, keys = np.array([123, 141]), np.empty(8, np.uint64)
    subkeys(stream_key(3, "patterns"), 0, keys)
    drawn = lines.draw(np.repeat(groups, 4), np.repeat(cells, 4, axis=0), keys)
    patterns = ulbd_patterns(lines, groups, cells, keys.reshape(2, 4), INSTRUMENT)
    np.testing.assert_allclose(patterns.reshape(8, -1), exact(drawn, INSTRUMENT), rtol=0, atol=1e-6)
    with pytest.raises(XtinctError, match="d_star_max"):
        ulbd_patterns(UlbdLines("cubic", 0.5, 9.0), groups, cells, keys.reshape(2, 4), INSTRUMENT)

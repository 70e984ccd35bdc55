"""Measuring conditions: pure functions of (key, sample), within their ranges, and honest noise."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from scipy import stats

from xtinct.errors import XtinctError
from xtinct.linelists.line_lists import LineLists
from xtinct.patterns.conditions import Conditions
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.noise import poisson
from xtinct.patterns.noise_torch import counting_noise
from xtinct.patterns.rendering import render
from xtinct.patterns.rendering_torch import Renderer
from xtinct.patterns.variation import Variation
from xtinct.randomness import stream_key

RANGES = {
    "width_factor": [0.5, 2.0],
    "zero_shift": [-0.05, 0.1],
    "displacement": [-0.2, 0.2],
    "background": [0.0, 0.3],
    "counts": [100, 100000],
    "impurity_lines": [1, 4],
    "impurity_intensity": [0.01, 0.1],
    "impurity_d_star": [0.2, 0.9],
}
KEY = stream_key(5, "conditions")


def same(a: Conditions, b: Conditions) -> bool:
    for field in fields(Conditions):
        x, y = getattr(a, field.name), getattr(b, field.name)
        if isinstance(x, LineLists):
            x, y = (
                np.concatenate([x.offsets, x.d_star, x.intensity]),
                np.concatenate([y.offsets, y.d_star, y.intensity]),
            )
        if (x is None) != (y is None) or (x is not None and not np.array_equal(x, y)):
            return False
    return True


def test_a_draw_depends_on_the_key_and_the_number_of_the_sample_alone():
    variation = Variation.from_config(RANGES)
    together = variation.draw(KEY, 10, 50)
    assert same(together.slice(20, 35), variation.draw(KEY, 30, 15))
    assert not same(together, variation.draw(stream_key(6, "conditions"), 10, 50))
    # One quantity less leaves the others as they were.
    fewer = Variation.from_config({k: v for k, v in RANGES.items() if k not in ("counts", "zero_shift")})
    again = fewer.draw(KEY, 10, 50)
    assert again.counts is None
    np.testing.assert_array_equal(again.width_factor, together.width_factor)
    np.testing.assert_array_equal(again.background, together.background)
    np.testing.assert_array_equal(again.impurities.d_star, together.impurities.d_star)


def test_draws_fill_their_ranges():
    drawn = Variation.from_config(RANGES).draw(KEY, 0, 4000)
    for name in ("zero_shift", "displacement"):
        low, high = RANGES[name]
        assert stats.kstest(getattr(drawn, name), stats.uniform(low, high - low).cdf).pvalue > 1e-3
    for name in ("width_factor", "counts"):
        assert stats.kstest(getattr(drawn, name), stats.loguniform(*RANGES[name]).cdf).pvalue > 1e-3
    numbers = np.diff(drawn.impurities.offsets)
    assert set(numbers.tolist()) == {1, 2, 3, 4}
    for values, name in (
        (drawn.impurities.d_star, "impurity_d_star"),
        (drawn.impurities.intensity, "impurity_intensity"),
    ):
        low, high = RANGES[name]
        assert stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > 1e-3
    for i in range(100):
        assert (np.diff(drawn.impurities[i][0]) >= 0).all()
    x = np.linspace(-1, 1, 500)
    background = np.polynomial.chebyshev.chebval(x, drawn.background.T)
    assert background.min() >= 0
    assert drawn.background[:, 0].max() == pytest.approx(0.3, abs=0.002)
    # No quantity knows of another.
    columns = [drawn.width_factor, drawn.zero_shift, drawn.displacement, drawn.counts, drawn.background[:, 0]]
    correlation = stats.spearmanr(np.column_stack(columns)).statistic
    assert np.abs(correlation - np.eye(5)).max() < 0.06


def test_an_empty_variation_changes_nothing():
    assert len(Variation().draw(KEY, 0, 7)) == 0


@pytest.mark.parametrize("mean", [0.0, 0.3, 4.0, 19.9, 20.1, 60.0, 1000.0, 1e6])
def test_numbers_are_poisson(mean):
    draws = np.array([poisson(mean, KEY, i) for i in range(20000)])
    if mean == 0:
        assert not draws.any()
        return
    assert draws.mean() == pytest.approx(mean, abs=4 * np.sqrt(mean / 20000))
    assert draws.var() / mean == pytest.approx(1, abs=0.05)
    law = stats.poisson(mean)
    edges = np.unique(law.ppf(np.linspace(0.02, 0.98, 25)))
    share = np.diff(np.concatenate([[0], law.cdf(edges), [1]]))
    seen = np.bincount(np.searchsorted(edges, draws), minlength=len(share))
    assert stats.chisquare(seen, share * len(draws)).pvalue > 1e-4


def test_torch_makes_the_same_noise():
    pattern = np.linspace(0, 1, 5000)
    keys = np.array([stream_key(i, "noise") for i in range(3)], dtype=np.uint64)
    counts = np.array([10.0, 3000.0, np.inf])
    noisy = counting_noise(
        torch.from_numpy(np.tile(pattern, (3, 1))),
        torch.from_numpy(counts),
        torch.from_numpy(keys.view(np.int64)),
    ).numpy()
    for i in range(2):
        expected = [poisson(counts[i] * mean, keys[i], j) / counts[i] for j, mean in enumerate(pattern)]
        assert np.mean(np.abs(noisy[i] - expected) > 1e-9) < 1e-3
    np.testing.assert_array_equal(noisy[2], pattern)


PLAIN = Instrument(1.5406, 5, 90, 4096, "lorentz", 0.2)


def lines_of(*samples) -> LineLists:
    return LineLists(
        np.cumsum([0, *map(len, samples)]),
        np.concatenate(samples),
        np.ones(sum(map(len, samples)), np.float32),
    )


def test_two_measurements_on_one_lattice_have_noise_of_their_own():
    """Draws of one lattice differ in their intensities alone; noise they shared would be a signal."""
    counting = Instrument(1.5406, 10, 60, 2000, "lorentz", 0.3, background=(0.5,), counts=500)
    d_star = np.array([0.25, 0.35, 0.5])
    lines = LineLists(
        np.array([0, 3, 6]), np.tile(d_star, 2), np.array([1, 0.5, 0.2, 1, 0.5, 0.2001], np.float32)
    )
    noise = render(lines, counting) - render(lines, replace(counting, counts=0.0))
    # Of 2000 independent points: a standard deviation of 0.022.
    assert abs(np.corrcoef(noise)[0, 1]) < 0.1


def test_an_instrument_that_counts():
    """Noise of the stated size; it belongs to the sample, not to the batch that it is rendered in."""
    counting = replace(PLAIN, counts=2000.0, background=(0.5,))
    a, b = np.array([0.3, 0.4, 0.5]), np.array([0.35, 0.7])
    clean = render(lines_of(a), replace(counting, counts=0.0))[0].astype(float)
    noisy = render(lines_of(a), counting)[0].astype(float)
    assert noisy.max() == 1
    scaled = noisy * (noisy @ clean) / (noisy @ noisy)
    flat = (clean > 0.3) & (clean < 0.4)
    assert flat.sum() > 1000
    # 1/3 of the maximum of 2000 counts: a relative spread of sqrt(3 / 2000).
    assert np.std(scaled[flat]) / clean[flat].mean() == pytest.approx(np.sqrt(3 / 2000), rel=0.1)
    np.testing.assert_array_equal(render(lines_of(b, a), counting)[1], noisy.astype(np.float32))
    stored = LineLists(np.array([0, 3]), a.astype(np.float32), np.ones(3, np.float32))
    assert np.corrcoef(render(stored, counting)[0] - clean, noisy - clean)[0, 1] > 0.99
    torched = Renderer(counting)(lines_of(b, a)).numpy()[1]
    assert np.mean(np.abs(torched - noisy) > 1e-4) < 1e-3


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"counts": np.ones(3)}, "noise_keys"),
        ({"width_factor": np.array([1.0, 0.0])}, "width_factor must be positive"),
        ({"width_factor": np.ones(3), "zero_shift": np.zeros(2)}, "3 \\(width_factor\\), 2 \\(zero_shift\\)"),
        ({"zero_shift": np.array([np.nan])}, "zero_shift must be finite"),
    ],
)
def test_conditions_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises(XtinctError, match=message):
        Conditions(**wrong)


def test_conditions_of_other_samples_are_refused():
    conditions, lines = Conditions(zero_shift=np.zeros(3)), lines_of(np.array([0.3]))
    for renderer in (
        lambda: render(lines, PLAIN, conditions=conditions),
        lambda: Renderer(PLAIN)(lines, conditions),
    ):
        with pytest.raises(XtinctError, match="of 3 samples, but there are 1"):
            renderer()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"widths": [1, 2]}, "variation.widths"),
        ({"zero_shift": [0.2, 0.1]}, "variation.zero_shift"),
        ({"width_factor": [0, 1]}, "variation.width_factor"),
        ({"background": [-0.1, 1]}, "variation.background"),
        ({"counts": 100}, "variation.counts"),
        ({"impurity_lines": [0, 2]}, "go together"),
    ],
)
def test_ranges_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises(XtinctError, match=message):
        Variation.from_config(wrong)

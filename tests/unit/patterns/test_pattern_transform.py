"""The transform takes off backgrounds and leaves peaks, whatever the scale, and the same on every device."""

import numpy as np
import pytest
import torch

from xtinct.errors import XtinctError
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.pattern_transform import PatternTransform
from xtinct.patterns.pattern_transform_torch import transformed

INSTRUMENT = Instrument(1.5406, 5, 90, 4251, "lorentz", 0.2)
X = INSTRUMENT.two_theta
PEAKS = sum(h * np.exp(-4 * np.log(2) * ((X - c) / 0.2) ** 2) for h, c in ((1, 30), (0.3, 44), (0.05, 60)))
SLOPE = 0.4 * np.exp(-(X - 5) / 20) + 0.1
SNIP = PatternTransform(background="snip")


def test_backgrounds_go_and_peaks_stay():
    (bare,) = SNIP((PEAKS + SLOPE)[None], INSTRUMENT)
    assert np.abs(bare - PEAKS).max() < 0.01
    areas = [bare[np.abs(X - c) < 0.5].sum() for c in (30, 44, 60)]
    np.testing.assert_allclose(np.divide(areas, areas[0]), [1, 0.3, 0.05], rtol=0.05, atol=2e-3)
    # A measurement that ends within the grid has no step at its ends.
    part = np.where((X > 12) & (X < 70), PEAKS + SLOPE, 0.0)
    (cut,) = SNIP(part[None], INSTRUMENT)
    assert cut[(X < 29) | (X > 61)].max() < 0.01


def test_the_result_does_not_depend_on_the_scale_or_on_neighbours():
    rng = np.random.default_rng(0)
    noisy = rng.poisson(3000 * (PEAKS + SLOPE), size=(3, len(X))).astype(np.float32)
    together = SNIP(noisy, INSTRUMENT)
    np.testing.assert_allclose(SNIP(noisy[1:2] / 71.0, INSTRUMENT)[0], together[1], atol=2e-6)
    assert (together.max(axis=1) == 1).all()
    assert noisy.max() > 1


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"background": "snip", "half_width": 0.7, "start": 10.0, "end": 80.0},
        {"values": "root", "end": 60.0},
        {"values": "log", "floor": 1e-3, "background": "snip"},
    ],
)
def test_torch_does_the_same(settings):
    transform = PatternTransform.from_config(settings)
    rng = np.random.default_rng(1)
    patterns = rng.poisson(500 * (PEAKS + SLOPE), size=(4, len(X))).astype(np.float32)
    patterns[3, :700] = patterns[3, 4000:] = 0
    patterns /= patterns.max(axis=1, keepdims=True)
    patterns[2] = 0
    ours = transform(patterns, INSTRUMENT)
    torched = transformed(transform, torch.from_numpy(patterns), INSTRUMENT).numpy()
    np.testing.assert_allclose(torched, ours, rtol=0, atol=1e-5)
    assert np.isfinite(ours).all()
    assert not ours[2].any()


def test_values_and_ranges_are_as_said():
    y = np.zeros((1, len(X)), np.float32)
    y[0, [1000, 2000, 3000]] = 1, 0.01, 1e-5
    assert PatternTransform(values="root")(y, INSTRUMENT)[0, 2000] == pytest.approx(0.1)
    log = PatternTransform(values="log", floor=1e-4)(y, INSTRUMENT)[0]
    np.testing.assert_allclose(log[[1000, 2000, 3000, 0]], [1, 0.5, 0, 0], atol=1e-6)
    # Point 1000 lies at 25 degrees; without it the next is the highest.
    cut = PatternTransform(start=25.01)(y, INSTRUMENT)[0]
    np.testing.assert_allclose(cut[[1000, 2000]], [0, 1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"background": "rolling"}, "transform.background: 'rolling', expected one of keep, snip"),
        ({"values": "cube"}, "transform.values"),
        ({"floor": 0.0}, "transform.floor"),
        ({"half_width": 0.0}, "transform.half_width"),
        ({"start": 50.0, "end": 20.0}, "start 50.0 must be below end 20.0"),
        ({"smooth": 3}, "transform.smooth: expected one of start"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(XtinctError, match=message):
        PatternTransform.from_config(settings)
    with pytest.raises(XtinctError, match="leave nothing of the instrument's 5-90 degrees"):
        PatternTransform(start=95.0).check(INSTRUMENT)

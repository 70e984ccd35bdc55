"""Networks of a student report and of slides, and what they are shown of a pattern."""

import numpy as np
import pytest
import torch

from xtinct.errors import XtinctError
from xtinct.learning.models import build_model, count_parameters
from xtinct.learning.models.representations import INPUTS, Representation
from xtinct.learning.models.student_networks import REPORT, SLIDES
from xtinct.linelists.line_lists import LineLists
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.rendering import render

# float32 values that the sizes on the slides come to; the BiLSTM has none there.
SIZES = {
    "dense": 39e6,
    "cnn-dense": 42e6,
    "cnn-lstm": 0.26e6,
    "small-cnn-lstm": 19e3,
    "transformer": 118e3,
}


def instrument(points: int = 8192) -> Instrument:
    return Instrument(
        wavelength=1.5406, two_theta_min=5, two_theta_max=90, points=points, lorentz="lorentz", fwhm=0.2
    )


@pytest.mark.parametrize(("name", "size"), SIZES.items())
def test_the_networks_of_the_slides_are_as_large_as_there(name, size):
    with torch.device("meta"):
        model = build_model("slides", instrument(), 7, {"name": name, "input": "pattern"})
    assert count_parameters(model) == pytest.approx(size, rel=0.03)


@pytest.mark.parametrize(
    ("kind", "name"),
    [*(("report", name) for name in REPORT), *(("slides", name) for name in SLIDES if "dense" not in name)],
)
@pytest.mark.parametrize("shown", INPUTS)
def test_networks_learn_from_every_input(kind, name, shown):
    model = build_model(kind, instrument(2048), 5, {"name": name, "input": shown}).train()
    logits = model(torch.rand(2, 2048))
    assert logits.shape == (2, 5)
    logits.square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_pairs_are_the_angles_of_braggs_law_in_a_row():
    optics = instrument()
    two_theta = np.array([20.0, 31.0, 31.9, 60.0])
    d_star = 2 * np.sin(np.radians(two_theta / 2)) / optics.wavelength
    lines = LineLists(np.array([0, 4, 7]), np.concatenate([d_star, d_star[1:]]), np.ones(7, np.float32))
    patterns = torch.from_numpy(render(lines, optics))
    pairs = Representation(optics, "pairs", 6)(patterns)
    step = 85 / 8191
    assert 180 * pairs[0, 0, :4].numpy() == pytest.approx(two_theta, abs=step)
    assert pairs[0, 1, :4].max() == pytest.approx(1, abs=1e-3)
    assert not pairs[0, :, 4:].any()
    # A line that is missing moves all that follow, which is what a fixed grid does not do.
    assert 180 * pairs[1, 0, :3].numpy() == pytest.approx(two_theta[1:], abs=step)
    assert 180 * Representation(optics, "pairs", 2)(patterns)[0, 0].numpy() == pytest.approx(
        two_theta[:2], abs=step
    )
    sticks = Representation(optics, "peaks", 6)(patterns)
    assert (sticks[:, 0] > 0).sum(dim=1).tolist() == [4, 3]
    place = sticks[0, 0].nonzero()[:, 0].numpy()
    assert 5 + step * place == pytest.approx(two_theta, abs=step)
    assert torch.equal(Representation(optics, "pattern", 6)(patterns)[:, 0], patterns)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("report", {"name": "rnn"}, "name 'rnn', expected one of ann"),
        ("slides", {"name": "vit"}, "name 'vit', expected one of dense"),
        ("slides", {"input": "lines"}, "input 'lines': expected one of pattern"),
    ],
)
def test_wrong_networks_are_refused_by_name(kind, options, message):
    with pytest.raises(XtinctError, match=message):
        build_model(kind, instrument(), 5, options)

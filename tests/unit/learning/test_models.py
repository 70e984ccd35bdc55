import numpy as np
import pytest
import torch

from xtinct.errors import XtinctError
from xtinct.learning.models import MODELS, build_model, count_parameters
from xtinct.learning.models.logq import LogSinTheta
from xtinct.linelists.line_lists import LineLists
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.rendering import render


def instrument(points: int) -> Instrument:
    return Instrument(
        wavelength=1.5406, two_theta_min=5, two_theta_max=90, points=points, lorentz="lorentz", fwhm=0.23548
    )


# Wang et al. 2025: one network per family, for space groups (36, 68, 52) and for classes (17, 31, 9).
# Schopmans et al. 2023, table of models: 145 space groups, 8501 points.
PUBLISHED = [
    ("fcn13", {}, 8192, 36, 1_976_884),
    ("fcn13", {}, 8192, 68, 1_985_108),
    ("fcn13", {}, 8192, 52, 1_980_996),
    ("fcn13", {}, 8192, 17, 1_972_001),
    ("fcn13", {}, 8192, 31, 1_975_599),
    ("fcn13", {}, 8192, 9, 1_969_945),
    ("parkcnn", {"size": "small"}, 8501, 145, 1_052_305),
    ("parkcnn", {"size": "medium"}, 8501, 145, 4_246_797),
    ("parkcnn", {"size": "big"}, 8501, 145, 4_959_585),
    ("resnet", {"depth": 10}, 8501, 145, 9_395_025),
    ("resnet", {"depth": 50}, 8501, 145, 41_362_385),
    ("resnet", {"depth": 101}, 8501, 145, 60_354_513),
]


@pytest.mark.parametrize(("kind", "options", "points", "outputs", "published"), PUBLISHED)
def test_parameter_counts_are_the_published_ones(kind, options, points, outputs, published):
    assert count_parameters(build_model(kind, instrument(points), outputs, options)) == published


@pytest.mark.parametrize("kind", [kind for kind, model in MODELS.items() if not hasattr(model, "fit")])
def test_every_model_gives_logits_and_gradients_for_a_pattern_without_lines(kind):
    model = build_model(kind, instrument(8192), 5, {}).train()
    pattern = torch.zeros(2, 8192)
    pattern[0, 4000] = 1
    logits = model(pattern)
    assert logits.shape == (2, 5)
    logits.square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_a_larger_lattice_is_a_shift_of_the_log_axis():
    """d* -> d* / f moves every line by log f, whatever the line."""
    optics, points = instrument(8192), 1024
    axis = LogSinTheta(optics, points)
    width = np.log(np.sin(np.radians(45)) / np.sin(np.radians(2.5))) / points
    shift = 37
    factor = np.exp(shift * width)
    d_star = np.array([0.25, 0.4, 0.55])
    one = np.ones(3, np.float32)
    lines = LineLists(
        np.array([0, 3, 6]), np.concatenate([d_star, d_star / factor]), np.concatenate([one, one])
    )
    resampled = axis(torch.from_numpy(render(lines, optics)))
    for line in range(3):
        middle = np.log(d_star[line] * optics.wavelength / 2 / np.sin(np.radians(2.5))) / width
        inside = slice(round(middle) - 12, round(middle) + 13)
        moved = slice(inside.start - shift, inside.stop - shift)
        grid = np.arange(points) + 0.5
        centre = [
            float((resampled[i, s].numpy() * grid[s]).sum() / resampled[i, s].sum())
            for i, s in enumerate((inside, moved))
        ]
        assert centre[0] == pytest.approx(middle, abs=0.1)
        assert centre[0] - centre[1] == pytest.approx(shift, abs=0.1)


def test_resampling_keeps_the_area_of_peaks_wherever_they_fall():
    """Peaks near 90 degrees are narrower than a point of the new axis; none may be missed."""
    optics = instrument(8192)
    axis = LogSinTheta(optics, 1024)
    two_theta = np.linspace(60, 88, 57)
    d_star = 2 * np.sin(np.radians(two_theta / 2)) / optics.wavelength
    lines = LineLists(np.arange(58), d_star, np.ones(57, np.float32))
    resampled = axis(torch.from_numpy(render(lines, optics))).numpy()
    # d(2theta) = 2 tan(theta) d(log sin theta): the area in degrees is the same for every line.
    area = (resampled.sum(axis=1) * 2 * np.tan(np.radians(two_theta / 2))).astype(float)
    assert np.ptp(area) / area.mean() < 0.03


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("logqq", {}, "expected one of"),
        ("logq", {"pointz": 3}, "no hyperparameter 'pointz'"),
        ("logq", {"points": 1000}, "power of two"),
        ("resnet", {"depth": 18}, "depth 18"),
        ("parkcnn", {"size": "huge"}, "size 'huge'"),
    ],
)
def test_wrong_models_are_refused_by_name(kind, options, message):
    with pytest.raises(XtinctError, match=message):
        build_model(kind, instrument(8192), 5, options)


def test_fcn13_refuses_a_grid_that_it_cannot_halve():
    with pytest.raises(XtinctError, match=r"instrument.two_theta.points must be 8192, not 8501"):
        build_model("fcn13", instrument(8501), 5, {})

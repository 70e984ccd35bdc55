"""The whole-pattern fit on patterns whose heights, metric, profile and noise are known."""

from dataclasses import replace

import numpy as np
import pytest
from simulated_patterns import TRUE, Tube, random_areas, simulated

from xtinct.errors import XtinctError
from xtinct.lattices.metric import form_metric
from xtinct.observer.fitting import pawley
from xtinct.observer.fitting.pawley import FitSettings, fit_lattice
from xtinct.observer.fitting.refinement import fit_cell
from xtinct.observer.peaks.gridded import measured
from xtinct.observer.peaks.peak_shapes import Profile

STILL = FitSettings(refine=(), metric=False, steps=0, misfit=0.0)


def test_heights_of_a_known_lattice_are_within_their_errors():
    pulls = []
    short_tails = TRUE._replace(eta0=0.03)  # few beyond where profiles are cut
    for seed in range(6):
        m, metric, _, area = simulated(
            "orthorhombic", (5.1, 6.2, 7.3, 90, 90, 90), random_areas, short_tails, seed
        )
        fit = fit_lattice(m, "orthorhombic", metric, short_tails, settings=STILL)
        error = fit.area_error
        free = (fit.area > 0) & (error < 60)  # heights held at 0 are not normally distributed
        pulls.append(((fit.area - area) / error)[free])
    pulls = np.concatenate(pulls)
    assert len(pulls) > 200
    assert abs(np.mean(pulls)) < 0.2
    assert 0.85 < np.std(pulls) < 1.25


@pytest.mark.parametrize(
    ("family", "cell"),
    [
        ("cubic", (8.4, 8.4, 8.4, 90, 90, 90)),
        ("trigonal-hexagonal", (5.0, 5.0, 9.1, 90, 90, 120)),
        ("monoclinic", (6.1, 5.2, 7.3, 90, 104, 90)),
        ("triclinic", (5.1, 6.2, 5.6, 83, 97, 106)),
    ],
)
def test_metric_and_profile_are_found_within_their_errors(family, cell):
    m, metric, _, _ = simulated(family, cell, random_areas, TRUE, 3)
    start = Profile(W=0.02, eta0=0.6)
    fit = fit_lattice(m, family, metric * 1.001, start, settings=FitSettings(errors=True, misfit=0.0))
    found, error = fit.cell()
    free = error > 0
    assert (np.abs(found - np.array(cell))[free] < 4 * error[free]).all()
    assert (error[free] / found[free] < 1e-3).all()
    assert 0.9 < fit.chi2 < 1.15
    # Zero and displacement are hardly told apart; where they matter, their sum is.
    assert (
        abs(fit.profile.zero + fit.profile.displacement * 0.95 - TRUE.zero - TRUE.displacement * 0.95) < 0.01
    )
    assert abs(np.sqrt(fit.profile.W) - np.sqrt(TRUE.W)) < 0.03


def test_errors_of_the_cell_are_those_of_repeated_measurements():
    rng = np.random.default_rng(8)
    pulls = []
    for seed in range(40):
        # Shifts that differ from one measurement to the next, as the prior has them.
        profile = TRUE._replace(zero=0.05 * rng.normal(), displacement=0.08 * rng.normal())
        m, metric, _, _ = simulated("tetragonal", (6.0, 6.0, 9.0, 90, 90, 90), random_areas, profile, seed)
        fit = fit_lattice(
            m, "tetragonal", metric * 1.0005, TRUE, settings=FitSettings(errors=True, misfit=0.0)
        )
        pulls.append((fit.metric - metric) / np.sqrt(np.diagonal(fit.metric_covariance)))
    assert 0.75 < np.sqrt(np.mean(np.square(pulls))) < 1.35


def test_lines_without_height_leave_the_cell_without_uncertainties():
    m, metric, _, _ = simulated("cubic", (8.4, 8.4, 8.4, 90, 90, 90), random_areas, TRUE, 3)
    m = replace(m, intensity=m.background - 50.0)
    fit = fit_lattice(m, "cubic", metric, TRUE, settings=FitSettings(errors=True, misfit=0.0))
    assert not fit.area.any()
    assert np.isnan(fit.metric_covariance).all()


def test_correlated_residuals_widen_the_errors():
    wide = TRUE._replace(W=0.06)
    m, metric, _, _ = simulated(
        "cubic",
        (8.4, 8.4, 8.4, 90, 90, 90),
        lambda lines, rng: 60.0 * rng.exponential(size=len(lines)),
        wide,
        1,
    )
    settings = FitSettings(errors=True, misfit=0.0, refine=())
    found = {"none": [], "white": [], "smooth": []}
    for seed in range(12):
        white = 20.0 * np.random.default_rng(seed).normal(size=len(m.two_theta) + 8)
        smooth = np.convolve(white, np.full(9, 1 / 3), "valid")  # of the same variance
        for name, extra in (("none", 0.0 * smooth), ("white", white[8:]), ("smooth", smooth)):
            noisy = replace(m, intensity=m.intensity + extra)
            fit = fit_lattice(noisy, "cubic", metric, wide, settings=settings)
            found[name].append((fit.metric[0], np.sqrt(fit.metric_covariance[0, 0]), fit.inflation[0]))
    scatter = {name: np.std(rows, axis=0)[0] for name, rows in found.items()}
    error, inflation = ({name: np.mean(rows, axis=0)[i] for name, rows in found.items()} for i in (1, 2))
    assert scatter["smooth"] > 1.5 * scatter["white"]  # of one variance, but neighbours agree
    assert inflation["none"] < 1.3
    assert scatter["white"] < 1.3 * error["white"]
    assert scatter["smooth"] < 1.4 * error["smooth"]
    assert error["smooth"] > 1.2 * error["white"]


def test_the_second_wavelength_shifts_the_cell_when_it_is_denied():
    m, metric, _, _ = simulated("cubic", (8.4, 8.4, 8.4, 90, 90, 90), random_areas, TRUE, 2)
    right = fit_lattice(m, "cubic", metric, TRUE)
    denied = replace(m, radiation=Tube(second=None, ratio=0.0))
    assert fit_lattice(denied, "cubic", metric, TRUE).chi2 > 1.5 * right.chi2


def test_foreign_lines_are_found_and_do_not_move_with_the_lattice():
    at = [(24.3, 900.0), (47.7, 500.0)]
    m, metric, _, _ = simulated("cubic", (5.43, 5.43, 5.43, 90, 90, 90), random_areas, TRUE, 4, foreign=at)
    fit = fit_cell(m, "cubic", metric)
    assert len(fit.foreign) == 2
    assert np.abs(fit.foreign - [24.3, 47.7]).max() < 0.05
    without = fit_lattice(m, "cubic", fit.metric, fit.profile)
    assert without.chi2 > 1.2 * fit.chi2


def test_a_cell_that_is_off_by_a_percent_is_found():
    m, metric, _, _ = simulated("monoclinic", (6.1, 5.2, 7.3, 90, 104, 90), random_areas, TRUE, 5)
    fit = fit_cell(m, "monoclinic", metric * 1.015)
    assert np.abs(fit.metric / metric - 1).max() < 2e-3
    assert fit.chi2 < 1.2


@pytest.mark.parametrize("edge", [4.0, 6.0, 8.0])
def test_the_background_is_wrong_by_as_much_as_its_correction_expects(edge):
    """The longer the edges, the more lines, and the farther it is found above the true one, known here."""
    pulls = []
    for seed in range(6):
        cell = (edge, 1.1 * edge, 1.2 * edge, 90, 90, 90)
        short_tails = TRUE._replace(eta0=0.03)
        true, _, _, _ = simulated("orthorhombic", cell, random_areas, short_tails, seed)
        m = measured(true.two_theta, true.intensity, true.radiation)
        pattern = pawley._Pattern(m, FitSettings())
        wrong = np.interp(m.two_theta, true.two_theta, true.background) - pattern.background
        knots = len(pattern.stiffness)
        place = np.linspace(0, knots - 1, len(wrong))
        hats = np.maximum(0.0, 1.0 - np.abs(place[:, None] - np.arange(knots)))
        pulls.append(np.linalg.lstsq(hats, wrong, rcond=None)[0] * np.sqrt(pattern.stiffness))
    pulls = np.concatenate(pulls)
    assert abs(pulls.mean()) < 0.7
    assert 0.4 < np.sqrt(np.mean(pulls**2)) < 1.3


def test_a_cell_of_dense_lines_is_found_from_the_lengths_as_told():
    """Beta is told wrong, so wrong scales of the cell lie under more of the many lines at first."""

    def areas(lines, rng):
        hkl = lines.representative()
        return 60.0 * rng.exponential(size=len(lines)) ** 2 * ((hkl[:, 0] + hkl[:, 1]) % 2 == 0)

    cell = np.array([13.254, 8.31, 13.10, 90, 105.37, 90])
    told = np.array([13.208, 8.287, 13.089, 90, 104.67, 90])
    true, _, _, _ = simulated("monoclinic", tuple(cell), areas, Profile(W=0.008, U=0.01, eta0=0.4), 5)
    m = measured(true.two_theta, true.intensity, true.radiation)
    start = form_metric("monoclinic", told[None])[0]
    found, _ = fit_cell(m, "monoclinic", start, Profile(W=0.008, U=0.01, eta0=0.4)).cell()
    assert np.abs(found - cell).max() < 0.05


def test_derivatives_are_those_of_the_pattern():
    from xtinct.observer.fitting.pawley import _Fit, _Pattern, _State, lines_within

    m, metric, _, _ = simulated("monoclinic", (6.1, 5.2, 7.3, 90, 104, 90), random_areas, TRUE, 6)
    pattern = _Pattern(m, FitSettings())
    lines = lines_within("monoclinic", metric, (12.0, 70.0), 1.540593)
    profile = TRUE._replace(eta1=0.05, asymmetry=0.02, V=0.001)
    fit = _Fit(pattern, lines, np.array([33.3]), _State(metric, profile))
    solved = fit.solve(_State(metric, profile))
    G = fit.jacobian(_State(metric, profile), solved)[0]
    steps = [*(1e-6 * np.abs(metric)), *([1e-5] * 8)]

    def shape_sum(values):
        state = _State(np.array(values[:4]), Profile(*values[4:]))
        columns = fit.solve(state, False).profiles
        from xtinct.observer.fitting.normal_equations import accumulate

        return accumulate(columns, solved.x[: len(fit.order)], pattern.n)

    values = [*metric, *profile]
    for k, step in enumerate(steps):
        up, down = values.copy(), values.copy()
        up[k] += step
        down[k] -= step
        numeric = (shape_sum(up) - shape_sum(down)) / (2 * step)
        # Profiles are cut: at their ends a shifted one gains or loses a point.
        assert np.quantile(np.abs(G[k] - numeric), 0.98) < 0.02 * np.abs(numeric).max(), k


def test_nothing_to_fit_is_said():
    m, metric, _, _ = simulated("cubic", (8.4, 8.4, 8.4, 90, 90, 90), random_areas, TRUE)
    with pytest.raises(XtinctError, match="fewer than 50"):
        fit_lattice(m, "cubic", metric, TRUE, settings=FitSettings(range=(20.0, 20.2)))
    with pytest.raises(XtinctError, match="no line"):
        fit_lattice(m, "cubic", np.array([3.0]), TRUE)

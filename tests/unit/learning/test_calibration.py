import numpy as np
import pytest

from xtinct.errors import XtinctError
from xtinct.learning.calibration import (
    COVERAGES,
    Calibration,
    expected_calibration_error,
    fit_calibration,
    fit_temperature,
    log_loss,
    prediction_sets,
    reliability,
    set_threshold,
    tempered,
)
from xtinct.learning.metrics import wilson_interval
from xtinct.learning.outputs import Outputs


def forecasts(n, m=5, seed=2):
    """Probabilities (n, m) and labels drawn from exactly these probabilities."""
    rng = np.random.Generator(np.random.PCG64(seed))
    p = rng.dirichlet(np.full(m, 0.5), size=n)
    return p, (p.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)


def test_calibration_error_of_known_forecasts():
    """Probability 0.8 and right 8 times of 10 is calibrated; right 5 times of 10 it is off by 0.3."""
    p = np.tile([0.8, 0.2], (10, 1))
    for right, error in ((8, 0.0), (5, 0.3), (10, 0.2)):
        labels = np.array([0] * right + [1] * (10 - right))
        assert expected_calibration_error(p, labels) == pytest.approx(error)
        expected = -(right * np.log(0.8) + (10 - right) * np.log(0.2)) / 10
        assert log_loss(p, labels) == pytest.approx(expected)
    two_bins = np.array([[0.9, 0.1], [0.55, 0.45]])
    assert expected_calibration_error(two_bins, np.array([1, 0])) == pytest.approx((0.9 + 0.45) / 2)
    assert log_loss(p, np.full(10, -1)) == pytest.approx(-np.log(1e-12))


def test_every_sample_is_in_one_bin_of_the_reliability_curve():
    p, labels = forecasts(3000)
    rows = reliability(p, labels, bins=10, confidence=0.999)
    assert sum(row["n"] for row in rows) == 3000
    for row in rows:
        assert row["low"] <= row["probability"] <= row["high"]
        # The labels follow the probabilities, so each bin agrees within its interval.
        assert row["accuracy_low"] <= row["probability"] <= row["accuracy_high"]
    certain = reliability(np.array([[1.0, 0.0]]), np.array([0]), bins=10)
    assert (certain[0]["low"], certain[0]["high"], certain[0]["n"]) == (0.9, 1.0, 1)


@pytest.mark.parametrize("sharpening", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_a_known_sharpening(sharpening):
    p, labels = forecasts(20000)
    shown = tempered(p, 1 / sharpening)
    temperature = fit_temperature(shown, labels)
    assert temperature == pytest.approx(sharpening, rel=0.03)
    assert tempered(shown, sharpening) == pytest.approx(p, abs=1e-9)
    assert expected_calibration_error(tempered(shown, temperature), labels) < 0.015
    assert (shown.argsort(axis=1) == tempered(shown, temperature).argsort(axis=1)).all()


def test_a_model_without_a_mistake_is_not_taken_to_be_infallible():
    """One mistake in n and the same forecast for all: the best one is the share that is right."""
    n, m = 40, 4
    p = np.full((n, m), 0.1 / (m - 1))
    p[:, 0] = 0.9
    labels = np.zeros(n, dtype=int)
    assert fit_temperature(p, labels) == 1.0
    labels[7] = 2
    assert tempered(p, fit_temperature(p, labels))[:, 0] == pytest.approx(1 - 1 / n, abs=1e-6)


@pytest.mark.parametrize("coverage", COVERAGES)
@pytest.mark.parametrize("n", [19, 200])
def test_sets_hold_the_truth_as_often_as_promised_whatever_the_model(coverage, n):
    """Exchangeable samples: covered with probability ceil((n + 1) c) / (n + 1) exactly (Vovk et al. 2005)."""
    trials = 4000
    p, labels = forecasts(trials * (n + 1), seed=n)
    wrong = tempered(np.roll(p, 1, axis=1) + 0.3 * p, 0.4)  # a bad model: shifted and overconfident
    own = wrong[np.arange(len(labels)), labels].reshape(trials, n + 1)
    held = 0
    for row in own:
        held += row[-1] >= set_threshold(row[:-1], coverage)
    place = np.ceil(round((n + 1) * coverage, 9))
    low, high = wilson_interval(held, trials, 0.9999)
    assert low <= min(1.0, place / (n + 1)) <= high
    assert held / trials >= coverage - 0.02


def test_too_few_samples_promise_nothing_and_no_set_is_empty():
    assert set_threshold(np.array([0.5, 0.9, 0.7]), 0.95) == 0.0
    assert set_threshold(np.array([0.5, 0.9, 0.7]), 0.75) == 0.5
    p = np.array([[0.6, 0.3, 0.1], [0.4, 0.35, 0.25]])
    assert prediction_sets(p, 0.0).all()
    assert prediction_sets(p, 0.3).tolist() == [[True, True, False], [True, True, False]]
    assert prediction_sets(p, 0.99).tolist() == [[True, False, False], [True, False, False]]


def test_a_calibration_survives_its_card_and_names_its_coverages():
    outputs = Outputs.of("cubic", "spacegroup")
    rng = np.random.Generator(np.random.PCG64(3))
    p = rng.dirichlet(np.ones(len(outputs)), size=500)
    groups = outputs.groups[(p.cumsum(axis=1) < rng.random((500, 1))).sum(axis=1)]
    found = fit_calibration(outputs, tempered(p, 0.25), groups, prior=None, samples="a test")
    assert Calibration.from_dict(found.to_dict()) == found
    assert found.temperature == pytest.approx(4, rel=0.2)
    assert found.log_loss < found.log_loss_raw
    assert found.ece < found.ece_raw
    thresholds = [found.threshold(coverage) for coverage in COVERAGES]
    assert thresholds == sorted(thresholds, reverse=True)
    with pytest.raises(XtinctError, match=r"coverage 0\.5: the model's sets are calibrated for 0\.8, 0\.9"):
        found.threshold(0.5)
    with pytest.raises(XtinctError, match="calibration"):
        Calibration.from_dict({"temperature": 1.0})
    with pytest.raises(XtinctError, match="calibration: temperature 0"):
        Calibration.from_dict(found.to_dict() | {"temperature": 0})
    with pytest.raises(XtinctError, match="no sample in a test"):
        fit_calibration(outputs, p[:0], groups[:0], prior=None, samples="a test")

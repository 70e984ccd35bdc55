import numpy as np
import pytest

from xtinct.errors import XtinctError
from xtinct.scores.calibration import (
    COVERAGES,
    Calibration,
    calibration_error_interval,
    expected_calibration_error,
    fit_calibration,
    fit_temperature,
    log_loss,
    prediction_sets,
    reliability,
    set_threshold,
    tempered,
)
from xtinct.scores.metrics import wilson_interval
from xtinct.scores.outputs import Outputs


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


@pytest.mark.parametrize("sharpening", [0.5, 1.0, 3.0])
def test_answers_for_equal_frequency_have_a_temperature_of_their_own(sharpening):
    """A wide and a narrow line that lie on each other, the wide one nine times as frequent."""
    rng = np.random.Generator(np.random.PCG64(3))
    frequencies, centre, width = np.array([0.9, 0.1]), np.array([0.0, 0.5]), np.array([1.0, 0.3])
    labels = rng.choice(2, 20000, p=frequencies)
    x = rng.normal(centre[labels], width[labels])[:, None]
    density = np.exp(-(((x - centre) / width) ** 2) / 2) / width
    shown = tempered(density / density.sum(axis=1, keepdims=True), 1 / sharpening)
    assert fit_temperature(shown, labels, frequencies) == pytest.approx(sharpening, rel=0.03)
    # Taken for answers that hold the frequencies, they would seem twice as sure as they may be.
    assert fit_temperature(shown, labels) > 1.5 * sharpening
    outputs = Outputs.of("triclinic", "spacegroup")
    found = fit_calibration(outputs, shown, labels + 1, prior=None, samples="a test", frequencies=frequencies)
    assert found.temperature == pytest.approx(sharpening, rel=0.05)


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


def test_too_few_samples_promise_nothing_and_no_class_that_is_probable_enough_is_no_set():
    assert set_threshold(np.array([0.5, 0.9, 0.7]), 0.95) == 0.0
    assert set_threshold(np.array([0.5, 0.9, 0.7]), 0.75) == 0.5
    p = np.array([[0.6, 0.3, 0.1], [0.4, 0.35, 0.25]])
    assert prediction_sets(p, 0.0).all()
    assert prediction_sets(p, 0.3).tolist() == [[True, True, False], [True, True, False]]
    assert prediction_sets(p, 0.5).tolist() == [[True, False, False], [False, False, False]]


def test_the_temperature_and_the_thresholds_come_from_different_samples():
    """Halves that say different things: neither half decides what the other is for."""
    outputs = Outputs.of("cubic", "extinction_class")
    p, labels = forecasts(400, m=len(outputs), seed=4)
    groups = np.array([members[0] for members in outputs.members])[labels]
    found = fit_calibration(outputs, p, groups, prior=None, samples="a test")
    assert (found.n, found.n_temperature) == (200, 200)
    order = np.random.Generator(np.random.PCG64(0)).permutation(400)
    first, rest = order[:200], order[200:]
    assert found.temperature == fit_temperature(p[first], labels[first])
    own = tempered(p, found.temperature)[rest, labels[rest]]
    assert found.threshold(0.9) == pytest.approx(set_threshold(own, 0.9))
    assert fit_calibration(outputs, p[:1], groups[:1], prior=None, samples="a test").temperature == 1
    # A card from before the halves says nothing of the temperature's samples.
    old = {key: value for key, value in found.to_dict().items() if key != "n_temperature"}
    assert Calibration.from_dict(old).n_temperature == 0


def test_a_crystal_of_several_samples_counts_once():
    """Repeated samples change neither the temperature's crystals nor what a threshold may promise."""
    outputs = Outputs.of("cubic", "extinction_class")
    p, labels = forecasts(40, m=len(outputs), seed=4)
    groups = np.array([members[0] for members in outputs.members])[labels]
    once = fit_calibration(outputs, p, groups, prior=None, samples="a test")
    crystals = np.repeat(np.arange(40), 9)
    rows = np.random.default_rng(1).permutation(360)
    of_rows = crystals[rows]
    many = fit_calibration(
        outputs, p[of_rows], groups[of_rows], prior=None, samples="a test", crystals=of_rows
    )
    assert (many.n, many.n_temperature) == (180, 180)
    # 20 crystals cannot promise 99 % and hardly 95 %, however often each is asked about.
    assert once.threshold(0.99) == many.threshold(0.99) == 0
    assert set_threshold(np.full(180, 0.999), 0.9, crystals[:180]) == pytest.approx(20 / 21)
    single = fit_calibration(
        outputs, p[:9], groups[:9], prior=None, samples="a test", crystals=np.zeros(9, int)
    )
    assert (single.n, single.n_temperature, single.temperature) == (9, 0, 1)
    numbered = fit_calibration(outputs, p, groups, prior=None, samples="a test", crystals=np.arange(40)[::-1])
    assert numbered == once


def test_the_interval_of_the_calibration_error_holds_the_truth():
    """Labels that follow the probabilities have the error 0, others one that is known: 0.2."""
    held, wide = 0, 0
    for seed in range(60):
        p, labels = forecasts(300, seed=seed)
        low, high = calibration_error_interval(p, labels, draws=200)
        assert low <= expected_calibration_error(p, labels) <= high
        held += low == 0
        rng = np.random.Generator(np.random.PCG64(seed))
        certain = np.tile([0.9, 0.1], (300, 1))
        low, high = calibration_error_interval(certain, (rng.random(300) > 0.7).astype(int), draws=200)
        wide += low <= 0.2 <= high
    assert held >= 50
    assert wide >= 53
    p, labels = forecasts(100)
    cells = np.repeat(np.arange(100), 5)
    assert calibration_error_interval(
        np.repeat(p, 5, axis=0), np.repeat(labels, 5), cells=cells
    ) == pytest.approx(calibration_error_interval(p, labels))


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


def test_a_model_that_is_never_wrong_has_a_threshold_that_its_samples_can_tell():
    """1024 samples, all right with 1 - 1e-8 or more: a perfect pattern with 0.999997 is in the set."""
    own = 1 - np.random.Generator(np.random.PCG64(0)).uniform(0, 1e-8, 1024)
    assert set_threshold(own, 0.95) == pytest.approx(1024 / 1025)
    assert prediction_sets(np.array([[0.999997, 3e-6]]), set_threshold(own, 0.95)).tolist() == [[True, False]]
    stored = Calibration(1.0, {"0.95": 0.9999993}, 1024, "a test", 0.0, 0.0, 0.0, 0.0)
    assert stored.threshold(0.95) == pytest.approx(1024 / 1025)
    # Undecided stays undecided.
    assert not prediction_sets(np.array([[0.82, 0.16]]), stored.threshold(0.95)).any()

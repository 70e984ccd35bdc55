import numpy as np
import pytest

from xtinct.learning.metrics import calibration, macro_averages, rank, top_k_right, wilson_interval


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    # Newcombe 1998, Statistics in Medicine 17, 857, table I, method 3: score without continuity correction.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_interval_of_newcombes_examples(right, n, low, high):
    assert wilson_interval(right, n) == pytest.approx((low, high), abs=5e-5)
    assert wilson_interval(n - right, n) == pytest.approx((1 - high, 1 - low), abs=5e-5)


def test_wilson_interval_without_samples_says_nothing():
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_top_k_counts_labels_among_the_most_probable():
    p = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.4, 0.4, 0.2]])
    labels = np.array([1, 0, 1])
    assert [top_k_right(p, labels, k) for k in (1, 2, 3)] == [0, 2, 3]
    assert rank(p, 1)[:, 0].tolist() == [0, 2, 0]  # equal probabilities: the first column
    assert top_k_right(p, np.array([-1, -1, -1]), 3) == 0


def test_macro_averages_of_a_worked_example():
    """Three labels; by hand: precisions 2/3, 1/2, 0; recalls 1, 1/2, 0; F1 4/5, 1/2, 0."""
    labels = np.array([0, 0, 1, 1, 2])
    predicted = np.array([0, 0, 1, 0, 1])
    averages = macro_averages(predicted, labels)
    assert averages["macro_precision"] == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert averages["macro_recall"] == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert averages["macro_f1"] == pytest.approx((4 / 5 + 1 / 2 + 0) / 3)


def test_calibration_error_of_known_forecasts():
    """Confidence 0.8 and right 8 times of 10 is calibrated; right 5 times of 10 it is off by 0.3."""
    p = np.tile([0.8, 0.2], (10, 1))
    for right, error in ((8, 0.0), (5, 0.3), (10, 0.2)):
        labels = np.array([0] * right + [1] * (10 - right))
        measured = calibration(p, labels)
        assert measured["ece"] == pytest.approx(error)
        assert measured["log_loss"] == pytest.approx(-(right * np.log(0.8) + (10 - right) * np.log(0.2)) / 10)
    two_bins = calibration(np.array([[0.9, 0.1], [0.55, 0.45]]), np.array([1, 0]))
    assert two_bins["ece"] == pytest.approx((0.9 + 0.45) / 2)
    assert calibration(p, np.full(10, -1))["log_loss"] == pytest.approx(-np.log(1e-12))

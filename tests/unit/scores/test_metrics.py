import numpy as np
import pytest

from xtinct.scores.metrics import (
    abstention_curve,
    average,
    effective_samples,
    in_top_k,
    label_table,
    macro_averages,
    rank,
    share,
    wilson_interval,
)


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


def clustered(repeats, cells, size, mean, correlation):
    """Whether each of cells * size samples is right, bool (repeats, n): beta-binomial within a cell."""
    rng = np.random.Generator(np.random.PCG64(7))
    s = 1 / correlation - 1
    p = rng.beta(mean * s, (1 - mean) * s, size=(repeats, cells, 1))
    return (rng.random((repeats, cells, size)) < p).reshape(repeats, -1)


@pytest.mark.parametrize(
    ("cells", "size", "mean", "correlation"),
    [(150, 36, 0.98, 0.13), (150, 36, 0.7, 0.1), (40, 10, 0.95, 0.3), (30, 20, 0.5, 0.5), (400, 2, 0.9, 0.5)],
)
def test_intervals_of_samples_that_share_cells_hold_the_truth_as_often_as_they_say(
    cells, size, mean, correlation
):
    cell = np.repeat(np.arange(cells), size)
    held = alone = 0
    repeats = 600
    for right in clustered(repeats, cells, size, mean, correlation):
        found = share("top1", right, 0.95, cell)
        assert found["top1_low"] <= found["top1"] <= found["top1_high"]
        held += found["top1_low"] <= mean <= found["top1_high"]
        low, high = wilson_interval(int(right.sum()), len(right))
        alone += low <= mean <= high
    assert held / repeats > 0.925
    assert alone < held


def test_cells_without_company_and_samples_without_errors():
    """One sample a cell is Wilson's interval; no error in m equal cells tells as much as m samples."""
    right = np.arange(50) > 3
    assert effective_samples(right, 0.95, np.arange(50)) == 50
    assert share("top1", right, 0.95, np.arange(50)) == share("top1", right, 0.95)
    cell = np.repeat(np.arange(12), 36)
    for value in (True, False):
        assert effective_samples(np.full(12 * 36, value), 0.95, cell) == pytest.approx(12)
    none_wrong = share("top1", np.ones(12 * 36, bool), 0.95, cell)
    assert none_wrong["top1_high"] == 1
    assert none_wrong["top1_low"] == pytest.approx(wilson_interval(12, 12)[0])
    # One cell that fails as a whole: as if there were 12 samples, one of them wrong.
    assert effective_samples(cell > 0, 0.95, cell) == pytest.approx(12)
    assert effective_samples(np.empty(0, bool), 0.95, np.empty(0, int)) == 0


def test_the_interval_of_a_mean_takes_cells_as_units():
    """Equal values within a cell: as if each cell were one value."""
    values = np.random.Generator(np.random.PCG64(3)).integers(1, 6, 40).astype(float)
    once = average("size", values)
    many = average("size", np.repeat(values, 7), 0.95, np.repeat(np.arange(40), 7))
    assert many == pytest.approx(once)
    half = 1.959964 * values.std(ddof=1) / np.sqrt(40)
    assert (once["size_low"], once["size_high"]) == pytest.approx(
        (values.mean() - half, values.mean() + half)
    )


def test_a_mean_that_has_an_upper_end_stays_below_it():
    """A single lattice tells nothing of the others: the interval is all that there may be."""
    values = np.array([1.0, 2.0, 3.0])
    one = average("size", values, 0.95, np.zeros(3, int), most=14)
    assert one == {"size": 2.0, "size_low": 0.0, "size_high": 14.0}
    assert average("size", np.array([1.0, 14.0]), most=14)["size_high"] == 14


def test_top_k_counts_labels_among_the_most_probable():
    p = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.4, 0.4, 0.2]])
    labels = np.array([1, 0, 1])
    assert [in_top_k(p, labels, k).sum() for k in (1, 2, 3)] == [0, 2, 3]
    assert rank(p, 1)[:, 0].tolist() == [0, 2, 0]  # equal probabilities: the first column
    assert not in_top_k(p, np.array([-1, -1, -1]), 3).any()


def test_macro_averages_of_a_worked_example():
    """Three labels; by hand: precisions 2/3, 1/2, 0; recalls 1, 1/2, 0; F1 4/5, 1/2, 0."""
    labels = np.array([0, 0, 1, 1, 2])
    predicted = np.array([0, 0, 1, 0, 1])
    averages = macro_averages(predicted, labels)
    assert averages["macro_precision"] == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert averages["macro_recall"] == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert averages["macro_f1"] == pytest.approx((4 / 5 + 1 / 2 + 0) / 3)


def test_intervals_of_the_macro_averages_hold_the_truth_as_often_as_they_say():
    """Samples drawn from a known joint distribution of truth and answer, whose averages are exact."""
    joint = np.array([[0.30, 0.05, 0.05], [0.02, 0.20, 0.03], [0.10, 0.05, 0.20]])
    precision, recall = np.diag(joint) / joint.sum(axis=0), np.diag(joint) / joint.sum(axis=1)
    truth = {
        "macro_precision": precision.mean(),
        "macro_recall": recall.mean(),
        "macro_f1": (2 * precision * recall / (precision + recall)).mean(),
    }
    rng = np.random.Generator(np.random.PCG64(5))
    repeats, held = 1000, dict.fromkeys(truth, 0)
    for _ in range(repeats):
        cells = rng.choice(9, size=300, p=joint.ravel())
        averages = macro_averages(cells % 3, cells // 3)
        for name, value in truth.items():
            held[name] += averages[f"{name}_low"] <= value <= averages[f"{name}_high"]
    for name, times in held.items():
        low, high = wilson_interval(times, repeats, 0.999)
        assert low < 0.95 < high, (name, times / repeats)


def test_macro_averages_of_repeated_samples_are_no_surer():
    rng = np.random.Generator(np.random.PCG64(6))
    labels = rng.integers(3, size=200)
    predicted = np.where(rng.random(200) < 0.8, labels, rng.integers(3, size=200))
    once = macro_averages(predicted, labels)
    many = macro_averages(np.repeat(predicted, 9), np.repeat(labels, 9), 0.95, np.repeat(np.arange(200), 9))
    assert many == pytest.approx(once)


def test_label_table_of_a_worked_example():
    labels = np.array([0, 0, 1, 1, 2, -1])
    predicted = np.array([0, 0, 1, 0, 1, 1])
    rows = {row["label"]: row for row in label_table(["a", "b", "c"], predicted, labels, class_of=[0, 0, 1])}
    assert list(rows) == ["none", "a", "b", "c"]
    assert (rows["b"]["n"], rows["b"]["n_predicted"], rows["b"]["right"]) == (2, 3, 1)
    assert (rows["b"]["recall"], rows["b"]["precision"]) == pytest.approx((1 / 2, 1 / 3))
    assert rows["b"]["f1"] == pytest.approx(2 / 5)
    assert (rows["b"]["mistaken_for"], rows["b"]["n_mistaken"]) == ("a", 1)
    assert (rows["a"]["mistaken_for"], rows["a"]["n_mistaken"]) == ("", 0)
    assert (rows["c"]["recall"], rows["c"]["precision"], rows["c"]["n_predicted"]) == (0, 0, 0)
    assert rows["none"]["mistaken_for"] == "b"
    # a and b are of one class: b for a is harmless, b for c is not.
    columns = ("n_within", "n_across", "mistaken_across", "n_mistaken_across")
    assert [rows["b"][name] for name in columns] == [1, 0, "", 0]
    assert [rows["c"][name] for name in columns] == [0, 1, "b", 1]
    assert [rows["none"][name] for name in columns] == [0, 1, "b", 1]
    assert rows["a"]["recall_low"] == pytest.approx(wilson_interval(2, 2)[0])


def test_the_least_certain_are_left_out_first():
    certainty = np.array([0.9, 0.8, 0.8, 0.6, 0.5])
    right = np.array([True, True, False, True, False])
    rows = abstention_curve(certainty, right, [1.0, 0.8, 0.4, 0.2])
    assert [row["n"] for row in rows] == [5, 4, 3, 1]  # two are equally certain: both are kept
    assert [row["accuracy"] for row in rows] == pytest.approx([3 / 5, 3 / 4, 2 / 3, 1])
    assert [row["risk"] for row in rows] == pytest.approx([2 / 5, 1 / 4, 1 / 3, 0])
    assert [row["threshold"] for row in rows] == [0.5, 0.6, 0.8, 0.9]

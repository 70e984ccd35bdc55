import numpy as np

from xtinct.scores.frequency import by_frequency, label_counts, strata


def test_strata_are_thirds_of_what_training_has_seen():
    assert strata([5, 0, 100, 7, 7, 1]) == ["middle", "never seen", "head", "head", "middle", "tail"]
    assert strata([0, 3]) == ["never seen", "head"]


def test_accuracy_by_frequency_counts_every_test_sample_once():
    counts = [5, 0, 100, 7, 7, 1]
    labels = np.array([2, 2, 2, 3, 0, 4, 4, 5, 1])
    predicted = np.array([2, 2, 0, 3, 2, 4, 4, 2, 2])
    rows = {row["stratum"]: row for row in by_frequency(predicted, labels, counts)}
    assert {name: (row["labels"], row["trained"], row["n"]) for name, row in rows.items()} == {
        "head": (2, 107, 4),
        "middle": (2, 12, 3),
        "tail": (1, 1, 1),
        "never seen": (1, 0, 1),
    }
    assert [rows[name]["accuracy"] for name in ("head", "middle", "tail", "never seen")] == [
        0.75,
        2 / 3,
        0,
        0,
    ]
    assert rows["head"]["macro_recall"] == (2 / 3 + 1) / 2
    assert rows["tail"]["accuracy_low"] == 0 < rows["tail"]["accuracy_high"]
    weighed = sum(row["n"] * row["accuracy"] for row in rows.values())
    assert weighed == (predicted == labels).sum()


def test_samples_of_a_label_are_those_of_its_groups():
    assert label_counts({1: 3.0, 2: 9.0}, [(1, 2), (3,)]).tolist() == [12, 0]
    assert label_counts(None, [(1, 2), (3,)]).tolist() == [2, 1]

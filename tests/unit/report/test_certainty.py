import csv

import pytest

from xtinct.files.writing import write_csv
from xtinct.report.inputs import read_tables
from xtinct.report.sections.certainty import Budget, budget_charts, evaluation_charts, training_budgets


def test_sets_are_drawn_with_their_intervals(tmp_path):
    """Coverage and size over the coverage that was promised; the empty sets are told."""
    rows = [
        {
            "experiment": "ulbd", "train_set": "ulbd-online", "test_set": "ulbd", "family": "cubic",
            "model": "logq", "seed": 0, "calibrated_on": "training", "n_calibration": 99,
            "coverage": coverage, "n": 500, "held": coverage, "held_low": coverage - 0.03,
            "held_high": coverage + 0.01, "size": 1.2, "size_low": 1.1, "size_high": 1.3, "single": 0.75,
            "empty": 0.05,
        }
        for coverage in (0.9, 0.8)
    ]  # fmt: skip
    path = tmp_path / "ulbd.sets.csv"
    write_csv(path, rows)
    tables = read_tables([path])
    with path.open(newline="") as file:
        assert tables["sets"] == list(csv.DictReader(file))
    charts = {chart["what"]: chart for chart in evaluation_charts(tables)}
    (held,) = charts["prediction sets: coverage"]["series"]
    (size,) = charts["prediction sets: size"]["series"]
    assert held["points"][0][:4] == pytest.approx([0.8, 0.8, 0.77, 0.81])
    assert size["points"][1][:4] == pytest.approx([0.9, 1.2, 1.1, 1.3])
    # What has no natural end reaches as far as the intervals.
    ends = {what: (chart["y"]["low"], chart["y"]["high"]) for what, chart in charts.items()}
    assert ends == {"prediction sets: size": (0, 1.3), "prediction sets: coverage": (0, 1)}
    assert size["points"][0][4] == "1.20 classes, 75.0 % with one, 5.0 % with none"


def test_a_learning_curve_follows_its_power_law():
    """Error 3 N^-0.5: the line through the points has that exponent, and ends on them."""
    rows, budgets = [], {}
    for i, patterns in enumerate((100, 1000, 10_000)):
        error = 3 * patterns**-0.5
        row = {"experiment": f"e{i}", "family": "all", "test_set": "cddd", "train_set": "gcdd-online"}
        row |= {"model": "resnet-10", "target": "spacegroup", "k": 1, "accuracy": 1 - error}
        rows.append(row | {"low": 0.9 - error, "high": 1.0})
        budgets[f"e{i}", "all"] = Budget(patterns, "")
    (chart,) = budget_charts(rows, budgets)
    points, line = chart["series"]
    assert [p[0] for p in points["points"]] == [100, 1000, 10_000]
    assert line["name"].endswith("exponent -0.500")
    assert (chart["y"]["low"], chart["y"]["high"]) == pytest.approx((0.003, 0.4))
    assert [p[1] for p in line["points"]] == pytest.approx([0.3, 0.03])
    # Two budgets make no law, one no curve, and a perfect answer has no logarithm.
    assert len(budget_charts(rows[:2], budgets)[0]["series"]) == 1
    assert budget_charts(rows[:1], budgets) == []
    assert budget_charts([row | {"accuracy": 1.0} for row in rows], budgets) == []
    assert budget_charts([row | {"trained_target": "crystal_system"} for row in rows], budgets) == []


def test_a_learning_curve_holds_what_differs_in_budget_alone():
    """Two recipes of one network and training set, at two budgets each, are two curves."""
    trainings, rows = [], []
    for prior, budgets in (("natural", (100, 1000)), ("uniform", (100, 1000)), ("sqrt", (500,))):
        for patterns in budgets:
            told = {"train": "gcdd-online", "prior": prior, "patterns": patterns}
            card = {"experiment": f"{prior}-{patterns}", "family": "all"}
            card["training"] = {"experiment": told, "seed": patterns}
            trainings.append({"card": card, "patterns": patterns})
            row = {"experiment": card["experiment"], "family": "all", "test_set": "cddd"}
            row |= {"train_set": "gcdd-online", "model": "logq", "target": "spacegroup", "k": 1}
            rows.append(row | {"accuracy": 0.5, "low": 0.4, "high": 0.6})
    (chart,) = budget_charts(rows, training_budgets(trainings))
    assert [[point[4] for point in series["points"]] for series in chart["series"]] == [
        ["natural-100", "natural-1000"],
        ["uniform-100", "uniform-1000"],
    ]
    assert len({series["name"] for series in chart["series"]}) == 2


def test_a_budget_is_that_of_all_seeds():
    """One of them stopped early."""
    trainings = []
    for seed, patterns in ((0, 1000), (1, 500)):
        told = {"experiment": {"train": "ulbd-online", "patterns": 1000}, "seed": seed}
        card = {"experiment": "a", "family": "cubic", "training": told}
        trainings.append({"card": card, "patterns": patterns})
    assert training_budgets(trainings)["a", "cubic"].patterns == 750

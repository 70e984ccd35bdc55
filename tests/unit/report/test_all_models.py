"""The table of all models, confusion of crystal systems, and figures of single models."""

import csv
import json
from importlib.resources import files

import pytest
from pydantic import TypeAdapter

from xtinct.files.writing import write_csv
from xtinct.project.keys.model_keys import AnyModel
from xtinct.report.inputs import read_inputs, read_tables
from xtinct.report.results import Results, system_rows
from xtinct.report.sections import all_models, portraits
from xtinct.report.sections.all_models import library_rows, mean_of_seeds, model_rows
from xtinct.report.sections.confusion import confusion_data

CONFIG = {
    "train": {"learning_rate": 0.002},
    "splits": {"cddd": "protostructure", "ulbd": "lattice", "gcdd": "random"},
    "variants": {"mine": {"of": "cddd", "split": "contiguous"}, "other": {"of": "ulbd"}},
    "experiments": {
        "a": {"training": {"loss": "focal", "learning_rate": 0.1}},
        "b": {"training": {"loss": "cross-entropy", "sampling": "as-drawn"}},
    },
}


def record(**changed):
    about = {"experiment": "a", "train_set": "ulbd-online", "test_set": "mine", "family": "all", "model": "m"}
    numbers = {"top1": 0.5, "top1_low": 0.4, "top1_high": 0.6, "ceiling1": 0.9, "ece": 0.1}
    return {**about, "seed": 0, "target": "crystal_system", "n": 10, **numbers, **changed}


def card(kind="simxrd", **options):
    architecture = {"name": "m", "kind": kind, "parameters": 12, "hyperparameters": options}
    return {"architecture": architecture, "patterns": 640, "cpu_seconds": 2.5}


def test_a_row_says_which_network_learnt_what_under_which_split():
    cards = {("a", "all", 0): card(name="CNN5", version="repaired")}
    (row,) = model_rows([record(trained_target="crystal_system")], cards, CONFIG)
    assert (row["name"], row["version"], row["split"]) == ("CNN5", "repaired", "contiguous")
    assert (row["remedy"], row["learning_rate"], row["parameters"]) == ("focal", 0.1, 12)
    assert (row["cpu_seconds"], row["macro_f1"], row["ece"]) == (2.5, None, 0.1)
    # Table 2 of SimXRD-4M: CNN5 on crystal systems.
    assert [(p, a) for p, a, _ in row["published"]] == [("in-library", 0.517), ("out-of-library", 0.495)]
    muon = {**CONFIG, "train": {"learning_rate": 0.002, "muon_learning_rate": 0.04, "optimizer": "muon"}}
    assert model_rows([record()], cards, muon)[0]["learning_rate"] == 0.04
    muon["experiments"] = {"a": {"training": {"optimizer": "adam"}}}
    assert model_rows([record()], cards, muon)[0]["learning_rate"] == 0.002
    (row,) = model_rows([record(experiment="b", test_set="other")], {}, CONFIG)
    assert (row["split"], row["remedy"], row["parameters"]) == ("lattice", "", None)
    (row,) = model_rows([record(test_set="cddd-lattice")], {}, CONFIG)
    assert row["split"] == "protostructure"  # of the crystals that are copied


def test_a_model_is_judged_by_what_it_was_made_to_tell():
    of_systems = [
        record(trained_target="crystal_system", target=target)
        for target in ("extinction_class", "spacegroup", "crystal_system")
    ]
    assert [row["target"] for row in model_rows(of_systems, {}, CONFIG)] == ["crystal_system"]
    of_groups = [
        record(trained_target="spacegroup", target=t, n=n)
        for t, n in (("extinction_class", 5), ("spacegroup", 5), ("spacegroup", 0))
    ]
    assert [row["target"] for row in model_rows(of_groups, {}, CONFIG)] == ["extinction_class", "spacegroup"]


def test_seeds_are_one_row_of_means_that_keeps_how_far_they_lie_apart():
    rows = model_rows([record(seed=s, top1=t) for s, t in ((0, 0.5), (1, 0.7))], {}, CONFIG)
    (row,) = mean_of_seeds(rows)
    assert (row["seeds"], row["accuracies"], row["top1"]) == (2, [0.5, 0.7], pytest.approx(0.6))
    assert row["macro_f1"] is None
    # The second seed stopped early.
    cards = {("a", "all", s): {**card(), "patterns": n} for s, n in ((0, 640), (1, 321))}
    (row,) = mean_of_seeds(model_rows([record(seed=s) for s in (0, 1)], cards, CONFIG))
    assert row["patterns"] == 480


def test_published_accuracies_are_of_models_that_there_are():
    text = files("xtinct.report").joinpath("published_models.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert len(rows) == 84 + 23
    for row in rows:
        assert 0 < float(row["accuracy"]) < 1
        assert row["target"] in ("crystal_system", "spacegroup")
    known = json.dumps(TypeAdapter(AnyModel).json_schema())
    for kind, name in {(row["kind"], row["name"]) for row in rows}:
        assert f'"{kind}"' in known
        assert not name or f'"{name}"' in known or name.isdigit()


def test_libraries_are_compared_where_both_are_there(tmp_path):
    rows = [
        {
            **{"experiment": "a", "train_set": "cddd", "target": "spacegroup", "family": "all", "seed": 0},
            **{"protocol": protocol, "crystals": 7, "n": 14},
            **{"top1": top1, "top1_low": 0, "top1_high": 1, "macro_f1": 0.2},
        }
        for protocol, top1 in (("in-library", 0.9), ("out-of-library", 0.4))
    ]
    write_csv(tmp_path / "libraries.csv", rows)
    (row,) = library_rows(read_tables([tmp_path / "libraries.csv"])["libraries"])
    assert (row["in_library"]["top1"], row["out_of_library"]["top1"], row["seed"]) == (0.9, 0.4, "0")
    assert library_rows(read_tables([tmp_path / "libraries.csv"])["libraries"][:1]) == []


def test_crystal_systems_have_a_matrix_of_their_own():
    cell = {**record(), "target": "crystal_system", "true": "cubic", "predicted": "hexagonal", "count": "3"}
    classes = [
        {"family": "cubic", "symbol": "F - - -", "members": [225]},
        {"family": "trigonal-hexagonal", "symbol": "P - - -", "members": [143, 168]},
    ]
    data = confusion_data(system_rows([cell]), classes)
    (matrix,) = data["matrices"]
    labels = data["labels"]["all"]["crystal_system"]
    true, predicted, count = matrix["cells"]
    assert (labels[true], labels[predicted], count) == ("cubic", "hexagonal", 3)
    assert set(labels) == {"cubic", "trigonal", "hexagonal"}


@pytest.fixture
def results(report):
    return Results(read_inputs(report["paths"]), report["config"], report["provenance"])


def test_every_evaluation_of_the_build_has_its_row(results):
    shown = all_models.content(results).shown["models"]
    assert len(shown) == len(results.records)
    assert all(row["matrix"] for row in shown)
    assert {row["called"] for row in shown} == {"logq"}
    assert {row["trained"] for row in shown} == {"CDDD", "ULBD (streamed)"}


def test_figures_are_those_of_experiments_that_ask_for_them(results):
    assert portraits.content(results) is None
    charts = portraits.curve_charts(results.inputs.trainings)
    loss = next(chart for chart in charts if chart["what"] == "loss")
    assert [point[1] for point in loss["series"][0]["points"]] == pytest.approx([1 / i for i in range(1, 9)])
    asked = dict(results.config) | {"experiments": {"ulbd": {"figures": True}}}
    of_ulbd = portraits.content(Results(results.inputs, asked, {})).script["portraits"]
    assert {chart["experiment"] for chart in of_ulbd} == {"ulbd, cubic", "ulbd, tetragonal"}


@pytest.mark.parametrize("target", ["crystal_system", "extinction_class"])
def test_certainties_of_right_and_wrong_answers_add_up(target):
    """Of the target that the model was trained for, wherever it stands among the others."""
    head = {"experiment": "a", "family": "all", "seed": "0", "test_set": "ulbd", "calibrated": "True"}
    rows = [
        {**head, "target": of, "low": low, "high": "", "n": n, "probability": "0.5"}
        | {"accuracy": accuracy, "accuracy_low": "0", "accuracy_high": "1"}
        for of, low, n, accuracy in (
            (target, "0.2", "10", "0.3"),
            (target, str(14 / 15), "30", "0.9"),
            ("spacegroup", "0.0", "999", "1"),
        )
    ]
    histogram, curve = portraits.certainty_charts(rows, {"a": target})
    assert portraits.certainty_charts(rows, {"b": target}) == []
    right, wrong = ([point[1] for point in series["points"]] for series in histogram["series"])
    assert (right[3], wrong[3]) == pytest.approx((3 / 40, 7 / 40))
    assert (right[14], wrong[14]) == pytest.approx((27 / 40, 3 / 40))
    assert sum(right) + sum(wrong) == pytest.approx(1)
    assert len(right) == 15
    assert [point[1] for point in curve["series"][0]["points"]] == [0.3, 0.9]
    assert curve["series"][0]["name"] == target.replace("_", " ")


def test_tables_of_figures_become_charts(tmp_path):
    head = {
        "experiment": "a",
        "train_set": "cddd",
        "test_set": "cddd",
        "family": "all",
        "model": "m",
        "seed": 0,
    }
    features = [
        {**head, "x": 1, "y": 2, "crystal_system": s, "label": s, "predicted": "cubic"}
        | {"right": s == "cubic"}
        for s in ("triclinic", "cubic", "cubic")
    ]
    write_csv(tmp_path / "cddd.features.csv", features)
    bins = [
        {
            **head,
            "quantity": "volume",
            "unit": "cubic angstrom",
            "low": low,
            "high": 2 * low,
            "n": 4,
            "right": 3,
        }
        | {"error": 0.25, "error_low": 0.1, "error_high": 0.5}
        for low in (10, 20)
    ]
    write_csv(tmp_path / "cddd.descriptors.csv", bins)
    trees = [
        {
            "experiment": "a",
            "family": "all",
            "seed": 0,
            "two_theta_low": 5,
            "two_theta_high": 6,
            "importance": 1,
        }
    ]
    write_csv(tmp_path / "importances.csv", trees)
    tables = read_tables(sorted(tmp_path.iterdir()))
    (map_,) = portraits.map_charts(tables["features"])
    assert {series["name"]: len(series["points"]) for series in map_["series"]} == {
        "triclinic": 1,
        "cubic": 2,
    }
    sides, errors = portraits.descriptor_charts(tables["descriptors"])
    assert [point[:2] for point in sides["series"][1]["points"]] == [[15, 1], [30, 1]]
    assert errors["series"][0]["points"][0][1:4] == [0.25, 0.1, 0.5]
    (importance,) = portraits.importance_charts(tables["importances"])
    assert importance["bin"] == 1

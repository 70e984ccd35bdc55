import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from xtinct.ceiling.extinction import ceiling_of_samples
from xtinct.ceiling.hypotheses import Window
from xtinct.errors import XtinctError
from xtinct.evaluation.evaluation_records import TARGETS, ceilings_of
from xtinct.evaluation.methods import ModelFolder
from xtinct.evaluation.networks import TABLES, evaluate_model
from xtinct.evaluation.speed import speeds_in
from xtinct.evaluation.test_sets import TestSet
from xtinct.files.schema import PREDICTIONS, check_table
from xtinct.learning.card import save_model
from xtinct.learning.models import build_model
from xtinct.learning.training import train_model
from xtinct.learning.training_settings import TrainingSettings
from xtinct.patterns.instrument import Instrument
from xtinct.scores.calibration import COVERAGES
from xtinct.scores.outputs import ALL, Outputs
from xtinct.symmetry.classes import extinction_classes
from xtinct.symmetry.families import space_groups


@pytest.fixture
def evaluate(model_dir, settings, tmp_path):
    def run(path, **options):
        test = TestSet("held-out", [path], **{"instrument": settings["instrument"], "split": None} | options)
        model = ModelFolder(model_dir, "cpu", "float32")
        records = evaluate_model(model, test, tmp_path / "r.json", tmp_path / "r.parquet")
        assert json.loads((tmp_path / "r.json").read_text()) == records
        return {record["target"]: record for record in records}, pq.read_table(tmp_path / "r.parquet")

    return run


def test_records_agree_with_the_predictions_and_keep_the_bounds(evaluate, write_lines):
    records, table = evaluate(write_lines(list(space_groups("cubic")) * 4))
    check_table(table, PREDICTIONS, "predictions")
    rows = table.to_pylist()
    assert [row["sample_id"] for row in rows] == [f"t-{i:05d}" for i in range(144)]
    keys = (
        ("extinction_class", "classes", "extinction_class"),
        ("spacegroup", "groups", "spacegroup_number"),
    )
    for target, ranked, truth in keys:
        record = records[target]
        assert (record["n"], record["n_cells"], record["n_unseen"]) == (144, 144, 0)
        assert record["family"] == "cubic"
        assert record["ece_low"] <= record["ece"] <= record["ece_high"]
        for what in ("1", "256", "lines"):
            assert record[f"patterns_per_second_cpu_{what}"] > 0
            # Whatever the machine has, the model was to keep to the processors.
            assert record[f"patterns_per_second_gpu_{what}"] is None
        for k in range(1, 6):
            top = np.mean([row[truth] in row[ranked][:k] for row in rows])
            assert record[f"top{k}"] == pytest.approx(top)
            assert record[f"top{k}_low"] <= top <= record[f"top{k}_high"]
    ceilings = ceiling_of_samples(np.array([row["spacegroup_number"] for row in rows]))
    # Groups of a class cannot be told apart, so with equal numbers of each group no model passes it.
    for k in range(1, 6):
        assert records["spacegroup"][f"ceiling{k}"] == pytest.approx(ceilings[k])
        assert records["spacegroup"][f"top{k}"] <= ceilings[k] + 0.1
    assert records["extinction_class"]["ceiling1"] == 1
    assert records["extinction_class"]["top1"] > 0.3
    for row in rows:
        assert row["class_probabilities"] == sorted(row["class_probabilities"], reverse=True)
        assert sum(row["group_probabilities"]) <= 1 + 1e-5


def test_a_speed_is_measured_once_for_all_test_sets(model_dir, settings, write_lines, tmp_path):
    files = tmp_path / "r.json", tmp_path / "r.parquet"
    model = ModelFolder(model_dir, "cpu", "float32")
    lines = write_lines(list(space_groups("cubic")))
    nothing = TestSet("nothing", [lines], settings["instrument"], split="calibration")
    assert speeds_in(evaluate_model(model, nothing, *files)) is None
    test = TestSet("held-out", [lines], settings["instrument"])
    measured = speeds_in(evaluate_model(model, test, *files))
    assert measured["patterns_per_second_cpu_1"] > 0
    assert speeds_in(evaluate_model(model, test, *files, speed=measured)) == measured


def test_only_the_samples_of_the_split_are_judged(evaluate, write_lines):
    records, table = evaluate(write_lines(list(space_groups("cubic"))), split="test")
    assert records["spacegroup"]["n"] == 12
    assert table["sample_id"].to_pylist() == [f"t-{i:05d}" for i in range(2, 36, 3)]


def test_an_empty_split_gives_records_without_numbers(evaluate, write_lines):
    records, table = evaluate(write_lines([225, 227], splits=("train",)), split="test")
    assert table.num_rows == 0
    for record in records.values():
        assert record["n"] == 0
        assert record["top1"] is None
        assert record["ceiling5"] is None


def test_samples_of_a_class_never_seen_in_training_are_counted(settings, tmp_path, write_lines):
    settings["experiment"]["train"] = "ulbd"
    groups = [group for group in space_groups("cubic") if group != 230]
    settings["datasets"] = {"ulbd": [write_lines(groups, splits=("train",))]}
    train_model(TrainingSettings.from_config(settings), tmp_path / "m")
    path = write_lines([230, 225, 230], name="test.parquet", splits=("test",))
    test = TestSet("other", [path], settings["instrument"])
    records = evaluate_model(ModelFolder(tmp_path / "m"), test, tmp_path / "r.json", tmp_path / "r.parquet")
    assert [(record["n"], record["n_unseen"]) for record in records] == [(3, 2), (3, 2)]


def test_another_instrument_is_refused_by_name(evaluate, write_lines, settings):
    path = write_lines([225])
    with pytest.raises(
        XtinctError, match=r"instrument: wavelength is 0\.7093, but the model was trained for 1\.5406"
    ):
        evaluate(path, instrument=settings["instrument"] | {"wavelength": 0.7093})


def test_files_of_the_training_set_are_no_test_whatever_their_name(settings, tmp_path, write_lines):
    """Also where they are one part of a mixture; their test split is one, and so is another file."""
    stored = write_lines(list(space_groups("cubic")), name="a.parquet", splits=("train", "test"))
    settings["experiment"] |= {"train": {"stored": 1, "ulbd-online": 1}, "patterns": 32}
    settings["datasets"] = {"stored": [stored]}
    settings["train"]["validation_patterns"] = 0
    train_model(TrainingSettings.from_config(settings), tmp_path / "mixed")

    def evaluated(path, split):
        test = TestSet("another name", [path], settings["instrument"], split)
        model = ModelFolder(tmp_path / "mixed", "cpu")
        return evaluate_model(model, test, tmp_path / "r.json", tmp_path / "r.parquet")

    renamed = stored.rename(tmp_path / "b.parquet")
    for split in (None, "train"):
        with pytest.raises(XtinctError, match=r"b\.parquet: the model was trained on part of it"):
            evaluated(renamed, split)
    assert evaluated(renamed, "test")[0]["n"] == 18
    other = write_lines([225, 227], name="c.parquet")
    assert evaluated(other, None)[0]["n"] == 2


def read_table(tmp_path, name):
    with (tmp_path / f"r.{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_tables_of_an_evaluation_tell_what_its_predictions_do(evaluate, write_lines, tmp_path):
    records, table = evaluate(write_lines(list(space_groups("cubic")) * 6), split="test")
    n = table.num_rows
    class_of = {g: c.symbol for c in extinction_classes("cubic") for g in c.members}
    rows = table.to_pylist()
    across = [class_of[row["groups"][0]] != row["extinction_class"] for row in rows]
    wrong = [row["groups"][0] != row["spacegroup_number"] for row in rows]
    record = records["spacegroup"]
    assert record["across_class"] == pytest.approx(np.mean(across))
    assert record["within_class"] == pytest.approx(np.mean(wrong) - np.mean(across))
    assert records["extinction_class"]["within_class"] == 0

    tables = {name: read_table(tmp_path, name) for name in TABLES}
    for target in TARGETS:
        labels = [row for row in tables["labels"] if row["target"] == target]
        assert sum(int(row["n"]) for row in labels) == sum(int(row["n_predicted"]) for row in labels) == n
        assert sum(int(row["right"]) for row in labels) / n == pytest.approx(records[target]["top1"])
        for kind in ("within", "across"):
            errors = sum(int(row[f"n_{kind}"]) for row in labels) / n
            assert errors == pytest.approx(records[target][f"{kind}_class"])
        everything = next(
            row for row in tables["abstention"] if row["target"] == target and row["coverage"] == "1.0"
        )
        assert float(everything["accuracy"]) == pytest.approx(records[target]["top1"])
        for calibrated in ("True", "False"):
            bins = [
                row
                for row in tables["reliability"]
                if (row["target"], row["calibrated"]) == (target, calibrated)
            ]
            assert sum(int(row["n"]) for row in bins) == n
    for row in tables["sets"]:
        assert (row["experiment"], row["test_set"], row["family"]) == ("small", "held-out", "cubic")
        for name in ("held", "size", "single", "empty"):
            assert float(row[f"{name}_low"]) <= float(row[name]) <= float(row[f"{name}_high"])
    by_training = [row for row in tables["sets"] if row["calibrated_on"] == "training"]
    assert [float(row["coverage"]) for row in by_training] == list(COVERAGES)
    sizes = [float(row["size"]) for row in by_training]
    assert sizes == sorted(sizes)


def test_sets_by_validation_promise_what_its_crystals_allow(evaluate, write_lines, tmp_path):
    """60 samples of 5 crystals: of six, the new one is the worst more often than in 5 % of the cases."""
    evaluate(write_lines([225] * 120, splits=("validation", "test")), split="test")
    rows = [row for row in read_table(tmp_path, "sets") if row["calibrated_on"] == "validation"]
    sizes = {float(row["coverage"]): float(row["size"]) for row in rows}
    assert (sizes[0.95], sizes[0.99]) == (17, 17)
    assert sizes[0.8] < 17


def save_joint(settings, folder, target):
    """A model of all families with its first weights."""
    outputs = Outputs.of(ALL, target)
    options = {"points": 256, "width": 8, "hidden": 32}
    torch.manual_seed(1)
    model = build_model("logq", Instrument.from_config(settings["instrument"]), len(outputs), options)
    card = {
        "experiment": "joint",
        "train_set": "ulbd-online",
        "family": ALL,
        "target": target,
        "seed": 0,
        "architecture": {"name": "small", "kind": "logq", "hyperparameters": options},
        "instrument": settings["instrument"],
        "outputs": outputs.to_list(),
        "unseen_outputs": [],
        "training_digest": "none",
    }
    save_model(folder, model, card)
    return ModelFolder(folder, "cpu", "float32")


def test_a_model_of_crystal_systems_is_judged_by_them_as_well(settings, write_lines, tmp_path):
    folder = save_joint(settings, tmp_path / "joint", "crystal_system")
    path = write_lines([221, 225, 230, 225] * 3, splits=("test",))
    test = TestSet("ulbd", [path], settings["instrument"])
    records = evaluate_model(folder, test, tmp_path / "r.json", tmp_path / "r.parquet")
    assert [record["target"] for record in records] == [*TARGETS, "crystal_system"]
    predictor = folder.predictor()
    raw = np.concatenate([predictor.outputs_of_lines(s.lines) for s, _ in test.parts(ALL)])
    own = predictor.outputs.symbols.index("cubic")
    for k in (1, 3):
        right = (np.argsort(-raw, axis=1)[:, :k] == own).any(axis=1)
        assert records[-1][f"top{k}"] == right.mean()
    # A cubic metric tells the system, and no two samples of a class can be confused within it.
    assert records[-1]["ceiling1"] == 1
    assert "within_class" not in records[-1]
    names = {row["label"] for row in read_table(tmp_path, "labels") if row["target"] == "crystal_system"}
    assert "cubic" in names <= set(predictor.outputs.symbols)


def test_a_joint_model_is_judged_over_all_families(settings, write_lines, tmp_path):
    """Its classes carry the family's name; the ceiling is that of the families, which the metric tells."""
    model = save_joint(settings, tmp_path / "joint", "extinction_class")
    path = write_lines([221, 225, 230, 225], splits=("test",))
    test = TestSet("ulbd", [path], settings["instrument"])
    records = evaluate_model(model, test, tmp_path / "r.json", tmp_path / "r.parquet")
    assert [(r["family"], r["n"], r["ceiling1"]) for r in records] == [(ALL, 4, 1), (ALL, 4, 1)]
    table = pq.read_table(tmp_path / "r.parquet").to_pylist()
    assert [row["extinction_class"] for row in table] == [
        "cubic P - - -", "cubic F - - -", "cubic I a - d", "cubic F - - -",
    ]  # fmt: skip
    assert not any(row["calibrated_on"] == "training" for row in read_table(tmp_path, "sets"))

    window = Window(0.06, 0.9)
    cells = np.array([[6.0, 6, 6, 90, 90, 90]] * 2 + [[6.0, 6, 9.7, 90, 90, 90]] * 2)
    # Two groups of one class of each family: half of them can be named, whatever the other family is.
    ceilings = ceilings_of(np.array([221, 200, 123, 75]), cells, window, "spacegroup")
    assert ceilings[1] == pytest.approx([0.5] * 4)
    assert ceilings[2] == pytest.approx([1] * 4)

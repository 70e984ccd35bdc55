import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner

import xtinct
from xtinct.cli import cli
from xtinct.diffraction.instrument import Instrument
from xtinct.diffraction.lattice import LatticeSpec
from xtinct.diffraction.profile import render
from xtinct.errors import XtinctError
from xtinct.learning.calibration import COVERAGES, log_loss
from xtinct.learning.card import save_model
from xtinct.learning.evaluation import TABLES, TARGETS, ceilings_of, evaluate_model
from xtinct.learning.models import build_model
from xtinct.learning.outputs import ALL, Outputs
from xtinct.learning.prediction import Predictor
from xtinct.learning.robustness import measure_robustness
from xtinct.learning.streams import UlbdStream, read_lines
from xtinct.learning.training import train_model
from xtinct.limits.hypotheses import Window
from xtinct.schema import PREDICTIONS, check_table
from xtinct.symmetry.ceilings import ceiling_of_samples
from xtinct.symmetry.classes import extinction_classes
from xtinct.symmetry.families import space_groups


@pytest.fixture
def model_dir(settings, tmp_path):
    settings["experiment"]["patterns"] = 32 * 60
    train_model(**settings, output_dir=tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def evaluate(model_dir, settings, tmp_path):
    def run(path, **options):
        arguments = {"test_name": "held-out", "instrument": settings["instrument"], "split": None} | options
        records = evaluate_model(
            model_dir=model_dir,
            dataset_paths=[path],
            output_json=tmp_path / "r.json",
            output_parquet=tmp_path / "r.parquet",
            device="cpu",
            precision="float32",
            **arguments,
        )
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
        assert (record["n"], record["n_unseen"], record["family"]) == (144, 0, "cubic")
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
    train_model(**settings, output_dir=tmp_path / "m")
    records = evaluate_model(
        model_dir=tmp_path / "m",
        dataset_paths=[write_lines([230, 225, 230], name="test.parquet", splits=("test",))],
        test_name="other",
        instrument=settings["instrument"],
        output_json=tmp_path / "r.json",
        output_parquet=tmp_path / "r.parquet",
    )
    assert [(record["n"], record["n_unseen"]) for record in records] == [(3, 2), (3, 2)]


def test_another_instrument_is_refused_by_name(evaluate, write_lines, settings):
    path = write_lines([225])
    with pytest.raises(
        XtinctError, match=r"instrument: wavelength is 0\.7093, but the model was trained for 1\.5406"
    ):
        evaluate(path, instrument=settings["instrument"] | {"wavelength": 0.7093})


def test_all_samples_of_the_training_set_are_no_test(evaluate, write_lines):
    with pytest.raises(XtinctError, match="trained on part of it"):
        evaluate(write_lines([225]), test_name="ulbd-online")


def test_lines_and_their_patterns_get_the_same_answer(model_dir, write_lines, settings):
    predictor = Predictor(model_dir, device="cpu")
    samples, _ = next(read_lines(write_lines(list(space_groups("cubic"))), family="cubic"))
    patterns = render(samples.lines, Instrument.from_config(settings["instrument"]))
    by_lines = predictor.from_lines(samples.lines)
    by_patterns = predictor.from_patterns(patterns * 37.0)
    assert by_lines.group_probabilities == pytest.approx(by_patterns.group_probabilities, abs=1e-5)
    assert by_lines.class_probabilities.sum(axis=1) == pytest.approx(1)
    classes = by_lines.top_classes(0, 3)
    assert [p for _, p in classes] == sorted((p for _, p in classes), reverse=True)
    assert len(by_lines.top_groups(0, 5)) == 5


def test_the_prior_is_swapped_at_prediction(model_dir, write_lines):
    predictor = Predictor(model_dir, device="cpu")
    samples, _ = next(read_lines(write_lines([225]), family="cubic"))
    common = predictor.from_lines(samples.lines, prior={225: 1.0})
    rare = predictor.from_lines(samples.lines, prior={196: 1.0})
    f_class = common.class_symbols.index("F - - -")
    at = {int(g): i for i, g in enumerate(common.groups)}
    assert common.class_probabilities == pytest.approx(rare.class_probabilities)
    assert common.group_probabilities[0, at[225]] == pytest.approx(common.class_probabilities[0, f_class])
    assert rare.group_probabilities[0, at[225]] == 0


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (np.ones(1000), "pattern of 1000 points: the model takes 1024"),
        (np.zeros(1024), "somewhere positive"),
        (np.full(1024, np.nan), "must be finite"),
    ],
)
def test_patterns_that_are_none_are_refused(model_dir, pattern, message):
    with pytest.raises(XtinctError, match=message):
        Predictor(model_dir, device="cpu").from_patterns(pattern)


def test_broken_model_folders_are_refused_by_name(model_dir, tmp_path):
    with pytest.raises(XtinctError, match=r"nowhere/card\.json: no such file"):
        Predictor(tmp_path / "nowhere")
    card = json.loads((model_dir / "card.json").read_text())
    (model_dir / "card.json").write_text(json.dumps({k: v for k, v in card.items() if k != "outputs"}))
    with pytest.raises(XtinctError, match="the key 'outputs' is missing"):
        Predictor(model_dir)
    card["architecture"]["hyperparameters"]["width"] = 9
    (model_dir / "card.json").write_text(json.dumps(card))
    with pytest.raises(XtinctError, match="not the weights of its card"):
        Predictor(model_dir)
    weights = (model_dir / "model.safetensors").read_bytes()
    (model_dir / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(XtinctError, match="not the weights of its card"):
        Predictor(model_dir)


def test_a_pickle_in_place_of_the_weights_is_not_executed(model_dir, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    torch.save(Bomb(), model_dir / "model.safetensors")
    with pytest.raises(XtinctError, match="not the weights of its card"):
        Predictor(model_dir)
    assert not (tmp_path / "executed").exists()


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
        assert float(row["held_low"]) <= float(row["held"]) <= float(row["held_high"])
    by_training = [row for row in tables["sets"] if row["calibrated_on"] == "training"]
    assert [float(row["coverage"]) for row in by_training] == list(COVERAGES)
    sizes = [float(row["size"]) for row in by_training]
    assert sizes == sorted(sizes)


def test_the_calibration_of_the_card_holds_on_fresh_samples_of_the_same_law(model_dir, settings):
    """Sets of the stated coverage, on lattices and intensities that neither training nor validation had."""
    predictor = Predictor(model_dir, device="cpu")
    fresh = UlbdStream(
        family="cubic",
        spec=LatticeSpec.from_config(settings["ulbd"]["lattices"]["cubic"]),
        d_star_max=0.94,
        intensities="uniform",
        seed=12345,
        role="fresh",
    ).take(0, 600)
    found = predictor.from_lines(fresh.lines)
    labels = predictor.outputs.class_of_group[fresh.groups]
    for coverage in COVERAGES:
        sets = found.class_sets(coverage)
        held = int(sets[np.arange(600), labels].sum())
        # The 64 calibration samples make the coverage itself a Beta(k, 65 - k) variable (Vovk 2012).
        spread = np.sqrt(coverage * (1 - coverage) * (1 / 600 + 1 / 66))
        assert held / 600 >= coverage - 4 * spread, coverage
        ranked = [symbol for symbol, _ in found.top_classes(0, int(sets[0].sum()))]
        assert set(ranked) == {found.class_symbols[i] for i in np.flatnonzero(sets[0])}
    raw = Predictor(model_dir, device="cpu", calibrated=False)
    assert raw.temperature == 1
    assert log_loss(found.class_probabilities, labels) < log_loss(
        raw.from_lines(fresh.lines).class_probabilities, labels
    )


def test_a_card_without_calibration_gives_probabilities_and_no_sets(model_dir, write_lines):
    card = json.loads((model_dir / "card.json").read_text())
    (model_dir / "card.json").write_text(json.dumps({**card, "calibration": None}))
    predictor = Predictor(model_dir, device="cpu")
    samples, _ = next(read_lines(write_lines([225]), family="cubic"))
    found = predictor.from_lines(samples.lines)
    assert found.class_probabilities.sum() == pytest.approx(1)
    with pytest.raises(XtinctError, match="has no calibration"):
        found.class_sets(0.95)
    (model_dir / "card.json").write_text(json.dumps({**card, "calibration": {"temperature": 2}}))
    with pytest.raises(XtinctError, match="calibration"):
        Predictor(model_dir, device="cpu")


def test_worse_measurements_are_judged_on_the_same_samples(model_dir, write_lines, settings, tmp_path):
    path = write_lines(list(space_groups("cubic")) * 6, splits=("test",))
    rows = measure_robustness(
        model_dir=model_dir,
        dataset_paths=[path],
        test_name="held-out",
        instrument=settings["instrument"],
        robustness={
            "patterns": 216,
            "counts": [1e12],
            "width_factor": [1.0],
            "zero_shift": [0.0, 8.0],
            "start": [5],
            "end": [90, 6],
        },
        output_csv=tmp_path / "robustness.csv",
        device="cpu",
        precision="float32",
    )
    with (tmp_path / "robustness.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(rows) == 2 * 8
    found = {(r["condition"], r["value"]): r for r in rows if r["target"] == "extinction_class"}
    as_configured = found.pop(("none", ""))
    nothing_left, shifted = found.pop(("end", 6)), found.pop(("zero_shift", 8.0))
    assert as_configured["n"] == 216
    assert as_configured["ceiling"] == 1
    for row in found.values():  # conditions that change nothing
        assert row["top1"] == pytest.approx(as_configured["top1"], abs=0.03)
        assert row["ceiling"] == 1
    assert shifted["top1"] < as_configured["top1"]
    # Without a line the best answer is the class with most samples: I - - - holds 6 of the 36 groups.
    assert nothing_left["ceiling"] == pytest.approx(6 / 36)
    assert nothing_left["top1"] <= nothing_left["ceiling"] + 0.02


def test_a_measured_pattern_is_answered_like_its_lines(model_dir, write_lines, settings, tmp_path):
    """Also at another wavelength, where it covers the model's range; refused or filled where it does not."""
    samples, _ = next(read_lines(write_lines([230, 225]), family="cubic"))
    expected = Predictor(model_dir, device="cpu").from_lines(samples.lines).top_classes(0)
    fine = Instrument.from_config(
        settings["instrument"] | {"two_theta": {"min": 4, "max": 92, "points": 8192}}
    )
    pattern = 900 * render(samples.lines, fine)[0]
    answer = xtinct.predict(fine.two_theta, pattern, 1.5406, models=model_dir)["cubic"]
    assert [symbol for symbol, _ in answer["classes"]][:2] == [symbol for symbol, _ in expected][:2]
    assert answer["classes"][0][1] == pytest.approx(expected[0][1], abs=0.05)
    assert answer["set"][0] == answer["classes"][0][0]
    with pytest.raises(XtinctError, match=r"coverage 0\.5: the model's sets are calibrated for"):
        xtinct.predict(fine.two_theta, pattern, 1.5406, models=model_dir, coverage=0.5)
    with pytest.raises(XtinctError, match="the model needs"):
        xtinct.predict(fine.two_theta, pattern, 1.7902, models=model_dir)

    path = tmp_path / "measured.xy"
    np.savetxt(path, np.stack([fine.two_theta, pattern], axis=1), header="2theta counts")
    arguments = ["predict", str(path), "--models", str(model_dir), "--wavelength"]
    told = CliRunner().invoke(cli, [*arguments, "1.5406", "--json"], catch_exceptions=False)
    assert json.loads(told.output)[str(path)]["cubic"]["set"] == answer["set"]
    filled = CliRunner().invoke(
        cli, [*arguments, "1.7902", "--fill-missing", "--subtract-background"], catch_exceptions=False
    )
    assert filled.exit_code == 0
    assert filled.output.count(" *") == len(
        json.loads(
            CliRunner()
            .invoke(cli, [*arguments, "1.7902", "--fill-missing", "--subtract-background", "--json"])
            .output
        )[str(path)]["cubic"]["set"][:5]
    )


def test_a_joint_model_is_judged_over_all_families(settings, write_lines, tmp_path):
    """Its classes carry the family's name; the ceiling is that of the families, which the metric tells."""
    outputs = Outputs.of(ALL, "extinction_class")
    options = {"points": 256, "width": 8, "hidden": 32}
    torch.manual_seed(1)
    model = build_model("logq", Instrument.from_config(settings["instrument"]), len(outputs), options)
    card = {
        "experiment": "joint",
        "train_set": "ulbd-online",
        "family": ALL,
        "target": "extinction_class",
        "seed": 0,
        "architecture": {"name": "small", "kind": "logq", "hyperparameters": options},
        "instrument": settings["instrument"],
        "outputs": outputs.to_list(),
        "unseen_outputs": [],
        "training_digest": "none",
    }
    save_model(tmp_path / "joint", model, card)
    records = evaluate_model(
        model_dir=tmp_path / "joint",
        dataset_paths=[write_lines([221, 225, 230, 225], splits=("test",))],
        test_name="ulbd",
        instrument=settings["instrument"],
        output_json=tmp_path / "r.json",
        output_parquet=tmp_path / "r.parquet",
        device="cpu",
    )
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

import numpy as np
import pytest

from xtinct.errors import XtinctError
from xtinct.evaluation.libraries import _InARow, by_library
from xtinct.evaluation.methods import ModelFolder
from xtinct.evaluation.test_sets import TestSet
from xtinct.learning.predictor import Predictor
from xtinct.learning.training import train_model
from xtinct.learning.training_settings import TrainingSettings
from xtinct.linelists.line_tables import read_lines


def test_a_model_that_knows_its_crystals_by_heart_knows_no_others(settings, write_lines, tmp_path):
    """Groups of one class differ in random intensities alone, so that there is nothing to learn."""
    of_classes = (195, 200, 207, 215, 221), (196, 202, 209, 216, 225), (197, 204, 211, 217, 229)
    groups = [group for members in of_classes for group in members for _ in range(5)]
    path = write_lines(groups, splits=("train",) * 4 + ("test",))
    settings["models"] = {"small": {"kind": "extratrees", "trees": 60, "min_leaf": 1}}
    settings["datasets"] = {"cddd": [path]}
    settings["experiment"] |= {
        "train": "cddd",
        "target": "spacegroup",
        "patterns": 32 * 20,
        "variation": {"counts": [1e4, 1e6]},
    }
    train_model(TrainingSettings.from_config(settings), tmp_path / "m")
    model = ModelFolder(tmp_path / "m", "cpu", "float32")
    inside, outside = by_library(model, [path], times=3)
    assert (inside["protocol"], inside["crystals"], inside["n"]) == ("in-library", 60, 180)
    assert (outside["protocol"], outside["crystals"], outside["n"]) == ("out-of-library", 15, 45)
    assert inside["top1"] > 0.9
    assert inside["top1_low"] > outside["top1_high"]
    assert by_library(model, [path], times=3) == [inside, outside]
    # Where no crystal is left for a test, nothing is said of it.
    every = write_lines(groups, name="every.parquet", splits=("train",))
    assert [row["protocol"] for row in by_library(model, [every], times=1)] == ["in-library"]


def test_crystals_are_changed_and_mixed_as_in_training(settings, write_lines, tmp_path, monkeypatch):
    """Of the law, what happens to the samples counts as well: lattices that grow, lines of another phase."""
    path = write_lines([195, 196, 197, 225] * 6, splits=("train", "test"))
    settings["datasets"] = {"cddd": [path]}
    settings["experiment"] |= {
        "train": "cddd",
        "target": "spacegroup",
        "patterns": 32,
        "variation": {"d_scale": [0.95, 0.99], "foreign_phase": [0.1, 0.5]},
    }
    train_model(TrainingSettings.from_config(settings), tmp_path / "m")
    asked, outputs_of_lines = [], Predictor.outputs_of_lines

    def listening(self, lines, **others):
        asked.append((lines, others["conditions"]))
        return outputs_of_lines(self, lines, **others)

    monkeypatch.setattr(Predictor, "outputs_of_lines", listening)
    by_library(ModelFolder(tmp_path / "m", "cpu", "float32"), [path], times=3)
    stored = [next(read_lines(path, family="cubic", split=split))[0].lines for split in ("train", "test")]
    for (lines, conditions), known in zip(asked, stored, strict=True):
        assert len(lines) == len(conditions.foreign) == 3 * len(known) == 36
        scale = [known[i // 3][0] / lines[i][0] for i in range(36)]
        assert all(np.ptp(ratios) < 1e-5 for ratios in scale)
        first = np.array([ratios[0] for ratios in scale])
        assert first.min() > 0.949
        assert first.max() < 0.991
        assert len(np.unique(first.round(6))) > 30


def test_crystals_of_several_files_come_in_a_row_and_begin_again(settings, write_lines):
    """Each file holds some of the part or none; the crystals are those of all, in the order of the files."""
    paths = [
        write_lines([195, 196, 197], name="one.parquet", splits=("train",)),
        write_lines([198], name="none.parquet", splits=("test",)),
        write_lines([199, 200], name="two.parquet", splits=("train",)),
    ]
    crystals = _InARow.of(TestSet("train", paths, settings["instrument"], "train"), "cubic", 2)
    assert crystals.take(1, 11).groups.tolist() == [195, 196, 196, 197, 197, 199, 199, 200, 200, 195, 195]
    (stored, _), *_ = read_lines(paths[2], family="cubic", split="train")
    taken = crystals.take(4, 4)
    assert taken.groups.tolist() == [197, 197, 199, 199]
    for i in (2, 3):
        assert (taken.lines[i][0] == stored.lines[0][0]).all()
        assert (taken.cells[i] == stored.cells[0]).all()
    assert _InARow.of(TestSet("none", paths[:1], settings["instrument"], "test"), "cubic", 2).files == []


def test_a_model_of_one_condition_has_no_crystals_to_measure_anew(model_dir, write_lines):
    with pytest.raises(XtinctError, match="trained under one measuring condition"):
        by_library(ModelFolder(model_dir, "cpu", "float32"), [write_lines([225])])

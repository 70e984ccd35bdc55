import pytest

from xtinct.errors import XtinctError
from xtinct.evaluation.libraries import by_library
from xtinct.evaluation.methods import ModelFolder
from xtinct.learning.training import train_model
from xtinct.learning.training_settings import TrainingSettings


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


def test_a_model_of_one_condition_has_no_crystals_to_measure_anew(model_dir, write_lines):
    with pytest.raises(XtinctError, match="trained under one measuring condition"):
        by_library(ModelFolder(model_dir, "cpu", "float32"), [write_lines([225])])

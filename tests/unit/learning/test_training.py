import contextlib
import csv
import json
import os
import signal
import stat
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from xtinct.errors import XtinctError
from xtinct.learning import fitting
from xtinct.learning.card import save_model
from xtinct.learning.checkpoint import NAME
from xtinct.learning.fitting import Run
from xtinct.learning.training import train_model
from xtinct.learning.training_settings import TrainingSettings
from xtinct.symmetry.families import space_groups


class Interruption(BaseException):
    pass


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


def test_training_learns_writes_its_card_and_leaves_no_checkpoint(settings, tmp_path):
    settings["experiment"]["patterns"] = 32 * 150
    card = train_model(TrainingSettings.from_config(settings), tmp_path / "m")
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == [
        "card.json",
        "history.csv",
        "model.safetensors",
    ]
    assert json.loads((tmp_path / "m" / "card.json").read_text()) == {"format": "xtinct-model/1", **card}
    # Always naming the largest class, F - - - with 5 of 36 groups, would be right 14 times in 100.
    assert card["metrics"]["validation_accuracy"] > 0.3
    assert card["metrics"]["validation_n"] == 64
    with (tmp_path / "m" / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [75, 150]
    assert float(rows[0]["loss"]) > float(rows[1]["loss"])
    assert float(rows[1]["validation_ceiling"]) == 1


def test_one_seed_gives_one_model_and_another_seed_another(settings, tmp_path):
    for name in ("a", "b"):
        train_model(TrainingSettings.from_config(settings), tmp_path / name)
    train_model(TrainingSettings.from_config(settings | {"seed": 4}), tmp_path / "c")
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert (tmp_path / "a" / "history.csv").read_bytes() == (tmp_path / "b" / "history.csv").read_bytes()
    assert weights(tmp_path / "a") != weights(tmp_path / "c")


@pytest.mark.parametrize("model", [None, {"kind": "parkcnn", "size": "small", "dropout": True}])
def test_an_interrupted_run_goes_on_to_the_same_result(settings, tmp_path, monkeypatch, model):
    """Interrupted twice, before and after the first validation; also with dropout masks."""
    if model:
        settings["models"] = {"small": model}
    train_model(TrainingSettings.from_config(settings), tmp_path / "whole")
    monkeypatch.setattr(fitting, "CHECKPOINT_SECONDS", 0.0)
    real_step, steps = Run.gradients, []

    def interrupted_step(*args):
        steps.append(1)
        if len(steps) in (13, 27):
            raise Interruption
        return real_step(*args)

    monkeypatch.setattr(Run, "gradients", interrupted_step)
    for _ in range(2):
        with pytest.raises(Interruption):
            train_model(TrainingSettings.from_config(settings), tmp_path / "parts")
        assert (tmp_path / "parts" / NAME).exists()
    train_model(TrainingSettings.from_config(settings), tmp_path / "parts")
    assert len(steps) == 40 + 2  # no step was repeated but the two that were interrupted
    assert weights(tmp_path / "whole") == weights(tmp_path / "parts")
    assert (tmp_path / "whole" / "history.csv").read_bytes() == (
        tmp_path / "parts" / "history.csv"
    ).read_bytes()


def test_a_killed_process_leaves_nothing_broken_and_is_continued(settings, tmp_path):
    """SIGKILL at a random moment between checkpoints, then the same call again."""
    train_model(TrainingSettings.from_config(settings), tmp_path / "whole")
    code = (
        "import json, sys\nfrom xtinct.learning import fitting, training, training_settings\n"
        "fitting.CHECKPOINT_SECONDS = 0.0\n"
        "told = training_settings.TrainingSettings.from_config(json.loads(sys.argv[1]))\n"
        "training.train_model(told, sys.argv[2])"
    )
    folder = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", code, json.dumps(settings), str(folder)])
    deadline = time.monotonic() + 60
    while not (folder / NAME).exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.05)
    process.kill()
    assert process.wait() == -signal.SIGKILL, "the run was over before it could be killed"
    train_model(TrainingSettings.from_config(settings), folder)
    assert weights(folder) == weights(tmp_path / "whole")
    assert not (folder / NAME).exists()


def test_a_checkpoint_of_other_settings_is_not_continued(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "CHECKPOINT_SECONDS", 0.0)
    real_step, steps = Run.gradients, []

    def interrupted_step(*args):
        steps.append(1)
        if len(steps) == 10:
            raise Interruption
        return real_step(*args)

    monkeypatch.setattr(Run, "gradients", interrupted_step)
    with pytest.raises(Interruption):
        train_model(TrainingSettings.from_config(settings), tmp_path / "m")
    changed = settings | {"seed": 4}
    train_model(TrainingSettings.from_config(changed), tmp_path / "m")
    train_model(TrainingSettings.from_config(changed), tmp_path / "clean")
    assert weights(tmp_path / "m") == weights(tmp_path / "clean")


def test_a_loss_that_is_not_finite_stops_with_one_line(settings, tmp_path):
    settings["train"] |= {
        "optimizer": "adamw",
        "learning_rate": 1e30,
        "schedule": "constant",
        "validations": 1,
    }
    with pytest.raises(
        XtinctError, match=r"training stopped at step \d+: steps in a row whose gradient is not finite: 20; "
    ) as error:
        train_model(TrainingSettings.from_config(settings), tmp_path / "m")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "m" / "card.json").exists()


def test_a_dataset_without_a_class_is_trained_and_said(settings, tmp_path, write_lines, caplog):
    groups = [group for group in space_groups("cubic") if group not in (230, 206)] * 3
    settings["experiment"]["train"] = "ulbd"
    settings["datasets"] = {"ulbd": [write_lines(groups)]}
    with caplog.at_level("WARNING"):
        card = train_model(TrainingSettings.from_config(settings), tmp_path / "m")
    # 230 is alone in its class; 206 (I a -3) shares its with 199? no: it is alone as well.
    assert card["unseen_outputs"] == ["I a - d", "I a - -"] or card["unseen_outputs"] == [
        "I a - -",
        "I a - d",
    ]
    assert "no training sample of extinction_class: " in caplog.text
    assert sum(card["group_counts"].values()) == sum(i % 3 == 0 for i in range(len(groups)))
    assert card["metrics"]["validation_n"] == sum(i % 3 == 1 for i in range(len(groups)))


def test_training_without_a_validation_split_is_possible_and_said(settings, tmp_path, write_lines, caplog):
    settings["experiment"]["train"] = "ulbd"
    settings["datasets"] = {"ulbd": [write_lines(space_groups("cubic"), splits=("train",))]}
    with caplog.at_level("WARNING"):
        card = train_model(TrainingSettings.from_config(settings), tmp_path / "m")
    assert card["metrics"]["validation_accuracy"] is None
    assert "training without validation" in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": {"device": "tpu"}}, r"train\.device: 'tpu'"),
        ({"train": {"precision": "float16"}}, r"train\.precision: 'float16'"),
        ({"experiment": {"model": "large"}}, "model 'large' is not in `models`"),
        ({"experiment": {"target": "colour"}}, "target 'colour'"),
        ({"experiment": {"train": "cddd"}}, "train 'cddd' needs its files"),
        ({"lines": {"d_star_max": 0.5}}, r"lines\.d_star_max"),
    ],
)
def test_settings_that_do_not_fit_are_refused_by_name(settings, tmp_path, change, message):
    for key, value in change.items():
        settings[key] = settings[key] | value
    with pytest.raises(XtinctError, match=message):
        train_model(TrainingSettings.from_config(settings), tmp_path / "m")


def test_bfloat16_training_is_reproducible_too(settings, tmp_path):
    settings["train"]["precision"] = "bfloat16"
    settings["experiment"]["patterns"] = 32 * 5
    for name in ("a", "b"):
        train_model(TrainingSettings.from_config(settings), tmp_path / name)
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert all(np.isfinite(v).all() for v in load_file(tmp_path / "a" / "model.safetensors").values())


def test_a_checkpoint_of_other_code_is_not_continued(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "CHECKPOINT_SECONDS", 0.0)
    real_step, steps = Run.gradients, []

    def counted(self, batch, step, progress):
        steps.append(step)
        if len(steps) == 5:
            raise Interruption
        return real_step(self, batch, step, progress)

    settings["experiment"]["patterns"] = 32 * 6
    monkeypatch.setattr(Run, "gradients", counted)
    for code, expected in (("a", list(range(5))), ("a", [4, 5])):
        steps_before = len(steps)
        with contextlib.suppress(Interruption):
            train_model(TrainingSettings.from_config(settings), tmp_path / "same", code=code)
        assert steps[steps_before:] == expected
    steps.clear()
    with pytest.raises(Interruption):
        train_model(TrainingSettings.from_config(settings), tmp_path / "other", code="a")
    train_model(TrainingSettings.from_config(settings), tmp_path / "other", code="b")
    assert steps == [*range(5), *range(6)]


def test_files_have_the_permissions_that_the_user_gives_to_files(settings, tmp_path):
    settings["experiment"]["patterns"] = 32
    before = os.umask(0o027)
    try:
        train_model(TrainingSettings.from_config(settings), tmp_path / "m")
    finally:
        os.umask(before)
    for path in (tmp_path / "m").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o640, path.name


def test_a_card_holds_finite_numbers_alone(tmp_path):
    with pytest.raises(XtinctError, match=r"card\.json: a number of the card is not finite"):
        save_model(tmp_path / "m", torch.nn.Linear(1, 1), {"loss": float("nan")})
    assert not (tmp_path / "m").exists()


def test_training_restores_the_settings_of_torch(settings, tmp_path):
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    settings["experiment"]["patterns"] = 32
    train_model(TrainingSettings.from_config(settings), tmp_path / "m")
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before

"""A network that a user's own package holds is trained, asked and refused like those of the library."""

import json

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

from xtinct.errors import XtinctError
from xtinct.learning import fitting
from xtinct.learning.import_paths import source_digest
from xtinct.learning.models import build_model
from xtinct.learning.predictor import Predictor
from xtinct.learning.training import train_model
from xtinct.learning.training_settings import TrainingSettings
from xtinct.patterns.instrument import Instrument
from xtinct.project import configuration

NETS = """
from torch import nn
from .blocks import POOL

class MyNet(nn.Module):
    def __init__(self, instrument, n_outputs, width=4):
        super().__init__()
        self.features = nn.Sequential(nn.Conv1d(1, width, 9, stride=4), nn.ReLU(), nn.AdaptiveAvgPool1d(POOL))
        self.head = nn.Linear(width * POOL, n_outputs)

    def forward(self, pattern):
        return self.head(self.features(pattern[:, None]).flatten(1))

class Shared(MyNet):
    # Two layers have one weight, and no answer depends on the other head.
    def __init__(self, instrument, n_outputs, width=4):
        super().__init__(instrument, n_outputs, width)
        self.first, self.second = (nn.Linear(width * POOL, width * POOL) for _ in range(2))
        self.second.weight = self.first.weight
        self.other_head = nn.Linear(width * POOL, n_outputs)

    def forward(self, pattern):
        features = self.features(pattern[:, None]).flatten(1)
        return self.head(self.second(self.first(features).relu()))

class Frozen(MyNet):
    def __init__(self, instrument, n_outputs):
        super().__init__(instrument, n_outputs)
        self.requires_grad_(False)

class OneTooMany(MyNet):
    def __init__(self, instrument, n_outputs):
        super().__init__(instrument, n_outputs + 1)

class Narrow(nn.Linear):
    def __init__(self, instrument, n_outputs):
        super().__init__(100, n_outputs)

def function(instrument, n_outputs):
    return None
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of the user's own in the working directory, under a name of its own in each test."""
    name = f"nets_{abs(hash(str(tmp_path)))}"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "blocks.py").write_text("POOL = 32\n")
    (folder / "nets.py").write_text(NETS)
    (folder / "broken.py").write_text("import no_such_package_anywhere\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    return folder


def test_it_is_trained_and_asked_again_from_its_folder(package, settings, tmp_path, write_lines):
    kind = f"{package.name}.nets:MyNet"
    settings["models"] = {"small": {"kind": kind, "arguments": {"width": 6}}}
    settings["experiment"]["patterns"] = 32 * 150
    settings["instrument"]["two_theta"] = {"min": 5, "max": 90, "points": 1024}
    card = train_model(TrainingSettings.from_config(settings), tmp_path / "model")
    assert card["architecture"]["kind"] == kind
    assert card["architecture"]["source"] == source_digest(kind)
    history = (tmp_path / "model/history.csv").read_text()
    assert history
    # Chance is 1 of 17 classes.
    assert card["metrics"]["validation_accuracy"] > 0.1
    predictor = Predictor(tmp_path / "model", device="cpu")
    answer = predictor.from_patterns(np.random.default_rng(1).random((3, 1024), dtype=np.float32))
    np.testing.assert_allclose(answer.class_probabilities.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_weights_may_be_shared_and_others_unused(package, settings, tmp_path, monkeypatch, optimizer):
    """It is trained, goes on from its checkpoint, and is read again."""
    settings["models"] = {"small": {"kind": f"{package.name}.nets:Shared"}}
    settings["instrument"]["two_theta"] = {"min": 5, "max": 90, "points": 1024}
    settings["train"] |= {"optimizer": optimizer, "weight_decay": 0.0}
    settings["experiment"]["patterns"] = 32 * 6
    monkeypatch.setattr(fitting, "CHECKPOINT_SECONDS", 0.0)
    train_model(TrainingSettings.from_config(settings), tmp_path / "whole")
    real_step, steps = fitting.Run.gradients, []

    def interrupted(*args):
        steps.append(1)
        if len(steps) == 4:
            raise KeyboardInterrupt
        return real_step(*args)

    monkeypatch.setattr(fitting.Run, "gradients", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_model(TrainingSettings.from_config(settings), tmp_path / "parts")
    train_model(TrainingSettings.from_config(settings), tmp_path / "parts")
    assert len(steps) == 7
    whole, parts = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "parts"))
    assert all((whole[name] == parts[name]).all() for name in whole)
    model = Predictor(tmp_path / "whole", device="cpu").model
    assert model.first.weight is model.second.weight
    assert (model.first.weight.detach().numpy() == whole["second.weight"]).all()


def test_changed_source_is_another_training_and_no_model_of_the_old_one(package, settings, tmp_path):
    kind = f"{package.name}.nets:MyNet"
    settings["models"] = {"small": {"kind": kind}}
    before = source_digest(kind)
    train_model(TrainingSettings.from_config(settings), tmp_path / "model")
    # A file that the network imports counts as much as its own.
    (package / "blocks.py").write_text("POOL = 16\n")
    assert source_digest(kind) != before
    with pytest.raises(XtinctError, match=r"has changed since the model was trained; train it again"):
        Predictor(tmp_path / "model", device="cpu")


def test_code_beside_the_weights_is_not_run(package, settings, tmp_path, monkeypatch):
    kind = f"{package.name}.nets:MyNet"
    settings["models"] = {"small": {"kind": kind}}
    train_model(TrainingSettings.from_config(settings), tmp_path / "model")
    package.rename(tmp_path / "model" / package.name)
    monkeypatch.chdir(tmp_path / "model")
    with pytest.raises(XtinctError, match="lies in the model's folder; not run"):
        Predictor(tmp_path / "model", device="cpu")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("{}.nets:Nothing", "nets has no Nothing"),
        ("{}.nothing:MyNet", "no module .*nothing in the working directory"),
        ("no_such_package_anywhere:MyNet", "no module no_such_package_anywhere"),
        ("{}.broken:MyNet", "cannot be imported .*No module named 'no_such_package_anywhere'"),
        ("{}.nets:function", "is no class of torch.nn.Module"),
        ("{}.nets:Frozen", "no parameter to train, and no method `fit`"),
        ("{}.nets:OneTooMany", r"of 2 patterns it gives \(2, 6\), expected logits \(2, 5\)"),
        ("{}.nets:Narrow", "does not answer patterns of 1024 points .*shapes cannot be multiplied"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(package, settings, path, message):
    instrument = Instrument.from_config(settings["instrument"])
    with pytest.raises(XtinctError, match=message) as told:
        build_model(path.format(package.name), instrument, 5, {})
    assert len(str(told.value).splitlines()) == 1


def test_unknown_arguments_are_refused_by_name(package, settings):
    instrument = Instrument.from_config(settings["instrument"])
    with pytest.raises(XtinctError, match="no hyperparameter 'girth'; it has width"):
        build_model(f"{package.name}.nets:MyNet", instrument, 5, {"girth": 3})


def test_a_configuration_may_name_it(package, root):
    config = yaml.safe_load((root / "config/config.yaml").read_text())
    config["models"]["mine"] = {"kind": f"{package.name}.nets:MyNet", "arguments": {"width": 6}}
    assert configuration.check(json.loads(json.dumps(config)))["models"]["mine"]["arguments"] == {"width": 6}
    config["models"]["mine"]["kind"] = f"{package.name}.missing:MyNet"
    with pytest.raises(XtinctError, match=r"models.mine.kind: .*no module"):
        configuration.check(config)
    config["models"]["mine"]["kind"] = "a b:MyNet"
    with pytest.raises(XtinctError, match=r"models.mine.kind: 'a b:MyNet' is not allowed here"):
        configuration.check(config)
    config["models"]["mine"]["kind"] = "logqq"
    with pytest.raises(XtinctError, match=r"must be one of logq, .*import path; did you mean logq"):
        configuration.check(config)

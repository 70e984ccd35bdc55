"""Models that are fitted at once, beside networks."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import ExtraTreesClassifier

from xtinct.errors import XtinctError
from xtinct.learning.models import build_model, count_parameters
from xtinct.learning.predictor import Predictor
from xtinct.learning.training import train_model
from xtinct.learning.training_settings import TrainingSettings
from xtinct.patterns.instrument import Instrument


def make(outputs=5, **options):
    instrument = Instrument(
        wavelength=1.5406, two_theta_min=5, two_theta_max=90, points=64, lorentz="lorentz", fwhm=0.2
    )
    return build_model("extratrees", instrument, outputs, options)


@pytest.mark.parametrize("min_leaf", [1, 4])
def test_trees_answer_as_scikit_learn_does_and_survive_their_file(min_leaf):
    rng = np.random.default_rng(1)
    patterns = rng.random((300, 64), dtype=np.float32)
    # No sample of output 2; the others depend on the pattern.
    labels = np.array([0, 1, 3, 4])[(patterns[:, 7] > 0.5).astype(int) + 2 * (patterns[:, 40] > 0.6)]
    model = make(trees=20, min_leaf=min_leaf)
    assert model(torch.from_numpy(patterns)).softmax(dim=1).numpy() == pytest.approx(0.2)
    model.fit(patterns, labels, seed=2**40 + 3)
    grown = ExtraTreesClassifier(20, min_samples_leaf=min_leaf, random_state=3).fit(patterns, labels)
    asked = rng.random((100, 64), dtype=np.float32)
    expected = np.zeros((100, 5))
    expected[:, [0, 1, 3, 4]] = grown.predict_proba(asked)
    loaded = make(trees=20, min_leaf=min_leaf)
    loaded.load_state_dict(model.state_dict())
    for answering in (model, loaded):
        answers = answering(torch.from_numpy(asked)).softmax(dim=1).numpy()
        # A ten-thousandth of every answer is spread evenly.
        assert answers == pytest.approx(expected, abs=1.1e-4)
    assert loaded.importances.argsort()[-2:].sort().values.tolist() == [7, 40]
    assert loaded.importances.sum() == pytest.approx(1)
    assert count_parameters(loaded) > 100


@pytest.fixture
def trees(settings):
    settings["models"] = {"small": {"kind": "extratrees", "trees": 30, "min_leaf": 1}}
    settings["experiment"]["patterns"] = 32 * 12
    return settings


def test_trees_are_trained_carded_and_asked_like_a_network(trees, tmp_path):
    cards = [train_model(TrainingSettings.from_config(trees), tmp_path / name) for name in ("a", "b")]
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()
    card = cards[0]
    assert card["architecture"]["parameters"] > 30 * 50
    assert card["patterns"] == 32 * 12
    # The largest of 17 classes, F - - - with 5 of 36 groups, would be right 14 times in 100.
    assert card["metrics"]["validation_accuracy"] > 0.25
    predictor = Predictor(tmp_path / "a")
    pattern = torch.rand(3, predictor.instrument.points)
    answers = predictor.outputs_of_patterns(pattern)
    assert answers.shape == (3, 17)
    assert answers.sum(axis=1) == pytest.approx(1)
    assert len(predictor._network.model.importances) == predictor.instrument.points


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"experiment": {"training": {"loss": "focal"}}}, "fitted at once knows no loss 'focal'"),
        ({"models": {"small": {"kind": "extratrees", "trees": 0, "min_leaf": 1}}}, "trees 0 and min_leaf 1"),
    ],
)
def test_what_trees_cannot_do_is_refused(trees, tmp_path, change, message):
    for section, values in change.items():
        trees[section] |= values
    with pytest.raises(XtinctError, match=message):
        train_model(TrainingSettings.from_config(trees), tmp_path / "m")


def test_a_classical_model_of_ones_own_is_named_by_its_import_path(trees, tmp_path, monkeypatch):
    (tmp_path / "own_means.py").write_text(
        """
import torch


class Nearest(torch.nn.Module):
    def __init__(self, instrument, n_outputs):
        super().__init__()
        self.register_buffer("means", torch.zeros(n_outputs, instrument.points))

    def fit(self, patterns, labels, seed):
        for label in set(labels.tolist()):
            self.means[label] = torch.from_numpy(patterns[labels == label].mean(axis=0))

    def forward(self, pattern):
        return -torch.cdist(pattern, self.means)
"""
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    trees["models"] = {"small": {"kind": "own_means:Nearest"}}
    card = train_model(TrainingSettings.from_config(trees), tmp_path / "m")
    assert card["architecture"]["source"]
    means = Predictor(tmp_path / "m")._network.model.means
    assert (means.amax(dim=1) > 0).all(), "fit was not called"

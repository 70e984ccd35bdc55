"""The same result however a batch is divided, and what happens when numbers or memory run out."""

import logging

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from xtinct.errors import XtinctError
from xtinct.learning.models.logq import LogQ
from xtinct.learning.parallel import launch
from xtinct.learning.training import train_model


def trained(settings, folder):
    """Weights of a run, and its card."""
    card = train_model(**settings, output_dir=folder)
    return load_file(folder / "model.safetensors"), card


def distance(one, other):
    """Euclidean distance of two sets of weights."""
    learnt = [name for name in one if name.endswith(("weight", "bias"))]
    return np.sqrt(sum(((one[name] - other[name]) ** 2).sum() for name in learnt))


#: Rounding of float32 in sums of another order, over ten steps in which the weights move by about 0.9.
ROUNDING = 1e-5


@pytest.fixture
def short(settings):
    """Ten steps of AdamW: torch's Muon orthogonalises in bfloat16, which makes more of any rounding."""
    settings["experiment"]["patterns"] = 32 * 10
    settings["train"]["optimizer"] = "adamw"
    return settings


@pytest.mark.slow
def test_two_processes_train_the_model_of_one(short, tmp_path):
    one, card = trained(short, tmp_path / "one")
    launch(train_model, short | {"output_dir": tmp_path / "two"}, 2)
    assert distance(one, load_file(tmp_path / "two" / "model.safetensors")) < ROUNDING
    history = [(tmp_path / name / "history.csv").read_text().splitlines() for name in ("one", "two")]
    loss = [[float(row.split(",")[2]) for row in rows[1:]] for rows in history]
    assert loss[0] == pytest.approx(loss[1], rel=1e-4)
    assert card["device"].startswith("cpu")
    assert not (tmp_path / "two" / "checkpoint.safetensors").exists()


@pytest.mark.slow
def test_an_error_in_another_process_is_one_line(short, tmp_path):
    short["train"]["ghost_batch"] = 32
    with pytest.raises(XtinctError, match=r"^process [01] of 2: train\.batch_size: 32 is not a multiple"):
        launch(train_model, short | {"output_dir": tmp_path / "two"}, 2)


def test_short_memory_changes_the_micro_batch_and_not_the_result(short, tmp_path, monkeypatch, caplog):
    whole, _ = trained(short, tmp_path / "whole")
    forward = LogQ.forward

    def with_little_memory(self, pattern):
        if self.training and len(pattern) > 16:
            raise torch.OutOfMemoryError("injected")
        return forward(self, pattern)

    monkeypatch.setattr(LogQ, "forward", with_little_memory)
    with caplog.at_level(logging.WARNING):
        divided, _ = trained(short, tmp_path / "divided")
    assert "out of memory with 32 patterns at a time; going on with 16" in caplog.text
    assert caplog.text.count("out of memory") == 1
    assert distance(whole, divided) < ROUNDING
    # Ghost batches of another size are another model: the test can tell.
    monkeypatch.setattr(LogQ, "forward", forward)
    short["train"]["ghost_batch"] = 32
    assert distance(whole, trained(short, tmp_path / "other")[0]) > 0.1


def test_memory_that_suffices_for_nothing_is_one_line(short, tmp_path, monkeypatch):
    def without_memory(self, pattern):
        raise torch.OutOfMemoryError("injected")

    monkeypatch.setattr(LogQ, "forward", without_memory)
    with pytest.raises(XtinctError, match="out of memory with 16 patterns at a time on cpu"):
        trained(short, tmp_path)


def test_a_step_without_a_finite_gradient_is_skipped_and_counted(short, tmp_path, monkeypatch, caplog):
    forward, calls = LogQ.forward, []

    def once_not_finite(self, pattern):
        logits = forward(self, pattern)
        calls.append(self.training)
        return logits * float("nan") if sum(calls) == 4 and self.training else logits

    monkeypatch.setattr(LogQ, "forward", once_not_finite)
    weights, card = trained(short, tmp_path)
    assert card["metrics"]["skipped_steps"] == 1
    assert "step 4 skipped" in caplog.text
    assert all(np.isfinite(value).all() for value in weights.values())


def test_a_gradient_that_explodes_is_cut_to_its_limit(short, tmp_path, monkeypatch):
    """A loss of 1e6 times its size must not throw the weights away."""
    one, _ = trained(short, tmp_path / "one")
    forward, calls = LogQ.forward, []

    def once_huge(self, pattern):
        logits = forward(self, pattern)
        calls.append(self.training)
        return logits * 1e6 if sum(calls) == 4 and self.training else logits

    monkeypatch.setattr(LogQ, "forward", once_huge)
    other, card = trained(short, tmp_path / "other")
    assert card["metrics"]["skipped_steps"] == 0
    for name, value in one.items():
        assert np.linalg.norm(other[name]) < 2 * np.linalg.norm(value) + 1, name


def test_training_stops_where_the_interval_of_the_validation_holds_the_ceiling(
    short, tmp_path, write_lines, caplog
):
    """Patterns of one class are soon named without an error; those of seventeen are not in ten steps."""
    caplog.set_level(logging.INFO)
    short["train"] |= {"validations": 5, "stop_confidence": 0.95}
    assert trained(short, tmp_path / "all")[1]["patterns"] == 320
    short["experiment"]["train"] = "ulbd"
    short["datasets"] = {"ulbd": [write_lines([225, 216, 202] * 20)]}
    _, card = trained(short, tmp_path / "one")
    assert card["metrics"]["validation_accuracy"] == 1
    assert card["patterns"] < 320
    assert "the interval of the validation holds the ceiling" in caplog.text


def test_the_statistics_of_an_evaluation_are_those_of_the_final_weights(short, tmp_path):
    """Mean and variance of the first convolution's outputs on fresh patterns, by hand."""
    from xtinct.diffraction.instrument import Instrument
    from xtinct.learning.card import load_model
    from xtinct.learning.loading import PatternRenderer
    from xtinct.learning.sources import Sources

    train_model(**short, output_dir=tmp_path)
    model, _, instrument, _ = load_model(tmp_path, torch.device("cpu"))
    assert isinstance(instrument, Instrument)
    keys = ("experiment", "seed", "lines", "ulbd", "datasets", "occupations")
    sources = Sources(**{key: short[key] for key in keys}, scope="cubic")
    batch = sources.training().take(10**6, 512)
    x = PatternRenderer(instrument, torch.device("cpu"))(batch.lines)
    captured = []
    model.features[0].register_forward_hook(lambda module, inputs, output: captured.append(output))
    with torch.no_grad():
        model(x)
    mean = captured[0].mean(dim=(0, 2, 3))
    deviation = captured[0].std(dim=(0, 2, 3))
    assert ((model.features[1].running_mean - mean).abs() / deviation).max() < 0.05


def test_variation_is_part_of_the_recipe_and_of_what_is_seen(short, tmp_path):
    one, card = trained(short, tmp_path / "plain")
    short["experiment"]["variation"] = {"zero_shift": [-0.2, 0.2], "width_factor": [0.5, 2]}
    other, varied = trained(short, tmp_path / "varied")
    assert card["training_digest"] != varied["training_digest"]
    assert varied["training"]["data"]["variation"]["zero_shift"] == [-0.2, 0.2]
    assert distance(one, other) > 0.01

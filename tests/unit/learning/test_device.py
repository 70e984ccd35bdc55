"""Precision and compiling: what is set while a model computes, and what happens where torch cannot."""

import logging
import shutil

import pytest
import torch

from xtinct.errors import XtinctError
from xtinct.learning import fitting
from xtinct.learning.device import reproducible
from xtinct.learning.training import train_model
from xtinct.learning.training_settings import TrainingSettings


def precisions():
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    return cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision, matmul.fp32_precision


@pytest.mark.parametrize("changed", [False, True])
def test_float32_is_float32_inside_and_as_it_was_outside(changed):
    """TF32 keeps 10 bits of 23; cuDNN takes it for convolutions unless it is told not to."""
    matmul = torch.backends.cuda.matmul
    original = matmul.fp32_precision
    matmul.fp32_precision = "tf32" if changed else original
    try:
        before = precisions()
        assert before[0] == "tf32"
        with reproducible(1):
            assert "tf32" not in precisions()
            assert not torch.backends.cudnn.allow_tf32
            with reproducible(1):
                pass
            assert "tf32" not in precisions()
        assert precisions() == before
        assert torch.backends.cudnn.allow_tf32
    finally:
        matmul.fp32_precision = original


def losses(folder):
    return [float(row.split(",")[2]) for row in (folder / "history.csv").read_text().splitlines()[1:]]


@pytest.fixture
def short(settings):
    settings["experiment"]["patterns"] = 32 * 6
    settings["train"]["optimizer"] = "adamw"
    settings["models"]["small"] |= {"points": 32, "width": 4}
    return settings


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a CPU")
@pytest.mark.filterwarnings("ignore")
def test_a_compiled_model_learns_the_same(short, tmp_path):
    train_model(TrainingSettings.from_config(short), tmp_path / "plain")
    short["train"]["compile"] = "always"
    train_model(TrainingSettings.from_config(short), tmp_path / "compiled")
    assert losses(tmp_path / "compiled") == pytest.approx(losses(tmp_path / "plain"), rel=1e-4)


def cannot_compile(model, **options):
    """In place of torch.compile: fails as that does, at the first pattern."""
    import torch._dynamo.exc

    def forward(pattern):
        raise torch._dynamo.exc.TorchDynamoException("no C++ compiler\nand many lines more")

    return forward


def test_a_model_that_cannot_be_compiled_runs_as_it_is(short, tmp_path, monkeypatch, caplog):
    train_model(TrainingSettings.from_config(short), tmp_path / "plain")
    monkeypatch.setattr(fitting, "compiled", lambda model, *_: cannot_compile(model))
    short["train"]["compile"] = "auto"
    with caplog.at_level(logging.WARNING):
        train_model(TrainingSettings.from_config(short), tmp_path / "auto")
    assert caplog.messages == ["torch cannot compile the model here, so it runs as it is: no C++ compiler"]
    assert losses(tmp_path / "auto") == losses(tmp_path / "plain")


def test_a_model_that_must_be_compiled_and_cannot_is_one_line(short, tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "compile", cannot_compile)
    short["train"]["compile"] = "always"
    with pytest.raises(XtinctError, match=r"^train\.compile: always, but .* here: no C\+\+ compiler$"):
        train_model(TrainingSettings.from_config(short), tmp_path)

"""The benchmark of steps: networks with their parameters, trees left out, the fastest of a few steps."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch
import yaml

_ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def steps():
    spec = importlib.util.spec_from_file_location("zoo_steps", _ROOT / "benchmarks" / "zoo" / "steps.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_networks_are_listed_with_their_parameters_and_trees_left_out(steps, tmp_path, monkeypatch, capsys):
    config = yaml.safe_load((_ROOT / "config" / "zoo.yaml").read_text(encoding="utf-8"))
    trees = [name for name, model in config["models"].items() if model["kind"] == "extratrees"]
    monkeypatch.setattr(
        sys, "argv", ["steps.py", str(_ROOT / "config" / "zoo.yaml"), trees[0], "CNN2-as-published"]
    )
    monkeypatch.setattr(steps, "step_seconds", lambda model, patterns: float(patterns.shape[0]))
    steps.main()
    rows = capsys.readouterr().out.splitlines()[2:]
    built = steps.build_model(
        "simxrd",
        steps.Instrument.from_config(config["instrument"]),
        steps.OUTPUTS,
        {"name": "CNN2", "version": "as-published"},
    )
    parameters = sum(p.numel() for p in built.parameters())
    assert rows == [f"| CNN2-as-published | {parameters:,} | {config['train']['batch_size']:.3f} |"]


def test_a_step_trains_and_the_fastest_counts(steps, monkeypatch):
    clock = iter(
        [0.0, 50.0, 50.0, 52.0, 52.0, 61.0]
    )  # three steps, of 50, 2 and 9 seconds, which fill a minute
    monkeypatch.setattr(steps.time, "process_time", lambda: next(clock))
    model = torch.nn.Linear(64, steps.OUTPUTS)
    before = model.weight.detach().clone()
    assert steps.step_seconds(model, torch.rand(32, 64)) == 2.0
    assert not torch.equal(before, model.weight)

"""How processes find each other and their devices; no process is started but in the last test."""

import logging

import pytest
import torch
from safetensors.numpy import load_file
from torch import distributed

from xtinct.errors import XtinctError
from xtinct.learning.parallel import Processes, launch, log_messages, processes
from xtinct.learning.training import train_model
from xtinct.learning.training_settings import TrainingSettings


@pytest.fixture
def torchrun(monkeypatch):
    """As torchrun starts process 1 of 2, on a machine with two GPUs; notes what is asked of torch."""
    asked = {}
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda number: asked.update(gpu=number))
    monkeypatch.setattr(distributed, "init_process_group", lambda backend: asked.update(backend=backend))
    monkeypatch.setattr(distributed, "destroy_process_group", lambda: asked.update(left=True))
    monkeypatch.setattr(distributed, "get_rank", lambda: 1)
    return asked


@pytest.mark.parametrize(
    ("device", "expected"),
    [("cpu", {"backend": "gloo", "left": True}), ("cuda", {"gpu": 1, "backend": "nccl", "left": True})],
)
def test_the_device_of_the_training_decides_how_processes_talk(torchrun, device, expected):
    """Also on a machine with GPUs a training on the CPU needs gloo: NCCL takes no tensor of a CPU."""
    with processes(torch.device(device)) as team:
        assert team == Processes(1, 2)
    assert torchrun == expected


def test_a_process_without_a_gpu_of_its_own_is_one_line(torchrun, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with (
        pytest.raises(
            XtinctError, match=r"^train\.processes: each needs a GPU of its own, but torch finds 1 "
        ),
        processes(torch.device("cuda")),
    ):
        pass
    assert torchrun == {}


def test_a_process_that_differs_is_named_in_every_process(monkeypatch):
    def gather(states, own):
        states[:] = [120, 0]

    monkeypatch.setattr(distributed, "all_gather_object", gather)
    for rank, own in enumerate((120, 0)):
        with pytest.raises(XtinctError, match=r"^steps done: process 0 has 120, process 1 has 0$"):
            Processes(rank, 2).require_same(own, "steps done")
    Processes().require_same(0, "steps done")


def test_processes_agree_on_run_and_step_before_they_begin(settings, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(Processes, "require_same", lambda self, state, what: said.append(state))
    settings["experiment"]["patterns"] = 32
    card = train_model(TrainingSettings.from_config(settings), tmp_path, code="c0de")
    digest, step = said
    assert step == 0
    assert digest.startswith(card["training_digest"])
    assert f"torch {torch.__version__}" in digest
    assert "c0de" in digest


@pytest.mark.parametrize(
    ("rank", "expected"), [("0", ["begun", "short of memory"]), ("1", ["process 1: short of memory"])]
)
def test_warnings_of_every_process_reach_the_log(tmp_path, monkeypatch, rank, expected):
    log = tmp_path / "job.log"
    log.write_text("")
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.root, "level", logging.WARNING)
    log_messages([log])
    logging.getLogger("xtinct").info("begun")
    logging.getLogger("xtinct").warning("short of memory")
    for handler in logging.root.handlers:
        handler.close()
    lines = [line.split(" ", 2)[2] for line in log.read_text().splitlines()]
    assert lines == expected


def test_a_process_of_torchrun_starts_no_others(torchrun):
    called = []
    launch(lambda **settings: called.append(settings), {"a": 1}, 2)
    assert called == [{"a": 1}]


def test_two_processes_train_the_model_of_one(settings, tmp_path):
    """AdamW: torch's Muon orthogonalises in bfloat16, which makes more of any rounding."""
    settings["experiment"]["patterns"] = 32 * 10
    settings["train"]["optimizer"] = "adamw"
    card = train_model(TrainingSettings.from_config(settings), tmp_path / "one")
    arguments = {"settings": TrainingSettings.from_config(settings), "output_dir": tmp_path / "two"}
    launch(train_model, arguments, 2)
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    # Rounding of float32 in sums of another order, over steps in which the weights move by about 0.9.
    learnt = [name for name in one if name.endswith(("weight", "bias"))]
    assert sum(((one[name] - two[name]) ** 2).sum() for name in learnt) ** 0.5 < 1e-5
    history = [(tmp_path / name / "history.csv").read_text().splitlines() for name in ("one", "two")]
    loss = [[float(row.split(",")[2]) for row in rows[1:]] for rows in history]
    assert loss[0] == pytest.approx(loss[1], rel=1e-4)
    assert card["device"].startswith("cpu")
    assert not (tmp_path / "two" / "checkpoint.safetensors").exists()

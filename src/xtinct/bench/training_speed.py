"""Speed of training: what the data cost, and how soon a model is at the ceiling."""

import os
import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from xtinct.bench.timed_run import TimedRun
from xtinct.learning.checkpoint import NAME, Checkpoint, Progress
from xtinct.learning.device import describe, reproducible, resolve_device
from xtinct.learning.fitting import Run
from xtinct.learning.optim import make_optimizers
from xtinct.learning.parallel import Processes
from xtinct.learning.training import make_network, make_run
from xtinct.learning.training_sets import Sources
from xtinct.learning.training_settings import TrainingSettings
from xtinct.symmetry.families import CUBIC

#: The published training of fcn13 (Wang et al. 2025: Adam, constant rate 2e-4) as settings of `train`.
PUBLISHED = {
    "optimizer": "adam",
    "learning_rate": 2.0e-4,
    "weight_decay": 0.0,
    "schedule": "constant",
    "warmup": 0.0,
    "batch_size": 256,
    "gradient_clip": 0.0,
}
#: What a model has to reach, of the ceiling.
SHARE = 0.99
#: Steps of one turn when loop and model take turns, and how many more per processor on a GPU: there two
#: batches a processor are prepared ahead, and a turn must not live on what the turn before left.
_STEPS, _STEPS_PER_PROCESSOR = 10, 20


@dataclass
class _Race(TimedRun):
    """A run that ends at SHARE of the ceiling, or when its time is over."""

    reached: bool = False
    cpu_seconds: float = 0.0

    def fit(self) -> Progress:
        """Train until the model is there or the time is over."""
        cpu = time.process_time()
        progress = super().fit()
        self.cpu_seconds = time.process_time() - cpu
        return progress

    def finished(self, row: dict) -> bool:
        """Whether the model is there; notes the accuracy."""
        super().finished(row)
        self.reached = row["validation_accuracy"] >= SHARE * row["validation_ceiling"]
        return self.reached


def race(config: Mapping, *, limit: float, patterns: int = 150_000) -> list[dict]:
    """Seconds until 99 % of the cubic ceiling, lattices of [5, 15] angstrom drawn anew for ever.

    Xtinct's model with the settings of `config`, then fcn13 as published; one record each. A model
    that is not there after `limit` seconds has `seconds` None and the accuracy that it has reached.
    `cpu_seconds`: of all threads in that time, which a busy machine changes less.
    Validations are part of the time, and compiling would be; neither is compiled. `patterns` is the budget
    of Xtinct's schedule.
    """
    records = []
    ours = {"validations": 40, "compile": "never"}
    # A constant rate has no budget; 10 million patterns are more than the limit allows.
    published = {**PUBLISHED, "validations": 2000, "compile": "never"}
    for name, contender in (
        ("logq", _Contender(config["models"]["logq"], ours, patterns)),
        ("fcn13", _Contender({"kind": "fcn13"}, published, 10_000_000)),
    ):
        with tempfile.TemporaryDirectory() as folder, reproducible(config["train"]["threads"]):
            run = contender.run(config, folder, _Race)
            run.limit = limit
            progress = run.fit()
        seconds, _, accuracy = run.curve[-1]
        records.append(
            {
                "model": name,
                "seconds": seconds if run.reached else None,
                "accuracy": accuracy,
                "limit": limit,
                "cpu_seconds": round(run.cpu_seconds, 1),
                "patterns": progress.history[-1]["patterns"],
                "curve": [(seconds, accuracy) for seconds, _, accuracy in run.curve],
                "device": describe(run.network.device, run.network.precision),
            }
        )
    return records


def throughput(config: Mapping, *, rounds: int = 7) -> dict:
    """Patterns per second of whole training steps and of the model alone, in turn in one process.

    The model alone takes the same steps on patterns that lie ready on the device. `data_share`: what
    the stream and the rendering add to a step, as a share of the whole step (median over rounds); of the
    time on a GPU, of the processor's time on a CPU, which other programs do not change.
    """
    with tempfile.TemporaryDirectory() as folder, reproducible(config["train"]["threads"]):
        run = _Contender(config["models"]["logq"], {}, 10**9).run(config, folder)
        network, size = run.network, run.settings.batch_size
        device = network.device
        optimizers = make_optimizers(network.model, run.settings)
        source = run.batches(Progress())
        ready = next(source)
        patterns = network.render(ready.lines, ready.conditions)
        render = network.render
        steps, share_of = _STEPS, time.process_time
        if device.type != "cpu":
            steps, share_of = _STEPS_PER_PROCESSOR * len(os.sched_getaffinity(0)), time.perf_counter

        def turn(whole: bool) -> tuple[float, float]:
            # The same step either way; the model alone is given patterns in place of lines.
            network.render = render if whole else _Ready(patterns, device)
            _wait(device)
            started, cost = time.perf_counter(), share_of()
            for step in range(steps):
                run.gradients(next(source) if whole else ready, step, Progress())
                for optimizer in optimizers:
                    optimizer.step()
            _wait(device)
            return (time.perf_counter() - started) / steps, (share_of() - cost) / steps

        turn(True)
        turn(False)
        pairs = [(turn(True), turn(False)) for _ in range(rounds)]
    return {
        "loop_patterns_per_second": round(size / statistics.median(whole[0] for whole, _ in pairs), 1),
        "model_patterns_per_second": round(size / statistics.median(alone[0] for _, alone in pairs), 1),
        "data_share": round(statistics.median(1 - alone[1] / whole[1] for whole, alone in pairs), 4),
        "batch_size": size,
        "rounds": rounds,
        "device": describe(device, network.precision),
    }


@dataclass(frozen=True)
class _Ready:
    """In place of a renderer: patterns that are there already."""

    patterns: torch.Tensor
    device: torch.device

    def __call__(self, lines: object, conditions: object = None) -> torch.Tensor:
        return self.patterns


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@dataclass(frozen=True)
class _Contender:
    """A network, what its settings of `train` differ in, and its budget of patterns."""

    model: Mapping
    changes: Mapping
    patterns: int

    def run(self, config: Mapping, folder: str, kind: type[Run] = Run) -> Run:
        """Its training on cubic lattices that are drawn while training; `folder` is for its checkpoint."""
        experiment = {"name": "benchmark", "train": "ulbd-online", "target": "extinction_class"}
        lattice = {"kind": "continuous", "lengths": [5, 15], "angles": [90, 90], "spacing": "uniform"}
        settings = TrainingSettings.from_config(
            {
                "experiment": experiment | {"model": "model", "patterns": self.patterns},
                "family": CUBIC,
                "seed": 0,
                "train": {**config["train"], **self.changes},
                "models": {"model": self.model},
                "instrument": config["instrument"],
                "lines": config["lines"],
                "ulbd": {"intensities": "uniform", "lattices": {CUBIC: lattice}},
                "datasets": {},
                "occupations": None,
            }
        )
        network = make_network(settings, resolve_device(settings.fit.device))
        checkpoint = Checkpoint(Path(folder) / NAME, "")
        return make_run(settings, network, Sources(settings.samples), checkpoint, Processes(), kind)


def race_table(records: list[dict]) -> list[tuple]:
    """Rows for printing of what `race` found, the heading first."""
    rows = [("model", "seconds to 99 % of the ceiling", "CPU seconds", "accuracy", "patterns")]
    for r in records:
        seconds = r["seconds"] or f"not in {r['limit']:g}"
        rows.append((r["model"], seconds, r["cpu_seconds"], f"{r['accuracy']:.4f}", r["patterns"]))
    return rows

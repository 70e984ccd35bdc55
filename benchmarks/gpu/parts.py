"""The parts of the measurement: each takes the options of the command and returns numbers."""

import argparse
import platform
import statistics
import tempfile
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cases
import numpy as np
import torch

from xtinct.bench.timed_run import TimedRun
from xtinct.learning.checkpoint import NAME, Checkpoint, Progress
from xtinct.learning.device import describe, reproducible
from xtinct.learning.fitting import Run
from xtinct.learning.forward_pass import PatternRenderer
from xtinct.learning.optim import make_optimizers
from xtinct.learning.parallel import Processes
from xtinct.learning.predictor import Predictor
from xtinct.learning.training import make_network, make_run, train_model
from xtinct.learning.training_sets import Sources
from xtinct.patterns.instrument import Instrument

_STARTED = time.monotonic()


def machine(device: str) -> dict:
    """What the numbers were measured on."""
    found = {"torch": torch.__version__, "python": platform.python_version(), "device": device}
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        found |= {"gpu": properties.name, "memory": properties.total_memory, "cuda": torch.version.cuda}
    return found


# --- rendering ---------------------------------------------------------------------------------------


def rendering(options: argparse.Namespace) -> dict:
    """Patterns per second on one CPU core and on the device, beside its memory; how far both are apart."""
    device, count = torch.device(options.device), 64 if options.rehearse else 2048
    bandwidth = _copied_per_second(device, 1 << (22 if options.rehearse else 30))
    found: dict = {"bytes_copied_per_second": bandwidth}
    measured = {"plain": cases.narrow_cubic({}), "measured": cases.joint_measured({}, options.occupations)}
    for name, settings in measured.items():
        batch = Sources(settings.samples).training().take(0, count)
        instrument = Instrument.from_config(settings.instrument)
        on_cpu = PatternRenderer(instrument, torch.device("cpu"))
        # On a CPU too, for the rehearsal: that which computes on a GPU.
        on_device = PatternRenderer(instrument, device) if device.type == "cuda" else _in_torch(instrument)
        with reproducible(1):
            few = _without_noise(batch.slice(0, 256))
            expected = on_cpu(few.lines, few.conditions)
            difference = (on_device(few.lines, few.conditions).cpu() - expected).abs().max()
            rates = [_rate(render, batch, options) for render in (on_cpu, on_device)]
        found[name] = {
            "cpu_patterns_per_second": rates[0],
            "device_patterns_per_second": rates[1],
            # Each pattern is written once at the least.
            "share_of_memory_bandwidth": rates[1] * 4 * instrument.points / bandwidth,
            "largest_difference": float(difference),
        }
    return found


def _without_noise(batch):
    """A count more or less hangs on the last digit."""
    quiet = batch.conditions and replace(batch.conditions, counts=None, noise_keys=None)
    return replace(batch, conditions=quiet)


def _in_torch(instrument):
    from xtinct.patterns.rendering_torch import Renderer

    return Renderer(instrument, "cpu")


def _rate(render, batch, options):
    """Patterns per second, the median of some rounds after one that does not count."""
    render(batch.lines, batch.conditions)
    times = []
    for _ in range(1 if options.rehearse else 7):
        _wait()
        begun = time.perf_counter()
        render(batch.lines, batch.conditions)
        _wait()
        times.append(time.perf_counter() - begun)
    return len(batch) / statistics.median(times)


def _copied_per_second(device, size):
    """Bytes read and written per second by a copy within the device's memory."""
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    target.copy_(source)
    _wait()
    begun = time.perf_counter()
    for _ in range(10):
        target.copy_(source)
    _wait()
    return 2 * 10 * size / (time.perf_counter() - begun)


def _wait():
    if torch.cuda.is_available():
        torch.cuda.synchronize()


# --- steps -------------------------------------------------------------------------------------------


def steps(options: argparse.Namespace) -> dict:
    """Patterns per second of whole training steps: on one core, and on the device by precision and batch."""
    seconds = 0.3 if options.rehearse else 6
    found = {"cpu float32 128": _steps(_trained("cpu", "float32", 128), seconds)}
    for precision in ("float32", "bfloat16"):
        for size in (128,) if options.rehearse else (128, 512, 2048):
            name = f"device {precision} {size}"
            found[name] = _steps(_trained(options.device, precision, size), seconds)
    found["wide orthorhombic, 512"] = _steps(cases.wide_orthorhombic(_quietly(options)), seconds)
    found["joint measured, 512"] = _steps(
        cases.joint_measured(_quietly(options), options.occupations), seconds
    )
    return found


def _trained(device, precision, size):
    return cases.narrow_cubic(
        {"device": device, "precision": precision, "batch_size": size, "validation_patterns": 0}
    )


def _quietly(options):
    size = 128 if options.rehearse else 512
    return {"device": options.device, "validation_patterns": 0, "batch_size": size}


@contextmanager
def _run(settings, kind=Run):
    """A run that has not begun; what it would write is deleted."""
    with tempfile.TemporaryDirectory() as folder, reproducible(settings.fit.threads):
        network = make_network(settings, torch.device(settings.fit.device))
        checkpoint = Checkpoint(Path(folder) / NAME, "")
        yield make_run(settings, network, Sources(settings.samples), checkpoint, Processes(), kind)


def _steps(settings, seconds):
    """Patterns per second, and the share of the time in which the network waited for patterns."""
    with _run(settings) as run:
        optimizers = make_optimizers(run.network.model, run.settings)
        source, progress = run.batches(Progress()), Progress()

        def step(number):
            asked = time.perf_counter()
            batch = next(source)
            progress.waited += time.perf_counter() - asked
            run.gradients(batch, number, progress)
            for optimizer in optimizers:
                optimizer.step()

        for number in range(3):
            step(number)
        _wait()
        begun, progress.waited, done = time.perf_counter(), 0.0, 0
        while time.perf_counter() - begun < seconds:
            step(done)
            done += 1
        _wait()
        passed = time.perf_counter() - begun
        source.close()
        return {
            "patterns_per_second": done * run.settings.batch_size / passed,
            "waited": progress.waited / passed,
            "on": describe(run.network.device, run.network.precision),
        }


def alone(options: argparse.Namespace) -> dict:
    """The rate of one process, of which `together` has two on one GPU."""
    seconds = 0.3 if options.rehearse else 10
    return _steps(_trained(options.device, "auto", 128 if options.rehearse else 512), seconds)


def compiled(options: argparse.Namespace) -> dict:
    """The same, compiled and not; what compiling took."""
    seconds, found = 0.3 if options.rehearse else 6, {}
    for setting in ("never", "always"):
        begun = time.perf_counter()
        settings = cases.wide_orthorhombic({**_quietly(options), "compile": setting})
        found[setting] = _steps(settings, seconds)
        found[setting]["start"] = time.perf_counter() - begun - seconds
    return found


# --- equality and memory -----------------------------------------------------------------------------


def models(options: argparse.Namespace) -> dict:
    """The same training on one core and on the device: accuracies, and how often both answer alike."""
    patterns, tested = (256, 128) if options.rehearse else (16384, 4096)
    train = {"precision": "float32", "batch_size": 128, "validation_patterns": 0, "validations": 1}
    answers, found = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for device in ("cpu", options.device):
            settings = cases.narrow_cubic({**train, "device": device}, patterns=patterns)
            path = Path(folder, device)
            begun = time.perf_counter()
            train_model(settings, path)
            passed = time.perf_counter() - begun
            predictor = Predictor(path, device=device, precision="float32", calibrated=False)
            test = Sources(settings.samples).samples("validation").take(0, tested)
            answer = predictor.outputs_of_lines(test.lines).argmax(axis=1)
            right = answer == predictor.outputs.output_of_group[test.groups]
            answers.append(answer)
            found[device] = {"accuracy": float(right.mean()), "seconds": passed}
    found |= {"n": tested, "patterns": patterns, "alike": float(np.mean(answers[0] == answers[-1]))}
    return found


def memory(options: argparse.Namespace) -> dict:
    """A batch that does not fit goes through in parts: its gradient beside that of the whole batch."""
    size = 1024 if options.rehearse else 8192
    train = {"precision": "float32", "device": options.device, "batch_size": size, "validation_patterns": 0}
    with _run(cases.narrow_cubic(train)) as run:
        batch = next(run.batches(Progress()))

        def gradient():
            run.gradients(batch, 0, Progress())
            parameters = run.network.model.parameters()
            return torch.cat([p.grad.flatten() for p in parameters if p.grad is not None]).clone()

        whole = gradient()
        with _less_memory(run.network, gradient):
            parts = gradient()
        difference = float((parts - whole).norm() / whole.norm())
        return {"batch": size, "at_once": run.trained_at_once.size, "relative_difference": difference}


@contextmanager
def _less_memory(network, work):
    """Half of what `work` takes beside what is taken already.

    On a CPU, where torch may crash for want of memory, more than no machine has for over 256 patterns.
    """
    if network.device.type == "cpu":
        render = network.render
        network.render = _Short(render)
        try:
            yield
        finally:
            network.render = render
        return
    torch.cuda.reset_peak_memory_stats()
    work()
    torch.cuda.synchronize()
    taken = torch.cuda.memory_allocated()
    allowed = taken + (torch.cuda.max_memory_allocated() - taken) / 2
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(allowed / torch.cuda.get_device_properties(0).total_memory)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


class _Short:
    """A renderer without the memory for more than 256 patterns."""

    def __init__(self, render):
        self._render, self.device = render, render.device

    def __call__(self, lines, conditions):
        if len(lines) > 256:
            torch.empty(10**15)
        return self._render(lines, conditions)


# --- trainings for as long as is left ----------------------------------------------------------------


def orthorhombic(options: argparse.Namespace) -> dict:
    """33 classes of wide orthorhombic lattices."""
    return _training(options, lambda train, **more: cases.wide_orthorhombic(train, **more))


def measured(options: argparse.Namespace) -> dict:
    """All 230 groups, measured as laboratories do."""
    return _training(options, lambda train, **more: cases.joint_measured(train, options.occupations, **more))


def _training(options, settings_of):
    """A training whose budget is what the rate allows in the seconds that are left."""
    train = _quietly(options)
    rate = _steps(settings_of(train), 0.3 if options.rehearse else 8)["patterns_per_second"]
    left = options.seconds - (time.monotonic() - _STARTED) - (1 if options.rehearse else 8)
    share = 0.1 if options.rehearse else 0.85
    train["validation_patterns"] = 64 if options.rehearse else 8192
    train["validations"] = 2 if options.rehearse else 15
    patterns = max(train["batch_size"], int(share * rate * left))
    with _run(settings_of(train, patterns=patterns), TimedRun) as run:
        run.limit = max(1.0, left)
        progress = run.fit()
        last = progress.history[-1]
        return {
            "budget": patterns,
            "patterns": last["patterns"],
            "accuracy": last["validation_accuracy"],
            "n": last["validation_n"],
            "ceiling": last["validation_ceiling"],
            "outputs": len(run.network.outputs),
            "waited": progress.data_share,
            "curve": run.curve,
            "on": describe(run.network.device, run.network.precision),
        }


TRAININGS = {"orthorhombic": orthorhombic, "measured": measured}
PARTS = {
    "rendering": rendering,
    "steps": steps,
    "models": models,
    "memory": memory,
    "alone": alone,
    "compile": compiled,
    **TRAININGS,
}

"""What a step of training costs: `python benchmarks/zoo/steps.py config/zoo.yaml [MODEL ...]`.

CPU seconds of one step (forward, backward, Adam) of each model of a configuration, or of those named, for one
batch of `train.batch_size` random patterns on one thread: the least of eight, or of as many as begin within a
minute and two at least. The first steps of a recurrent network still find its memory. Trees, which take no
steps, are left out.
"""

import argparse
import time
from pathlib import Path

import torch

from xtinct.learning.memory import memory_kept
from xtinct.learning.models import build_model, count_parameters
from xtinct.patterns.instrument import Instrument
from xtinct.project.configuration import load

#: Crystal systems.
OUTPUTS = 7


def main() -> None:
    """Print a table, a line as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("models", nargs="*", metavar="MODEL")
    arguments = parser.parse_args()
    config = load(arguments.config)
    torch.set_num_threads(1)
    print("| model | parameters | s a step |\n|---|---|---|")
    for name in arguments.models or config["models"]:
        options = dict(config["models"][name])
        kind = options.pop("kind")
        if kind == "extratrees":
            continue
        model = build_model(kind, Instrument.from_config(config["instrument"]), OUTPUTS, options)
        points = config["instrument"]["two_theta"]["points"]
        with memory_kept():
            seconds = step_seconds(model, torch.rand(config["train"]["batch_size"], points))
        print(f"| {name} | {count_parameters(model):,} | {seconds:.3f} |", flush=True)


def step_seconds(model: torch.nn.Module, patterns: torch.Tensor) -> float:
    """CPU seconds of the fastest step."""
    optimizer = torch.optim.Adam(model.parameters())
    labels = torch.randint(0, OUTPUTS, (len(patterns),))
    times: list[float] = []
    while len(times) < 2 or (len(times) < 8 and sum(times) < 60):
        started = time.process_time()
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(patterns), labels).backward()
        optimizer.step()
        times.append(time.process_time() - started)
    return min(times)


if __name__ == "__main__":
    main()

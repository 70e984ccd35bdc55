"""How fast a model answers."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from xtinct.evaluation.methods import ModelFolder
from xtinct.learning.predictor import Predictor
from xtinct.linelists.line_lists import LineLists

#: Patterns of a large batch, and seconds after which a measurement is not repeated again.
LARGE_BATCH = 256
_SECONDS = 0.3
#: What is measured: one by one, in large batches, and from line lists.
_WHAT = ("1", str(LARGE_BATCH), "lines")


def speeds(model: ModelFolder, lines: LineLists | None) -> dict[str, float | None]:
    """Patterns per second of a model folder, `patterns_per_second_{cpu,gpu}_{1,256,lines}`.

    `1` and `256`: network alone, so many patterns at a time, from patterns that lie on the device to
    probabilities in the host's memory; `lines`: from line lists, 256 at a time. Medians of repetitions; the
    first answer is not counted. None without any lines, and where there is no GPU or none is to be used.
    """
    found: dict[str, float | None] = {}
    for name, device in (("cpu", "cpu"), ("gpu", "cuda")):
        measured: dict[str, float | None] = dict.fromkeys(_WHAT)
        # A job that is to keep to the processors has asked for no GPU.
        if lines and (device == "cpu" or (model.device != "cpu" and torch.cuda.is_available())):
            measured = _patterns_per_second(replace(model, device=device).predictor(), lines)
        found |= {f"patterns_per_second_{name}_{what}": value for what, value in measured.items()}
    return found


def speeds_in(records: Sequence[Mapping]) -> dict[str, float | None] | None:
    """What `speeds` gave for the records of an evaluation; None where nothing was measured."""
    found = {key: value for key, value in records[0].items() if key.startswith("patterns_per_second_")}
    return found if any(found.values()) else None


def _patterns_per_second(predictor: Predictor, lines: LineLists) -> dict[str, float | None]:
    # Few samples are repeated to fill the batch.
    parts = [lines.slice(0, LARGE_BATCH)] * -(-LARGE_BATCH // min(len(lines), LARGE_BATCH))
    batch = LineLists.concatenate(parts).slice(0, LARGE_BATCH)
    patterns = predictor.render(batch)
    times = (
        _median_seconds(lambda: predictor.outputs_of_patterns(patterns[:1]), predictor.device),
        _median_seconds(lambda: predictor.outputs_of_patterns(patterns), predictor.device),
        _median_seconds(lambda: predictor.outputs_of_lines(batch, batch_size=LARGE_BATCH), predictor.device),
    )
    return {
        what: round(n / seconds, 1)
        for what, n, seconds in zip(_WHAT, (1, LARGE_BATCH, LARGE_BATCH), times, strict=True)
    }


def _median_seconds(answer: Callable[[], object], device: torch.device) -> float:
    answer()
    times: list[float] = []
    while sum(times) < _SECONDS:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        started = time.perf_counter()
        answer()
        times.append(time.perf_counter() - started)
    return float(np.median(times))

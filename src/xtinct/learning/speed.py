"""How fast a model answers."""

import time
from collections.abc import Callable

import numpy as np
import torch

from xtinct.diffraction.linelists import LineLists
from xtinct.learning.prediction import Predictor

#: Patterns of a large batch, and seconds after which a measurement is not repeated again.
LARGE_BATCH = 256
_SECONDS = 0.3


def patterns_per_second(predictor: Predictor, lines: LineLists | None) -> dict[str, float | None]:
    """Patterns per second of the model on the predictor's device, one by one and in large batches.

    `patterns_per_second_1` and `patterns_per_second_256`: network alone, from patterns that lie on the
    device to probabilities in the host's memory; `patterns_per_second_lines`: from line lists, 256 at
    a time. Medians of repetitions; the first answer is not counted. None without any lines.
    """
    names = ("patterns_per_second_1", f"patterns_per_second_{LARGE_BATCH}", "patterns_per_second_lines")
    if not lines:
        return dict.fromkeys(names)
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
        name: round(n / seconds, 1)
        for name, n, seconds in zip(names, (1, LARGE_BATCH, LARGE_BATCH), times, strict=True)
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

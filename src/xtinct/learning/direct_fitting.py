"""Models that are fitted at once, as those of scikit-learn are, in place of steps along a gradient."""

import logging
import time
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from xtinct.errors import XtinctError
from xtinct.learning.checkpoint import Progress
from xtinct.learning.fitting import Run

log = logging.getLogger(__name__)


@runtime_checkable
class FittedAtOnce(Protocol):
    """A torch.nn.Module that learns from all patterns in one call; its state is its tensors."""

    def fit(self, patterns: np.ndarray, labels: np.ndarray, seed: int) -> None:
        """Learn from patterns float32 (n, points) with outputs int64 (n,)."""
        ...


def fit_at_once(run: Run) -> Progress:
    """Fit the run's model on the samples of its budget; the progress has one row of history.

    They are kept in memory together. XtinctError where they do not fit, for several processes, and for a
    loss or a penalty, which such a model does not minimise. Nothing is kept of a run that was interrupted.
    """
    model, settings = run.network.model, run.settings
    if run.processes.count > 1:
        raise XtinctError("train.processes: a model that is fitted at once takes one process")
    if settings.l1 or settings.l2:
        raise XtinctError("training.l1, training.l2: a model that is fitted at once has no such penalty")
    if settings.loss != "cross-entropy":
        raise XtinctError(f"training.loss: a model that is fitted at once knows no loss {settings.loss!r}")
    started, cpu = time.perf_counter(), time.process_time()
    progress = Progress()
    count = run.n_steps * settings.batch_size
    try:
        patterns = np.empty((count, run.network.render.instrument.points), dtype=np.float32)
    except MemoryError:
        raise XtinctError(
            f"out of memory: {count} patterns at once; lower the experiment's `patterns`"
        ) from None
    labels = np.empty(count, dtype=np.int64)
    first = 0
    for batch in run.batches(progress):
        stop = first + len(batch)
        patterns[first:stop] = run.network.render(batch.lines, batch.conditions).cpu().numpy()
        labels[first:stop] = run.network.outputs.output_of_group[batch.groups]
        first = stop
    progress.waited = time.perf_counter() - started
    log.info("fitting %s patterns at once", f"{count:,}")
    model.fit(patterns, labels, run.seed)
    progress.step, progress.seconds = run.n_steps, time.perf_counter() - started
    progress.cpu = time.process_time() - cpu
    progress.history.append(run.row(torch.zeros(3), progress))
    return progress

"""A training that ends after so many seconds."""

import math
import time
from dataclasses import dataclass, field

import torch

from xtinct.learning.checkpoint import Progress
from xtinct.learning.fitting import Run
from xtinct.learning.loading import Batch


class _TimeOverError(Exception):
    """The time of a run is over."""


@dataclass
class TimedRun(Run):
    """A run that ends after `limit` seconds at the latest, wherever its schedule is then.

    curve   (seconds, patterns, accuracy) of every validation so far
    """

    limit: float = math.inf
    curve: list[tuple[float, int, float]] = field(default_factory=list)

    def fit(self) -> Progress:
        """Train until the budget or the time is over; the last row of the history is of the end."""
        self._started = time.perf_counter()
        try:
            return super().fit()
        except _TimeOverError:
            progress = self._progress
            progress.history.append(self.row(torch.zeros(3), progress))
            self.finished(progress.history[-1])
            return progress

    @property
    def elapsed(self) -> float:
        """Seconds since the training began."""
        return time.perf_counter() - self._started

    def gradients(self, batch: Batch, step: int, progress: Progress) -> torch.Tensor:
        """As of any run while there is time: validations may be minutes apart."""
        if step and self.elapsed > self.limit:
            self._progress = progress
            raise _TimeOverError
        return super().gradients(batch, step, progress)

    def finished(self, row: dict) -> bool:
        """Never before the end; notes the accuracy."""
        self.curve.append((round(self.elapsed, 1), row["patterns"], row["validation_accuracy"]))
        return False

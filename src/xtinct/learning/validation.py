"""How far a model is on samples that training never sees, and the statistics that it needs for it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from xtinct.errors import XtinctError
from xtinct.learning.forward_pass import Network
from xtinct.learning.loading import Batch, Loader
from xtinct.learning.memory import Portion
from xtinct.learning.models.normalisation import measure_statistics

#: Patterns that the statistics of batch normalisations are measured on before a validation.
_STATISTICS_PATTERNS = 2048
#: Patterns that are asked about at a time in a validation.
_VALIDATED_AT_ONCE = 256
#: Most bytes of patterns that are kept in the host's memory from one validation to the next.
_KEPT_BYTES = 1 << 28


def not_finite(what: str) -> XtinctError:
    """The error of a run that has no finite numbers any more, and what helps."""
    return XtinctError(
        f"{what}; lower train.learning_rate and train.muon_learning_rate, or set train.precision: float32"
    )


class KeptPatterns:
    """Samples that are rendered when they are first asked for, and kept if they are few enough."""

    def __init__(self, network: Network, samples: Batch) -> None:
        self.network, self.samples = network, samples
        shape = len(samples), network.render.instrument.points
        keep = 4 * shape[0] * shape[1] <= _KEPT_BYTES
        self._kept = torch.empty(shape if keep else (0, shape[1]))
        self._rendered = 0

    def parts(self, count: int) -> Iterator[torch.Tensor]:
        """Patterns float32 (n, points) on the device, `count` after the other; not to be changed."""
        for first in range(0, len(self.samples), count):
            stop = min(first + count, len(self.samples))
            if stop <= self._rendered:
                yield self._kept[first:stop].to(self.network.device)
                continue
            part = self.samples.slice(first, stop)
            patterns = self.network.render(part.lines, part.conditions)
            if len(self._kept):
                self._kept[first:stop] = patterns
                self._rendered = stop
            yield patterns


@dataclass
class Validation:
    """The validation of one run.

    samples     what the accuracy is measured on; None for no accuracy
    loader      the stream of training
    unseen      number of its first sample that training does not see
    batch_size  of training
    """

    network: Network
    samples: Batch | None
    loader: Loader
    unseen: int
    batch_size: int

    def __post_init__(self) -> None:
        size = min(self.batch_size, _STATISTICS_PATTERNS)
        self._measured_at_once = Portion(size, self.network.device)
        self._validated_at_once = Portion(_VALIDATED_AT_ONCE, self.network.device)
        self._last: tuple[int, np.ndarray] | None = None

    @cached_property
    def _patterns(self) -> KeptPatterns:
        return KeptPatterns(self.network, self.samples)

    @cached_property
    def _fresh(self) -> list[KeptPatterns]:
        size, stop = min(self.batch_size, _STATISTICS_PATTERNS), self.unseen + _STATISTICS_PATTERNS
        batches = self.loader.batches(start=self.unseen, stop=stop, step=size, count=size)
        return [KeptPatterns(self.network, batch) for batch in batches]

    def measure_statistics(self, step: int) -> None:
        """Of samples after the last that training sees, so that they are as new to the model as any.

        XtinctError if the model has a number that is not finite then.
        """

        def measure(micro: int) -> None:
            # A model without batch normalisation asks for none of them.
            batches = (list(batch.parts(micro)) for batch in self._of_fresh())
            with self.network.autocast():
                measure_statistics(self.network.model, batches)

        self._measured_at_once.fitted(measure)
        if not all(torch.isfinite(tensor).all() for tensor in self.network.model.state_dict().values()):
            raise not_finite(
                f"training stopped at step {step}: a weight or the statistics of a layer are not finite"
            )

    def _of_fresh(self) -> Iterator[KeptPatterns]:
        yield from self._fresh

    def accuracy(self, step: int) -> dict:
        """`validation_n` and `validation_accuracy` of the target; XtinctError for outputs not finite."""
        probabilities = self.probabilities(step)
        if not np.isfinite(probabilities).all():
            raise not_finite(f"training stopped at step {step}: an output of the model is not finite")
        labels = self.network.outputs.output_of_group[self.samples.groups]
        right = probabilities.argmax(axis=1) == labels
        return {"validation_n": len(right), "validation_accuracy": round(float(right.mean()), 6)}

    def probabilities(self, step: int) -> np.ndarray:
        """Softmax of the outputs after `step`, float32 (n, n_outputs); leaves the model in evaluation mode.

        Those of the last step are kept: the calibration asks for what the last validation has found.
        """
        self.network.model.eval()
        if self._last is None or self._last[0] != step:
            found = self._validated_at_once.fitted(
                lambda count: np.concatenate([self.network.answers(x) for x in self._patterns.parts(count)])
            )
            self._last = step, found
        return self._last[1]

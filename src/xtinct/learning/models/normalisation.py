"""Batch normalisation whose result does not depend on how a batch is divided."""

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn import functional


class GhostBatchNorm(nn.BatchNorm2d):
    """Batch normalisation by ghost batches (Hoffer et al. 2017, section 4.1).

    In training every `ghost` samples in a row are normalised by their own mean and variance, whatever
    stands beside them. So a batch of whole ghost batches gives the same gradient at once, in
    micro-batches, and divided among processes. `ghost` None takes the batch as one.

    Training leaves the running statistics alone; `measure_statistics` sets them for evaluation.
    """

    ghost: int | None = None
    measuring: bool = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, channels, height, width), normalised by channel."""
        if not self.training or self.measuring:
            return super().forward(x)
        parts = [
            functional.batch_norm(part, None, None, self.weight, self.bias, training=True, eps=self.eps)
            for part in x.split(self.ghost or len(x))
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts)


def set_ghost_batch(model: nn.Module, ghost: int | None) -> bool:
    """Set the size of the ghost batches; False if the model has no batch normalisation."""
    norms = [module for module in model.modules() if isinstance(module, GhostBatchNorm)]
    for norm in norms:
        norm.ghost = ghost
    return bool(norms)


@torch.no_grad()
def measure_statistics(model: nn.Module, patterns: Iterable[torch.Tensor]) -> None:
    """Set the statistics of a model's batch normalisations to those of `patterns` at its present weights.

    Batches float32 (n, points), weighted equally. Running averages would mix in the statistics of
    former weights (Wu and Johnson 2021, "Rethinking Batch in BatchNorm", section 3). Leaves the model
    in evaluation mode; a model without batch normalisation takes nothing from `patterns`.
    """
    model.eval()
    norms = [module for module in model.modules() if isinstance(module, GhostBatchNorm)]
    if not norms:
        return
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.measuring = True
        norm.train()
    for batch in patterns:
        model(batch)
    for norm in norms:
        norm.measuring = False
    model.eval()

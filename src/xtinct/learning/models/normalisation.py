"""Batch normalisation whose result does not depend on how a batch is divided."""

from collections.abc import Iterable, Sequence
from functools import partial

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
    #: Mean and variance of the batch that x is a part of, while they are measured in parts.
    whole: tuple[torch.Tensor, torch.Tensor] | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, channels, height, width), normalised by channel."""
        if self.whole is not None:
            return functional.batch_norm(x, *self.whole, self.weight, self.bias, eps=self.eps)
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
def measure_statistics(model: nn.Module, batches: Iterable[Sequence[torch.Tensor]]) -> None:
    """Set the statistics of a model's batch normalisations to those of `batches` at its present weights.

    Each batch comes in parts float32 (n, points), a single one where it fits into memory; how it is
    divided changes the result by rounding alone. Batches are weighted equally. Running averages would
    mix in the statistics of former weights (Wu and Johnson 2021, "Rethinking Batch in BatchNorm",
    section 3). Leaves the model in evaluation mode; a model without batch normalisation takes nothing
    from `batches`.
    """
    model.eval()
    norms = [module for module in model.modules() if isinstance(module, GhostBatchNorm)]
    if not norms:
        return
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    for parts in batches:
        if len(parts) == 1:
            _measure_at_once(model, norms, parts[0])
        else:
            _measure_in_parts(model, norms, parts)


def _measure_at_once(model: nn.Module, norms: list[GhostBatchNorm], batch: torch.Tensor) -> None:
    for norm in norms:
        norm.measuring = True
        norm.train()
    try:
        model(batch)
    finally:
        for norm in norms:
            norm.measuring = False
            norm.eval()


def _measure_in_parts(model: nn.Module, norms: list[GhostBatchNorm], parts: Sequence[torch.Tensor]) -> None:
    """One normalisation after the other: those before it already use the statistics of the whole batch."""
    try:
        for norm in norms:
            seen: list[tuple[int, torch.Tensor, torch.Tensor]] = []
            hook = norm.register_forward_pre_hook(partial(_note_moments, seen))
            try:
                for part in parts:
                    model(part)
            finally:
                hook.remove()
            total = sum(n for n, _, _ in seen)
            mean = sum(n * part_mean for n, part_mean, _ in seen) / total
            variance = sum(n * (v + (m - mean).square()) for n, m, v in seen) / total
            norm.whole = mean.float(), variance.float()
            norm.num_batches_tracked += 1
            share = 1 / int(norm.num_batches_tracked)
            norm.running_mean.lerp_(mean.float(), share)
            norm.running_var.lerp_((variance * total / (total - 1)).float(), share)
    finally:
        for norm in norms:
            norm.whole = None


def _note_moments(seen: list, norm: nn.Module, inputs: tuple[torch.Tensor]) -> None:
    """Append values per channel, mean and variance (of those values), float64 (channels,)."""
    variance, mean = torch.var_mean(inputs[0].float(), dim=(0, 2, 3), correction=0)
    seen.append((inputs[0][:, 0].numel(), mean.double(), variance.double()))

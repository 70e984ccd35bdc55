"""Optimisers and the learning-rate schedule."""

import math

import torch
from torch import nn

from xtinct.errors import XtinctError
from xtinct.learning.training_settings import TrainSettings


class KernelMuon(torch.optim.Muon):
    """`torch.optim.Muon` for weights of any number of dimensions.

    torch's class takes matrices alone. A convolution kernel (out, in, width) acts as the matrix
    (out, in * width) on a window of its input, so it is handed over as such a view: parameter and
    view share their memory, and only the gradient is passed on before each step.
    """

    def __init__(self, weights: list[nn.Parameter], lr: float, weight_decay: float) -> None:
        self._weights = weights
        self._matrices = [nn.Parameter(weight.detach().view(len(weight), -1)) for weight in weights]
        super().__init__(self._matrices, lr=lr, weight_decay=weight_decay)

    @torch.no_grad()
    def step(self, closure=None) -> None:
        """Take a step along the orthogonalised momentum of every weight."""
        for weight, matrix in zip(self._weights, self._matrices, strict=True):
            matrix.grad = None if weight.grad is None else weight.grad.view_as(matrix)
        super().step(closure)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of the weights, which are those that backward fills."""
        super().zero_grad(set_to_none)
        for weight in self._weights:
            weight.grad = None


def make_optimizers(model: nn.Module, settings: TrainSettings) -> list[torch.optim.Optimizer]:
    """The optimisers of a model, each with the rate that it peaks at.

    "muon": Muon for the matrices and kernels inside the network, AdamW for the first layer, the
    layers of `model.head`, norms and biases (Jordan 2024 keeps input and output layers out of
    Muon). "adamw": AdamW for all; "adam" is that without weight decay.
    """
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer in ("adamw", "adam"):
        decay = decay if settings.optimizer == "adamw" else 0.0
        return [torch.optim.AdamW([p for _, p in named], lr=rate, weight_decay=decay)]
    if settings.optimizer != "muon":
        raise XtinctError(f"train.optimizer: {settings.optimizer!r}, expected muon, adamw or adam")
    if not isinstance(getattr(model, "head", None), nn.Module):
        raise XtinctError(
            "train.optimizer: muon needs a network whose attribute `head` is the module that ends in the "
            "classifier; write adamw"
        )
    weights = [(name, p) for name, p in named if p.ndim >= 2]
    head = {id(p) for p in model.head.parameters()}
    inner = {name for name, p in weights[1:] if id(p) not in head}
    others = torch.optim.AdamW([p for name, p in named if name not in inner], lr=rate, weight_decay=decay)
    if not inner:
        return [others]
    return [KernelMuon([p for name, p in named if name in inner], settings.muon_learning_rate, decay), others]


def clip_gradients(parameters: list[nn.Parameter], limit: float) -> bool:
    """Scale the gradients so that their joint norm is at most `limit` (0: as they are).

    False, and nothing changed, if a gradient is not finite.
    """
    norm = nn.utils.get_total_norm([p.grad for p in parameters])
    if not torch.isfinite(norm):
        return False
    if limit:
        nn.utils.clip_grads_with_norm_(parameters, limit, norm)
    return True


def schedule(step: int, n_steps: int, *, kind: str, warmup: float) -> float:
    """Share of the peak learning rate at `step` (from 0).

    "cosine": linear rise over the first `warmup` of the steps, then half a cosine down to zero
    after the last step. "constant": 1.
    """
    if kind == "constant":
        return 1.0
    if kind != "cosine":
        raise XtinctError(f"train.schedule: {kind!r}, expected cosine or constant")
    rise = warmup * n_steps
    if step < rise:
        return (step + 1) / (rise + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / (n_steps - rise)))

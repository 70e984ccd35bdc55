"""Optimisers, penalties on weights, and the course of the learning rate."""

import inspect
import math
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from xtinct.errors import XtinctError
from xtinct.learning.training_settings import TrainSettings


def _uncompiled(kind: type[torch.optim.Optimizer]) -> type[torch.optim.Optimizer]:
    """An optimiser of torch without what wraps its methods for torch's compiler.

    The wrappers load the compiler, which takes a second of every training, and are for steps that are
    compiled or differentiated through. None is here.
    """
    names = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
    plain = {name: inspect.unwrap(getattr(kind, name)) for name in names}
    return type(kind.__name__, (kind,), {**plain, "step": torch.no_grad()(inspect.unwrap(kind.step))})


AdamW = _uncompiled(torch.optim.AdamW)
SGD = _uncompiled(torch.optim.SGD)


class KernelMuon(_uncompiled(torch.optim.Muon)):
    """`torch.optim.Muon` for weights of any number of dimensions, and for processors without bfloat16.

    torch's class takes matrices alone. A convolution kernel (out, in, width) acts as the matrix
    (out, in * width) on a window of its input, so it is stepped as such a view, with which it shares
    its memory. torch's class multiplies in bfloat16 everywhere. Where oneDNN has no product of
    bfloat16, torch's own takes 12 to 27 times as long as one of float32, so float32 is taken there.
    """

    def __init__(self, weights: list[nn.Parameter], lr: float, weight_decay: float) -> None:
        self._weights = weights
        self._matrices = [nn.Parameter(weight.detach().view(len(weight), -1)) for weight in weights]
        self.precision = _fast_precision(weights[0].device)
        super().__init__(self._matrices, lr=lr, weight_decay=weight_decay)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Take a step along the orthogonalised momentum of every weight: that of `torch.optim.Muon`."""
        (group,) = self.param_groups
        rate, momentum = group["lr"], group["momentum"]
        for weight, matrix in zip(self._weights, self._matrices, strict=True):
            if weight.grad is None:
                continue
            gradient, state = weight.grad.view_as(matrix), self.state[matrix]
            if not state:
                state["momentum_buffer"] = torch.zeros_like(gradient)
            mean = state["momentum_buffer"].lerp_(gradient, 1 - momentum)
            update = self._orthogonal(gradient.lerp(mean, momentum), group)
            rows, columns = matrix.shape
            matrix.mul_(1 - rate * group["weight_decay"])
            matrix.add_(update, alpha=-rate * math.sqrt(max(1, rows / columns)))

    def _orthogonal(self, matrix: torch.Tensor, group: Mapping) -> torch.Tensor:
        """About U V^T of the matrix U S V^T, by a quintic Newton-Schulz iteration (Jordan 2024)."""
        a, b, c = group["ns_coefficients"]
        tall = matrix.shape[0] > matrix.shape[1]
        found = matrix.to(self.precision)
        found = found.T if tall else found
        found = found / found.norm().clamp(min=group["eps"])
        for _ in range(group["ns_steps"]):
            gram = found @ found.T
            found = torch.addmm(found, torch.addmm(gram, gram, gram, beta=b, alpha=c), found, beta=a)
        return found.T if tall else found

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of the weights, which are those that backward fills."""
        for weight in self._weights:
            weight.grad = None


def _fast_precision(device: torch.device) -> torch.dtype:
    """bfloat16, or float32 on a CPU on which oneDNN does not multiply it."""
    if device.type != "cpu":
        return torch.bfloat16
    there = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.bfloat16 if there else torch.float32


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
        return [AdamW([p for _, p in named], lr=rate, weight_decay=decay)]
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
    others = AdamW([p for name, p in named if name not in inner], lr=rate, weight_decay=decay)
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


@torch.no_grad()
def add_penalty(model: nn.Module, l1: float, l2: float) -> None:
    """Add the gradient of l1 * sum |w| + l2 * sum w^2 to those that the parameters have.

    w: every number of the matrices and kernels. Norms and biases go free, as in Keras, whose
    `kernel_regularizer` this is.
    """
    if not (l1 or l2):
        return
    for parameter in model.parameters():
        if parameter.ndim >= 2 and parameter.grad is not None:
            parameter.grad += l1 * parameter.sign() + 2 * l2 * parameter


class RateCourse:
    """Share of the peak learning rate at each step of a run.

    n_steps   of the run
    history   rows of the validations so far, of a run that goes on

    "cosine" and "constant": as `schedule`. "plateau": torch's ReduceLROnPlateau on the validation
    accuracy: times `settings.factor` once it has not risen by more than 1e-4 (Keras's least change) in
    more than `settings.patience` validations in a row.
    """

    def __init__(self, settings: TrainSettings, n_steps: int, history: Sequence[Mapping] = ()) -> None:
        self.settings, self.n_steps = settings, n_steps
        self._rate = SGD([nn.Parameter(torch.zeros(()))], lr=1.0)
        self._plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self._rate,
            mode="max",
            factor=settings.factor,
            patience=settings.patience,
            threshold=1e-4,
            threshold_mode="abs",
        )
        for row in history:
            self.validated(row["validation_accuracy"])

    @property
    def follows_validation(self) -> bool:
        """Whether it needs `validated` after every validation."""
        return self.settings.schedule == "plateau"

    def validated(self, accuracy: float) -> None:
        """Take note of a validation's accuracy."""
        if self.follows_validation:
            self._plateau.step(accuracy)

    def share(self, step: int) -> float:
        """Share at `step` (from 0)."""
        if self.follows_validation:
            return self._rate.param_groups[0]["lr"]
        return schedule(step, self.n_steps, kind=self.settings.schedule, warmup=self.settings.warmup)


def schedule(step: int, n_steps: int, *, kind: str, warmup: float) -> float:
    """Share of the peak learning rate at `step` (from 0).

    "cosine": linear rise over the first `warmup` of the steps, then half a cosine down to zero
    after the last step. "constant": 1.
    """
    if kind == "constant":
        return 1.0
    if kind != "cosine":
        raise XtinctError(f"train.schedule: {kind!r}, expected cosine, constant or plateau")
    rise = warmup * n_steps
    if step < rise:
        return (step + 1) / (rise + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / (n_steps - rise)))

"""The network of Park et al. 2017 in the sizes of Schopmans et al. 2023."""

import math

import torch
from torch import nn
from torch.nn import functional

from xtinct.errors import XtinctError
from xtinct.patterns.instrument import Instrument

#: Widths of the two dense layers.
SIZES = {"small": (700, 70), "medium": (4040, 202), "big": (2300, 1150)}
#: Kernel and stride of each convolution, kernel and stride of the pooling after it.
STAGES = ((100, 5, 3, 2), (50, 5, 3, 3), (25, 2, 3, 3))
CHANNELS = 80


class ParkCNN(nn.Module):
    """Three wide-kernel convolutions with average pooling, then two dense layers.

    Convolutions are padded so that their length is the input's over the stride, rounded up;
    pooling is not padded. `size` is small, medium or big; `dropout` switches on 0.3 after each
    convolution and 0.5 after each dense layer (used with database structures only).
    """

    def __init__(
        self, instrument: Instrument, n_outputs: int, size: str = "medium", dropout: bool = False
    ) -> None:
        super().__init__()
        if size not in SIZES:
            raise XtinctError(f"model 'parkcnn': size {size!r}, expected one of {', '.join(SIZES)}")
        self.convolutions = nn.ModuleList()
        channels, length = 1, instrument.points
        for kernel, stride, pool, pool_stride in STAGES:
            self.convolutions.append(nn.Conv1d(channels, CHANNELS, kernel, stride))
            channels, length = CHANNELS, (math.ceil(length / stride) - pool) // pool_stride + 1
            if length < 1:
                raise XtinctError(f"model 'parkcnn': {instrument.points} points are too few for its strides")
        first, second = SIZES[size]
        self.hidden = nn.ModuleList([nn.Linear(channels * length, first), nn.Linear(first, second)])
        self.head = nn.Linear(second, n_outputs)
        self.dropouts = (0.3, 0.5) if dropout else (0.0, 0.0)

    def forward(self, pattern: torch.Tensor) -> torch.Tensor:
        """Patterns float32 (n, points) to logits (n, n_outputs)."""
        x = pattern[:, None]
        for layer, (kernel, stride, pool, pool_stride) in zip(self.convolutions, STAGES, strict=True):
            missing = max((math.ceil(x.shape[2] / stride) - 1) * stride + kernel - x.shape[2], 0)
            x = functional.relu(layer(functional.pad(x, (missing // 2, missing - missing // 2))))
            x = functional.avg_pool1d(
                functional.dropout(x, self.dropouts[0], self.training), pool, pool_stride
            )
        x = x.flatten(1)
        for layer in self.hidden:
            x = functional.dropout(functional.relu(layer(x)), self.dropouts[1], self.training)
        return self.head(x)

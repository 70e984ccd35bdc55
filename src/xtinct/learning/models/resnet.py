"""The one-dimensional residual networks of Schopmans et al. 2023."""

import torch
from torch import nn
from torch.nn import functional

from xtinct.errors import XtinctError
from xtinct.patterns.instrument import Instrument

#: Residual blocks of the four stages; networks of depth 50 and more use bottleneck blocks.
BLOCKS = {10: (1, 1, 1, 1), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
WIDTHS = (64, 128, 256, 512)
STRIDES = (1, 4, 4, 4)
KERNEL = 9
#: Groups of every group normalisation (Wu and He 2018).
GROUPS = 32


def _convolution(channels: int, filters: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(channels, filters, kernel, stride, padding=kernel // 2, bias=False),
        nn.GroupNorm(GROUPS, filters),
    )


class _Residual(nn.Module):
    def __init__(self, channels: int, width: int, stride: int, bottleneck: bool, first: bool) -> None:
        super().__init__()
        filters = 4 * width if bottleneck else width
        if bottleneck:
            parts = [
                _convolution(channels, width, 1),
                _convolution(width, width, KERNEL, stride),
                _convolution(width, filters, 1),
            ]
        else:
            parts = [_convolution(channels, width, KERNEL, stride), _convolution(width, width, KERNEL)]
        self.parts = nn.ModuleList(parts)
        # The first block of a stage projects even where the shape would not need it (ResNet-10, stage 1).
        self.shortcut = _convolution(channels, filters, 1, stride) if first else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x
        for part in self.parts[:-1]:
            y = functional.relu(part(y))
        return functional.relu(self.parts[-1](y) + self.shortcut(x))


class ResNet(nn.Module):
    """ResNet of `depth` 10, 50 or 101 with kernels of 9 points and group normalisation.

    The features are flattened, not pooled, and pass one linear layer of 256 without activation
    before the classifier. The pattern enters as its square root, as in the published training.
    """

    def __init__(self, instrument: Instrument, n_outputs: int, depth: int = 10) -> None:
        super().__init__()
        if depth not in BLOCKS:
            raise XtinctError(
                f"model 'resnet': depth {depth!r}, expected one of {', '.join(map(str, BLOCKS))}"
            )
        bottleneck = depth >= 50
        layers: list[nn.Module] = [_convolution(1, 64, 7, 2), nn.ReLU(), nn.MaxPool1d(3, 2, padding=1)]
        channels = 64
        for n_blocks, width, stage_stride in zip(BLOCKS[depth], WIDTHS, STRIDES, strict=True):
            for i in range(n_blocks):
                layers.append(_Residual(channels, width, stage_stride if i == 0 else 1, bottleneck, i == 0))
                channels = 4 * width if bottleneck else width
        self.layers = nn.Sequential(*layers)
        with torch.no_grad():
            length = self.layers(torch.zeros(1, 1, instrument.points)).shape[2]
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(channels * length, 256), nn.Linear(256, n_outputs))

    def forward(self, pattern: torch.Tensor) -> torch.Tensor:
        """Patterns float32 (n, points) to logits (n, n_outputs)."""
        return self.head(self.layers(pattern.clamp_min(0).sqrt()[:, None]))

"""The default network: strided convolutions on an axis of log(sin theta)."""

import math

import numpy as np
import torch
from torch import nn

from xtinct.errors import XtinctError
from xtinct.learning.models.normalisation import GhostBatchNorm
from xtinct.patterns.instrument import Instrument

#: Length that the convolutions leave to the flattening head.
HEAD_LENGTH = 16
#: Widest convolution, in widths of the first.
WIDEST = 6
#: Weakest intensity that the logarithm shows, of the strongest.
WEAKEST = 1e-6
#: Samples averaged into one point of the new axis: finer than a peak of 0.2 degrees at high angles.
OVERSAMPLING = 4


class LogSinTheta(nn.Module):
    """Resample patterns from equal steps of 2theta to `points` equal steps of log(sin theta).

    Scaling all d spacings by a factor shifts the new axis, so a convolution sees the same local
    picture for every size of a lattice. A point of the result is the mean over its interval
    (OVERSAMPLING linear interpolations), which keeps the weight of narrow peaks where the new axis
    is coarser than the old one.
    """

    def __init__(self, instrument: Instrument, points: int) -> None:
        super().__init__()
        self.points = points
        low, high = (
            math.log(math.sin(math.radians(angle / 2)))
            for angle in (instrument.two_theta_min, instrument.two_theta_max)
        )
        n_samples = points * OVERSAMPLING
        log_sine = low + (high - low) * (np.arange(n_samples) + 0.5) / n_samples
        two_theta = 2 * np.degrees(np.arcsin(np.exp(log_sine)))
        step = (instrument.two_theta_max - instrument.two_theta_min) / (instrument.points - 1)
        position = (two_theta - instrument.two_theta_min) / step
        left = np.clip(np.floor(position), 0, instrument.points - 2).astype(np.int64)
        # Constants of the instrument, made anew from the card: not part of the saved weights.
        self.register_buffer("left", torch.from_numpy(left), persistent=False)
        self.register_buffer(
            "weight", torch.from_numpy((position - left).astype(np.float32)), persistent=False
        )

    def forward(self, pattern: torch.Tensor) -> torch.Tensor:
        """float32 (n, instrument.points) -> float32 (n, points)."""
        left = pattern.index_select(1, self.left)
        right = pattern.index_select(1, self.left + 1)
        return torch.lerp(left, right, self.weight).view(len(pattern), self.points, OVERSAMPLING).mean(2)


class LogQ(nn.Module):
    """Square root and logarithm of the resampled pattern, strided convolutions, flattening head.

    points    length of the log(sin theta) axis, HEAD_LENGTH times a power of two
    width     channels of the first convolution; each next one has twice as many, up to WIDEST times
    hidden    width of the dense layer before the classifier

    The logarithm shows weak lines, the square root weighs the strong ones; the head is not pooled
    because where a line stands decides (reflection conditions are positions).
    """

    def __init__(
        self, instrument: Instrument, n_outputs: int, points: int = 1024, width: int = 16, hidden: int = 256
    ) -> None:
        super().__init__()
        halvings = round(math.log2(points / HEAD_LENGTH)) if points >= HEAD_LENGTH else 0
        if halvings < 1 or points != HEAD_LENGTH << halvings:
            raise XtinctError(
                f"model 'logq': points must be {HEAD_LENGTH} times a power of two, not {points}"
            )
        self.resample = LogSinTheta(instrument, points)
        widths = [min(width << i, WIDEST * width) for i in range(halvings)]
        layers: list[nn.Module] = []
        channels = 2
        for i, filters in enumerate(widths):
            kernel = 15 if i == 0 else 9
            layers += [
                nn.Conv2d(
                    channels, filters, (1, kernel), stride=(1, 2), padding=(0, kernel // 2), bias=False
                ),
                GhostBatchNorm(filters),
                nn.ReLU(),
            ]
            channels = filters
        self.features = nn.Sequential(*layers)
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(channels * HEAD_LENGTH, hidden), nn.ReLU())
        self.head = nn.Linear(hidden, n_outputs)

    def forward(self, pattern: torch.Tensor) -> torch.Tensor:
        """Patterns float32 (n, points) to logits (n, n_outputs)."""
        resampled = self.resample(pattern).clamp_min(0)
        channels = torch.stack(
            [resampled.sqrt(), torch.log10(resampled + WEAKEST) / -math.log10(WEAKEST) + 1], dim=-1
        )
        # (n, points, 2) read as an image (n, 2, 1, points) with the channels innermost: torch has this
        # layout for two-dimensional convolutions alone, and on a CPU it is faster by a third.
        return self.head(self.hidden(self.features(channels[:, None].permute(0, 3, 1, 2))))

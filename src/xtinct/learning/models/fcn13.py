"""The fully convolutional network of the ULBD paper: thirteen convolutions, no dense layer."""

import torch
from torch import nn

from xtinct.errors import XtinctError
from xtinct.patterns.instrument import Instrument

FILTERS = (16, 16, 32, 32, 64, 64, 128, 128, 256, 256, 512, 512, 256)


class FCN13(nn.Module):
    """Thirteen blocks of convolution (kernel 3), halving max-pool and dropout, then a 1x1 convolution.

    After Lee et al. 2022, as used by Wang et al. 2025: LeakyReLU (slope 0.01) after all but the last
    of the thirteen convolutions, dropout 0.2 eleven times, then 0.4 twice, Glorot-uniform weights.
    Thirteen halvings leave one point of 8192, so the 1x1 convolution is the classifier.
    """

    def __init__(self, instrument: Instrument, n_outputs: int) -> None:
        super().__init__()
        if instrument.points != 2 ** len(FILTERS):
            raise XtinctError(
                f"model 'fcn13' halves its input {len(FILTERS)} times: instrument.two_theta.points must be "
                f"{2 ** len(FILTERS)}, not {instrument.points}"
            )
        layers: list[nn.Module] = []
        channels = 1
        for i, filters in enumerate(FILTERS):
            layers.append(nn.Conv1d(channels, filters, 3, padding=1))
            if i < len(FILTERS) - 1:
                layers.append(nn.LeakyReLU(0.01))
            layers += [nn.MaxPool1d(2), nn.Dropout(0.2 if i < len(FILTERS) - 2 else 0.4)]
            channels = filters
        layers.append(nn.Conv1d(channels, n_outputs, 1))
        self.layers = nn.Sequential(*layers)
        for layer in self.layers:
            if isinstance(layer, nn.Conv1d):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)

    @property
    def head(self) -> nn.Module:
        """The classifier."""
        return self.layers[-1]

    def forward(self, pattern: torch.Tensor) -> torch.Tensor:
        """Patterns float32 (n, points) to logits (n, n_outputs)."""
        return self.layers(pattern[:, None]).flatten(1)

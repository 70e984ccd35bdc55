"""The 21 networks of the SimXRD-4M benchmark (ICLR 2025), as they were published and repaired."""

import torch
from torch import nn
from torch.nn import functional

from xtinct.errors import XtinctError
from xtinct.learning.models.simxrd_layers import LAYERS, Layers
from xtinct.learning.models.simxrd_sequences import POINTS, RECURRENT, TRANSFORMERS, sequence_network
from xtinct.patterns.instrument import Instrument

#: Names of the networks, in the order of the published table.
NAMES = (*LAYERS, *RECURRENT, *TRANSFORMERS)
VERSIONS = ("as-published", "repaired")
#: Length and maximum of the patterns of SimXRD.
_POINTS, _MAXIMUM = 3501, 100.0
#: As many outputs or fewer are taken for crystal systems, for which CNN1 and CNN8 have other layers.
_SYSTEMS = 7


class SimXRD(nn.Module):
    """One of NAMES; `version` is one of VERSIONS.

    The pattern is resampled to the points of the network, linearly. Layers and sizes of both versions are
    those of the released code, unless a line below says otherwise. Defects of it, all kept `as-published`
    and removed if `repaired`:

    all          patterns of 3501 points enter with a maximum of 100, and are resampled again from there;
                 repaired: a maximum of 1, and resampled once
    CNN1-CNN8    a softmax stands after the classifier, and the cross-entropy applies another: with scores
                 between 0 and 1 the loss of 230 groups cannot fall below 4.446, that of 7 systems below 1.165
    CNN4, MLP    two softmaxes after the classifier, three with that of the loss
    BiRNN, BiLSTM, BiGRU   are read at the last step, where the backward direction of the top layer has
                 taken one step; repaired: each direction at its own last step
    Transformer  attends across the patterns of a batch in place of the points of a pattern, knows no
                 positions, and the last point answers, so that nothing but the last value of a pattern is
                 seen; repaired: along the pattern, sinusoidal positions, mean over the points
    iTransformer one series is one token, so that attention is a linear layer; repaired: three, with the
                 square root and the logarithm of the pattern (the classifier is three times as wide)

    Nothing but the input differs in CNN9, CNN10, CNN11, RNN, LSTM, GRU and PatchTST. Learning rate (Adam,
    2.5e-4), epochs and patience were the same for all of them and never tuned: these are settings of
    training, not of the network.

    The answers of the Transformer as published depend on what stands beside a pattern in a batch, and so on
    how a batch is divided. Batch normalisation (CNN7) is by ghost batches.
    """

    def __init__(
        self, instrument: Instrument, n_outputs: int, name: str = "CNN10", version: str = "repaired"
    ) -> None:
        super().__init__()
        if name not in NAMES:
            raise XtinctError(f"model 'simxrd': name {name!r}, expected one of {', '.join(NAMES)}")
        if version not in VERSIONS:
            raise XtinctError(f"model 'simxrd': version {version!r}, expected {' or '.join(VERSIONS)}")
        self.repaired = version == "repaired"
        self.softmaxes = 0
        if name in LAYERS:
            layers = LAYERS[name].of_systems() if n_outputs <= _SYSTEMS else LAYERS[name]
            self.points = layers.points
            self.softmaxes = 0 if self.repaired else layers.softmaxes
            self.network: nn.Module = _network(layers, n_outputs)
        else:
            self.points = POINTS[name]
            self.network = sequence_network(name, n_outputs, self.repaired)

    @property
    def head(self) -> nn.Module:
        """The classifier."""
        return self.network[-1] if isinstance(self.network, nn.Sequential) else self.network.head

    def forward(self, pattern: torch.Tensor) -> torch.Tensor:
        """Patterns float32 (n, points) to logits (n, n_outputs); as published some are probabilities."""
        if not self.repaired:
            pattern = _MAXIMUM * _resampled(pattern, _POINTS)
        scores = self.network(_resampled(pattern, self.points))
        for _ in range(self.softmaxes):
            scores = scores.softmax(dim=1)
        return scores


def _resampled(pattern: torch.Tensor, points: int) -> torch.Tensor:
    if pattern.shape[1] == points:
        return pattern
    return functional.interpolate(pattern[:, None], size=points, mode="linear", align_corners=False)[:, 0]


def _network(layers: Layers, n_outputs: int) -> nn.Sequential:
    modules: list[nn.Module] = []
    channels, features = 1, layers.points
    if layers.convolutions:
        for convolution in layers.convolutions:
            modules += convolution.modules(channels)
            channels = convolution.filters
        modules = [nn.Unflatten(1, (1, layers.points)), *modules, nn.Flatten()]
        with torch.no_grad():
            features = nn.Sequential(*modules)(torch.zeros(1, layers.points)).shape[1]
    network = nn.Sequential(*modules, *layers.dense.modules(features, n_outputs))
    if layers.glorot:
        for layer in network:
            if isinstance(layer, nn.Conv1d | nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
    return network

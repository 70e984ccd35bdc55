"""Networks of a student report (space groups) and of slides (crystal systems) on powder diffraction.

Both show their layers in figures alone. Which layers there are, and the sizes of the slides' models, are
theirs; kernels, widths and depths are ours, chosen to come to these sizes.
"""

from collections.abc import Callable

import torch
from torch import nn

from xtinct.errors import XtinctError
from xtinct.learning.models.normalisation import GhostBatchNorm
from xtinct.learning.models.representations import Representation
from xtinct.patterns.instrument import Instrument

#: Pairs of the report: longer lists of its peaks were left out of its data.
PAIRS = 5000
REPORT = ("ann", "ann-normalised", "cnn")
SLIDES = ("dense", "cnn-dense", "cnn-lstm", "small-cnn-lstm", "bilstm", "transformer")
#: Points of a step of the recurrent and attending networks.
_PATCH = 64


class ReportNetwork(nn.Module):
    """A network of the report: `name` of REPORT, on `input` pairs (as there), peaks or pattern.

    ann              dense layers of 512 and 256, ReLU
    ann-normalised   the same with batch normalisation and LeakyReLU
    cnn              three convolutions with pooling, a dense layer

    The report also has L1 and L2 penalties and a learning rate that falls when the validation accuracy stays:
    `l1`, `l2` and `schedule: plateau` of the training. It does not say how large they are.
    """

    def __init__(
        self, instrument: Instrument, n_outputs: int, name: str = "ann", input: str = "pairs"
    ) -> None:
        super().__init__()
        if name not in REPORT:
            raise XtinctError(f"model 'report': name {name!r}, expected one of {', '.join(REPORT)}")
        self.shown = Representation(instrument, input, PAIRS)
        layers: list[nn.Module] = []
        width = self.shown.channels * self.shown.length
        if name == "cnn":
            layers, width = _convolutions(self.shown, (32, 64, 128), 4)
        normalised = name == "ann-normalised"
        for units in (256,) if name == "cnn" else (512, 256):
            layers.append(nn.Linear(width, units))
            if normalised:
                layers += [nn.Unflatten(1, (units, 1, 1)), GhostBatchNorm(units), nn.Flatten()]
            layers.append(nn.LeakyReLU(0.01) if normalised else nn.ReLU())
            width = units
        self.layers = nn.Sequential(nn.Identity() if name == "cnn" else nn.Flatten(), *layers)
        self.head = nn.Linear(width, n_outputs)

    def forward(self, pattern: torch.Tensor) -> torch.Tensor:
        """Patterns float32 (n, points) to logits (n, n_outputs)."""
        return self.head(self.layers(self.shown(pattern)))


class SlideNetwork(nn.Module):
    """A network of the slides: `name` of SLIDES, on `input` pattern ("full") or peaks ("peaks only").

    dense            dense layers of 4096 and 1280
    cnn-dense        two convolutions with pooling, a dense layer of 640
    cnn-lstm         two convolutions with pooling, an LSTM of 136 over what they leave, a dense layer of 256
    small-cnn-lstm   the same with 16 and 32 filters and an LSTM of 44, without the dense layer
    bilstm           an LSTM of 64 in both directions over pieces of 64 points
    transformer      three encoder layers of width 64 over pieces of 64 points
    """

    def __init__(
        self, instrument: Instrument, n_outputs: int, name: str = "small-cnn-lstm", input: str = "pattern"
    ) -> None:
        super().__init__()
        if name not in SLIDES:
            raise XtinctError(f"model 'slides': name {name!r}, expected one of {', '.join(SLIDES)}")
        self.shown = Representation(instrument, input, PAIRS)
        makers: dict[str, Callable[[], tuple[list[nn.Module], int]]] = {
            "dense": self._dense,
            "cnn-dense": self._convolved,
            "cnn-lstm": lambda: self._convolved_lstm((64, 128), 136, 256),
            "small-cnn-lstm": lambda: self._convolved_lstm((16, 32), 44, None),
            "bilstm": self._bilstm,
            "transformer": self._transformer,
        }
        layers, width = makers[name]()
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(width, n_outputs)

    def forward(self, pattern: torch.Tensor) -> torch.Tensor:
        """Patterns float32 (n, points) to logits (n, n_outputs)."""
        return self.head(self.layers(self.shown(pattern)))

    def _dense(self) -> tuple[list[nn.Module], int]:
        width = self.shown.channels * self.shown.length
        return [nn.Flatten(), nn.Linear(width, 4096), nn.ReLU(), nn.Linear(4096, 1280), nn.ReLU()], 1280

    def _convolved(self) -> tuple[list[nn.Module], int]:
        layers, width = _convolutions(self.shown, (32, 64), 2, strides=(1, 2))
        return [*layers, nn.Linear(width, 640), nn.ReLU()], 640

    def _convolved_lstm(
        self, filters: tuple[int, ...], units: int, dense: int | None
    ) -> tuple[list[nn.Module], int]:
        layers, _ = _convolutions(self.shown, filters, 4, strides=(4, 1))
        layers[-1] = _Recurrence(filters[-1], units, both=False)
        return (layers, units) if dense is None else ([*layers, nn.Linear(units, dense), nn.ReLU()], dense)

    def _bilstm(self) -> tuple[list[nn.Module], int]:
        return [_Pieces(), _Recurrence(self.shown.channels * _PATCH, 64, both=True)], 128

    def _transformer(self) -> tuple[list[nn.Module], int]:
        pieces = self.shown.length // _PATCH
        layer = nn.TransformerEncoderLayer(64, 4, 140, dropout=0.1, batch_first=True)
        return [
            _Pieces(),
            _Embedding(self.shown.channels * _PATCH, 64, pieces),
            nn.TransformerEncoder(layer, 3, enable_nested_tensor=False),
            _Mean(),
        ], 64


def _convolutions(
    shown: Representation, filters: tuple[int, ...], pool: int, strides: tuple[int, ...] | None = None
) -> tuple[list[nn.Module], int]:
    """Convolutions of 9 points with ReLU and maximum pooling, flattened, and the number of their values."""
    layers: list[nn.Module] = []
    channels, length = shown.channels, shown.length
    for n, stride in zip(filters, strides or (1,) * len(filters), strict=True):
        layers += [nn.Conv1d(channels, n, 9, stride, padding=4), nn.ReLU(), nn.MaxPool1d(pool)]
        channels, length = n, ((length - 1) // stride + 1) // pool
    return [*layers, nn.Flatten()], channels * length


class _Recurrence(nn.Module):
    """An LSTM over the last axis of (n, channels, length): its last state, of each direction."""

    def __init__(self, channels: int, units: int, both: bool) -> None:
        super().__init__()
        self.cells = nn.LSTM(channels, units, batch_first=True, bidirectional=both)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        _, (last, _) = self.cells(x.transpose(1, 2))
        return last.transpose(0, 1).flatten(1)


class _Pieces(nn.Module):
    """(n, channels, length) to pieces (n, channels * _PATCH, length // _PATCH); what is left over is cut."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        count = x.shape[2] // _PATCH
        pieces = x[:, :, : count * _PATCH].unflatten(2, (count, _PATCH))
        return pieces.transpose(1, 2).flatten(2).transpose(1, 2)


class _Embedding(nn.Module):
    """Pieces (n, features, count) to tokens (n, count, width) with learnt positions."""

    def __init__(self, features: int, width: int, count: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, width)
        self.positions = nn.Parameter(0.02 * torch.randn(count, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x.transpose(1, 2)) + self.positions


class _Mean(nn.Module):
    """Mean over the tokens."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=1)

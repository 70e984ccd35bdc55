"""The recurrent networks and transformers of SimXRD-4M (ICLR 2025), as published and repaired.

Built from the layers of torch. Sizes are those of the released code (compasszzn/XRDBench, ee2fdd9).
"""

import math

import torch
from torch import nn
from torch.nn import functional

#: Name -> (cell, whether it is bidirectional).
RECURRENT = {
    "RNN": (nn.RNN, False),
    "BiRNN": (nn.RNN, True),
    "LSTM": (nn.LSTM, False),
    "BiLSTM": (nn.LSTM, True),
    "GRU": (nn.GRU, False),
    "BiGRU": (nn.GRU, True),
}
TRANSFORMERS = ("Transformer", "iTransformer", "PatchTST")
#: Points that each is given.
POINTS = {**dict.fromkeys(RECURRENT, 3501), "Transformer": 3501, "iTransformer": 8192, "PatchTST": 8192}
#: Units and layers of every recurrent network.
_UNITS, _LAYERS = 64, 4
#: Width of iTransformer and PatchTST, points of a patch of the latter.
_WIDTH, _PATCH = 128, 64
#: Patterns that the Transformer takes at a time.
_PATTERNS = 16
#: Weakest intensity that a logarithm shows, of the strongest.
_WEAKEST = 1e-6


def sequence_network(name: str, n_outputs: int, repaired: bool) -> nn.Module:
    """One of RECURRENT or TRANSFORMERS: patterns (n, POINTS[name]) to logits (n, n_outputs)."""
    if name in RECURRENT:
        return _Recurrent(name, n_outputs, repaired)
    kinds = {"Transformer": _Transformer, "iTransformer": _Inverted, "PatchTST": _Patches}
    return kinds[name](n_outputs, repaired)


class _Recurrent(nn.Module):
    """Four layers of 64 units, one value of the pattern a step, read at the last step.

    Repaired: the backward direction is read at the first step, which is its last.
    """

    def __init__(self, name: str, n_outputs: int, repaired: bool) -> None:
        super().__init__()
        cell, self.bidirectional = RECURRENT[name]
        self.repaired = repaired
        self.cells = cell(1, _UNITS, _LAYERS, batch_first=True, bidirectional=self.bidirectional)
        self.head = nn.Linear(_UNITS * (1 + self.bidirectional), n_outputs)

    def forward(self, pattern: torch.Tensor) -> torch.Tensor:
        read, _ = self.cells(pattern[:, :, None])
        last = read[:, -1]
        if self.repaired and self.bidirectional:
            last = torch.cat([last[:, :_UNITS], read[:, 0, _UNITS:]], dim=1)
        return self.head(last)


class _Transformer(nn.Module):
    """Two encoder layers of width 32 with one head and 2048 units inside, a point of the pattern a token.

    As published the batch is taken for the sequence and the sequence for the batch: a point attends to the
    same point of the other patterns, nothing says where a point stands, and the last point answers. So an
    answer depends on the patterns beside it. Repaired: attention along the pattern, sinusoidal positions,
    and the mean over the points answers.
    """

    def __init__(self, n_outputs: int, repaired: bool) -> None:
        super().__init__()
        width = 32
        self.repaired = repaired
        self.embedding = nn.Linear(1, width)
        layer = nn.TransformerEncoderLayer(width, 1, 2048, batch_first=repaired)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, n_outputs)
        if repaired:
            self.register_buffer("positions", _positions(POINTS["Transformer"], width), persistent=False)

    def forward(self, pattern: torch.Tensor) -> torch.Tensor:
        tokens = self.embedding(pattern[:, :, None])
        if self.repaired:
            # A few at a time: attention along 3501 points takes 49 MB a pattern, 256 patterns 13 GB.
            parts = (tokens + self.positions).split(_PATTERNS)
            return self.head(torch.cat([self.encoder(part).mean(dim=1) for part in parts]))
        # Of every point only the last is read, and as published points do not see each other.
        return self.head(self.encoder(tokens[:, -1:])[:, -1])


class _Inverted(nn.Module):
    """iTransformer: a whole series is one token of width 128; two layers, two heads, 64 units inside.

    As published there is one series, so attention has nothing to attend to and the network is an MLP.
    Repaired: three series, the pattern, its square root and its logarithm, embedded by the same weights as
    the architecture has it; the classifier takes all three.
    """

    def __init__(self, n_outputs: int, repaired: bool) -> None:
        super().__init__()
        self.repaired = repaired
        self.embedding = nn.Sequential(nn.Linear(POINTS["iTransformer"], _WIDTH), nn.Dropout(0.1))
        self.encoder = _encoder()
        self.activation = nn.Sequential(nn.GELU(), nn.Dropout(0.1), nn.Flatten())
        self.head = nn.Linear(_WIDTH * (3 if repaired else 1), n_outputs)

    def forward(self, pattern: torch.Tensor) -> torch.Tensor:
        series = pattern[:, None]
        if self.repaired:
            positive = pattern.clamp_min(0)
            logarithm = torch.log10(positive + _WEAKEST) / -math.log10(_WEAKEST) + 1
            series = torch.stack([pattern, positive.sqrt(), logarithm], dim=1)
        return self.head(self.activation(self.encoder(self.embedding(series))))


class _Patches(nn.Module):
    """PatchTST: 129 patches of 64 points with sinusoidal positions; two layers, two heads, 64 units inside.

    Every pattern is brought to mean 0 and variance 1 beforehand; the last patch repeats the last value.
    """

    def __init__(self, n_outputs: int, repaired: bool) -> None:
        super().__init__()
        n_patches = POINTS["PatchTST"] // _PATCH + 1
        self.embedding = nn.Linear(_PATCH, _WIDTH, bias=False)
        self.dropout = nn.Dropout(0.1)
        self.encoder = _encoder()
        self.head = nn.Linear(_WIDTH * n_patches, n_outputs)
        self.register_buffer("positions", _positions(n_patches, _WIDTH), persistent=False)

    def forward(self, pattern: torch.Tensor) -> torch.Tensor:
        centred = pattern - pattern.mean(dim=1, keepdim=True)
        scaled = centred / (centred.square().mean(dim=1, keepdim=True) + 1e-5).sqrt()
        patches = functional.pad(scaled[:, None], (0, _PATCH), mode="replicate")[:, 0].unfold(
            1, _PATCH, _PATCH
        )
        encoded = self.encoder(self.dropout(self.embedding(patches) + self.positions))
        # Feature by feature, as published: (n, width, patches).
        return self.head(self.dropout(encoded.transpose(1, 2).flatten(1)))


def _encoder() -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(_WIDTH, 2, 64, dropout=0.1, activation="gelu", batch_first=True)
    return nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(_WIDTH), enable_nested_tensor=False)


def _positions(length: int, width: int) -> torch.Tensor:
    """Sines and cosines of the place (Vaswani et al. 2017), float32 (length, width)."""
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    angle = torch.arange(length)[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)

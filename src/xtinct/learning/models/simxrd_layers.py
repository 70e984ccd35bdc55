"""The convolutional networks and the MLP of SimXRD-4M (ICLR 2025) as tables of layers.

Read from the paper and from the code that was released with it (compasszzn/XRDBench, ee2fdd9). What is
wrong with each network stands in `simxrd.SimXRD`.
"""

from dataclasses import dataclass, replace
from typing import Literal

from torch import nn

from xtinct.learning.models.normalisation import GhostBatchNorm


@dataclass(frozen=True)
class Convolution:
    """A convolution, its activation, and what follows it.

    slope     of a leaky ReLU; 0 is a ReLU, None is no activation
    pool      "max" or "average" with kernel, stride and padding; None for none
    dropout   share of the values that are set to zero
    early     whether the dropout stands before the pool
    """

    filters: int
    kernel: int
    stride: int = 1
    padding: int = 0
    slope: float | None = 0.0
    pool: tuple[Literal["max", "average"], int, int, int] | None = None
    dropout: float = 0.0
    early: bool = False

    def modules(self, channels: int) -> list[nn.Module]:
        """The layers, for an input of so many channels."""
        convolution = nn.Conv1d(channels, self.filters, self.kernel, self.stride, self.padding)
        after: list[nn.Module] = []
        if self.pool:
            kind, *window = self.pool
            after.append((nn.MaxPool1d if kind == "max" else nn.AvgPool1d)(*window))
        if self.dropout:
            after.insert(0 if self.early else len(after), nn.Dropout(self.dropout))
        return [convolution, *([] if self.slope is None else [_activation(self.slope)]), *after]


@dataclass(frozen=True)
class Dense:
    """The dense layers before the classifier.

    widths    of each
    slope     of the activation after each; 0 is a ReLU
    dropout   after each activation; without any width, before the classifier
    norm      whether each is normalised by batch after its activation
    first     whether the flattened input passes an activation as well
    """

    widths: tuple[int, ...] = ()
    slope: float = 0.0
    dropout: float = 0.0
    norm: bool = False
    first: bool = False

    def modules(self, features: int, n_outputs: int) -> list[nn.Module]:
        """The layers with the classifier, for so many features."""
        layers: list[nn.Module] = [_activation(self.slope)] if self.first else []
        if not self.widths and self.dropout:
            layers.append(nn.Dropout(self.dropout))
        for width in self.widths:
            layers += [nn.Linear(features, width), _activation(self.slope)]
            if self.norm:
                layers += [nn.Unflatten(1, (width, 1, 1)), GhostBatchNorm(width), nn.Flatten()]
            if self.dropout:
                layers.append(nn.Dropout(self.dropout))
            features = width
        return [*layers, nn.Linear(features, n_outputs)]


@dataclass(frozen=True)
class Layers:
    """A network of convolutions, then dense layers.

    points                  that the pattern is resampled to
    convolutions, dense     of the network for space groups
    softmaxes               that stand after the classifier as published
    dense_systems, convolutions_systems     of that for crystal systems; None as for groups
    glorot                  whether the weights of convolutions and classifier start Glorot-uniform
    """

    points: int
    convolutions: tuple[Convolution, ...]
    dense: Dense
    softmaxes: int = 0
    dense_systems: Dense | None = None
    convolutions_systems: tuple[Convolution, ...] | None = None
    glorot: bool = False

    def of_systems(self) -> "Layers":
        """The network of the crystal systems."""
        return replace(
            self,
            convolutions=self.convolutions_systems or self.convolutions,
            dense=self.dense_systems or self.dense,
        )


def _activation(slope: float) -> nn.Module:
    return nn.LeakyReLU(slope) if slope else nn.ReLU()


def _fcn(last: int, dropout: float, last_dropout: float) -> tuple[Convolution, ...]:
    """The 13 convolutions of Lee et al. 2022; no activation after the last."""
    filters = (16, 16, 32, 32, 64, 64, 128, 128, 256, 256, 512, 512, last)
    return tuple(
        Convolution(n, 3, 1, 1, 0.01 if i < 12 else None, _HALVED, dropout if i < 11 else last_dropout)
        for i, n in enumerate(filters)
    )


_HALVED = ("max", 2, 2, 0)

#: Name -> its layers.
LAYERS: dict[str, Layers] = {
    # Park et al. 2017
    "CNN1": Layers(
        10001,
        tuple(
            Convolution(80, kernel, stride, padding, pool=("average", 3, by, 0), dropout=0.3, early=True)
            for kernel, stride, padding, by in ((100, 5, 48, 2), (50, 5, 24, 1), (25, 2, 11, 1))
        ),
        Dense((2300, 1150), dropout=0.5),
        softmaxes=1,
        dense_systems=Dense((700, 70), dropout=0.5),
    ),
    # Lee et al. 2020, both
    "CNN2": Layers(
        4501,
        (
            Convolution(64, 50, 2, 25, 0.01, ("max", 3, 2, 1)),
            Convolution(64, 25, 3, 12, 0.01, ("max", 2, 3, 1)),
        ),
        Dense((2000, 500), 0.01, first=True),
        softmaxes=1,
    ),
    "CNN3": Layers(
        4501,
        (
            Convolution(64, 20, 1, 9, 0.01, ("max", 3, 3, 1)),
            Convolution(64, 15, 1, 7, 0.01, ("max", 2, 3, 1)),
            Convolution(64, 10, 2, 5, 0.01, ("max", 2, 2, 1)),
        ),
        Dense((2500, 1000), 0.01, first=True),
        softmaxes=1,
    ),
    # Wang et al. 2020
    "CNN4": Layers(
        2251,
        tuple(
            Convolution(n, 5, pool=_HALVED if pooled else None, dropout=0.2 if pooled else 0.0)
            for n, pooled in ((6, 1), (16, 0), (16, 1), (32, 0), (32, 1), (64, 0), (64, 1))
        ),
        Dense((120, 84)),
        softmaxes=2,
    ),
    # Maffettone et al. 2021, one member of its ensemble. The pools of one point do nothing.
    "CNN5": Layers(
        3501,
        tuple(Convolution(n, 5, 2, slope=0.2) for n in (8, 8, 4)),
        Dense(dropout=0.4),
        softmaxes=1,
    ),
    # Dong et al. 2021
    "CNN6": Layers(
        3501,
        (
            *(Convolution(128, 35, 1, 17, 0.01, pool) for pool in (None, None, _HALVED)),
            Convolution(64, 30, slope=0.01, pool=_HALVED),
            *(Convolution(64, 25, slope=0.01, pool=_HALVED) for _ in range(3)),
        ),
        Dense((500, 250), 0.01, dropout=0.1, first=True),
        softmaxes=1,
    ),
    # Szymanski et al. 2021. Pools of one point and stride 2 leave out every other value, as in the original.
    "CNN7": Layers(
        4501,
        tuple(
            Convolution(64, kernel, 1, kernel // 2, pool=("max", *pool))
            for kernel, pool in (
                (35, (3, 2, 1)),
                (30, (3, 2, 1)),
                (25, (2, 2, 0)),
                (20, (1, 2, 0)),
                (15, (1, 2, 0)),
                (10, (1, 2, 0)),
            )
        ),
        Dense((1200,), dropout=0.7, norm=True),
        softmaxes=1,
    ),
    # Lee et al. 2022; the classifier is a convolution of one point, which a dense layer is as well
    "CNN8": Layers(
        8192,
        _fcn(256, 0.05, 0.05),
        Dense(),
        softmaxes=1,
        convolutions_systems=_fcn(64, 0.2, 0.4),
        glorot=True,
    ),
    # Le et al. 2023, both
    "CNN9": Layers(
        3501,
        tuple(Convolution(27, 11, pool=_HALVED, dropout=0.21) for _ in range(3)),
        Dense((2000,), dropout=0.21),
    ),
    "CNN10": Layers(
        3501,
        tuple(Convolution(24, 12, pool=_HALVED, dropout=0.33) for _ in range(4)),
        Dense((2000,), dropout=0.33),
    ),
    # Salgado et al. 2023, without pooling
    "CNN11": Layers(
        8500,
        tuple(
            Convolution(80, kernel, stride, dropout=0.3) for kernel, stride in ((100, 5), (50, 5), (25, 2))
        ),
        Dense((2300, 1150), dropout=0.5),
    ),
    # Wang et al. 2020
    "MLP": Layers(3501, (), Dense((7000, 7000, 3500)), softmaxes=2),
}

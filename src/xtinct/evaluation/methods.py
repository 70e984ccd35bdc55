"""The methods that are judged: the folder of a trained model, and the observer. Imports no torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xtinct.learning.predictor import Predictor


@dataclass(frozen=True)
class ModelFolder:
    """A trained model, and where and how precisely it is asked: see `learning.predictor.Predictor`."""

    path: str | Path
    device: str = "auto"
    precision: str = "auto"
    threads: int = 1

    def predictor(self) -> "Predictor":
        """The model, read from its folder."""
        from xtinct.learning.predictor import Predictor

        return Predictor(self.path, device=self.device, precision=self.precision, threads=self.threads)


@dataclass(frozen=True)
class ObserverSettings:
    """What the observer is told about a test set of one crystal family.

    law      intensity law: uniform | physical
    samples  number that it is asked about, from all over the test set
    lengths  range of axes that the lattices were drawn from, angstrom; None: not known
    """

    family: str
    law: str
    samples: int
    lengths: tuple[float, float] | None = None

"""Asking a trained model: ranked extinction classes and space groups of patterns or line lists."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from xtinct.diffraction.instrument import Instrument
from xtinct.diffraction.linelists import LineLists
from xtinct.errors import XtinctError
from xtinct.learning.card import load_model
from xtinct.learning.device import autocast, reproducible, resolve_device, resolve_precision
from xtinct.learning.metrics import rank
from xtinct.learning.outputs import class_names, class_probabilities
from xtinct.learning.streams import PatternRenderer


@dataclass(frozen=True)
class Prediction:
    """Probabilities of n samples.

    class_symbols        n_classes names of extinction classes (`outputs.class_names`)
    class_probabilities  float64 (n, n_classes)
    groups               n_groups space group numbers, ascending
    group_probabilities  float64 (n, n_groups)
    """

    class_symbols: list[str]
    class_probabilities: np.ndarray
    groups: np.ndarray
    group_probabilities: np.ndarray

    def top_classes(self, i: int, k: int = 5) -> list[tuple[str, float]]:
        """The k most probable extinction classes of sample i with their probabilities."""
        columns = rank(self.class_probabilities[i : i + 1], k)[0]
        return [(self.class_symbols[c], float(self.class_probabilities[i, c])) for c in columns]

    def top_groups(self, i: int, k: int = 5) -> list[tuple[int, float]]:
        """The k most probable space groups of sample i with their probabilities."""
        columns = rank(self.group_probabilities[i : i + 1], k)[0]
        return [(int(self.groups[c]), float(self.group_probabilities[i, c])) for c in columns]


class Predictor:
    """A trained model, read from its folder without executing anything in it.

    device     auto, cpu or cuda
    precision  auto, bfloat16 or float32 (default: the same answer on every machine up to rounding)
    threads    CPU threads

    Attributes: card (dict), family, instrument, outputs, class_symbols (of the family).
    """

    def __init__(
        self, directory: str | Path, *, device: str = "auto", precision: str = "float32", threads: int = 1
    ) -> None:
        self.device = resolve_device(device)
        self.precision = resolve_precision(precision, self.device)
        self.threads = threads
        self.model, self.outputs, self.instrument, self.card = load_model(directory, self.device)
        self.family = self.outputs.family
        self.class_symbols = class_names(self.family)
        self._renderer = PatternRenderer(self.instrument, self.device)

    @property
    def training_prior(self) -> dict[int, float] | None:
        """Samples of each space group in training, the prior within a class; None if uniform."""
        counts = self.card.get("group_counts")
        return None if counts is None else {int(group): float(n) for group, n in counts.items()}

    def require_instrument(self, instrument: Instrument) -> None:
        """Raise XtinctError, naming the first difference, unless the model was trained for `instrument`."""
        ours, theirs = self.instrument.to_dict(), instrument.to_dict()
        for key in ours:
            if ours[key] != theirs[key]:
                raise XtinctError(
                    f"instrument: {key} is {theirs[key]!r}, but the model was trained for {ours[key]!r}; "
                    "train it again for this instrument"
                )

    def from_lines(
        self, lines: LineLists, *, prior: Mapping[int, float] | None = None, batch_size: int = 256
    ) -> Prediction:
        """Predictions for line lists as the model's instrument shows them.

        `prior` weighs the space groups within each output of the model; None means equal weights.
        """
        parts = [
            self._probabilities(self._renderer(lines.slice(first, first + batch_size)))
            for first in range(0, len(lines), batch_size)
        ]
        return self._prediction(parts, prior)

    def from_patterns(
        self, patterns: np.ndarray, *, prior: Mapping[int, float] | None = None, batch_size: int = 256
    ) -> Prediction:
        """Predictions for patterns float32 (n, points) on the grid of the model's instrument.

        Patterns are scaled to a maximum of 1. XtinctError for another number of points, and for a
        pattern that is not finite or nowhere positive.
        """
        patterns = np.atleast_2d(np.asarray(patterns, dtype=np.float32))
        if patterns.shape[1] != self.instrument.points:
            raise XtinctError(
                f"pattern of {patterns.shape[1]} points: the model takes {self.instrument.points} from "
                f"{self.instrument.two_theta_min} to {self.instrument.two_theta_max} degrees 2theta"
            )
        highest = patterns.max(axis=1, keepdims=True)
        bad = np.flatnonzero(~(np.isfinite(patterns).all(axis=1) & (highest[:, 0] > 0)))
        if len(bad):
            raise XtinctError(f"pattern {bad[0]}: intensities must be finite and somewhere positive")
        scaled = torch.from_numpy(patterns / highest)
        parts = [
            self._probabilities(scaled[first : first + batch_size].to(self.device))
            for first in range(0, len(scaled), batch_size)
        ]
        return self._prediction(parts, prior)

    def _probabilities(self, patterns: torch.Tensor) -> np.ndarray:
        with torch.no_grad(), reproducible(self.threads), autocast(self.device, self.precision):
            return self.model(patterns).float().softmax(dim=1).cpu().numpy()

    def _prediction(self, parts: list[np.ndarray], prior: Mapping[int, float] | None) -> Prediction:
        probabilities = np.concatenate(parts) if parts else np.empty((0, len(self.outputs)), np.float32)
        by_group = self.outputs.group_probabilities(probabilities, prior)
        by_class = class_probabilities(self.family, self.outputs.groups, by_group)
        return Prediction(self.class_symbols, by_class, self.outputs.groups, by_group)

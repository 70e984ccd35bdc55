"""Asking a trained model: ranked extinction classes and space groups of patterns or line lists."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from xtinct.errors import XtinctError
from xtinct.learning.card import load_model
from xtinct.learning.device import reproducible, resolve_device, resolve_precision
from xtinct.learning.forward_pass import Network, PatternRenderer
from xtinct.learning.training_settings import REMEDIES
from xtinct.linelists.line_lists import LineLists
from xtinct.patterns.conditions import Conditions
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.pattern_transform import PatternTransform
from xtinct.patterns.variation import Variation
from xtinct.scores.calibration import Calibration, tempered
from xtinct.scores.outputs import NothingLeftError, training_prior
from xtinct.scores.prediction import Prediction


class Predictor:
    """A trained model, read from its folder without executing anything in it.

    device     auto, cpu or cuda
    precision  auto, bfloat16 or float32 (default: the same answer on every machine up to rounding)
    threads    CPU threads
    calibrated whether the temperature of the model's card is applied to its probabilities

    Attributes: card (dict), family (one, or outputs.ALL), instrument, outputs, class_symbols (of the
    family), calibration (None where the card has none), render (line lists, conditions -> patterns).
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        device: str = "auto",
        precision: str = "float32",
        threads: int = 1,
        calibrated: bool = True,
    ) -> None:
        self.device = resolve_device(device)
        self.precision = resolve_precision(precision, self.device)
        self.threads = threads
        model, self.outputs, self.instrument, self.card = load_model(directory, self.device)
        self.family = self.outputs.family
        self.class_symbols = self.outputs.class_names
        self.calibrated = calibrated
        stored = self.card.get("calibration")
        self.calibration = None if stored is None else Calibration.from_dict(stored)
        transform = PatternTransform.from_config(self.card.get("transform", {}))
        self.render = PatternRenderer(self.instrument, self.device, transform)
        divided = self.card.get("output_prior")
        log_prior = None if divided is None else torch.tensor(divided).log().to(self.device)
        self._network = Network(model, self.outputs, self.render, self.precision, log_prior)

    @property
    def model(self) -> torch.nn.Module:
        """The network, in evaluation mode: patterns float32 (n, points) to logits (n, n_outputs)."""
        return self._network.model

    @property
    def temperature(self) -> float:
        """What divides the logarithms of the model's probabilities; 1 without a calibration."""
        return self.calibration.temperature if self.calibrated and self.calibration else 1.0

    @property
    def training_prior(self) -> dict[int, float] | None:
        """Weights of the space groups that the model's answers hold; None if they are equal.

        They are the samples of each in training. Where a remedy against rare groups made all outputs equally
        frequent, each output has the weight 1, which its groups share as their samples in training say.
        """
        counts = training_prior(self.card.get("group_counts"))
        if not self._levelled:
            return counts
        shares = zip(self.outputs.groups.tolist(), self.outputs.prior_within(counts).tolist(), strict=True)
        return {group: share for group, share in shares if counts is None or counts.get(group, 0) > 0}

    @property
    def _levelled(self) -> bool:
        """Whether the answers are those for outputs of equal frequency, whatever it was in training."""
        recipe = self.card.get("training", {}).get("train", {})
        return any(recipe.get(name) == value for name, value in REMEDIES.items())

    def never_shown(self, prior: Mapping[int, float]) -> list[int]:
        """Space groups of the family with a weight in `prior` that training never showed, ascending."""
        trained = self.training_prior
        if trained is None:
            return []
        return [
            int(g) for g in self.outputs.groups if prior.get(int(g), 0) > 0 and not trained.get(int(g), 0)
        ]

    @property
    def width_factors(self) -> tuple[float, float]:
        """Least and greatest peak widths in training, in units of the instrument's."""
        data = self.card.get("training", {}).get("data", {})
        return Variation.from_config(data.get("variation", {})).widths(self.instrument)

    @property
    def trained_with_background(self) -> bool:
        """Whether the patterns of training had a background that varied from one to the next."""
        variation = self.card.get("training", {}).get("data", {}).get("variation", {})
        return any(name in variation for name in ("background", "log_background"))

    @property
    def trained_lengths(self) -> tuple[float, float] | None:
        """Least and greatest axis of the lattices of training, angstrom; None where crystals gave them."""
        data = dict(self.card.get("training", {}).get("data", {}))
        for name in ("variation", "prior"):
            data.pop(name, None)
        specs = [
            part.get("lattices", {}).get(self.family) for part in data.values() if isinstance(part, dict)
        ]
        if not specs or len(specs) < len(data) or not all(spec and "lengths" in spec for spec in specs):
            return None
        lengths = [float(x) for spec in specs for x in spec["lengths"]]
        return min(lengths), max(lengths)

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

        `prior`: weights of space groups, see `interpret`.
        """
        return self.interpret(self.outputs_of_lines(lines, batch_size=batch_size), prior=prior)

    def from_patterns(
        self, patterns: np.ndarray, *, prior: Mapping[int, float] | None = None, batch_size: int = 256
    ) -> Prediction:
        """Predictions for patterns float32 (n, points) on the grid of the model's instrument.

        As `outputs_of_measured` takes them; `prior`: weights of space groups, see `interpret`.
        """
        return self.interpret(self.outputs_of_measured(patterns, batch_size=batch_size), prior=prior)

    def outputs_of_measured(self, patterns: np.ndarray, *, batch_size: int = 256) -> np.ndarray:
        """Probabilities of the model's outputs as it gives them, float32 (n, n_outputs).

        `patterns`: float32 (n, points), on the grid of the model's instrument; they are scaled to a maximum
        of 1, and go through the model's transform. XtinctError for another number of points, and for a
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
            self.outputs_of_patterns(
                self.render.transformed(scaled[first : first + batch_size].to(self.device))
            )
            for first in range(0, len(scaled), batch_size)
        ]
        return self._joined(parts)

    def outputs_of_lines(
        self,
        lines: LineLists,
        *,
        conditions: Conditions | None = None,
        measured: np.ndarray | None = None,
        batch_size: int = 256,
    ) -> np.ndarray:
        """Probabilities of the model's outputs as it gives them, float32 (n, n_outputs).

        `conditions` of the measurement of each sample; None is the instrument as configured. `measured`,
        bool (points,): the points that were measured, None for all; the others are zero.
        """
        mask = None if measured is None else torch.from_numpy(measured).to(self.device)
        parts = []
        # Sums of peaks on a GPU come out in one order under deterministic algorithms alone.
        with reproducible(self.threads):
            for first in range(0, len(lines), batch_size):
                stop = min(first + batch_size, len(lines))
                here = None if conditions is None else conditions.slice(first, stop)
                patterns = self.render.measured(lines.slice(first, stop), here)
                if mask is not None:
                    patterns *= mask
                    highest = patterns.amax(dim=1, keepdim=True)
                    patterns /= torch.where(highest > 0, highest, 1.0)
                parts.append(self.outputs_of_patterns(self.render.transformed(patterns)))
        return self._joined(parts)

    def outputs_of_patterns(self, patterns: torch.Tensor) -> np.ndarray:
        """Probabilities of the model's outputs as it gives them, for patterns (n, points) on the device.

        They are as the network sees them: `render` and `render.transformed` make such patterns.
        """
        with reproducible(self.threads):
            return self._network.answers(patterns)

    def interpret(
        self,
        probabilities: np.ndarray,
        *,
        prior: Mapping[int, float] | None = None,
        calibrated: bool = True,
    ) -> Prediction:
        """What probabilities of the outputs (n, n_outputs), as the model gives them, say.

        `prior`: weights of space groups that take the place of those of training (`training_prior`), by
        Bayes' rule, over all groups and classes (`Outputs.prior_shift`). None leaves the outputs as they are,
        and shares each evenly among its groups. `calibrated`: whether the predictor's temperature is applied.
        The calibration of sets is left out where `prior` makes classes more or less probable than in
        training, with which it was made. XtinctError for a prior without any weight on what the model knows.
        """
        within, trained = (self.outputs.prior_within(p) for p in (prior, self.training_prior))
        holds = self.outputs.target != "crystal_system" or np.allclose(within, trained)
        if calibrated and self.temperature != 1.0:
            probabilities = tempered(probabilities, self.temperature)
        shift = self.outputs.prior_shift(prior, self.training_prior)
        if shift is not None:
            holds = False
            probabilities = probabilities.astype(np.float64) * shift
            total = probabilities.sum(axis=1, keepdims=True)
            if not (total > 0).all():
                raise NothingLeftError("prior: no weight on anything that the model holds possible")
            probabilities /= total
            if self.outputs.target == "spacegroup":
                # The groups have it already.
                prior = None
        return Prediction(
            self.class_symbols,
            self.outputs.class_probabilities(probabilities, prior),
            self.outputs.groups,
            self.outputs.group_probabilities(probabilities, prior, self.training_prior),
            self.calibration if self.calibrated and holds else None,
        )

    def _joined(self, parts: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(parts) if parts else np.empty((0, len(self.outputs)), np.float32)

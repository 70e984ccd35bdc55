"""A network on its device: line lists are rendered to patterns, and patterns are answered."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from xtinct.learning.device import autocast
from xtinct.linelists.line_lists import LineLists
from xtinct.patterns.conditions import Conditions
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.pattern_transform import PatternTransform
from xtinct.patterns.pattern_transform_torch import transformed
from xtinct.patterns.rendering import render
from xtinct.patterns.rendering_torch import Renderer
from xtinct.scores.outputs import Outputs


class PatternRenderer:
    """Line lists to patterns as a network sees them, on a device: numba on the CPU, torch on a GPU."""

    def __init__(
        self,
        instrument: Instrument,
        device: torch.device,
        transform: PatternTransform | None = None,
    ) -> None:
        self.instrument = instrument
        self.device = device
        self.transform = transform or PatternTransform()
        self._renderer = Renderer(instrument, device) if device.type != "cpu" else None

    def __call__(self, lines: LineLists, conditions: Conditions | None = None) -> torch.Tensor:
        """Transformed patterns float32 (n, points) on the device; the caller owns them."""
        return self.transformed(self.measured(lines, conditions))

    def measured(self, lines: LineLists, conditions: Conditions | None = None) -> torch.Tensor:
        """Patterns float32 (n, points) as they are measured, on the device; the caller owns them."""
        if self._renderer is not None:
            return self._renderer(lines, conditions=conditions)
        return torch.from_numpy(render(lines, self.instrument, conditions=conditions))

    def transformed(self, patterns: torch.Tensor) -> torch.Tensor:
        """What a network sees of patterns float32 (n, points) on the device, rendered or measured."""
        if self.transform.nothing:
            return patterns
        if patterns.device.type == "cpu":
            return torch.from_numpy(self.transform(patterns.numpy(), self.instrument))
        return transformed(self.transform, patterns, self.instrument)


@dataclass
class Network:
    """A model with what its outputs mean, what makes its patterns, and the precision of its forward pass.

    log_prior   logarithms float32 (n_outputs,) of the outputs' shares in training, by which the answers
                are divided: then they are those for outputs of equal frequency. None: not divided
    """

    model: nn.Module
    outputs: Outputs
    render: PatternRenderer
    precision: torch.dtype
    log_prior: torch.Tensor | None = None

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return self.render.device

    def autocast(self) -> torch.autocast:
        """The precision of the forward pass, as a context."""
        return autocast(self.device, self.precision)

    @torch.no_grad()
    def answers(self, patterns: torch.Tensor) -> np.ndarray:
        """Softmax of the outputs, float32 (n, n_outputs), for patterns float32 (n, points) on the device.

        The model has to be in evaluation mode.
        """
        with self.autocast():
            logits = self.model(patterns).float()
        if self.log_prior is not None:
            logits = logits - self.log_prior
        return logits.softmax(dim=1).cpu().numpy()

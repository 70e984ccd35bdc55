"""Checkpoints: everything that a training run needs to go on as if it had never stopped.

A step draws its samples and its dropout masks from (seed, step) alone, so the state is the
weights, the optimisers' moments, the history and the number of the next step. Stored as
safetensors; written to a new name and then renamed, so a kill at any moment leaves a whole one.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from xtinct.learning.card import write_tensors

NAME = "checkpoint.safetensors"


@dataclass
class Progress:
    """Where a run stands: next step, seconds spent, and the rows of the history so far.

    cpu      seconds of this process's CPU time, of all its threads
    waited   of the seconds, those in which the model waited for data: drawn, or on a CPU also rendered
    skipped  steps without an update, because the gradient was not finite
    in_a_row of these, those since the last update
    sums     samples, summed loss and right answers since the last row
    """

    step: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    waited: float = 0.0
    skipped: int = 0
    in_a_row: int = 0
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    history: list[dict] = field(default_factory=list)

    @property
    def data_share(self) -> float:
        """Share of the time in which the model waited for data."""
        return self.waited / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Checkpoint:
    """The file that holds the state of a run; `digest` names the run that may use it."""

    path: Path
    digest: str

    def save(self, model: nn.Module, optimizers: list[torch.optim.Optimizer], progress: Progress) -> None:
        """Write the state of the run."""
        tensors = {f"model/{name}": tensor for name, tensor in model.state_dict().items()}
        scalars: dict[str, object] = {}
        for i, optimizer in enumerate(optimizers):
            for parameter, state in optimizer.state_dict()["state"].items():
                for name, value in state.items():
                    kind = tensors if isinstance(value, torch.Tensor) else scalars
                    kind[f"optimizer/{i}/{parameter}/{name}"] = value
        metadata = {
            "digest": self.digest,
            "progress": json.dumps(progress.__dict__),
            "scalars": json.dumps(scalars),
        }
        write_tensors(self.path, tensors, metadata)

    def load(self, model: nn.Module, optimizers: list[torch.optim.Optimizer]) -> Progress | None:
        """Restore the run in place; None, and nothing changed, if there is no checkpoint of this run."""
        try:
            file = safe_open(self.path, framework="pt")
        except (FileNotFoundError, SafetensorError):
            return None
        with file:
            metadata = file.metadata() or {}
            if metadata.get("digest") != self.digest:
                return None
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
        model.load_state_dict(
            {key.removeprefix("model/"): value for key, value in tensors.items() if key.startswith("model/")}
        )
        values = {**tensors, **json.loads(metadata["scalars"])}
        for i, optimizer in enumerate(optimizers):
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": _state_of(i, values), "param_groups": groups})
        return Progress(**json.loads(metadata["progress"]))


def _state_of(i: int, values: Mapping[str, object]) -> dict[int, dict]:
    """Moments of optimiser number i: parameter -> name -> value."""
    state: dict[int, dict] = {}
    for key, value in values.items():
        kind, *rest = key.split("/")
        if kind == "optimizer" and int(rest[0]) == i:
            state.setdefault(int(rest[1]), {})[rest[2]] = value
    return state

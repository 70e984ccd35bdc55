"""The training loop: batches in, weights and history out, whatever happens on the way."""

import logging
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from xtinct.ceiling.extinction import ceilings
from xtinct.errors import XtinctError
from xtinct.learning.checkpoint import Progress, load_checkpoint, save_checkpoint
from xtinct.learning.device import after_failed_compiling, autocast, compiled
from xtinct.learning.loading import Batch, Loader, PatternRenderer
from xtinct.learning.memory import Portion, is_out_of_memory
from xtinct.learning.models.normalisation import measure_statistics, set_ghost_batch
from xtinct.learning.optim import clip_gradients, make_optimizers, schedule
from xtinct.learning.parallel import Processes
from xtinct.randomness import stream_key
from xtinct.scores.metrics import wilson_interval
from xtinct.scores.outputs import Outputs

log = logging.getLogger(__name__)

#: Seconds between progress lines, and between checkpoints. Neither changes a result.
PROGRESS_SECONDS = 10.0
CHECKPOINT_SECONDS = 60.0
#: Steps in a row with a gradient that is not finite, after which a run is given up.
_SKIPPED_IN_A_ROW = 20
#: Patterns that the statistics of batch normalisations are measured on before a validation.
_STATISTICS_PATTERNS = 2048
#: Patterns that are asked about at a time in a validation.
_VALIDATED_AT_ONCE = 256


@dataclass
class Run:
    """One training run of `model` (changed in place), as one of several processes.

    settings    the configuration's `train`
    patterns    the budget, rounded to whole batches
    checkpoint  file that is continued if it is of the run `digest`, and kept up to date
    prior       weight of each space group among the samples; None weighs all of the scope equally
    """

    model: nn.Module
    outputs: Outputs
    loader: Loader
    validation: Batch | None
    renderer: PatternRenderer
    precision: torch.dtype
    patterns: int
    seed: int
    settings: Mapping
    checkpoint: Path
    digest: str
    processes: Processes
    prior: Mapping[int, float] | None = None

    def __post_init__(self) -> None:
        batch, ghost, count = self.settings["batch_size"], self.settings["ghost_batch"], self.processes.count
        self.local, rest = divmod(batch, count)
        self.ghost = ghost if set_ghost_batch(self.model, ghost) else 1
        if rest or self.local % self.ghost:
            raise XtinctError(
                f"train.batch_size: {batch} is not a multiple of {count} processes x {self.ghost} patterns "
                "of train.ghost_batch"
            )
        device = self.renderer.device
        self.trained_at_once = Portion(self.local, device, self.ghost, "train.ghost_batch allows")
        self.measured_at_once = Portion(min(batch, _STATISTICS_PATTERNS), device)
        self.validated_at_once = Portion(_VALIDATED_AT_ONCE, device)
        self.ceiling = float(ceilings(self.outputs.family, self.outputs.target, (1,), self.prior)[1])
        self.n_steps = max(1, round(self.patterns / batch))
        self.forward = compiled(self.model, self.settings["compile"], device, self.n_steps)

    def fit(self) -> Progress:
        """Train, and return the progress: its history has one row per validation.

        XtinctError where the loss or the gradient stays without a finite value, or the model has none at
        the end; the last checkpoint is then left for another try. So for processes that do not go on
        from the same checkpoint.
        """
        settings, device, model = self.settings, self.renderer.device, self.model
        optimizers = make_optimizers(
            model,
            optimizer=settings["optimizer"],
            learning_rate=settings["learning_rate"],
            muon_learning_rate=settings["muon_learning_rate"],
            weight_decay=settings["weight_decay"],
        )
        parameters = [p for p in model.parameters() if p.requires_grad]
        validations = {
            round(self.n_steps * (i + 1) / settings["validations"]) for i in range(settings["validations"])
        }
        progress = load_checkpoint(self.checkpoint, self.digest, model, optimizers) or Progress()
        self.processes.require_same(
            self.digest, "processes of one training need the same settings, data, code and kind of device"
        )
        self.processes.require_same(
            progress.step, f"{self.checkpoint}: every process must see this file; of the steps done there"
        )
        peaks = [(group, group["lr"]) for optimizer in optimizers for group in optimizer.param_groups]
        if progress.step:
            log.info("continuing after step %d of %d", progress.step, self.n_steps)
        sums = torch.tensor(progress.sums, device=device, dtype=torch.float64)
        started = time.perf_counter() - progress.seconds
        told = saved = time.perf_counter()
        in_a_row = 0
        source = self.batches(progress)
        for step in range(progress.step, self.n_steps):
            share = schedule(step, self.n_steps, kind=settings["schedule"], warmup=settings["warmup"])
            for group, peak in peaks:
                group["lr"] = peak * share
            asked = time.perf_counter()
            batch = next(source)
            progress.waited += time.perf_counter() - asked
            totals = self.gradients(batch, step, progress)
            self.processes.add_up([*(p.grad for p in parameters), totals])
            if clip_gradients(parameters, settings["gradient_clip"]):
                self._take_step(optimizers)
                sums += totals
                in_a_row = 0
            else:
                progress.skipped += 1
                in_a_row += 1
                self._check_skipped(step + 1, in_a_row, float(totals[1] / totals[0]), progress.skipped)

            now = time.perf_counter()
            progress.step, progress.seconds = step + 1, now - started
            due = step + 1 == self.n_steps or step + 1 in validations
            tell = self.processes.first and (due or now - told > PROGRESS_SECONDS)
            stop = False
            if due:
                row = self._row(step + 1, sums, progress)
                progress.history.append(row)
                sums.zero_()
                stop = self.processes.agree(self.finished(row), device)
            if tell:
                told = now
                self._tell(progress, progress.history[-1] if due else None, sums)
            if stop and step + 1 < self.n_steps:
                log.info("stopping after step %d: the interval of the validation holds the ceiling", step + 1)
                break
            if self.processes.first and now - saved > CHECKPOINT_SECONDS:
                progress.sums = sums.tolist()
                save_checkpoint(self.checkpoint, self.digest, model, optimizers, progress)
                saved = now
        return progress

    def _take_step(self, optimizers: list[torch.optim.Optimizer]) -> None:
        try:
            for optimizer in optimizers:
                optimizer.step()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            # No batch is in memory now, so a smaller one would not help.
            raise XtinctError(
                f"out of memory on {self.renderer.device}: weights, gradients and the moments of the "
                "optimiser do not fit; choose a smaller model"
            ) from None

    def batches(self, progress: Progress) -> Iterator[Batch]:
        """This process's parts of the batches that are left."""
        size, device = self.settings["batch_size"], self.renderer.device
        return self.loader.batches(
            start=progress.step * size + self.processes.rank * self.local,
            stop=self.n_steps * size,
            step=size,
            count=self.local,
            workers=0 if device.type == "cpu" else max(1, _cores_of_this_process() - 1),
        )

    def gradients(self, batch: Batch, step: int, progress: Progress) -> torch.Tensor:
        """Set the gradients to this process's part; returns its (samples, loss, right answers).

        In micro-batches that fit into memory: their gradients add up to those of the batch.
        """
        while True:
            try:
                return self.trained_at_once.fitted(
                    lambda micro: self._gradients_of(batch, step, progress, micro)
                )
            except RuntimeError as error:
                self.forward = after_failed_compiling(self.model, self.settings["compile"], error)

    def _gradients_of(self, batch: Batch, step: int, progress: Progress, micro: int) -> torch.Tensor:
        self.model.train()
        self.model.zero_grad()
        totals = torch.zeros(3, dtype=torch.float64, device=self.renderer.device)
        torch.manual_seed(step_seed(self.seed, "step", step, self.processes.rank))
        for part in batch.parts(micro):
            asked = time.perf_counter()
            patterns = self.renderer(part.lines, part.conditions)
            progress.waited += time.perf_counter() - asked
            labels = torch.from_numpy(self.outputs.output_of_group[part.groups])
            labels = labels.to(self.renderer.device, non_blocking=True)
            with autocast(self.renderer.device, self.precision):
                logits = self.forward(patterns).float()
            loss = nn.functional.cross_entropy(logits, labels, reduction="sum")
            (loss / self.settings["batch_size"]).backward()
            right = (logits.detach().argmax(dim=1) == labels).sum()
            totals[1:] += torch.stack([loss.detach().double(), right.double()])
        totals[0] = len(batch)
        return totals

    def _check_skipped(self, step: int, in_a_row: int, loss: float, skipped: int) -> None:
        """A warning while there is hope: neither too many steps without an update, nor the end."""
        if in_a_row < _SKIPPED_IN_A_ROW and step < self.n_steps:
            if self.processes.first:
                log.warning(
                    "step %d skipped: the gradient is not finite, loss %g; %d so far", step, loss, skipped
                )
            return
        raise self._not_finite(
            f"training stopped at step {step}: steps in a row whose gradient is not finite: {in_a_row}; the "
            f"loss is {loss}"
        )

    def _not_finite(self, what: str) -> XtinctError:
        return XtinctError(
            f"{what}; lower train.learning_rate and train.muon_learning_rate, or set train.precision: float32"
        )

    def _row(self, step: int, sums: torch.Tensor, progress: Progress) -> dict:
        n, loss, right = sums.tolist()
        row: dict[str, object] = {
            "step": step,
            "patterns": step * self.settings["batch_size"],
            "loss": round(loss / n, 6) if n else None,
            "accuracy": round(right / n, 6) if n else None,
            "skipped_steps": progress.skipped,
            "validation_n": 0,
            "validation_accuracy": None,
            "validation_ceiling": None,
        }
        if self.processes.first and (self.validation is not None or step == self.n_steps):
            self._measure_statistics(step)
            if self.validation is not None:
                row |= self._validate(self.validation, step)
        return row

    def _measure_statistics(self, step: int) -> None:
        """Of samples after the last that training sees, so that they are as new to the model as any."""
        size = min(self.settings["batch_size"], _STATISTICS_PATTERNS)
        start = self.n_steps * self.settings["batch_size"]

        def measure(micro: int) -> None:
            found = self.loader.batches(start=start, stop=start + _STATISTICS_PATTERNS, step=size, count=size)
            batches = (
                [self.renderer(part.lines, part.conditions) for part in batch.parts(micro)] for batch in found
            )
            with autocast(self.renderer.device, self.precision):
                measure_statistics(self.model, batches)

        self.measured_at_once.fitted(measure)
        if not all(torch.isfinite(tensor).all() for tensor in self.model.state_dict().values()):
            raise self._not_finite(
                f"training stopped at step {step}: a weight or the statistics of a layer are not finite"
            )

    def _validate(self, validation: Batch, step: int) -> dict:
        """Accuracy of the target, and the ceiling of the law that the samples are drawn from.

        The ceiling counts the extinction laws alone: on single lattices further classes coincide, and
        lattices that differ between groups tell more.
        """
        probabilities = self.probabilities(validation)
        if not np.isfinite(probabilities).all():
            raise self._not_finite(f"training stopped at step {step}: an output of the model is not finite")
        right = probabilities.argmax(axis=1) == self.outputs.output_of_group[validation.groups]
        return {
            "validation_n": len(right),
            "validation_accuracy": round(float(right.mean()), 6),
            "validation_ceiling": round(self.ceiling, 6),
        }

    def probabilities(self, samples: Batch) -> np.ndarray:
        """Softmax of the model's outputs, float32 (n, n_outputs); leaves the model in evaluation mode."""
        return self.validated_at_once.fitted(
            lambda count: predict_outputs(self.model, samples, self.renderer, self.precision, count)
        )

    def finished(self, row: dict) -> bool:
        """Whether the confidence interval of the validation holds the ceiling.

        An accuracy above it tells nothing: the lattices give away more than the law counts.
        """
        if not self.settings["stop_confidence"] or not row["validation_n"]:
            return False
        n = row["validation_n"]
        right = round(row["validation_accuracy"] * n)
        low, high = wilson_interval(right, n, self.settings["stop_confidence"])
        return low <= self.ceiling <= high

    def _tell(self, progress: Progress, row: dict | None, sums: torch.Tensor) -> None:
        if row is None:
            n, loss, right = sums.tolist()
            row = {"loss": loss / n, "accuracy": right / n} if n else {"loss": None, "accuracy": None}
        line = f"step {progress.step}/{self.n_steps}"
        if row["loss"] is not None:
            line += f", loss {row['loss']:.4f}, accuracy {row['accuracy']:.4f}"
        if row.get("validation_n"):
            missing = self.ceiling - row["validation_accuracy"]
            line += f", validation {row['validation_accuracy']:.4f}, "
            line += f"{abs(missing):.4f} {'below' if missing >= 0 else 'above'} the ceiling"
        left = progress.seconds / progress.step * (self.n_steps - progress.step)
        log.info("%s, %.0f %% waiting for data, %.0f s left", line, 100 * progress.data_share, left)


def _cores_of_this_process() -> int:
    """CPU cores for each of the processes that torchrun has started on this machine."""
    return len(os.sched_getaffinity(0)) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def step_seed(seed: int, purpose: str, step: int, rank: int = 0) -> int:
    """Seed of torch's generator: of the initial weights, and of the dropout masks of one step."""
    return int(stream_key(seed, "torch", purpose, step, rank) >> np.uint64(1))


def predict_outputs(
    model: nn.Module,
    samples: Batch,
    renderer: PatternRenderer,
    precision: torch.dtype,
    batch_size: int,
) -> np.ndarray:
    """Softmax of the model's outputs, float32 (n, n_outputs); leaves the model in evaluation mode."""
    model.eval()
    parts = []
    with torch.no_grad():
        for part in samples.parts(batch_size):
            with autocast(renderer.device, precision):
                logits = model(renderer(part.lines, part.conditions)).float()
            parts.append(logits.softmax(dim=1).cpu().numpy())
    return np.concatenate(parts)

"""The training loop: batches in, weights and history out, whatever happens on the way."""

import logging
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from xtinct.ceiling.extinction import ceilings
from xtinct.errors import XtinctError
from xtinct.learning.checkpoint import Checkpoint, Progress
from xtinct.learning.device import after_failed_compiling, compiled
from xtinct.learning.forward_pass import Network
from xtinct.learning.loading import Batch, Loader
from xtinct.learning.losses import make_loss, output_log_prior
from xtinct.learning.memory import Portion, is_out_of_memory
from xtinct.learning.models.normalisation import set_ghost_batch
from xtinct.learning.optim import RateCourse, add_penalty, clip_gradients, make_optimizers
from xtinct.learning.parallel import Processes
from xtinct.learning.training_settings import TrainSettings
from xtinct.learning.validation import Validation, not_finite
from xtinct.randomness import stream_key
from xtinct.scores.metrics import independent_samples, wilson_interval

log = logging.getLogger(__name__)

#: Seconds between progress lines, and between checkpoints. Neither changes a result.
PROGRESS_SECONDS = 10.0
CHECKPOINT_SECONDS = 60.0
#: Steps in a row with a gradient that is not finite, after which a run is given up.
_SKIPPED_IN_A_ROW = 20


@dataclass(frozen=True)
class TrainingData:
    """The samples of a run.

    loader      the endless samples to train on
    validation  samples that training never sees; None for none
    prior       weight of each space group among the samples; None weighs all of the scope equally
    """

    loader: Loader
    validation: Batch | None
    prior: Mapping[int, float] | None = None


@dataclass
class Run:
    """One training run of a network (changed in place), as one of several processes.

    patterns    the budget, rounded to whole batches
    checkpoint  is continued if it is of this run, and kept up to date
    """

    network: Network
    data: TrainingData
    settings: TrainSettings
    patterns: int
    seed: int
    checkpoint: Checkpoint
    processes: Processes

    def __post_init__(self) -> None:
        batch, device, outputs = self.settings.batch_size, self.network.device, self.network.outputs
        self._divide(batch)
        self.trained_at_once = Portion(self.local, device, self.ghost, "train.ghost_batch allows")
        self.ceiling = float(ceilings(outputs.family, outputs.target, (1,), self.data.prior)[1])
        log_prior = output_log_prior(outputs, self.data.prior)
        self.loss = make_loss(self.settings.loss, self.settings.focusing, log_prior)
        if self.settings.correction == "prior":
            self.network.log_prior = log_prior.to(device)
        self.n_steps, n = max(1, round(self.patterns / batch)), self.settings.validations
        self.validated_after = {round(self.n_steps * (i + 1) / n) for i in range(n)} | {self.n_steps}
        self.forward = compiled(self.network.model, self.settings.compile, device, self.n_steps)
        samples, loader = self.data.validation, self.data.loader
        self.validation = Validation(self.network, samples, loader, self.n_steps * batch, batch)
        if self.settings.schedule == "plateau" and self.processes.first and samples is None:
            raise XtinctError("training.schedule: plateau follows the validation, which has no sample here")

    def _divide(self, batch: int) -> None:
        """Set the samples of this process's part of a batch, and the size of ghost batches."""
        ghost, count = self.settings.ghost_batch, self.processes.count
        self.local, rest = divmod(batch, count)
        self.ghost = ghost if set_ghost_batch(self.network.model, ghost) else 1
        if rest or self.local % self.ghost:
            raise XtinctError(
                f"train.batch_size: {batch} is not a multiple of {count} processes x {self.ghost} patterns "
                "of train.ghost_batch"
            )

    def fit(self) -> Progress:
        """Train, and return the progress: its history has one row per validation.

        XtinctError where the loss or the gradient stays without a finite value, or the model has none at
        the end; the last checkpoint is then left for another try. So for processes that do not go on
        from the same checkpoint.
        """
        model, settings, device = self.network.model, self.settings, self.network.device
        optimizers = make_optimizers(model, settings)
        progress = self._restored(optimizers)
        groups = [group for optimizer in optimizers for group in optimizer.param_groups]
        peaks = [group["lr"] for group in groups]
        course = RateCourse(settings, self.n_steps, progress.history)
        sums = torch.tensor(progress.sums, device=device, dtype=torch.float64)
        started, cpu = time.perf_counter() - progress.seconds, time.process_time() - progress.cpu
        told = saved = time.perf_counter()
        source = self.batches(progress)
        for step in range(progress.step, self.n_steps):
            for group, peak in zip(groups, peaks, strict=True):
                group["lr"] = peak * course.share(step)
            sums += self._step(source, step, optimizers, progress)
            now = time.perf_counter()
            progress.step, progress.seconds = step + 1, now - started
            progress.cpu = time.process_time() - cpu
            row = self.row(sums, progress) if step + 1 in self.validated_after else None
            if self.processes.first and (row or now - told > PROGRESS_SECONDS):
                told = now
                self._tell(progress, row, sums)
            if row is not None:
                sums.zero_()
                progress.history.append(row)
                if course.follows_validation:
                    accuracy = row["validation_accuracy"] or 0.0
                    course.validated(self.processes.told(accuracy, device))
                if self.processes.agree(self.finished(row), device) and step + 1 < self.n_steps:
                    log.info(
                        "stopping after step %d: the interval of the validation holds the ceiling", step + 1
                    )
                    break
            if self.processes.first and now - saved > CHECKPOINT_SECONDS:
                progress.sums = sums.tolist()
                self.checkpoint.save(model, optimizers, progress)
                saved = now
        return progress

    def _restored(self, optimizers: list[torch.optim.Optimizer]) -> Progress:
        """Where the run goes on, the same in all processes; the beginning where there is no checkpoint."""
        progress = self.checkpoint.load(self.network.model, optimizers) or Progress()
        self.processes.require_same(
            self.checkpoint.digest,
            "processes of one training need the same settings, data, code and kind of device",
        )
        self.processes.require_same(
            progress.step,
            f"{self.checkpoint.path}: every process must see this file; of the steps done there",
        )
        if progress.step:
            log.info("continuing after step %d of %d", progress.step, self.n_steps)
        return progress

    def _step(
        self,
        source: Iterator[Batch],
        step: int,
        optimizers: list[torch.optim.Optimizer],
        progress: Progress,
    ) -> torch.Tensor:
        """One step on the next batch; its (samples, loss, right answers), zeros if it had to be skipped."""
        asked = time.perf_counter()
        batch = next(source)
        progress.waited += time.perf_counter() - asked
        totals = self.gradients(batch, step, progress)
        parameters = [p for p in self.network.model.parameters() if p.requires_grad]
        self.processes.add_up([*(p.grad for p in parameters), totals])
        add_penalty(self.network.model, self.settings.l1, self.settings.l2)
        if clip_gradients(parameters, self.settings.gradient_clip):
            self._take_step(optimizers)
            progress.in_a_row = 0
            return totals
        progress.skipped += 1
        progress.in_a_row += 1
        self._check_skipped(step + 1, float(totals[1] / totals[0]), progress)
        return torch.zeros_like(totals)

    def _take_step(self, optimizers: list[torch.optim.Optimizer]) -> None:
        try:
            for optimizer in optimizers:
                optimizer.step()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            # No batch is in memory now, so a smaller one would not help.
            raise XtinctError(
                f"out of memory on {self.network.device}: weights, gradients and the moments of the "
                "optimiser do not fit; choose a smaller model"
            ) from None

    def batches(self, progress: Progress) -> Iterator[Batch]:
        """This process's parts of the batches that are left."""
        size, device = self.settings.batch_size, self.network.device
        return self.data.loader.batches(
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
                self.forward = after_failed_compiling(self.network.model, self.settings.compile, error)

    def _gradients_of(self, batch: Batch, step: int, progress: Progress, micro: int) -> torch.Tensor:
        network, device = self.network, self.network.device
        network.model.train()
        network.model.zero_grad()
        totals = torch.zeros(3, dtype=torch.float64, device=device)
        torch.manual_seed(step_seed(self.seed, "step", step, self.processes.rank))
        for part in batch.parts(micro):
            asked = time.perf_counter()
            patterns = network.render(part.lines, part.conditions)
            progress.waited += time.perf_counter() - asked
            labels = torch.from_numpy(network.outputs.output_of_group[part.groups])
            labels = labels.to(device, non_blocking=True)
            with network.autocast():
                logits = self.forward(patterns).float()
            loss = self.loss(logits, labels)
            (loss / self.settings.batch_size).backward()
            right = (logits.detach().argmax(dim=1) == labels).sum()
            totals[1:] += torch.stack([loss.detach().double(), right.double()])
        totals[0] = len(batch)
        for parameter in network.model.parameters():
            # What no answer depends on, as a head that a network of the user's own leaves aside.
            if parameter.requires_grad and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        return totals

    def _check_skipped(self, step: int, loss: float, progress: Progress) -> None:
        """A warning while there is hope: neither too many steps without an update, nor the end."""
        if progress.in_a_row < _SKIPPED_IN_A_ROW and step < self.n_steps:
            if self.processes.first:
                log.warning(
                    "step %d skipped: the gradient is not finite, loss %g; %d so far",
                    step, loss, progress.skipped,
                )  # fmt: skip
            return
        raise not_finite(
            f"training stopped at step {step}: steps in a row whose gradient is not finite: "
            f"{progress.in_a_row}; the loss is {loss}"
        )

    def row(self, sums: torch.Tensor, progress: Progress) -> dict:
        """A row of the history after the step that the progress names.

        The ceiling is that of the law that the samples are drawn from and counts the extinction laws alone:
        on single lattices further classes coincide, and lattices that differ between groups tell more.
        """
        n, loss, right = sums.tolist()
        row: dict[str, object] = {
            "step": progress.step,
            "patterns": progress.step * self.settings.batch_size,
            "loss": round(loss / n, 6) if n else None,
            "accuracy": round(right / n, 6) if n else None,
            "skipped_steps": progress.skipped,
            "validation_n": 0,
            "validation_accuracy": None,
            "validation_ceiling": None,
        }
        watched = self.data.validation is not None
        if self.processes.first and (watched or progress.step == self.n_steps):
            self.validation.measure_statistics(progress.step)
            if watched:
                row |= self.validation.accuracy(progress.step)
                row["validation_ceiling"] = round(self.ceiling, 6)
        return row

    def finished(self, row: dict) -> bool:
        """Whether the confidence interval of the validation holds the ceiling.

        A crystal that is in it several times, as stored samples under a prior may be, counts once.
        An accuracy above it tells nothing: the lattices give away more than the law counts.
        """
        if not self.settings.stop_confidence or not row["validation_n"]:
            return False
        n = row["validation_n"]
        right = round(row["validation_accuracy"] * n)
        samples = self.data.validation
        counted = n if samples is None else independent_samples(samples.crystals)
        low, high = wilson_interval(right * counted / n, counted, self.settings.stop_confidence)
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

"""Training one model for one crystal family."""

import csv
import hashlib
import io
import json
import logging
import math
import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

import xtinct
from xtinct.diffraction.instrument import Instrument
from xtinct.diffraction.lattice import LatticeSpec
from xtinct.errors import XtinctError
from xtinct.learning.card import HISTORY, save_model, write_text
from xtinct.learning.checkpoint import NAME, Progress, load_checkpoint, save_checkpoint
from xtinct.learning.device import autocast, describe, reproducible, resolve_device, resolve_precision
from xtinct.learning.models import build_model, count_parameters
from xtinct.learning.optim import make_optimizers, schedule
from xtinct.learning.outputs import Outputs
from xtinct.learning.streams import (
    EmptySplitError,
    LabelledLines,
    ParquetStream,
    PatternRenderer,
    Stream,
    UlbdStream,
    batches,
)
from xtinct.randomness import stream_key
from xtinct.symmetry.ceilings import ceiling_of_samples

log = logging.getLogger(__name__)

#: Training sets that are drawn while training -> the intensity law; None is that of `ulbd.intensities`.
ONLINE = {"ulbd-online": None, "wilson-online": "wilson", "physical-online": "physical"}

#: Seconds between progress lines, and between checkpoints. Neither changes a result.
PROGRESS_SECONDS = 10.0
CHECKPOINT_SECONDS = 60.0


def train_model(
    *,
    experiment: Mapping,
    family: str,
    seed: int,
    train: Mapping,
    models: Mapping,
    instrument: Mapping,
    lines: Mapping,
    ulbd: Mapping,
    dataset_path: str | Path | None,
    validation_path: str | Path | None,
    output_dir: str | Path,
) -> dict:
    """Train the model of `experiment` for `family` and return its card.

    experiment        entry of the configuration's `experiments`
    train, models, instrument, lines, ulbd    those sections (`ulbd.lattices` needs `family` alone)
    dataset_path      line lists to train on; None for a training set of ONLINE
    validation_path   line lists whose validation split is watched; None: the dataset's own, or, for
                      online training, an online stream of other lattices
    output_dir        receives model.safetensors, history.csv and card.json

    A run that was killed goes on from its checkpoint in `output_dir` to the same result. The result
    depends on the arguments and on the kind of processor, not on time or load. XtinctError for
    settings that do not fit, for data of another family and for a loss that is not finite.
    """
    output_dir = Path(output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    optics = Instrument.from_config(instrument)
    optics.check_reach(lines["d_star_max"])
    outputs = Outputs.of(family, experiment["target"])
    recipe = {
        "experiment": {k: experiment[k] for k in ("train", "target", "model", "patterns")},
        "family": family,
        "seed": seed,
        "train": {k: v for k, v in train.items() if k not in ("device", "workers")},
        "model": _model_settings(experiment, models),
        "instrument": dict(instrument),
        "d_star_max": lines["d_star_max"],
        "data": _data_settings(experiment, family, ulbd, dataset_path, validation_path),
    }
    digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
    device = resolve_device(train["device"])
    precision = resolve_precision(train["precision"], device)
    stream, validation = _streams(experiment, family, seed, train, lines, ulbd, dataset_path, validation_path)
    seen = np.unique(stream.groups)
    unseen = [
        s
        for s, members in zip(outputs.symbols, outputs.members, strict=True)
        if not np.isin(members, seen).any()
    ]
    if unseen:
        log.warning("no training sample of %s: %s", experiment["target"], ", ".join(unseen))
    with reproducible(train["threads"]):
        torch.manual_seed(_step_seed(seed, "weights", 0))
        kind, hyperparameters = recipe["model"]["kind"], recipe["model"]["hyperparameters"]
        model = build_model(kind, optics, len(outputs), hyperparameters).to(device)
        n_parameters = count_parameters(model)
        log.info(
            "%s, %s, %s: %s parameters, %s patterns on %s",
            family, experiment["target"], kind, f"{n_parameters:,}", f"{experiment['patterns']:,}",
            describe(device, precision),
        )  # fmt: skip
        progress = fit(
            model=model,
            outputs=outputs,
            stream=stream,
            validation=validation,
            renderer=PatternRenderer(optics, device),
            precision=precision,
            patterns=experiment["patterns"],
            seed=seed,
            settings=train,
            checkpoint=output_dir / NAME,
            digest=f"{digest}, {describe(device, precision)}",
        )
        where = describe(device, precision)
    last = progress.history[-1]
    card = {
        "experiment": experiment["name"],
        "train_set": experiment["train"],
        "family": family,
        "target": experiment["target"],
        "seed": seed,
        "architecture": {
            "name": experiment["model"],
            "kind": kind,
            "hyperparameters": hyperparameters,
            "parameters": n_parameters,
        },
        "instrument": dict(instrument),
        "outputs": outputs.to_list(),
        "unseen_outputs": unseen,
        "group_counts": _group_counts(stream),
        "training": recipe,
        "training_digest": digest,
        "metrics": {key: value for key, value in last.items() if key not in ("step", "patterns")},
        "seconds": round(progress.seconds, 1),
        "device": where,
        "versions": {
            "xtinct": xtinct.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }
    write_text(output_dir / HISTORY, _csv(progress.history))
    save_model(output_dir, model, card)
    (output_dir / NAME).unlink(missing_ok=True)
    return card


def fit(
    *,
    model: nn.Module,
    outputs: Outputs,
    stream: Stream,
    validation: LabelledLines | None,
    renderer: PatternRenderer,
    precision: torch.dtype,
    patterns: int,
    seed: int,
    settings: Mapping,
    checkpoint: Path,
    digest: str,
) -> Progress:
    """Train `model` in place on the first `patterns` samples of `stream`, rounded to whole batches.

    Returns the history: one row per validation, with the mean loss and accuracy since the row
    before. A checkpoint of the run `digest` is continued.
    """
    device, batch_size = renderer.device, settings["batch_size"]
    n_steps = max(1, round(patterns / batch_size))
    optimizers = make_optimizers(
        model,
        optimizer=settings["optimizer"],
        learning_rate=settings["learning_rate"],
        muon_learning_rate=settings["muon_learning_rate"],
        weight_decay=settings["weight_decay"],
    )
    validations = {round(n_steps * (i + 1) / settings["validations"]) for i in range(settings["validations"])}
    progress = load_checkpoint(checkpoint, digest, model, optimizers) or Progress()
    peaks = [(group, group["lr"]) for optimizer in optimizers for group in optimizer.param_groups]
    if progress.step:
        log.info("continuing after step %d of %d", progress.step, n_steps)
    sums = torch.tensor(progress.sums, device=device, dtype=torch.float64)
    source = batches(
        stream,
        start=progress.step * batch_size,
        stop=n_steps * batch_size,
        batch_size=batch_size,
        workers=0 if device.type == "cpu" else max(1, len(os.sched_getaffinity(0)) - 1),
    )
    started = time.perf_counter() - progress.seconds
    told = saved = time.perf_counter()
    waited = 0.0
    for step in range(progress.step, n_steps):
        asked = time.perf_counter()
        batch = next(source)
        waited += time.perf_counter() - asked
        share = schedule(step, n_steps, kind=settings["schedule"], warmup=settings["warmup"])
        for group, peak in peaks:
            group["lr"] = peak * share
        torch.manual_seed(_step_seed(seed, "step", step))
        labels = torch.from_numpy(outputs.output_of_group[batch.groups]).to(device)
        sums += _step(model, optimizers, renderer(batch.lines), labels, precision)

        now = time.perf_counter()
        progress.step, progress.seconds = step + 1, now - started
        due = step + 1 == n_steps or step + 1 in validations
        tell = due or now - told > PROGRESS_SECONDS
        save = now - saved > CHECKPOINT_SECONDS
        if not (tell or save):
            continue
        loss, accuracy = _checked_means(sums, step + 1)
        line = f"step {step + 1}/{n_steps}, loss {loss:.4f}, accuracy {accuracy:.4f}"
        if due:
            row = {"step": step + 1, "patterns": (step + 1) * batch_size, "loss": loss, "accuracy": accuracy}
            row |= validate(model, outputs, validation, renderer, precision)
            progress.history.append(row)
            sums.zero_()
            if row["validation_n"]:
                reached, ceiling = row["validation_accuracy"], row["validation_ceiling"]
                line += f", validation {reached:.4f}, ceiling {ceiling:.4f}"
        if tell:
            left = progress.seconds / (step + 1) * (n_steps - step - 1)
            log.info("%s, %.0f %% waiting for data, %.0f s left", line, 100 * waited / (now - started), left)
            told = now
        if save:
            progress.sums = sums.tolist()
            save_checkpoint(checkpoint, digest, model, optimizers, progress)
            saved = now
    return progress


def _step(
    model: nn.Module,
    optimizers: list[torch.optim.Optimizer],
    patterns: torch.Tensor,
    labels: torch.Tensor,
    precision: torch.dtype,
) -> torch.Tensor:
    """One update of the weights; returns (samples, summed loss, right answers), float64 (3,)."""
    model.train()
    with autocast(patterns.device, precision):
        logits = model(patterns).float()
    loss = nn.functional.cross_entropy(logits, labels)
    for optimizer in optimizers:
        optimizer.zero_grad()
    loss.backward()
    for optimizer in optimizers:
        optimizer.step()
    right = (logits.detach().argmax(dim=1) == labels).sum()
    return torch.stack(
        [torch.full_like(right, len(labels)).double(), loss.detach().double() * len(labels), right.double()]
    )


def _checked_means(sums: torch.Tensor, step: int) -> tuple[float, float]:
    n, loss, right = sums.tolist()
    if not math.isfinite(loss):
        raise XtinctError(
            f"training stopped at step {step}: the loss is {loss}; lower train.learning_rate and "
            "train.muon_learning_rate, or set train.precision: float32"
        )
    return round(loss / n, 6), round(right / n, 6)


def validate(
    model: nn.Module,
    outputs: Outputs,
    validation: LabelledLines | None,
    renderer: PatternRenderer,
    precision: torch.dtype,
) -> dict:
    """Accuracy of the target on `validation` and the ceiling of exactly these samples."""
    if validation is None:
        return {"validation_n": 0, "validation_accuracy": None, "validation_ceiling": None}
    probabilities = predict_outputs(model, validation, renderer, precision)
    labels = outputs.output_of_group[validation.groups]
    return {
        "validation_n": len(labels),
        "validation_accuracy": round(float((probabilities.argmax(axis=1) == labels).mean()), 6),
        "validation_ceiling": round(ceiling_of_samples(validation.groups, outputs.target, (1,))[1], 6),
    }


def predict_outputs(
    model: nn.Module,
    samples: LabelledLines,
    renderer: PatternRenderer,
    precision: torch.dtype,
    batch_size: int = 256,
) -> np.ndarray:
    """Softmax of the model's outputs, float32 (n, n_outputs); leaves the model in evaluation mode."""
    model.eval()
    parts = []
    with torch.no_grad():
        for first in range(0, len(samples), batch_size):
            x = renderer(samples.lines.slice(first, first + batch_size))
            with autocast(renderer.device, precision):
                logits = model(x).float()
            parts.append(logits.softmax(dim=1).cpu().numpy())
    return np.concatenate(parts)


def _model_settings(experiment: Mapping, models: Mapping) -> dict:
    name = experiment["model"]
    if name not in models:
        raise XtinctError(f"experiment {experiment['name']!r}: model {name!r} is not in `models`")
    settings = dict(models[name])
    return {"kind": settings.pop("kind", name), "hyperparameters": settings}


def _data_settings(
    experiment: Mapping,
    family: str,
    ulbd: Mapping,
    dataset_path: str | Path | None,
    validation_path: str | Path | None,
) -> dict:
    """What the training samples are a function of: the lattice law, or the digests of the files."""
    data: dict[str, object] = {}
    if experiment["train"] in ONLINE:
        lattices = ulbd["lattices"][family]
        data["lattices"] = {k: lattices[k] for k in ("lengths", "angles", "spacing") if k in lattices}
        data["intensities"] = ONLINE[experiment["train"]] or ulbd["intensities"]
    elif dataset_path is None:
        raise XtinctError(f"experiment {experiment['name']!r}: train {experiment['train']!r} needs a dataset")
    for role, path in (("dataset", dataset_path), ("validation", validation_path)):
        if path is not None:
            data[role] = _file_digest(path)
    return data


def _file_digest(path: str | Path) -> str:
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise XtinctError(f"{path}: no such file") from None


def _streams(
    experiment: Mapping,
    family: str,
    seed: int,
    train: Mapping,
    lines: Mapping,
    ulbd: Mapping,
    dataset_path: str | Path | None,
    validation_path: str | Path | None,
) -> tuple[Stream, LabelledLines | None]:
    """The stream to train on and the samples to validate on (None if there are none)."""
    n = train["validation_patterns"]

    def online(role: str) -> UlbdStream:
        return UlbdStream(
            family=family,
            spec=LatticeSpec.from_config(ulbd["lattices"][family]),
            d_star_max=lines["d_star_max"],
            intensities=ONLINE[experiment["train"]] or ulbd["intensities"],
            seed=seed,
            role=role,
        )

    is_online = experiment["train"] in ONLINE
    stream = (
        online("train") if is_online else ParquetStream(dataset_path, family=family, split="train", seed=seed)
    )
    if not n:
        return stream, None
    if validation_path is None and is_online:
        return stream, online("validation").take(0, n)
    path = validation_path or dataset_path
    try:
        watched = ParquetStream(path, family=family, split="validation", seed=seed)
    except EmptySplitError as error:
        log.warning("%s: training without validation", error)
        return stream, None
    return stream, watched.take(0, min(n, len(watched)))


def _step_seed(seed: int, purpose: str, step: int) -> int:
    """Seed of torch's generator: of the initial weights, and of the dropout masks of one step."""
    return int(stream_key(seed, "torch", purpose, step) >> np.uint64(1))


def _group_counts(stream: Stream) -> dict[str, int] | None:
    """Training samples of each space group; None for a stream that draws them uniformly."""
    if isinstance(stream, UlbdStream):
        return None
    numbers, counts = np.unique(stream.groups, return_counts=True)
    return {str(number): int(count) for number, count in zip(numbers, counts, strict=True)}


def _csv(rows: list[dict]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()

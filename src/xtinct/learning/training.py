"""Training one model: an experiment's settings in, a model folder out."""

import hashlib
import json
import logging
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import xtinct
from xtinct.files.writing import write_csv
from xtinct.learning.card import HISTORY, save_model
from xtinct.learning.checkpoint import NAME, Checkpoint, Progress
from xtinct.learning.device import describe, reproducible, resolve_device, resolve_precision
from xtinct.learning.direct_fitting import FittedAtOnce, fit_at_once
from xtinct.learning.fitting import Run, TrainingData, step_seed
from xtinct.learning.forward_pass import Network, PatternRenderer
from xtinct.learning.import_paths import source_digest
from xtinct.learning.losses import output_log_prior
from xtinct.learning.memory import memory_kept
from xtinct.learning.models import build_model, count_parameters
from xtinct.learning.parallel import Processes, processes
from xtinct.learning.training_sets import Sources
from xtinct.learning.training_settings import TrainingSettings
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.pattern_transform import PatternTransform
from xtinct.patterns.variation import Variation
from xtinct.scores.calibration import fit_calibration
from xtinct.scores.outputs import Outputs, training_prior

log = logging.getLogger(__name__)


def train_model(settings: TrainingSettings, output_dir: str | Path, code: str = "") -> dict:
    """Train the model that the settings describe and return its card.

    output_dir    receives model.safetensors, history.csv and card.json; all processes must see it
    code          digest of the code that trains (`digests.code_digest`); "" where nobody changes it

    Called in every process that torchrun started, it trains one model together; the card is that of the
    first. A run that was killed goes on from its checkpoint in `output_dir` to the same result, unless
    arguments, data, code, torch or the kind of processor have changed: then it begins anew. The result
    depends on the arguments and on the kind of processor, not on time or load; on the number of processes
    through rounding alone (and through dropout masks, where the model has any). XtinctError for settings
    that do not fit, for data of another family and for a model that does not stay finite.
    """
    output_dir = Path(output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    task = _Task.of(settings)
    device = resolve_device(settings.fit.device)
    with processes(device) as team, reproducible(settings.fit.threads), memory_kept():
        network = make_network(settings, device)
        where = describe(device, network.precision)
        unseen = _unseen(network.outputs, task.sources)
        if team.first:
            _announce(settings, network, unseen, f"{team.count} x {where}")
        checkpoint = Checkpoint(
            output_dir / NAME, f"{task.digest}, {where}, torch {torch.__version__}, code {code}"
        )
        run = make_run(settings, network, task.sources, checkpoint, team)
        direct = isinstance(network.model, FittedAtOnce)
        progress = fit_at_once(run) if direct else run.fit()
        card = {
            **_identity(settings, network),
            "unseen_outputs": unseen,
            "group_counts": task.sources.group_counts(),
            "calibration": _calibration(settings, run, progress.step),
            **_correction(network),
            "training": task.recipe,
            "training_digest": task.digest,
            **_outcome(progress),
            "device": where if team.count == 1 else f"{team.count} x {where}",
            "versions": _versions(),
        }
        if team.first:
            write_csv(output_dir / HISTORY, progress.history)
            save_model(output_dir, network.model, card)
            (output_dir / NAME).unlink(missing_ok=True)
    return card


@dataclass(frozen=True)
class _Task:
    """The sources of the samples, and everything that the weights depend on, with its digest."""

    sources: Sources
    recipe: dict[str, Any]
    digest: str

    @classmethod
    def of(cls, settings: TrainingSettings) -> "_Task":
        samples = settings.samples
        instrument = Instrument.from_config(settings.instrument)
        instrument.check_reach(samples.lines["d_star_max"])
        PatternTransform.from_config(samples.experiment.transform).check(instrument)
        Variation.from_config(samples.experiment.variation).check(instrument, samples.lines["d_star_max"])
        Outputs.of(samples.family, samples.experiment.target)
        sources = Sources(samples)
        recipe = {
            "experiment": samples.experiment.recipe(),
            "family": samples.family,
            "seed": samples.seed,
            "train": settings.fit.recipe(),
            "model": _kind(settings),
            "instrument": dict(settings.instrument),
            "d_star_max": samples.lines["d_star_max"],
            "data": sources.record(),
        }
        return cls(sources, recipe, hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest())


def make_network(settings: TrainingSettings, device: torch.device) -> Network:
    """The network with its initial weights, which depend on the seed alone."""
    precision = resolve_precision(settings.fit.precision, device)
    samples, architecture = settings.samples, settings.architecture
    instrument = Instrument.from_config(settings.instrument)
    outputs = Outputs.of(samples.family, samples.experiment.target)
    torch.manual_seed(step_seed(samples.seed, "weights", 0))
    model = build_model(architecture.kind, instrument, len(outputs), dict(architecture.hyperparameters))
    return Network(model.to(device), outputs, _renderer(settings, device), precision)


def _renderer(settings: TrainingSettings, device: torch.device) -> PatternRenderer:
    transform = PatternTransform.from_config(settings.samples.experiment.transform)
    return PatternRenderer(Instrument.from_config(settings.instrument), device, transform)


def make_run(
    settings: TrainingSettings,
    network: Network,
    sources: Sources,
    checkpoint: Checkpoint,
    team: Processes,
    kind: type[Run] = Run,
) -> Run:
    """The run that trains the network on the samples of `sources`."""
    validation = sources.validation(settings.fit.validation_patterns) if team.first else None
    data = TrainingData(sources.training(), validation, training_prior(sources.group_counts()))
    samples = settings.samples
    return kind(
        network, data, settings.fit, samples.experiment.patterns, samples.seed, checkpoint, team
    )  # fmt: skip


def _unseen(outputs: Outputs, sources: Sources) -> list[str]:
    """Names of the outputs that no training sample has."""
    seen = sources.training().stream.groups
    pairs = zip(outputs.symbols, outputs.members, strict=True)
    return [name for name, members in pairs if not np.isin(members, seen).any()]


def _announce(settings: TrainingSettings, network: Network, unseen: list[str], where: str) -> None:
    experiment = settings.samples.experiment
    if unseen:
        log.warning("no training sample of %s: %s", experiment.target, ", ".join(unseen))
    log.info(
        "%s, %s, %s: %s parameters, %s patterns on %s",
        settings.samples.family, experiment.target, settings.architecture.kind,
        f"{count_parameters(network.model):,}", f"{experiment.patterns:,}", where,
    )  # fmt: skip


def _kind(settings: TrainingSettings) -> dict[str, Any]:
    architecture = settings.architecture
    kind = {"kind": architecture.kind, "hyperparameters": dict(architecture.hyperparameters)}
    source = source_digest(architecture.kind)
    return {**kind, "source": source} if source else kind


def _identity(settings: TrainingSettings, network: Network) -> dict[str, Any]:
    """What the card says of the model before it is trained."""
    experiment = settings.samples.experiment
    return {
        "experiment": experiment.name,
        "train_set": experiment.train_name,
        "family": settings.samples.family,
        "target": experiment.target,
        "seed": settings.samples.seed,
        "architecture": {
            "name": settings.architecture.name,
            **_kind(settings),
            "parameters": count_parameters(network.model),
        },
        "instrument": dict(settings.instrument),
        "outputs": network.outputs.to_list(),
        **({"transform": dict(experiment.transform)} if experiment.transform else {}),
    }


def _correction(network: Network) -> dict[str, list[float]]:
    """What the answers are divided by, for the card; nothing where they are not."""
    prior = network.log_prior
    return {} if prior is None else {"output_prior": [round(float(p), 9) for p in prior.cpu().exp()]}


def _calibration(settings: TrainingSettings, run: Run, step: int) -> dict | None:
    """What the samples of the validation say about the probabilities; None without any."""
    samples = run.data.validation
    if samples is None:
        return None
    frequencies = None
    if settings.fit.remedies():
        # Samples are as frequent as in training, answers are those for outputs of equal frequency.
        frequencies = output_log_prior(run.network.outputs, run.data.prior).exp().double().numpy()
    return fit_calibration(
        run.network.outputs,
        run.validation.probabilities(step),
        samples.groups,
        prior=run.data.prior,
        samples=f"validation of {settings.samples.experiment.train_name}",
        crystals=samples.crystals,
        frequencies=frequencies,
    ).to_dict()


def _outcome(progress: Progress) -> dict[str, Any]:
    last = progress.history[-1]
    return {
        "metrics": {key: value for key, value in last.items() if key not in ("step", "patterns")},
        "patterns": last["patterns"],
        "seconds": round(progress.seconds, 1),
        "cpu_seconds": round(progress.cpu, 1),
        "data_share": round(progress.data_share, 4),
    }


def _versions() -> dict[str, str]:
    return {
        "xtinct": xtinct.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }

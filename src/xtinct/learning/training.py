"""Training one model: an experiment's settings in, a model folder out."""

import hashlib
import json
import logging
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

import xtinct
from xtinct.errors import XtinctError
from xtinct.files.writing import write_csv
from xtinct.learning.card import HISTORY, save_model
from xtinct.learning.checkpoint import NAME
from xtinct.learning.device import describe, reproducible, resolve_device, resolve_precision
from xtinct.learning.fitting import Run, step_seed
from xtinct.learning.loading import PatternRenderer
from xtinct.learning.models import build_model, count_parameters
from xtinct.learning.parallel import processes
from xtinct.learning.training_sets import Sources, name_of
from xtinct.patterns.instrument import Instrument
from xtinct.scores.calibration import fit_calibration
from xtinct.scores.outputs import Outputs, training_prior

log = logging.getLogger(__name__)

#: Settings of `train` that say where and how fast to compute, and not what.
_WHERE = ("device", "workers", "processes", "compile")


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
    datasets: Mapping[str, Sequence[str | Path]],
    occupations: str | Path | None,
    output_dir: str | Path,
    code: str = "",
) -> dict:
    """Train the model of `experiment` for `family` and return its card.

    experiment    entry of the configuration's `experiments`, with its name
    family        a crystal family, or all: every group of every family, the family unknown
    train, models, instrument, lines, ulbd    those sections (of `ulbd.lattices` the families concerned)
    datasets      stored training set -> its line-list files, one for each family; empty for online training
    occupations   file of confirmed occupations; needed where crystals are drawn while training
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
    optics = Instrument.from_config(instrument)
    optics.check_reach(lines["d_star_max"])
    outputs = Outputs.of(family, experiment["target"])
    kind, hyperparameters = _architecture(experiment, models)
    sources = Sources(
        experiment=experiment,
        scope=family,
        seed=seed,
        lines=lines,
        ulbd=ulbd,
        datasets=datasets,
        occupations=occupations,
    )
    recipe = {
        "experiment": {k: experiment[k] for k in ("train", "target", "model", "patterns")},
        "family": family,
        "seed": seed,
        "train": {k: v for k, v in train.items() if k not in _WHERE},
        "model": {"kind": kind, "hyperparameters": hyperparameters},
        "instrument": dict(instrument),
        "d_star_max": lines["d_star_max"],
        "data": sources.record(),
    }
    digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
    device = resolve_device(train["device"])
    with processes(device) as team, reproducible(train["threads"]):
        precision = resolve_precision(train["precision"], device)
        loader = sources.training()
        seen = loader.stream.groups
        unseen = [
            name
            for name, members in zip(outputs.symbols, outputs.members, strict=True)
            if not np.isin(members, seen).any()
        ]
        torch.manual_seed(step_seed(seed, "weights", 0))
        model = build_model(kind, optics, len(outputs), hyperparameters).to(device)
        n_parameters = count_parameters(model)
        where = describe(device, precision)
        if team.first:
            if unseen:
                log.warning("no training sample of %s: %s", experiment["target"], ", ".join(unseen))
            log.info(
                "%s, %s, %s: %s parameters, %s patterns on %d x %s",
                family, experiment["target"], kind, f"{n_parameters:,}", f"{experiment['patterns']:,}",
                team.count, where,
            )  # fmt: skip
        validation = sources.validation(train["validation_patterns"]) if team.first else None
        group_counts = sources.group_counts()
        prior = training_prior(group_counts)
        run = Run(
            model=model,
            outputs=outputs,
            loader=loader,
            validation=validation,
            renderer=PatternRenderer(optics, device),
            precision=precision,
            patterns=experiment["patterns"],
            seed=seed,
            settings=train,
            checkpoint=output_dir / NAME,
            digest=f"{digest}, {where}, torch {torch.__version__}, code {code}",
            processes=team,
            prior=prior,
        )
        progress = run.fit()
        calibration = None
        if validation is not None:
            calibration = fit_calibration(
                outputs,
                run.probabilities(validation),
                validation.groups,
                prior=prior,
                samples=f"validation of {name_of(experiment['train'])}",
            ).to_dict()
        last = progress.history[-1]
        card = {
            "experiment": experiment["name"],
            "train_set": name_of(experiment["train"]),
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
            "group_counts": group_counts,
            "calibration": calibration,
            "training": recipe,
            "training_digest": digest,
            "metrics": {key: value for key, value in last.items() if key not in ("step", "patterns")},
            "patterns": last["patterns"],
            "seconds": round(progress.seconds, 1),
            "data_share": round(progress.data_share, 4),
            "device": where if team.count == 1 else f"{team.count} x {where}",
            "versions": {
                "xtinct": xtinct.__version__,
                "torch": torch.__version__,
                "numpy": np.__version__,
                "python": platform.python_version(),
            },
        }
        if team.first:
            write_csv(output_dir / HISTORY, progress.history)
            save_model(output_dir, model, card)
            (output_dir / NAME).unlink(missing_ok=True)
    return card


def _architecture(experiment: Mapping, models: Mapping) -> tuple[str, dict]:
    """Kind and hyperparameters of the experiment's model."""
    name = experiment["model"]
    if name not in models:
        raise XtinctError(f"experiment {experiment['name']!r}: model {name!r} is not in `models`")
    settings = dict(models[name])
    return settings.pop("kind", name), settings

"""What one training takes: the settings and files of an experiment, for the rule and for `xtinct train`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xtinct.errors import XtinctError
from xtinct.learning.group_priors import GroupPrior
from xtinct.project.configuration import CONFIG, load
from xtinct.project.named_sets import is_own_set, training_sets

#: Keys of an experiment that say which models there are and how they are judged, not what one is.
_NOT_OF_A_MODEL = ("families", "seeds", "tests", "figures", "libraries")
#: Training sets whose lattices are drawn while training.
_LATTICES = {"ulbd-online", "wilson-online", "physical-online"}


def line_list_file(config: Mapping[str, Any], dataset: str, family: str) -> str:
    """The file of one family of a dataset, of a variant or of a training set of the user's own."""
    if is_own_set(dataset):
        return dataset if dataset.endswith(".parquet") else f"{dataset.rstrip('/')}/{family}.parquet"
    return f"data/{'variants/' * (dataset in config['variants'])}{dataset}/{family}.parquet"


def families_of(scope: str) -> list[str]:
    """The crystal families that a model tells apart: one, or all."""
    from xtinct.symmetry.families import FAMILIES

    return list(FAMILIES) if scope == "all" else [scope]


def training_settings(config: Mapping[str, Any], experiment: str, family: str, seed: int) -> dict[str, Any]:
    """What `xtinct.learning.training_settings.TrainingSettings` is made from, and the folder of the model.

    Of the configuration they hold exactly what the model depends on, so that nothing else makes it
    out of date. Paths are relative to the checkout.
    """
    entry = config["experiments"][experiment]
    names = training_sets(entry)
    families = families_of(family)
    crystals = "gcdd-online" in names
    ulbd: dict[str, Any] = {}
    if _LATTICES & set(names):
        drawn = [name for name in families if name not in entry.get("lattices", {})]
        ulbd["intensities"] = config["ulbd"]["intensities"]
        ulbd["lattices"] = {name: config["ulbd"]["lattices"][name] for name in drawn}
    return {
        "experiment": {"name": experiment, **{k: v for k, v in entry.items() if k not in _NOT_OF_A_MODEL}},
        "family": family,
        "seed": seed,
        "train": config["train"],
        "models": {entry["model"]: config["models"][entry["model"]]},
        "instrument": config["instrument"],
        # Of lines that are stored already, only how far they reach.
        "lines": config["lines"] if crystals else {"d_star_max": config["lines"]["d_star_max"]},
        "ulbd": ulbd,
        "datasets": {
            name: [line_list_file(config, name, each) for each in families]
            for name in names
            if is_own_set(name) or not name.endswith("-online")
        },
        "occupations": "data/gcdd/occupations.json" if crystals else None,
        "output_dir": f"models/{experiment}/{family}/seed-{seed}",
    }


def training_inputs(settings: Mapping[str, Any]) -> list[str]:
    """The files that a training reads."""
    files = [path for of_set in settings["datasets"].values() for path in of_set]
    if settings["occupations"] is not None:
        files.append(settings["occupations"])
    prior = settings["experiment"].get("prior")
    table = None if prior is None else GroupPrior.from_config(prior).table
    return files if table is None else [*files, table]


def train_experiment(experiment: str, family: str, seed: int, config_path: str = CONFIG) -> None:
    """Train one model as the rule does, here or as a process of torchrun; see `training.train_model`.

    XtinctError for a name that the configuration does not have, and for a file that is not there yet.
    """
    config = load(config_path)
    for what, name, known in (
        ("experiment", experiment, list(config["experiments"])),
        ("family", family, [*config["families"], "all"]),
    ):
        if name not in known:
            raise XtinctError(f"{what} {name!r}: {config_path} has {', '.join(known)}")
    settings = training_settings(config, experiment, family, seed)
    for path in training_inputs(settings):
        if not Path(path).exists():
            if any(is_own_set(name) and path in settings["datasets"][name] for name in settings["datasets"]):
                raise XtinctError(f"{path}: no such file; experiments.{experiment}.train names it")
            other = "" if config_path == CONFIG else f"--configfile {config_path} "
            raise XtinctError(f"{path}: no such file; `snakemake {other}--cores all {path}` makes it")

    from xtinct.learning.parallel import launch, log_messages
    from xtinct.learning.training import train_model
    from xtinct.learning.training_settings import TrainingSettings
    from xtinct.project.digests import code_digest

    log_messages()
    arguments = {
        "settings": TrainingSettings.from_config(settings),
        "output_dir": settings["output_dir"],
        "code": code_digest("xtinct.learning.training"),
    }
    launch(train_model, arguments, settings["train"]["processes"])

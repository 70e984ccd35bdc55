"""The sets that experiments name: datasets, their variants, copies of crystals, and sets of one's own."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

#: Test sets of real crystals with something drawn anew.
COPIES = ("cddd-coordinates", "cddd-lattice", "cddd-both")


def plain(value: Any) -> Any:
    """`value` with dicts and lists in place of what Snakemake wraps them in."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def training_sets(experiment: Mapping[str, Any]) -> list[str]:
    """Names of an experiment's training sets: `train` is one of them, or a mixture with weights."""
    train = experiment["train"]
    return [train] if isinstance(train, str) else list(train)


def is_own_set(name: str) -> bool:
    """Whether a training set is of the user's own: a folder with FAMILY.parquet, or a single such file."""
    return "/" in name


def is_apart(path: str) -> bool:
    """Whether a path is data/apart or in it: CDDD without the types of the measured patterns."""
    return f"{path.rstrip('/')}/".startswith("data/apart/")


def stored_set(name: str) -> str:
    """The dataset or variant that the samples of a training set are of, also where it is named by its folder.

    data/apart has those of CDDD. Another set of the user's own has its own name.
    """
    top, *rest = PurePosixPath(name).parts
    if top != "data" or not rest:
        return name
    folder = rest[1] if rest[0] == "variants" and len(rest) > 1 else rest[0]
    return "cddd" if folder == "apart" else folder


def versions(config: Mapping[str, Any], dataset: str) -> list[str]:
    """Folders below data/ that hold a dataset and its variants."""
    return [dataset, *(f"variants/{name}" for name, v in config["variants"].items() if v["of"] == dataset)]


def with_variant(config: Mapping[str, Any], version: str) -> dict[str, Any]:
    """The configuration that a version of a dataset is built with: its keys in place of the dataset's.

    `version`: one of `versions`. `ranges` is no key of the configuration; the rules read it.
    """
    changed = plain(config)
    variant = changed["variants"].get(version.removeprefix("variants/"))
    if variant is not None:
        if "split" in variant:
            changed["splits"][variant["of"]] = variant["split"]
        if "least" in variant:
            changed["splits"]["least"] = variant["least"]
        if "intensities" in variant:
            changed["ulbd"]["intensities"] = variant["intensities"]
        changed["lines"].update(variant.get("lines", {}))
        for lattices in changed["ulbd"]["lattices"].values():
            lattices.update(variant.get("lattices", {}))
    return changed

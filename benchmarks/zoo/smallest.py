"""A configuration with every budget as small as it can be, to see that all of its rules and figures work.

    python benchmarks/zoo/smallest.py config/schopmans.yaml --out smallest.yaml
    snakemake --cores 2 --configfile smallest.yaml

Its structures are the smallest of those that the repository carries, so that it needs no network. What it
trains learns nothing.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

#: In place of what the configuration says; mappings key by key.
CHANGES = {
    "shards": 1,
    "sources": None,
    "cleaning": {"max_sites": 6},
    "splits": {"fractions": {"train": 0.6, "validation": 0.1, "test": 0.3}, "least": 2},
    "gcdd": {"per_group": 1, "occupations": 1, "max_sites": 200, "max_attempts": 500},
    "instrument": {"two_theta": {"min": 5, "max": 90, "points": 1701}},
    "ceilings": {"lattices": 2, "wilson_lattices": 2},
    "train": {"batch_size": 2, "ghost_batch": 2, "validation_patterns": 4, "validations": 1},
    "robustness": {"patterns": 2, "counts": [1000], "width_factor": [2], "zero_shift": [0.1], "start": [20]}
    | {"end": [60]},
    "observer": {"samples": 1},
}
#: Lattices of a family: a few, at axes long enough to tell classes apart.
LATTICES = {"kind": "continuous", "lengths": [8, 12], "spacing": "uniform", "count": 2, "draws": 1}


def smallest(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with the budgets of CHANGES, and of each experiment two steps of training."""
    small = _merged(config, CHANGES)
    small["sources"] = {"aflow": {"kind": "prototypes"}}
    for family, lattices in config["ulbd"]["lattices"].items():
        small["ulbd"]["lattices"][family] = {**LATTICES, "angles": lattices["angles"]}
    for number, experiment in enumerate(small["experiments"].values()):
        # Different ones, so that a learning curve has more than one place.
        experiment["patterns"] = 4 + 2 * number
    return small


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(values)
    for key, change in changes.items():
        both = isinstance(change, Mapping) and isinstance(values.get(key), Mapping)
        merged[key] = _merged(values[key], change) if both else change
    return merged


def main() -> None:
    """Write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    config = yaml.safe_load(arguments.config.read_text(encoding="utf-8"))
    arguments.out.write_text(yaml.safe_dump(smallest(config), sort_keys=False), encoding="utf-8")


if __name__ == "__main__":
    main()

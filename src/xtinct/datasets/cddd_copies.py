"""Test sets of real crystals with their coordinates, their lattice, or both drawn anew.

A model trained on generated crystals that does worse on real ones does so because real coordinates, or real
lattices, are unlike the generated ones: the copies tell which (Schopmans et al., Digital Discovery 2, 1414,
2023). They are the copies of the CDDD test crystals, and all of them are test samples.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xtinct.datasets.cddd import write_lines
from xtinct.datasets.gcdd_statistics import ids_of_part
from xtinct.datasets.merging import Identity, merge_lines
from xtinct.datasets.settings import CrystalSettings
from xtinct.datasets.splits import rare_groups
from xtinct.files.parquet import open_parquet
from xtinct.files.quarantine import Quarantine
from xtinct.files.shards import Shard
from xtinct.generators.randomised import Randomisation, randomised_copies
from xtinct.generators.sampling import read_statistics


@dataclass(frozen=True)
class CopySettings:
    """What the copies of the test crystals and their line lists follow from.

    kind     coordinates, lattice or both: what is drawn anew
    split    `splits.cddd`: column of STRUCTURE_SPLITS that says what the test crystals are
    lines    the configuration's `lines`
    symprec  `cleaning.symprec`: tolerance at which moyo must find the group of the original in the copy
    seed     of the configuration
    least    `splits.least`: test crystals of rarer space groups are no test crystals
    """

    kind: str
    split: str
    lines: Mapping[str, Any]
    symprec: float
    seed: int
    least: int = 0

    @classmethod
    def from_config(cls, config: Mapping[str, Any], seed: int, kind: str) -> "CopySettings":
        """Those of a configuration that has at least `lines`, `splits.cddd` and `cleaning.symprec`."""
        splits = config["splits"]
        symprec, least = config["cleaning"]["symprec"], splits.get("least", 0)
        return cls(kind, splits["cddd"], dict(config["lines"]), symprec, seed, least)

    @property
    def identity(self) -> Identity:
        """What the files say of themselves; the dataset is called cddd-`kind`."""
        config = {"lines": self.lines, "split": self.split, "kind": self.kind, "symprec": self.symprec}
        config |= {"least": self.least} if self.least else {}
        return Identity(f"cddd-{self.kind}", self.seed, config)

    @property
    def crystals(self) -> CrystalSettings:
        """Of the line lists: every copy is a test sample."""
        return CrystalSettings(self.identity.dataset, self.lines, "random", {"test": 1.0}, self.seed)


def build_copies(
    structures: str | Path,
    splits: str | Path,
    statistics: str | Path,
    settings: CopySettings,
    *,
    structures_out: str | Path,
    lines_out: Mapping[str, str | Path],
    quarantine_out: str | Path,
) -> dict[str, int]:
    """Write the copies of the test crystals and their line lists.

    splits      table of STRUCTURE_SPLITS
    statistics  file of `gcdd_statistics.learn_part`, which new lattices are drawn from
    lines_out   family -> file to write (schema LINES)

    Returns counts: received (test crystals), accepted, quarantined (no right copy, or no lines).
    """
    quarantine = Quarantine(settings.identity.dataset)
    with tempfile.TemporaryDirectory() as folder:
        copies = randomised_copies(
            structures,
            read_statistics(statistics),
            Randomisation(settings.kind, settings.seed, settings.symprec),
            structures_out=structures_out,
            quarantine_out=Path(folder, "copies.parquet"),
            only=_test_crystals(structures, splits, settings),
        )
        quarantine.read(Path(folder, "copies.parquet"))
        parts = {family: Path(folder, f"{family}.parquet") for family in lines_out}
        _, accepted = write_lines(structures_out, settings.crystals, Shard(), parts, quarantine)
        for family, out in lines_out.items():
            merge_lines([parts[family]], out, settings.identity)
    quarantine.write(quarantine_out)
    return {"received": copies["received"], "accepted": accepted, "quarantined": len(quarantine)}


def _test_crystals(structures: str | Path, splits: str | Path, settings: CopySettings) -> set[str]:
    """Ids of the test crystals, those of rare groups left out as CDDD does."""
    test = ids_of_part(splits, part="test", split=settings.split)
    if not settings.least:
        return test
    with open_parquet(structures) as file:
        columns = file.read(columns=["structure_id", "spacegroup_number"]).to_pydict()
    train = ids_of_part(splits, part="train", split=settings.split)
    pairs = list(zip(columns["structure_id"], columns["spacegroup_number"], strict=True))
    rare = rare_groups(((number, "train" if i in train else "") for i, number in pairs), settings.least)
    return test - {i for i, number in pairs if number in rare}

"""What the files of a dataset follow from. Loads no compiler, which the jobs that join files do without."""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from xtinct.datasets.merging import Identity
from xtinct.errors import XtinctError

#: Values of `splits.ulbd`.
SPLIT_KINDS = ("lattice", "draw")

#: gcdd.generator -> module whose `generate` makes the crystals.
GENERATORS = {
    "statistical": "xtinct.generators.statistical",
    "pyxtal": "xtinct.generators.pyxtal_recipe",
}


@dataclass(frozen=True)
class CrystalSettings:
    """What the line lists of crystals follow from, beside the crystals.

    dataset    name in the column `dataset` and in the sample ids
    lines      the configuration's `lines`
    split      of `splits.STRUCTURE_KINDS`: which crystals share a part
    fractions  `splits.fractions`
    seed       of the configuration
    least      structures of a space group in the training part that it takes to keep the group, in all parts;
               0 keeps all
    """

    dataset: str
    lines: Mapping[str, Any]
    split: str
    fractions: Mapping[str, float]
    seed: int
    least: int = 0

    @classmethod
    def from_config(cls, config: Mapping[str, Any], seed: int, dataset: str = "cddd") -> "CrystalSettings":
        """Those of a dataset in a configuration that has at least `lines` and `splits`."""
        splits = config["splits"]
        lines, fractions = dict(config["lines"]), dict(splits["fractions"])
        # Of CDDD alone: generated crystals are equally many of each group, and a shard knows only its own.
        least = splits.get("least", 0) if dataset == "cddd" else 0
        return cls(dataset, lines, splits[dataset], fractions, seed, least)

    @property
    def identity(self) -> Identity:
        """What the files say of themselves."""
        config = {"lines": self.lines, "split": self.split, "fractions": self.fractions}
        config |= {"least": self.least} if self.least else {}
        return Identity(self.dataset, self.seed, config)


@dataclass(frozen=True)
class UlbdSettings:
    """What the ULBD of one family follows from.

    lattices     the family's entry of `ulbd.lattices`, with `draws`
    intensities  `ulbd.intensities`
    d_star_max   `lines.d_star_max`, 1/angstrom
    split        `splits.ulbd`: lattice (all draws and groups of a lattice share a part) or draw
    fractions    `splits.fractions`
    seed         of the configuration
    convention   `lines.convention`

    XtinctError for an unknown split.
    """

    family: str
    lattices: Mapping[str, Any]
    intensities: str
    d_star_max: float
    split: str
    fractions: Mapping[str, float]
    seed: int
    convention: str = "standard"

    def __post_init__(self) -> None:
        if self.split not in SPLIT_KINDS:
            raise XtinctError(f"splits.ulbd: {self.split!r}, expected one of {', '.join(SPLIT_KINDS)}")

    @classmethod
    def from_config(cls, config: Mapping[str, Any], family: str, seed: int) -> "UlbdSettings":
        """Those of a configuration that has at least `ulbd`, `lines` and `splits`."""
        return cls(
            family=family,
            lattices=config["ulbd"]["lattices"][family],
            intensities=config["ulbd"]["intensities"],
            d_star_max=config["lines"]["d_star_max"],
            split=config["splits"]["ulbd"],
            fractions=config["splits"]["fractions"],
            seed=seed,
            convention=config["lines"]["convention"],
        )

    @property
    def identity(self) -> Identity:
        """What the files say of themselves."""
        config = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "seed"}
        return Identity("ulbd", self.seed, config)


@dataclass(frozen=True)
class GcddSettings:
    """What generated crystals and their line lists follow from, beside the statistics.

    crystals       of the line lists
    gcdd           the configuration's `gcdd`
    symprec        `cleaning.symprec`: tolerance at which moyo must find exactly the group
    second_finder  `cleaning.second_finder`: record spglib's answer as well

    XtinctError for an unknown generator.
    """

    crystals: CrystalSettings
    gcdd: Mapping[str, Any]
    symprec: float
    second_finder: bool = False

    def __post_init__(self) -> None:
        if self.gcdd["generator"] not in GENERATORS:
            raise XtinctError(
                f"gcdd.generator: {self.gcdd['generator']!r}, expected {' or '.join(GENERATORS)}"
            )

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], seed: int, *, second_finder: bool = False
    ) -> "GcddSettings":
        """Those of a configuration that has at least `gcdd`, `cleaning.symprec`, `lines` and `splits`."""
        crystals = CrystalSettings.from_config(config, seed, "gcdd")
        return cls(crystals, dict(config["gcdd"]), config["cleaning"]["symprec"], second_finder)

    @property
    def identity(self) -> Identity:
        """What the files say of themselves."""
        of_lines = self.crystals.identity
        config = {**of_lines.config, "gcdd": self.gcdd, "symprec": self.symprec}
        return Identity(of_lines.dataset, of_lines.seed, config)

    def generate(
        self, wanted: Sequence[tuple[int, int]], statistics: Mapping[str, Any]
    ) -> Iterator[tuple[int, int, dict[str, Any] | None, Any]]:
        """As `generators.statistical.generate`, by the generator of the settings."""
        # Imported by name: PyXtal takes seconds, which the other generator need not pay.
        generator = importlib.import_module(GENERATORS[self.gcdd["generator"]])
        return generator.generate(
            wanted,
            statistics,
            gcdd=self.gcdd,
            seed=self.crystals.seed,
            symprec=self.symprec,
            second_finder=self.second_finder,
        )

"""ULBD: lattices x extinction laws x random intensities.

Rows are ordered by space group, lattice and draw. Every group of a family meets the same lattices,
so the part a lattice belongs to is the same for all of them.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from xtinct.compiling import njit
from xtinct.datasets.settings import UlbdSettings
from xtinct.datasets.splits import split_of
from xtinct.errors import XtinctError
from xtinct.files.parquet import open_parquet, write_parquet
from xtinct.files.schema import CELL, LINES, OWN_LICENCE, check_table
from xtinct.files.shards import Shard
from xtinct.lattices.distributions import LatticeSpec
from xtinct.linelists.line_tables import Samples, lines_table
from xtinct.linelists.ulbd_lines import UlbdLines
from xtinct.randomness import stream_key, subkey
from xtinct.symmetry.families import N_SPACE_GROUPS, space_groups

#: Lines held in memory at a time, at most.
_HELD_LINES = 2_000_000
#: The draws of one lattice are held together; more lines than this are refused.
_LATTICE_LINES = 50 * _HELD_LINES


def build_shard(
    settings: UlbdSettings, shard: Shard, out: str | Path, *, ranges: str | Path | None = None
) -> int:
    """Write one part of a family's ULBD (schema LINES) and return its rows.

    `ranges`: line lists (schema LINES) of the family: of each group those lattices stay whose cell
    parameters lie within the range of that group's samples; none of a group without any.
    """
    builder = _Builder(settings)
    within = None if ranges is None else cell_ranges(ranges)
    return write_parquet(out, builder.tables(shard, within), LINES)


class _Builder:
    """Makes rows of pairs (group, lattice), which are counted in the order of the rows: group by group."""

    def __init__(self, settings: UlbdSettings) -> None:
        self.settings = settings
        self.spec, self.draws = LatticeSpec.from_config(settings.lattices), int(settings.lattices["draws"])
        self.groups = np.array(space_groups(settings.family))
        self.n_lattices = self.spec.n_lattices(settings.family)
        self.lines = UlbdLines(
            settings.family,
            settings.d_star_max,
            self.spec.length_max,
            self.spec.angles,
            settings.convention,
        )
        self.key = stream_key(settings.seed, "ulbd", settings.family, "intensity")
        most = len(self.lines.forms)
        if most * self.draws > _LATTICE_LINES:
            raise XtinctError(
                f"ulbd.lattices: {self.draws} draws of up to {most} lines on one lattice, held in memory "
                f"together, are too many; expected at most {_LATTICE_LINES // most} draws: take more lattices"
            )
        self.held = max(1, _HELD_LINES // (most * self.draws))

    def tables(self, shard: Shard, within: np.ndarray | None) -> Iterator[pa.Table]:
        """Rows of a part of the pairs; of those `within` the ranges of cell parameters, if there are any."""
        pairs = shard.rows(len(self.groups) * self.n_lattices)
        for first in range(pairs.start, pairs.stop, self.held):
            pair = np.arange(first, min(first + self.held, pairs.stop))
            if within is not None:
                cells = self._cells(pair % self.n_lattices)
                low, high = within[:, self.groups[pair // self.n_lattices]]
                pair = pair[((cells >= low) & (cells <= high)).all(axis=1)]
            yield self._table(pair)

    def _cells(self, lattices: np.ndarray) -> np.ndarray:
        return self.spec.cells(self.settings.family, self.settings.seed, lattices)

    def _table(self, pair: np.ndarray) -> pa.Table:
        settings = self.settings
        draw = np.tile(np.arange(self.draws), len(pair))
        pair = np.repeat(pair, self.draws)
        number, lattice = self.groups[pair // self.n_lattices], pair % self.n_lattices
        cells = self._cells(lattice)
        ids = [
            f"ulbd-{settings.family}-{g:03d}-{i:07d}-{j:03d}"
            for g, i, j in zip(number, lattice, draw, strict=True)
        ]
        keys = [f"ulbd-{settings.family}-{i}" for i in lattice] if settings.split == "lattice" else ids
        samples = Samples(
            ids=ids,
            numbers=number,
            splits=split_of(keys, settings.fractions, settings.seed),
            cells=cells,
            origins=[f"lattice {i}, draw {j}" for i, j in zip(lattice, draw, strict=True)],
            sources=[("ulbd", OWN_LICENCE)] * len(ids),
        )
        sample_keys = _sample_keys(self.key, number, lattice, draw)
        lines = self.lines.draw(number, cells, sample_keys, settings.intensities)
        return lines_table(samples, lines, dataset="ulbd", seed=settings.seed)


def cell_ranges(path: str | Path) -> np.ndarray:
    """Least and largest cell parameters of each space group, float64 (2, 231, 6); NaN without a sample.

    `path`: line lists (schema LINES). Angstrom and degree.
    """
    with open_parquet(path) as file:
        check_table(file.schema_arrow, LINES, str(path))
        table = file.read(columns=["spacegroup_number", *CELL])
    bounds = table.group_by("spacegroup_number").aggregate([(c, f) for c in CELL for f in ("min", "max")])
    ranges = np.full((2, N_SPACE_GROUPS + 1, len(CELL)), np.nan)
    numbers = bounds["spacegroup_number"].to_numpy()
    for i, name in enumerate(CELL):
        for j, end in enumerate(("min", "max")):
            ranges[j, numbers, i] = bounds[f"{name}_{end}"].to_numpy()
    return ranges


@njit(cache=True)
def _sample_keys(key, numbers, lattices, draws):
    """Key uint64 (n,) of the intensities of each sample: a function of group, lattice and draw."""
    out = np.empty(numbers.size, np.uint64)
    for i in range(numbers.size):
        out[i] = subkey(subkey(subkey(key, numbers[i]), lattices[i]), draws[i])
    return out

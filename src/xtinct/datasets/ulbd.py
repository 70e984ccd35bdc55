"""ULBD: lattices x extinction laws x random intensities.

Rows are ordered by space group, lattice and draw. Every group of a family meets the same lattices,
so the part a lattice belongs to is the same for all of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from xtinct.compiling import njit
from xtinct.datasets.manifest import file_identity
from xtinct.datasets.splits import split_of
from xtinct.errors import XtinctError
from xtinct.files.parquet import open_parquet, write_parquet
from xtinct.files.schema import CELL, LINES, OWN_LICENCE, check_table
from xtinct.files.shards import merge_shards, shard_rows
from xtinct.lattices.distributions import LatticeSpec
from xtinct.linelists.line_tables import count_rows, lines_table
from xtinct.linelists.ulbd_lines import UlbdLines
from xtinct.randomness import stream_key, subkey
from xtinct.symmetry.families import N_SPACE_GROUPS, space_groups

SPLIT_KINDS = ("lattice", "draw")

#: Lines held in memory at a time, at most.
_HELD_LINES = 2_000_000
#: The draws of one lattice are held together; more lines than this are refused.
_LATTICE_LINES = 50 * _HELD_LINES


def ulbd_config(config: Mapping[str, object], family: str) -> dict[str, object]:
    """The part of a full configuration that the ULBD of one family depends on, the seed excepted."""
    return {
        "family": family,
        "lattices": config["ulbd"]["lattices"][family],
        "intensities": config["ulbd"]["intensities"],
        "d_star_max": config["lines"]["d_star_max"],
        "convention": config["lines"]["convention"],
        "split": config["splits"]["ulbd"],
        "fractions": config["splits"]["fractions"],
    }


def build_shard(
    *,
    family: str,
    lattices: Mapping[str, object],
    intensities: str,
    d_star_max: float,
    split: str,
    fractions: Mapping[str, float],
    seed: int,
    shard: int,
    shards: int,
    out: str | Path,
    ranges: str | Path | None = None,
    convention: str = "standard",
) -> int:
    """Write one part of a family's ULBD (schema LINES) and return its rows.

    lattices     the family's entry of `ulbd.lattices`, with `draws`
    intensities  `ulbd.intensities`
    d_star_max   `lines.d_star_max`, 1/angstrom
    split        `splits.ulbd`: lattice (all draws and groups of a lattice share a part) or draw
    fractions    `splits.fractions`
    ranges       line lists (schema LINES) of the family: of each group those lattices stay whose cell
                 parameters lie within the range of that group's samples; none of a group without any
    convention   `lines.convention`
    """
    if split not in SPLIT_KINDS:
        raise XtinctError(f"splits.ulbd: {split!r}, expected one of {', '.join(SPLIT_KINDS)}")
    spec, draws = LatticeSpec.from_config(lattices), int(lattices["draws"])
    groups, n_lattices = space_groups(family), spec.n_lattices(family)
    lines = UlbdLines(family, d_star_max, spec.length_max, spec.angles, convention)
    if len(lines.forms) * draws > _LATTICE_LINES:
        raise XtinctError(
            f"ulbd.lattices: {draws} draws of up to {len(lines.forms)} lines on one lattice, held in memory "
            f"together, are too many; expected at most {_LATTICE_LINES // len(lines.forms)} draws: take more "
            "lattices"
        )
    within = None if ranges is None else cell_ranges(ranges)
    held = max(1, _HELD_LINES // (len(lines.forms) * draws))
    key = stream_key(seed, "ulbd", family, "intensity")

    def tables() -> Iterator[pa.Table]:
        # Shards cut the pairs (group, lattice), counted in the order of the rows.
        pairs = shard_rows(len(groups) * n_lattices, shard, shards)
        for first in range(pairs.start, pairs.stop, held):
            pair = np.arange(first, min(first + held, pairs.stop))
            if within is not None:
                cells = spec.cells(family, seed, pair % n_lattices)
                low, high = within[:, np.array(groups)[pair // n_lattices]]
                pair = pair[((cells >= low) & (cells <= high)).all(axis=1)]
            pair = np.repeat(pair, draws)
            lattice = pair % n_lattices
            number = np.array(groups)[pair // n_lattices]
            draw = np.tile(np.arange(draws), len(pair) // draws)
            cells = spec.cells(family, seed, lattice)
            sample_ids = [
                f"ulbd-{family}-{g:03d}-{i:07d}-{j:03d}"
                for g, i, j in zip(number, lattice, draw, strict=True)
            ]
            split_keys = [f"ulbd-{family}-{i}" for i in lattice] if split == "lattice" else sample_ids
            yield lines_table(
                dataset="ulbd",
                sample_ids=sample_ids,
                numbers=number,
                splits=split_of(split_keys, fractions, seed),
                cells=cells,
                lines=lines.draw(number, cells, _sample_keys(key, number, lattice, draw), intensities),
                origins=[f"lattice {i}, draw {j}" for i, j in zip(lattice, draw, strict=True)],
                seed=seed,
                sources=[("ulbd", OWN_LICENCE)] * len(number),
            )

    return write_parquet(out, tables(), LINES)


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


def merge(shards: Sequence[str | Path], *, out: str | Path, seed: int, config: Mapping[str, object]) -> int:
    """Join the shards of one family into `out` and return its rows.

    `config`: what `ulbd_config` returns; stored in the file's metadata with seed and version.
    """
    metadata = {**file_identity("ulbd", seed, config), "rows": count_rows(shards)}
    return merge_shards(shards, out, schema=LINES, metadata=metadata)

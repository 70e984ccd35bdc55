"""Real crystals with their coordinates, their lattice, or both drawn anew.

Schopmans et al. (2023) use such copies to tell what makes a model trained on generated crystals fall short
on real ones: composition, space group and occupied Wyckoff positions stay those of the real crystal.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import moyopy
import numpy as np
import pyarrow as pa

from xtinct.errors import XtinctError
from xtinct.files.parquet import open_parquet, read_table, write_parquet
from xtinct.files.quarantine import Quarantine
from xtinct.files.schema import CELL, STRUCTURES, check_table
from xtinct.files.shards import iter_rows
from xtinct.generators.sampling import GroupSampler, draw_lattice
from xtinct.lattices.metric import cell_volume
from xtinct.randomness import stream_key, subkey, uniform
from xtinct.structures.crystal import Crystal, format_cif, wrap
from xtinct.structures.parsing import read_cleaned
from xtinct.structures.standard import exact_metric, moyo_dataset, species_numbers

#: What is drawn anew.
KINDS = ("coordinates", "lattice", "both")
_ATTEMPTS = 50
_BATCH = 256


@dataclass(frozen=True)
class Randomisation:
    """What is drawn anew (one of KINDS), the seed, and the tolerance at which moyo must find the group."""

    kind: str
    seed: int
    symprec: float

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise XtinctError(f"randomised copies: kind {self.kind!r}, expected one of {', '.join(KINDS)}")


def randomised_copies(
    structures: str | Path,
    statistics: Mapping[str, Any],
    drawn: Randomisation,
    *,
    structures_out: str | Path,
    quarantine_out: str | Path,
    only: Collection[str] | None = None,
) -> dict[str, int]:
    """Write one copy of every structure (schema STRUCTURES), or of those in `only`, drawn anew in part.

    Volume and composition are kept; lattices come from `statistics`, coordinates are uniform on the
    occupied positions. moyo confirms the group of every copy; a structure without a right copy in
    50 draws is quarantined. The source becomes `<source>-random-<kind>`. Returns received,
    accepted, quarantined.
    """
    file = open_parquet(structures)
    check_table(file.schema_arrow, STRUCTURES, str(structures))
    quarantine = Quarantine("gcdd")
    samplers: dict[int, GroupSampler] = {}
    received = 0

    def tables():
        nonlocal received
        blocks = _in_order_of_copies(structures, drawn.kind)
        for batch in chain.from_iterable(iter_rows(structures, rows, batch_size=_BATCH) for rows in blocks):
            copies = []
            for row in batch.to_pylist():
                if only is not None and row["structure_id"] not in only:
                    continue
                received += 1
                number = row["spacegroup_number"]
                if number not in samplers:
                    samplers[number] = GroupSampler(number, statistics, max_sites=192)
                copy, rejected = _copy(row, samplers[number], drawn)
                if copy is None:
                    detail = ", ".join(f"{n} {reason}" for reason, n in sorted(rejected.items()))
                    quarantine.add(_copy_id(row["structure_id"], drawn.kind), "no_right_copy", detail)
                else:
                    copies.append(copy)
            yield pa.Table.from_pylist(copies, schema=STRUCTURES)

    accepted = write_parquet(structures_out, tables(), STRUCTURES)
    quarantine.write(quarantine_out)
    if accepted + len(quarantine) != received:
        raise AssertionError(f"{structures}: {accepted} + {len(quarantine)} copies of {received} structures")
    return {"received": received, "accepted": accepted, "quarantined": len(quarantine)}


def _in_order_of_copies(structures: str | Path, kind: str) -> list[range]:
    """Rows of each source: a table is ordered by id, and the ids of the copies order sources otherwise."""
    ids = read_table(structures, ["structure_id"])["structure_id"].to_pylist()
    blocks, first = {}, 0
    for source, members in groupby(ids, key=lambda x: x.partition(":")[0]):
        last = first + len(list(members))
        blocks[_copy_id(f"{source}:", kind)] = range(first, last)
        first = last
    return [blocks[source] for source in sorted(blocks)]


def _copy_id(structure_id: str, kind: str) -> str:
    source, _, identifier = structure_id.partition(":")
    return f"{source}-random-{kind}:{identifier}"


def _copy(
    row: Mapping[str, Any], sampler: GroupSampler, drawn: Randomisation
) -> tuple[dict[str, Any] | None, Counter[str]]:
    crystal = read_cleaned(row["cif"])
    rejected: Counter[str] = Counter()
    found = _symmetry(crystal, drawn.symprec)
    if found is None or found.number != sampler.number:
        rejected["symmetry_not_found_again"] += 1
        return None, rejected
    key = stream_key(drawn.seed, "randomised", drawn.kind, row["structure_id"])
    for attempt in range(_ATTEMPTS):
        draws = np.uint64(subkey(key, np.uint64(attempt)))
        copy = crystal
        if drawn.kind in ("coordinates", "both"):
            copy = _new_coordinates(copy, found, sampler, np.uint64(subkey(draws, np.uint64(0))))
        if drawn.kind in ("lattice", "both"):
            cell = draw_lattice(sampler, np.uint64(subkey(draws, np.uint64(1))), cell_volume(crystal.cell))
            if cell is None:
                rejected["no_lattice"] += 1
                continue
            copy = Crystal(exact_metric(sampler.number, cell), copy.frac, copy.species)
        confirmed = _symmetry(copy, drawn.symprec)
        if confirmed is not None and confirmed.number == sampler.number:
            structure_id = _copy_id(row["structure_id"], drawn.kind)
            changed = {
                "structure_id": structure_id,
                "spacegroup_spglib": None,
                "spacegroup_declared": sampler.number,
                "symprec": drawn.symprec,
                **dict(zip(CELL, copy.cell.tolist(), strict=True)),
                "cif": format_cif(structure_id, copy),
                "source": structure_id.partition(":")[0],
            }
            return {**row, **changed}, rejected
        rejected["wrong_group" if confirmed else "no_symmetry"] += 1
    return None, rejected


def _symmetry(crystal: Crystal, symprec: float) -> moyopy.MoyoDataset | None:
    numbers, _ = species_numbers(crystal.species)
    try:
        found = moyo_dataset(
            moyopy.Cell(crystal.basis.tolist(), crystal.frac.tolist(), numbers),
            symprec=symprec,
            setting=moyopy.Setting.standard(),
        )
    except ValueError:
        # Atoms coincide within symprec.
        return None
    return found if found.symprec == symprec else None


def _new_coordinates(
    crystal: Crystal, found: moyopy.MoyoDataset, sampler: GroupSampler, key: np.uint64
) -> Crystal:
    """Uniform points on the occupied positions; every site of the conventional cell, orbit by orbit."""
    by_letter = {position.letter: position for position in sampler.positions}
    frac, species = [], []
    for n, site in enumerate(sorted(set(found.orbits))):
        position = by_letter[found.wyckoffs[site]]
        draws = np.uint64(subkey(key, np.uint64(n)))
        point = np.array([uniform(draws, np.uint64(i)) for i in range(3)])
        frac.append(position.rotations @ point + position.translations)
        species += [crystal.species[site]] * position.multiplicity
    return Crystal(crystal.cell, wrap(np.concatenate(frac)), species)

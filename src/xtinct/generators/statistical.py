"""Crystals drawn from the statistics of real ones, each confirmed by a symmetry finder.

A draw (`sampling`) has at least the symmetry of its space group; occupied positions that all are special may
have more. moyo looks at every draw, and only those with exactly the group asked for are kept.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import moyopy
import numpy as np

import xtinct
from xtinct.files.schema import CELL
from xtinct.files.writing import write_json
from xtinct.generators.draws import DRAWN, OUTCOMES
from xtinct.generators.online import OCCUPATIONS
from xtinct.generators.sampling import Draw, GroupSampler, read_statistics
from xtinct.lattices.metric import cell_basis
from xtinct.randomness import stream_key, subkey
from xtinct.structures.crystal import Crystal, format_cif, wrap
from xtinct.structures.labels import protostructure_label, reduced_formula
from xtinct.structures.standard import exact_metric, moyo_dataset, spglib_number
from xtinct.symmetry.families import crystal_system, space_groups

#: Source of generated crystals, in tables and ids.
SOURCE = "gcdd"


@dataclass
class Attempts:
    """How many draws one crystal took, and what became of the others, by reason.

    `hopeless`: why none was tried.
    """

    drawn: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    hopeless: str = ""

    @property
    def reason(self) -> str:
        """Why there is no crystal: no draw gave it, or none can."""
        return "group_out_of_reach" if self.hopeless else "group_not_reached"

    def summary(self) -> str:
        """One line for a person."""
        if self.hopeless:
            return self.hopeless
        reasons = ", ".join(f"{n} {reason}" for reason, n in sorted(self.rejected.items()))
        return f"{self.drawn} draws: {reasons or 'none rejected'}"


def generate(
    wanted: Iterable[tuple[int, int]],
    statistics: Mapping[str, Any],
    *,
    gcdd: Mapping[str, Any],
    seed: int,
    symprec: float,
    second_finder: bool,
) -> Iterator[tuple[int, int, dict[str, Any] | None, Attempts]]:
    """(space group, index, STRUCTURES row or None, attempts) of each wanted (space group, index).

    `gcdd`: the configuration's `gcdd`; `statistics`: of `sampling.read_statistics`.
    """
    sampler: GroupSampler | None = None
    for number, index in wanted:
        if sampler is None or sampler.number != number:
            sampler = GroupSampler(
                number,
                statistics,
                elements=tuple(gcdd["elements"]),
                max_sites=gcdd["max_sites"],
                min_distance_scale=gcdd["min_distance_scale"],
            )
        draw, pearson, attempts = generate_one(
            sampler, seed, index, symprec=symprec, max_attempts=gcdd["max_attempts"]
        )
        row = None
        if draw is not None:
            row = structure_row(sampler, draw, pearson, index, symprec=symprec, second_finder=second_finder)
        yield number, index, row, attempts


def generate_one(
    sampler: GroupSampler, seed: int, index: int, *, symprec: float, max_attempts: int, stream: str = SOURCE
) -> tuple[Draw | None, str, Attempts]:
    """Crystal number `index` of the sampler's group: (draw, Pearson symbol, attempts).

    A function of (seed, stream, group, index) alone. The draw is None if none of `max_attempts` was right;
    `attempts.rejected` then counts why: an outcome of the sampler, no_symmetry, or wrong_group_<number>.
    """
    key = stream_key(seed, stream, sampler.number, index)
    attempts = Attempts()
    for attempt in range(max_attempts):
        attempts.drawn += 1
        outcome, draw = sampler.draw(np.uint64(subkey(key, np.uint64(attempt))))
        if outcome != DRAWN:
            attempts.rejected[OUTCOMES[outcome]] += 1
            continue
        found = find_symmetry(sampler, draw, symprec)
        if found is None:
            attempts.rejected["no_symmetry"] += 1
        elif found.number != sampler.number:
            attempts.rejected[f"wrong_group_{found.number}"] += 1
        else:
            return draw, found.pearson_symbol, attempts
    return None, "", attempts


def confirmed_occupations(
    sampler: GroupSampler, count: int, seed: int, *, symprec: float, max_attempts: int
) -> list[list[list[int]]]:
    """Up to `count` ways to occupy the group's positions that give exactly the group.

    Each is a list of [element number, position number], as `GroupSampler.draw` takes it: which positions
    one element fills decides the group, whatever the elements, the coordinates and the lattice are (up
    to coincidences of measure zero). So training can draw crystals for it without a symmetry finder.
    Repeated ones are kept: they are as frequent as the sampler makes them.
    """
    found = []
    for index in range(count):
        draw, _, _ = generate_one(
            sampler, seed, index, symprec=symprec, max_attempts=max_attempts, stream="occupations"
        )
        if draw is not None:
            slot: dict[int, int] = {}
            found.append([[slot.setdefault(e, len(slot)), w] for e, w in draw.orbits.tolist()])
    return found


def write_occupations(
    statistics: str | Path,
    out: str | Path,
    *,
    gcdd: Mapping[str, Any],
    families: Sequence[str],
    seed: int,
    symprec: float,
) -> dict[str, Any]:
    """Write what `online.CrystalStream` needs: `confirmed_occupations` of all groups, and the statistics.

    `gcdd`: the configuration's `gcdd`, of which `occupations` says how many each group gets.
    """
    learned = read_statistics(statistics)
    limits = {"elements": gcdd["elements"], "max_sites": gcdd["max_sites"], "min_distance_scale": 0.0}
    content = {
        "format": OCCUPATIONS[0],
        "version": OCCUPATIONS[1],
        "limits": {**limits, "min_distance_scale": gcdd["min_distance_scale"]},
        "occupations": {
            str(number): confirmed_occupations(
                # The distance rule does not change the group, only the time it takes to find out.
                GroupSampler(number, learned, **limits),
                gcdd["occupations"],
                seed,
                symprec=symprec,
                max_attempts=gcdd["max_attempts"],
            )
            for family in families
            for number in space_groups(family)
        },
        "statistics": learned,
    }
    write_json(out, content, indent=None)
    return content


def find_symmetry(sampler: GroupSampler, draw: Draw, symprec: float) -> moyopy.MoyoDataset | None:
    """What moyo finds in the primitive cell of a draw; None if it finds nothing."""
    basis = sampler.primitive_basis @ cell_basis(draw.cell)
    frac = draw.frac @ np.linalg.inv(sampler.primitive_basis)
    cell = moyopy.Cell(basis.tolist(), frac.tolist(), sampler.atomic_numbers[draw.elements].tolist())
    try:
        found = moyo_dataset(cell, symprec=symprec, rotate_basis=False)
    except ValueError:
        # Atoms coincide within symprec: no usable crystal.
        return None
    # A tolerance that had to be lowered means atoms closer than symprec.
    return found if found.symprec == symprec else None


def conventional_crystal(sampler: GroupSampler, draw: Draw) -> Crystal:
    """Every site of the conventional cell, in the standard setting, as it will be written."""
    frac = (draw.frac[None] + sampler.centring[:, None]).reshape(-1, 3)
    symbols = [sampler.symbols[e] for e in draw.elements] * len(sampler.centring)
    return Crystal(
        cell=exact_metric(sampler.number, draw.cell),
        frac=wrap(frac),
        species=[((symbol, 1.0),) for symbol in symbols],
    )


def structure_row(
    sampler: GroupSampler, draw: Draw, pearson: str, index: int, *, symprec: float, second_finder: bool
) -> dict[str, Any]:
    """The STRUCTURES row of a confirmed draw."""
    structure_id = structure_id_of(sampler.number, index)
    crystal = conventional_crystal(sampler, draw)
    orbits = [
        (((sampler.symbols[element], 1.0),), sampler.positions[position].letter)
        for element, position in draw.orbits.tolist()
    ]
    return {
        "structure_id": structure_id,
        "formula": reduced_formula(crystal.composition()),
        "spacegroup_number": sampler.number,
        "spacegroup_spglib": spglib_number(crystal, symprec=symprec) if second_finder else None,
        "spacegroup_declared": sampler.number,
        "symprec": symprec,
        "crystal_system": crystal_system(sampler.number),
        **dict(zip(CELL, crystal.cell.tolist(), strict=True)),
        "n_sites": len(crystal),
        "cif": format_cif(structure_id, crystal),
        "protostructure": protostructure_label(sampler.number, pearson, orbits, crystal.species),
        **source_columns(),
    }


def source_columns() -> dict[str, str]:
    """Provenance columns of generated crystals."""
    return {"source": SOURCE, "source_version": f"xtinct {xtinct.__version__}", "licence": "CC0-1.0"}


def structure_id_of(number: int, index: int) -> str:
    """Id of crystal `index` of a group, in sorting order of both."""
    return f"{SOURCE}:{number:03d}-{index:06d}"

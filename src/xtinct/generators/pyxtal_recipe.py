"""Crystals by the seed paper's recipe: PyXtal's `from_random` on random compositions.

Wang et al.: 1 to 5 elements, 1 to 30 atoms of each, every composition used once, the group confirmed. Nine
cubic groups are out of reach of such compositions (`reach`) and are reported without a try; for others most
compositions fit no positions, and some calls never return: each crystal is made in a worker process with a
time limit, and what prevented it is counted. Importing this module takes seconds (PyXtal).
"""

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import gemmi
import numpy as np
from pyxtal import pyxtal
from pyxtal.msg import Comp_CompatibilityError

from xtinct.generators.reach import RECIPE_ATOMS, group_within
from xtinct.generators.statistical import SOURCE, Attempts, source_columns, structure_id_of
from xtinct.randomness import integer, stream_key, subkey
from xtinct.structures.cleaning import clean_row
from xtinct.structures.crystal import Crystal, RejectedError, format_cif
from xtinct.structures.isolated import isolated_map
from xtinct.symmetry.operations import group_name

#: The heaviest element of the seed paper's recipe.
HEAVIEST = 94
#: Seconds for one crystal, all its attempts together.
TIME_LIMIT = 60.0


def generate(
    wanted: Iterable[tuple[int, int]],
    statistics: Mapping[str, Any],
    *,
    gcdd: Mapping[str, Any],
    seed: int,
    symprec: float,
    second_finder: bool,
    time_limit: float = TIME_LIMIT,
) -> Iterator[tuple[int, int, dict[str, Any] | None, Attempts]]:
    """Like `statistical.generate`; the statistics are not used: PyXtal sizes its cells itself.

    A crystal that takes longer than `time_limit` seconds, or crashes its worker, is counted as
    `timeout` or `crashed`: whether that happens depends on the machine, everything else on the seed.
    """
    work = partial(_one, gcdd=dict(gcdd), seed=seed, symprec=symprec, second_finder=second_finder)
    wanted = list(wanted)
    possible = (item for item in wanted if not _hopeless(item[0]))
    outcomes = isolated_map(work, possible, time_limit=time_limit)
    for number, index in wanted:
        if reason := _hopeless(number):
            yield number, index, None, Attempts(hopeless=reason)
            continue
        outcome = next(outcomes)
        if outcome.failure:
            yield number, index, None, Attempts(1, Counter({outcome.failure: 1}))
        else:
            row, drawn, rejected = outcome.result
            yield number, index, row, Attempts(drawn, Counter(rejected))


def _hopeless(number: int) -> str:
    """Why no composition of the recipe has a crystal of this group; empty if some may."""
    least = group_within(number, RECIPE_ATOMS[1])
    if least == number:
        return ""
    found = group_name(least)
    return f"every crystal with at most {RECIPE_ATOMS[1]} atoms of each element has at least group {found}"


def _one(
    item: tuple[int, int], gcdd: Mapping[str, Any], seed: int, symprec: float, second_finder: bool
) -> tuple[dict[str, Any] | None, int, dict[str, int]]:
    number, index = item
    rejected: Counter[str] = Counter()
    key = stream_key(seed, SOURCE, "pyxtal", number, index)
    for attempt in range(gcdd["max_attempts"]):
        row, reason = _attempt(
            np.uint64(subkey(key, np.uint64(attempt))), number, index, gcdd, symprec, second_finder
        )
        if row is not None:
            return row, attempt + 1, dict(rejected)
        rejected[reason] += 1
    return None, gcdd["max_attempts"], dict(rejected)


def random_composition(key: np.uint64, elements: tuple[int, int]) -> dict[str, int]:
    """A composition drawn from the stream `key`: distinct elements with RECIPE_ATOMS atoms of each."""
    low, high = elements
    n_elements = low + integer(key, np.uint64(0), high - low + 1)
    composition: dict[str, int] = {}
    counter = 1
    while len(composition) < n_elements:
        symbol = gemmi.Element(1 + integer(key, np.uint64(counter), HEAVIEST)).name
        composition[symbol] = RECIPE_ATOMS[0] + integer(
            key, np.uint64(counter + 1), RECIPE_ATOMS[1] - RECIPE_ATOMS[0] + 1
        )
        counter += 2
    return composition


def _attempt(
    key: np.uint64, number: int, index: int, gcdd: Mapping[str, Any], symprec: float, second_finder: bool
) -> tuple[dict[str, Any] | None, str]:
    composition = random_composition(key, tuple(gcdd["elements"]))
    crystal = pyxtal()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            # PyXtal takes its randomness from numpy alone, and its `seed` has no effect on atoms.
            state = np.random.default_rng(int(key))
            crystal.from_random(3, number, list(composition), list(composition.values()), random_state=state)
        except Comp_CompatibilityError:
            return None, "composition_incompatible"
        except Exception as error:
            # PyXtal raises many kinds when it gives up; the kind is what can be counted.
            return None, f"pyxtal_{type(error).__name__}"
        if not crystal.valid:
            return None, "pyxtal_not_valid"
        structure = crystal.to_pymatgen()
    listed = Crystal(
        cell=np.array(structure.lattice.parameters),
        frac=structure.frac_coords,
        species=[((site.specie.symbol, 1.0),) for site in structure],
    )
    structure_id = structure_id_of(number, index)
    raw = {
        "structure_id": structure_id,
        "cif": format_cif(structure_id, listed),
        "spacegroup_declared": number,
        **source_columns(),
        "error": "",
    }
    cleaning = {
        "symprec": symprec,
        "second_finder": second_finder,
        "disordered": "keep",
        "missing_hydrogen": "keep",
        "max_gap": 0,
        "max_sites": gcdd["max_sites"],
        "min_distance": 0.0,
        "protostructures": True,
    }
    try:
        row = clean_row(raw, cleaning)
    except RejectedError as rejected:
        return None, rejected.reason
    if row["spacegroup_number"] != number:
        return None, f"wrong_group_{row['spacegroup_number']}"
    return row, ""

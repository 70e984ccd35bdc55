"""Crystals for training: drawn when they are needed, never stored, never repeated.

The space group of a draw is certain without a symmetry finder, because only occupations of Wyckoff
positions are used that were confirmed before (`statistical.write_occupations`).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from xtinct.compiling import njit
from xtinct.errors import XtinctError
from xtinct.generators.draws import DRAWN, GroupTables, Room, draw_crystal, empty_room
from xtinct.generators.group_draws import GroupDraws
from xtinct.generators.sampling import GroupSampler, read_json
from xtinct.linelists.line_lists import LabelledLines, LineLists
from xtinct.linelists.structure_factors import (
    GOOD,
    line_settings,
    lines_of_atoms,
    preferred_orientation,
)
from xtinct.randomness import integer, stream_key, subkey
from xtinct.symmetry.families import space_groups
from xtinct.symmetry.operations import group_name

#: Draws for one crystal before the group counts as unreachable.
_TRIES = 200
#: Lines of a crystal that memory is taken for at first.
_LINES = 128

#: What drawing the crystals of a group ends in.
_DRAWN, _NO_CRYSTAL, _NO_LINES = range(3)


#: Format and version of the file of occupations.
OCCUPATIONS = ("xtinct confirmed occupations", 1)


class GroupSource(NamedTuple):
    """What crystals of one group are drawn from in training.

    occupations     int64 (m, 2), confirmed occupations one after the other, as `GroupSampler.draw` takes them
    starts          int64 (n + 1,), where each begins
    tables          see there
    atomic_numbers  int64 (elements,)
    max_sites       of the conventional cell
    """

    occupations: np.ndarray
    starts: np.ndarray
    tables: GroupTables
    atomic_numbers: np.ndarray
    max_sites: int


class Atoms(NamedTuple):
    """All atoms of a cell: atomic numbers int64 (sites,), coordinates float64 (sites, 3); and the room of the
    draw that they come from, which has the cell."""

    species: np.ndarray
    frac: np.ndarray
    drawn: Room


class CrystalStream:
    """Line lists of crystals of one family: a function of the sample's index alone.

    `occupations`: file of `statistical.write_occupations`; `lines`: the configuration's `lines`; `role`
    names the stream ("train", "validation"): no crystal of one is in another or in the stored GCDD. Groups
    are equally frequent, or as `weights`, float (231,), say. XtinctError if a group that is to be drawn has
    no occupation to draw from.

    Attributes: groups, int16 (n,); shares, float64 (n,), how often each of them is drawn.
    """

    def __init__(
        self,
        occupations: str | Path,
        *,
        family: str,
        lines: Mapping[str, Any],
        seed: int,
        role: str,
        weights: np.ndarray | None = None,
    ) -> None:
        self.family = family
        group_key = stream_key(seed, "gcdd-online", role, family, "group")
        self._groups = GroupDraws(space_groups(family), weights, group_key)
        self.groups, self.shares = self._groups.groups, self._groups.shares
        self._crystals = CrystalLines(occupations, lines)
        missing = sorted(set(self.groups.tolist()) - set(self._crystals.groups))
        if missing:
            raise XtinctError(
                f"{occupations}: no confirmed occupation of the groups {', '.join(map(group_name, missing))}"
            )
        self._crystal_key = stream_key(seed, "gcdd-online", role, family, "crystal")

    def take(self, start: int, count: int) -> LabelledLines:
        """Samples number start to start + count - 1."""
        samples = range(start, start + count)
        groups = self._groups.take(start, count)
        keys = np.array([subkey(self._crystal_key, i) for i in samples], dtype=np.uint64)
        lines, cells = self._crystals.draw(groups, keys)
        return LabelledLines(lines, groups, cells)


class CrystalLines:
    """Generated crystals and their lines, as functions of (space group, key) alone.

    Arguments as for `CrystalStream`.
    """

    def __init__(self, occupations: str | Path, lines: Mapping[str, Any]) -> None:
        content = read_json(occupations, OCCUPATIONS)
        limits = content["limits"]
        if lines.get("convention", "standard") != "standard":
            raise XtinctError("lines.convention: crystals drawn in training know standard alone")
        dispersion = None
        if lines.get("anomalous"):
            # Imported here: gemmi tabulates it for any wavelength, and nothing else needs gemmi.
            from xtinct.linelists.gemmi_tables import dispersion as dispersion_at

            dispersion = dispersion_at(lines["anomalous"])
        self._settings = line_settings(
            d_star_max=lines["d_star_max"],
            b_iso=lines["b_iso"],
            radiation=lines["radiation"],
            dispersion=dispersion,
            **preferred_orientation(lines),
            intensity_floor=lines["intensity_floor"],
            max_reflections=lines["max_reflections"],
        )
        self._statistics = content["statistics"]
        self._limits = {**limits, "elements": tuple(limits["elements"])}
        self._occupations = {
            int(number): _flat(of_group) for number, of_group in content["occupations"].items() if of_group
        }
        self._sources: dict[int, GroupSource] = {}

    @property
    def groups(self) -> tuple[int, ...]:
        """Space groups that can be drawn."""
        return tuple(sorted(self._occupations))

    def crystal(self, number: int, key: np.uint64) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Conventional cell (6,), atomic numbers (n,) and fractional coordinates (n, 3) of one crystal."""
        source = self._source(number)
        atoms = _empty_atoms(source.max_sites)
        n = _draw_atoms(np.uint64(key), source, atoms)
        if not n:
            raise _unreached(number, _NO_CRYSTAL)
        return atoms.drawn.cell, atoms.species[:n], atoms.frac[:n]

    def draw(self, numbers: np.ndarray, keys: np.ndarray) -> tuple[LineLists, np.ndarray]:
        """Lines of one crystal for each space group of `numbers` int (n,) and key uint64 (n,).

        Returns the line lists and the conventional cells, float64 (n, 6). A crystal without lines within
        reach is drawn again.
        """
        numbers, keys = np.asarray(numbers), np.asarray(keys, dtype=np.uint64)
        order = np.argsort(numbers, kind="stable")
        cells = np.empty((len(numbers), 6))
        parts = []
        for of_group in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1):
            number = int(numbers[of_group[0]])
            offsets, d_star, intensity, found, outcome = _draw_lines(
                keys[of_group], self._source(number), self._settings
            )
            if outcome != _DRAWN:
                raise _unreached(number, outcome)
            cells[of_group] = found
            parts.append(LineLists(offsets, d_star, intensity))
        # The parts stand group by group; back to the order asked for.
        return LineLists.concatenate(parts).take(np.argsort(order)), cells

    def _source(self, number: int) -> GroupSource:
        if number not in self._sources:
            if number not in self._occupations:
                raise XtinctError(f"space group {group_name(number)}: no confirmed occupation to draw from")
            sampler = GroupSampler(number, self._statistics, **self._limits)
            self._sources[number] = GroupSource(
                *self._occupations[number], sampler.tables, sampler.atomic_numbers, sampler.max_sites
            )
        return self._sources[number]


def _flat(occupations: list) -> tuple[np.ndarray, np.ndarray]:
    """Occupations of a group one after the other, int64 (m, 2), and where each begins (and the end)."""
    starts = np.cumsum([0, *(len(occupation) for occupation in occupations)])
    return np.concatenate([np.array(one, dtype=np.int64).reshape(-1, 2) for one in occupations]), starts


def _unreached(number: int, outcome: int) -> XtinctError:
    if outcome == _NO_LINES:
        return XtinctError(f"space group {group_name(number)}: no crystal with lines in {_TRIES} draws")
    return XtinctError(
        f"space group {group_name(number)}: no crystal in {_TRIES} draws; loosen gcdd.min_distance_scale"
    )


@njit(cache=True, nogil=True)
def _empty_atoms(max_sites):
    """What `_draw_atoms` fills."""
    return Atoms(np.empty(max_sites, np.int64), np.empty((max_sites, 3)), empty_room(max_sites))


@njit(cache=True, nogil=True)
def _draw_atoms(key, source, atoms):
    """Fill `atoms` with a crystal of the stream `key`; their number, 0 if no draw gave one."""
    starts, centring, drawn = source.starts, source.tables.positions.centring, atoms.drawn
    for attempt in range(_TRIES):
        draws = subkey(key, attempt)
        chosen = integer(draws, 0, starts.size - 1)
        occupation = source.occupations[starts[chosen] : starts[chosen + 1]]
        outcome, n, _ = draw_crystal(subkey(draws, 1), occupation, source.tables, drawn)
        if outcome == DRAWN:
            for v in range(centring.shape[0]):
                for j in range(n):
                    atoms.species[v * n + j] = source.atomic_numbers[drawn.elements[j]]
                    for i in range(3):
                        atoms.frac[v * n + j, i] = drawn.frac[j, i] + centring[v, i]
            return n * centring.shape[0]
    return 0


@njit(cache=True, nogil=True)
def _draw_lines(keys, source, settings):
    """Lines of one crystal for each key: offsets, 1/d, intensities, cells, outcome."""
    offsets, cells = np.zeros(keys.size + 1, np.int64), np.empty((keys.size, 6))
    d_star = np.empty(_LINES * keys.size)
    intensity = np.empty(d_star.size, np.float32)
    atoms = _empty_atoms(source.max_sites)
    full = np.ones(source.max_sites)
    for i in range(keys.size):
        outcome = -1
        for attempt in range(_TRIES):
            n = _draw_atoms(subkey(keys[i], attempt), source, atoms)
            if n == 0:
                return offsets, d_star, intensity, cells, _NO_CRYSTAL
            own_d_star, own_intensity, outcome, _ = lines_of_atoms(
                atoms.drawn.cell, atoms.species[:n], atoms.frac[:n], full[:n], settings
            )
            if outcome == GOOD:
                break
        if outcome != GOOD:
            return offsets, d_star, intensity, cells, _NO_LINES
        cells[i] = atoms.drawn.cell
        first, end = offsets[i], offsets[i] + own_d_star.size
        offsets[i + 1] = end
        if end > d_star.size:
            d_star = np.append(d_star, np.empty(end))
            intensity = np.append(intensity, np.empty(end, np.float32))
        for j in range(own_d_star.size):
            d_star[first + j], intensity[first + j] = own_d_star[j], own_intensity[j]
    end = offsets[-1]
    return offsets, d_star[:end].copy(), intensity[:end].copy(), cells, _DRAWN

"""Crystals for training: drawn when they are needed, never stored, never repeated.

The space group of a draw is certain without a symmetry finder, because only occupations of Wyckoff
positions are used that were confirmed before (`statistical.write_occupations`).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from xtinct.diffraction.linelists import LabelledLines, LineLists
from xtinct.diffraction.structure_factors import (
    StructureRefusedError,
    preferred_orientation,
    structure_lines,
)
from xtinct.errors import XtinctError
from xtinct.randomness import integer, stream_key, subkey
from xtinct.structures.generators.kernels import DRAWN
from xtinct.structures.generators.sampling import GroupSampler, read_json
from xtinct.symmetry.families import conventional_cell, space_groups

#: Draws for one crystal before the group counts as unreachable.
_TRIES = 200


#: Format and version of the file of occupations.
OCCUPATIONS = ("xtinct confirmed occupations", 1)


class CrystalStream:
    """Line lists of crystals of one family, in uniform groups: a function of the sample's index alone.

    `occupations`: file of `statistical.write_occupations`; `lines`: the configuration's `lines`; `role`
    names the stream ("train", "validation"): no crystal of one is in another or in the stored GCDD.
    XtinctError if a group of the family has no occupation to draw from.
    """

    def __init__(
        self, occupations: str | Path, *, family: str, lines: Mapping[str, Any], seed: int, role: str
    ) -> None:
        self.family = family
        self.groups = np.array(space_groups(family), dtype=np.int16)
        self._crystals = CrystalLines(occupations, lines)
        missing = sorted(set(self.groups.tolist()) - set(self._crystals.groups))
        if missing:
            raise XtinctError(
                f"{occupations}: no confirmed occupation of the groups {', '.join(map(str, missing))}"
            )
        self._group_key = stream_key(seed, "gcdd-online", role, family, "group")
        self._crystal_key = stream_key(seed, "gcdd-online", role, family, "crystal")

    def take(self, start: int, count: int) -> LabelledLines:
        """Samples number start to start + count - 1."""
        samples = range(start, start + count)
        groups = self.groups[[integer(self._group_key, i, len(self.groups)) for i in samples]]
        keys = np.array([subkey(self._crystal_key, i) for i in samples], dtype=np.uint64)
        lines, _ = self._crystals.draw(groups, keys)
        return LabelledLines(lines, groups)


class CrystalLines:
    """Generated crystals and their lines, as functions of (space group, key) alone.

    Arguments as for `CrystalStream`.
    """

    def __init__(self, occupations: str | Path, lines: Mapping[str, Any]) -> None:
        content = read_json(occupations, OCCUPATIONS)
        limits = content["limits"]
        self.lines = dict(lines)
        self._dispersion = None
        if lines.get("anomalous"):
            # Imported here: gemmi tabulates it for any wavelength, and nothing else needs gemmi.
            from xtinct.diffraction.gemmi_tables import dispersion

            self._dispersion = dispersion(lines["anomalous"])
        if self.lines.get("convention", "standard") != "standard":
            raise XtinctError("lines.convention: crystals drawn in training know standard alone")
        self._statistics = content["statistics"]
        self._limits = {**limits, "elements": tuple(limits["elements"])}
        self._occupations = {
            int(number): [np.array(occupation, dtype=np.int64) for occupation in of_group]
            for number, of_group in content["occupations"].items()
        }
        self._samplers: dict[int, GroupSampler] = {}

    @property
    def groups(self) -> tuple[int, ...]:
        """Space groups that can be drawn."""
        return tuple(sorted(number for number, found in self._occupations.items() if found))

    def crystal(self, number: int, key: np.uint64) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Conventional cell (6,), atomic numbers (n,) and fractional coordinates (n, 3) of one crystal."""
        sampler = self._sampler(number)
        of_group = self._occupations[number]
        for attempt in range(_TRIES):
            draws = np.uint64(subkey(np.uint64(key), np.uint64(attempt)))
            occupation = of_group[integer(draws, np.uint64(0), len(of_group))]
            outcome, draw = sampler.draw(np.uint64(subkey(draws, np.uint64(1))), occupation)
            if outcome == DRAWN:
                frac = (draw.frac[None] + sampler.centring[:, None]).reshape(-1, 3)
                species = np.tile(sampler.atomic_numbers[draw.elements], len(sampler.centring))
                return conventional_cell(sampler.family, draw.cell), species, frac
        raise XtinctError(
            f"space group {number}: no crystal in {_TRIES} draws; loosen gcdd.min_distance_scale"
        )

    def draw(self, numbers: np.ndarray, keys: np.ndarray) -> tuple[LineLists, np.ndarray]:
        """Lines of one crystal for each space group of `numbers` int (n,) and key uint64 (n,).

        Returns the line lists and the conventional cells, float64 (n, 6). A crystal without lines within
        reach is drawn again.
        """
        cells = np.empty((len(numbers), 6))
        found = []
        for i, (number, key) in enumerate(zip(numbers, keys, strict=True)):
            cells[i], d_star, intensity = self._lines(int(number), np.uint64(key))
            found.append((d_star, intensity))
        offsets = np.cumsum([0, *(len(d_star) for d_star, _ in found)])
        return (
            LineLists(
                offsets.astype(np.int64),
                np.concatenate([d_star for d_star, _ in found]),
                np.concatenate([intensity for _, intensity in found]).astype(np.float32),
            ),
            cells,
        )

    def _lines(self, number: int, key: np.uint64) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        for attempt in range(_TRIES):
            cell, species, frac = self.crystal(number, np.uint64(subkey(key, np.uint64(attempt))))
            try:
                d_star, intensity = structure_lines(
                    cell,
                    species,
                    frac,
                    np.ones(len(species)),
                    d_star_max=self.lines["d_star_max"],
                    b_iso=self.lines["b_iso"],
                    radiation=self.lines["radiation"],
                    dispersion=self._dispersion,
                    **preferred_orientation(self.lines),
                    intensity_floor=self.lines["intensity_floor"],
                    max_reflections=self.lines["max_reflections"],
                )
            except StructureRefusedError:
                continue
            return cell, d_star, intensity
        raise XtinctError(f"space group {number}: no crystal with lines in {_TRIES} draws")

    def _sampler(self, number: int) -> GroupSampler:
        if number not in self._samplers:
            if not self._occupations.get(number):
                raise XtinctError(f"space group {number}: no confirmed occupation to draw from")
            self._samplers[number] = GroupSampler(number, self._statistics, **self._limits)
        return self._samplers[number]

"""Draws of crystals of a given space group: composition, Wyckoff positions, lattice, coordinates.

Compiled, counter-based, and free of symmetry finders and file formats, so that training can draw crystals
too. A draw has at least the symmetry asked for; `statistical` confirms that it has no more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from xtinct.errors import XtinctError
from xtinct.files import json_reading
from xtinct.generators import draws
from xtinct.lattices.shapes import FAMILY_CODE
from xtinct.symmetry.families import FAMILIES, family_of, space_groups
from xtinct.symmetry.operations import bravais_lattice, group_name, operations, wyckoff_positions

#: Weight, in observations, of the family's frequencies in a group's, and of all groups' in a family's.
POOLING = 20.0
#: Lattices of a Bravais type below this number are drawn from the whole family's.
_MIN_SHAPES = 50

_ANY = np.empty((0, 2), dtype=np.int64)


#: Format and version of the file of statistics.
STATISTICS = ("xtinct crystal statistics", 1)


def read_statistics(path: str | Path) -> dict[str, Any]:
    """Statistics as `statistics.learn_to_file` writes them; XtinctError for anything else."""
    return read_json(path, STATISTICS)


def read_json(path: str | Path, expected: tuple[str, int]) -> dict[str, Any]:
    """A JSON file whose `format` and `version` are `expected`; XtinctError for anything else."""
    content = json_reading.read_json(path)
    found = (content.get("format"), content.get("version")) if isinstance(content, dict) else None
    if found != expected:
        raise XtinctError(f"{path}: format and version {found}, expected {expected}")
    return content


@dataclass(frozen=True)
class Draw:
    """A crystal as drawn: the part of its atoms that centring does not repeat.

    number    space group asked for
    cell      float64 (6,), conventional cell
    frac      float64 (n, 3), coordinates in the conventional cell, not wrapped
    elements  int64 (n,), index into the sampler's `symbols`
    orbits    int64 (m, 2): element index and position number of each occupied Wyckoff position
    """

    number: int
    cell: np.ndarray
    frac: np.ndarray
    elements: np.ndarray
    orbits: np.ndarray


class GroupSampler:
    """Draws crystals of one space group from statistics.

    `elements`: smallest and largest number of distinct elements; `max_sites`: of the conventional
    cell; `min_distance_scale`: smallest distance as a share of the sum of covalent radii, 0 for none.
    XtinctError if no crystal can satisfy the limits.
    """

    def __init__(
        self,
        number: int,
        statistics: Mapping[str, Any],
        *,
        elements: tuple[int, int] = (1, 5),
        max_sites: int = 200,
        min_distance_scale: float = 0.0,
    ) -> None:
        self.number = int(number)
        self.family = family_of(number)
        self.max_sites = int(max_sites)
        self.min_distance_scale = float(min_distance_scale)
        self.positions = wyckoff_positions(number)
        if min(position.multiplicity for position in self.positions) > max_sites:
            raise XtinctError(
                f"gcdd.max_sites: {max_sites} is less than any position of group {group_name(number)} holds"
            )
        self.symbols = tuple(
            sorted(statistics["elements"], key=lambda s: statistics["elements"][s]["atomic_number"])
        )
        low, high = elements
        if not 1 <= low <= high or low > len(self.symbols):
            raise XtinctError(
                f"gcdd.elements: {low} to {high}, expected a range within 1 to {len(self.symbols)}"
            )
        pooled = _Pooled(statistics["groups"], self.number)
        sizes = [statistics["elements"][symbol] for symbol in self.symbols]
        self.atomic_numbers = np.array([size["atomic_number"] for size in sizes], dtype=np.int64)
        self._radius = np.array([size["covalent_radius"] for size in sizes])
        self._sphere = np.array([size["sphere_volume"] for size in sizes])
        self._element_cdf = _cdf(pooled.shares("elements", self.symbols))
        n_elements = pooled.shares("n_elements", [str(n) for n in range(low, high + 1)])
        # Elements learned from too few crystals to reach the range: every number in it is as good.
        self._n_elements_cdf = _cdf(n_elements if n_elements.sum() > 0 else np.ones(high - low + 1))
        self._low = low
        most = max((int(r) for g in statistics["groups"].values() for r in g["repetitions"]), default=1)
        self._repetition_cdf = _cdf(pooled.shares("repetitions", [str(r) for r in range(1, most + 1)]))
        self._wyckoff_cdf = _cdf(self._wyckoff_shares(pooled))
        self._edges, self._quantiles = _packing(statistics["packing"], self.family)
        self._shapes, self._kernel = _shapes(statistics["shapes"], self.number)

    def _wyckoff_shares(self, pooled: "_Pooled") -> np.ndarray:
        """Frequency of each position: the group's own counts, pooled by freedom over the family."""
        freedoms = np.array([position.freedom for position in self.positions])
        by_freedom = pooled.freedom_shares()
        prior = np.array([by_freedom[f] / np.count_nonzero(freedoms == f) for f in freedoms])
        own = np.array(
            [pooled.own("wyckoff").get(position.letter, 0) for position in self.positions], dtype=float
        )
        shares = own + POOLING * prior / prior.sum()
        fits = np.array([position.multiplicity <= self.max_sites for position in self.positions])
        return np.where(fits, shares, 0.0)

    @cached_property
    def centring(self) -> np.ndarray:
        """Centring vectors, float64 (c, 3), zero first."""
        of_group = operations(self.number)
        identity = (of_group.rotations == np.eye(3, dtype=np.int8)).all(axis=(1, 2))
        vectors = of_group.translations[identity] / 24.0
        return vectors[np.lexsort(vectors.T[::-1])]

    @cached_property
    def primitive_basis(self) -> np.ndarray:
        """float64 (3, 3): rows are primitive lattice vectors in terms of the conventional ones."""
        vectors = np.concatenate([self.centring[1:], np.eye(3)])
        best = np.eye(3)
        for i in range(len(vectors)):
            for j in range(i + 1, len(vectors)):
                for k in range(j + 1, len(vectors)):
                    basis = vectors[[i, j, k]]
                    volume = np.linalg.det(basis)
                    if 1e-6 < abs(volume) < abs(np.linalg.det(best)) - 1e-6:
                        best = basis if volume > 0 else basis[[1, 0, 2]]
        return best

    @cached_property
    def _operations(self) -> tuple[np.ndarray, ...]:
        """Operations of every position, centring left out: rotations, translations, offsets; and counts."""
        rotations, translations, offsets = [], [], [0]
        for position in self.positions:
            kept = _without_centring(position.rotations, position.translations, self.centring)
            rotations.append(position.rotations[kept])
            translations.append(position.translations[kept])
            offsets.append(offsets[-1] + len(kept))
        return (
            np.ascontiguousarray(np.concatenate(rotations)),
            np.ascontiguousarray(np.concatenate(translations)),
            np.array(offsets, dtype=np.int64),
            np.array([position.freedom for position in self.positions], dtype=np.int64),
        )

    @cached_property
    def tables(self) -> draws.GroupTables:
        """What `draws.draw_crystal` draws all crystals of the group from."""
        occupations = draws.Occupations(
            self._low, self._n_elements_cdf, self._element_cdf, self._repetition_cdf, self._wyckoff_cdf
        )
        sizes = draws.Sizes(self._sphere, self._radius, self._edges, self._quantiles, self.min_distance_scale)
        positions = draws.Positions(*self._operations, self.centring)
        return draws.GroupTables(occupations, positions, sizes, self.shapes)

    @cached_property
    def shapes(self) -> draws.KnownShapes:
        """Known shapes of the group's lattices."""
        return draws.KnownShapes(FAMILY_CODE[self.family], self._shapes, self._kernel)

    def draw(self, key: np.uint64, occupation: np.ndarray = _ANY) -> tuple[int, Draw | None]:
        """One draw from the stream `key`: (draws.DRAWN, crystal) or (what prevented it, None).

        `occupation`: int64 (m, 2), a number for each element (0, 1, ...) and the number of a position that it
        fills; elements, lattice and coordinates are then drawn for it. Without it, it is drawn as well.
        """
        room = draws.empty_room(self.max_sites)
        outcome, atoms, occupied = draws.draw_crystal(np.uint64(key), occupation, self.tables, room)
        if outcome != draws.DRAWN:
            return outcome, None
        drawn = Draw(self.number, room.cell, room.frac[:atoms], room.elements[:atoms], room.orbits[:occupied])
        return draws.DRAWN, drawn


def draw_lattice(sampler: GroupSampler, key: np.uint64, volume: float) -> np.ndarray | None:
    """A conventional cell (6,) of the sampler's group with the given volume; None if no shape fits."""
    cell = np.empty(6)
    found = draws.draw_lattice(np.uint64(key), sampler.shapes, float(volume), cell)
    return cell if found else None


class _Pooled:
    """Counts of a group, mixed with those of its family and of all groups."""

    def __init__(self, groups: Mapping[str, Any], number: int) -> None:
        self.groups = groups
        self.number = number
        self.of_family = [str(g) for g in space_groups(family_of(number)) if str(g) in groups]

    def own(self, name: str) -> dict[str, int]:
        return self.groups.get(str(self.number), {}).get(name, {})

    def shares(self, name: str, keys: list[str] | tuple[str, ...]) -> np.ndarray:
        """Frequencies of `keys`, float64 (len(keys),), not normalised."""

        def counts(group_names) -> np.ndarray:
            tables = [self.groups[g][name] for g in group_names]
            return np.array([sum(table.get(key, 0) for table in tables) for key in keys], dtype=np.float64)

        own = counts([str(self.number)] if str(self.number) in self.groups else [])
        return own + POOLING * _share(counts(self.of_family) + POOLING * _share(counts(self.groups)))

    def freedom_shares(self) -> np.ndarray:
        """Frequencies (4,) of positions with 0 to 3 free coordinates in the family, each at least 1 %."""
        counts = np.zeros(4)
        for group in self.of_family:
            freedom = {position.letter: position.freedom for position in wyckoff_positions(int(group))}
            for letter, n in self.groups[group]["wyckoff"].items():
                counts[freedom[letter]] += n
        return _share(counts) + 0.01


def _share(counts: np.ndarray) -> np.ndarray:
    total = counts.sum()
    return counts / total if total > 0 else counts


def _cdf(shares: np.ndarray) -> np.ndarray:
    cdf = np.cumsum(shares / shares.sum())
    cdf[-1] = 1.0
    return cdf


def _packing(tables: Mapping[str, Any], family: str) -> tuple[np.ndarray, np.ndarray]:
    table = (
        tables[family] if tables.get(family, {"crystals": 0})["crystals"] >= _MIN_SHAPES else tables["all"]
    )
    return np.array(table["sphere_volume_edges"], dtype=np.float64), np.array(table["factor_quantiles"])


def _shapes(tables: Mapping[str, Any], number: int) -> tuple[np.ndarray, np.ndarray]:
    """Shapes (n, d) of the group's Bravais type, or of its family where there are few, and their kernel."""
    family = family_of(number)
    d = len(FAMILIES[family].shape)
    own = tables.get(bravais_lattice(number), {"crystals": 0})
    if own["crystals"] >= _MIN_SHAPES or d == 0:
        chosen = [own] if own["crystals"] else []
    else:
        lattices = sorted({bravais_lattice(g) for g in space_groups(family)} & tables.keys())
        chosen = [tables[lattice] for lattice in lattices]
    samples = [shape for table in chosen for shape in table["samples"]]
    if not samples or d == 0:
        # No crystal of the family is known: all axes equal, right or 120 degree angles, a wide kernel.
        shape = [0.0 if name.startswith("ln") else 95.0 for name in FAMILIES[family].shape]
        spread = [0.3 if name.startswith("ln") else 8.0 for name in FAMILIES[family].shape]
        return np.array([shape]).reshape(1, d), np.diag(spread).reshape(d, d)
    widest = max(chosen, key=lambda table: np.trace(np.abs(table["kernel"])))
    return np.array(samples), np.array(widest["kernel"])


def _without_centring(rotations: np.ndarray, translations: np.ndarray, centring: np.ndarray) -> np.ndarray:
    """Indices of operations whose points are not each other's copies by a centring vector."""
    # A point in general position (irrational coordinates): equal images mean equal operations.
    point = np.array([0.1234567891, 0.3141592653, 0.5772156649])
    images = rotations @ point + translations
    kept: list[int] = []
    left = np.arange(len(images))
    while len(left):
        kept.append(left[0])
        shift = images[left] - images[left[0]]
        difference = shift[:, None] - centring
        difference -= np.round(difference)
        left = left[(np.abs(difference).max(axis=2) > 1e-6).all(axis=1)]
    return np.array(kept)

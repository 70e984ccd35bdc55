"""Lattices: reciprocal metrics, and the distributions that ULBD draws cells from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from xtinct.compiling import njit
from xtinct.errors import XtinctError
from xtinct.randomness import stream_key, subkey, uniform
from xtinct.symmetry.families import Family, known_family

#: Lengths of a mesh, and lattices of a continuous distribution, at most: above them numbers of lattices
#: with groups and draws no longer fit 64 bits.
_MESH_LIMIT, _COUNT_LIMIT = 100_000, 10**12

_KINDS = ("continuous", "mesh")
#: Laws of continuous lengths.
SPACINGS = ("uniform", "log")


@dataclass(frozen=True)
class LatticeSpec:
    """A distribution of lattices of one crystal family.

    kind     continuous: lengths and angles drawn independently, the same law on every axis and
             never sorted (a sorted a < b < c would tell the axes apart and leak the setting);
             mesh: every combination of lengths min, min + step, ... below max, free lengths
             pairwise different (two equal ones would be the metric of a higher family)
    lengths  range of every free length, angstrom
    angles   range of every free angle, degree: beta of monoclinic, all three of triclinic cells
    spacing  of continuous lengths: uniform, or log (uniform in the logarithm)
    step     of a mesh, angstrom
    count    number of continuous lattices
    """

    kind: str
    lengths: tuple[float, float]
    angles: tuple[float, float] = (90.0, 90.0)
    spacing: str = "uniform"
    step: float = 0.0
    count: int = 0

    def __post_init__(self) -> None:
        low, high = self.lengths
        if self.kind not in _KINDS:
            raise XtinctError(f"lattices: kind {self.kind!r}, expected one of {', '.join(_KINDS)}")
        if self.spacing not in SPACINGS:
            raise XtinctError(f"lattices: spacing {self.spacing!r}, expected one of {', '.join(SPACINGS)}")
        if not 0 < low <= high < math.inf:
            raise XtinctError(f"lattices: lengths {low}-{high} angstrom, expected 0 < min <= max")
        if not 0 < self.angles[0] <= self.angles[1] < 180:
            raise XtinctError(
                f"lattices: angles {self.angles[0]}-{self.angles[1]}, expected 0 < min <= max < 180"
            )
        if self.kind == "mesh" and not 0 < self.step <= high - low:
            raise XtinctError(
                f"lattices: step {self.step} angstrom, expected more than 0 and at most {high - low}"
            )
        if self.kind == "mesh" and (high - low) / self.step > _MESH_LIMIT:
            raise XtinctError(
                f"lattices: step {self.step} angstrom makes {(high - low) / self.step:.3g} lengths, "
                f"expected at most {_MESH_LIMIT}"
            )
        if self.kind == "continuous" and not 1 <= self.count <= _COUNT_LIMIT:
            raise XtinctError(f"lattices: count {self.count}, expected 1 to {_COUNT_LIMIT}")

    @classmethod
    def from_config(cls, settings: Mapping[str, object]) -> "LatticeSpec":
        """From one entry of the configuration's `ulbd.lattices` (its `draws` is not of the lattice)."""
        known = {key: settings[key] for key in ("kind", "spacing", "step", "count") if key in settings}
        ranges = {
            key: tuple(float(x) for x in settings[key]) for key in ("lengths", "angles") if key in settings
        }
        return cls(**known, **ranges)

    def _checked(self, name: str) -> Family:
        """The family of that name, if the specification suits it."""
        family = known_family(name)
        if self.kind == "mesh" and family.free_angles:
            raise XtinctError(f"lattices: {name} has free angles; use kind: continuous")
        low, high = self.angles
        if len(family.free_angles) == 3 and not (3 * high < 360 and high < 2 * low):
            raise XtinctError(
                f"lattices: angles {low}-{high} of triclinic cells, expected max < 120 and max < 2 min, "
                "so that any three of them span a cell"
            )
        return family

    def _grid(self) -> np.ndarray:
        low, high = self.lengths
        # The end is open, as in the published mesh: 5-15 in steps of 0.05 are 200 lengths.
        n = math.ceil((high - low) / self.step - 1e-9)
        # Rounded, so that 5 + 0.05 i is the decimal number that was meant.
        return np.round(low + self.step * np.arange(n), 9)

    def n_lattices(self, family: str) -> int:
        """Number of lattices of `family` that the specification stands for."""
        free = self._checked(family).free_lengths
        return self.count if self.kind == "continuous" else math.perm(len(self._grid()), free)

    def cells(self, family: str, seed: int, indices: np.ndarray) -> np.ndarray:
        """Conventional cells float64 (n, 6) of the lattices number `indices` (int (n,)).

        A continuous lattice is a function of (seed, family, index) alone, for any index; a mesh
        has the indices below `n_lattices`.
        """
        own = self._checked(family)
        indices = np.asarray(indices, dtype=np.int64)
        if indices.size and indices.min() < 0:
            raise XtinctError(f"lattice index {int(indices.min())}: expected 0 or more")
        free = own.free_lengths
        if self.kind == "mesh":
            values = self._mesh_lengths(family, indices)
        else:
            key = stream_key(seed, "lattice", family)
            values = _draws(key, indices.astype(np.uint64), free + len(own.free_angles))
            low, high = self.lengths
            if self.spacing == "log":
                values[:, :free] = low * (high / low) ** values[:, :free]
            else:
                values[:, :free] = low + (high - low) * values[:, :free]
            values[:, free:] = self.angles[0] + (self.angles[1] - self.angles[0]) * values[:, free:]
        cells = np.empty((len(indices), 6))
        cells[:, :3] = values[:, own.lengths]
        cells[:, 3:] = [90.0 if angle is None else angle for angle in own.angles]
        cells[:, [3 + i for i in own.free_angles]] = values[:, free:]
        return cells

    def _mesh_lengths(self, family: str, indices: np.ndarray) -> np.ndarray:
        """Lengths of the mesh points in lexical order of ordered selections without repetition."""
        total = self.n_lattices(family)
        if indices.size and indices.max() >= total:
            raise XtinctError(
                f"lattice index {int(indices.max())}: the mesh of {family} has {total} lattices"
            )
        grid, free = self._grid(), known_family(family).free_lengths
        n, rest = len(grid), indices
        ranks = np.empty((len(indices), free), dtype=np.int64)
        for axis in range(free):
            block = math.perm(n - axis - 1, free - axis - 1)
            rank, rest = np.divmod(rest, block)
            # The rank counts the lengths that are left; step over those already taken.
            for taken in np.sort(ranks[:, :axis], axis=1).T:
                rank = rank + (rank >= taken)
            ranks[:, axis] = rank
        return grid[ranks]

    @property
    def length_max(self) -> float:
        """Longest axis, angstrom."""
        return self.lengths[1]


@njit(cache=True)
def _draws(key, indices, n):
    """Uniform draws float64 (len(indices), n) of the sub-streams number `indices` of `key`."""
    out = np.empty((indices.size, n))
    for i in range(indices.size):
        stream = subkey(key, indices[i])
        for j in range(n):
            out[i, j] = uniform(stream, j)
    return out

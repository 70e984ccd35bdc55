"""Compiled draws of crystals: occupation of Wyckoff positions, lattice, coordinates.

Every random number is a function of a key and a counter (`xtinct.randomness`).
"""

import math
from typing import NamedTuple

import numpy as np

from xtinct.compiling import njit
from xtinct.lattices.metric import cell_basis
from xtinct.lattices.shapes import FAMILY_CODE, cell_of_shape
from xtinct.randomness import integer, normal, subkey, uniform
from xtinct.symmetry.families import ORTHORHOMBIC

#: Smallest volume per atom, cubic angstrom (Schopmans et al. 2023).
MIN_ATOM_VOLUME = 0.75
#: Tries for one position under the distance rule, and for one lattice shape.
_POSITION_TRIES = 40
_SHAPE_TRIES = 20
_ORTHORHOMBIC = FAMILY_CODE[ORTHORHOMBIC]

#: What a draw ends in.
DRAWN, TOO_MANY_SITES, TOO_CLOSE, NO_LATTICE = range(4)
OUTCOMES = ("drawn", "too_many_sites", "too_close", "no_lattice")


@njit(cache=True)
def _pick(cdf, u):
    return min(np.searchsorted(cdf, u, side="right"), cdf.size - 1)


class KnownShapes(NamedTuple):
    """Known shapes of the lattices of a group.

    code    number of the crystal family (`FAMILY_CODE`)
    known   float64 (n, d), numbers of `Family.shape`
    kernel  float64 (d, d), lower triangle, what smooths them
    """

    code: int
    known: np.ndarray
    kernel: np.ndarray


class Occupations(NamedTuple):
    """What is drawn for the positions of a group: cumulative shares, float64.

    low         fewest elements; n_elements: of this number and each above
    element     of each element
    repetition  of one, two, ... positions of an element
    wyckoff     of each position
    """

    low: int
    n_elements: np.ndarray
    element: np.ndarray
    repetition: np.ndarray
    wyckoff: np.ndarray


class Positions(NamedTuple):
    """Wyckoff positions of a group; centring makes the other points.

    rotations, translations  float64 (m, 3, 3) and (m, 3), of all positions one after the other
    offsets                  int64 (positions + 1,), where each begins
    freedom                  int64 (positions,), free coordinates
    centring                 float64 (c, 3), zero first
    """

    rotations: np.ndarray
    translations: np.ndarray
    offsets: np.ndarray
    freedom: np.ndarray
    centring: np.ndarray


class Sizes(NamedTuple):
    """What atoms take of room, and how densely they are packed.

    sphere     float64 (elements,), volume of each, angstrom^3
    radius     float64 (elements,), covalent radius, angstrom
    edges      float64 (bins - 1,), volumes of all spheres between the bins of `quantiles`
    quantiles  float64 (bins, n), of the cell's volume over that of the spheres
    scale      smallest distance as a share of the sum of the radii, 0 for none
    """

    sphere: np.ndarray
    radius: np.ndarray
    edges: np.ndarray
    quantiles: np.ndarray
    scale: float


class GroupTables(NamedTuple):
    """All that crystals of one group are drawn from."""

    occupations: Occupations
    positions: Positions
    sizes: Sizes
    shapes: KnownShapes


class Room(NamedTuple):
    """Arrays that a draw fills: frac float64 (sites, 3), elements int64 (sites,), orbits int64 (sites, 2),
    cell float64 (6,)."""

    frac: np.ndarray
    elements: np.ndarray
    orbits: np.ndarray
    cell: np.ndarray


@njit(cache=True, nogil=True)
def empty_room(max_sites):
    """Room for a crystal of at most so many sites."""
    return Room(
        np.empty((max_sites, 3)),
        np.empty(max_sites, np.int64),
        np.empty((max_sites, 2), np.int64),
        np.empty(6),
    )


@njit(cache=True, nogil=True)
def draw_crystal(key, occupation, tables, room):
    """Fill `room` from `tables`; return (outcome, atoms, occupied positions)."""
    positions, sizes = tables.positions, tables.sizes
    rotations, translations, offsets = positions.rotations, positions.translations, positions.offsets
    freedom, scale = positions.freedom, sizes.scale
    frac, elements, orbits = room.frac, room.elements, room.orbits
    if occupation.shape[0]:
        n_orbits, n_sites, spheres = _draw_elements(subkey(key, 0), occupation, tables, room)
    else:
        n_orbits, n_sites, spheres = _draw_occupation(subkey(key, 0), tables, room)
    if n_orbits == 0:
        return TOO_MANY_SITES, 0, 0
    factor = _packing_factor(subkey(key, 1), spheres, sizes.edges, sizes.quantiles)
    volume = max(spheres * factor, MIN_ATOM_VOLUME * n_sites)
    if not draw_lattice(subkey(key, 2), tables.shapes, volume, room.cell):
        return NO_LATTICE, 0, 0
    basis = cell_basis(room.cell)
    stream = subkey(key, 3)
    n_atoms = np.int64(0)  # not 0 as it stands, for which numba would compile what takes it once more
    # Fixed positions first: they leave the free ones the choice.
    for wanted in range(4):
        for q in range(n_orbits):
            w = orbits[q, 1]
            if freedom[w] != wanted:
                continue
            placed = False
            for attempt in range(1 if scale == 0.0 or wanted == 0 else _POSITION_TRIES):
                draws = subkey(subkey(stream, q), attempt)
                x, y, z = uniform(draws, 0), uniform(draws, 1), uniform(draws, 2)
                n = n_atoms
                for o in range(offsets[w], offsets[w + 1]):
                    for i in range(3):
                        frac[n, i] = (
                            rotations[o, i, 0] * x + rotations[o, i, 1] * y + rotations[o, i, 2] * z
                            + translations[o, i]
                        )  # fmt: skip
                    elements[n] = orbits[q, 0]
                    n += 1
                if scale == 0.0 or _far_enough(n_atoms, n, room, basis, sizes, positions.centring):
                    n_atoms = n
                    placed = True
                    break
            if not placed:
                return TOO_CLOSE, 0, 0
    return DRAWN, n_atoms, n_orbits


@njit(cache=True)
def _new_element(key, counter, element_cdf, used):
    """An element not yet in `used`, or -1, and the next counter."""
    for _ in range(200):
        candidate = _pick(element_cdf, uniform(key, counter))
        counter += 1
        if not used[candidate]:
            used[candidate] = True
            return candidate, counter
    return -1, counter


@njit(cache=True)
def _draw_elements(key, occupation, tables, room):
    """Fill the orbits with drawn elements on given positions; returns as `_draw_occupation` does."""
    element_cdf, sphere, orbits = tables.occupations.element, tables.sizes.sphere, room.orbits
    offsets, n_centring = tables.positions.offsets, tables.positions.centring.shape[0]
    max_sites = room.elements.size
    used = np.zeros(element_cdf.size, np.bool_)
    element_of = np.full(occupation.shape[0], -1, np.int64)
    counter = 0
    n_sites = 0
    spheres = 0.0
    for q in range(occupation.shape[0]):
        slot, w = occupation[q]
        if element_of[slot] < 0:
            element_of[slot], counter = _new_element(key, counter, element_cdf, used)
        sites = (offsets[w + 1] - offsets[w]) * n_centring
        n_sites += sites
        if element_of[slot] < 0 or n_sites > max_sites:
            return 0, 0, 0.0
        orbits[q, 0], orbits[q, 1] = element_of[slot], w
        spheres += sites * sphere[element_of[slot]]
    return occupation.shape[0], n_sites, spheres


@njit(cache=True)
def _draw_occupation(key, tables, room):
    """Fill the orbits; return (their number, sites of the conventional cell, volume of the spheres)."""
    low, n_elements_cdf, element_cdf, repetition_cdf, wyckoff_cdf = tables.occupations
    offsets, freedom = tables.positions.offsets, tables.positions.freedom
    n_centring, sphere = tables.positions.centring.shape[0], tables.sizes.sphere
    orbits, max_sites = room.orbits, room.elements.size
    used_elements = np.zeros(element_cdf.size, np.bool_)
    used_positions = np.zeros(wyckoff_cdf.size, np.bool_)
    n_elements = low + _pick(n_elements_cdf, uniform(key, 0))
    counter = 1
    n_orbits = n_sites = 0
    spheres = 0.0
    for _ in range(n_elements):
        element, counter = _new_element(key, counter, element_cdf, used_elements)
        if element < 0:
            return 0, 0, 0.0
        repetitions = 1 + _pick(repetition_cdf, uniform(key, counter))
        counter += 1
        filled = 0
        for _ in range(50 + repetitions):
            if filled == repetitions:
                break
            w = _pick(wyckoff_cdf, uniform(key, counter))
            counter += 1
            if freedom[w] == 0 and used_positions[w]:
                continue
            sites = (offsets[w + 1] - offsets[w]) * n_centring
            if n_sites + sites > max_sites:
                return 0, 0, 0.0
            used_positions[w] = True
            orbits[n_orbits, 0], orbits[n_orbits, 1] = element, w
            n_orbits += 1
            n_sites += sites
            spheres += sites * sphere[element]
            filled += 1
        if filled == 0:
            return 0, 0, 0.0
    return n_orbits, n_sites, spheres


@njit(cache=True)
def _packing_factor(key, spheres, edges, quantiles):
    """Draw by inverse transform from the quantiles of the bin that holds `spheres`."""
    row = quantiles[np.searchsorted(edges, spheres, side="right")]
    place = uniform(key, 0) * (row.size - 1)
    left = min(int(place), row.size - 2)
    return row[left] + (place - left) * (row[left + 1] - row[left])


@njit(cache=True)
def draw_lattice(key, shapes, volume, cell):
    """Fill `cell` (6,): a known shape, smoothed, at `volume`; False if no try gave a cell."""
    code, known, kernel = shapes
    d = known.shape[1]
    shape = np.empty(max(d, 1))
    for attempt in range(_SHAPE_TRIES):
        draws = subkey(key, attempt)
        sample = integer(draws, 0, known.shape[0])
        for i in range(d):
            shape[i] = known[sample, i]
            for j in range(i + 1):
                shape[i] += kernel[i, j] * normal(draws, 10 + j)
        if cell_of_shape(code, shape, volume, cell):
            if code == _ORTHORHOMBIC:
                _shuffle_axes(subkey(draws, 40), cell)
            return True
    return False


@njit(cache=True)
def _shuffle_axes(key, cell):
    """Permute the three lengths: their order in real crystals tells the setting, not the group."""
    for i in range(2, 0, -1):
        j = integer(key, i, i + 1)
        cell[i], cell[j] = cell[j], cell[i]


@njit(cache=True)
def _far_enough(start, stop, room, basis, sizes, centring):
    """Whether atom `start`, which stands for its orbit, keeps its distance from atoms 0 to `stop` - 1.

    By symmetry one atom of the orbit is enough. All lattice images within reach are looked at.
    """
    frac, elements, radius, scale = room.frac, room.elements, sizes.radius, sizes.scale
    inverse = np.linalg.inv(basis)
    for j in range(stop):
        reach = scale * (radius[elements[start]] + radius[elements[j]])
        for v in range(centring.shape[0]):
            u = np.empty(3)
            images = np.empty(3, np.int64)
            for i in range(3):
                u[i] = frac[j, i] + centring[v, i] - frac[start, i]
                u[i] -= math.floor(u[i] + 0.5)
                # 1 / column norm of the inverse is the distance between opposite faces.
                height = 1.0 / math.sqrt(inverse[0, i] ** 2 + inverse[1, i] ** 2 + inverse[2, i] ** 2)
                images[i] = int(reach / height + 0.5)
            for p in range(-images[0], images[0] + 1):
                for q in range(-images[1], images[1] + 1):
                    for r in range(-images[2], images[2] + 1):
                        if j == start and v == 0 and p == 0 and q == 0 and r == 0:
                            continue
                        square = 0.0
                        for k in range(3):
                            d = (u[0] + p) * basis[0, k] + (u[1] + q) * basis[1, k] + (u[2] + r) * basis[2, k]
                            square += d * d
                        if square < reach * reach:
                            return False
    return True

"""Compiled draws of crystals: occupation of Wyckoff positions, lattice, coordinates.

Every random number is a function of a key and a counter (`xtinct.randomness`).
"""

import math

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


@njit(cache=True, nogil=True)
def draw_crystal(
    key, occupation, low, n_elements_cdf, element_cdf, repetition_cdf, wyckoff_cdf, rotations, translations,
    offsets, freedom, centring, sphere, radius, edges, quantiles, code, shapes, kernel, scale,
    frac, elements, orbits, cell,
):  # fmt: skip
    """Fill the last four arrays; return (outcome, atoms, occupied positions)."""
    if occupation.shape[0]:
        n_orbits, n_sites, spheres = _draw_elements(
            subkey(key, 0), occupation, element_cdf, offsets, centring.shape[0], sphere, frac.shape[0], orbits
        )
    else:
        n_orbits, n_sites, spheres = _draw_occupation(
            subkey(key, 0), low, n_elements_cdf, element_cdf, repetition_cdf, wyckoff_cdf, offsets, freedom,
            centring.shape[0], sphere, frac.shape[0], orbits,
        )  # fmt: skip
    if n_orbits == 0:
        return TOO_MANY_SITES, 0, 0
    volume = max(
        spheres * _packing_factor(subkey(key, 1), spheres, edges, quantiles), MIN_ATOM_VOLUME * n_sites
    )
    if not draw_lattice(subkey(key, 2), code, shapes, kernel, volume, cell):
        return NO_LATTICE, 0, 0
    basis = cell_basis(cell)
    positions = subkey(key, 3)
    n_atoms = 0
    # Fixed positions first: they leave the free ones the choice.
    for wanted in range(4):
        for q in range(n_orbits):
            w = orbits[q, 1]
            if freedom[w] != wanted:
                continue
            placed = False
            for attempt in range(1 if scale == 0.0 or wanted == 0 else _POSITION_TRIES):
                draws = subkey(subkey(positions, q), attempt)
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
                if scale == 0.0 or _far_enough(n_atoms, n, frac, elements, radius, scale, basis, centring):
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
def _draw_elements(key, occupation, element_cdf, offsets, n_centring, sphere, max_sites, orbits):
    """Fill `orbits` with drawn elements on given positions; returns as `_draw_occupation` does."""
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
def _draw_occupation(
    key, low, n_elements_cdf, element_cdf, repetition_cdf, wyckoff_cdf, offsets, freedom, n_centring, sphere,
    max_sites, orbits,
):  # fmt: skip
    """Fill `orbits` and return (their number, sites of the conventional cell, volume of the spheres)."""
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
def draw_lattice(key, code, shapes, kernel, volume, cell):
    """Fill `cell` (6,): a known shape smoothed by `kernel`, at `volume`; False if no try gave a cell."""
    d = shapes.shape[1]
    shape = np.empty(max(d, 1))
    for attempt in range(_SHAPE_TRIES):
        draws = subkey(key, attempt)
        sample = integer(draws, 0, shapes.shape[0])
        for i in range(d):
            shape[i] = shapes[sample, i]
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
def _far_enough(start, stop, frac, elements, radius, scale, basis, centring):
    """Whether atom `start`, which stands for its orbit, keeps its distance from atoms 0 to `stop` - 1.

    By symmetry one atom of the orbit is enough. All lattice images within reach are looked at.
    """
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

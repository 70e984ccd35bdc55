"""Which hkl make up the lines of a crystal, and which of them belong together: the compiled part."""

import math
from typing import NamedTuple

import numpy as np

from xtinct.compiling import njit
from xtinct.lattices.metric import write_reciprocal_metric
from xtinct.linelists.reflections import CENTRINGS, reduce_to_primitive
from xtinct.linelists.scattering import amplitude
from xtinct.linelists.structure_factors import EQUAL_D_OF_STRUCTURES

#: Rounding of 1/d^2 between two ways to sum it.
_ROUNDING = 1e-11
#: A family below this share of its line is absent: rounding errors.
_ABSENT = 1e-7


class LineIndices(NamedTuple):
    """All hkl of every line, one of each Friedel pair.

    hkl     int64 (m, 3), those of one line together and in descending order
    starts  int64 (n + 1,), where each line begins
    """

    hkl: np.ndarray
    starts: np.ndarray


class LineFamilies(NamedTuple):
    """The hkl of every line in families.

    names      int64 (f, 3), the usual one of each family
    sizes      int64 (f,), hkl of the family, Friedel opposites included
    family_of  int64 (m,), the family of each entry of `LineIndices.hkl`
    begins     int64 (n + 1,), where the families of each line begin
    alike      whether the hkl of a family are equivalent by symmetry, and so equally strong
    """

    names: np.ndarray
    sizes: np.ndarray
    family_of: np.ndarray
    begins: np.ndarray
    alike: bool


@njit(cache=True)
def hkl_of_lines(cell, d_star):
    """`LineIndices` of lines; hkl that belong to none of them (absent ones) are left out.

    cell    float64 (6,), angstrom and degree
    d_star  float64 (n,), 1/d ascending, 1/angstrom: lines of `structure_lines`
    """
    metric = np.empty(6)
    write_reciprocal_metric(cell, metric)
    g11, g22, g33, g23, g13, g12 = metric
    n = d_star.size
    squares = d_star * d_star
    limit = squares[-1] * (1.0 + EQUAL_D_OF_STRUCTURES)
    reach = math.sqrt(limit) + 1e-9
    hm, km, lm = int(cell[0] * reach), int(cell[1] * reach), int(cell[2] * reach)
    found, line_of, m = np.empty((256, 3), np.int64), np.empty(256, np.int64), 0
    counts = np.zeros(n + 1, np.int64)
    for h in range(hm, -1, -1):
        for k in range(km, -km - 1 if h else -1, -1):
            b = 2.0 * (h * g13 + k * g23)
            c = h * h * g11 + k * k * g22 + 2.0 * h * k * g12
            root = b * b - 4.0 * g33 * (c - limit)
            if root < 0.0:
                continue
            root = math.sqrt(root)
            last = min(lm, math.floor((root - b) / (2.0 * g33) + 1e-9))
            first = max(-lm, math.ceil((-root - b) / (2.0 * g33) - 1e-9))
            if h == 0 and k == 0:
                first = 1
            for l in range(last, first - 1, -1):  # noqa: E741
                square = (g33 * l + b) * l + c
                line = np.searchsorted(squares, square * (1.0 + _ROUNDING), side="right") - 1
                if line < 0 or square - squares[line] > (EQUAL_D_OF_STRUCTURES + _ROUNDING) * square:
                    continue
                if m == len(found):
                    found = np.concatenate((found, np.empty_like(found)))
                    line_of = np.concatenate((line_of, np.empty_like(line_of)))
                found[m, 0], found[m, 1], found[m, 2], line_of[m] = h, k, l, line
                counts[line + 1] += 1
                m += 1
    starts = np.cumsum(counts)
    place = starts[:-1].copy()
    hkl = np.empty((m, 3), np.int64)
    for i in range(m):
        hkl[place[line_of[i]]] = found[i]
        place[line_of[i]] += 1
    return LineIndices(hkl, starts)


class PrimitiveAtoms(NamedTuple):
    """One atom of each orbit of the lattice's centring, with the weight of all, sorted by species.

    species       int64 (n,)
    frac, weight  float64 (n, 3) and (n,)
    translations  int64 (m, 4) of the centring, as in `reflections.CENTRINGS`; none of a primitive lattice
    """

    species: np.ndarray
    frac: np.ndarray
    weight: np.ndarray
    translations: np.ndarray


@njit(cache=True)
def primitive_atoms(species, frac, occupancy):
    """`PrimitiveAtoms` of all atoms of a cell."""
    order = np.argsort(species, kind="mergesort")
    x, weight, kinds = frac[order], occupancy[order], species[order]
    ends = np.flatnonzero(np.diff(kinds)) + 1
    starts = np.empty(ends.size + 2, np.int64)
    starts[0], starts[1:-1], starts[-1] = 0, ends, species.size
    first = kinds[starts[:-1]]
    translations = reduce_to_primitive(x, weight, starts, CENTRINGS)
    n = starts[-1]
    kinds = np.empty(n, np.int64)
    for i in range(len(first)):
        kinds[starts[i] : starts[i + 1]] = first[i]
    return PrimitiveAtoms(kinds, x[:n], weight[:n], translations)


@njit(cache=True)
def without_centred(indices, translations):
    """The indices without those that the centring of the lattice forbids."""
    hkl, begins = np.empty_like(indices.hkl), np.empty_like(indices.starts)
    m = 0
    for line in range(len(begins) - 1):
        begins[line] = m
        for i in range(indices.starts[line], indices.starts[line + 1]):
            allowed = True
            for t in translations:
                phase = indices.hkl[i, 0] * t[1] + indices.hkl[i, 1] * t[2] + indices.hkl[i, 2] * t[3]
                allowed = allowed and phase % t[0] == 0
            if allowed:
                hkl[m] = indices.hkl[i]
                m += 1
    begins[-1] = m
    return LineIndices(hkl[:m], begins)


@njit(cache=True)
def _before(one, other):
    """Whether `one` is the more usual name of a family: few minus signs, l not negative, h, k, l large."""
    minus, others = 0, 0
    for i in range(3):
        minus += one[i] < 0
        others += other[i] < 0
    if minus != others:
        return minus < others
    if (one[2] >= 0) != (other[2] >= 0):
        return one[2] >= 0
    for i in range(3):
        if one[i] != other[i]:
            return one[i] > other[i]
    return False


@njit(cache=True)
def _name_by_symmetry(hkl, rotations, name, image):
    """Write the usual one among the equivalents of `hkl` and their Friedel opposites to `name`."""
    name[:] = hkl
    for r in rotations:
        for i in range(3):
            image[i] = hkl[0] * r[0, i] + hkl[1] * r[1, i] + hkl[2] * r[2, i]
        if _before(image, name):
            name[:] = image
        for i in range(3):
            image[i] = -image[i]
        if _before(image, name):
            name[:] = image


@njit(cache=True)
def families_by_symmetry(indices, rotations):
    """`LineFamilies` of hkl that the point group makes equivalent.

    rotations  int64 (k, 3, 3), acting on coordinates
    """
    hkl, starts = indices
    m, n = len(hkl), len(starts) - 1
    names, sizes, family_of = np.empty((m, 3), np.int64), np.zeros(m, np.int64), np.full(m, -1)
    begins, f = np.empty(n + 1, np.int64), 0
    name, image = np.empty(3, np.int64), np.empty(3, np.int64)
    for line in range(n):
        begins[line] = f
        for i in range(starts[line], starts[line + 1]):
            _name_by_symmetry(hkl[i], rotations, name, image)
            here = begins[line]
            while here < f and not (names[here] == name).all():
                here += 1
            if here == f:
                names[f] = name
                f += 1
            sizes[here] += 2
            family_of[i] = here
    begins[n] = f
    return LineFamilies(names[:f], sizes[:f], family_of, begins, True)


@njit(cache=True)
def _sorted_indices(hkl, hexagonal, out):
    """|h|, |k|, |l| and, on hexagonal axes, |h + k|, ascending."""
    for i in range(3):
        out[i] = abs(hkl[i])
    out[3] = abs(hkl[0] + hkl[1]) if hexagonal else 0
    for i in range(1, 4):
        value, j = out[i], i
        while j > 0 and out[j - 1] > value:
            out[j] = out[j - 1]
            j -= 1
        out[j] = value


@njit(cache=True)
def families_by_permutation(indices, hexagonal, usual):
    """`LineFamilies` of hkl that differ by order and signs, which is all that is known without symmetry.

    hexagonal  whether the four indices h k i l of hexagonal axes are meant
    usual      whether the name is the usual one, else the largest hkl
    """
    hkl, starts = indices
    m, n = len(hkl), len(starts) - 1
    names, sizes, family_of = np.empty((m, 3), np.int64), np.zeros(m, np.int64), np.full(m, -1)
    keys, begins, f = np.empty((m, 4), np.int64), np.empty(n + 1, np.int64), 0
    key = np.empty(4, np.int64)
    for line in range(n):
        begins[line] = f
        for i in range(starts[line], starts[line + 1]):
            _sorted_indices(hkl[i], hexagonal, key)
            here = begins[line]
            while here < f and not (keys[here] == key).all():
                here += 1
            if here == f:
                # Entries are in descending order, so the first of a family is the largest.
                names[f], keys[f] = hkl[i], key
                f += 1
            elif usual and _before(hkl[i], names[here]):
                names[here] = hkl[i]
            sizes[here] += 2
            family_of[i] = here
    begins[n] = f
    return LineFamilies(names[:f], sizes[:f], family_of, begins, False)


@njit(cache=True)
def _waves(x, most):
    """exp(2 pi i m x), m = 0 to most: complex128 (most + 1, atoms)."""
    out = np.empty((most + 1, x.size), np.complex128)
    turn = np.exp(2j * math.pi * x)
    out[0] = 1.0
    for m in range(1, most + 1):
        for j in range(x.size):
            out[m, j] = out[m - 1, j] * turn[j]
    return out


@njit(cache=True)
def family_strengths(indices, families, d_star, atoms, settings):
    """|F|^2 of the families of those lines that have several, mean over their hkl: float64 (f,), else nan.

    atoms     of `primitive_atoms`
    settings  of `line_settings`
    """
    hkl, starts = indices
    family_of, begins = families.family_of, families.begins
    species, frac, occupancy, _ = atoms
    strengths = np.full(begins[-1], np.nan)
    if begins[-1] == len(begins) - 1:
        return strengths
    biggest = np.zeros(3, np.int64)
    for i in range(len(hkl)):
        for axis in range(3):
            biggest[axis] = max(biggest[axis], abs(hkl[i, axis]))
    along_h, along_k, along_l = (
        _waves(frac[:, 0].copy(), biggest[0]),
        _waves(frac[:, 1].copy(), biggest[1]),
        _waves(frac[:, 2].copy(), biggest[2]),
    )
    weight = np.empty(species.size)
    for line in range(len(begins) - 1):
        if begins[line + 1] - begins[line] < 2:
            continue
        s2 = 0.25 * d_star[line] ** 2
        for j in range(species.size):
            weight[j] = occupancy[j] * amplitude(settings.table[species[j]], s2, settings.width)
        damping = math.exp(-2.0 * settings.b_iso * s2)
        members = np.zeros(begins[line + 1] - begins[line])
        strengths[begins[line] : begins[line + 1]] = 0.0
        for i in range(starts[line], starts[line + 1]):
            family = family_of[i]
            if families.alike and members[family - begins[line]] > 0.0:
                continue
            h, k, l = hkl[i, 0], hkl[i, 1], hkl[i, 2]  # noqa: E741
            re, im = 0.0, 0.0
            for j in range(species.size):
                wave_k, wave_l = along_k[abs(k), j], along_l[abs(l), j]
                if k < 0:
                    wave_k = wave_k.conjugate()
                if l < 0:
                    wave_l = wave_l.conjugate()
                wave = along_h[h, j] * wave_k * wave_l
                re += weight[j] * wave.real
                im += weight[j] * wave.imag
            strengths[family] += (re * re + im * im) * damping
            members[family - begins[line]] += 1.0
        strengths[begins[line] : begins[line + 1]] /= members
    return strengths


class StrongFamilies(NamedTuple):
    """Families with intensity, the strongest of each line first.

    names, sizes, begins  as in `LineFamilies`
    strengths             float64 (f,), mean |F|^2 of their hkl
    """

    names: np.ndarray
    sizes: np.ndarray
    strengths: np.ndarray
    begins: np.ndarray


@njit(cache=True)
def strong_families(families, strengths, total):
    """`StrongFamilies` of lines: those that are more than rounding errors of their line.

    strengths  of `family_strengths`; total float64 (n,): |F|^2 summed over the hkl of each line
    """
    n, f = len(families.begins) - 1, 0
    names, sizes = families.names.copy(), families.sizes.copy()
    found, begins = np.empty(len(sizes)), np.empty(n + 1, np.int64)
    for line in range(n):
        begins[line] = f
        first, last = families.begins[line], families.begins[line + 1]
        sums = strengths[first:last] * families.sizes[first:last]
        if last == first + 1:
            sums[0] = total[line]
        order = np.argsort(-sums, kind="mergesort")
        for place in range(len(order)):
            one = order[place]
            if place == 0 or sums[one] > _ABSENT * total[line]:
                names[f], sizes[f] = families.names[first + one], families.sizes[first + one]
                found[f] = sums[one] / sizes[f]
                f += 1
    begins[n] = f
    return StrongFamilies(names[:f], sizes[:f], found[:f], begins)

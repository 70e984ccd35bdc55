"""Which hkl make up the lines of a crystal, and which of them belong together: the compiled part."""

import math
from typing import NamedTuple

import numpy as np

from xtinct.compiling import assign, njit
from xtinct.lattices.metric import write_reciprocal_metric
from xtinct.linelists.reflections import CENTRINGS, reduce_to_primitive
from xtinct.linelists.scattering import amplitude
from xtinct.linelists.structure_factors import EQUAL_D_OF_STRUCTURES, GOOD, lines_of_atoms
from xtinct.patterns.lorentz import geometric_factor

#: Rounding of 1/d^2 between two ways to sum it.
_ROUNDING = 1e-11
#: A family below this share of its line is absent: rounding errors.
_ABSENT = 1e-7
#: Families whose difference is below this share of their line are equally strong.
_EQUAL = 1e-6


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
def _lines_below(squares, limit):
    """For each of many equal parts of 0 to `limit` the last line that is surely below it, -1 if none is."""
    parts = 4 * squares.size
    below, line = np.empty(parts + 1, np.int64), -1
    for part in range(parts + 1):
        # Of rounding, one line too few is no harm: the search goes on from there.
        start = part * (limit / parts) * (1.0 - 1e-9)
        while line + 1 < squares.size and squares[line + 1] < start:
            line += 1
        below[part] = line
    return below


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
    below = _lines_below(squares, limit)
    per_bucket = (below.size - 1) / limit
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
                upper = square * (1.0 + _ROUNDING)
                line = below[min(below.size - 1, int(upper * per_bucket))]
                while line + 1 < n and squares[line + 1] <= upper:
                    line += 1
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
        assign(hkl[place[line_of[i]]], found[i])
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
    starts[0], starts[-1] = 0, species.size
    assign(starts[1:], ends)
    first = kinds[starts[:-1]]
    translations = reduce_to_primitive(x, weight, starts, CENTRINGS)
    n = starts[-1]
    kinds = np.empty(n, np.int64)
    for i in range(len(first)):
        for j in range(starts[i], starts[i + 1]):
            kinds[j] = first[i]
    return PrimitiveAtoms(kinds, x[:n], weight[:n], translations)


@njit(cache=True)
def without_centred(indices, translations):
    """The indices without those that the centring of the lattice forbids."""
    if len(translations) == 0:
        return indices
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
                assign(hkl[m], indices.hkl[i])
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


#: Indices of several axes are never as large as half of this: there are too few reflections for it.
_INDICES = 1 << 21


@njit(cache=True)
def _key(h, k, l):  # noqa: E741
    """One number for hkl and its Friedel opposite."""
    if h < 0 or (h == 0 and (k < 0 or (k == 0 and l < 0))):
        h, k, l = -h, -k, -l  # noqa: E741
    return (h * _INDICES + k) * _INDICES + l


@njit(cache=True)
def _keys(hkl):
    keys = np.empty(len(hkl), np.int64)
    for i in range(len(hkl)):
        keys[i] = _key(hkl[i, 0], hkl[i, 1], hkl[i, 2])
    return keys


@njit(cache=True)
def families_by_symmetry(indices, rotations):
    """`LineFamilies` of hkl that the point group makes equivalent.

    rotations  int64 (k, 3, 3), acting on coordinates
    """
    hkl, starts = indices
    m, n = len(hkl), len(starts) - 1
    names, sizes, family_of = np.empty((m, 3), np.int64), np.zeros(m, np.int64), np.full(m, -1)
    begins, f, keys = np.empty(n + 1, np.int64), 0, _keys(hkl)
    image = np.empty(3, np.int64)
    for line in range(n):
        begins[line] = f
        last = starts[line + 1]
        for i in range(starts[line], last):
            if family_of[i] >= 0:
                continue
            family_of[i], sizes[f] = f, 2
            assign(names[f], hkl[i])
            # The equivalents of the first of a family are all of it.
            for r in rotations:
                for axis in range(3):
                    image[axis] = hkl[i, 0] * r[0, axis] + hkl[i, 1] * r[1, axis] + hkl[i, 2] * r[2, axis]
                if _before(image, names[f]):
                    assign(names[f], image)
                key = _key(image[0], image[1], image[2])
                for other in range(i + 1, last):
                    if keys[other] == key:
                        if family_of[other] < 0:
                            family_of[other] = f
                            sizes[f] += 2
                        break
                for axis in range(3):
                    image[axis] = -image[axis]
                if _before(image, names[f]):
                    assign(names[f], image)
            f += 1
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
    keys, begins, f = np.empty((m, 2), np.int64), np.empty(n + 1, np.int64), 0
    indices_of = np.empty(4, np.int64)
    for line in range(n):
        begins[line] = f
        for i in range(starts[line], starts[line + 1]):
            _sorted_indices(hkl[i], hexagonal, indices_of)
            small = indices_of[0] * _INDICES + indices_of[1]
            large = indices_of[2] * _INDICES + indices_of[3]
            here = begins[line]
            while here < f and not (keys[here, 0] == small and keys[here, 1] == large):
                here += 1
            if here == f:
                # Entries are in descending order, so the first of a family is the largest.
                keys[f, 0], keys[f, 1] = small, large
                assign(names[f], hkl[i])
                f += 1
            elif usual and _before(hkl[i], names[here]):
                assign(names[here], hkl[i])
            sizes[here] += 2
            family_of[i] = here
    begins[n] = f
    return LineFamilies(names[:f], sizes[:f], family_of, begins, False)


@njit(cache=True)
def _waves(x, most):
    """Real and imaginary part of exp(2 pi i m x), m = 0 to most: float64 (most + 1, atoms) each."""
    re, im = np.empty((most + 1, x.size)), np.empty((most + 1, x.size))
    re[0], im[0] = 1.0, 0.0
    for j in range(x.size):
        turn_re, turn_im = math.cos(2.0 * math.pi * x[j]), math.sin(2.0 * math.pi * x[j])
        for m in range(1, most + 1):
            re[m, j] = re[m - 1, j] * turn_re - im[m - 1, j] * turn_im
            im[m, j] = re[m - 1, j] * turn_im + im[m - 1, j] * turn_re
    return re, im


@njit(cache=True, fastmath={"reassoc", "contract", "nsz"})
def _square_of_sum(weight, along_h, along_k, along_l):
    """|sum of weight x h x k x l|^2 of waves of the atoms along three axes, real and imaginary part each."""
    h_re, h_im = along_h
    k_re, k_im = along_k
    l_re, l_im = along_l
    re, im = 0.0, 0.0
    for j in range(weight.size):
        hk_re = h_re[j] * k_re[j] - h_im[j] * k_im[j]
        hk_im = h_re[j] * k_im[j] + h_im[j] * k_re[j]
        re += weight[j] * (hk_re * l_re[j] - hk_im * l_im[j])
        im += weight[j] * (hk_re * l_im[j] + hk_im * l_re[j])
    return re * re + im * im


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
    biggest, smallest = np.zeros(3, np.int64), np.zeros(3, np.int64)
    for i in range(len(hkl)):
        for axis in range(3):
            biggest[axis] = max(biggest[axis], hkl[i, axis])
            smallest[axis] = min(smallest[axis], hkl[i, axis])
    h_re, h_im = _waves(frac[:, 0].copy(), biggest[0])
    k_re, k_im = _waves(frac[:, 1].copy(), max(biggest[1], -smallest[1]))
    l_re, l_im = _waves(frac[:, 2].copy(), max(biggest[2], -smallest[2]))
    # Waves of negative indices are the conjugates.
    k_back, l_back = -k_im, -l_im
    weight = np.empty(species.size)
    for line in range(len(begins) - 1):
        first, last = begins[line], begins[line + 1]
        if last - first < 2:
            continue
        s2 = 0.25 * d_star[line] ** 2
        of_species, factor = -1, 0.0
        for j in range(species.size):
            if species[j] != of_species:
                of_species = species[j]
                factor = amplitude(settings.table[of_species], s2, settings.width)
            weight[j] = occupancy[j] * factor
        damping = math.exp(-2.0 * settings.b_iso * s2)
        members = np.zeros(last - first)
        strengths[first:last] = 0.0
        for i in range(starts[line], starts[line + 1]):
            family = family_of[i]
            if families.alike and members[family - first] > 0.0:
                continue
            h, k, l = hkl[i, 0], hkl[i, 1], hkl[i, 2]  # noqa: E741
            along_h = h_re[h], h_im[h]
            along_k = k_re[abs(k)], k_im[k] if k >= 0 else k_back[-k]
            along_l = l_re[abs(l)], l_im[l] if l >= 0 else l_back[-l]
            strengths[family] += _square_of_sum(weight, along_h, along_k, along_l) * damping
            members[family - first] += 1.0
        for family in range(first, last):
            strengths[family] /= members[family - first]
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
def _strongest_first(sums, names, tolerance):
    """Order of the families of a line; of equally strong ones the more usual name stands first."""
    order = np.empty(sums.size, np.int64)
    for one in range(sums.size):
        place = one
        while place > 0:
            other = order[place - 1]
            lead = sums[one] - sums[other]
            if lead < -tolerance or (lead <= tolerance and not _before(names[one], names[other])):
                break
            order[place] = other
            place -= 1
        order[place] = one
    return order


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
        if last == first + 1:
            names[f], sizes[f] = families.names[first], families.sizes[first]
            found[f] = total[line] / sizes[f]
            f += 1
            continue
        sums = strengths[first:last] * families.sizes[first:last]
        order = _strongest_first(sums, families.names[first:last], _EQUAL * total[line])
        for place in range(len(order)):
            one = order[place]
            if place == 0 or sums[one] > _ABSENT * total[line]:
                names[f], sizes[f] = families.names[first + one], families.sizes[first + one]
                found[f] = sums[one] / sizes[f]
                f += 1
    begins[n] = f
    return StrongFamilies(names[:f], sizes[:f], found[:f], begins)


class Naming(NamedTuple):
    """How hkl are put into families.

    rotations   int64 (k, 3, 3) of the point group; none where no symmetry is known
    hexagonal   without symmetry: whether the four indices h k i l of hexagonal axes are meant
    """

    rotations: np.ndarray
    hexagonal: bool


class LineContents(NamedTuple):
    """What `line_contents` returns; (n,) each.

    outcome       GOOD, or why nothing else counts
    hkl           int64 (n, 3), usual name of the strongest family
    multiplicity  int64, hkl of all families
    d             angstrom
    two_theta     degree
    f_squared     mean |F|^2 of the hkl
    intensity     multiplicity x f_squared x the geometric factor, the strongest 100
    strong        the families of each line
    """

    outcome: int
    hkl: np.ndarray
    multiplicity: np.ndarray
    d: np.ndarray
    two_theta: np.ndarray
    f_squared: np.ndarray
    intensity: np.ndarray
    strong: StrongFamilies


class Beam(NamedTuple):
    """Radiation and range: wavelength (angstrom), polarisation as in `geometric_factor`, least 1/d."""

    wavelength: float
    polarisation: float
    lowest: float


@njit(cache=True, nogil=True)
def line_contents(cell, atoms, settings, naming, beam):
    """Lines of a crystal with the hkl that make them up: `LineContents`.

    cell   float64 (6,), angstrom and degree
    atoms  species int64 (n,), frac float64 (n, 3), occupancy float64 (n,)
    """
    species, frac, occupancy = atoms
    d_star, total, outcome, _ = lines_of_atoms(cell, species, frac, occupancy, settings)
    if outcome != GOOD:
        hkl, counts, begins = np.empty((0, 3), np.int64), np.empty(0, np.int64), np.zeros(1, np.int64)
        none = StrongFamilies(hkl, counts, total, begins)
        return LineContents(outcome, hkl, counts, total, total, total, total, none)
    primitive = primitive_atoms(species, frac, occupancy)
    indices = without_centred(hkl_of_lines(cell, d_star), primitive.translations)
    by_symmetry = len(naming.rotations) > 0
    if by_symmetry:
        families = families_by_symmetry(indices, naming.rotations)
    else:
        # Not True itself, for which numba compiles the function once more.
        families = families_by_permutation(indices, naming.hexagonal, not by_symmetry)
    strengths = family_strengths(indices, families, d_star, primitive, settings)
    strong = strong_families(families, strengths, total)
    first = np.searchsorted(d_star, beam.lowest)
    n, largest = d_star.size - first, 0.0
    hkl, multiplicity = np.empty((n, 3), np.int64), np.zeros(n, np.int64)
    d, two_theta, f_squared, intensity = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    begins = strong.begins[first:]
    for line in range(n):
        assign(hkl[line], strong.names[begins[line]])
        for f in range(begins[line], begins[line + 1]):
            multiplicity[line] += strong.sizes[f]
        of_line, sine = total[first + line], 0.5 * beam.wavelength * d_star[first + line]
        d[line], two_theta[line] = 1.0 / d_star[first + line], math.degrees(2.0 * math.asin(sine))
        f_squared[line] = of_line / multiplicity[line]
        intensity[line] = of_line * geometric_factor(sine, math.sqrt(1.0 - sine * sine), beam.polarisation)
        largest = max(largest, intensity[line])
    for line in range(n):
        intensity[line] *= 100.0 / largest
    kept = StrongFamilies(strong.names, strong.sizes, strong.strengths, begins)
    return LineContents(outcome, hkl, multiplicity, d, two_theta, f_squared, intensity, kept)

"""Squared structure factors of a crystal, summed into powder lines.

F(hkl) = sum over atoms of occupancy f(s) exp(2 pi i h.x) over half of reciprocal space; phases come
from one-dimensional tables along each axis, so no sine is evaluated per reflection.
"""

import math

import numpy as np
from numba import njit

from xtinct.diffraction.lattice import metric_of
from xtinct.diffraction.ordering import ascending
from xtinct.diffraction.scattering import amplitude, scattering_table
from xtinct.errors import XtinctError

#: hkl whose 1/d^2 differ by less than this, relative, are one line of a structure. Cells are printed
#: with five and more digits and positions are stored as float32, which is no finer.
EQUAL_D_OF_STRUCTURES = 1e-7

#: Phase tables are made for slabs of reciprocal space of at most this many numbers: 1 MiB, a cache.
_SLAB = 1 << 17
#: Phase tables of one row of reciprocal space: above it the cell is no crystal's (512 MiB).
_ROW_LIMIT = 1 << 26


#: Outcomes of the compiled code.
_GOOD, _BAD_CELL, _BAD_SITE, _NO_SITES, _UNKNOWN, _TOO_MANY, _TOO_LONG, _NO_LINES = range(8)


class StructureRefusedError(XtinctError):
    """A structure whose lines cannot be computed; `reason` is one of REASONS."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


#: Why `structure_lines` refuses a structure.
REASONS = {
    "bad_cell": "lengths that are not positive and finite, or angles that no cell has",
    "bad_site": "coordinates or occupancies that are not finite, or negative occupancies",
    "no_sites": "no atoms",
    "unknown_scatterer": "an element without an entry in the table of the radiation",
    "too_many_reflections": "more reflections than max_reflections",
    "no_lines": "no line within d_star_max has any intensity",
}


def structure_lines(
    cell: np.ndarray,
    species: np.ndarray,
    frac: np.ndarray,
    occupancy: np.ndarray,
    *,
    d_star_max: float,
    b_iso: float = 0.0,
    radiation: str = "xray",
    intensity_floor: float = 1e-9,
    max_reflections: int = 2_000_000,
) -> tuple[np.ndarray, np.ndarray]:
    """Powder lines of a crystal given by all atoms of one cell.

    cell             float64 (6,): a b c in angstrom, alpha beta gamma in degrees
    species          int (n,), atomic number of each atom
    frac             float64 (n, 3), fractional coordinates
    occupancy        float64 (n,)
    d_star_max       largest 1/d, 1/angstrom
    b_iso            isotropic displacement factor of every atom, angstrom^2
    radiation        xray | neutron
    intensity_floor  lines weaker than this share of the strongest are left out: rounding errors of
                     absent ones
    max_reflections  most reflections of the half sphere; checked before any memory is taken

    Returns d_star float64 (m,), ascending, and intensity float64 (m,): |F|^2 summed over all hkl of
    equal d, Friedel opposites included, in electrons^2 (or fm^2) per cell. Raises
    StructureRefusedError with one of REASONS.
    """
    table, known, width = scattering_table(radiation, d_star_max)
    cell = np.ascontiguousarray(cell, dtype=np.float64)
    species = np.ascontiguousarray(species, dtype=np.int64)
    frac = np.ascontiguousarray(frac, dtype=np.float64)
    occupancy = np.ascontiguousarray(occupancy, dtype=np.float64)
    d_star, intensity, status, detail = _lines(
        cell,
        species,
        frac,
        occupancy,
        table,
        known,
        width,
        float(d_star_max),
        float(b_iso),
        float(intensity_floor),
        int(max_reflections),
    )
    if status != _GOOD:
        raise _refusal(status, detail, cell, radiation, d_star_max, max_reflections)
    return d_star, intensity


def _refusal(status, detail, cell, radiation, d_star_max, max_reflections) -> StructureRefusedError:
    axes = ", ".join(f"{x:.6g}" for x in cell)
    return {
        _BAD_CELL: lambda: StructureRefusedError("bad_cell", f"cell {axes} is none"),
        _BAD_SITE: lambda: StructureRefusedError(
            "bad_site", f"atom {int(detail) + 1}: coordinates and occupancy must be finite, occupancy >= 0"
        ),
        _NO_SITES: lambda: StructureRefusedError("no_sites", "no atoms in the cell"),
        _UNKNOWN: lambda: StructureRefusedError(
            "unknown_scatterer", f"atomic number {int(detail)} has no {radiation} scattering table"
        ),
        _TOO_MANY: lambda: StructureRefusedError(
            "too_many_reflections", f"{detail:.10g} reflections, max_reflections is {max_reflections}"
        ),
        _TOO_LONG: lambda: StructureRefusedError(
            "too_many_reflections", f"cell {axes}: rows of {detail:.3g} reflections"
        ),
        _NO_LINES: lambda: StructureRefusedError(
            "no_lines", f"no line up to 1/d = {d_star_max:g} has any intensity"
        ),
    }[status]()


@njit(cache=True)
def _span(a, b, c, low, high):
    """First and last integer x in [low, high] with a x^2 + b x + c <= 0; first > last if there is none."""
    root = b * b - 4.0 * a * c
    if root < 0.0:
        return 1, 0
    root = math.sqrt(root)
    first = math.ceil((-b - root) / (2.0 * a) - 1e-9)
    last = math.floor((-b + root) / (2.0 * a) + 1e-9)
    return max(low, int(first)), min(high, int(last))


@njit(cache=True)
def _k_span(g, h, limit, km):
    """k that some l brings within the sphere, for this h: the quadratic form minimised over l."""
    a = g[1, 1] - g[1, 2] * g[1, 2] / g[2, 2]
    b = 2.0 * h * (g[0, 1] - g[0, 2] * g[1, 2] / g[2, 2])
    c = h * h * (g[0, 0] - g[0, 2] * g[0, 2] / g[2, 2]) - limit
    first, last = _span(a, b, c, -km, km)
    return (max(first, 0) if h == 0 else first), last


@njit(cache=True)
def _l_span(g, h, k, limit, lm):
    """l within the sphere for this h and k, in the half h > 0, or h = 0 and k > 0, or h = k = 0 and l > 0."""
    b = 2.0 * (h * g[0, 2] + k * g[1, 2])
    c = h * h * g[0, 0] + k * k * g[1, 1] + 2.0 * h * k * g[0, 1] - limit
    first, last = _span(g[2, 2], b, c, -lm, lm)
    return (max(first, 1) if h == 0 and k == 0 else first), last


@njit(cache=True)
def _count(g, limit, hm, km, lm):
    count = 0
    for h in range(hm + 1):
        k0, k1 = _k_span(g, h, limit, km)
        for k in range(k0, k1 + 1):
            l0, l1 = _l_span(g, h, k, limit, lm)
            count += max(0, l1 - l0 + 1)
    return count


@njit(cache=True)
def _phases(x, first, amplitude_, out_re, out_im):
    """amplitude exp(2 pi i m x) for m = first, first + 1, ..., by recurrence restarted every 64 terms."""
    c, s = math.cos(2.0 * math.pi * x), math.sin(2.0 * math.pi * x)
    re, im = 0.0, 0.0
    for i in range(out_re.size):
        if i % 64 == 0:
            turn = (first + i) * x
            turn = 2.0 * math.pi * (turn - math.floor(turn))
            re, im = amplitude_ * math.cos(turn), amplitude_ * math.sin(turn)
        out_re[i], out_im[i] = re, im
        re, im = re * c - im * s, re * s + im * c


@njit(cache=True, fastmath={"contract"})
def _add_atom(c, s, e_re, e_im, f_re, f_im):
    for i in range(f_re.size):
        f_re[i] += c * e_re[i] - s * e_im[i]
        f_im[i] += c * e_im[i] + s * e_re[i]


@njit(cache=True, fastmath={"contract"})
def _add_two_atoms(c, s, e_re, e_im, c2, s2, e2_re, e2_im, f_re, f_im):
    # Two atoms in one pass halve the traffic of the sums.
    for i in range(f_re.size):
        f_re[i] += (c * e_re[i] - s * e_im[i]) + (c2 * e2_re[i] - s2 * e2_im[i])
        f_im[i] += (c * e_im[i] + s * e_re[i]) + (c2 * e2_im[i] + s2 * e2_re[i])


@njit(cache=True, fastmath={"contract"})
def _reflections(g, limit, hm, km, lm, x, occupancy, starts, cubics, width, d_star2, intensity):
    """1/d^2 and |F|^2 of every reflection of the half sphere; atoms x (n, 3) are sorted by species."""
    n, n_species = x.shape[0], starts.size - 1
    nl = 2 * lm + 1
    slab_rows = max(1, min(2 * km + 1, _SLAB // (2 * n * nl)))
    e_re = np.empty((n, slab_rows * nl))
    e_im = np.empty((n, slab_rows * nl))
    l_re, l_im = np.empty(nl), np.empty(nl)
    k_re, k_im = np.empty(slab_rows), np.empty(slab_rows)
    h_re, h_im = np.empty((n, hm + 1)), np.empty((n, hm + 1))
    f_re = np.empty((n_species, slab_rows * nl))
    f_im = np.empty((n_species, slab_rows * nl))
    for j in range(n):
        _phases(x[j, 0], 0, occupancy[j], h_re[j], h_im[j])
    count = 0
    for slab in range(-km, km + 1, slab_rows):
        slab_end = min(km, slab + slab_rows - 1)
        for j in range(n):
            _phases(x[j, 2], -lm, 1.0, l_re, l_im)
            _phases(x[j, 1], slab, 1.0, k_re, k_im)
            for k in range(slab_end - slab + 1):
                c, s = k_re[k], k_im[k]
                for i in range(nl):
                    e_re[j, k * nl + i] = c * l_re[i] - s * l_im[i]
                    e_im[j, k * nl + i] = c * l_im[i] + s * l_re[i]
        for h in range(hm + 1):
            k0, k1 = _k_span(g, h, limit, km)
            k0, k1 = max(k0, slab), min(k1, slab_end)
            if k1 < k0:
                continue
            a, b = (k0 - slab) * nl, (k1 - slab + 1) * nl
            for species in range(n_species):
                f_re[species, a:b] = 0.0
                f_im[species, a:b] = 0.0
                j = starts[species]
                while j + 1 < starts[species + 1]:
                    _add_two_atoms(
                        h_re[j, h], h_im[j, h], e_re[j, a:b], e_im[j, a:b],
                        h_re[j + 1, h], h_im[j + 1, h], e_re[j + 1, a:b], e_im[j + 1, a:b],
                        f_re[species, a:b], f_im[species, a:b],
                    )  # fmt: skip
                    j += 2
                if j < starts[species + 1]:
                    _add_atom(
                        h_re[j, h], h_im[j, h], e_re[j, a:b], e_im[j, a:b],
                        f_re[species, a:b], f_im[species, a:b],
                    )  # fmt: skip
            for k in range(k0, k1 + 1):
                l0, l1 = _l_span(g, h, k, limit, lm)
                row = (k - slab) * nl + lm
                b1 = 2.0 * (h * g[0, 2] + k * g[1, 2])
                c1 = h * h * g[0, 0] + k * k * g[1, 1] + 2.0 * h * k * g[0, 1]
                for l in range(l0, l1 + 1):  # noqa: E741
                    d2 = (g[2, 2] * l + b1) * l + c1
                    re, im = 0.0, 0.0
                    for species in range(n_species):
                        f = amplitude(cubics[species], 0.25 * d2, width)
                        re += f * f_re[species, row + l]
                        im += f * f_im[species, row + l]
                    d_star2[count] = d2
                    intensity[count] = re * re + im * im
                    count += 1


@njit(cache=True)
def _merge(d_star2, intensity, limit, b_iso):
    """Lines of equal 1/d^2: positions and sums over both Friedel opposites, ascending."""
    n = d_star2.size
    order = np.empty(n, np.int32)
    ascending(d_star2, n, limit, order, np.empty(n + 1, np.int32))
    lines, first = -1, -1.0
    position, total = np.empty(n), np.empty(n)
    for i in range(n):
        d2 = d_star2[order[i]]
        if d2 - first > EQUAL_D_OF_STRUCTURES * d2:
            lines += 1
            position[lines], total[lines] = d2, 0.0
            first = d2
        total[lines] += intensity[order[i]]
    lines += 1
    for i in range(lines):
        # exp(-2 B s^2) with s^2 = 1 / (4 d^2); 2: the other half of reciprocal space.
        total[i] *= 2.0 * math.exp(-0.5 * b_iso * position[i])
    return position[:lines], total[:lines]


@njit(cache=True)
def _check(cell, metric, species, frac, occupancy, known, d_star_max, max_reflections):
    """Outcome and detail, from the arguments alone and before any memory is taken."""
    if species.size == 0:
        return _NO_SITES, 0.0
    if not metric_of(cell, metric):
        return _BAD_CELL, 0.0
    for j in range(species.size):
        finite = math.isfinite(frac[j, 0]) and math.isfinite(frac[j, 1]) and math.isfinite(frac[j, 2])
        if not (finite and 0.0 <= occupancy[j] < math.inf):
            return _BAD_SITE, float(j)
        if not (1 <= species[j] < known.size and known[species[j]]):
            return _UNKNOWN, float(species[j])
    g11, g22, g33, g23, g13, g12 = metric
    reciprocal2 = (
        g11 * (g22 * g33 - g23 * g23) - g12 * (g12 * g33 - g23 * g13) + g13 * (g12 * g23 - g22 * g13)
    )
    # Lattice points in a sphere follow its volume; the exact count comes next.
    expected = 2.0 * math.pi / 3.0 * d_star_max**3 / math.sqrt(max(reciprocal2, 1e-300))
    if expected > 1.2 * max_reflections + 1000.0:
        return _TOO_MANY, expected
    short, middle, long = np.sort(cell[:3]) * d_star_max
    rows, row = (short + 1.0) * (2.0 * middle + 1.0), 2.0 * long + 1.0
    if rows > 8.0 * max_reflections + 1e6 or row * species.size * 2.0 > _ROW_LIMIT:
        return _TOO_LONG, row
    return _GOOD, 0.0


@njit(cache=True)
def _lines(
    cell,
    species,
    frac,
    occupancy,
    table,
    known,
    width,
    d_star_max,
    b_iso,
    intensity_floor,
    max_reflections,
):
    """(1/d, intensity, outcome, detail) of all lines; empty unless the outcome is _GOOD."""
    nothing = np.empty(0)
    metric = np.empty(6)
    status, detail = _check(cell, metric, species, frac, occupancy, known, d_star_max, max_reflections)
    if status != _GOOD:
        return nothing, nothing, status, detail
    # The shortest axis becomes the outer loop, the two others the long inner ones.
    lengths = cell[:3]
    axes = np.argsort(lengths)
    full = np.empty((3, 3))
    full[0, 0], full[1, 1], full[2, 2] = metric[0], metric[1], metric[2]
    full[1, 2] = full[2, 1] = metric[3]
    full[0, 2] = full[2, 0] = metric[4]
    full[0, 1] = full[1, 0] = metric[5]
    g = np.empty((3, 3))
    for i in range(3):
        for j in range(3):
            g[i, j] = full[axes[i], axes[j]]
    limit = d_star_max * d_star_max * (1.0 + 1e-12)
    hm = int(d_star_max * lengths[axes[0]] + 1e-9)
    km = int(d_star_max * lengths[axes[1]] + 1e-9)
    lm = int(d_star_max * lengths[axes[2]] + 1e-9)
    count = _count(g, limit, hm, km, lm)
    if count > max_reflections:
        return nothing, nothing, _TOO_MANY, float(count)
    n = species.size
    order = np.argsort(species, kind="mergesort")
    x, weight = np.empty((n, 3)), np.empty(n)
    starts = np.empty(n + 1, np.int64)
    n_species = 0
    for j in range(n):
        atom = order[j]
        if j == 0 or species[atom] != species[order[j - 1]]:
            starts[n_species] = j
            n_species += 1
        weight[j] = occupancy[atom]
        for i in range(3):
            x[j, i] = frac[atom, axes[i]]
    starts[n_species] = n
    starts = starts[: n_species + 1]
    cubics = np.empty((n_species, table.shape[1], 4))
    for i in range(n_species):
        cubics[i] = table[species[order[starts[i]]]]
    d_star2, intensity = np.empty(count), np.empty(count)
    _reflections(g, limit, hm, km, lm, x, weight, starts, cubics, width, d_star2, intensity)
    position, total = _merge(d_star2, intensity, limit, b_iso)
    largest = 0.0
    for i in range(total.size):
        largest = max(largest, total[i])
    kept = 0
    for i in range(total.size):
        if total[i] > intensity_floor * largest:
            position[kept], total[kept] = math.sqrt(position[i]), total[i]
            kept += 1
    if kept == 0:
        return nothing, nothing, _NO_LINES, 0.0
    return position[:kept].copy(), total[:kept].copy(), _GOOD, 0.0

"""Squared structure factors of a crystal, summed into powder lines.

The sums over the atoms are in `reflections`; here are the checks, the choice of axes and the lines.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Required, TypedDict, Unpack

import numpy as np

from xtinct.compiling import assign, njit
from xtinct.errors import XtinctError
from xtinct.lattices.metric import write_reciprocal_metric
from xtinct.linelists.ordering import ascending
from xtinct.linelists.reflections import (
    CENTRINGS,
    Amplitudes,
    Contents,
    Sphere,
    Texture,
    count_reflections,
    reduce_to_primitive,
    reflections,
)
from xtinct.linelists.scattering import N_SCATTERERS, scattering_table

#: hkl whose 1/d^2 differ by less than this, relative, are one line of a structure. Cells are printed
#: with five and more digits and positions are stored as float32, which is no finer.
EQUAL_D_OF_STRUCTURES = 1e-7

#: Largest 1/d that is asked for, 1/angstrom, and most reflections (half sphere): 2 GiB for either.
D_STAR_LIMIT, REFLECTIONS_LIMIT = 10.0, 50_000_000

#: Phase tables of one row of reciprocal space: above it the cell is no crystal's (512 MiB).
_ROW_LIMIT = 1 << 26


_NO_DISPERSION = np.zeros((N_SCATTERERS, 2))

#: Outcomes of the compiled code.
GOOD, _BAD_CELL, _BAD_SITE, _NO_SITES, _UNKNOWN, _TOO_MANY, _TOO_LONG, _NO_LINES = range(8)


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


class LineOptions(TypedDict, total=False):
    """How lines are computed; `d_star_max` must be given.

    d_star_max       largest 1/d, 1/angstrom
    b_iso            isotropic displacement factor of every atom, angstrom^2
    radiation        xray | neutron
    dispersion       float64 (121, 2): f' and f'' of each atomic number, electrons (see
                     `gemmi_tables.dispersion`); None: none
    preferred_axis   hkl of the direction that crystallites prefer
    march_r          r of March and Dollase, 1 for no preferred orientation
    intensity_floor  lines weaker than this share of the strongest are left out: rounding errors of
                     absent ones
    max_reflections  most reflections of the half sphere; checked before any memory is taken
    """

    d_star_max: Required[float]
    b_iso: float
    radiation: str
    dispersion: np.ndarray | None
    preferred_axis: Sequence[float]
    march_r: float
    intensity_floor: float
    max_reflections: int


#: What is taken for options that are left out.
_DEFAULTS = {
    "b_iso": 0.0,
    "radiation": "xray",
    "dispersion": None,
    "preferred_axis": (0, 0, 1),
    "march_r": 1.0,
    "intensity_floor": 1e-9,
    "max_reflections": 2_000_000,
}


class LineSettings(NamedTuple):
    """`LineOptions` as the compiled code takes them.

    table, known, width  of `scattering.scattering_table`
    dispersion           float64 (121, 2)
    axis                 float64 (3,), hkl of the preferred direction
    """

    table: np.ndarray
    known: np.ndarray
    width: float
    dispersion: np.ndarray
    axis: np.ndarray
    march_r: float
    d_star_max: float
    b_iso: float
    intensity_floor: float
    max_reflections: int


def structure_lines(
    cell: np.ndarray,
    species: np.ndarray,
    frac: np.ndarray,
    occupancy: np.ndarray,
    **options: Unpack[LineOptions],
) -> tuple[np.ndarray, np.ndarray]:
    """Powder lines of a crystal given by all atoms of one cell.

    cell       float64 (6,): a b c in angstrom, alpha beta gamma in degrees
    species    int (n,), atomic number of each atom; 119 for deuterium, 120 for tritium
    frac       float64 (n, 3), fractional coordinates
    occupancy  float64 (n,)
    options    see `LineOptions`

    Returns d_star float64 (m,), ascending, and intensity float64 (m,): |F|^2 summed over all hkl of
    equal d, Friedel opposites included, in electrons^2 (or fm^2) per cell. Raises
    StructureRefusedError with one of REASONS.
    """
    settings = line_settings(**options)
    cell = np.ascontiguousarray(cell, dtype=np.float64)
    species = np.ascontiguousarray(species, dtype=np.int64)
    frac = np.ascontiguousarray(frac, dtype=np.float64)
    occupancy = np.ascontiguousarray(occupancy, dtype=np.float64)
    d_star, intensity, status, detail = lines_of_atoms(cell, species, frac, occupancy, settings)
    if status != GOOD:
        raise _refusal(status, detail, cell, options)
    return d_star, intensity


def line_settings(**options: Unpack[LineOptions]) -> LineSettings:
    """The options for `lines_of_atoms`.

    XtinctError for values that have no meaning or that no machine has the memory for.
    """
    unknown = sorted(set(options) - set(LineOptions.__annotations__))
    if unknown or "d_star_max" not in options:
        raise TypeError(f"lines: unknown options {unknown}" if unknown else "lines: d_star_max is missing")
    given = _DEFAULTS | options
    d_star_max, b_iso, dispersion = given["d_star_max"], given["b_iso"], given["dispersion"]
    march_r, intensity_floor = given["march_r"], given["intensity_floor"]
    max_reflections = given["max_reflections"]
    if not 0 < d_star_max <= D_STAR_LIMIT:
        raise XtinctError(
            f"d_star_max {d_star_max:g} 1/angstrom: expected more than 0 and at most {D_STAR_LIMIT:g}"
        )
    if not 1 <= max_reflections <= REFLECTIONS_LIMIT:
        raise XtinctError(f"max_reflections {max_reflections}: expected 1 to {REFLECTIONS_LIMIT}")
    if not 0 <= b_iso < math.inf:
        raise XtinctError(f"b_iso {b_iso:g} angstrom^2: expected 0 or more")
    if not 0 <= intensity_floor < 1:
        raise XtinctError(f"intensity_floor {intensity_floor:g}: expected at least 0 and less than 1")
    table, known, width = scattering_table(given["radiation"], d_star_max)
    axis = np.array(given["preferred_axis"], dtype=np.float64)
    if not (np.isfinite(axis).all() and axis.any() and 0 < march_r < math.inf):
        raise XtinctError(
            f"lines.march_dollase: axis {axis.tolist()}, r {march_r}; expected an axis that is not 0 0 0 and "
            "a positive r"
        )
    terms = np.ascontiguousarray(
        _NO_DISPERSION if dispersion is None else dispersion, dtype=np.float64
    ).view()
    terms.flags.writeable = False  # as those of a wavelength are: compiled code then serves all
    return LineSettings(
        table,
        known,
        width,
        terms,
        axis,
        float(march_r),
        float(d_star_max),
        float(b_iso),
        float(intensity_floor),
        int(max_reflections),
    )


def preferred_orientation(lines: Mapping[str, object]) -> dict[str, object]:
    """Arguments of `structure_lines` for `march_dollase` of the configuration's `lines`, if it is there."""
    texture = lines.get("march_dollase")
    return {"preferred_axis": texture["axis"], "march_r": texture["r"]} if texture else {}


def _refusal(status, detail, cell, options: LineOptions) -> StructureRefusedError:
    given = _DEFAULTS | options
    axes = ", ".join(f"{x:.6g}" for x in cell)
    return {
        _BAD_CELL: lambda: StructureRefusedError("bad_cell", f"cell {axes} is none"),
        _BAD_SITE: lambda: StructureRefusedError(
            "bad_site", f"atom {int(detail) + 1}: coordinates and occupancy must be finite, occupancy >= 0"
        ),
        _NO_SITES: lambda: StructureRefusedError("no_sites", "no atoms in the cell"),
        _UNKNOWN: lambda: StructureRefusedError(
            "unknown_scatterer", f"atomic number {int(detail)} has no {given['radiation']} scattering table"
        ),
        _TOO_MANY: lambda: StructureRefusedError(
            "too_many_reflections",
            f"{detail:.10g} reflections, max_reflections is {given['max_reflections']}",
        ),
        _TOO_LONG: lambda: StructureRefusedError(
            "too_many_reflections", f"cell {axes}: rows of {detail:.3g} reflections"
        ),
        _NO_LINES: lambda: StructureRefusedError(
            "no_lines", f"no line up to 1/d = {given['d_star_max']:g} has any intensity"
        ),
    }[status]()


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
def _check(cell, metric, species, frac, occupancy, settings):
    """Outcome and detail, from the arguments alone and before any memory is taken."""
    known, d_star_max, max_reflections = settings.known, settings.d_star_max, settings.max_reflections
    if species.size == 0:
        return _NO_SITES, 0.0
    if not write_reciprocal_metric(cell, metric):
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
    short, long = min(cell[0], cell[1], cell[2]), max(cell[0], cell[1], cell[2])
    middle = cell[0] + cell[1] + cell[2] - short - long
    short, middle, long = short * d_star_max, middle * d_star_max, long * d_star_max
    rows, row = (short + 1.0) * (2.0 * middle + 1.0), 2.0 * long + 1.0
    if rows > 8.0 * max_reflections + 1e6 or row * species.size * 2.0 > _ROW_LIMIT:
        return _TOO_LONG, row
    return GOOD, 0.0


@njit(cache=True)
def _order_of_axes(cell, metric):
    """Axes for h, k and l: l orthogonal to the two others if one is, else the longest; h the shortest."""
    last, right = 0, False
    for i in range(3):
        orthogonal = metric[i, (i + 1) % 3] == 0.0 and metric[i, (i + 2) % 3] == 0.0
        if i == 0 or orthogonal > right or (orthogonal == right and cell[i] > cell[last]):
            last, right = i, orthogonal
    first, second = (last + 1) % 3, (last + 2) % 3
    return (first, second, last) if cell[first] <= cell[second] else (second, first, last)


@njit(cache=True)
def _direction(metric, hkl):
    """Vector v for which h . v is the component of h along the reciprocal vector hkl, 1/angstrom."""
    v, square = np.zeros(3), 0.0
    for i in range(3):
        for j in range(3):
            v[i] += metric[i, j] * hkl[j]
        square += v[i] * hkl[i]
    return v / math.sqrt(square)


@njit(cache=True)
def _by_species(species):
    """Indices that sort atomic numbers ascending, stable, and where each number begins (and the end)."""
    ends = np.zeros(species.max() + 2, np.int64)
    for z in species:
        ends[z + 1] += 1
    found = 0
    for z in range(ends.size - 1):
        found += ends[z + 1] > 0
        ends[z + 1] += ends[z]
    starts, order = np.empty(found + 1, np.int64), np.empty(species.size, np.int64)
    found = 0
    for z in range(ends.size - 1):
        if ends[z + 1] > ends[z]:
            starts[found] = ends[z]
            found += 1
    starts[found] = species.size
    for j in range(species.size):
        order[ends[species[j]]] = j
        ends[species[j]] += 1
    return order, starts


@njit(cache=True, nogil=True)
def lines_of_atoms(cell, species, frac, occupancy, settings):
    """(1/d, intensity, outcome, detail) of all lines; empty unless the outcome is GOOD.

    Compiled; the atoms as for `structure_lines`, int64 and float64; settings of `line_settings`.
    """
    table, dispersion, d_star_max = settings.table, settings.dispersion, settings.d_star_max
    nothing = np.empty(0)
    metric = np.empty(6)
    status, detail = _check(cell, metric, species, frac, occupancy, settings)
    if status != GOOD:
        return nothing, nothing, status, detail
    full = np.empty((3, 3))
    full[0, 0], full[1, 1], full[2, 2] = metric[0], metric[1], metric[2]
    full[1, 2] = full[2, 1] = metric[3]
    full[0, 2] = full[2, 0] = metric[4]
    full[0, 1] = full[1, 0] = metric[5]
    axes = _order_of_axes(cell, full)
    g = np.empty((3, 3))
    for i in range(3):
        for j in range(3):
            g[i, j] = full[axes[i], axes[j]]
    limit = d_star_max * d_star_max * (1.0 + 1e-12)
    hm = int(d_star_max * cell[axes[0]] + 1e-9)
    km = int(d_star_max * cell[axes[1]] + 1e-9)
    lm = int(d_star_max * cell[axes[2]] + 1e-9)
    sphere = Sphere(g, limit, hm, km, lm)
    count = count_reflections(sphere)
    if count > settings.max_reflections:
        return nothing, nothing, _TOO_MANY, float(count)
    order, starts = _by_species(species)
    x, weight = np.empty((species.size, 3)), np.empty(species.size)
    for j in range(species.size):
        weight[j] = occupancy[order[j]]
        for i in range(3):
            x[j, i] = frac[order[j], axes[i]]
    cubics = np.empty((starts.size - 1, table.shape[1], 4))
    for i in range(starts.size - 1):
        kind = species[order[starts[i]]]
        for k in range(table.shape[1]):
            assign(cubics[i, k], table[kind, k])
            cubics[i, k, 0] += dispersion[kind, 0]
    imaginary = np.empty(starts.size - 1)
    for i in range(imaginary.size):
        imaginary[i] = dispersion[species[order[starts[i]]], 1]
    translations = reduce_to_primitive(x, weight, starts, CENTRINGS)
    x, weight = x[: starts[-1]], weight[: starts[-1]]
    d_star2, intensity = np.empty(count), np.empty(count)
    axis = _direction(full, settings.axis)
    axis = np.array([axis[axes[0]], axis[axes[1]], axis[axes[2]]])
    contents, amplitudes = Contents(x, weight, starts, translations), Amplitudes(cubics, settings.width)
    texture = Texture(axis, settings.march_r)
    count = reflections(sphere, contents, amplitudes, texture, d_star2, intensity)
    if imaginary.any():
        # |F|^2 of hkl and of its Friedel opposite together: f + if'' = f0 + f' + if'' gives
        # 2 |sum f ...|^2 + 2 |sum f'' ...|^2.
        cubics[:] = 0.0
        for i in range(imaginary.size):
            for k in range(cubics.shape[1]):
                cubics[i, k, 0] = imaginary[i]
        second = np.empty(d_star2.size)
        reflections(sphere, contents, amplitudes, texture, d_star2, second)
        for i in range(count):
            intensity[i] += second[i]
    d_star2, intensity = d_star2[:count], intensity[:count]
    position, total = _merge(d_star2, intensity, limit, settings.b_iso)
    largest = 0.0
    for i in range(total.size):
        largest = max(largest, total[i])
    kept = 0
    for i in range(total.size):
        if total[i] > settings.intensity_floor * largest:
            position[kept], total[kept] = math.sqrt(position[i]), total[i]
            kept += 1
    if kept == 0:
        return nothing, nothing, _NO_LINES, 0.0
    return position[:kept].copy(), total[:kept].copy(), GOOD, 0.0

"""The powder lines of a crystal, each with its hkl: what `xtinct.lines` returns."""

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from xtinct.crystals.hkl_families import Beam, Naming, StrongFamilies, line_contents
from xtinct.crystals.line_text import COLUMNS, hkl_text
from xtinct.errors import XtinctError
from xtinct.extras import names_extra
from xtinct.linelists.structure_factors import (
    D_STAR_LIMIT,
    GOOD,
    LineSettings,
    StructureRefusedError,
    line_settings,
    lines_of_atoms,
    structure_lines,
)
from xtinct.radiation.tubes import radiation_of
from xtinct.radiation.wavelength import check_wavelength
from xtinct.sources.given import atoms_of, filled_cell_of, refused_in_one_line
from xtinct.structures.crystal import Crystal, cell_of_basis
from xtinct.structures.filling import FilledCell
from xtinct.structures.groups import NamedOperations, metric_tensor
from xtinct.structures.standard import standardise
from xtinct.symmetry.operations import hermann_mauguin, operations

#: Lines weaker than this share of the strongest |F|^2 are absent: rounding errors.
_ABSENT = 1e-9
#: Length and angle by which a cell may miss hexagonal axes and still be named with four indices in mind.
_HEXAGONAL = 1e-5
_NO_ROTATIONS = np.empty((0, 3, 3), dtype=np.int64)


@dataclass(frozen=True)
class HklFamily:
    """hkl of one line that symmetry makes equivalent (or, without symmetry, that order and signs tell apart).

    hkl           the usual one of them: 2 0 0, not 0 0 2, in a cubic cell
    multiplicity  how many there are, Friedel opposites included
    f_squared     |F|^2 of one of them, electrons^2 or fm^2 per cell
    """

    hkl: tuple[int, int, int]
    multiplicity: int
    f_squared: float


@dataclass(frozen=True)
class LinesOfCrystal:
    """Powder lines of a crystal, in the order of their angle.

    hkl           int64 (n, 3), usual name of the strongest family of each line
    multiplicity  int64 (n,), hkl of the line, all families and Friedel opposites together
    d             float64 (n,), angstrom
    two_theta     float64 (n,), degree
    f_squared     float64 (n,), mean |F|^2 of these hkl, electrons^2 (X-rays) or fm^2 (neutrons) per cell
    intensity     float64 (n,): multiplicity x f_squared x the geometric factor, the strongest 100
    cell          float64 (6,), angstrom and degree, of the axes that hkl refer to
    space_group   "F d -3 m (227)" and where it comes from; the structure as written has none
    wavelength    angstrom
    radiation     xray or neutron
    """

    hkl: np.ndarray
    multiplicity: np.ndarray
    d: np.ndarray
    two_theta: np.ndarray
    f_squared: np.ndarray
    intensity: np.ndarray
    _strong: StrongFamilies = field(repr=False)
    cell: np.ndarray
    space_group: str
    wavelength: float
    radiation: str

    def __len__(self) -> int:
        return len(self.d)

    @cached_property
    def families(self) -> tuple[tuple[HklFamily, ...], ...]:
        """For each line its families, the strongest first: all hkl that coincide."""
        names, sizes, strengths, begins = (array.tolist() for array in self._strong)
        each = list(map(HklFamily, map(tuple, names), sizes, strengths))
        return tuple(tuple(each[a:b]) for a, b in pairwise(begins))

    def __str__(self) -> str:
        rows = [COLUMNS, *self.text_rows()]
        widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
        table = [
            "  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)) for row in rows
        ]
        return "\n".join([*self.heading(), "", *table])

    def heading(self) -> list[str]:
        """Crystal, cell and radiation in lines of text."""
        lengths = " ".join(f"{value:.5f}" for value in self.cell[:3])
        angles = " ".join(f"{value:.6g}" for value in self.cell[3:])
        unit = "electrons^2" if self.radiation == "xray" else "fm^2"
        name = {"xray": "X-rays", "neutron": "neutrons"}[self.radiation]
        return [
            f"space group: {self.space_group}",
            f"cell: {lengths} angstrom, {angles} degrees",
            f"{name} of {self.wavelength:.6g} angstrom; |F|^2 in {unit} per cell, mean over hkl",
        ]

    def text_rows(self) -> Iterator[tuple[str, ...]]:
        """Rows of COLUMNS as text; further families that coincide stand behind the first hkl."""
        for i, families in enumerate(self.families):
            yield (
                " = ".join(hkl_text(family.hkl) for family in families),
                str(self.multiplicity[i]),
                f"{self.d[i]:.5f}",
                f"{self.two_theta[i]:.4f}",
                f"{self.f_squared[i]:.4g}",
                f"{self.intensity[i]:.2f}",
            )

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain numbers and texts, for JSON."""
        return {
            "space_group": self.space_group,
            "cell": self.cell.tolist(),
            "wavelength": self.wavelength,
            "radiation": self.radiation,
            "lines": [
                {
                    "hkl": self.hkl[i].tolist(),
                    "multiplicity": int(self.multiplicity[i]),
                    "d": float(self.d[i]),
                    "two_theta": float(self.two_theta[i]),
                    "f_squared": float(self.f_squared[i]),
                    "intensity": float(self.intensity[i]),
                    "families": [
                        {"hkl": list(f.hkl), "multiplicity": f.multiplicity, "f_squared": f.f_squared}
                        for f in families
                    ],
                }
                for i, families in enumerate(self.families)
            ],
        }

    def to_csv(self) -> str:
        """CSV text with a heading; `hkl` holds all families, the strongest first."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(("h", "k", "l", "multiplicity", "d", "two_theta", "f_squared", "intensity", "hkl"))
        for i, families in enumerate(self.families):
            values = (self.d[i], self.two_theta[i], self.f_squared[i], self.intensity[i])
            names = " = ".join(" ".join(map(str, family.hkl)) for family in families)
            writer.writerow(
                (*self.hkl[i].tolist(), int(self.multiplicity[i]), *(f"{x:.8g}" for x in values), names)
            )
        return out.getvalue()

    def plot(self, path: str | Path, title: str = "") -> None:
        """Write a picture of the lines with tick marks: .svg, .png or .html (which holds the table too)."""
        from xtinct.crystals.lines_picture import write_lines_picture

        write_lines_picture(self, path, title)


@names_extra
def lines(
    structure: Any,
    wavelength: float | str = "CuKa1",
    *,
    radiation: str = "xray",
    two_theta_range: tuple[float, float] = (0.0, 90.0),
    b_iso: float = 0.0,
    symprec: float | None = 0.01,
) -> LinesOfCrystal:
    """Powder lines of a crystal structure with their hkl.

    structure        CIF or POSCAR text, the path of such a file, a pymatgen Structure, a gemmi
                     SmallStructure, or an ASE Atoms
    wavelength       angstrom, or a name: CuKa1; CuKa is the mean of the doublet by intensity
    radiation        xray or neutron
    two_theta_range  degree
    b_iso            displacement factor of every atom, angstrom^2
    symprec          where the structure states its space group, that is its symmetry, on its own axes. Where
                     it states none, or P1, or rhombohedral axes, symmetry is found within `symprec`
                     (angstrom), and hkl refer to the conventional cell. None: the structure as it is
                     written; lines are merged by d alone, and families are hkl that differ by order and signs

    Intensities have the Lorentz-polarisation factor of an unpolarised source, (1 + cos^2 2theta) /
    (sin^2 theta cos theta), for neutrons without the polarisation; form factors are those of neutral atoms
    (International Tables C) without dispersion. XtinctError if there is no structure in `structure`, or no
    line in the range.
    """
    length = wavelength_of(wavelength)
    low, high = _checked_range(two_theta_range)
    d_star_max = _reach(length, high)
    with refused_in_one_line():
        filled = filled_cell_of(structure)
        settled = _as_written(filled) if symprec is None else _symmetric(filled, symprec)
    atoms = kernel_atoms(settled.crystal)
    settings = _settings(d_star_max, radiation, b_iso)
    beam = Beam(length, float(radiation == "xray"), 2.0 * math.sin(math.radians(low / 2)) / length)
    found = line_contents(settled.crystal.cell, atoms, settings, settled.naming, beam)
    if found.outcome != GOOD:
        raise _refused(settled.crystal.cell, atoms, settings, radiation, _no_lines(low, high, length))
    if not len(found.d):
        raise _no_lines(low, high, length)
    return LinesOfCrystal(
        *found[1:],
        settled.crystal.cell,
        settled.space_group,
        length,
        radiation,
    )


@lru_cache(maxsize=2)
def _settings(d_star_max: float, radiation: str, b_iso: float) -> LineSettings:
    return line_settings(d_star_max=d_star_max, radiation=radiation, b_iso=b_iso, intensity_floor=_ABSENT)


def _refused(
    cell: np.ndarray,
    atoms: tuple[np.ndarray, ...],
    settings: LineSettings,
    radiation: str,
    no_lines: XtinctError,
) -> XtinctError:
    """Why there are no lines, in words."""
    try:
        checked_lines(cell, atoms, settings, radiation)
    except StructureRefusedError as refused:
        if refused.reason == "no_lines":
            return no_lines
        hint = "; ask for a smaller range" if refused.reason == "too_many_reflections" else ""
        return XtinctError(f"structure: {refused}{hint}")
    raise AssertionError("lines that were refused are there")  # pragma: no cover


def _no_lines(low: float, high: float, length: float) -> XtinctError:
    return XtinctError(f"lines: none between {low:g} and {high:g} degrees at {length:g} angstrom")


def wavelength_of(wavelength: float | str) -> float:
    """One wavelength, angstrom, of a number or a name; of a doublet the mean by intensity."""
    if isinstance(wavelength, str):
        found = radiation_of(wavelength)
        return found.given or found.mean
    check_wavelength("wavelength", float(wavelength))
    return float(wavelength)


def kernel_atoms(crystal: Crystal) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scatterers int64, coordinates and occupancies float64, contiguous, as compiled code takes them."""
    species, frac, occupancy = atoms_of(crystal)
    return (
        species.astype(np.int64, copy=False),
        np.ascontiguousarray(frac),
        occupancy.astype(np.float64, copy=False),
    )


def checked_lines(
    cell: np.ndarray, atoms: tuple[np.ndarray, ...], settings: LineSettings, radiation: str
) -> tuple[np.ndarray, np.ndarray]:
    """1/d and summed |F|^2 of all lines; StructureRefusedError with its reason."""
    d_star, total, outcome, _ = lines_of_atoms(cell, *atoms, settings)
    if outcome != GOOD:
        # Asked again for its words.
        structure_lines(
            cell, *atoms, d_star_max=settings.d_star_max, radiation=radiation, b_iso=settings.b_iso
        )
    return d_star, total


@dataclass(frozen=True)
class _Settled:
    """A crystal on the axes that hkl will refer to; rotations int64 (k, 3, 3), None: no symmetry."""

    crystal: Crystal
    rotations: np.ndarray | None
    space_group: str

    @property
    def naming(self) -> Naming:
        if self.rotations is not None:
            return Naming(self.rotations, False)
        a, b, *_, gamma = self.crystal.cell.tolist()
        hexagonal = abs(a - b) < _HEXAGONAL * a and abs(abs(gamma - 90) - 30) < _HEXAGONAL
        return Naming(_NO_ROTATIONS, hexagonal)


def _as_written(filled: FilledCell) -> _Settled:
    return _Settled(filled.crystal, None, "not looked for, the structure is taken as written")


def _symmetric(filled: FilledCell, symprec: float) -> _Settled:
    if not 0 < symprec < math.inf:
        raise XtinctError(f"symprec {symprec:g}: expected a length in angstrom, or None")
    stated = filled.operations
    if len(stated.point_operations) > 1 and _conventional(stated):
        cell = _with_symmetry(filled.crystal.cell, stated)
        group = f"{_group_text(stated)}, " + (filled.note or "as stated")
        crystal = Crystal(cell, filled.crystal.frac, filled.crystal.species)
        return _Settled(crystal, stated.point_rotations, group)
    found = standardise(filled.crystal, symprec=symprec, protostructures=False)
    rotations = np.unique(operations(found.number).rotations, axis=0).astype(np.int64)
    symbol = hermann_mauguin(found.number)
    return _Settled(found.crystal, rotations, f"{symbol} ({found.number}), found within {symprec:g} angstrom")


def _conventional(stated: NamedOperations) -> bool:
    """Whether a tabulated setting on axes that are not rhombohedral is stated."""
    table = stated.tabulated
    return table is not None and table.ext != "R"


def _group_text(stated: NamedOperations) -> str:
    table = stated.tabulated
    return f"{table.xhm()} ({table.number})"


def _with_symmetry(cell: np.ndarray, stated: NamedOperations) -> np.ndarray:
    """`cell` with the mean metric over the point group, to ten decimals."""
    given = metric_tensor(cell)
    metric = stated.symmetrised(given)
    if np.abs(metric - given).max() < 1e-13 * given.max():
        return np.round(cell, 10)
    return np.round(cell_of_basis(np.linalg.cholesky(metric)), 10)


def _checked_range(two_theta_range: tuple[float, float]) -> tuple[float, float]:
    low, high = map(float, two_theta_range)
    if not 0 <= low < high <= 180:
        raise XtinctError(f"two_theta_range: {low:g} to {high:g}, expected 0 <= first < last <= 180 degrees")
    return low, high


def _reach(wavelength: float, two_theta: float) -> float:
    """1/d at an angle, 1/angstrom; straight back (180 degrees) the geometric factor has no value."""
    d_star = 2.0 * min(math.sin(math.radians(two_theta / 2)), 1.0 - 1e-9) / wavelength
    if d_star > D_STAR_LIMIT:
        raise XtinctError(
            f"lines: {wavelength:g} angstrom up to {two_theta:g} degrees reaches d = {1 / d_star:.3g} "
            "angstrom; ask for a smaller range"
        )
    return d_star

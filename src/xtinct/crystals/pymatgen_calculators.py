"""pymatgen's interface of diffraction calculators over this package's lines."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from xtinct.crystals.crystal_lines import checked_lines, kernel_atoms
from xtinct.crystals.hkl_families import families_by_permutation, hkl_of_lines
from xtinct.errors import XtinctError
from xtinct.extras import what_to_install
from xtinct.linelists.scattering import hermite
from xtinct.linelists.structure_factors import D_STAR_LIMIT, LineSettings, line_settings
from xtinct.patterns.lorentz import geometric_factor
from xtinct.radiation.wavelength import check_wavelength
from xtinct.sources.given import atomic_number_of, listing_of, refused_in_one_line, resolved
from xtinct.structures.crystal import Crystal
from xtinct.structures.standard import standardise

try:
    from pymatgen.analysis.diffraction.core import AbstractDiffractionPatternCalculator, DiffractionPattern
    from pymatgen.analysis.diffraction.xrd import WAVELENGTHS
except ModuleNotFoundError as _missing:
    if (_missing.name or "").partition(".")[0] != "pymatgen":
        raise
    AbstractDiffractionPatternCalculator, DiffractionPattern, WAVELENGTHS = object, None, {}

#: Lines weaker than this share of the strongest |F|^2 are rounding errors.
_ABSENT = 1e-14
#: Displacement parameters of sites that pymatgen heeds and this package does not.
_ANISOTROPIC = "U11_cif"


class _Calculator(AbstractDiffractionPatternCalculator):
    """What X-rays and neutrons share."""

    _radiation = "xray"
    _polarisation = 1.0

    def __init__(
        self,
        wavelength: float | str,
        symprec: float | None,
        debye_waller_factors: Mapping[str, float] | None,
    ) -> None:
        if DiffractionPattern is None:
            raise XtinctError(what_to_install("pymatgen"))
        if isinstance(wavelength, str):
            if wavelength not in WAVELENGTHS:
                raise XtinctError(f"wavelength: {wavelength!r}, expected one of {', '.join(WAVELENGTHS)}")
            self.radiation, wavelength = wavelength, WAVELENGTHS[wavelength]
        check_wavelength("wavelength", float(wavelength))
        self.wavelength = wavelength
        self.symprec = symprec or 0
        self.debye_waller_factors = dict(debye_waller_factors or {})
        self._settings_of: dict[float, LineSettings] = {}

    def get_pattern(
        self, structure: Any, scaled: bool = True, two_theta_range: tuple[float, float] | None = (0, 90)
    ) -> "DiffractionPattern":
        """Lines of a structure as pymatgen's `DiffractionPattern`: x (2theta, degree), y, hkls and d_hkls.

        structure        pymatgen Structure, taken as it is (symprec 0) or brought to its conventional cell
        scaled           whether the strongest line is 100; else sums of |F|^2 times the geometric factor
        two_theta_range  degree; None: everything up to 180

        Lines below 1e-5 of the strongest are left out. XtinctError for elements without an entry in the table
        of the radiation, for anisotropic displacement parameters, and where no line is in the range.
        """
        low, high = self._reach(two_theta_range)
        cell, atoms, hexagonal = self._content(structure)
        d_star, total = checked_lines(cell, atoms, self._settings(high), self._radiation)
        d_star, total = _from(low, d_star, total)
        sine = 0.5 * self.wavelength * d_star
        factor = geometric_factor(sine, np.sqrt(1.0 - sine * sine), self._polarisation)
        two_theta = np.degrees(2.0 * np.arcsin(sine))
        # Lines of one bin are one, as in pymatgen.
        starts = np.flatnonzero(np.diff(np.round(two_theta / self.TWO_THETA_TOL), prepend=-1.0))
        intensity = np.add.reduceat(2.0 * total * factor, starts) if len(starts) else total
        strong = intensity > 0.01 * self.SCALED_INTENSITY_TOL * intensity.max(initial=0.0)
        if not strong.any():
            raise XtinctError(f"structure: no line between {two_theta_range} degrees")
        families = families_by_permutation(hkl_of_lines(cell, d_star), hexagonal, False)
        of_hkl = [
            {"hkl": name, "multiplicity": size}
            for name, size in zip(_names(families.names, hexagonal), families.sizes.tolist(), strict=True)
        ]
        begins = [*families.begins[starts].tolist(), len(of_hkl)]
        kept = np.flatnonzero(strong)
        pattern = DiffractionPattern(
            two_theta[starts][kept],
            intensity[kept],
            [of_hkl[begins[i] : begins[i + 1]] for i in kept.tolist()],
            (1.0 / d_star[starts][kept]).tolist(),
        )
        if scaled:
            pattern.normalize(mode="max", value=100)
        return pattern

    def _reach(self, two_theta_range: tuple[float, float] | None) -> tuple[float, float]:
        """Smallest and largest 1/d, 1/angstrom."""
        first, last = (0.0, 180.0) if two_theta_range is None else two_theta_range
        if not 0 <= first < last <= 180:
            raise XtinctError(
                f"two_theta_range: {two_theta_range}, expected 0 <= first < last <= 180 degrees"
            )
        low, high = (2.0 * math.sin(math.radians(angle / 2)) / self.wavelength for angle in (first, last))
        high = min(high, 2.0 * (1.0 - 1e-12) / self.wavelength)
        if high > D_STAR_LIMIT:
            raise XtinctError(f"two_theta_range: reaches d = {1 / high:.3g} angstrom; ask for a smaller one")
        return low, high

    def _settings(self, d_star_max: float) -> LineSettings:
        if d_star_max not in self._settings_of:
            settings = line_settings(
                d_star_max=d_star_max, radiation=self._radiation, intensity_floor=_ABSENT
            )
            if self.debye_waller_factors:
                settings = _damped(settings, self.debye_waller_factors)
            self._settings_of[d_star_max] = settings
        return self._settings_of[d_star_max]

    def _content(self, structure: Any) -> tuple[np.ndarray, tuple[np.ndarray, ...], bool]:
        """Cell, atoms and whether the axes are hexagonal."""
        if _ANISOTROPIC in structure.site_properties:
            raise XtinctError(
                f"structure: anisotropic displacement parameters ({_ANISOTROPIC}) are not heeded here; "
                "remove these site properties, or take pymatgen's own calculator"
            )
        if not self.symprec:
            return (
                np.array(structure.lattice.parameters),
                _atoms_as_written(structure),
                structure.lattice.is_hexagonal(),
            )
        with refused_in_one_line():
            crystal = standardise(
                resolved(listing_of(structure)).crystal, symprec=self.symprec, protostructures=False
            ).crystal
        return crystal.cell, kernel_atoms(crystal), _is_hexagonal(crystal)


class XRDCalculator(_Calculator):
    """pymatgen's `XRDCalculator` with this package's structure factors.

    wavelength            angstrom, or a name of pymatgen's table ("CuKa")
    symprec               angstrom, to symmetrise to the conventional cell; 0 or None: the structure as it is
    debye_waller_factors  element -> B, angstrom^2

    Positions, hkls and multiplicities are pymatgen's. Intensities differ by its table of form factors: a
    few thousandths of the strongest line for most crystals. XtinctError for names that are not in its table.
    """

    AVAILABLE_RADIATION = tuple(WAVELENGTHS)

    def __init__(
        self,
        wavelength: float | str = "CuKa",
        symprec: float | None = 0,
        debye_waller_factors: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(wavelength, symprec, debye_waller_factors)


class NDCalculator(_Calculator):
    """pymatgen's `NDCalculator`, for neutrons; arguments as for `XRDCalculator`.

    Scattering lengths are those of Sears (1992). Deuterium has its own, which pymatgen takes for hydrogen's.
    """

    _radiation = "neutron"
    _polarisation = 0.0

    def __init__(
        self,
        wavelength: float = 1.54184,
        symprec: float | None = 0,
        debye_waller_factors: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(wavelength, symprec, debye_waller_factors)


def _names(hkl: np.ndarray, hexagonal: bool) -> list[tuple[int, ...]]:
    """hkl, or h k i l, as tuples."""
    columns = (hkl[:, 0], hkl[:, 1], -hkl[:, 0] - hkl[:, 1], hkl[:, 2])
    return (
        list(zip(*(c.tolist() for c in columns), strict=True))
        if hexagonal
        else list(map(tuple, hkl.tolist()))
    )


def _from(low: float, d_star: np.ndarray, total: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    first = np.searchsorted(d_star, low * (1.0 - 1e-12))
    return d_star[first:], total[first:]


def _atoms_as_written(structure: Any) -> tuple[np.ndarray, ...]:
    """Scatterers, coordinates and occupancies of every element of every site."""
    numbers: list[int] = []
    rows: list[Any] = []
    shares: list[float] = []
    known: dict[int, int] = {}
    for site in structure:
        for species, share in site.species.items():
            # Objects of one element are mostly one object.
            number = known.get(id(species))
            if number is None:
                number = known[id(species)] = _number(species)
            numbers.append(number)
            rows.append(site.frac_coords)
            shares.append(share)
    return np.array(numbers, dtype=np.int64), np.array(rows), np.array(shares, dtype=np.float64)


def _number(species: Any) -> int:
    element = getattr(species, "element", species)
    name = getattr(element, "name", None)
    if name is None:
        raise XtinctError(f"structure: {species} is not an element")
    return atomic_number_of(name)


def _is_hexagonal(crystal: Crystal) -> bool:
    return bool(crystal.cell[5] == 120.0 and crystal.cell[0] == crystal.cell[1])


def _damped(settings: LineSettings, factors: Mapping[str, float]) -> LineSettings:
    """The settings with amplitudes times exp(-B s^2), elements one by one."""
    table, width = settings.table.copy(), settings.width
    for symbol, b in factors.items():
        number = atomic_number_of(symbol)
        cubics = table[number]
        at = width * np.arange(len(cubics) + 1)
        # Values and slopes per interval at the points of the table, of the product.
        values = np.append(cubics[:, 0], cubics[-1].sum())
        slopes = np.append(cubics[:, 1], cubics[-1] @ (0.0, 1.0, 2.0, 3.0))
        damping = np.exp(-b * at)
        values, slopes = values * damping, (slopes - b * width * values) * damping
        table[number] = hermite(values, slopes)
    table.flags.writeable = False  # as it was before
    return settings._replace(table=table)

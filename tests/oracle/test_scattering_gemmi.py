"""Neutrons and anomalous dispersion against gemmi: its calculators, and its f' and f'' summed over both
members of every Friedel pair with complex form factors.

The structures are the embedded AFLOW prototypes, some ten of every crystal system.
"""

from pathlib import Path

import gemmi
import numpy as np
import pyarrow.parquet as pq
import pytest

from xtinct.datasets.cddd import read_atoms
from xtinct.linelists.gemmi_tables import dispersion
from xtinct.linelists.structure_factors import structure_lines
from xtinct.symmetry.families import CRYSTAL_SYSTEMS, crystal_system

PROTOTYPES = Path(__file__).parents[2] / "data" / "prototypes" / "aflow_prototypes.parquet"
#: See test_structure_factors_gemmi.
SPLIT_SITES = ("A2B4C2D17E6_mC124_15_f_2f_f_e8f_3f", "AB2_tP12_115_j_egi")
COPPER, CHROMIUM = 1.5405929, 2.2897260


def read_small(cif: str) -> gemmi.SmallStructure:
    small = gemmi.make_small_structure_from_block(gemmi.cif.read_string(cif).sole_block())
    small.change_occupancies_to_crystallographic()
    for site in small.sites:
        site.u_iso = 0.0
        site.aniso = gemmi.SMat33d(0, 0, 0, 0, 0, 0)
    return small


@pytest.fixture(scope="module")
def crystals() -> list[tuple[gemmi.SmallStructure, tuple]]:
    """Structures of up to 24 atoms with their atoms as arrays, of all crystal systems."""
    table = pq.read_table(PROTOTYPES, columns=["source_id", "spacegroup_number", "nsites", "cif"])
    rows = [row for row in table.to_pylist() if row["nsites"] <= 24 and row["source_id"] not in SPLIT_SITES]
    found = []
    for system in CRYSTAL_SYSTEMS:
        of_system = [row for row in rows if crystal_system(row["spacegroup_number"]) == system]
        found += of_system[:: max(1, len(of_system) // 10)]
    small = [(read_small(row["cif"]), read_atoms(row["cif"])) for row in found]
    return [
        (s, atoms)
        for s, atoms in small
        if all(x.element.it92 and x.element.neutron92.get_coefs()[0] for x in s.sites)
    ]


def reach(volume: float, reflections: int = 100) -> float:
    return (reflections / (2 * np.pi / 3 * volume)) ** (1 / 3)


def half_sphere(small: gemmi.SmallStructure, d_star_max: float) -> tuple[list[list[int]], np.ndarray]:
    hkl = gemmi.make_miller_array(small.cell, gemmi.SpaceGroup("P 1"), 1 / d_star_max).tolist()
    return hkl, np.array([small.cell.calculate_1_d2(h) for h in hkl])


def assert_same(lines, d_star2: np.ndarray, intensity: np.ndarray) -> None:
    """Lines equal the sums of intensity over reflections of equal 1/d^2."""
    order = np.argsort(d_star2)
    d_star2, intensity = d_star2[order], intensity[order]
    starts = np.flatnonzero(np.concatenate([[True], np.diff(d_star2) > 1e-7 * d_star2[1:]]))
    expected_d, expected = np.sqrt(d_star2[starts]), np.add.reduceat(intensity, starts)
    d_star, actual = lines
    found = np.clip(np.searchsorted(d_star, expected_d * (1 - 1e-9)), 0, len(d_star) - 1)
    there = np.abs(d_star[found] / expected_d - 1) < 1e-9
    assert expected[~there].max(initial=0) <= 1e-20 * expected.max()
    assert len(d_star) == there.sum()
    np.testing.assert_allclose(actual[found[there]], expected[there], rtol=1e-5, atol=1e-8 * expected.max())


def test_neutrons(crystals):
    assert len(crystals) >= 50
    for small, atoms in crystals:
        d_star_max = reach(small.cell.volume)
        hkl, d_star2 = half_sphere(small, d_star_max)
        calculator = gemmi.StructureFactorCalculatorN(small.cell)
        f = np.array([calculator.calculate_sf_from_small_structure(small, h) for h in hkl])
        lines = structure_lines(*atoms, d_star_max=d_star_max, radiation="neutron", intensity_floor=0)
        assert_same(lines, d_star2, 2 * np.abs(f) ** 2)


@pytest.mark.parametrize("wavelength", [COPPER, CHROMIUM])
def test_real_part_of_the_dispersion(crystals, wavelength):
    """gemmi's calculator with f' as addends; f'' taken out of our table."""
    real = dispersion(wavelength).copy()
    real[:, 1] = 0
    for small, atoms in crystals[::3]:
        d_star_max = reach(small.cell.volume)
        hkl, d_star2 = half_sphere(small, d_star_max)
        calculator = gemmi.StructureFactorCalculatorX(small.cell)
        for site in small.sites:
            calculator.addends.set(
                site.element, gemmi.cromer_liberman(site.element.atomic_number, gemmi.hc / wavelength)[0]
            )
        f = np.array([calculator.calculate_sf_from_small_structure(small, h) for h in hkl])
        lines = structure_lines(*atoms, d_star_max=d_star_max, dispersion=real, intensity_floor=0)
        assert_same(lines, d_star2, 2 * np.abs(f) ** 2)


@pytest.mark.parametrize("wavelength", [COPPER, CHROMIUM])
def test_complex_form_factors(crystals, wavelength):
    """F(hkl) and F(-h-k-l), which differ, summed over all atoms with f0 + f' + i f'' of gemmi."""
    bijvoet = 0.0
    for small, (cell, species, frac, occupancy) in crystals:
        d_star_max = reach(small.cell.volume)
        hkl, d_star2 = half_sphere(small, d_star_max)
        f = np.empty((len(hkl), len(species)), dtype=complex)
        for z in np.unique(species):
            element = gemmi.Element(int(z))
            real, imaginary = gemmi.cromer_liberman(int(z), gemmi.hc / wavelength)
            f0 = np.array([element.it92.calculate_sf(x / 4) for x in d_star2])
            f[:, species == z] = (f0 + real + 1j * imaginary)[:, None]
        turn = 2j * np.pi * (np.array(hkl) @ frac.T)
        plus, minus = (np.abs((occupancy * f * np.exp(s * turn)).sum(axis=1)) ** 2 for s in (1, -1))
        bijvoet = max(bijvoet, np.abs(plus - minus).max() / plus.max())
        lines = structure_lines(
            cell,
            species,
            frac,
            occupancy,
            d_star_max=d_star_max,
            dispersion=dispersion(wavelength),
            intensity_floor=0,
        )
        assert_same(lines, d_star2, plus + minus)
    assert bijvoet > 0.01


def test_dispersion_of_published_values():
    """f' and f'' at Cu K-alpha: ITC vol. C (2004), table 4.2.6.8. Heavy elements differ there, where the
    relativistic correction of Kissel and Pratt (1990) is not yet in."""
    published = {14: (0.2541, 0.3302), 26: (-1.1336, 3.1974), 29: (-1.9646, 0.5888)}
    for z, (real, imaginary) in published.items():
        assert dispersion(COPPER)[z] == pytest.approx((real, imaginary), abs=0.06)

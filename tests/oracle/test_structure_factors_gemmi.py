"""Lines of real structures against gemmi's direct summation over the asymmetric unit.

The structures are the embedded AFLOW prototypes, every fifth of them: all seven crystal systems,
partly occupied sites, rhombohedral cells on hexagonal axes, and both origin choices as published.
"""

from pathlib import Path

import gemmi
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from xtinct.datasets.cddd import read_atoms
from xtinct.linelists.structure_factors import structure_lines
from xtinct.structures.parsing import expand, read_listing
from xtinct.structures.standard import standardise
from xtinct.symmetry.families import CRYSTAL_SYSTEMS, crystal_system

PROTOTYPES = Path(__file__).parents[2] / "data" / "prototypes" / "aflow_prototypes.parquet"


#: Atoms 0.2 angstrom off a symmetry element: gemmi sums over both images, at half the occupancy,
#: but lists only one of them.
SPLIT_SITES = ("A2B4C2D17E6_mC124_15_f_2f_f_e8f_3f", "AB2_tP12_115_j_egi")


@pytest.fixture(scope="module")
def prototypes() -> list[dict]:
    table = pq.read_table(PROTOTYPES, columns=["source_id", "spacegroup_number", "cif"])
    rows = table.take(list(range(0, table.num_rows, 5))).to_pylist()
    # Some prototypes hold placeholders, such as OH, for which gemmi has no form factor.
    return [row for row in rows if row["source_id"] not in SPLIT_SITES and all_known(row["cif"])]


def read_small(cif: str) -> gemmi.SmallStructure:
    return gemmi.make_small_structure_from_block(gemmi.cif.read_string(cif).sole_block())


def all_known(cif: str) -> bool:
    return all(site.element.atomic_number and site.element.it92 for site in read_small(cif).sites)


def reach(volume: float, reflections: int) -> float:
    """1/d that encloses about this many reflections of the half sphere."""
    return (reflections / (2 * np.pi / 3 * volume)) ** (1 / 3)


def gemmi_lines(cif: str, d_star_max: float, b_iso: float) -> tuple[np.ndarray, np.ndarray]:
    """d_star and summed |F|^2 of every set of reflections with equal d, from gemmi alone."""
    small = read_small(cif)
    # gemmi sums over all symmetry images, so atoms on special positions would count several times.
    small.change_occupancies_to_crystallographic()
    for site in small.sites:
        # Without displacement in gemmi, so that one B can be applied to all.
        site.u_iso = 0.0
        site.aniso = gemmi.SMat33d(0, 0, 0, 0, 0, 0)
    calculator = gemmi.StructureFactorCalculatorX(small.cell)
    hkl = gemmi.make_miller_array(small.cell, gemmi.SpaceGroup("P 1"), 1 / d_star_max).tolist()
    d_star2 = np.array([small.cell.calculate_1_d2(h) for h in hkl])
    f = np.array([calculator.calculate_sf_from_small_structure(small, h) for h in hkl])
    intensity = 2 * np.abs(f) ** 2 * np.exp(-b_iso * d_star2 / 2)
    order = np.argsort(d_star2)
    d_star2, intensity = d_star2[order], intensity[order]
    starts = np.flatnonzero(np.concatenate([[True], np.diff(d_star2) > 1e-7 * d_star2[1:]]))
    return np.sqrt(d_star2[starts]), np.add.reduceat(intensity, starts)


def compare(cif: str, d_star_max: float, b_iso: float = 0.5, absent: float = 1e-20) -> int:
    """Assert agreement of positions, presence and intensities; returns the number of lines.

    absent: what may be left of an absent line, of the strongest.
    """
    expected_d, expected = gemmi_lines(cif, d_star_max, b_iso)
    d_star, intensity = structure_lines(
        *read_atoms(cif), d_star_max=d_star_max, b_iso=b_iso, intensity_floor=0
    )
    found = np.clip(np.searchsorted(d_star, expected_d * (1 - 1e-9)), 0, len(d_star) - 1)
    there = np.abs(d_star[found] / expected_d - 1) < 1e-9
    largest = expected.max()
    # A line of zero intensity may be missing; any other stands at its place ...
    assert expected[~there].max(initial=0) <= absent * largest
    # ... and there is none that gemmi does not know.
    assert len(d_star) == there.sum()
    actual = intensity[found[there]]
    # 1e-5 of the line; below 1e-3 of the strongest, gemmi's own single precision shows.
    np.testing.assert_allclose(actual, expected[there], rtol=1e-5, atol=1e-8 * largest)
    return len(d_star)


def test_lines_of_real_structures(prototypes):
    systems = {crystal_system(row["spacegroup_number"]) for row in prototypes}
    assert systems == set(CRYSTAL_SYSTEMS)
    assert len(prototypes) >= 200
    lines = 0
    for row in prototypes:
        lines += compare(row["cif"], reach(read_small(row["cif"]).cell.volume, 150))
    assert lines > 7000


def test_lines_of_the_materials_project(shared_data):
    """Thirty structures of every crystal system as the pipeline standardises them, all atoms in P 1."""
    table = pq.read_table(
        shared_data / "mp_2025_02_12.parquet", columns=["spacegroup_symprec_0p01", "nsites", "cif"]
    )
    table = table.filter(pc.less_equal(table["nsites"], 30))
    systems = np.array([crystal_system(int(n)) for n in table["spacegroup_symprec_0p01"].to_numpy()])
    compared, lines = 0, 0
    for system in CRYSTAL_SYSTEMS:
        rows = np.flatnonzero(systems == system)
        for row in rows[np.linspace(0, len(rows) - 1, 31).astype(int)]:
            listing = read_listing(table["cif"][int(row)].as_py())
            crystal = expand(listing, max_sites=2000, min_distance=0.3)
            crystal = standardise(crystal, symprec=0.01, protostructures=False).crystal
            sites = [
                (element, frac, occupancy)
                for frac, site in zip(crystal.frac, crystal.species, strict=True)
                for element, occupancy in site
            ]
            cif = _cif("P 1", crystal.cell[:3], " ".join(map(repr, map(float, crystal.cell[3:]))), sites)
            if all_known(cif):
                # Coordinates of ten decimals leave 1e-18 of the strongest line where centring forbids one.
                lines += compare(cif, reach(read_small(cif).cell.volume, 150), absent=1e-16)
                compared += 1
    assert compared >= 200
    assert lines > 7000


def test_high_angles(prototypes):
    """As far as a silver tube reaches: 1/d = 2 / 0.5609 at 2theta = 180 degrees."""
    small_cells = sorted(prototypes, key=lambda row: read_small(row["cif"]).cell.volume)[:8]
    for row in small_cells:
        compare(row["cif"], 2 / 0.5609, b_iso=0.8)


@pytest.mark.parametrize("number", [227, 141, 167, 166, 225, 148])
def test_origin_choices_and_rhombohedral_axes(number):
    """|F|^2 does not depend on the origin, nor the lines on obverse or rhombohedral axes."""
    group = gemmi.find_spacegroup_by_number(number)
    a = 12.1
    angles = "90 90 120" if 143 <= number <= 194 else "90 90 90"
    lengths = {227: (a, a, a), 225: (a, a, a)}.get(number, (a, a, 14.7))
    row = _cif(group.xhm(), lengths, angles, [("Fe", (0.15, 0.04, 0.23), 1), ("O", (0.41, 0.13, 0.06), 0.7)])
    compare(row, reach(np.prod(lengths), 600))


def test_origin_shift_changes_nothing():
    """Spinel in both origin choices of 227 (shift 1/8 1/8 1/8): the same lines (ITA 2016, p. 699)."""
    sites2 = [
        ("Mg", (0.125, 0.125, 0.125), 1),
        ("Al", (0.5, 0.5, 0.5), 1),
        ("O", (0.2623, 0.2623, 0.2623), 1),
    ]
    sites1 = [(element, tuple(x + 0.125 for x in xyz), occ) for element, xyz, occ in sites2]
    a, kwargs = (8.0806,) * 3, {"d_star_max": 0.93, "b_iso": 0.5}
    second = structure_lines(*read_atoms(_cif("F d -3 m:2", a, "90 90 90", sites2)), **kwargs)
    first = structure_lines(*read_atoms(_cif("F d -3 m:1", a, "90 90 90", sites1)), **kwargs)
    np.testing.assert_allclose(first[0], second[0], rtol=1e-12)
    np.testing.assert_allclose(first[1], second[1], rtol=1e-9)
    # 400 and 440 are the strongest lines of MgAl2O4's oxygen framework after 311 (PDF 21-1152).
    n = np.round((second[0] * 8.0806) ** 2).astype(int)
    strength = dict(zip(n.tolist(), second[1].tolist(), strict=True))
    assert set(n.tolist()) <= {3, 8, 11, 12, 16, 19, 24, 27, 32, 35, 36, 40, 43, 44, 48, 51, 56}
    assert strength[11] > strength[3]
    assert strength[32] > strength[27]


def test_hydrogen_scatters():
    """LiH without its hydrogen is another pattern: 111 against 200 changes by more than a third."""
    cell = (4.0834,) * 3
    sites = [("Li", (0, 0, 0), 1), ("H", (0.5, 0.5, 0.5), 1)]
    with_h, without = (
        structure_lines(*read_atoms(_cif("F m -3 m", cell, "90 90 90", s)), d_star_max=0.6)
        for s in (sites, sites[:1])
    )
    ratio = [intensity[0] / intensity[1] for _, intensity in (with_h, without)]
    assert ratio[0] < ratio[1] / 1.3
    compare(_cif("F m -3 m", cell, "90 90 90", sites), 1.5)


def _cif(group: str, lengths, angles: str, sites) -> str:
    rows = [f"{el}{i} {el} {x} {y} {z} {occ}" for i, (el, (x, y, z), occ) in enumerate(sites)]
    names = [f"_cell_length_{x}" for x in "abc"] + [f"_cell_angle_{x}" for x in ("alpha", "beta", "gamma")]
    values = [*map(str, lengths), *angles.split()]
    columns = ["label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy"]
    return "\n".join(
        [
            "data_x",
            f"_space_group_name_H-M_alt '{group}'",
            *(f"{name} {value}" for name, value in zip(names, values, strict=True)),
            "loop_",
            *(f"_atom_site_{column}" for column in columns),
            *rows,
        ]
    )

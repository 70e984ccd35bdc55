import copy
import json
import warnings

import gemmi
import numpy as np
import pyarrow.parquet as pq
import pytest
import spglib

from xtinct.errors import XtinctError
from xtinct.generators.crystal_statistics import learn, learn_to_file
from xtinct.generators.draws import MIN_ATOM_VOLUME
from xtinct.generators.sampling import GroupSampler, read_statistics
from xtinct.generators.statistical import conventional_crystal, generate_one, structure_row
from xtinct.symmetry.families import CRYSTAL_SYSTEMS, family_of

#: The two ends and the middle of every crystal system.
SAMPLE = sorted({n for first, last in CRYSTAL_SYSTEMS.values() for n in (first, (first + last) // 2, last)})


def generate(sampler, index, symprec=0.01, max_attempts=2000):
    draw, pearson, _ = generate_one(sampler, 7, index, symprec=symprec, max_attempts=max_attempts)
    assert draw is not None
    return draw, structure_row(sampler, draw, pearson, index, symprec=symprec, second_finder=False)


def gemmi_cell_sites(cif):
    small = gemmi.make_small_structure_from_block(gemmi.cif.read_string(cif).sole_block())
    return small, small.get_all_unit_cell_sites()


def spglib_dataset(cif, symprec):
    small, sites = gemmi_cell_sites(cif)
    basis = np.array(small.cell.orth.mat.tolist()).T
    frac = [site.fract.tolist() for site in sites]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # spglib announces new error handling
        return spglib.get_symmetry_dataset(
            (basis, frac, [s.element.atomic_number for s in sites]), symprec=symprec
        )


def test_all_230_groups_are_reached_and_confirmed_by_spglib(statistics):
    # spglib has no part in the generation; it reads what gemmi reads from the file that is written.
    for number in range(1, 231):
        _, row = generate(GroupSampler(number, statistics, max_sites=200), 0)
        found = spglib_dataset(row["cif"], symprec=1e-3)
        assert (number, found.number) == (number, number)
        assert row["n_sites"] == len(gemmi_cell_sites(row["cif"])[1]) <= 200


@pytest.mark.parametrize("number", SAMPLE)
def test_occupied_positions_have_the_multiplicities_and_site_symmetries_that_spglib_finds(statistics, number):
    sampler = GroupSampler(number, statistics)
    for index in range(3):
        draw, row = generate(sampler, index)
        found = spglib_dataset(row["cif"], symprec=1e-3)
        ours = sorted(
            (sampler.positions[w].multiplicity, sampler.atomic_numbers[e], _order(sampler, w))
            for e, w in draw.orbits
        )
        _, sites = gemmi_cell_sites(row["cif"])
        orbits = sorted(set(found.crystallographic_orbits))
        members = [np.nonzero(found.crystallographic_orbits == orbit)[0] for orbit in orbits]
        n_operations = len(found.rotations)
        theirs = sorted((len(m), sites[m[0]].element.atomic_number, n_operations // len(m)) for m in members)
        assert ours == theirs


def _order(sampler, position):
    """Order of the site symmetry group: operations of the cell over points of the orbit."""
    general = max(p.multiplicity for p in sampler.positions)
    return general // sampler.positions[position].multiplicity


#: International Tables A: multiplicity, letter and site symmetry; oriented symbols are reduced to their
#: crystal class (-6m2 to -62m).
ITA = {
    2: "1a-1 1b-1 1c-1 1d-1 1e-1 1f-1 1g-1 1h-1 2i1",
    14: "2a-1 2b-1 2c-1 2d-1 4e1",
    62: "4a-1 4b-1 4cm 8d1",
    136: "2ammm 2bmmm 4c2/m 4d-4 4emm2 4fmm2 4gmm2 8h2 8im 8jm 16k1",
    166: "3a-3m 3b-3m 6c3m 9d2/m 9e2/m 18f2 18g2 18hm 36i1",
    194: "2a-3m 2b-62m 2c-62m 2d-62m 4e3m 4f3m 6g2/m 6hmm2 12i2 12jm 12km 24l1",
    225: "4am-3m 4bm-3m 8c-43m 24dmmm 24e4mm 32f3m 48gmm2 48hmm2 48imm2 96jm 96km 192l1",
    227: "8a-43m 8b-43m 16c-3m 16d-3m 32e3m 48fmm2 96gm 96h2 192i1",
}


@pytest.mark.parametrize("number", ITA)
def test_positions_are_those_of_international_tables(statistics, number):
    found = GroupSampler(number, statistics).positions
    positions = [f"{p.multiplicity}{p.letter}{p.site_symmetry}" for p in found]
    assert " ".join(positions) == ITA[number]


@pytest.mark.parametrize("number", [1, 14, 62, 141, 166, 194, 221, 227])
def test_no_two_atoms_are_closer_than_the_rule(statistics, number):
    scale = 0.9
    sampler = GroupSampler(number, statistics, min_distance_scale=scale, max_sites=100)
    for index in range(3):
        _, row = generate(sampler, index)
        small, sites = gemmi_cell_sites(row["cif"])
        basis = np.array(small.cell.orth.mat.tolist()).T
        frac = np.array([site.fract.tolist() for site in sites])
        radii = np.array([site.element.covalent_r for site in sites])
        # All images of the 5 x 5 x 5 cells around, without any shortcut.
        for shift in np.stack(np.meshgrid(*[range(-2, 3)] * 3), axis=-1).reshape(-1, 3):
            distance = np.linalg.norm((frac[:, None] - frac + shift) @ basis, axis=2)
            if not shift.any():
                np.fill_diagonal(distance, np.inf)
            assert (distance > scale * (radii[:, None] + radii) - 1e-6).all()


def test_the_rule_makes_a_difference(statistics):
    sampler = GroupSampler(14, statistics)
    closest = []
    for index in range(10):
        small, sites = gemmi_cell_sites(generate(sampler, index)[1]["cif"])
        frac = np.array([site.fract.tolist() for site in sites])
        shift = frac[:, None] - frac
        distance = np.linalg.norm(
            (shift - np.round(shift)) @ np.array(small.cell.orth.mat.tolist()).T, axis=2
        )
        closest.append(distance[~np.eye(len(frac), dtype=bool)].min())
    assert min(closest) < 0.9


@pytest.mark.parametrize("number", [2, 15, 47, 88, 148, 180, 205])
def test_volume_is_the_spheres_times_an_observed_factor(statistics, number):
    sampler = GroupSampler(number, statistics)
    table = statistics["packing"].get(family_of(number), statistics["packing"]["all"])
    rows = table["factor_quantiles"]
    if table["crystals"] < 50:
        rows = statistics["packing"]["all"]["factor_quantiles"]
    lowest, highest = min(row[0] for row in rows), max(row[-1] for row in rows)
    for index in range(5):
        draw, _ = generate(sampler, index)
        crystal = conventional_crystal(sampler, draw)
        spheres = sum(
            n * statistics["elements"][s]["sphere_volume"] for s, n in crystal.composition().items()
        )
        volume = abs(np.linalg.det(crystal.basis))
        assert volume >= MIN_ATOM_VOLUME * len(crystal) * (1 - 1e-9)
        assert lowest * (1 - 1e-6) <= volume / spheres <= highest * (1 + 1e-6)


def test_a_crystal_is_a_function_of_seed_group_and_index(statistics):
    first = GroupSampler(62, statistics)
    rows = [generate(first, index)[1] for index in range(5)]
    again = GroupSampler(62, statistics)
    assert [generate(again, index)[1] for index in (4, 2)] == [rows[4], rows[2]]
    assert len({row["cif"].split("\n", 1)[1] for row in rows}) == 5


def test_limits_are_kept(statistics):
    sampler = GroupSampler(12, statistics, elements=(2, 3), max_sites=30)
    for index in range(30):
        crystal = conventional_crystal(sampler, generate(sampler, index)[0])
        assert 2 <= len(crystal.composition()) <= 3
        assert len(crystal) <= 30


def test_groups_without_any_known_crystal_work(statistics):
    poor = copy.deepcopy(statistics)
    poor["groups"] = {number: poor["groups"][number] for number in ("225", "62", "14")}
    poor["shapes"] = {lattice: poor["shapes"][lattice] for lattice in ("cF", "oP", "mP")}
    for number in (1, 75, 143, 168, 207, 222, 228, 230):
        generate(GroupSampler(number, poor), 0)


def test_orthorhombic_axes_follow_one_law(statistics):
    sampler = GroupSampler(19, statistics)
    cells = np.array(
        [sampler.draw(np.uint64(key))[1].cell[:3] for key in range(300) if sampler.draw(np.uint64(key))[1]]
    )
    longest = np.bincount(cells.argmax(axis=1), minlength=3) / len(cells)
    assert abs(longest - 1 / 3).max() < 4 * np.sqrt(2 / 9 / len(cells))


def test_statistics_count_what_is_there(structures):
    learned = learn(structures)
    table = pq.read_table(structures, columns=["structure_id", "spacegroup_number"]).to_pylist()
    numbers = [row["spacegroup_number"] for row in table]
    assert learned["structures"] + sum(learned["left_out"].values()) == len(table)
    assert {int(n) for n in learned["groups"]} <= set(numbers)
    for number, group in learned["groups"].items():
        assert group["structures"] <= numbers.count(int(number))
        assert sum(group["n_elements"].values()) == group["structures"]
        # Every element of every crystal is counted once in both tables.
        assert sum(group["elements"].values()) == sum(group["repetitions"].values())
    assert sum(shape["crystals"] for shape in learned["shapes"].values()) == learned["structures"]
    # Aluminium has the larger atom: covalent 1.21 and van der Waals 1.84 against 0.66 and 1.52 for oxygen.
    assert learned["elements"]["Al"]["sphere_volume"] > learned["elements"]["O"]["sphere_volume"]


def test_the_file_is_the_same_every_time(structures, tmp_path):
    learn_to_file(structures, tmp_path / "a.json")
    learn_to_file(structures, tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


@pytest.mark.parametrize("content", ["", "[1]", '{"format": "something"}', json.dumps({"version": 1})])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "statistics.json"
    path.write_text(content)
    with pytest.raises(XtinctError, match=r"statistics\.json"):
        read_statistics(path)


def test_impossible_limits_are_named(statistics):
    with pytest.raises(XtinctError, match=r"gcdd\.max_sites"):
        GroupSampler(230, statistics, max_sites=10)
    with pytest.raises(XtinctError, match=r"gcdd\.elements"):
        GroupSampler(1, statistics, elements=(3, 2))

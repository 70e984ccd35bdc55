import subprocess
import sys

import gemmi
import moyopy
import numpy as np
import pytest

from xtinct.errors import XtinctError
from xtinct.structures.generators.online import CrystalStream
from xtinct.structures.generators.statistical import write_occupations
from xtinct.symmetry.absences import absent
from xtinct.symmetry.families import FAMILIES

GCDD = {"elements": [1, 5], "max_sites": 200, "min_distance_scale": 0.0, "max_attempts": 2000}
LINES = {
    "d_star_max": 0.6,
    "b_iso": 0.5,
    "radiation": "xray",
    "intensity_floor": 1e-9,
    "max_reflections": 2_000_000,
}


@pytest.fixture(scope="module")
def stream(statistics_path, tmp_path_factory):
    path = tmp_path_factory.mktemp("online") / "occupations.json"
    write_occupations(
        statistics_path, path, gcdd=GCDD, families=tuple(FAMILIES), count=3, seed=1, symprec=0.01
    )
    return CrystalStream(path, LINES)


def test_every_crystal_has_its_group(stream):
    # The stream asks no symmetry finder; here one is asked about four new crystals of each group.
    assert stream.groups == tuple(range(1, 231))
    wrong = []
    for number in stream.groups:
        for key in range(4):
            cell, species, frac = stream.crystal(number, np.uint64(1000 * number + key))
            basis = np.array(gemmi.UnitCell(*cell).orth.mat.tolist()).T
            found = moyopy.MoyoDataset(
                moyopy.Cell(basis.tolist(), frac.tolist(), species.tolist()), symprec=1e-4
            )
            wrong += [(number, key, found.number)] if found.number != number else []
    assert not wrong


def test_lines_depend_on_group_and_key_alone(stream):
    numbers = np.array([225, 14, 2, 225, 194])
    keys = np.arange(5, dtype=np.uint64)
    lines, cells = stream.draw(numbers, keys)
    backwards, cells_backwards = stream.draw(numbers[::-1], keys[::-1])
    assert np.array_equal(cells, cells_backwards[::-1])
    for i in range(5):
        assert np.array_equal(lines[i], backwards[4 - i])
    assert not np.array_equal(lines[0][0], lines[3][0])


def test_lines_obey_the_extinction_law(stream):
    numbers = np.array([19, 62, 88, 141, 167, 203, 227, 230] * 3)
    lines, cells = stream.draw(numbers, np.arange(len(numbers), dtype=np.uint64))
    for i, number in enumerate(numbers):
        cell = gemmi.UnitCell(*cells[i])
        hkl = gemmi.make_miller_array(cell, gemmi.SpaceGroup(1), 1 / 0.61)
        allowed = 1 / cell.calculate_d_array(hkl[~absent(int(number), hkl)])
        for d_star in lines[i][0]:
            assert abs(allowed / d_star - 1).min() < 1e-6


def test_crystals_are_drawn_without_a_symmetry_finder():
    code = (
        "import sys; import xtinct.structures.generators.sampling; "
        "assert not {'gemmi', 'moyopy', 'spglib', 'pymatgen', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "a.json").write_text("no")
    with pytest.raises(XtinctError, match=r"a\.json"):
        CrystalStream(tmp_path / "a.json", LINES)

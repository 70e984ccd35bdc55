import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import gemmi
import moyopy
import numpy as np
import pytest
import yaml

from xtinct.ceiling.priors import read_prior
from xtinct.errors import XtinctError
from xtinct.generators.online import CrystalLines, CrystalStream
from xtinct.generators.statistical import write_occupations
from xtinct.learning.training_sets import Sources
from xtinct.learning.training_settings import TrainingSettings
from xtinct.linelists.line_lists import LabelledLines
from xtinct.symmetry.absences import absent
from xtinct.symmetry.families import FAMILIES

GCDD = {
    "elements": [1, 5],
    "max_sites": 200,
    "min_distance_scale": 0.0,
    "max_attempts": 2000,
    "occupations": 3,
}
LINES = {
    "d_star_max": 0.6,
    "b_iso": 0.5,
    "radiation": "xray",
    "intensity_floor": 1e-9,
    "max_reflections": 2_000_000,
}


@pytest.fixture(scope="module")
def occupations(statistics_path, tmp_path_factory):
    path = tmp_path_factory.mktemp("online") / "occupations.json"
    write_occupations(statistics_path, path, gcdd=GCDD, families=tuple(FAMILIES), seed=1, symprec=0.01)
    return path


@pytest.fixture(scope="module")
def crystals(occupations):
    return CrystalLines(occupations, LINES)


def test_every_crystal_has_its_group(crystals):
    # No symmetry finder was asked; here one is asked about four new crystals of each group.
    assert crystals.groups == tuple(range(1, 231))
    wrong = []
    for number in crystals.groups:
        for key in range(4):
            cell, species, frac = crystals.crystal(number, np.uint64(1000 * number + key))
            basis = np.array(gemmi.UnitCell(*cell).orth.mat.tolist()).T
            found = moyopy.MoyoDataset(
                moyopy.Cell(basis.tolist(), frac.tolist(), species.tolist()), symprec=1e-4
            )
            wrong += [(number, key, found.number)] if found.number != number else []
    assert not wrong


@pytest.mark.parametrize("change", [{"march_dollase": {"axis": [0, 0, 1], "r": 0.6}}, {"anomalous": 1.5406}])
def test_what_the_configuration_says_of_lines_is_obeyed(occupations, root, change):
    default = yaml.safe_load((root / "config" / "config.yaml").read_text())["lines"] | {"d_star_max": 0.6}
    numbers, keys = np.array([225, 194, 14]), np.arange(3, dtype=np.uint64)
    plain, _ = CrystalLines(occupations, default).draw(numbers, keys)
    other, _ = CrystalLines(occupations, default | change).draw(numbers, keys)
    for i in range(3):
        # Texture and dispersion change intensities, and no line of these crystals stands elsewhere.
        np.testing.assert_allclose(plain[i][0], other[i][0])
        assert not np.allclose(plain[i][1], other[i][1], rtol=1e-3)


def test_lines_depend_on_group_and_key_alone(crystals):
    numbers = np.array([225, 14, 2, 225, 194])
    keys = np.arange(5, dtype=np.uint64)
    lines, cells = crystals.draw(numbers, keys)
    backwards, cells_backwards = crystals.draw(numbers[::-1], keys[::-1])
    assert np.array_equal(cells, cells_backwards[::-1])
    for i in range(5):
        assert np.array_equal(lines[i], backwards[4 - i])
    assert not np.array_equal(lines[0][0], lines[3][0])


def test_lines_obey_the_extinction_law(crystals):
    numbers = np.array([19, 62, 88, 141, 167, 203, 227, 230] * 3)
    lines, cells = crystals.draw(numbers, np.arange(len(numbers), dtype=np.uint64))
    for i, number in enumerate(numbers):
        cell = gemmi.UnitCell(*cells[i])
        hkl = gemmi.make_miller_array(cell, gemmi.SpaceGroup(1), 1 / 0.61)
        allowed = 1 / cell.calculate_d_array(hkl[~absent(int(number), hkl)])
        for d_star in lines[i][0]:
            assert abs(allowed / d_star - 1).min() < 1e-6


def test_a_stream_is_a_function_of_the_samples_index(occupations):
    def stream(seed=7, role="train", family="cubic"):
        return CrystalStream(occupations, family=family, lines=LINES, seed=seed, role=role)

    whole = stream().take(5, 40)
    assert len(whole) == len(whole.lines) == 40
    assert whole.groups.dtype == np.int16
    parts = [stream().take(30, 15), stream().take(5, 25)][::-1]
    joined = LabelledLines.concatenate(parts)
    assert np.array_equal(joined.groups, whole.groups)
    assert np.array_equal(joined.lines.d_star, whole.lines.d_star)
    assert np.array_equal(joined.lines.intensity, whole.lines.intensity)
    for other in (stream(seed=8), stream(role="validation")):
        assert not np.isin(other.take(5, 40).lines.d_star, whole.lines.d_star).any()


def test_a_stream_draws_every_group_of_its_family_equally_often(occupations):
    stream = CrystalStream(occupations, family="monoclinic", lines=LINES, seed=1, role="train")
    counts = np.bincount(stream.take(0, 1300).groups, minlength=231)
    assert counts[3:16].sum() == 1300
    # Binomial, 4.5 standard deviations.
    assert abs(counts[3:16] - 100).max() < 4.5 * np.sqrt(100 * 12 / 13)


def test_natural_frequencies_of_drawn_crystals_are_those_of_the_materials_project(occupations, settings):
    """Training that is not told the family, on crystals drawn for groups as often as compounds have them."""
    settings["experiment"] |= {"train": "gcdd-online", "target": "spacegroup", "prior": "natural"}
    settings |= {"family": "all", "occupations": str(occupations), "lines": LINES | {"d_star_max": 0.94}}
    sources = Sources(TrainingSettings.from_config(settings).samples)
    entries = {group: float(n) for group, n in read_prior("mp").items()}
    shares = {group: n / sum(entries.values()) for group, n in entries.items()}
    counts = sources.group_counts()
    assert counts["62"] == pytest.approx(1e6 * shares[62], rel=0.02)
    n = 1200
    drawn = sources.training().stream.take(0, n)
    found = np.bincount(drawn.groups, minlength=231)
    for group in range(1, 231):
        expected = n * shares.get(group, 0)
        # Binomial, 4.5 standard deviations and one draw.
        assert abs(found[group] - expected) < 4.5 * np.sqrt(expected) + 1, group
    # Balanced crystals have these groups 4 in 230 times, those of the table more often than 1 in 4 times.
    assert found[[1, 2, 14, 62]].sum() > n / 4
    # And they are crystals of these groups: their first line is one that the group allows.
    for i in range(20):
        cell, first = gemmi.UnitCell(*drawn.cells[i]), drawn.lines[i][0][0]
        hkl = gemmi.make_miller_array(cell, gemmi.SpaceGroup(1), 1 / (first + 0.01))
        allowed = 1 / cell.calculate_d_array(hkl[~absent(int(drawn.groups[i]), hkl)])
        assert abs(allowed / first - 1).min() < 1e-6


def test_threads_may_share_a_stream(occupations):
    stream = CrystalStream(occupations, family="tetragonal", lines=LINES, seed=1, role="train")
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda start: stream.take(start, 10), range(0, 80, 10)))
    again = CrystalStream(occupations, family="tetragonal", lines=LINES, seed=1, role="train").take(0, 80)
    assert np.array_equal(LabelledLines.concatenate(parts).lines.d_star, again.lines.d_star)


def test_crystals_are_drawn_without_the_interpreter_lock(crystals):
    """With the lock held, this thread would stand still until all of them are drawn."""
    numbers, keys = np.full(600, 225), np.arange(600, dtype=np.uint64)
    crystals.draw(numbers[:1], keys[:1])
    went_on = 0
    with ThreadPoolExecutor(1) as pool:
        drawing = pool.submit(crystals.draw, numbers, keys)
        while not drawing.done():
            time.sleep(0.001)
            went_on += 1
    assert went_on > 5


def test_a_family_with_a_group_that_was_not_reached_is_refused(statistics_path, tmp_path):
    path = tmp_path / "occupations.json"
    gcdd = {**GCDD, "occupations": 1}
    write_occupations(statistics_path, path, gcdd=gcdd, families=("triclinic",), seed=1, symprec=0.01)
    CrystalStream(path, family="triclinic", lines=LINES, seed=1, role="train")
    with pytest.raises(XtinctError, match=r"occupations\.json.* 195 P 2 3, "):
        CrystalStream(path, family="cubic", lines=LINES, seed=1, role="train")


CODE = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in FORBIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

FORBIDDEN = set(
    "gemmi click snakemake dvc matplotlib pymatgen mp_api cctbx moyopy spglib pyxtal pandas scipy sklearn "
    "yaml pydantic jinja2 tqdm tenacity torch".split()
)
sys.meta_path.insert(0, Absent())
from xtinct.generators.online import CrystalStream
stream = CrystalStream(sys.argv[1], family="triclinic", lines=LINES, seed=1, role="train")
print(len(stream.take(0, 3).lines))
"""


def test_crystals_are_drawn_where_only_numpy_numba_and_pyarrow_are_installed(occupations):
    code = CODE.replace("LINES", repr(LINES))
    done = subprocess.run(
        [sys.executable, "-c", code, occupations], capture_output=True, text=True, check=False
    )
    assert (done.stderr, done.stdout.strip()) == ("", "3")


def test_other_files_are_refused(tmp_path):
    (tmp_path / "a.json").write_text("no")
    with pytest.raises(XtinctError, match=r"a\.json"):
        CrystalLines(tmp_path / "a.json", LINES)

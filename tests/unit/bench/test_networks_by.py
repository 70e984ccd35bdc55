"""The table of what is right by counts, width, peaks and group counts every scan once, and levels as sums."""

import importlib.util
import pickle
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

_FOLDER = Path(__file__).resolve().parents[3] / "benchmarks" / "measured"
#: Counts at the highest point of the scans that are made, about, and their groups.
_COUNTS, _GROUPS = (100, 1_000, 10_000), (225, 62, 14)


@pytest.fixture(scope="module")
def by():
    spec = importlib.util.spec_from_file_location("networks_by", _FOLDER / "networks_by.py")
    module = importlib.util.module_from_spec(spec)
    path = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = path
    return module


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Scans of five peaks: three of one laboratory, and one of another before them."""
    x = np.arange(20.0, 60.0, 0.02)
    random = np.random.default_rng(0)
    rows = []
    for name, counts, group in zip("zabc", (500, *_COUNTS), (1, *_GROUPS), strict=True):
        shape = sum(np.exp(-0.5 * ((x - at) / 0.06) ** 2) for at in (25, 31, 38, 44, 52.5))
        rows.append(
            {
                "source": "elsewhere" if name == "z" else "here",
                "id": name,
                "wavelength": 1.540598,
                "radiation": "x-ray",
                "spacegroup_number": float(group),
                "label": "made",
                "two_theta": x.tolist(),
                "intensity": random.poisson(counts * (0.02 + shape)).astype(float).tolist(),
            }
        )
    path = tmp_path_factory.mktemp("scans") / "patterns.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def test_a_level_is_the_sum_over_its_groups(by):
    # Cubic groups together outweigh the one most probable group, which is monoclinic.
    p = by.of_groups({14: 0.4, 221: 0.3, 225: 0.3})
    assert by.right_of([225], [p]).tolist() == [[True, False, False]]
    assert by.right_of([14], [p]).tolist() == [[False, True, True]]
    # P 21/c and P 21 are one system and two classes; P 2 and P m are one class and two groups.
    assert by.right_of([4], [p]).tolist() == [[False, False, False]]
    assert by.right_of([6], [by.of_groups({3: 1.0})]).tolist() == [[True, True, False]]


def test_groups_of_an_answer_may_stand_in_any_order(by):
    groups = np.array([225, 14, 62])
    right = by.right_of([62], [np.array([0.2, 0.2, 0.6])], groups)
    assert right.tolist() == [[True, True, True]]


def test_thirds_hold_every_row_once_from_low_to_high_and_never_part_equals(by):
    values = np.random.default_rng(1).permutation(65).astype(float)
    parts = by.thirds(values)
    assert sorted(np.concatenate(parts).tolist()) == list(range(65))
    assert [len(rows) for rows in parts] == [22, 21, 22]
    assert values[parts[0]].max() < values[parts[1]].min()
    assert values[parts[1]].max() < values[parts[2]].min()
    equal = by.thirds(np.array([1.0, 1, 1, 1, 2, 3]))
    assert [rows.tolist() for rows in equal] == [[0, 1, 2, 3], [4, 5]]
    assert [len(rows) for rows in by.thirds(np.zeros(4))] == [4]


def test_the_table_says_who_is_right_of_which_scans(by, scans, tmp_path, capsys):
    votes = {("a", "all"): {225: 1.0}, ("b", "all"): {62: 1.0}, ("c", "all"): {225: 1.0}}
    votes |= {(name, "type"): None for name in "abc"}
    # Records without figures are those of scans without a lattice: all groups alike.
    records = [{"id": name, "setting": s, "votes": v, "error": "-"} for (name, s), v in votes.items()]
    collected = tmp_path / "collected.pickle"
    collected.write_bytes(pickle.dumps(records))
    asked = [str(scans), "--collected", str(collected), "--rows", "all", "--laboratory", "here"]
    by.main(asked)
    header, _, *rows = capsys.readouterr().out.splitlines()
    titles = [cell.strip() for cell in header.strip("|").split("|")]
    cells = {line.split("|")[1].strip(): line.strip("|").split("|") for line in rows}
    column = titles.index("recognise")
    assert cells["all"][1].strip() == "3"
    assert cells["all"][column].strip() == ".67 / .67 / .67"
    counted = [name for name in cells if name.startswith("highest point")]
    assert [cells[name][1].strip() for name in counted] == ["1", "1", "1"]
    assert [cells[name][column].strip()[:4].strip() for name in counted] == ["1.00", "1.00", ".00"]
    shown = [float(name.split()[-1].partition("-")[0]) for name in counted]
    assert np.all(np.abs(np.array(shown) / _COUNTS - 1) < 0.4)
    assert cells["peaks found 5-5"][1].strip() == "3"


def test_a_scan_that_was_not_collected_is_named(by, scans, tmp_path):
    collected = tmp_path / "collected.pickle"
    collected.write_bytes(pickle.dumps([{"id": "a", "setting": "all", "votes": None, "error": "-"}]))
    with pytest.raises(SystemExit, match="no record of b, all"):
        by.main([str(scans), "--collected", str(collected), "--rows", "all", "--laboratory", "here"])

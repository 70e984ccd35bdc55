"""The table of a published network's answers beside ours holds what its own columns and ours say."""

import csv
import importlib.util
import sys
from pathlib import Path

import pytest

from xtinct.scores.levels import LEVELS

_FOLDER = Path(__file__).resolve().parents[3] / "benchmarks" / "measured"
_OURS = {
    "all": "right_in_database",
    "own": "right_without_own_composition",
    "type": "right_without_own_type",
}


@pytest.fixture(scope="module")
def compare():
    spec = importlib.util.spec_from_file_location("compare_published", _FOLDER / "compare_published.py")
    module = importlib.util.module_from_spec(spec)
    path = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = path
    return module


def _rows(name):
    with (_FOLDER / name).open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_verdicts_of_the_network_follow_from_its_answer(compare):
    for row in _rows("nist.csv"):
        answer = row["nist_first_five"].split()
        place = answer.index(row["nist_group"]) if row["nist_group"] in answer else None
        assert compare.verdict(place) == row["nist"]


def test_our_verdicts_and_labels_are_those_of_the_table_of_all_scans():
    ours = {row["rruff_id"]: row for row in _rows("rruff.csv")}
    for row in _rows("nist.csv"):
        own = ours[row["rruff_id"]]
        assert (row["space_group"], row["part"]) == (own["space_group"], own["part"])
        assert row["class"] == LEVELS["extinction_class"](int(row["space_group"]))
        for setting, column in _OURS.items():
            assert (row[setting] == "top-1") == ("class" in own[column].split("+"))


def test_groups_that_are_one_class_take_one_place(compare):
    # P 31 - - and P 62 - - differ in the crystal system alone, which the cell does not tell.
    classes = {1: "triclinic P -", 2: "hexagonal P", 3: "hexagonal P", 4: "cubic P - - -"}
    assert compare.place_among(3, [1, 2, 4], classes) == 1
    assert compare.place_among(4, [2, 3, 4], classes) == 1
    assert compare.place_among(1, [2, 3, 4], classes) is None


def test_a_table_that_lacks_a_space_group_is_refused(compare, tmp_path):
    path = tmp_path / "groups.csv"
    path.write_text("Space Group,Extinction Group\n1,99\n2,99\n")
    with pytest.raises(SystemExit, match="has 2 space groups, expected each of 1 to 230 once"):
        compare.read_groups(path)


def test_a_group_that_holds_two_classes_is_refused(compare, tmp_path):
    path = tmp_path / "groups.csv"
    path.write_text("Space Group,Extinction Group\n" + "".join(f"{group},1\n" for group in range(1, 231)))
    with pytest.raises(SystemExit, match="these extinction groups hold several classes"):
        compare.read_groups(path)


def test_every_scan_says_what_it_allows_at_best():
    rows = _rows("rruff.csv")
    assert len(rows) == len({row["rruff_id"] for row in rows}) == 130
    for row in rows:
        assert 0 <= float(row["group_ceiling"]) <= 1
        assert 0 <= float(row["class_ceiling"]) <= 1
    # The means that the page states, of odd and of even rows.
    for part, mean in (("test", 0.945), ("tuning", 0.959)):
        own = [float(row["class_ceiling"]) for row in rows if row["part"] == part]
        assert sum(own) / len(own) == pytest.approx(mean, abs=1e-3)

"""Predictions made anywhere are judged as the workflow judges its own, and none is left out in silence."""

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import xtinct
from xtinct.cli import cli
from xtinct.errors import XtinctError
from xtinct.evaluation import answer_scores
from xtinct.evaluation.methods import ModelFolder
from xtinct.evaluation.networks import evaluate_model
from xtinct.evaluation.test_sets import TestSet
from xtinct.files.parquet import ParquetFile
from xtinct.files.schema import CELL
from xtinct.patterns.instrument import Instrument
from xtinct.symmetry.classes import class_symbol
from xtinct.symmetry.families import space_groups

CUBIC = list(space_groups("cubic"))


def write_csv(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def truth(write_lines):
    return write_lines(CUBIC * 4, splits=("test",))


@pytest.fixture
def ranked(tmp_path):
    """Write ranked answers: sample id -> space groups."""

    def write(answers):
        rows = [
            {"sample_id": name, **{f"spacegroup_number_{i}": g for i, g in enumerate(groups, 1)}}
            for name, groups in answers
        ]
        return write_csv(tmp_path / "ranked.csv", rows)

    return write


@pytest.fixture
def on_lattices_of_their_own():
    """Change a file so that no two of its samples stand on one lattice."""

    def change(path):
        table = pq.read_table(path)
        lengths = pa.array(5 + 0.01 * np.arange(len(table)))
        for name in "abc":
            place = table.column_names.index(name)
            table = table.set_column(place, table.schema.field(name), lengths)
        pq.write_table(table, path)
        return path

    return change


def of_target(found):
    return {record["target"]: record for record in found.records}


@pytest.fixture
def judged(model_dir, settings, truth, tmp_path):
    """(records of the workflow, probabilities of the groups by sample)"""
    model = ModelFolder(model_dir, "cpu", "float32")
    test = TestSet("held-out", [truth], settings["instrument"])
    records = evaluate_model(model, test, tmp_path / "r.json", tmp_path / "r.parquet")
    predictor = model.predictor()
    rows = []
    for part, ids in test.parts("cubic"):
        found = predictor.from_lines(part.lines, prior=predictor.training_prior)
        for name, p in zip(ids, found.group_probabilities, strict=True):
            rows.append({"sample_id": name, **dict(zip(found.groups, map(float, p), strict=True))})
    return {record["target"]: record for record in records}, rows


def test_the_same_predictions_get_the_record_of_the_workflow(judged, settings, truth, tmp_path):
    records, rows = judged
    instrument = Instrument.from_config(settings["instrument"])
    found = of_target(xtinct.score(write_csv(tmp_path / "p.csv", rows[::-1]), truth, instrument=instrument))
    for target, record in records.items():
        same = [f"top{k}{end}" for k in range(1, 6) for end in ("", "_low", "_high")]
        same += [f"ceiling{k}" for k in range(1, 6)] + ["n", "n_cells"]
        same += ["ece", "ece_low", "ece_high", "log_loss"]
        for key in same:
            assert found[target][key] == pytest.approx(record[key], rel=1e-6, abs=1e-9), (target, key)


def test_ranked_answers_of_the_workflow_s_own_table_reach_its_top_k(judged, settings, truth, tmp_path):
    records, _ = judged
    table = pq.read_table(tmp_path / "r.parquet").to_pylist()
    rows = [
        {"sample_id": row["sample_id"]}
        | {f"spacegroup_number_{i}": group for i, group in enumerate(row["groups"], 1)}
        | {f"extinction_class_{i}": symbol for i, symbol in enumerate(row["classes"], 1)}
        for row in table
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "ranked.parquet")
    for path in (write_csv(tmp_path / "ranked.csv", rows), tmp_path / "ranked.parquet"):
        found = of_target(xtinct.score(path, truth))
        for target, record in records.items():
            for k in range(1, 6):
                assert found[target][f"top{k}"] == pytest.approx(record[f"top{k}"]), (target, k)
        assert "ece" not in found["spacegroup"]


def test_every_id_is_answered_for(write_lines, ranked):
    truth = write_lines(CUBIC * 4, splits=("train", "validation", "test"))
    table = pq.read_table(truth).to_pylist()
    test = [row for row in table if row["split"] == "test"]
    (train,) = [row for row in table if row["sample_id"] == "t-00000"]
    answers = [(row["sample_id"], [row["spacegroup_number"]]) for row in test]
    left_out, repeated, changed = answers.pop(5), answers[1], answers[2]
    answers += [repeated, (changed[0], [195 if changed[1] != [195] else 196])]
    answers += [("t-99999", [225]), (train["sample_id"], [225])]
    found = xtinct.score(ranked(answers), truth)
    assert found.ids == {
        "missing": [left_out[0]],
        "unknown": ["t-99999"],
        "other_split": ["t-00000"],
        "repeated": [repeated[0]],
        "contradictory": [changed[0]],
    }
    record = of_target(found)["spacegroup"]
    assert (record["n"], record["n_answered"]) == (48, 46)
    assert record["top1"] == pytest.approx(46 / 48)
    for name in ("t-99999", "t-00000", left_out[0], repeated[0], changed[0]):
        assert name in str(found)


def test_an_answer_that_knows_the_groups_of_random_intensities_is_called_a_leak(
    truth, ranked, on_lattices_of_their_own
):
    on_lattices_of_their_own(truth)
    rows = pq.read_table(truth).to_pylist()
    found = xtinct.score(ranked([(row["sample_id"], [row["spacegroup_number"]]) for row in rows]), truth)
    by_target = of_target(found)
    # 17 classes of 36 groups, four samples of each.
    assert by_target["spacegroup"]["ceiling1"] == pytest.approx(17 / 36)
    assert by_target["spacegroup"]["above"] == [1]
    assert by_target["spacegroup"]["verdict"].startswith("above the ceiling, a leak")
    assert by_target["extinction_class"]["verdict"] == "within the ceiling"
    excess = by_target["spacegroup"]["excess"]
    # The largest class has six groups, 197, 199, 204, 211, 217, 229: absences tell 4 of its 24 samples.
    assert (excess[0]["class"], excess[0]["n"]) == ("cubic I - - -", 24)
    assert excess[0]["ceiling1"] == pytest.approx(1 / 6)
    for row in excess:
        assert row["top1"] == 1
        assert row["more"] == pytest.approx(row["n"] * (1 - row["ceiling1"]))


def test_the_lines_of_a_test_set_are_read_a_row_group_at_a_time(write_lines, monkeypatch):
    """Of the chosen rows alone, in their order, whatever the row groups are."""
    path = write_lines(CUBIC * 2)
    table = pq.read_table(path)
    pq.write_table(table, path, row_group_size=7)
    chosen = np.array(table["split"].to_pylist()) == "test"
    parts = list(answer_scores._intensities(path, chosen))
    assert len(parts) == -(-len(table) // 7)
    expected = table.filter(pa.array(chosen))["intensity"].combine_chunks().flatten().to_numpy()
    assert (np.concatenate(parts) == expected.astype(np.float64)).all()
    read, asked = ParquetFile.read, []
    noted = lambda file, columns: asked.extend(columns) or read(file, columns=columns)  # noqa: E731
    monkeypatch.setattr(ParquetFile, "read", noted)
    answer_scores._read_truth(path, "test")
    assert "sample_id" in asked
    assert not {"d_star", "intensity"} & {*asked}


def test_lattices_may_say_more_than_absences_where_each_group_has_its_own_range(
    truth, ranked, on_lattices_of_their_own
):
    """As in a variant of ULBD with `ranges`: the a of a sample tells the group, and that is no leak."""
    on_lattices_of_their_own(truth)
    table = pq.read_table(truth)
    order = np.argsort(table["spacegroup_number"].to_numpy(), kind="stable")
    for name in "abc":
        place = table.column_names.index(name)
        lengths = np.empty(len(table))
        lengths[order] = 5 + 0.01 * np.arange(len(table))
        table = table.set_column(place, table.schema.field(name), pa.array(lengths))
    pq.write_table(table, truth)
    answers = [(row["sample_id"], [row["spacegroup_number"]]) for row in table.to_pylist()]
    record = of_target(xtinct.score(ranked(answers), truth))["spacegroup"]
    assert record["above"] == [1]
    assert record["verdict"].startswith("above the ceiling: possible, because lattices differ")


def test_crystals_may_say_more_than_their_absences(write_lines, ranked, on_lattices_of_their_own):
    truth = on_lattices_of_their_own(write_lines(CUBIC * 4, splits=("test",), change={"dataset": "cddd"}))
    rows = pq.read_table(truth).to_pylist()
    found = xtinct.score(ranked([(row["sample_id"], [row["spacegroup_number"]]) for row in rows]), truth)
    assert of_target(found)["spacegroup"]["verdict"].startswith("above the ceiling: possible")
    assert "cubic P - - -: 100.0 % of 20, ceiling 20.0 %" in str(found)
    assert found.seen_lattices == 0


def test_lattices_that_other_parts_hold_are_counted(write_lines, ranked):
    one_lattice = dict(zip(CELL, (6.0, 6.0, 6.0, 90.0, 90.0, 90.0), strict=True))
    truth = write_lines(CUBIC * 4, change=one_lattice)
    rows = [row for row in pq.read_table(truth).to_pylist() if row["split"] == "test"]
    found = xtinct.score(ranked([(row["sample_id"], [row["spacegroup_number"]]) for row in rows]), truth)
    assert found.seen_lattices == 48
    # One lattice is one sample: even when all are right, that may be chance.
    assert "by no more than chance" in of_target(found)["spacegroup"]["verdict"]


def test_the_best_guess_of_each_class_is_within_the_ceiling(truth, ranked):
    rows = pq.read_table(truth).to_pylist()
    first = {}
    for number in CUBIC:
        first.setdefault(class_symbol(number), number)
    answers = [(row["sample_id"], [first[row["extinction_class"]]]) for row in rows]
    record = of_target(xtinct.score(ranked(answers), truth))["spacegroup"]
    assert record["top1"] == pytest.approx(record["ceiling1"]) == pytest.approx(17 / 36)
    assert record["verdict"] == "within the ceiling"
    assert record["excess"] == []


def test_later_groups_of_a_class_are_no_further_class(truth, ranked):
    # 195 and 200 are of P - - -; the second class that is named is that of 225.
    rows = pq.read_table(truth).to_pylist()
    found = of_target(xtinct.score(ranked([(row["sample_id"], [195, 200, 225]) for row in rows]), truth))
    of_f = np.mean([row["extinction_class"] == class_symbol(225) for row in rows])
    of_p = np.mean([row["extinction_class"] == class_symbol(195) for row in rows])
    assert found["extinction_class"]["top1"] == pytest.approx(of_p)
    assert found["extinction_class"]["top2"] == pytest.approx(of_p + of_f)


def test_classes_are_named_alone_or_with_their_family(truth, tmp_path):
    rows = pq.read_table(truth).to_pylist()
    plain, named = (
        [{"sample_id": r["sample_id"], "extinction_class": f"{before}{r['extinction_class']}"} for r in rows]
        for before in ("", "cubic ")
    )
    for answers in (plain, named):
        found = of_target(xtinct.score(write_csv(tmp_path / "c.csv", answers), truth))
        assert list(found) == ["extinction_class"]
        assert found["extinction_class"]["top1"] == 1


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": "t-00000", "225": 1}, "no column sample_id; it has id, 225"),
        ({"sample_id": "t-00000"}, "no answers beside sample_id"),
        ({"sample_id": "", "225": 1}, "row 1 has no sample_id"),
        ({"sample_id": "t-00000", "spacegroup_number_1": 231}, "t-00000, column .*no spacegroup '231'"),
        (
            {"sample_id": "t-00000", "spacegroup_number_1": "Fm-3m"},
            "no spacegroup 'Fm-3m'; expected 1 to 230",
        ),
        ({"sample_id": "t-00000", "spacegroup_number_2": 225}, "expected spacegroup_number_1 to"),
        (
            {"sample_id": "t-00000", "extinction_class": "P 21 - -"},
            "write orthorhombic P 21 - -|xtinct classes",
        ),
        ({"sample_id": "t-00000", "225": 0.9, "227": 0.3}, "t-00000: probabilities sum to 1.2, more than 1"),
        ({"sample_id": "t-00000", "225": -0.1}, "column '225': a negative probability"),
        ({"sample_id": "t-00000", "225": "nan"}, "column '225': no finite number"),
        ({"sample_id": "t-00000", "225": "much"}, "column '225': .*much"),
        ({"sample_id": "t-00000", "225": 0.5, "best": 0.5}, "column 'best' is no spacegroup"),
        ({"sample_id": "t-00000", "225": 0.5, "0225": 0.5}, "another one is of the same spacegroup"),
        ({"sample_id": "x", "225": 1}, "none of its 1 samples is in .* the first is x, expected as t-00000"),
    ],
)
def test_what_is_no_answer_is_said_in_one_line(truth, tmp_path, columns, message):
    with pytest.raises(XtinctError, match=message) as told:
        xtinct.score(write_csv(tmp_path / "p.csv", [columns]), truth)
    assert len(str(told.value).splitlines()) == 1


def test_other_columns_beside_ranked_answers_are_named(truth, tmp_path):
    path = write_csv(
        tmp_path / "p.csv", [{"sample_id": "t-00000", "spacegroup_number": 195, "comment": "sure"}]
    )
    found = xtinct.score(path, truth)
    assert found.ignored == ("comment",)
    assert "columns that are not read: comment" in str(found)


def test_the_command_prints_the_same(truth, ranked, tmp_path):
    rows = pq.read_table(truth).to_pylist()
    path = ranked([(row["sample_id"], [row["spacegroup_number"]]) for row in rows])
    text = CliRunner().invoke(cli, ["score", str(path), "--truth", str(truth)])
    assert text.exit_code == 0
    assert "top-1  100.00 %" in text.output
    assert "ceiling 47.22 %" in text.output
    as_json = CliRunner().invoke(cli, ["score", str(path), "--truth", str(truth), "--json"])
    assert json.loads(as_json.output) == json.loads(json.dumps(xtinct.score(path, truth).to_dict()))

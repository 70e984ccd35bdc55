import json
import random

import pytest

from xtinct.errors import XtinctError
from xtinct.files.parquet import write_parquet
from xtinct.files.schema import PREDICTIONS
from xtinct.files.writing import write_csv
from xtinct.report import inputs

GOOD = {
    "experiment": "e",
    "train_set": "ulbd",
    "test_set": "ulbd",
    "target": "spacegroup",
    "family": "cubic",
    "model": "m",
    "seed": 0,
    "n": 10,
    "top1": 0.5,
    "top1_low": 0.24,
    "top1_high": 0.76,
    "ceiling1": 1.0,
}


def read(tmp_path, content, name="a.json"):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return inputs.read_evaluations([path], [])


def test_a_file_holds_one_record_or_a_list(tmp_path):
    assert read(tmp_path, GOOD)[0].records == (GOOD,)
    assert len(read(tmp_path, [GOOD, {**GOOD, "target": "extinction_class"}])[0].records) == 2


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "not readable JSON"),
        ([1], "must be a JSON object"),
        ({k: v for k, v in GOOD.items() if k != "family"}, "no key 'family'"),
        ({**GOOD, "top1": 50.0}, "top1 is 50.0, expected a fraction"),
        ({**GOOD, "top1": None}, "top1 is None"),
        ({**GOOD, "ceiling1": float("nan")}, "ceiling1 is nan"),
        ({**GOOD, "n": -1}, "n is -1"),
        ({k: v for k, v in GOOD.items() if k != "top1_low"}, "no key 'top1_low'"),
    ],
)
def test_a_bad_record_stops_with_its_file_and_key(tmp_path, content, told):
    with pytest.raises(XtinctError, match=told) as raised:
        read(tmp_path, content)
    assert "a.json" in str(raised.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(XtinctError, match=r"absent\.json: no such file"):
        inputs.read_evaluations([tmp_path / "absent.json"], [])


def test_the_same_record_twice_is_refused(tmp_path):
    evaluations = [*read(tmp_path, GOOD), *read(tmp_path, GOOD, "b.json")]
    with pytest.raises(XtinctError, match="the same record"):
        inputs.all_records(evaluations)


def test_predictions_without_a_record_are_refused(tmp_path, predictions_of):
    table = predictions_of(random.Random(1), "cubic", [225], 1.0)
    write_parquet(tmp_path / "b.parquet", [table], PREDICTIONS)
    (tmp_path / "a.json").write_text(json.dumps(GOOD))
    with pytest.raises(XtinctError, match=r"b\.parquet: no evaluation record"):
        inputs.read_evaluations([tmp_path / "a.json"], [tmp_path / "b.parquet"])


def test_a_table_that_was_cut_within_a_line_is_refused_by_name(tmp_path):
    """No line of it may be taken for whole: 0.12 of 0.125 is a number too."""
    path, rows = tmp_path / "a.csv", [{"kept": 0.5, "risk": 0.125}, {"kept": 1.0, "risk": 0.25}]
    write_csv(path, rows)
    sound = path.read_bytes()
    assert [float(row["risk"]) for row in inputs.read_csv(path)] == [0.125, 0.25]
    ends = [place + 1 for place, byte in enumerate(sound) if byte == ord("\n")]
    for size in set(range(1, len(sound))) - set(ends):
        path.write_bytes(sound[:size])
        with pytest.raises(XtinctError, match=r"a\.csv: not readable CSV"):
            inputs.read_csv(path)
    for damaged in (sound.replace(b"0.25", b"0,25"), sound.replace(b"1.0,", b"1.0"), b"\xff" + sound):
        path.write_bytes(damaged)
        with pytest.raises(XtinctError, match=r"a\.csv: not readable CSV"):
            inputs.read_csv(path)

"""The section on networks and measured patterns."""

import json

import pytest

from xtinct.errors import XtinctError
from xtinct.report.inputs import read_networks
from xtinct.report.sections.network_answers import network_rows


def record(**changed):
    about = {
        "test_set": "mine",
        "experiment": "measured",
        "seed": 0,
        "laboratory": "all",
        "prior": "training",
    }
    shares = {"top1": 0.5, "top1_low": 0.2, "top1_high": 0.8, "top5": 0.75, "top10": 1.0, "ece": 0.1}
    more = {"n": 4, "failed": 1, "sure_n": 2, "sure_right": 1, "held": 0.9}
    return {**about, **shares, **more, "target": "extinction_class", **changed}


def test_a_row_for_each_model_and_prior_with_what_labels_say():
    rows = network_rows(
        [
            record(prior="mp alone", top1=0.25),
            record(prior="mp"),
            record(),
            record(target="crystal_system", n=7, top1=0.6),
            record(target="spacegroup", n=0),
            record(laboratory="A"),
        ]
    )
    assert [(row["laboratory"], row["prior"]) for row in rows] == [
        ("all", "of training"),
        ("all", "Materials Project"),
        ("all", "these alone, no pattern"),
        ("A", "of training"),
    ]
    system, _, _, of_class, group = rows[0]["cells"]
    assert (rows[0]["n"], system["n"], of_class["n"], group) == (7, 7, 4, None)
    assert (rows[0]["sure"], rows[0]["held"], rows[0]["group5"]) == ("1 of 2", 0.9, None)


def test_a_record_without_its_keys_is_refused(tmp_path):
    path = tmp_path / "seed-0.json"
    path.write_text(json.dumps([record()]))
    assert read_networks([path]) == [record()]
    wrong = record()
    del wrong["prior"]
    path.write_text(json.dumps([wrong]))
    with pytest.raises(XtinctError, match=r"seed-0.json: the record has no key 'prior'"):
        read_networks([path])

"""The section on measured patterns: shares with their n, the audit with its reasons, published numbers."""

import pytest

from xtinct.errors import XtinctError
from xtinct.report.inputs import read_measured
from xtinct.report.sections.laboratory_patterns import (
    audit_rows,
    measured_rows,
    passed_rows,
    published,
    reason_rows,
)


def test_a_row_for_each_set_laboratory_and_method(measured_records):
    record, _ = measured_records
    records = [
        record(),
        record(method="predict", top1=1.0),
        record(target="crystal_system", n=5, seconds=2.0),
        record(laboratory="bench", target="spacegroup"),
        record(laboratory="bench", target="family", n=0),
    ]
    rows = measured_rows(records)
    keys = [(row["laboratory"], row["method"]) for row in rows]
    assert keys == [("all", "index"), ("all", "predict"), ("bench", "index")]
    assert (rows[0]["n"], rows[0]["sure"], rows[0]["seconds"]) == (5, "2 of 3", 2.0)
    assert (rows[0]["set"], rows[0]["set_share"]) == ("mine", 0.5)
    # A target that no label says is no cell; others keep the number that they are shares of.
    system, family, _, of_class, group = rows[0]["cells"]
    assert (system["n"], family, of_class["n"], group) == (5, None, 4, None)
    assert rows[2]["top5"] is None
    assert [row["counted"] for row in rows] == [[0.85, None], [0.85, None], [None, 0.85]]


def test_the_audit_counts_and_names_what_did_not_pass(measured_records):
    _, audited = measured_records
    assert audit_rows(audited) == [{"set": "mine", "laboratory": "bench", "patterns": 2, "passed": 1}]
    (row,) = reason_rows(audited)
    assert row == {"pattern": "mine:b", "reasons": "few_counts", "detail": "too few counts (about 7)"}


def test_what_passed_is_told_with_what_its_counts_allow(measured_records):
    (row,) = passed_rows(measured_records[1])
    assert (row["pattern"], row["peaks"], row["class_ceiling"]) == ("mine:a", 7, 0.625)
    assert row["group_ceiling"] is None


def test_every_published_row_says_its_split_prior_and_patterns():
    for row in published():
        assert row["source"]
        assert row["split"]
        assert row["types"]
        assert row["prior"]
        shares = [row[name] for name in ("crystal_system", "extinction_class", "class_top5", "spacegroup")]
        assert any(shares)
        assert all(0 < share < 1 for share in shares if share is not None)


def test_the_page_shows_them(report):
    html = report["outputs"].html.read_text()
    assert 'id="laboratory_patterns"' in html
    section = html.split('id="laboratory_patterns"')[1].split("<section")[0]
    for text in (
        "75.0",
        "2 of 3",
        "too few counts (about 7)",
        "AlphaDiffract",
        "0.125",
        "85.0",
        "12,345",
        "62.5",
    ):
        assert text in section, text


def test_a_record_that_is_none_is_named(tmp_path):
    (tmp_path / "x.json").write_text('[{"set": "a"}]')
    with pytest.raises(XtinctError, match=r"x\.json: the record has no key 'laboratory'"):
        read_measured([tmp_path / "x.json"])

"""Evidence of generated crystals as the page shows it."""

import csv
import math
import re

import numpy as np
import pyarrow as pa
import pytest

from xtinct.files.parquet import write_parquet
from xtinct.files.schema import LINES
from xtinct.patterns.instrument import Instrument
from xtinct.report.example_patterns import patterns_of_lattices
from xtinct.report.inputs import LINE_LABELS, read_line_labels, read_tables
from xtinct.report.sections import generated
from xtinct.report.sections.cell_parameters import lattice_histograms
from xtinct.report.sections.generated import wrong_groups_figure
from xtinct.report.sections.samples import counts_figure
from xtinct.symmetry.operations import hermann_mauguin


@pytest.fixture(scope="module")
def evidence(report) -> dict:
    return read_tables(report["paths"].curves)


def test_the_groups_out_of_reach_are_those_of_the_seed_paper_and_one_more(evidence):
    """Wang et al. never reached the first eight with compositions of 1 to 30 atoms of each element."""
    found = generated.group_tables(evidence["groups"])
    never = {196, 202, 203, 209, 210, 219, 222, 226}
    assert {row["number"] for row in found["hopeless"]} == never | {228}
    assert all(row["reached"] == 0 for row in found["hopeless"])
    assert {row["number"] for row in found["unreached"]} >= never
    assert {row["reasons"] for row in found["unreached"] if row["number"] in never} == {"out of reach"}
    assert found["wrong_share"] == pytest.approx(96 / (96 + found["reached"]))


def test_the_verdict_counts_what_exceeds_its_critical_value(evidence):
    verdict = generated.comparison_verdict(evidence["comparison"])
    # Samples of equal distribution, and samples shifted by two standard deviations, in two systems each.
    assert (verdict["compared"], verdict["differing"]) == (4, 2)
    assert verdict["worst"]["quantity"] == "sites"
    assert generated.comparison_verdict([]) is None


def test_charts_hold_every_crystal(evidence):
    charts = generated.histogram_charts(evidence["histograms"], evidence["comparison"])
    assert len(charts) == 4
    for chart in charts:
        assert chart["bin"] == 1
        for series in chart["series"]:
            assert sum(point[1] for point in series["points"]) == pytest.approx(1, abs=0.02)


def test_axes_name_groups_by_symbol_and_number():
    """Both charts of groups: no number stands at the axis alone."""
    groups = range(195, 231)
    bars = [{"group": g, "share": 0.5, "text": "", "reached": True} for g in groups]
    charts = (
        counts_figure("counts", "cubic", dict.fromkeys(groups, 3), groups, dict.fromkeys(groups, "")),
        wrong_groups_figure("wrong", "cubic", bars),
    )
    for svg in charts:
        texts = re.findall(r"<(?:text|tspan)[^>]*>([^<]+)<", svg)
        numbers = [int(text[1:-1]) for text in texts if re.fullmatch(r"\(\d+\)", text)]
        assert len(numbers) == 4
        assert {hermann_mauguin(number) for number in numbers} < set(texts)
        assert not {str(group) for group in groups} & set(texts)


def test_saved_tables_of_groups_hold_every_group(evidence, report):
    names = {str(number): str(number) for number in range(1, 231)}
    gallery = generated.group_gallery(evidence["groups"], names)
    rows = [row for d in gallery.drawings for row in csv.DictReader(d.csv.splitlines())]
    assert sorted(int(row["spacegroup_number"]) for row in rows) == list(range(1, 231))
    assert "of 2" in gallery.drawings[0].svg


def lattice_rows(lengths: list[float]) -> pa.Table:
    """Cubic samples of group 221 with the first lines of their lattice, 100 the strongest."""
    head = {"dataset": "ulbd", "spacegroup_number": 221, "extinction_class": "P - - -"}
    head |= {"crystal_system": "cubic", "split": "train", "alpha": 90.0, "beta": 90.0, "gamma": 90.0}
    rows = [
        {
            **head,
            **dict.fromkeys("abc", a),
            "sample_id": f"{i:03d}",
            "d_star": [math.sqrt(n) / a for n in (1, 2, 3, 4, 5, 6)],
            "intensity": [1.0, 0.2, 0.1, 0.1, 0.1, 0.1],
            "origin": "",
            "seed": 1,
            "source": "ulbd",
            "licence": "CC0-1.0",
        }
        for i, a in enumerate(lengths)
    ]
    return pa.Table.from_pylist(rows, schema=LINES)


def test_one_group_on_several_lattices_peaks_where_bragg_says(report, tmp_path):
    write_parquet(tmp_path / "cubic.parquet", [lattice_rows([9.0, 5.0, 7.0, 5.0, 11.0, 13.0])], LINES)
    instrument = Instrument.from_config(report["config"]["instrument"])
    paths = [tmp_path / "cubic.parquet"]
    two_theta, patterns = patterns_of_lattices(paths, instrument, 221, count=3)
    assert list(patterns) == ["a = 5.00 Å", "a = 9.00 Å", "a = 13.00 Å"]
    for a, pattern in zip((5, 9, 13), patterns.values(), strict=True):
        bragg = 2 * math.degrees(math.asin(instrument.wavelength / (2 * a)))
        assert two_theta[int(np.argmax(pattern))] == pytest.approx(bragg, abs=0.1)
    assert patterns_of_lattices(paths, instrument, 225)[1] == {}


def test_bins_are_fifths_of_an_angstrom_and_pictures_hold_nearly_all(report):
    labels = read_line_labels(report["paths"].lines)
    rows = [row for row in lattice_histograms(labels) if row["parameter"] in "abc"]
    assert {row["width"] for row in rows} == {0.2}
    for row in rows:
        edges = row["first"] + 0.2 * np.arange(len(row["counts"]))
        inside = (edges > row["shown"][0] - 1e-6) & (edges + 0.2 < row["shown"][1] + 1e-6)
        assert np.array(row["counts"])[inside].sum() >= 0.95 * sum(row["counts"])


def test_lengths_at_the_edge_of_a_bin_lie_in_the_bin_above():
    """A mesh of tenths of an angstrom: every bin of a fifth has two of them."""
    lengths = [tenth / 10 for tenth in range(20, 200)]
    (row,) = lattice_histograms(lattice_rows(lengths).select(list(LINE_LABELS)))
    assert row["first"] == 2
    assert row["counts"] == [2] * 90

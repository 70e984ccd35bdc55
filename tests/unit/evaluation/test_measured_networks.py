"""Models asked about measured patterns: as about the same lines without a measurement between."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xtinct.ceiling.priors import read_prior
from xtinct.evaluation.measured_networks import MeasuredSet, ask_networks, evaluate_on_measured
from xtinct.evaluation.methods import ModelFolder
from xtinct.files.parquet import write_parquet
from xtinct.files.schema import MEASURED_PATTERNS, PREDICTIONS
from xtinct.learning.predictor import Predictor
from xtinct.linelists.line_tables import read_lines
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.rendering import render

GROUPS = [225, 221, 198, 227, 230, 205, 195, 220]


@pytest.fixture
def lines(write_lines):
    samples, _ = next(read_lines(write_lines(GROUPS, splits=("test",)), family="cubic"))
    return samples


@pytest.fixture
def measured(lines, tmp_path):
    """A set of measurements of the samples on a finer grid that reaches further; one has no wavelength."""
    fine = {"min": 4, "max": 95, "points": 6001}
    settings = {"wavelength": 1.5406, "two_theta": fine, "lorentz": "lorentz", "fwhm": 0.5}
    instrument = Instrument.from_config(settings)
    patterns = render(lines.lines, instrument).astype(float) * 1e5

    def write(laboratories=("A",), unknown=()):
        rows = [
            {
                "pattern_id": f"set:{i}",
                "laboratory": laboratories[i % len(laboratories)],
                "two_theta": instrument.two_theta.tolist(),
                "intensity": pattern.tolist(),
                "wavelength": [] if i in unknown else [1.5406],
                "ratio": 0.0,
                "anode": "Cu",
                "spacegroup_number": int(group),
                "crystal_system": None,
                **dict.fromkeys(("specimen", "licence", "formula", "label", "sha256"), ""),
                **dict.fromkeys(("a", "b", "c", "alpha", "beta", "gamma", "sigma", "n_phases")),
                "notes": [],
            }
            for i, (pattern, group) in enumerate(zip(patterns, lines.groups, strict=True))
        ]
        path = tmp_path / "set.parquet"
        write_parquet(path, [pa.Table.from_pylist(rows, schema=MEASURED_PATTERNS)], MEASURED_PATTERNS)
        return path

    return write


def asked(model, path, tmp_path):
    out = tmp_path / "records.json", tmp_path / "predictions.parquet"
    folder, test = ModelFolder(model, "cpu", "float32"), MeasuredSet("set", path)
    records = evaluate_on_measured(folder, test, *out)
    assert json.loads(out[0].read_text()) == records
    # A build without such a model has an empty file.
    assert (
        ask_networks([], test, tmp_path / "none.json")
        == json.loads((tmp_path / "none.json").read_text())
        == []
    )
    return {(r["prior"], r["laboratory"], r["target"]): r for r in records}, pq.read_table(out[1])


def test_a_measurement_gets_the_answer_of_its_lines(model_dir, lines, measured, tmp_path):
    records, table = asked(model_dir, measured(), tmp_path)
    direct = Predictor(model_dir, device="cpu").from_lines(lines.lines)
    assert table.schema.names == PREDICTIONS.names
    # The doublet-free pattern went through another grid and lost a background that it did not have.
    said = np.array(table["class_probabilities"].to_pylist())
    assert said[:, 0] == pytest.approx(direct.class_probabilities.max(axis=1), abs=0.05)
    right = direct.class_probabilities.argmax(axis=1) == [
        direct.class_symbols.index(name) for name in table["extinction_class"].to_pylist()
    ]
    assert records["training", "A", "extinction_class"]["top1"] == pytest.approx(right.mean())
    assert records["training", "A", "family"]["n"] == len(GROUPS)
    assert records["training", "A", "extinction_class"]["held_high"] > 0.5


def test_frequencies_of_real_crystals_take_the_place_of_trainings(model_dir, lines, measured, tmp_path):
    records, _ = asked(model_dir, measured(), tmp_path)
    found = Predictor(model_dir, device="cpu").from_lines(lines.lines, prior=read_prior("mp"))
    first = found.groups[found.group_probabilities.argmax(axis=1)]
    assert records["mp", "A", "spacegroup"]["top1"] == pytest.approx((first == lines.groups).mean(), abs=0.13)
    # No set where the probabilities are not those of the calibration.
    assert "held" not in records["mp", "A", "extinction_class"]


def test_frequencies_alone_are_what_a_model_must_beat(model_dir, measured, tmp_path):
    records, _ = asked(model_dir, measured(), tmp_path)
    cubic = {group: weight for group, weight in read_prior("mp").items() if group >= 195}
    most = max(cubic, key=cubic.get)
    found = records["mp alone", "A", "spacegroup"]
    assert found["top1"] == GROUPS.count(most) / len(GROUPS)
    assert found["ece"] == pytest.approx(abs(found["top1"] - float(cubic[most]) / float(sum(cubic.values()))))


def test_laboratories_count_apart_and_what_cannot_be_asked_is_counted(model_dir, measured, tmp_path):
    records, table = asked(model_dir, measured(("B", "A"), unknown=(0, 3)), tmp_path)
    assert {key[1] for key in records} == {"all", "A", "B"}
    for laboratory, n, failed in (("all", 8, 2), ("A", 4, 1), ("B", 4, 1)):
        record = records["training", laboratory, "spacegroup"]
        assert (record["n"], record["failed"]) == (n, failed)
    # Without any answer all classes are alike.
    assert np.ptp(table["class_probabilities"][0].as_py()) == 0
    assert np.ptp(table["class_probabilities"][1].as_py()) > 0.01

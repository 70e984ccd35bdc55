import csv

import numpy as np
import pytest

from xtinct.evaluation.methods import ModelFolder
from xtinct.evaluation.robustness import measure_robustness
from xtinct.evaluation.test_sets import TestSet
from xtinct.learning.predictor import Predictor
from xtinct.linelists.line_tables import read_lines
from xtinct.patterns.conditions import Conditions
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.rendering import render
from xtinct.symmetry.families import space_groups


def test_worse_measurements_are_judged_on_the_same_samples(model_dir, write_lines, settings, tmp_path):
    path = write_lines(list(space_groups("cubic")) * 6, splits=("test",))
    rows = measure_robustness(
        ModelFolder(model_dir, "cpu", "float32"),
        TestSet("held-out", [path], settings["instrument"]),
        {
            "patterns": 216,
            "counts": [1e12, 10],
            "width_factor": [1.0, 3.0],
            "zero_shift": [0.0, 8.0],
            "start": [5, 30],
            "end": [90, 6],
        },
        tmp_path / "robustness.csv",
    )
    with (tmp_path / "robustness.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(rows) == 2 * 11
    found = {(r["condition"], r["value"]): r for r in rows if r["target"] == "extinction_class"}
    as_configured = found.pop(("none", ""))
    assert as_configured["n"] == 216
    assert as_configured["ceiling"] == 1
    for unchanged in (
        ("counts", 1e12),
        ("width_factor", 1.0),
        ("zero_shift", 0.0),
        ("start", 5),
        ("end", 90),
    ):
        assert found[unchanged]["top1"] == pytest.approx(as_configured["top1"], abs=0.03)
        assert found[unchanged]["ceiling"] == 1
    # Without a line the best answer is the class with most samples: I - - - holds 6 of the 36 groups.
    nothing_left = found["end", 6]
    assert nothing_left["ceiling"] == pytest.approx(6 / 36)
    assert nothing_left["top1"] <= nothing_left["ceiling"] + 0.02

    # The same samples, measured here.
    samples, _ = next(read_lines(path, family="cubic"))
    predictor = Predictor(model_dir, device="cpu")
    instrument = Instrument.from_config(settings["instrument"])
    labels = predictor.outputs.class_of_group[samples.groups]

    def accuracy(patterns):
        answers = predictor.from_patterns(patterns, prior=predictor.training_prior)
        return (answers.class_probabilities.argmax(axis=1) == labels).mean()

    patterns = render(samples.lines, instrument)
    wide = render(samples.lines, instrument, conditions=Conditions(width_factor=np.full(216, 3.0)))
    cut = np.where(instrument.two_theta >= 30, patterns, 0)
    noisy = np.random.Generator(np.random.PCG64(1)).poisson(10.0 * patterns)
    for condition, by_hand, scatter in (
        (("width_factor", 3.0), wide, 1e-9),
        (("start", 30), cut, 1e-9),
        (("counts", 10), noisy, 0.12),  # other random numbers
    ):
        assert found[condition]["top1"] == pytest.approx(accuracy(by_hand), abs=scatter)
        assert found[condition]["top1"] < as_configured["top1"] - 0.05, condition
    assert found["zero_shift", 8.0]["top1"] < as_configured["top1"]
    for row in found.values():
        for name in ("top1", "held", "size", "empty"):
            assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]

"""The observer and a trained network together, and the instruments that a network refuses."""

import json
from dataclasses import fields, replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from xtinct.errors import XtinctError
from xtinct.evaluation.methods import ModelFolder, ObserverSettings
from xtinct.evaluation.observers import evaluate_observer
from xtinct.evaluation.test_sets import TestSet
from xtinct.learning.predictor import Predictor
from xtinct.linelists.line_tables import line_lists
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.rendering import render


def test_what_no_lattice_explains_is_answered_by_the_network(model_dir, write_lines, settings, tmp_path):
    """Lines at irregular places are nobody's crystal: the observer has its prior, the network an opinion."""
    d_star = np.array([0.2113, 0.3271, 0.3877, 0.4639, 0.5531, 0.6047, 0.7103, 0.7919])
    change = {"d_star": d_star.tolist(), "intensity": [1.0, 0.3, 0.8, 0.5, 0.9, 0.4, 0.7, 0.6]}
    path = write_lines([225, 227], splits=("test",), change=change)
    records = evaluate_observer(
        ObserverSettings("cubic", "uniform", samples=2),
        TestSet("ulbd", [path], settings["instrument"]),
        tmp_path / "m.json",
        tmp_path / "p.parquet",
        ModelFolder(model_dir, "cpu", "float32"),
    )
    assert records[0]["found"] == 0
    network = Predictor(model_dir, device="cpu")
    patterns = render(line_lists(pq.read_table(path)), network.instrument)
    answers = network.from_patterns(patterns, prior=network.training_prior)
    for i, row in enumerate(pq.read_table(tmp_path / "p.parquet").to_pylist()):
        expected = answers.top_groups(i)
        assert row["groups"] == [number for number, _ in expected]
        np.testing.assert_allclose(row["group_probabilities"], [p for _, p in expected], rtol=1e-5)
        assert row["group_probabilities"][0] > 2 / 36, "the network has an opinion"


#: Another value of every setting of an instrument.
OTHER = {
    "wavelength": 1.5405,
    "two_theta_min": 6.0,
    "two_theta_max": 89.0,
    "points": 1023,
    "lorentz": "lorentz",
    "fwhm": 0.4,
    "further_wavelengths": ((1.5444, 0.5),),
    "monochromator": 0.0,
    "profile": "pseudo-voigt",
    "eta": 0.5,
    "crystallite_size": 500.0,
    "zero_shift": 0.01,
    "displacement": 0.05,
    "goniometer_radius": 217.5,
    "background": (0.01,),
    "humps": ((0.1, 20.0, 8.0),),
    "counts": 1000.0,
    "impurities": ((0.49, 0.02),),
}


@pytest.mark.parametrize("name", [field.name for field in fields(Instrument)])
def test_a_network_refuses_an_instrument_that_differs_in_anything(model_dir, name):
    card = json.loads((model_dir / "card.json").read_text())
    card["instrument"] |= {"lorentz": "lorentz-polarisation", "monochromator": 26.6}
    (model_dir / "card.json").write_text(json.dumps(card))
    network = Predictor(model_dir, device="cpu")
    network.require_instrument(network.instrument)
    changes = {name: OTHER[name]} | ({"monochromator": 0.0} if name == "lorentz" else {})
    with pytest.raises(XtinctError, match=f"instrument: {name} is "):
        network.require_instrument(replace(network.instrument, **changes))

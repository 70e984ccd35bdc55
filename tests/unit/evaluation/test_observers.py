"""Records of the observer and of its product with a network."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import torch

from xtinct.evaluation.methods import ModelFolder, ObserverSettings
from xtinct.evaluation.observers import evaluate_observer
from xtinct.evaluation.test_sets import TestSet
from xtinct.files.parquet import read_table, write_parquet
from xtinct.files.schema import LINES
from xtinct.learning import predictor
from xtinct.linelists.ulbd_lines import UlbdLines
from xtinct.scores.metrics import wilson_interval
from xtinct.symmetry.classes import class_symbol, extinction_classes

INSTRUMENT = {
    "wavelength": 1.5406,
    "two_theta": {"min": 5, "max": 90, "points": 8192},
    "lorentz": "lorentz",
    "fwhm": 0.23548,
}


@pytest.fixture
def evaluated(tmp_path):
    """Evaluate the observer on three cubic samples, of other groups or lattices if asked, or with a model."""

    def run(groups=(225, 227, 221), model=None, lengths=(5.64, 5.43, 4.12)):
        return evaluate(tmp_path, np.array(groups), model, lengths)

    return run


def evaluate(folder, groups, model, lengths):
    """Metrics records of the observer on cubic lattices, such as those of rock salt, silicon and CsCl."""
    cells = np.array([[a, a, a, 90.0, 90.0, 90.0] for a in lengths])
    lines = UlbdLines("cubic", 0.93, 6.0).draw(groups, cells, np.arange(3, dtype=np.uint64))
    rows = [
        {
            "sample_id": f"s-{i}",
            "dataset": "ulbd",
            "spacegroup_number": int(groups[i]),
            "extinction_class": class_symbol(int(groups[i])),
            "crystal_system": "cubic",
            "split": "test",
            **dict(zip(("a", "b", "c", "alpha", "beta", "gamma"), cells[i], strict=True)),
            "d_star": lines[i][0].astype(np.float32).tolist(),
            "intensity": lines[i][1].tolist(),
            "origin": "",
            "seed": 0,
            "source": "ulbd",
            "licence": "CC0-1.0",
        }
        for i in range(3)
    ]
    path = folder / "cubic.parquet"
    write_parquet(path, [pa.Table.from_pylist(rows, schema=LINES)], LINES)
    return evaluate_observer(
        ObserverSettings("cubic", "uniform", samples=3),
        TestSet("ulbd", [path], INSTRUMENT),
        folder / "m.json",
        folder / "p.parquet",
        model,
    )


def test_the_share_of_found_lattices_has_its_interval(evaluated):
    record = evaluated()[0]
    assert (record["found"], record["found_low"], record["found_high"]) == (1.0, *wilson_interval(3, 3))
    assert record["device"] == "cpu"


def test_samples_on_one_lattice_count_as_one_in_every_interval(evaluated):
    record = evaluated(lengths=(5.64, 5.64, 5.64))[0]
    assert (record["n"], record["found"], record["top1"]) == (3, 1.0, 1.0)
    assert record["found_low"] == record["top1_low"] == pytest.approx(wilson_interval(1, 1)[0])


def test_the_product_runs_the_network_where_it_is_told_and_says_where(evaluated, monkeypatch):
    asked = {}

    class Network:
        training_prior = None
        device, precision = torch.device("cpu"), torch.bfloat16

        def __init__(self, folder, **options):
            asked.update(options)

        def require_instrument(self, instrument):
            pass

        def from_patterns(self, patterns, prior):
            n = sum(len(c.members) for c in extinction_classes("cubic"))
            return SimpleNamespace(group_probabilities=np.full((len(patterns), n), 1 / n))

    monkeypatch.setattr(predictor, "Predictor", Network)
    record = evaluated(model=ModelFolder("model", "cpu", "bfloat16"))[0]
    assert asked == {"device": "cpu", "precision": "bfloat16", "threads": 1}
    assert record["device"].startswith("cpu")
    assert record["device"].endswith("bfloat16")
    assert record["model"] == "hybrid"


def test_perfect_patterns_are_named_first_and_their_classes_come_by_falling_probability(evaluated, tmp_path):
    """F - - -, F d - - and P - - - cannot be mistaken on a lattice that shows thirty lines."""
    of_class, of_group = evaluated()
    assert of_class["top1"] == of_class["top5"] == 1.0
    assert of_class["log_loss"] < 0.01
    rows = read_table(tmp_path / "p.parquet").to_pylist()
    assert [row["classes"][0] for row in rows] == [row["extinction_class"] for row in rows]
    for row in rows:
        for name in ("class_probabilities", "group_probabilities"):
            assert row[name] == sorted(row[name], reverse=True)
    assert of_group["top5"] == 1.0, "F - - - and P - - - have five groups each, F d - - two"


def test_the_ceiling_of_the_test_set_is_that_of_its_own_groups(evaluated):
    """Fm-3m and F-43m share F - - -: with two of one and one of the other nobody is right more often."""
    of_class, of_group = evaluated(groups=(225, 216, 225))
    assert of_group["ceiling1"] == pytest.approx(2 / 3)
    assert of_group["ceiling2"] == of_class["ceiling1"] == pytest.approx(1.0)


def test_the_observer_alone_loads_no_torch():
    code = "import sys, xtinct.evaluation.observers\nprint('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "False", done.stderr

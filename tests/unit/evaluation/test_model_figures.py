"""Tables that figures of a single model are drawn from."""

import csv
import json

import numpy as np
import pyarrow as pa
import pytest
import torch

from xtinct.errors import XtinctError
from xtinct.evaluation import model_figures
from xtinct.evaluation.methods import ModelFolder
from xtinct.evaluation.model_figures import (
    DESCRIPTORS,
    descriptor_rows,
    feature_map,
    importance_rows,
    last_features,
    size_rows,
    write_importances,
    write_portrait,
)
from xtinct.evaluation.test_sets import TestSet
from xtinct.files.parquet import write_parquet
from xtinct.files.schema import STRUCTURES
from xtinct.learning.models import build_model
from xtinct.learning.predictor import Predictor
from xtinct.learning.training import train_model
from xtinct.learning.training_settings import TrainingSettings
from xtinct.patterns.conditions import Conditions
from xtinct.patterns.instrument import Instrument
from xtinct.scores.metrics import share
from xtinct.scores.outputs import Outputs
from xtinct.symmetry.families import space_groups

OPTICS = Instrument(
    wavelength=1.5406, two_theta_min=5, two_theta_max=90, points=8192, lorentz="lorentz", fwhm=0.2
)


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("logq", {}),
        ("fcn13", {}),
        ("parkcnn", {}),
        ("report", {"name": "cnn"}),
        ("simxrd", {"name": "CNN5", "version": "as-published"}),
    ],
)
def test_the_last_features_and_the_last_layer_give_the_answer(kind, options):
    """Whatever a network is made of: its logits are a linear function of these features."""
    torch.manual_seed(0)
    model = build_model(kind, OPTICS, 5, options).eval()
    patterns = torch.rand(12, 8192)
    features = last_features(model, patterns).astype(np.float64)
    with torch.no_grad():
        logits = model(patterns).numpy().astype(np.float64)
    layers = [m for m in model.modules() if isinstance(m, torch.nn.Linear | torch.nn.Conv1d)]
    last = next(m for m in reversed(layers) if len(m.weight) == 5)
    weight = last.weight.detach().numpy().astype(np.float64).reshape(5, -1)
    found = features @ weight.T + last.bias.detach().numpy()
    # As published it ends in a softmax, which this undoes up to a shift.
    if kind == "simxrd":
        logits = np.log(logits)
        found, logits = (x - x.mean(axis=1, keepdims=True) for x in (found, logits))
    assert found == pytest.approx(logits, abs=1e-4)


def test_trees_show_their_answers():
    model = build_model("extratrees", OPTICS, 3, {"trees": 4})
    patterns = torch.rand(20, 8192)
    model.fit(patterns.numpy(), np.arange(20) % 3, 1)
    assert last_features(model.eval(), patterns) == pytest.approx(model(patterns).numpy())


def test_a_map_keeps_groups_apart_and_is_the_same_again():
    """Three clouds far apart in 200 dimensions: the nearest neighbour on the map is of the same cloud."""
    rng = np.random.default_rng(1)
    cloud = np.arange(60) % 3
    features = (rng.normal(size=(3, 200)) * 10)[cloud] + rng.normal(size=(60, 200))
    places = feature_map(features)
    distances = np.linalg.norm(places[:, None] - places[None], axis=2) + np.diag(np.full(60, np.inf))
    assert (cloud[distances.argmin(axis=1)] == cloud).all()
    assert np.array_equal(places, feature_map(features))
    assert not feature_map(np.ones((20, 4))).any()
    with pytest.raises(XtinctError, match="needs 10 samples, there are 9"):
        feature_map(features[:9])


def test_every_crystal_is_in_one_bin_of_each_descriptor_and_errors_are_where_they_were_put():
    values = np.random.default_rng(2).permutation(np.arange(1.0, 101))
    crystals = [{"volume": v, "sites": 8.0, "packing_factor": 1 / v} for v in values]
    rows = descriptor_rows(values <= 50, crystals, 0.95)
    by_name = {name: [row for row in rows if row["quantity"] == name] for name in DESCRIPTORS}
    for of_name in by_name.values():
        assert sum(row["n"] for row in of_name) == 100
        assert sum(row["right"] for row in of_name) == 50
    # All crystals have 8 sites: one bin.
    assert [(row["low"], row["high"], row["n"]) for row in by_name["sites"]] == [("8", "8", 100)]
    errors = [row["error"] for row in by_name["volume"]]
    assert (errors[0], errors[-1]) == (0, 1)
    assert errors == sorted(errors)
    assert [row["error"] for row in by_name["packing_factor"]] == sorted(errors, reverse=True)
    assert descriptor_rows(np.empty(0, bool), [], 0.95) == []
    # Samples of one lattice fail together, so that ten lattices tell less than a hundred samples.
    lattices = np.argsort(np.argsort(values)) // 10
    (sites,) = (row for row in descriptor_rows(values <= 50, crystals, 0.95, lattices) if row["low"] == "8")
    expected = share("error", values > 50, 0.95, lattices)
    assert {key: sites[key] for key in expected} == expected
    assert sites["error_low"] < by_name["sites"][0]["error_low"] - 0.1


def cell_cif(a):
    """One atom in a cube of edge a."""
    lengths = [f"_cell_length_{x} {a}" for x in "abc"]
    angles = [f"_cell_angle_{x} 90" for x in ("alpha", "beta", "gamma")]
    atom = ["loop_", *(f"_atom_site_{x}" for x in ("label", "type_symbol", "fract_x", "fract_y", "fract_z"))]
    return "\n".join(["data_x", "_space_group_name_H-M_alt 'P 1'", *lengths, *angles, *atom, "Fe1 Fe 0 0 0"])


def test_a_portrait_is_of_the_samples_of_the_test_set(model_dir, settings, write_lines, tmp_path):
    groups = list(space_groups("cubic"))
    origins = list(map(str, range(len(groups))))
    edges = 3 + np.arange(len(groups)) / 10

    path = write_lines(groups, splits=("test",))
    structures = tmp_path / "structures.parquet"
    rows = [
        dict.fromkeys(STRUCTURES.names, 0)
        | dict.fromkeys(("formula", "protostructure", "source", "source_version", "licence"), "")
        | {"structure_id": origin, "crystal_system": "cubic", "cif": cell_cif(a)}
        for origin, a in zip(origins, edges, strict=True)
    ]
    write_parquet(structures, [pa.Table.from_pylist(rows, schema=STRUCTURES)], STRUCTURES)
    model = ModelFolder(model_dir, "cpu", "float32")
    test = TestSet("mine", [path], settings["instrument"])
    write_portrait(model, test, tmp_path / "mine.features.csv", structures)
    features, descriptors = read(tmp_path / "mine.features.csv"), read(tmp_path / "mine.descriptors.csv")
    assert len(features) == len(groups)
    names = Outputs.of("cubic", "extinction_class")
    assert [row["label"] for row in features] == [names.symbols[names.output_of_group[g]] for g in groups]
    right = sum(row["right"] == "True" for row in features)
    volumes = [row for row in descriptors if row["quantity"] == "volume"]
    assert sum(int(row["right"]) for row in volumes) == right
    assert float(volumes[0]["low"]) == pytest.approx(27)
    assert float(volumes[-1]["high"]) == pytest.approx(edges[-1] ** 3, rel=1e-4)
    write_portrait(model, test, tmp_path / "none.features.csv")
    assert read(tmp_path / "none.descriptors.csv") == []
    other = write_lines([225] * 40, name="other.parquet", splits=("test",))
    with pytest.raises(XtinctError, match=r"structures\.parquet: no structure '36', which a sample is of"):
        write_portrait(
            model, TestSet("o", [other], settings["instrument"]), tmp_path / "o.features.csv", structures
        )


def test_errors_by_crystallite_size_are_those_of_patterns_with_such_peaks(
    model_dir, settings, write_lines, tmp_path, monkeypatch
):
    """At 5 angstrom a pattern has no peaks left. At both ends the errors are those at that size alone."""
    groups = list(space_groups("cubic")) * 10
    test = TestSet("mine", [write_lines(groups, splits=("test",))], settings["instrument"])
    assert size_rows(Predictor(model_dir), test) == []
    card = json.loads((model_dir / "card.json").read_text())
    card["training"]["data"]["variation"] = {"crystallite_size": [5, 5000], "zero_shift": [-1, 1]}
    (model_dir / "card.json").write_text(json.dumps(card))
    predictor, units = Predictor(model_dir), []

    def noted(name, right, confidence, cells):
        units.append(cells)
        return share(name, right, confidence, cells)

    monkeypatch.setattr(model_figures, "share", noted)
    rows = size_rows(predictor, test)
    assert {row["unit"] for row in rows} == {"angstrom"}
    assert sum(row["n"] for row in rows) == len(groups)
    assert sum(map(len, units)) == len(groups)
    assert len(set(np.concatenate(units))) == len(np.unique(test.cells(), axis=0)) < len(groups)
    edges = [float(row["low"]) for row in rows] + [float(rows[-1]["high"])]
    # Log-uniform: half of them below the geometric mean.
    assert edges[len(edges) // 2] == pytest.approx(158, rel=0.4)
    assert 5 <= min(edges) < 6
    assert 4000 < max(edges) <= 5000
    ((samples, _),) = test.parts("cubic")
    labels = predictor.outputs.output_of_group[samples.groups]
    errors = []
    for size in (5, 5000):
        sizes = Conditions(crystallite_size=np.full(len(groups), float(size)))
        found = predictor.outputs_of_lines(samples.lines, conditions=sizes).argmax(axis=1)
        errors.append((found != labels).mean())
    assert errors[0] > errors[1] + 0.2
    assert rows[0]["error_low"] <= errors[0] <= rows[0]["error_high"]
    assert rows[-1]["error_low"] <= errors[1] <= rows[-1]["error_high"]
    assert rows[0]["error"] > rows[-1]["error"] + 0.2
    write_portrait(ModelFolder(model_dir, "cpu", "float32"), test, tmp_path / "mine.features.csv")
    assert len(read(tmp_path / "mine.descriptors.csv")) == len(rows)


def test_importances_of_trees_are_shares_of_the_whole_axis(settings, model_dir, tmp_path):
    settings["models"] = {"small": {"kind": "extratrees", "trees": 5, "min_leaf": 1}}
    settings["experiment"]["patterns"] = 32 * 4
    train_model(TrainingSettings.from_config(settings), tmp_path / "m")
    model = ModelFolder(tmp_path / "m", "cpu", "float32")
    write_importances(model, tmp_path / "importances.csv")
    rows = read(tmp_path / "importances.csv")
    assert (float(rows[0]["two_theta_low"]), float(rows[-1]["two_theta_high"])) == (5, 90)
    assert len(rows) == 425
    assert sum(float(row["importance"]) for row in rows) == pytest.approx(1, abs=1e-4)
    with pytest.raises(XtinctError, match="those of trees"):
        importance_rows(Predictor(model_dir))

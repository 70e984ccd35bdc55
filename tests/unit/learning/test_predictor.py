import json
from functools import partial

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import xtinct
from xtinct.cli import cli
from xtinct.errors import XtinctError
from xtinct.lattices.distributions import LatticeSpec
from xtinct.learning.card import save_model
from xtinct.learning.models import build_model
from xtinct.learning.predictor import Predictor
from xtinct.learning.streams import UlbdStream
from xtinct.linelists.line_tables import read_lines
from xtinct.measurements.preparation import on_grid
from xtinct.patterns.conditions import Conditions
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.rendering import render
from xtinct.patterns.variation import Variation
from xtinct.radiation.tubes import doublet_of
from xtinct.scores.calibration import COVERAGES, log_loss
from xtinct.scores.outputs import Outputs
from xtinct.symmetry.families import space_groups


def test_lines_and_their_patterns_get_the_same_answer(model_dir, write_lines, settings):
    predictor = Predictor(model_dir, device="cpu")
    samples, _ = next(read_lines(write_lines(list(space_groups("cubic"))), family="cubic"))
    patterns = render(samples.lines, Instrument.from_config(settings["instrument"]))
    by_lines = predictor.from_lines(samples.lines)
    by_patterns = predictor.from_patterns(patterns * 37.0)
    assert by_lines.group_probabilities == pytest.approx(by_patterns.group_probabilities, abs=1e-5)
    assert by_lines.class_probabilities.sum(axis=1) == pytest.approx(1)
    classes = by_lines.top_classes(0, 3)
    assert [p for _, p in classes] == sorted((p for _, p in classes), reverse=True)
    assert len(by_lines.top_groups(0, 5)) == 5


def test_a_simulated_measurement_is_the_same_as_training_sees_it_and_as_it_is_measured(
    model_dir, write_lines
):
    """Background, noise and a cut range, through the transform of the model's card both ways."""
    card = json.loads((model_dir / "card.json").read_text())
    card["transform"] = {"background": "snip", "values": "root", "start": 8.0, "half_width": 1.5}
    (model_dir / "card.json").write_text(json.dumps(card))
    predictor = Predictor(model_dir, device="cpu")
    samples, _ = next(read_lines(write_lines([225, 227, 205]), family="cubic"))
    law = {"background": [0.1, 0.3], "counts": [500, 5000], "end": [70, 80], "zero_shift": [-0.1, 0.1]}
    conditions = Variation.from_config(law).draw(np.uint64(5), 0, 3)
    seen = predictor.render(samples.lines, conditions)
    counted = render(samples.lines, predictor.instrument, conditions=conditions) * 4321.0
    as_measured = predictor.render.transformed(torch.from_numpy(counted / counted.max(1, keepdims=True)))
    torch.testing.assert_close(as_measured, seen, rtol=0, atol=1e-6)
    assert (seen[:, predictor.instrument.two_theta < 8] == 0).all()
    trained = predictor.outputs_of_lines(samples.lines, conditions=conditions)
    asked = predictor.from_patterns(counted)
    np.testing.assert_allclose(
        asked.class_probabilities, predictor.interpret(trained).class_probabilities, atol=1e-5
    )
    # The whole way of a file: the background is the transform's to take off, whoever asks for it.
    grid = predictor.instrument.two_theta
    answers = [
        xtinct.predict(
            (grid, counted[0]),
            1.5406,
            models=model_dir,
            subtract_background=bare,
            fill_missing=True,
            any_width=True,
        )["cubic"]["classes"]
        for bare in (False, True)
    ]
    assert answers[0] == answers[1]
    gridded = on_grid(grid, counted[0].astype(float), 1.5406, predictor.instrument, fill_missing=True)
    assert answers[0] == predictor.from_patterns(gridded).top_classes(0)


def test_the_prior_is_swapped_at_prediction(model_dir, write_lines):
    predictor = Predictor(model_dir, device="cpu")
    samples, _ = next(read_lines(write_lines([225]), family="cubic"))
    trained = predictor.from_lines(samples.lines)
    # F - - - has five groups, of which the prior takes two; of P - - - all of five stay.
    weights = {225: 3.0, 202: 1.0} | dict.fromkeys((195, 200, 207, 215, 221), 2.0)
    found = predictor.from_lines(samples.lines, prior=weights)
    classes = {symbol: i for i, symbol in enumerate(found.class_symbols)}
    expected = np.zeros_like(trained.class_probabilities)
    for symbol, ratio in (("F - - -", 4 / 5), ("P - - -", 10 / 5)):
        expected[:, classes[symbol]] = ratio * trained.class_probabilities[:, classes[symbol]]
    expected /= expected.sum(axis=1, keepdims=True)
    assert found.class_probabilities == pytest.approx(expected, abs=1e-12)
    at = {int(g): i for i, g in enumerate(found.groups)}
    shares = found.group_probabilities[:, [at[225], at[202]]] / expected[:, [classes["F - - -"]]]
    assert shares == pytest.approx(np.array([[3 / 4, 1 / 4]] * len(shares)))


def test_the_prior_of_training_changes_nothing(model_dir, write_lines):
    predictor = Predictor(model_dir, device="cpu")
    samples, _ = next(read_lines(write_lines([225, 221]), family="cubic"))
    trained, again = (
        predictor.from_lines(samples.lines, prior=prior)
        for prior in (None, dict.fromkeys(space_groups("cubic"), 7))
    )
    assert (trained.class_probabilities == again.class_probabilities).all()
    assert again.calibration is not None


def test_a_prior_of_another_family_is_said_and_not_asked(measured, model_dir):
    two_theta, pattern, _ = measured(1.0)
    asked = partial(xtinct.predict, (two_theta, pattern), 1.5406, models=model_dir)
    plain = asked()["cubic"]
    answer = asked(prior={14: 1})["cubic"]
    assert answer["classes"] == plain["classes"]
    assert "no weight on any space group that the cubic model knows" in answer["warnings"][0]
    card = json.loads((model_dir / "card.json").read_text())
    card["group_counts"] = {"225": 3, "221": 1}
    (model_dir / "card.json").write_text(json.dumps(card))
    answer = asked(prior={225: 3, 198: 1})["cubic"]
    assert "25 % of its weight on space groups that training never showed (198)" in answer["warnings"][0]
    assert answer["classes"][0] == ("F - - -", 1.0)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (np.ones(1000), "pattern of 1000 points: the model takes 1024"),
        (np.zeros(1024), "somewhere positive"),
        (np.full(1024, np.nan), "must be finite"),
    ],
)
def test_patterns_that_are_none_are_refused(model_dir, pattern, message):
    with pytest.raises(XtinctError, match=message):
        Predictor(model_dir, device="cpu").from_patterns(pattern)


def test_broken_model_folders_are_refused_by_name(model_dir, tmp_path):
    with pytest.raises(XtinctError, match=r"nowhere/card\.json: no such file"):
        Predictor(tmp_path / "nowhere")
    card = json.loads((model_dir / "card.json").read_text())
    (model_dir / "card.json").write_text(json.dumps({k: v for k, v in card.items() if k != "outputs"}))
    with pytest.raises(XtinctError, match="the key 'outputs' is missing"):
        Predictor(model_dir)
    card["architecture"]["hyperparameters"]["width"] = 9
    (model_dir / "card.json").write_text(json.dumps(card))
    with pytest.raises(XtinctError, match="not the weights of its card"):
        Predictor(model_dir)
    weights = (model_dir / "model.safetensors").read_bytes()
    (model_dir / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(XtinctError, match="not the weights of its card"):
        Predictor(model_dir)


def test_a_pickle_in_place_of_the_weights_is_not_executed(model_dir, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    torch.save(Bomb(), model_dir / "model.safetensors")
    with pytest.raises(XtinctError, match="not the weights of its card"):
        Predictor(model_dir)
    assert not (tmp_path / "executed").exists()


def test_a_card_without_calibration_gives_probabilities_and_no_sets(model_dir, write_lines):
    card = json.loads((model_dir / "card.json").read_text())
    (model_dir / "card.json").write_text(json.dumps({**card, "calibration": None}))
    predictor = Predictor(model_dir, device="cpu")
    samples, _ = next(read_lines(write_lines([225]), family="cubic"))
    found = predictor.from_lines(samples.lines)
    assert found.class_probabilities.sum() == pytest.approx(1)
    with pytest.raises(XtinctError, match="need a calibration"):
        found.class_sets(0.95)
    (model_dir / "card.json").write_text(json.dumps({**card, "calibration": {"temperature": 2}}))
    with pytest.raises(XtinctError, match="calibration"):
        Predictor(model_dir, device="cpu")


def test_a_measured_pattern_is_answered_like_its_lines(model_dir, write_lines, settings, tmp_path):
    """Also at another wavelength, where it covers the model's range; refused or filled where it does not."""
    samples, _ = next(read_lines(write_lines([230, 225]), family="cubic"))
    expected = Predictor(model_dir, device="cpu").from_lines(samples.lines).top_classes(0)
    fine = Instrument.from_config(
        settings["instrument"] | {"two_theta": {"min": 4, "max": 92, "points": 8192}}
    )
    pattern = 900 * render(samples.lines, fine)[0]
    answer = xtinct.predict((fine.two_theta, pattern), 1.5406, models=model_dir)["cubic"]
    assert [symbol for symbol, _ in answer["classes"]][:2] == [symbol for symbol, _ in expected][:2]
    assert answer["classes"][0][1] == pytest.approx(expected[0][1], abs=0.05)
    assert answer["set"][0] == answer["classes"][0][0]
    with pytest.raises(XtinctError, match=r"coverage 0\.5: the model's sets are calibrated for"):
        xtinct.predict((fine.two_theta, pattern), 1.5406, models=model_dir, coverage=0.5)
    with pytest.raises(XtinctError, match="the model needs"):
        xtinct.predict((fine.two_theta, pattern), 1.7902, models=model_dir)

    path = tmp_path / "measured.xy"
    np.savetxt(path, np.stack([fine.two_theta, pattern], axis=1), header="2theta counts")
    arguments = ["predict", str(path), "--models", str(model_dir), "--wavelength"]
    told = CliRunner().invoke(cli, [*arguments, "1.5406", "--json"], catch_exceptions=False)
    assert json.loads(told.output)[str(path)]["cubic"]["set"] == answer["set"]
    filled = CliRunner().invoke(
        cli, [*arguments, "1.7902", "--fill-missing", "--subtract-background"], catch_exceptions=False
    )
    assert filled.exit_code == 0
    assert filled.output.count(" *") == len(
        json.loads(
            CliRunner()
            .invoke(cli, [*arguments, "1.7902", "--fill-missing", "--subtract-background", "--json"])
            .output
        )[str(path)]["cubic"]["set"][:5]
    )


def test_the_calibration_of_the_card_holds_on_fresh_samples_of_the_same_law(model_dir, settings):
    """Sets of the stated coverage, on lattices and intensities that neither training nor validation had."""
    predictor = Predictor(model_dir, device="cpu")
    fresh = UlbdStream(
        family="cubic",
        spec=LatticeSpec.from_config(settings["ulbd"]["lattices"]["cubic"]),
        d_star_max=0.94,
        intensities="uniform",
        seed=12345,
        role="fresh",
    ).take(0, 600)
    found = predictor.from_lines(fresh.lines)
    labels = predictor.outputs.class_of_group[fresh.groups]
    for coverage in COVERAGES:
        sets = found.class_sets(coverage)
        held = int(sets[np.arange(600), labels].sum())
        # The 64 calibration samples make the coverage itself a Beta(k, 65 - k) variable (Vovk 2012).
        spread = np.sqrt(coverage * (1 - coverage) * (1 / 600 + 1 / 66))
        assert held / 600 >= coverage - 4 * spread, coverage
        ranked = [symbol for symbol, _ in found.top_classes(0, int(sets[0].sum()))]
        assert set(ranked) == {found.class_symbols[i] for i in np.flatnonzero(sets[0])}
    raw = Predictor(model_dir, device="cpu", calibrated=False)
    assert raw.temperature == 1
    assert log_loss(found.class_probabilities, labels) < log_loss(
        raw.from_lines(fresh.lines).class_probabilities, labels
    )


@pytest.fixture
def measured(model_dir, write_lines, settings):
    """Function of a width factor: a measurement (2theta, counts), and the model's answer to its sample."""
    samples, _ = next(read_lines(write_lines([230]), family="cubic"))
    fine = Instrument.from_config(
        settings["instrument"] | {"two_theta": {"min": 4, "max": 92, "points": 8192}}
    )
    expected = Predictor(model_dir, device="cpu").from_lines(samples.lines).top_classes(0)

    def measure(width):
        pattern = render(samples.lines, fine, conditions=Conditions(width_factor=np.array([width])))[0]
        return fine.two_theta, 900 * pattern, expected

    return measure


@pytest.mark.parametrize("width", [0.05, 0.3, 0.8])
def test_a_sharper_measurement_is_answered_as_if_it_had_the_widths_of_the_model(measured, model_dir, width):
    two_theta, pattern, expected = measured(width)
    answer = xtinct.predict((two_theta, pattern), 1.5406, models=model_dir)["cubic"]
    assert answer["classes"][0][0] == expected[0][0]
    assert dict(answer["classes"])[expected[0][0]] == pytest.approx(expected[0][1], abs=0.05)
    assert answer["warnings"] == []


def test_a_sharp_measurement_at_another_wavelength_is_answered(model_dir, write_lines, settings):
    """Both the wavelength and the widths are brought to the model's, through noise."""
    samples, _ = next(read_lines(write_lines(list(space_groups("cubic"))), family="cubic"))
    predictor = Predictor(model_dir, device="cpu")
    expected = predictor.from_lines(samples.lines).class_probabilities
    molybdenum = Instrument(0.7107, 1.5, 42.5, 12000, "lorentz", 0.05)
    counts = np.random.Generator(np.random.PCG64(1)).poisson(1e5 * render(samples.lines, molybdenum))
    same = 0
    for pattern, probabilities in zip(counts, expected, strict=True):
        answer = xtinct.predict((molybdenum.two_theta, pattern), 0.7107, models=model_dir)["cubic"]
        same += answer["classes"][0][0] == predictor.class_symbols[probabilities.argmax()]
    assert same >= 0.9 * len(counts)


def test_a_model_of_one_wavelength_has_its_lines_at_the_mean_of_a_doublet(measured, model_dir):
    two_theta, pattern, _ = measured(0.8)
    first, second = doublet_of("Cu").wavelength, doublet_of("Cu").second
    answers = [
        xtinct.predict((two_theta, pattern), told, models=model_dir)["cubic"]["classes"]
        for told in ("CuKa", (first, second), doublet_of("Cu").mean)
    ]
    assert answers[0] == answers[1] == answers[2]


def test_a_broader_measurement_is_refused_and_answered_on_demand(measured, model_dir, tmp_path):
    two_theta, pattern, _ = measured(1.4)
    message = r"peaks are 0\.7\d\d degrees wide .* but those of the model 0\.500.*--any-width"
    with pytest.raises(XtinctError, match=message):
        xtinct.predict((two_theta, pattern), 1.5406, models=model_dir)
    (warning,) = xtinct.predict((two_theta, pattern), 1.5406, models=model_dir, any_width=True)["cubic"][
        "warnings"
    ]
    assert "not to be relied on" in warning
    path = tmp_path / "wide.xy"
    np.savetxt(path, np.stack([two_theta, pattern], axis=1))
    arguments = ["predict", str(path), "--models", str(model_dir), "--wavelength", "1.5406"]
    told = CliRunner().invoke(cli, [*arguments, "--any-width"], catch_exceptions=False)
    assert f"cubic: {warning}" in told.output
    refused = CliRunner().invoke(cli, arguments)
    assert str(refused.exception).startswith(f"{path}: peaks are")
    # A model that was trained for such widths answers.
    card = json.loads((model_dir / "card.json").read_text())
    card["training"]["data"]["variation"] = {"width_factor": [0.5, 2]}
    (model_dir / "card.json").write_text(json.dumps(card))
    assert xtinct.predict((two_theta, pattern), 1.5406, models=model_dir)["cubic"]["warnings"] == []


def test_a_pattern_unlike_the_calibration_samples_has_an_empty_set_and_a_warning(measured, model_dir):
    card = json.loads((model_dir / "card.json").read_text())
    card["calibration"]["thresholds"]["0.95"] = 1.0
    (model_dir / "card.json").write_text(json.dumps(card))
    two_theta, pattern, _ = measured(1.0)
    answer = xtinct.predict((two_theta, pattern), 1.5406, models=model_dir)["cubic"]
    assert answer["set"] == []
    assert "the set is empty" in answer["warnings"][0]


def test_a_prior_weighs_classes_and_groups(measured, model_dir, tmp_path):
    """From the command line as a table of weights, as the ceilings take it."""
    two_theta, pattern, _ = measured(1.0)
    groups = dict(xtinct.predict((two_theta, pattern), 1.5406, models=model_dir)["cubic"]["groups"])
    assert len(groups) == 5
    prior = {225: 3, 202: 1}
    expected = xtinct.predict((two_theta, pattern), 1.5406, models=model_dir, prior=prior)["cubic"]
    np.savetxt(tmp_path / "a.xy", np.stack([two_theta, pattern], axis=1))
    (tmp_path / "prior.csv").write_text("spacegroup_number,weight\n225,3\n202,1\n")
    arguments = ["predict", str(tmp_path / "a.xy"), "--models", str(model_dir), "--wavelength", "1.5406"]
    arguments += ["--prior", str(tmp_path / "prior.csv"), "--json"]
    told = json.loads(CliRunner().invoke(cli, arguments, catch_exceptions=False).output)
    assert told[str(tmp_path / "a.xy")]["cubic"] == json.loads(json.dumps(expected))
    found = Predictor(model_dir, device="cpu").from_patterns(np.ones((1, 1024)), prior=prior)
    at = {int(g): i for i, g in enumerate(found.groups)}
    shares = found.group_probabilities[0]
    assert shares[at[225]] == pytest.approx(3 * shares[at[202]])
    # Nothing but this class has a weight, and the set was not calibrated with that.
    assert expected["classes"][0] == ("F - - -", pytest.approx(1))
    assert "set" not in expected


def test_sets_are_dropped_where_the_prior_changes_the_classes(settings, measured, tmp_path):
    """A model of crystal systems knows the classes by the weights of the groups alone."""
    outputs = Outputs.of("cubic", "crystal_system")
    options = {"points": 256, "width": 8, "hidden": 32}
    model = build_model("logq", Instrument.from_config(settings["instrument"]), len(outputs), options)
    calibration = {"temperature": 1.0, "thresholds": {"0.95": 0.001}, "n": 9, "samples": "a test"}
    card = {
        "family": "cubic",
        "target": "crystal_system",
        "architecture": {"name": "small", "kind": "logq", "hyperparameters": options},
        "instrument": settings["instrument"],
        "outputs": outputs.to_list(),
        "group_counts": {"225": 30, "227": 10},
        "calibration": calibration | dict.fromkeys(["log_loss", "log_loss_raw", "ece", "ece_raw"], 0.1),
        "training_digest": "none",
    }
    save_model(tmp_path / "systems", model, card)
    two_theta, pattern, _ = measured(1.0)
    arguments = ((two_theta, pattern), 1.5406)
    of_training = xtinct.predict(*arguments, models=tmp_path / "systems", prior={225: 3, 227: 1})["cubic"]
    assert (of_training["set"], of_training["warnings"]) == (["F - - -", "F d - -"], [])
    for prior in (None, {225: 1, 227: 1}):
        other = xtinct.predict(*arguments, models=tmp_path / "systems", prior=prior)["cubic"]
        assert "set" not in other
        assert "no set of classes" in other["warnings"][0]


def test_patterns_are_rendered_and_judged_by_deterministic_algorithms(model_dir, write_lines):
    """Sums of peaks on a GPU differ from run to run without them."""
    predictor = Predictor(model_dir, device="cpu")
    samples, _ = next(read_lines(write_lines([225]), family="cubic"))
    rendered, seen = predictor.render.measured, []

    def render_and_look(*arguments):
        seen.append(torch.are_deterministic_algorithms_enabled())
        return rendered(*arguments)

    predictor.render.measured = render_and_look
    predictor.outputs_of_lines(samples.lines)
    predictor.outputs_of_lines(samples.lines, measured=predictor.instrument.two_theta > 20)
    assert seen == [True, True]
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_pattern_of_another_family_gets_no_set(model_dir, tmp_path):
    """Rutile (Wyckoff, 1963) with a cubic model: the probability stands under its condition, and no star."""
    cell = np.array([[4.5937, 4.5937, 2.9587, 90.0, 90.0, 90.0]])
    fine = Instrument(1.5406, 4.0, 92.0, 8192, "lorentz", 0.1)
    pattern = 1000 * xtinct.ulbd_patterns(136, cell, 1, 0, fine)[0].astype(float)
    answer = xtinct.predict((fine.two_theta, pattern), 1.5406, models=model_dir)["cubic"]
    assert answer["condition"] == "if the crystal is cubic"
    assert answer["lattice"]["explains"] is False
    assert "set" not in answer
    assert any("no set of classes is given" in warning for warning in answer["warnings"])
    np.savetxt(tmp_path / "rutile.xy", np.stack([fine.two_theta, pattern], axis=1))
    arguments = ["predict", str(tmp_path / "rutile.xy"), "--models", str(model_dir), "--wavelength", "1.5406"]
    told = CliRunner().invoke(cli, arguments, catch_exceptions=False).output
    assert told.startswith("Models know cubic crystals; each answers as if the pattern were of its family.")
    assert "never an answer: tetragonal, trigonal-hexagonal, orthorhombic" in told
    assert " *" not in told.split("rutile.xy", 1)[1]


def test_every_space_group_has_its_symbol_and_a_missing_model_its_remedy(measured, model_dir, tmp_path):
    two_theta, pattern, _ = measured(1.0)
    answer = xtinct.predict((two_theta, pattern), 1.5406, models=model_dir)["cubic"]
    assert answer["lattice"]["explains"] is True
    symbols = {row["number"]: row["symbol"] for row in answer["space_groups"]}
    assert [row["number"] for row in answer["space_groups"]] == [number for number, _ in answer["groups"]]
    assert symbols[230] == "I a -3 d"
    with pytest.raises(XtinctError, match="run make all, or name other models"):
        xtinct.predict((two_theta, pattern), 1.5406, models=tmp_path / "none")

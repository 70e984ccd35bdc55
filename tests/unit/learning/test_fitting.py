"""The same result however a batch is divided, and what happens when numbers or memory run out."""

import logging
import os
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from xtinct.errors import XtinctError
from xtinct.learning import optim, validation
from xtinct.learning.checkpoint import Checkpoint, Progress
from xtinct.learning.fitting import Run, TrainingData
from xtinct.learning.forward_pass import Network, PatternRenderer
from xtinct.learning.loading import Batch
from xtinct.learning.models.logq import LogQ
from xtinct.learning.parallel import Processes, launch
from xtinct.learning.training import train_model
from xtinct.learning.training_settings import TrainingSettings, TrainSettings
from xtinct.learning.validation import Validation
from xtinct.linelists.line_lists import LineLists
from xtinct.patterns.instrument import Instrument
from xtinct.scores.outputs import Outputs


def trained(settings, folder):
    """Weights of a run, and its card."""
    card = train_model(TrainingSettings.from_config(settings), folder)
    return load_file(folder / "model.safetensors"), card


def distance(one, other):
    """Euclidean distance of two sets of weights."""
    learnt = [name for name in one if name.endswith(("weight", "bias"))]
    return np.sqrt(sum(((one[name] - other[name]) ** 2).sum() for name in learnt))


#: Rounding of float32 in sums of another order, over ten steps in which the weights move by about 0.9.
ROUNDING = 1e-5


@pytest.fixture
def short(settings):
    """Ten steps of AdamW: torch's Muon orthogonalises in bfloat16, which makes more of any rounding."""
    settings["experiment"]["patterns"] = 32 * 10
    settings["train"]["optimizer"] = "adamw"
    return settings


@pytest.mark.slow
def test_an_error_in_another_process_is_one_line(short, tmp_path):
    short["train"]["ghost_batch"] = 32
    arguments = {"settings": TrainingSettings.from_config(short), "output_dir": tmp_path / "two"}
    with pytest.raises(XtinctError, match=r"^process [01] of 2: train\.batch_size: 32 is not a multiple"):
        launch(train_model, arguments, 2)


def need_memory(monkeypatch, most, training):
    """From now on the model does not get the memory for more than `most` patterns."""
    forward = LogQ.forward

    def with_little_memory(self, pattern):
        if self.training == training and len(pattern) > most:
            torch.empty(10**15)
        return forward(self, pattern)

    monkeypatch.setattr(LogQ, "forward", with_little_memory)


def test_short_memory_changes_the_micro_batch_and_not_the_result(short, tmp_path, monkeypatch, caplog):
    whole, _ = trained(short, tmp_path / "whole")
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        need_memory(patch, 16, training=True)
        divided, _ = trained(short, tmp_path / "divided")
    assert "out of memory with 32 patterns at a time; going on with 16" in caplog.text
    assert caplog.text.count("out of memory") == 1
    assert distance(whole, divided) < ROUNDING
    # Ghost batches of another size are another model: the test can tell.
    short["train"]["ghost_batch"] = 32
    assert distance(whole, trained(short, tmp_path / "other")[0]) > 0.1


def test_short_memory_changes_neither_statistics_nor_validation(short, tmp_path, monkeypatch, caplog):
    whole, card = trained(short, tmp_path / "whole")
    need_memory(monkeypatch, 10, training=False)
    with caplog.at_level(logging.WARNING):
        divided, other = trained(short, tmp_path / "divided")
    sizes = [32, 16, 256, 128, 64, 32, 16]
    assert re.findall(r"out of memory with (\d+)", caplog.text) == list(map(str, sizes))
    for name, value in whole.items():
        np.testing.assert_allclose(divided[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
    assert other["metrics"] == card["metrics"]
    assert other["calibration"]["temperature"] == pytest.approx(card["calibration"]["temperature"], rel=1e-3)


def test_patterns_that_the_host_has_no_memory_for_are_rendered_in_smaller_parts(
    short, tmp_path, monkeypatch, caplog
):
    whole, _ = trained(short, tmp_path / "whole")
    real = PatternRenderer.__call__

    def with_little_memory(self, lines, conditions=None):
        if len(lines) > 16:
            np.empty(10**15)
        return real(self, lines, conditions)

    monkeypatch.setattr(PatternRenderer, "__call__", with_little_memory)
    assert distance(whole, trained(short, tmp_path / "divided")[0]) < ROUNDING
    assert "going on with 16" in caplog.text


def test_memory_that_suffices_for_nothing_is_one_line(short, tmp_path, monkeypatch):
    need_memory(monkeypatch, 0, training=True)
    with pytest.raises(XtinctError, match="out of memory with 16 patterns at a time on cpu"):
        trained(short, tmp_path)


def test_moments_that_do_not_fit_are_one_line(short, tmp_path, monkeypatch):
    monkeypatch.setattr(optim.AdamW, "step", lambda self: torch.empty(10**15))
    with pytest.raises(XtinctError, match="out of memory on cpu: weights, gradients and the moments"):
        trained(short, tmp_path)


def test_a_step_without_a_finite_gradient_is_skipped_and_counted(short, tmp_path, monkeypatch, caplog):
    forward, calls = LogQ.forward, []

    def once_not_finite(self, pattern):
        logits = forward(self, pattern)
        calls.append(self.training)
        return logits * float("nan") if sum(calls) == 4 and self.training else logits

    monkeypatch.setattr(LogQ, "forward", once_not_finite)
    weights, card = trained(short, tmp_path)
    assert card["metrics"]["skipped_steps"] == 1
    assert "step 4 skipped" in caplog.text
    assert all(np.isfinite(value).all() for value in weights.values())


def test_a_run_that_ends_without_a_finite_gradient_is_no_model(short, tmp_path, monkeypatch):
    """Fewer steps than give a run up on the way, and the weights themselves are still finite."""
    forward, calls = LogQ.forward, []

    def late_not_finite(self, pattern):
        calls.append(self.training)
        return forward(self, pattern) * (float("nan") if sum(calls) > 7 and self.training else 1)

    monkeypatch.setattr(LogQ, "forward", late_not_finite)
    with pytest.raises(XtinctError, match=r"at step 10: steps in a row whose gradient is not finite: 3; "):
        trained(short, tmp_path)
    assert not (tmp_path / "card.json").exists()


@pytest.mark.parametrize("where", ["weight", "output"])
def test_a_model_that_is_not_finite_is_no_model(short, tmp_path, monkeypatch, where):
    """In evaluation alone: the gradients of all steps are finite."""
    forward = LogQ.forward

    def not_finite(self, pattern):
        if not self.training and where == "weight":
            self.head.bias.fill_(torch.inf)
        return forward(self, pattern) * (1 if self.training or where == "weight" else torch.nan)

    monkeypatch.setattr(LogQ, "forward", not_finite)
    expected = {"weight": "a weight or the statistics of a layer are", "output": "an output of the model is"}
    with pytest.raises(XtinctError, match=f"{expected[where]} not finite; lower train.learning_rate"):
        trained(short, tmp_path)
    assert not (tmp_path / "card.json").exists()


def test_training_stops_where_the_interval_of_the_validation_holds_the_ceiling(
    short, tmp_path, write_lines, caplog
):
    """Patterns of one class are soon named without an error; those of seventeen are not in ten steps."""
    caplog.set_level(logging.INFO)
    short["train"] |= {"validations": 5, "stop_confidence": 0.95}
    assert trained(short, tmp_path / "all")[1]["patterns"] == 320
    short["experiment"]["train"] = "ulbd"
    short["datasets"] = {"ulbd": [write_lines([225, 216, 202] * 20)]}
    _, card = trained(short, tmp_path / "one")
    assert card["metrics"]["validation_accuracy"] == 1
    assert card["patterns"] < 320
    assert "the interval of the validation holds the ceiling" in caplog.text


@pytest.mark.parametrize(
    ("right", "stops"),
    # The intervals of 426 and 488 right answers of 1000 touch the ceiling of .4559.
    [(420, False), (440, True), (456, True), (480, True), (500, False), (727, False)],
)
def test_training_stops_at_the_ceiling_of_the_law_and_not_above(settings, tmp_path, right, stops):
    settings["train"]["stop_confidence"] = 0.95
    run = make_run(settings, tmp_path, "tetragonal", "spacegroup", None)
    # Table I of Wang et al. 2025: 31 classes of 68 groups.
    assert run.ceiling == pytest.approx(31 / 68)
    row = {"validation_n": 1000, "validation_accuracy": right / 1000}
    assert run.finished(row) == stops


def test_repeated_crystals_of_a_validation_do_not_narrow_the_interval_that_stops(settings, tmp_path):
    """500 of 1000 right: their interval is above the ceiling of .4559, that of 50 crystals is not."""
    settings["train"]["stop_confidence"] = 0.95
    run = make_run(settings, tmp_path, "tetragonal", "spacegroup", None)
    row = {"validation_n": 1000, "validation_accuracy": 0.5}
    lines, groups = LineLists(np.zeros(1001, np.int64), np.empty(0), np.empty(0)), np.full(1000, 75)
    for crystals, stops in ((1000, False), (50, True)):
        cells = np.tile((4.0 + np.arange(1000) % crystals)[:, None], 6)
        run.data = TrainingData(None, Batch(lines, groups, None, cells))
        assert run.finished(row) == stops


def test_the_ceiling_weighs_groups_as_the_training_set_does(settings, tmp_path):
    """Three of four samples of one class are of one group; another class has a single group."""
    run = make_run(settings, tmp_path, "cubic", "spacegroup", {225: 3.0, 216: 1.0, 227: 4.0})
    assert run.ceiling == pytest.approx(7 / 8)


def test_processes_of_one_machine_share_its_cores(settings, tmp_path, monkeypatch):
    """Threads that draw samples for a GPU: each process leaves one core of its share to itself."""
    run, asked = make_run(settings, tmp_path, "cubic", "extinction_class", None), []
    run.network.render.device = torch.device("cuda")
    loader = SimpleNamespace(batches=lambda **options: asked.append(options["workers"]))
    run.data = TrainingData(loader, None)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)))
    for count in ("1", "4", "16"):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", count)
        run.batches(Progress())
    assert asked == [15, 3, 1]


def make_run(settings, folder, family, target, prior):
    outputs = Outputs.of(family, target)
    instrument = Instrument.from_config(settings["instrument"])
    model = LogQ(instrument, len(outputs), points=256, width=8, hidden=32)
    return Run(
        network=Network(model, outputs, PatternRenderer(instrument, torch.device("cpu")), torch.float32),
        data=TrainingData(None, None, prior),
        settings=TrainSettings(**settings["train"]),
        patterns=32,
        seed=0,
        checkpoint=Checkpoint(folder / "checkpoint.safetensors", ""),
        processes=Processes(),
    )


def test_the_statistics_of_an_evaluation_are_those_of_the_final_weights(short, tmp_path):
    """Mean and variance of the first convolution's outputs on fresh patterns, by hand."""
    from xtinct.learning.card import load_model
    from xtinct.learning.training_sets import Sources

    train_model(TrainingSettings.from_config(short), tmp_path)
    model, _, instrument, _ = load_model(tmp_path, torch.device("cpu"))
    assert isinstance(instrument, Instrument)
    sources = Sources(TrainingSettings.from_config(short).samples)
    batch = sources.training().take(10**6, 512)
    x = PatternRenderer(instrument, torch.device("cpu"))(batch.lines)
    captured = []
    model.features[0].register_forward_hook(lambda module, inputs, output: captured.append(output))
    with torch.no_grad():
        model(x)
    mean = captured[0].mean(dim=(0, 2, 3))
    deviation = captured[0].std(dim=(0, 2, 3))
    assert ((model.features[1].running_mean - mean).abs() / deviation).max() < 0.05


def test_variation_is_part_of_the_recipe_and_of_what_is_seen(short, tmp_path):
    one, card = trained(short, tmp_path / "plain")
    short["experiment"]["variation"] = {"zero_shift": [-0.2, 0.2], "width_factor": [0.5, 2]}
    short["experiment"]["transform"] = {"values": "root"}
    other, varied = trained(short, tmp_path / "varied")
    assert "transform" not in card
    assert varied["transform"] == varied["training"]["experiment"]["transform"] == {"values": "root"}
    assert card["training_digest"] != varied["training_digest"]
    assert varied["training"]["data"]["variation"]["zero_shift"] == [-0.2, 0.2]
    assert distance(one, other) > 0.01


def test_the_patterns_of_a_validation_are_rendered_once(short, tmp_path, monkeypatch):
    """Ten steps of 32 patterns, 64 to validate and 64 batches of 32 for the statistics, however often."""
    real, rendered = PatternRenderer.__call__, []

    def counted(self, lines, conditions=None):
        rendered.append(len(lines))
        return real(self, lines, conditions)

    monkeypatch.setattr(PatternRenderer, "__call__", counted)
    kept = {}
    for n in (1, 5):
        short["train"]["validations"] = n
        rendered.clear()
        kept[n] = trained(short, tmp_path / f"{n}")[0]
        assert sum(rendered) == 10 * 32 + 64 + 64 * 32
    assert distance(kept[1], kept[5]) == 0
    monkeypatch.setattr(validation, "_KEPT_BYTES", 0)
    rendered.clear()
    assert distance(kept[5], trained(short, tmp_path / "anew")[0]) == 0
    # The calibration takes what the last validation has found.
    assert sum(rendered) == 10 * 32 + 5 * (64 + 64 * 32)


def test_a_key_too_many_or_missing_is_named(settings):
    whole = settings["train"]
    settings["train"] = whole | {"batchsize": 3}
    with pytest.raises(XtinctError, match="train: no key 'batchsize'"):
        TrainingSettings.from_config(settings)
    settings["train"] = {key: value for key, value in whole.items() if key != "warmup"}
    with pytest.raises(XtinctError, match="train: the key 'warmup' is missing"):
        TrainingSettings.from_config(settings)


def test_the_rate_of_a_run_falls_with_its_plateau_also_after_an_interruption(short, tmp_path, monkeypatch):
    """A factor of nearly 0 stops all learning after the first validation that is no better."""
    short["experiment"]["training"] = {"schedule": "plateau", "patience": 0, "factor": 1e-6}
    short["train"]["validations"] = 5
    monkeypatch.setattr(Validation, "accuracy", lambda *_: {"validation_n": 9, "validation_accuracy": 0.5})
    weights = {}
    take_step = Run._take_step

    def noted(run, optimizers):
        take_step(run, optimizers)
        weights[len(weights)] = next(run.network.model.parameters()).detach().clone()

    with monkeypatch.context() as patch:
        patch.setattr(Run, "_take_step", noted)
        whole, _ = trained(short, tmp_path / "whole")
    assert len(weights) == 10
    # Validated after 2, 4, ... steps; the second one is no better than the first.
    moves = [float((weights[i + 1] - weights[i]).norm()) for i in range(9)]
    assert min(moves[:3]) > 1e-3
    assert max(moves[4:]) < 1e-4

    def interrupted(run, batch, step, progress):
        if step == 6 and not (tmp_path / "again").exists():
            run.checkpoint.save(run.network.model, made[0], progress)
            (tmp_path / "again").touch()
            raise KeyboardInterrupt
        return gradients(run, batch, step, progress)

    gradients, made = Run.gradients, []
    restored = Run._restored
    monkeypatch.setattr(
        Run, "_restored", lambda run, optimizers: (made.insert(0, optimizers), restored(run, optimizers))[1]
    )
    monkeypatch.setattr(Run, "gradients", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trained(short, tmp_path / "broken")
    assert distance(whole, trained(short, tmp_path / "broken")[0]) < 1e-7


def test_a_penalty_makes_weights_smaller_and_trees_know_none(short, tmp_path):
    free, _ = trained(short, tmp_path / "free")
    short["experiment"]["training"] = {"l1": 0.05}
    held, card = trained(short, tmp_path / "held")
    assert card["training"]["train"]["l1"] == 0.05
    sizes = [sum(abs(w).sum() for w in weights.values() if w.ndim >= 2) for weights in (free, held)]
    assert sizes[1] < sizes[0]
    short["models"] = {"small": {"kind": "extratrees", "trees": 3, "min_leaf": 1}}
    with pytest.raises(XtinctError, match="has no such penalty"):
        trained(short, tmp_path / "trees")


def test_a_card_tells_what_the_training_has_cost(short, tmp_path):
    _, card = trained(short, tmp_path)
    assert 0 < card["cpu_seconds"] < 600

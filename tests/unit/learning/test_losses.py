"""Losses, sampling and corrections against rare groups."""

import numpy as np
import pytest
import torch

from xtinct.errors import XtinctError
from xtinct.learning.balanced_streams import BalancedStream
from xtinct.learning.forward_pass import Network
from xtinct.learning.losses import make_loss, output_log_prior
from xtinct.learning.predictor import Predictor
from xtinct.learning.streams import ParquetStream
from xtinct.learning.training import train_model
from xtinct.learning.training_settings import TrainingSettings
from xtinct.scores.calibration import fit_calibration
from xtinct.scores.outputs import Outputs

UNIFORM = torch.log(torch.tensor([0.5, 0.25, 0.25]))


def test_the_focal_loss_is_that_of_its_paper():
    """Lin et al. 2017, section 3.2: with focusing 2, p = 0.9 counts 100 times less than cross-entropy."""
    logits = torch.log(torch.tensor([[0.9, 0.06, 0.04], [0.5, 0.3, 0.2]]))
    entropy = [make_loss("cross-entropy", 2, UNIFORM)(logits[i : i + 1], torch.tensor([0])) for i in (0, 1)]
    focal = [make_loss("focal", 2, UNIFORM)(logits[i : i + 1], torch.tensor([0])) for i in (0, 1)]
    assert float(entropy[0] / focal[0]) == pytest.approx(100, rel=1e-4)
    assert float(entropy[1] / focal[1]) == pytest.approx(4, rel=1e-4)


@pytest.mark.parametrize("focusing", [0.0, 0.5, 2.0])
def test_the_gradient_of_the_focal_loss_is_finite_where_nothing_is_left_to_learn(focusing):
    logits = torch.tensor([[200.0, 0.0], [0.0, 200.0]], requires_grad=True)
    make_loss("focal", focusing, UNIFORM)(logits, torch.tensor([0, 0])).backward()
    assert torch.isfinite(logits.grad).all()


def test_adjusted_logits_are_level_for_labels_as_frequent_as_the_prior_says():
    """A pattern that says nothing: the loss is least at equal logits; of the plain one, at the prior."""
    labels = torch.tensor([0, 0, 1, 2])
    for name, least in (("logit-adjusted", torch.zeros(3)), ("cross-entropy", UNIFORM)):
        logits = least.clone().requires_grad_()
        make_loss(name, 2, UNIFORM)(logits.expand(4, 3), labels).backward()
        assert logits.grad.abs().max() < 1e-6


def test_divided_answers_are_those_for_outputs_of_equal_frequency():
    """Bayes: a model that knows the posterior, divided by the prior, gives the normalised likelihood."""
    outputs = Outputs.of("monoclinic", "crystal_system")
    likelihood = torch.tensor([[0.7, 0.1, 0.4]])
    model = torch.nn.Identity()

    class Render:
        device = torch.device("cpu")

    network = Network(model, outputs, Render(), torch.float32, UNIFORM)
    answers = network.answers(torch.log(likelihood) + UNIFORM)
    assert answers == pytest.approx((likelihood / likelihood.sum()).numpy(), rel=1e-5)


def test_the_prior_of_outputs_counts_their_groups_and_none_is_impossible():
    outputs = Outputs.of("triclinic", "spacegroup")
    assert output_log_prior(outputs, {1: 3.0, 2: 9.0}).exp().tolist() == pytest.approx([0.25, 0.75])
    assert output_log_prior(outputs, {2: 9.0}).exp().tolist() == pytest.approx([0.1, 0.9])
    assert output_log_prior(outputs, None).exp().tolist() == pytest.approx([0.5, 0.5])


def test_every_output_is_drawn_equally_often_and_none_of_its_samples_is_left_out(write_lines):
    groups = [225] * 12 + [227] * 3 + [205]
    stored = ParquetStream(write_lines(groups, splits=("train",)), family="cubic", split="train", seed=1)
    outputs = Outputs.of("cubic", "spacegroup")
    stream = BalancedStream(stored, outputs.output_of_group, seed=1)
    drawn = stream.take(0, 3 * 12)
    for start in range(0, 36, 3):
        assert sorted(drawn.groups[start : start + 3]) == [205, 225, 227]
    assert not (drawn.groups.reshape(12, 3) == drawn.groups[:3]).all()
    firsts = drawn.lines.intensity[drawn.lines.offsets[:-1]]
    known = stored.samples.take(np.arange(16))
    for group, count in ((225, 12), (227, 3), (205, 1)):
        mine = known.lines.intensity[known.lines.offsets[:-1]][known.groups == group]
        found = firsts[drawn.groups == group]
        assert sorted(found) == pytest.approx(sorted(np.tile(mine, 12 // count)))
    again = stream.take(7, 9)
    assert np.array_equal(again.groups, drawn.groups[7:16])
    assert np.array_equal(again.lines.intensity, drawn.lines.slice(7, 16).intensity)


def test_the_order_of_the_outputs_tells_nothing_of_that_of_their_samples(write_lines):
    groups = [195, 196, 197, 205, 225]
    path = write_lines([group for group in groups for _ in range(5)], splits=("train",))
    stored = ParquetStream(path, family="cubic", split="train", seed=1)
    drawn = BalancedStream(stored, Outputs.of("cubic", "spacegroup").output_of_group, seed=1).take(0, 6 * 5)
    firsts = drawn.lines.intensity[drawn.lines.offsets[:-1]]
    known = stored.samples.take(np.arange(25))
    places = {
        value: i % 5 for i, value in enumerate(known.lines.intensity[known.lines.offsets[:-1]].tolist())
    }
    of_outputs = [[groups.index(group) for group in turn] for turn in drawn.groups.reshape(6, 5)]
    of_samples = [[places[x] for x in firsts[drawn.groups == group].tolist()[:5]] for group in groups]
    assert all(sorted(order) == [0, 1, 2, 3, 4] for order in of_outputs + of_samples)
    # Two of 120 orders are the same by chance once in 120 times.
    assert sum(one == other for one in of_outputs for other in of_samples) < 3


@pytest.fixture
def rare(settings, write_lines):
    """Settings of a training on 12 samples of one group for each of another."""
    groups = [225, 229] + [225] * 24 + [229] * 4
    settings["datasets"] = {"cddd": [write_lines(groups * 3, splits=("train", "train", "validation"))]}
    settings["experiment"] |= {"train": "cddd", "target": "spacegroup", "patterns": 32 * 4}

    def train(folder, **training):
        settings["experiment"]["training"] = training
        return train_model(TrainingSettings.from_config(settings), folder)

    return train


def test_remedies_are_part_of_a_model_and_the_default_leaves_no_trace(rare, tmp_path):
    default = rare(tmp_path / "default")
    named = rare(tmp_path / "named", loss="cross-entropy", sampling="as-drawn", correction="none", focusing=1)
    assert named["training_digest"] == default["training_digest"]
    digests = {default["training_digest"]}
    for i, change in enumerate(
        (
            {"loss": "focal"},
            {"loss": "focal", "focusing": 1.0},
            {"loss": "logit-adjusted"},
            {"sampling": "class-balanced"},
            {"correction": "prior"},
            {"learning_rate": 0.001},
        )
    ):
        card = rare(tmp_path / str(i), **change)
        digests.add(card["training_digest"])
        assert ("output_prior" in card) == (change == {"correction": "prior"})
    assert len(digests) == 7
    # The prior of the card is what a reader of the model divides by.
    plain, divided = Predictor(tmp_path / "default"), Predictor(tmp_path / "4")
    pattern = torch.rand(1, plain.instrument.points)
    ratio = divided.outputs_of_patterns(pattern) / plain.outputs_of_patterns(pattern)
    share = np.array(divided.card["output_prior"])
    assert np.ptp(ratio * share) / (ratio * share).mean() < 1e-4


LEVELLED = ({"correction": "prior"}, {"loss": "logit-adjusted"}, {"sampling": "class-balanced"})


@pytest.mark.parametrize("training", LEVELLED)
def test_answers_for_outputs_of_equal_frequency_hold_no_other_prior(rare, tmp_path, training):
    """What a prior changes them by is the prior itself, and not its ratio to the samples of training."""
    rare(tmp_path / "m", **training)
    predictor = Predictor(tmp_path / "m")
    assert predictor.training_prior == {225: 1, 229: 1}
    raw = np.full((1, len(predictor.outputs)), 0.01, np.float32)
    known = [predictor.outputs.symbols.index(name) for name in ("225", "229")]
    raw[0, known] = 0.2, 0.4
    found = predictor.interpret(raw, prior={225: 3, 229: 1}, calibrated=False).group_probabilities[0]
    assert found[known] == pytest.approx([0.6, 0.4])


@pytest.mark.parametrize("training", [*LEVELLED, {"loss": "focal"}])
def test_the_temperature_is_that_of_answers_for_outputs_of_equal_frequency(
    rare, tmp_path, monkeypatch, training
):
    """Its samples are as frequent as those of training: thirteen of one group for each five of the other."""
    asked = []

    def listening(*arguments, **told):
        asked.append(told["frequencies"])
        return fit_calibration(*arguments, **told)

    monkeypatch.setattr("xtinct.learning.training.fit_calibration", listening)
    card = rare(tmp_path / "m", **training)
    (frequencies,) = asked
    if training not in LEVELLED:
        assert frequencies is None
        return
    counts = {name: card["group_counts"].get(name, 1.0) for name in Outputs.of("cubic", "spacegroup").symbols}
    assert counts["225"] > 4 * counts["229"] > 4
    assert frequencies == pytest.approx(np.array(list(counts.values())) / sum(counts.values()), rel=1e-5)


@pytest.mark.parametrize("training", LEVELLED)
def test_groups_share_an_output_of_equal_frequency_as_in_training(
    rare, settings, tmp_path, write_lines, training
):
    groups = [225] * 9 + [216] * 3 + [229] * 6
    settings["datasets"] = {"cddd": [write_lines(groups * 2, splits=("train", "train", "validation"))]}
    settings["experiment"]["target"] = "extinction_class"
    rare(tmp_path / "m", **training)
    predictor = Predictor(tmp_path / "m")
    assert predictor.training_prior == {216: 0.25, 225: 0.75, 229: 1.0}
    # As frequent as in training: more often where the class had more samples.
    prior = {216: 6, 225: 18, 229: 12}
    raw = np.full((1, len(predictor.outputs)), 1 / len(predictor.outputs), np.float32)
    found = predictor.interpret(raw, prior=prior, calibrated=False).group_probabilities[0]
    where = np.searchsorted(predictor.outputs.groups, [216, 225, 229])
    assert found[where] == pytest.approx([1 / 6, 1 / 2, 1 / 3])


@pytest.mark.parametrize(
    ("training", "message"),
    [
        (
            {"loss": "focal", "sampling": "class-balanced", "correction": "prior"},
            "sampling: class-balanced and",
        ),
        ({"loss": "hinge"}, "training.loss: 'hinge', expected cross-entropy or focal"),
        ({"losss": "focal"}, "train: no key 'losss'"),
    ],
)
def test_remedies_that_do_not_exist_or_not_go_together_are_refused(settings, training, message):
    settings["experiment"]["training"] = training
    with pytest.raises(XtinctError, match=message):
        TrainingSettings.from_config(settings)


def test_what_is_drawn_while_training_cannot_be_balanced(settings, tmp_path):
    settings["experiment"]["training"] = {"sampling": "class-balanced"}
    with pytest.raises(XtinctError, match="class-balanced needs a stored training set, and ulbd-online has"):
        train_model(TrainingSettings.from_config(settings), tmp_path / "m")


def test_a_prior_beside_balanced_outputs_is_refused_before_anything_is_read(settings):
    settings["experiment"] |= {"prior": "balanced", "training": {"sampling": "class-balanced"}}
    with pytest.raises(XtinctError, match=r"prior and training\.sampling: class-balanced both say"):
        TrainingSettings.from_config(settings)

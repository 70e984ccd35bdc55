"""What experiments train on: mixtures, lattices of their own, and the joint problem."""

import json
from pathlib import Path

import numpy as np
import pytest

from xtinct.ceiling import priors
from xtinct.errors import XtinctError
from xtinct.learning.training import train_model
from xtinct.learning.training_sets import Sources
from xtinct.learning.training_settings import TrainingSettings
from xtinct.scores.outputs import ALL
from xtinct.symmetry.families import FAMILIES, family_of, space_groups

WIDE = {
    "kind": "continuous",
    "lengths": [9, 10],
    "angles": [90, 90],
    "spacing": "uniform",
    "count": 1,
    "draws": 1,
}


@pytest.fixture
def sources(settings):
    def make(**experiment):
        changed = settings | {"experiment": settings["experiment"] | experiment}
        return Sources(TrainingSettings.from_config(changed).samples)

    return make


@pytest.fixture
def joint(settings):
    """Settings of a model that is not told the family."""
    angles = {"monoclinic": [95, 115], "triclinic": [70, 110]}
    lattices = {f: WIDE | {"lengths": [4, 5], "angles": angles.get(f, [90, 90])} for f in FAMILIES}
    settings["family"] = ALL
    settings["ulbd"] = {"intensities": "uniform", "lattices": lattices}
    settings["experiment"]["patterns"] = 32 * 5
    return settings


def first_lines(batch):
    return batch.lines.d_star[batch.lines.offsets[:-1]]


def test_lattices_of_an_experiment_take_the_place_of_the_datasets(sources):
    """The first line of a cubic lattice has N = h^2 + k^2 + l^2 of at most 8, so d* <= sqrt(8) / a."""
    assert first_lines(sources().training().take(0, 300)).max() > 8**0.5 / 9
    own = sources(lattices={"cubic": WIDE})
    assert first_lines(own.training().take(0, 300)).max() < 8**0.5 / 9 + 1e-9
    assert own.record() != sources().record()


def test_a_mixture_is_named_by_its_parts_and_holds_them_in_its_proportions(sources):
    train = {"ulbd-online": 1, "physical-online": 2}
    mixed = sources(train=train)
    assert mixed.experiment.train_name == "ulbd-online + 2 physical-online"
    uniform = first_lines(sources().training().take(0, 300))
    assert np.isin(first_lines(mixed.training().take(0, 300)), uniform).sum() == 100
    assert mixed.group_counts() is None


def test_a_training_set_without_its_files_is_refused_by_name(sources):
    for train in ("gcdd-online", {"ulbd-online": 1, "cddd": 1}):
        with pytest.raises(
            XtinctError, match=r"experiment 'small': train '(gcdd-online|cddd)' needs its files"
        ):
            sources(train=train)


def test_stored_and_online_sets_mix_and_the_prior_follows(sources, settings, write_lines):
    settings["datasets"] = {"ulbd": [write_lines([225] * 3 + [198] * 3)]}
    mixed = sources(train={"ulbd": 1, "ulbd-online": 1})
    counts = mixed.group_counts()
    total = sum(counts.values())
    # Half is the file, of which every third sample is for training: one of each group.
    assert counts["225"] / total == pytest.approx(0.25 + 0.5 / 36, abs=1e-4)
    assert counts["230"] / total == pytest.approx(0.5 / 36, abs=1e-4)
    groups = mixed.training().take(0, 4000).groups
    assert (groups == 225).mean() == pytest.approx(0.25 + 0.5 / 36, abs=0.03)


def test_every_group_has_equal_weight_in_the_joint_problem(joint):
    groups = Sources(TrainingSettings.from_config(joint).samples).training().take(0, 230 * 100).groups
    counts = np.bincount(groups, minlength=231)[1:]
    # Chi-squared with 229 degrees of freedom exceeds 300 with a probability of 0.001.
    assert ((counts - 100) ** 2 / 100).sum() < 300
    # Of any ten samples in a row about 68 / 230 are tetragonal.
    tetragonal = ((groups >= 75) & (groups <= 142)).reshape(-1, 115).sum(axis=1)
    assert tetragonal.min() >= 33
    assert tetragonal.max() <= 35


def test_the_joint_problem_is_trained_and_its_outputs_are_told_apart(joint, tmp_path):
    card = train_model(TrainingSettings.from_config(joint), tmp_path)
    assert card["family"] == ALL
    assert len(card["outputs"]) == 97  # classes over all groups, axes unlabelled
    assert len({output["symbol"] for output in card["outputs"]}) == 97
    assert sorted(g for output in card["outputs"] for g in output["members"]) == list(range(1, 231))
    assert card["unseen_outputs"] == []
    assert json.loads((Path(tmp_path) / "card.json").read_text())["group_counts"] is None


def frequencies(sources, n=6000):
    """Share of each space group among n samples, float (231,)."""
    return np.bincount(sources.training().stream.take(0, n).groups, minlength=231) / n


def far_from(found, expected, n=6000):
    """Largest distance of shares from the expected ones, in standard deviations of n draws."""
    return (abs(found - expected) / np.sqrt(np.maximum(expected * (1 - expected), 1 / n) / n)).max()


def packaged(family, power=1.0, added=0.0):
    weights = np.zeros(231)
    for group, n in priors.frequencies("mp", family).items():
        weights[group] = (float(n) + added) ** power
    return weights / weights.sum()


@pytest.mark.parametrize("train", ["ulbd-online", "wilson-online", "physical-online"])
def test_a_prior_makes_drawn_groups_as_frequent_as_it_says(sources, train):
    natural = sources(train=train, prior="natural")
    assert far_from(frequencies(natural), packaged("cubic")) < 4.5
    rooted = sources(train=train, prior={"of": "mp", "power": 0.5, "added": 2})
    assert far_from(frequencies(rooted), packaged("cubic", 0.5, 2)) < 4.5
    assert far_from(frequencies(sources(train=train, prior="balanced")), packaged("cubic", 0, 1)) < 4.5


def test_the_card_says_the_prior_that_samples_had(sources, settings, write_lines):
    """Of a mixture whose sets do not have the same groups, and whatever the mixture rounds to."""
    settings["datasets"] = {"ulbd": [write_lines([225] * 6 + [198] * 3)]}
    mixed = sources(train={"ulbd": 1, "ulbd-online": 3}, prior={"of": "mp", "added": 0.5})
    counts = mixed.group_counts()
    expected = np.zeros(231)
    for group, n in counts.items():
        expected[int(group)] = n / 1e6
    assert expected.sum() == pytest.approx(1)
    assert far_from(frequencies(mixed), expected) < 4.5
    # A quarter has 198 and 225 alone.
    whole = packaged("cubic", 1, 0.5)
    two = np.where(np.isin(np.arange(231), [198, 225]), whole, 0)
    assert expected == pytest.approx(0.75 * whole + 0.25 * two / two.sum(), abs=2e-4)


def test_natural_frequencies_are_those_of_the_stored_set_where_there_is_one(sources, settings, write_lines):
    settings["datasets"] = {"ulbd": [write_lines([225] * 12 + [198] * 3, splits=("train",))]}
    stored = sources(train="ulbd", prior="natural")
    assert stored.group_counts() == {"198": 200000, "225": 800000}
    equal = sources(train="ulbd", prior={"of": "natural", "power": 0})
    assert equal.group_counts() == {"198": 500000, "225": 500000}
    assert far_from(frequencies(equal), np.isin(np.arange(231), [198, 225]) / 2) < 4.5
    # What is drawn beside it is as frequent.
    assert sources(train={"ulbd": 1, "ulbd-online": 1}, prior="natural").group_counts() == {
        "198": 200000,
        "225": 800000,
    }


def test_natural_frequencies_of_a_mixture_are_those_of_its_weights(sources, settings, write_lines):
    """Three parts of 198 and one of 225, though the file of 225 is ten times as long."""
    few = write_lines([198] * 4, name="few.parquet", splits=("train",))
    many = write_lines([225] * 40, name="many.parquet", splits=("train",))
    settings["datasets"] = {"ulbd": [few], "cddd": [many]}
    mixed = sources(train={"ulbd": 3, "cddd": 1}, prior="natural")
    record = mixed.record()["prior"]
    assert record == {"198": 33, "225": 11}


def test_families_of_a_joint_problem_are_as_frequent_as_the_prior_says(joint, tmp_path):
    table = tmp_path / "prior.csv"
    table.write_text("spacegroup_number,weight\n2,6\n14,3\n225,1\n")
    joint["experiment"]["prior"] = str(table)
    of_table = Sources(TrainingSettings.from_config(joint).samples)
    assert far_from(frequencies(of_table), np.bincount([2] * 6 + [14] * 3 + [225], minlength=231) / 10) < 4.5
    record = of_table.record()["prior"]
    assert record == {"2": 6, "14": 3, "225": 1}


def test_a_prior_that_leaves_nothing_to_train_on_is_refused(sources, tmp_path):
    table = tmp_path / "prior.csv"
    table.write_text("spacegroup_number,weight\n2,6\n")
    with pytest.raises(XtinctError, match="gives no weight to any space group of 'ulbd-online'"):
        sources(prior=str(table)).training()
    with pytest.raises(XtinctError, match=r"prior 'naturel': expected balanced, natural, mp or a table"):
        sources(prior="naturel")


def test_a_validation_under_a_prior_says_which_samples_are_of_one_crystal(sources, settings, write_lines):
    """Drawn with replacement, as frequent as the prior says: 30 patterns of the three crystals of a group."""
    settings["datasets"] = {"ulbd": [write_lines([225] * 90 + [198] * 9)]}
    batch = sources(train="ulbd", prior="balanced").validation(1000)
    assert len(batch) == 33
    assert len(set(batch.crystals[batch.groups == 198])) <= 3 < (batch.groups == 198).sum()
    plain = sources(train="ulbd").validation(1000)
    assert len(plain) == 33


def test_a_validation_without_groups_of_the_prior_is_none(sources, settings, write_lines, tmp_path, caplog):
    table = tmp_path / "prior.csv"
    table.write_text("spacegroup_number,weight\n198,1\n")
    settings["datasets"] = {"ulbd": [write_lines([198, 225, 225] * 3)]}
    found = sources(train="ulbd", prior=str(table))
    assert set(found.training().take(0, 5).groups) == {198}
    assert found.validation(100) is None
    assert "to any space group of 'ulbd' in its validation part: training without validation" in caplog.text


@pytest.mark.parametrize("prior", [None, "balanced"])
def test_a_family_without_a_sample_for_validation_is_left_out_of_it(joint, write_lines, caplog, prior):
    """It alone; but a training that lacks a family is refused, and where all lack theirs there is none."""
    joint["experiment"] |= {"train": "ulbd"} | ({"prior": prior} if prior else {})

    def sources(splits):
        joint["datasets"] = {"ulbd": []}
        for family in FAMILIES:
            change = {"spacegroup_number": space_groups(family)[0]}
            of_family = splits.get(family, ("train", "validation"))
            path = write_lines([225] * 4, name=f"{family}.parquet", splits=of_family, change=change)
            joint["datasets"]["ulbd"].append(path)
        return Sources(TrainingSettings.from_config(joint).samples)

    groups = sources({"cubic": ("train",)}).validation(100).groups
    assert sorted({family_of(int(group)) for group in groups}) == sorted(set(FAMILIES) - {"cubic"})
    assert len(groups) == 2 * (len(FAMILIES) - 1)
    assert "cubic.parquet: no sample of the split 'validation': its family is not in" in caplog.text
    assert sources(dict.fromkeys(FAMILIES, ("train",))).validation(100) is None
    with pytest.raises(XtinctError, match=r"cubic\.parquet: no sample of the split 'train'"):
        sources({"cubic": ("validation",)}).training()


def test_streams_under_a_prior_are_functions_of_the_sample_alone(sources, settings, write_lines):
    settings["datasets"] = {"ulbd": [write_lines([225] * 12 + [198] * 3, splits=("train",))]}
    stream = sources(train={"ulbd": 1, "physical-online": 2}, prior="mp").training().stream
    whole, end = stream.take(0, 90), stream.take(50, 40)
    assert (whole.groups[50:] == end.groups).all()
    assert (whole.lines.take(np.arange(50, 90)).d_star == end.lines.d_star).all()

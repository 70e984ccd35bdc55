import numpy as np
import pytest

from xtinct.errors import XtinctError
from xtinct.scores.outputs import ALL, TARGETS, Outputs, class_name_of_groups
from xtinct.symmetry.classes import scope_groups
from xtinct.symmetry.families import FAMILIES


@pytest.mark.parametrize("family", [*FAMILIES, ALL])
@pytest.mark.parametrize("target", TARGETS)
def test_outputs_hold_every_group_of_the_family_once(family, target):
    outputs = Outputs.of(family, target)
    assert sorted(g for members in outputs.members for g in members) == list(scope_groups(family))
    assert len(set(outputs.symbols)) == len(outputs)
    assert Outputs.from_list(family, target, outputs.to_list()) == outputs


@pytest.mark.parametrize(
    ("family", "classes"),
    [("cubic", 17), ("tetragonal", 31), ("trigonal-hexagonal", 9), ("orthorhombic", 33), (ALL, 97)],
)
def test_number_of_class_outputs(family, classes):
    """Extinction classes of each family with unlabelled axes (ITA 2016, Table 1.6.4.2 ff.)."""
    assert len(Outputs.of(family, "extinction_class")) == classes


def test_symbols_that_several_families_share_are_told_apart_in_the_joint_problem():
    """The primitive lattice without further absences has one symbol in four families."""
    joint = class_name_of_groups(ALL)
    assert len({joint[group] for group in (2, 10, 47, 123, 191, 221)}) == 6
    assert class_name_of_groups("cubic")[221] == class_name_of_groups("tetragonal")[123] == "P - - -"


def test_a_class_is_shared_among_its_groups_and_stays_as_probable():
    outputs = Outputs.of("cubic", "extinction_class")
    rng = np.random.Generator(np.random.PCG64(1))
    p = rng.dirichlet(np.ones(len(outputs)), size=20)
    prior = {225: 10.0, 216: 5.0, 221: 3.0, 198: 1.0}
    for weights in (None, prior):
        by_group = outputs.group_probabilities(p, weights)
        assert by_group.sum(axis=1) == pytest.approx(1)
        assert outputs.class_probabilities(p, weights) == pytest.approx(p)
    columns = {int(g): i for i, g in enumerate(outputs.groups)}
    # Fm-3m, F-43m, F432, Fm-3 and F23 share the class F - - -; only the first two have weight.
    assert by_group[:, columns[225]] == pytest.approx(2 * by_group[:, columns[216]])
    assert by_group[:, columns[196]] == pytest.approx(0)


def test_a_model_of_groups_gives_classes_by_summation():
    outputs = Outputs.of("tetragonal", "spacegroup")
    p = np.full((1, 68), 1 / 68)
    by_class = outputs.class_probabilities(p)
    sizes = [len(members) for members in Outputs.of("tetragonal", "extinction_class").members]
    assert by_class[0] == pytest.approx(np.array(sizes) / 68)


def test_a_prior_must_be_made_of_weights():
    with pytest.raises(XtinctError, match="prior"):
        Outputs.of("cubic", "extinction_class").prior_within({225: -1.0})


def test_a_prior_weighs_what_a_model_of_groups_learnt_and_leaves_its_classes_alone():
    """Bayes: P(g | x) is proportional to P(x | g) P(g), so a prior may be swapped after training."""
    outputs = Outputs.of("cubic", "spacegroup")
    rng = np.random.Generator(np.random.PCG64(2))
    evidence = rng.random((5, 36)) + 0.1
    groups = [int(group) for group in outputs.groups]
    trained = dict(zip(groups, rng.random(36) + 0.1, strict=True))
    wanted = dict(zip(groups, rng.random(36) + 0.1, strict=True))

    def posterior(weights):
        p = evidence * np.array([weights[group] for group in groups])
        return p / p.sum(axis=1, keepdims=True)

    swapped = outputs.group_probabilities(posterior(trained), wanted, trained)
    assert swapped.sum(axis=1) == pytest.approx(1)
    for members in Outputs.of("cubic", "extinction_class").members:
        columns = [groups.index(group) for group in members]
        of_class, expected = (p[:, columns] for p in (swapped, posterior(wanted)))
        assert of_class.sum(axis=1) == pytest.approx(posterior(trained)[:, columns].sum(axis=1))
        within = expected / expected.sum(axis=1, keepdims=True)
        assert of_class / of_class.sum(axis=1, keepdims=True) == pytest.approx(within)
    assert outputs.group_probabilities(posterior(trained)) == pytest.approx(posterior(trained))
    assert outputs.group_probabilities(posterior(trained), trained, trained) == pytest.approx(
        posterior(trained)
    )


@pytest.mark.parametrize("target", TARGETS)
def test_a_swapped_prior_gives_the_posterior_of_bayes(target):
    """A world of 40 patterns whose likelihoods are known: those of the groups of an output are equal.

    What a perfect model would say under the frequencies of training becomes what it would say under others,
    and for that needs neither likelihoods nor training anew.
    """
    outputs = Outputs.of(ALL, target)
    rng = np.random.Generator(np.random.PCG64(5))
    groups = [int(group) for group in outputs.groups]
    output = outputs.output_of_group[groups]
    likelihood = (rng.random((40, len(outputs))) ** 4)[:, output]
    likelihood /= likelihood.sum(axis=0)

    def posterior(weights):
        p = likelihood * np.array([weights.get(group, 0) for group in groups])
        return p / p.sum(axis=1, keepdims=True)

    trained = dict(zip(groups, rng.random(len(groups)) + 0.05, strict=True))
    wanted = {group: float(rng.integers(1, 90)) for group in groups if group % 5}
    member = np.eye(len(outputs))[output]
    found = (posterior(trained) @ member) * outputs.prior_shift(wanted, trained)
    found /= found.sum(axis=1, keepdims=True)
    assert found == pytest.approx(posterior(wanted) @ member, abs=1e-12)
    if target != "spacegroup":
        assert outputs.group_probabilities(found, wanted) == pytest.approx(posterior(wanted), abs=1e-12)


def test_outputs_that_training_never_showed_cannot_be_weighed():
    outputs = Outputs.of("cubic", "spacegroup")
    shift = outputs.prior_shift({225: 1, 198: 2, 230: 3}, {225: 1, 198: 1})
    at = {int(symbol): i for i, symbol in enumerate(outputs.symbols)}
    assert shift[at[198]] == 2 * shift[at[225]]
    assert shift[at[230]] == 0
    assert outputs.prior_shift({225: 6, 198: 6, 230: 1}, {225: 1, 198: 1}) is None
    with pytest.raises(XtinctError, match="no weight on any space group that the cubic model knows"):
        outputs.prior_shift({230: 1}, {225: 1})
    with pytest.raises(XtinctError, match="finite and not negative"):
        outputs.prior_shift({225: -1, 198: 1})

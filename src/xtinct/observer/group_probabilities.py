"""Probabilities of space groups: of what was found, of what was not, and with the votes."""

from collections.abc import Mapping

import numpy as np

from xtinct.ceiling.priors import occurrence
from xtinct.observer.answer.answer_data import ClassAnswer, spread
from xtinct.observer.judging.court import Judged
from xtinct.observer.judging.lattice_classes import ClassPosterior
from xtinct.observer.judging.weighing import SUGGESTED, WEIGHTS, tempered, voted
from xtinct.observer.question import Question
from xtinct.symmetry.classes import extinction_classes
from xtinct.symmetry.families import CRYSTAL_SYSTEMS, crystal_system, space_groups
from xtinct.symmetry.operations import bravais_lattice


def with_votes(question: Question, groups: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Probabilities (n,) of space groups (n,) with the votes, where there are any."""
    if question.votes is None:
        return probability
    votes, usual = question.votes, occurrence()
    told = [usual[int(number)] if question.prior is None else 1.0 for number in groups]
    share = np.array([votes.get(int(number), 0.0) for number in groups])
    return voted(probability, share, np.array(told), SUGGESTED.votes)


def unfound(question: Question) -> dict[int, float]:
    """Probability of every space group where the lattice is none of those that were found.

    That of the prior where one is told, or where known structures vote. All groups alike would make half of
    what was not found tetragonal or orthorhombic and hardly any triclinic: without a prior, crystal systems
    are alike here, as they were where the weights were fitted.
    """
    weights = question.weights()
    if question.prior is not None or question.votes is not None:
        return weights
    total = dict.fromkeys(CRYSTAL_SYSTEMS, 0.0)
    for number, weight in weights.items():
        total[crystal_system(number)] += weight
    systems = sum(x > 0 for x in total.values())
    return {number: w / total[crystal_system(number)] / systems for number, w in weights.items()}


def prior_with_votes(question: Question, prior: Mapping[int, float]) -> dict[int, float]:
    """A prior of the space groups with the votes, where there are any."""
    weighted = with_votes(question, np.array(list(prior)), np.array(list(prior.values())))
    return dict(zip(prior, weighted.tolist(), strict=True))


def heard(question: Question, one: Judged) -> np.ndarray:
    """Probabilities (n,) of the groups of a judged lattice, by absences and by votes.

    Lines of the structures that vote do not speak against them where they are too weak to be seen.
    """
    own, power = one.posterior, (SUGGESTED if question.suggested else WEIGHTS).temper
    alone = tempered(own.group_probability, power)
    # A prior that is told has the last word on groups without weight.
    known = [x for x in question.known if question.prior is None or question.prior.get(x.number)]
    if known:
        alone = alone * own.by_known(one.fit, known, question.votes, power)
    return with_votes(question, own.groups, alone)


def by_votes(posterior: ClassPosterior, one: Judged, question: Question) -> ClassPosterior:
    """The posterior of a lattice with its classes in the order that its judging, and the votes, gave them."""
    return posterior.ordered(one.posterior.groups, heard(question, one))


def spread_over(groups: dict[int, float], question: Question) -> dict[str, object]:
    """Families, classes and groups of an `Observation` from probabilities of groups: they agree.

    Each has the most probable first.
    """
    total = sum(groups.values())
    groups = {g: p / total for g, p in groups.items()}
    classes = [
        ClassAnswer(f, c.symbol, tuple(c.members), sum(groups.get(g, 0.0) for g in c.members))
        for f in question.families
        for c in extinction_classes(f)
    ]
    families = {f: sum(groups.get(g, 0.0) for g in space_groups(f)) for f in question.families}
    return {
        "families": dict(sorted(families.items(), key=lambda item: -item[1])),
        "classes": sorted(classes, key=lambda c: -c.probability),
        "groups": spread(groups),
    }


def add_lattice(groups: dict[int, float], family: str, share: float, question: Question, kind: str) -> None:
    """Spread the probability of a lattice over the groups that have its Bravais lattice, by the prior;
    over all of its family where none of these has weight."""
    family_weights = question.of_family(family) or dict.fromkeys(space_groups(family), 1.0)
    own = {g: w for g, w in family_weights.items() if bravais_lattice(g) == kind} or family_weights
    total = sum(own.values())
    for number, weight in own.items():
        groups[number] += share * weight / total

"""What a model's outputs mean: sets of space groups, and how group and class follow from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from xtinct.errors import XtinctError
from xtinct.symmetry.classes import ExtinctionClass, extinction_classes, scope_groups
from xtinct.symmetry.families import FAMILIES, N_SPACE_GROUPS, crystal_system

TARGETS = ("extinction_class", "spacegroup", "crystal_system")

#: The scope of a model that is not told the crystal family: all 230 groups, 97 classes.
ALL = "all"


class NothingLeftError(XtinctError):
    """A prior without any weight on what a model knows."""


def families_of(scope: str) -> tuple[str, ...]:
    """Crystal families that a model of `scope`, one family or ALL, has to tell apart."""
    return tuple(FAMILIES) if scope == ALL else (scope,)


def class_names(scope: str) -> list[str]:
    """Names of a scope's axis-unlabelled extinction classes, in the order of `extinction_classes`.

    The extinction symbol, which is unique within a family; for ALL the family stands before it.
    """
    return [_name(scope, cls) for cls in extinction_classes(scope)]


def class_name_of_groups(scope: str) -> dict[int, str]:
    """Space group number -> name of its class, as `class_names` writes it."""
    return {group: _name(scope, cls) for cls in extinction_classes(scope) for group in cls.members}


def training_prior(group_counts: Mapping[str, float] | None) -> dict[int, float] | None:
    """A card's `group_counts` as the prior of the groups within an output; None is uniform."""
    return None if group_counts is None else {int(group): float(n) for group, n in group_counts.items()}


def _name(scope: str, cls: ExtinctionClass) -> str:
    return f"{cls.family} {cls.symbol}" if scope == ALL else cls.symbol


@dataclass(frozen=True)
class Outputs:
    """The outputs of a model: each stands for a set of space groups.

    family    crystal family, or ALL
    target    extinction_class, spacegroup or crystal_system
    symbols   name of each output
    members   space group numbers of each output; together all groups of the scope, each once
    """

    family: str
    target: str
    symbols: tuple[str, ...]
    members: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, family: str, target: str) -> "Outputs":
        """The outputs that a model of `target` needs for `family`."""
        groups = scope_groups(family)
        if target == "extinction_class":
            members = tuple(tuple(c.members) for c in extinction_classes(family))
            return cls(family, target, tuple(class_names(family)), members)
        if target == "spacegroup":
            return cls(family, target, tuple(map(str, groups)), tuple((group,) for group in groups))
        if target == "crystal_system":
            systems = tuple(dict.fromkeys(crystal_system(group) for group in groups))
            return cls(
                family,
                target,
                systems,
                tuple(tuple(g for g in groups if crystal_system(g) == system) for system in systems),
            )
        raise XtinctError(f"target {target!r}: expected one of {', '.join(TARGETS)}")

    def __len__(self) -> int:
        return len(self.symbols)

    @cached_property
    def groups(self) -> np.ndarray:
        """Space group numbers of the scope, ascending, int64 (n_groups,)."""
        return np.array(sorted(group for members in self.members for group in members))

    @cached_property
    def output_of_group(self) -> np.ndarray:
        """Output of every space group number, int64 (231,); -1 where the model has none."""
        table = np.full(N_SPACE_GROUPS + 1, -1)
        for output, members in enumerate(self.members):
            table[list(members)] = output
        return table

    def prior_within(self, prior: Mapping[int, float] | None = None) -> np.ndarray:
        """P(group | its output), float64 (n_groups,), from group weights `prior`; None is uniform.

        An output whose groups have no weight at all is shared evenly.
        """
        weights = np.array([1.0 if prior is None else float(prior.get(int(g), 0.0)) for g in self.groups])
        if (weights < 0).any() or not np.isfinite(weights).all():
            raise XtinctError("prior: the weights of space groups must be finite and not negative")
        output = self.output_of_group[self.groups]
        total = np.bincount(output, weights, len(self))[output]
        even = 1.0 / np.bincount(output, minlength=len(self))[output]
        return np.where(total > 0, weights / np.where(total > 0, total, 1.0), even)

    def group_probabilities(
        self,
        probabilities: np.ndarray,
        prior: Mapping[int, float] | None = None,
        trained: Mapping[int, float] | None = None,
    ) -> np.ndarray:
        """P(group) = P(output) P(group | output): (n, n_outputs) -> float64 (n, n_groups).

        A model of space groups has learnt P(group | class) under the weights `trained` (None: equal). A
        `prior` takes their place by Bayes' rule, and the probabilities of the classes stay as they are;
        without one its answer is left as it is.
        """
        by_group = probabilities.astype(np.float64)[:, self.output_of_group[self.groups]]
        if self.target != "spacegroup":
            return by_group * self.prior_within(prior)
        if prior is None:
            return by_group
        old = np.array([1.0 if trained is None else float(trained.get(int(g), 0.0)) for g in self.groups])
        new = np.array([float(prior.get(int(g), 0.0)) for g in self.groups])
        weighed = by_group * np.where(old > 0, new / np.where(old > 0, old, 1.0), 0.0)
        column = self.class_of_group[self.groups]
        member = np.eye(len(self.class_names))[column]
        before, after = ((p @ member)[:, column] for p in (by_group, weighed))
        # Where the prior leaves nothing of a class, its groups stay as the model has them.
        return np.where(after > 0, weighed * before / np.where(after > 0, after, 1.0), by_group)

    def prior_shift(
        self, prior: Mapping[int, float] | None, trained: Mapping[int, float] | None = None
    ) -> np.ndarray | None:
        """What a new prior multiplies the probability of each output by, float64 (n_outputs,).

        `prior` and `trained`: weights of space groups, new and in training (None: equal). By Bayes' rule
        P(output | x) of training, times these factors and normalised, is P(output | x) under `prior`. It is
        exact where the groups of an output are told apart by nothing else than their frequencies: always for
        a model of space groups, and for extinction classes as far as the law of intensities does not tell.
        An output that training never showed has the factor 0. None where nothing changes: for the prior
        None, and for one with the same frequencies of the outputs. XtinctError where the prior leaves nothing
        that training showed.
        """
        if prior is None:
            return None
        new, old = self._output_weights(prior), self._output_weights(trained)
        factors = np.where(old > 0, new / np.where(old > 0, old, 1.0), 0.0)
        if not factors.any():
            raise NothingLeftError(f"prior: no weight on any space group that the {self.family} model knows")
        seen = factors[old > 0]
        return None if np.allclose(seen, seen.mean(), rtol=1e-9, atol=0) else factors / factors.max()

    def _output_weights(self, weights: Mapping[int, float] | None) -> np.ndarray:
        """Weights of the groups of each output together, float64 (n_outputs,)."""
        of_groups = np.array([1.0 if weights is None else float(weights.get(int(g), 0)) for g in self.groups])
        if (of_groups < 0).any() or not np.isfinite(of_groups).all():
            raise XtinctError("prior: the weights of space groups must be finite and not negative")
        return np.bincount(self.output_of_group[self.groups], of_groups, len(self))

    @cached_property
    def class_names(self) -> list[str]:
        """Names of the scope's extinction classes."""
        return class_names(self.family)

    @cached_property
    def class_of_group(self) -> np.ndarray:
        """Extinction class (index into `class_names`) of every space group number, int64 (231,), or -1."""
        table = np.full(N_SPACE_GROUPS + 1, -1)
        for i, cls in enumerate(extinction_classes(self.family)):
            table[list(cls.members)] = i
        return table

    def class_probabilities(
        self, probabilities: np.ndarray, prior: Mapping[int, float] | None = None
    ) -> np.ndarray:
        """P(extinction class): (n, n_outputs) -> float64 (n, n_classes), in the order of `class_names`.

        A class is as probable as its groups together; for a model of extinction classes that is its
        own output, whatever prior split it among the groups.
        """
        by_group = self.group_probabilities(probabilities, prior)
        by_class = np.zeros((len(by_group), len(self.class_names)))
        for i, cls in enumerate(extinction_classes(self.family)):
            by_class[:, i] = by_group[:, np.isin(self.groups, cls.members)].sum(axis=1)
        return by_class

    def to_list(self) -> list[dict]:
        """Outputs as JSON values."""
        return [
            {"symbol": symbol, "members": list(members)}
            for symbol, members in zip(self.symbols, self.members, strict=True)
        ]

    @classmethod
    def from_list(cls, family: str, target: str, outputs: list[dict]) -> "Outputs":
        """Inverse of `to_list`."""
        return cls(
            family,
            target,
            tuple(str(output["symbol"]) for output in outputs),
            tuple(tuple(int(group) for group in output["members"]) for output in outputs),
        )

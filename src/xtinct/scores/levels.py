"""What probabilities of space groups are worth at every level of symmetry, from crystal system to group."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from xtinct.errors import XtinctError
from xtinct.scores.calibration import expected_calibration_error
from xtinct.scores.metrics import in_top_k, share
from xtinct.symmetry.classes import class_symbol
from xtinct.symmetry.families import crystal_system, family_of, family_of_system
from xtinct.symmetry.operations import bravais_lattice

#: What a space group belongs to, from coarse to fine.
LEVELS: dict[str, Callable[[int], str]] = {
    "crystal_system": crystal_system,
    "family": family_of,
    "bravais": bravais_lattice,
    "extinction_class": lambda number: f"{family_of(number)} {class_symbol(number)}",
    "spacegroup": str,
}
#: Levels that a crystal system alone tells.
_OF_SYSTEM = {"crystal_system": str, "family": lambda system: family_of_system(system).name}
#: The k of top-k, and the probability above which an answer counts as sure.
KS, SURE = (1, 2, 3, 4, 5, 10), 0.9


@dataclass(frozen=True)
class TrueSymmetry:
    """What is known of n samples: space groups (None: unknown) and, without one, the crystal system."""

    numbers: Sequence[int | None]
    systems: Sequence[str | None]

    def __post_init__(self) -> None:
        if len(self.numbers) != len(self.systems):
            raise XtinctError(f"{len(self.numbers)} space groups, but {len(self.systems)} crystal systems")

    def names(self, level: str) -> list[str | None]:
        """Name of each sample at a level; None where it is not known."""
        of_system = _OF_SYSTEM.get(level)
        found: list[str | None] = []
        for number, system in zip(self.numbers, self.systems, strict=True):
            if number is not None:
                found.append(LEVELS[level](int(number)))
            else:
                found.append(of_system(system) if of_system and system else None)
        return found


def summed(groups: np.ndarray, probabilities: np.ndarray, level: str) -> tuple[list[str], np.ndarray]:
    """(names of a level, their probabilities float64 (n, m)) from those of space groups (n, n_groups)."""
    of_group = [LEVELS[level](int(group)) for group in groups]
    names = list(dict.fromkeys(of_group))
    member = np.array([[name == other for other in names] for name in of_group], dtype=np.float64)
    return names, probabilities.astype(np.float64) @ member


def level_records(
    groups: np.ndarray, probabilities: np.ndarray, truth: TrueSymmetry, confidence: float = 0.95
) -> list[dict]:
    """One record for each of LEVELS, over the samples whose truth is known there.

    groups         space group numbers int (n_groups,)
    probabilities  of each for every sample, float (n, n_groups)

    Keys: target; confidence; n; top1 to top5 and top10 with Wilson intervals (`_low`, `_high`; they stop
    where all names are counted); `ece`, the expected calibration error of the first choice; `sure`, the share
    of samples with a first choice above SURE, `sure_n`, their number, and `sure_right`, how many of them are
    right. A true name that no group of `groups` has counts as wrong. Where nothing is known `n` is 0 and
    stands alone.
    """
    return [_record(groups, probabilities, truth, level, confidence) for level in LEVELS]


def _record(
    groups: np.ndarray, probabilities: np.ndarray, truth: TrueSymmetry, level: str, confidence: float
) -> dict:
    names, by_name = summed(groups, probabilities, level)
    told = truth.names(level)
    known = np.array([name is not None for name in told], dtype=bool)
    place = {name: i for i, name in enumerate(names)}
    labels = np.array([place.get(name, -1) for name in told if name is not None], dtype=np.int64)
    found, n = by_name[known], len(labels)
    record: dict = {"target": level, "confidence": confidence, "n": n}
    if not n:
        return record
    for k in (k for k in KS if k < len(names)):
        record |= share(f"top{k}", in_top_k(found, labels, k), confidence)
    sure = found.max(axis=1) > SURE
    right = in_top_k(found, labels, 1)
    record["ece"] = expected_calibration_error(found, labels)
    return record | {
        "sure": float(sure.mean()),
        "sure_n": int(sure.sum()),
        "sure_right": int((sure & right).sum()),
    }

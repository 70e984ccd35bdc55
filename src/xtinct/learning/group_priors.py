"""How frequent the space groups of training samples are: as a prior of the configuration says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from xtinct.ceiling.priors import TABLES, read_prior
from xtinct.errors import XtinctError
from xtinct.symmetry.families import N_SPACE_GROUPS

#: Every group as often as any other; as frequent as in the stored training sets, else as in NATURE.
BALANCED, NATURAL = "balanced", "natural"
#: The packaged table that is natural for samples that are drawn while training.
NATURE = "mp"
#: Endings of tables that a prior may be read from.
ENDINGS = (".csv", ".parquet")


@dataclass(frozen=True)
class GroupPrior:
    """Frequencies of space groups in training: (weights + added) ** power.

    of      BALANCED, NATURAL, a name of `ceiling.priors.TABLES`, or a table as `read_prior` reads it
    power   1 takes the frequencies as they are, 0 makes those that are not zero equal
    added   added to the weight of each of the 230 groups, in units of the table's (structures, where it
            counts them), so that none is impossible
    """

    of: str
    power: float = 1.0
    added: float = 0.0

    @classmethod
    def from_config(cls, value: str | Mapping[str, Any]) -> "GroupPrior":
        """From an experiment's `prior`: a name or a table, or a mapping of the attributes.

        XtinctError for a name that is none, and for a power or an addition below zero.
        """
        prior = cls(value) if isinstance(value, str) else cls(**value)
        if prior.of not in (BALANCED, NATURAL, *TABLES) and not prior.of.endswith(ENDINGS):
            known = ", ".join((BALANCED, NATURAL, *TABLES))
            raise XtinctError(f"prior {prior.of!r}: expected {known} or a table ({', '.join(ENDINGS)})")
        if prior.power < 0 or prior.added < 0:
            raise XtinctError(f"prior: power {prior.power} and added {prior.added} must not be negative")
        return prior

    @property
    def table(self) -> str | None:
        """The file that it is read from; None where it needs none."""
        return None if self.of in (BALANCED, NATURAL, *TABLES) else self.of

    def weights(self, stored: np.ndarray | None) -> np.ndarray:
        """Weight of every space group number, float64 (231,).

        `stored`: samples of each group in the stored training sets, int (231,); None without any.
        """
        if self.of == BALANCED:
            found = np.ones(N_SPACE_GROUPS + 1)
        elif self.of == NATURAL and stored is not None:
            found = stored.astype(np.float64)
        else:
            found = np.zeros(N_SPACE_GROUPS + 1)
            for group, weight in read_prior(NATURE if self.of == NATURAL else self.of).items():
                found[group] = float(weight)
        found += self.added
        found[0] = 0.0
        # 0 ** 0 is 1, but a group without any weight must stay without.
        return np.where(found > 0, found, 0.0) ** self.power * (found > 0)

"""Space groups of the samples of a stream, drawn uniformly or as often as weights say."""

from collections.abc import Sequence

import numpy as np

from xtinct.compiling import njit
from xtinct.errors import XtinctError
from xtinct.randomness import integer, uniform


@njit(cache=True, nogil=True)
def _integers(key, start, count, n):
    """Draws number start to start + count - 1 of integers in [0, n), int64 (count,)."""
    out = np.empty(count, np.int64)
    for i in range(count):
        out[i] = integer(key, start + i, n)
    return out


@njit(cache=True, nogil=True)
def _uniforms(key, start, count):
    """Draws number start to start + count - 1 in [0, 1), float64 (count,)."""
    out = np.empty(count)
    for i in range(count):
        out[i] = uniform(key, start + i)
    return out


class WeighedDraws:
    """Places 0 to n - 1, drawn in proportion to weights: draw number i is a function of (key, i) alone.

    weights  float (n,), finite, not negative, with a sum above zero
    key      uint64, that of a stream

    Attribute shares: float64 (n,), the probabilities.
    """

    def __init__(self, weights: np.ndarray, key: np.uint64) -> None:
        weights = np.asarray(weights, dtype=np.float64)
        if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
            raise XtinctError("weights of space groups must be finite and not negative, and some above zero")
        self.shares = weights / weights.sum()
        self._key = key
        # Up to the last place with a weight: rounding of the sum must not lead beyond it.
        self._last = int(np.flatnonzero(weights)[-1])
        self._sums = np.cumsum(self.shares)

    def take(self, start: int, count: int) -> np.ndarray:
        """Draws number start to start + count - 1, int64 (count,)."""
        found = np.searchsorted(self._sums, _uniforms(self._key, start, count), side="right")
        return np.minimum(found, self._last)


class GroupDraws:
    """Space groups of samples: a function of (key, number of the sample) alone.

    groups   space group numbers that may be drawn
    weights  float (231,), of every space group number; None draws the groups equally often
    key      uint64, that of a stream

    Attributes: groups, int16 (n,), those with a weight, ascending as given; shares, float64 (n,), how often
    each is drawn. XtinctError where no group has a weight.
    """

    def __init__(self, groups: Sequence[int], weights: np.ndarray | None, key: np.uint64) -> None:
        numbers = np.array(groups, dtype=np.int16)
        self._key = key
        if weights is None:
            self.groups, self._draws = numbers, None
            self.shares = np.full(len(numbers), 1 / len(numbers))
            return
        self.groups = numbers[weights[numbers] > 0]
        self._draws = WeighedDraws(weights[self.groups], key)
        self.shares = self._draws.shares

    def take(self, start: int, count: int) -> np.ndarray:
        """Groups of samples number start to start + count - 1, int16 (count,)."""
        if self._draws is None:
            return self.groups[_integers(self._key, start, count, len(self.groups))]
        return self.groups[self._draws.take(start, count)]

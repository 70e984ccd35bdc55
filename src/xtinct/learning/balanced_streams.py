"""Stored samples drawn so that every output of a model is equally frequent."""

import numpy as np

from xtinct.learning.streams import ParquetStream
from xtinct.linelists.line_lists import LabelledLines
from xtinct.randomness import stream_key, subkeys


class BalancedStream:
    """The samples of a stored stream with every output equally often.

    output_of_group   output of every space group number, int (231,)

    The outputs follow one another in a new random order every round; of each its samples come in a new random
    order every time that all have been drawn. Attributes: groups, int16, of the stored samples; n_outputs,
    the outputs that have samples.
    """

    def __init__(self, stored: ParquetStream, output_of_group: np.ndarray, seed: int) -> None:
        self.groups, self._samples = stored.groups, stored.samples
        outputs = output_of_group[self.groups]
        self._rows = [np.flatnonzero(outputs == output) for output in np.unique(outputs)]
        self.n_outputs = len(self._rows)
        self._seed = seed
        self._orders: dict[int, tuple[int, np.ndarray]] = {}

    def _order(self, output: int, epoch: int) -> np.ndarray:
        """Places of the samples of an output in one pass over them."""
        known, order = self._orders.get(output, (-1, None))
        if known != epoch:
            order = self._shuffled(len(self._rows[output]), "samples", output, epoch)
            self._orders[output] = epoch, order
        return order

    def take(self, start: int, count: int) -> LabelledLines:
        """Samples number start to start + count - 1."""
        rounds, slots = np.divmod(np.arange(start, start + count), self.n_outputs)
        orders = {int(turn): self._shuffled(self.n_outputs, "outputs", int(turn)) for turn in set(rounds)}
        rows = np.empty(count, dtype=np.int64)
        for i, (turn, slot) in enumerate(zip(rounds.tolist(), slots.tolist(), strict=True)):
            output = int(orders[turn][slot])
            own = self._rows[output]
            epoch, place = divmod(turn, len(own))
            rows[i] = own[self._order(output, epoch)[place]]
        return self._samples.take(rows)

    def _shuffled(self, length: int, *what: str | int) -> np.ndarray:
        """A random order of 0 to length - 1, int64, that depends on what is put in order alone."""
        keys = np.empty(length, dtype=np.uint64)
        subkeys(stream_key(self._seed, "balanced", self._samples.family, *what), 0, keys)
        return np.argsort(keys, kind="stable")

"""Batches of a stream: lines with their space groups and the conditions of their measurement."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from xtinct.learning.streams import Stream
from xtinct.linelists.line_lists import LabelledLines, LineLists, numbers_of_crystals
from xtinct.patterns.conditions import Conditions
from xtinct.patterns.variation import FOREIGN_BLOCK, Variation


@dataclass(frozen=True)
class Batch:
    """Samples as they are measured: lines, space groups int16 (n,), conditions (None: as configured).

    cells  float64 (n, 6), those of the crystals before anything changed them; None where they are not known
    """

    lines: LineLists
    groups: np.ndarray
    conditions: Conditions | None
    cells: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def crystals(self) -> np.ndarray:
        """Numbers int64 (n,) of the crystals, as of `LabelledLines`."""
        return numbers_of_crystals(self.groups, self.cells)

    def slice(self, start: int, stop: int) -> "Batch":
        """Samples start to stop - 1 (as far as there are)."""
        conditions = None if self.conditions is None else self.conditions.slice(start, stop)
        cells = None if self.cells is None else self.cells[start:stop]
        return Batch(self.lines.slice(start, stop), self.groups[start:stop], conditions, cells)

    def parts(self, count: int) -> Iterator["Batch"]:
        """`count` samples after the other; the last part has what is left."""
        for first in range(0, len(self), count):
            yield self.slice(first, first + count)


def _lines_where(lines: LineLists, rows: np.ndarray, there: np.ndarray) -> LineLists:
    """Line lists of the samples number `rows`, int (n,), empty where not `there`, bool (n,)."""
    taken = lines.take(rows[there])
    lengths = np.zeros(len(rows), np.int64)
    lengths[there] = np.diff(taken.offsets)
    return LineLists(np.concatenate([[0], np.cumsum(lengths)]), taken.d_star, taken.intensity)


def _of_other_crystals(crystals: np.ndarray, own: np.ndarray, foreign: np.ndarray) -> np.ndarray:
    """Places of the foreign phases, int (n,): where one is the sample's own crystal, the next that is not.

    crystals  their numbers, of whole blocks of FOREIGN_BLOCK, int (m,)
    own       places of the samples, int (n,); foreign, those of the phases drawn for them

    -1 where a block has no other crystal.
    """
    found = foreign.copy()
    for _ in range(FOREIGN_BLOCK):
        same = crystals[found] == crystals[own]
        if not same.any():
            return found
        block = found[same] - found[same] % FOREIGN_BLOCK
        found[same] = block + (found[same] + 1) % FOREIGN_BLOCK
    return np.where(crystals[found] == crystals[own], -1, found)


@dataclass(frozen=True)
class Loader:
    """A stream measured under varying conditions.

    variation  law of the conditions and of changes of the samples; None measures every sample of the stream
               as the instrument is configured
    key        stream of the conditions, 0 to 2^64 - 1
    """

    stream: Stream
    variation: Variation | None = None
    key: int = 0

    def take(self, start: int, count: int) -> Batch:
        """Samples number start to start + count - 1: a function of their numbers alone."""
        law = self.variation
        if law is None:
            samples = self.stream.take(start, count)
            return Batch(samples.lines, samples.groups, None, samples.cells)
        conditions = law.draw(np.uint64(self.key), start, count)
        if not law.foreign_phase:
            samples = self._changed(start, count)
            return Batch(samples.lines, samples.groups, conditions, samples.cells)
        # Foreign phases are samples of the same blocks.
        first = start - start % FOREIGN_BLOCK
        stop = -(-(start + count) // FOREIGN_BLOCK) * FOREIGN_BLOCK
        samples = self._changed(first, stop - first)
        strength, number = law.draw_foreign(np.uint64(self.key), start, count)
        places = _of_other_crystals(samples.crystals, np.arange(count) + start - first, number - first)
        strength = np.where(places < 0, 0.0, strength)
        conditions = replace(
            conditions,
            foreign=_lines_where(samples.lines, places, strength > 0),
            foreign_strength=strength,
        )
        own = slice(start - first, start - first + count)
        cells = None if samples.cells is None else samples.cells[own]
        return Batch(samples.lines.slice(own.start, own.stop), samples.groups[own], conditions, cells)

    def _changed(self, start: int, count: int) -> LabelledLines:
        """Samples of the stream, changed as the law says."""
        samples = self.stream.take(start, count)
        if self.variation is None or not self.variation.changes_samples:
            return samples
        changes = self.variation.draw_changes(np.uint64(self.key), start, count)
        return replace(samples, lines=changes.applied(samples))

    def batches(self, *, start: int, stop: int, step: int, count: int, workers: int = 0) -> Iterator[Batch]:
        """`count` samples from each of start, start + step, ... below stop.

        Up to 2 * `workers` batches are prepared ahead. Threads suffice because the compiled kernels
        release the interpreter lock. The batches and their order do not depend on `workers`; 0 prepares
        each when it is asked for.
        """
        firsts = range(start, stop, step)
        if workers == 0:
            for first in firsts:
                yield self.take(first, count)
            return
        with ThreadPoolExecutor(workers) as pool:
            waiting: list[Future[Batch]] = []
            try:
                for first in firsts:
                    waiting.append(pool.submit(self.take, first, count))
                    if len(waiting) > 2 * workers:
                        yield waiting.pop(0).result()
                while waiting:
                    yield waiting.pop(0).result()
            finally:
                for future in waiting:
                    future.cancel()

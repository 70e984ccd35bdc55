"""How much of an accuracy is recognition: crystals of training, measured anew, beside crystals never seen.

The benchmark SimXRD-4M calls the two in-library and out-of-library.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xtinct.errors import XtinctError
from xtinct.evaluation.methods import ModelFolder
from xtinct.evaluation.test_sets import TestSet
from xtinct.files.writing import write_csv
from xtinct.learning.loading import Loader
from xtinct.learning.predictor import Predictor
from xtinct.learning.streams import EmptySplitError, StoredSamples
from xtinct.linelists.line_lists import LabelledLines
from xtinct.patterns.variation import Variation
from xtinct.randomness import stream_key
from xtinct.scores.metrics import macro_averages, share

#: Patterns that are measured at a time.
_MEASURED = 4096
#: Name of a protocol -> part of the files whose crystals it asks about.
PROTOCOLS = {"in-library": "train", "out-of-library": "test"}


def by_library(
    model: ModelFolder,
    paths: Sequence[str | Path],
    *,
    times: int = 2,
    seed: int = 0,
    confidence: float = 0.95,
) -> list[dict[str, Any]]:
    """Judge a model on the crystals that it was trained on and on those that it was not, one row for each.

    A part without a crystal has no row.

    paths   line-list files of the training set, one for each family of the model
    times   measurements of every crystal; their conditions come from the law of the training, and none of
            them has been in the training
    seed    of the conditions

    Rows: protocol, a key of PROTOCOLS; crystals; n patterns; top1, macro_precision, macro_recall and macro_f1
    of the model's own outputs, with intervals over crystals. XtinctError for a model that was trained under
    one condition, because its training crystals cannot be measured anew.
    """
    predictor = model.predictor()
    variation = _variation(predictor)
    rows = []
    for protocol, split in PROTOCOLS.items():
        test = TestSet(protocol, paths, {}, split, confidence)
        found, groups = _answers(predictor, test, variation, times, seed)
        if not len(groups):
            continue
        labels = predictor.outputs.output_of_group[groups]
        crystals = np.arange(len(groups)) // times
        rows.append(
            {
                "protocol": protocol,
                "crystals": len(groups) // times,
                "n": len(groups),
                **share("top1", found == labels, confidence, crystals),
                **macro_averages(found, labels, confidence, crystals),
            }
        )
    return rows


def write_libraries(
    model: ModelFolder, paths: Sequence[str | Path], out: str | Path, *, times: int, confidence: float
) -> None:
    """Write the rows of `by_library` as CSV, each with what tells the model from others."""
    card = model.predictor().card
    identity = {key: card[key] for key in ("experiment", "train_set", "target", "family", "seed")}
    rows = by_library(model, paths, times=times, confidence=confidence)
    write_csv(out, [identity | row for row in rows])


def _variation(predictor: Predictor) -> Variation:
    data: Mapping[str, Any] = predictor.card.get("training", {}).get("data", {})
    law = data.get("variation")
    if not law:
        raise XtinctError(
            "the model was trained under one measuring condition, so that its training crystals cannot be "
            "measured anew; give its experiment a `variation`"
        )
    return Variation.from_config(law)


def _answers(
    predictor: Predictor, test: TestSet, variation: Variation, times: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Most probable outputs and space groups, int (n,): all measurements of a crystal in a row."""
    key = stream_key(seed, "by-library", test.name, predictor.family)
    crystals = _InARow.of(test, predictor.family, times)
    found, groups = [np.empty(0, np.int64)], [np.empty(0, np.int16)]
    n = times * int(crystals.starts[-1])
    loader = Loader(crystals, variation, int(key))
    for first in range(0, n, _MEASURED):
        samples = loader.take(first, min(_MEASURED, n - first))
        answers = predictor.outputs_of_lines(samples.lines, conditions=samples.conditions)
        found.append(answers.argmax(axis=1))
        groups.append(samples.groups)
    return np.concatenate(found), np.concatenate(groups)


@dataclass(frozen=True)
class _InARow:
    """A stream of stored crystals, each `times` in a row; after the last one the first comes again.

    files   of the crystals; starts, int64 (files + 1,), the number of the first crystal of each, and of all
    """

    files: Sequence[StoredSamples]
    starts: np.ndarray
    times: int

    @classmethod
    def of(cls, test: TestSet, scope: str, times: int) -> "_InARow":
        """The crystals of a test set, mapped into memory: a training set may be larger than it."""
        files = []
        for path in test.paths:
            with suppress(EmptySplitError):
                files.append(StoredSamples(path, family=scope, split=test.split))
        return cls(files, np.cumsum([0, *map(len, files)]), times)

    @property
    def groups(self) -> np.ndarray:
        return np.unique(np.concatenate([file.groups for file in self.files]))

    def take(self, start: int, count: int) -> LabelledLines:
        rows = np.arange(start, start + count) // self.times % self.starts[-1]
        file = np.searchsorted(self.starts, rows, side="right") - 1
        parts = [self.files[i].take(rows[file == i] - self.starts[i]) for i in np.unique(file)]
        # The parts stand file by file; back to the order of the numbers.
        return LabelledLines.concatenate(parts).take(np.argsort(np.argsort(file, kind="stable")))

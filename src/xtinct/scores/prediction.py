"""What a method says about patterns: probabilities of extinction classes and space groups."""

from dataclasses import dataclass

import numpy as np

from xtinct.errors import XtinctError
from xtinct.scores.calibration import Calibration, prediction_sets
from xtinct.scores.metrics import rank


@dataclass(frozen=True)
class Prediction:
    """Probabilities of n samples.

    class_symbols        n_classes names of extinction classes (`outputs.class_names`)
    class_probabilities  float64 (n, n_classes)
    groups               n_groups space group numbers, ascending
    group_probabilities  float64 (n, n_groups)
    calibration          what the sets of classes rest on; None for a model without any, and where it does
                         not hold for these probabilities
    """

    class_symbols: list[str]
    class_probabilities: np.ndarray
    groups: np.ndarray
    group_probabilities: np.ndarray
    calibration: Calibration | None = None

    def class_sets(self, coverage: float = 0.95) -> np.ndarray:
        """Sets of classes, bool (n, n_classes), that hold the true one with probability `coverage`.

        A set is empty where no class is as probable as the true ones were in that share of the
        calibration samples: the model is undecided. The promise
        (`calibration.set_threshold`) holds for samples like those of the calibration and is made for
        all of them together, not for each class. The space groups of the classes of a set hold the
        true group just as often. XtinctError for a coverage that was not calibrated, for a
        model without a calibration, and where a prior made the classes' probabilities others than those
        that were calibrated.
        """
        if self.calibration is None:
            raise XtinctError(
                "sets of a stated coverage need a calibration in the model's card, of classes as probable as "
                "its training made them"
            )
        return prediction_sets(self.class_probabilities, self.calibration.threshold(coverage))

    def top_classes(self, i: int, k: int = 5) -> list[tuple[str, float]]:
        """The k most probable extinction classes of sample i with their probabilities."""
        columns = rank(self.class_probabilities[i : i + 1], k)[0]
        return [(self.class_symbols[c], float(self.class_probabilities[i, c])) for c in columns]

    def top_groups(self, i: int, k: int = 5) -> list[tuple[int, float]]:
        """The k most probable space groups of sample i with their probabilities."""
        columns = rank(self.group_probabilities[i : i + 1], k)[0]
        return [(int(self.groups[c]), float(self.group_probabilities[i, c])) for c in columns]

"""How a model fares when a measurement differs from the one that it was trained for."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from xtinct.ceiling.hypotheses import Window
from xtinct.evaluation.evaluation_records import TARGETS, Evaluation, ceilings_of
from xtinct.evaluation.methods import ModelFolder
from xtinct.evaluation.networks import identity_of, set_measures
from xtinct.evaluation.test_sets import LabelledSamples, TestSet
from xtinct.files.writing import write_csv
from xtinct.learning.predictor import Predictor
from xtinct.linelists.line_lists import LineLists
from xtinct.patterns.conditions import Conditions
from xtinct.patterns.instrument import Instrument
from xtinct.randomness import stream_key, subkeys
from xtinct.scores.metrics import in_top_k, share

#: What is varied, one at a time. `start` and `end` cut the 2theta range, degree; the others are those of
#: `xtinct.patterns.conditions.Conditions`.
CONDITIONS = ("counts", "width_factor", "zero_shift", "start", "end")
#: Coverage of the sets of classes that are looked at.
COVERAGE = 0.95


def measure_robustness(
    model: ModelFolder, test: TestSet, robustness: Mapping, output_csv: str | Path
) -> list[dict]:
    """Accuracy of a model on the same test samples under one changed condition after the other.

    `robustness`: that section of the configuration: `patterns`, samples of the test set, and the values of
    each of CONDITIONS. One row per condition, value and target, written to `output_csv`:

    condition, value   `none` (the instrument as configured) or one of CONDITIONS
    n, top1 (_low, _high)    samples, accuracy and its interval, with lattices as the units (`metrics.share`)
    ceiling            of exactly these samples in the range that is left; noise, width and shift are
                       not counted, for they take no line away
    held, size, empty (each _low, _high)    sets of classes of coverage COVERAGE: share that holds the true
                       class, mean number of classes, share without any; nothing without a calibration
    """
    predictor = model.predictor()
    predictor.require_instrument(test.optics)
    samples, lines = test.spread(predictor.family, robustness["patterns"])
    whole = Window.of_instrument(predictor.instrument)
    of_whole = {target: _ceiling(samples, whole, target) for target in TARGETS}
    rows = []
    for condition, value in conditions_of(robustness) if len(samples) else ():
        raw = _outputs(predictor, lines, condition, value)
        found = predictor.interpret(raw, prior=predictor.training_prior)
        cut = condition in ("start", "end")
        window = _window(predictor.instrument, condition, value) if cut else whole
        evaluation = Evaluation(identity_of(predictor, test), samples, found, None, window, test.confidence)
        for target in TARGETS:
            rows.append(
                {
                    **asdict(evaluation.identity),
                    "target": target,
                    "condition": condition,
                    "value": value,
                    "n": len(samples),
                    **_accuracy(evaluation, target),
                    "ceiling": _ceiling(samples, window, target) if cut else of_whole[target],
                    **_sets(evaluation, predictor),
                }
            )
    write_csv(output_csv, rows)
    return rows


def conditions_of(robustness: Mapping) -> Iterator[tuple[str, float | str]]:
    """(condition, value), the unchanged instrument first."""
    yield "none", ""
    for condition in CONDITIONS:
        for value in robustness[condition]:
            yield condition, value


def _outputs(predictor: Predictor, lines: LineLists, condition: str, value: float | str) -> np.ndarray:
    if condition not in ("start", "end"):
        return predictor.outputs_of_lines(lines, conditions=_conditions(condition, value, len(lines)))
    two_theta = predictor.instrument.two_theta
    measured = two_theta >= value if condition == "start" else two_theta <= value
    return predictor.outputs_of_lines(lines, measured=measured)


def _conditions(condition: str, value: float | str, n: int) -> Conditions | None:
    if condition == "none":
        return None
    values = np.full(n, float(value))
    if condition != "counts":
        return Conditions(**{condition: values})
    keys = np.empty(n, dtype=np.uint64)
    subkeys(stream_key(0, "robustness", str(value)), 0, keys)
    return Conditions(counts=values, noise_keys=keys)


def _window(instrument: Instrument, condition: str, value: float) -> Window:
    full = Window.of_instrument(instrument)
    edge = 2.0 * np.sin(np.radians(value / 2.0)) / instrument.wavelength
    edge = float(np.clip(edge, full.d_star_min, full.d_star_max))
    return Window(edge, full.d_star_max) if condition == "start" else Window(full.d_star_min, edge)


def _ceiling(samples: LabelledSamples, window: Window, target: str) -> float:
    if not len(samples):
        return 0.0
    return float(ceilings_of(samples.groups, samples.cells, window, target)[1].mean())


def _accuracy(evaluation: Evaluation, target: str) -> dict[str, float]:
    choices = evaluation.choices(target, evaluation.found)
    right = in_top_k(choices.probabilities, choices.labels, 1)
    return share("top1", right, evaluation.confidence, evaluation.samples.lattices)


def _sets(evaluation: Evaluation, predictor: Predictor) -> dict[str, float | None]:
    names = [f"{name}{end}" for name in ("held", "size", "empty") for end in ("", "_low", "_high")]
    if predictor.calibration is None:
        return dict.fromkeys(names)
    measures = set_measures(evaluation, predictor.calibration.threshold(COVERAGE))
    return {name: measures[name] for name in names}

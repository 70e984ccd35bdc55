"""How a model fares when a measurement differs from the one that it was trained for."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from xtinct.ceiling.hypotheses import Window
from xtinct.evaluation.networks import (
    TARGETS,
    ceilings_of,
    of_target,
    record_keys,
    set_measures,
)
from xtinct.evaluation.test_sets import numbered, read_spread
from xtinct.files.writing import write_csv
from xtinct.learning.prediction import Prediction, Predictor
from xtinct.linelists.line_lists import LabelledLines
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.measuring import Conditions
from xtinct.randomness import stream_key, subkeys
from xtinct.scores.calibration import prediction_sets
from xtinct.scores.metrics import in_top_k, share

#: What is varied, one at a time. `start` and `end` cut the 2theta range, degree; the others are those of
#: `xtinct.patterns.measuring.Conditions`.
CONDITIONS = ("counts", "width_factor", "zero_shift", "start", "end")
#: Coverage of the sets of classes that are looked at.
COVERAGE = 0.95


def measure_robustness(
    *,
    model_dir: str | Path,
    dataset_paths: Sequence[str | Path],
    test_name: str,
    instrument: Mapping,
    robustness: Mapping,
    output_csv: str | Path,
    device: str = "auto",
    precision: str = "auto",
    threads: int = 1,
    confidence: float = 0.95,
) -> list[dict]:
    """Accuracy of a model on the same test samples under one changed condition after the other.

    `dataset_paths`: line lists of each family that the model tells apart. `robustness`: that section of
    the configuration: `patterns`, samples of the test part, and the values of each of CONDITIONS.
    One row per condition, value and target, written to `output_csv`:

    condition, value   `none` (the instrument as configured) or one of CONDITIONS
    n, top1 (_low, _high)    samples, accuracy and its interval, with lattices as the units (`metrics.share`)
    ceiling            of exactly these samples in the range that is left; noise, width and shift are
                       not counted, for they take no line away
    held, size, empty (each _low, _high)    sets of classes of coverage COVERAGE: share that holds the true
                       class, mean number of classes, share without any; nothing without a calibration
    """
    predictor = Predictor(model_dir, device=device, precision=precision, threads=threads)
    predictor.require_instrument(Instrument.from_config(instrument))
    samples, cells = read_spread(dataset_paths, predictor.family, "test", robustness["patterns"])
    rows, lattices = [], numbered(cells)
    whole = Window.of_instrument(predictor.instrument)
    of_whole = {target: _ceiling(samples, cells, whole, target) for target in TARGETS}
    for condition, value in conditions_of(robustness) if len(samples) else ():
        found = predictor.interpret(
            _outputs(predictor, samples, condition, value), prior=predictor.training_prior
        )
        cut = condition in ("start", "end")
        window = _window(predictor.instrument, condition, value) if cut else whole
        for target in TARGETS:
            ceiling = _ceiling(samples, cells, window, target) if cut else of_whole[target]
            rows.append(
                {
                    **record_keys(predictor, test_name),
                    "target": target,
                    "condition": condition,
                    "value": value,
                    "n": len(samples),
                    **_accuracy(predictor, found, samples.groups, lattices, target, confidence),
                    "ceiling": ceiling,
                    **_sets(predictor, found, samples.groups, lattices, confidence),
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


def _outputs(predictor: Predictor, samples: LabelledLines, condition: str, value: float | str) -> np.ndarray:
    if condition not in ("start", "end"):
        return predictor.outputs_of_lines(
            samples.lines, conditions=_conditions(condition, value, len(samples))
        )
    two_theta = predictor.instrument.two_theta
    measured = two_theta >= value if condition == "start" else two_theta <= value
    return predictor.outputs_of_lines(samples.lines, measured=measured)


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


def _ceiling(samples: LabelledLines, cells: np.ndarray, window: Window, target: str) -> float:
    return float(ceilings_of(samples.groups, cells, window, target)[1].mean()) if len(samples) else 0.0


def _accuracy(
    predictor: Predictor,
    found: Prediction,
    groups: np.ndarray,
    lattices: np.ndarray,
    target: str,
    confidence: float,
) -> dict[str, float]:
    _, probabilities, labels = of_target(target, predictor, found, groups)
    return share("top1", in_top_k(probabilities, labels, 1), confidence, lattices)


def _sets(
    predictor: Predictor, found: Prediction, groups: np.ndarray, lattices: np.ndarray, confidence: float
) -> dict[str, float | None]:
    names = [f"{name}{end}" for name in ("held", "size", "empty") for end in ("", "_low", "_high")]
    if predictor.calibration is None:
        return dict.fromkeys(names)
    sets = prediction_sets(found.class_probabilities, predictor.calibration.threshold(COVERAGE))
    measures = set_measures(sets, predictor.outputs.class_of_group[groups], lattices, confidence)
    return {name: measures[name] for name in names}

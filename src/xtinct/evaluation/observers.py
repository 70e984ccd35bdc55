"""Judging the observer, alone and together with a trained model, on a line-list file.

Loads torch only where there is a model to ask.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from xtinct.ceiling.hypotheses import Window
from xtinct.evaluation.evaluation_records import Evaluation, EvaluationIdentity
from xtinct.evaluation.methods import ModelFolder, ObserverSettings
from xtinct.evaluation.test_sets import TestSet
from xtinct.lattices.cells import LONGEST, SHORTEST
from xtinct.linelists.line_lists import LineLists
from xtinct.observer.exact.exact_observer import Observer, hybrid
from xtinct.patterns.rendering import render
from xtinct.scores.metrics import share
from xtinct.scores.prediction import Prediction
from xtinct.symmetry.classes import extinction_classes
from xtinct.symmetry.families import MONOCLINIC

if TYPE_CHECKING:
    from xtinct.learning.predictor import Predictor


def evaluate_observer(
    settings: ObserverSettings,
    test: TestSet,
    output_json: str | Path,
    output_parquet: str | Path,
    model: ModelFolder | None = None,
) -> list[dict]:
    """Evaluate the observer on test samples of one family; return the metrics records.

    model   a trained model of the family: the records are those of the product of both
            (`xtinct.observer.exact.exact_observer.hybrid`), else of the observer alone

    Writes records to `output_json`, one per target, with the keys of a trained model's that the observer has
    (`evaluation_records.Evaluation`), and the predictions (schema.PREDICTIONS) to `output_parquet`. Groups
    are alike for the observer. `found` is the share of patterns whose lattice was found, with its interval;
    `seconds` are of all patterns together.
    """
    samples, lines = test.spread(settings.family, settings.samples)
    observer = _observer(settings, test)
    predictor = None if model is None else model.predictor()
    if predictor is not None:
        predictor.require_instrument(test.optics)
    patterns = _patterns(lines, test)
    started = time.perf_counter()
    by_group, found = observer.group_probabilities(patterns)
    if predictor is not None and len(samples):
        by_group = _with_network(predictor, observer, patterns, by_group, found)
    seconds = time.perf_counter() - started
    name = "observer" if predictor is None else "hybrid"
    more = {
        "split": test.split or "all",
        "n_unseen": 0,
        **(share("found", found, test.confidence, samples.lattices) if len(samples) else {"found": None}),
        "seconds": round(seconds, 3),
        "device": _device_of(predictor),
    }
    return Evaluation(
        EvaluationIdentity(name, name, test.name, settings.family, name, 0),
        samples,
        _prediction(settings.family, observer.groups, by_group),
        None,
        Window.of_instrument(test.optics),
        test.confidence,
        more,
    ).write(output_json, output_parquet)


def _observer(settings: ObserverSettings, test: TestSet) -> Observer:
    # Reduced monoclinic axes may leave the range that the cells were drawn from.
    known = settings.lengths is not None and settings.family != MONOCLINIC
    lengths = settings.lengths if known else (SHORTEST, LONGEST)
    return Observer(test.optics, settings.family, settings.law, lengths=lengths)


def _patterns(lines: LineLists, test: TestSet) -> np.ndarray:
    return render(lines, test.optics) if len(lines) else np.empty((0, test.optics.points), np.float32)


def _with_network(
    predictor: "Predictor",
    observer: Observer,
    patterns: np.ndarray,
    by_group: np.ndarray,
    found: np.ndarray,
) -> np.ndarray:
    prior = predictor.training_prior or dict.fromkeys(observer.groups.tolist(), 1.0)
    shares = np.array([prior.get(int(group), 0.0) for group in observer.groups])
    network = predictor.from_patterns(patterns, prior=predictor.training_prior).group_probabilities
    return hybrid(by_group, found, network, shares)


def _prediction(family: str, groups: np.ndarray, by_group: np.ndarray) -> Prediction:
    classes = extinction_classes(family)
    of_class = np.array([[g in c.members for c in classes] for g in groups], dtype=float)
    by_class = np.einsum("ng,gc->nc", by_group, of_class)
    return Prediction([c.symbol for c in classes], by_class, groups, by_group)


def _device_of(predictor: "Predictor | None") -> str:
    if predictor is None:
        return "cpu"
    from xtinct.learning.device import describe

    return describe(predictor.device, predictor.precision)

"""Judging a trained model on measured patterns with labels."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from xtinct.auditing.pattern_sets import LabelledMeasurement, labelled_measurements
from xtinct.ceiling.priors import read_prior
from xtinct.errors import XtinctError
from xtinct.evaluation.evaluation_records import EvaluationIdentity
from xtinct.evaluation.methods import ModelFolder
from xtinct.files.parquet import write_parquet
from xtinct.files.schema import PREDICTIONS
from xtinct.files.writing import write_json
from xtinct.learning.measured_patterns import as_trained
from xtinct.learning.predictor import Predictor
from xtinct.scores.levels import TrueSymmetry, level_records
from xtinct.scores.metrics import rank, share
from xtinct.scores.outputs import Outputs, class_name_of_groups
from xtinct.scores.prediction import Prediction

#: Coverage of the sets of classes that are judged.
COVERAGE = 0.9
#: What all patterns of a set count as, beside each laboratory.
TOGETHER = "all"


@dataclass(frozen=True)
class MeasuredSet:
    """A set of measured patterns to ask a model about.

    name        of the set
    patterns    table MEASURED_PATTERNS
    audit       table AUDIT of the same set: those that passed are asked; None: all are
    confidence  of the intervals
    """

    name: str
    patterns: str | Path
    audit: str | Path | None = None
    confidence: float = 0.95


def evaluate_on_measured(
    model: ModelFolder, test: MeasuredSet, output_json: str | Path, output_parquet: str | Path
) -> list[dict]:
    """Ask a model about measured patterns, and return the records.

    Written are `output_json`, for each laboratory and for all of several together one record of each level of
    symmetry (`scores.levels.level_records`), under the frequencies of training (`prior` "training"), under
    those of the Materials Project ("mp"), and by these alone, without a look at a pattern ("mp alone"); and
    `output_parquet`, the predictions under the first (schema.PREDICTIONS). `held`, of extinction classes, is
    the share of sets of COVERAGE that hold the true class, and `set_size` their mean size, where the model
    has a calibration. A pattern that cannot be brought to the model's grid is answered with equal
    probabilities of all outputs; `failed` counts such patterns.
    """
    records, predictions = _judged(model, test)
    write_json(output_json, records)
    write_parquet(output_parquet, [predictions], PREDICTIONS)
    return records


def ask_networks(models: Sequence[ModelFolder], test: MeasuredSet, output_json: str | Path) -> list[dict]:
    """Write and return the records of `evaluate_on_measured` of several models; [] without any."""
    records = [record for model in models for record in _judged(model, test)[0]]
    write_json(output_json, records)
    return records


def _judged(model: ModelFolder, test: MeasuredSet) -> tuple[list[dict], pa.Table]:
    """Records and predictions of one model."""
    predictor = model.predictor()
    patterns = labelled_measurements(test.patterns, test.audit)
    started = time.perf_counter()
    raw, reasons = _asked(predictor, patterns)
    failed = np.array([reason != "" for reason in reasons], dtype=bool)
    seconds = time.perf_counter() - started
    truth = TrueSymmetry([p.label.number for p in patterns], [p.label.true_system for p in patterns])
    laboratories = np.array([p.laboratory for p in patterns], dtype=object)
    common = {
        **asdict(_identity(predictor, test)),
        "trained_target": predictor.outputs.target,
        "method": "network",
        "seconds": round(seconds, 3),
        "training_digest": predictor.card["training_digest"],
    }
    records = []
    answers = {
        "training": predictor.interpret(raw, prior=predictor.training_prior),
        "mp": predictor.interpret(raw, prior=read_prior("mp")),
        "mp alone": _by_frequencies(predictor.outputs, len(patterns)),
    }
    for prior, found in answers.items():
        for laboratory in _scopes(laboratories):
            rows = np.flatnonzero((laboratories == laboratory) | (laboratory == TOGETHER))
            about = {"prior": prior, "laboratory": laboratory, "failed": int(failed[rows].sum())}
            for record in _records(found, predictor.outputs, truth, rows, test.confidence):
                records.append({**common, **about, **record})
    return records, _predictions(predictor.family, patterns, answers["training"])


def _by_frequencies(outputs: Outputs, n: int) -> Prediction:
    """The frequencies of the Materials Project as the answer to each of n patterns."""
    known = read_prior("mp")
    weights = np.array([float(known.get(int(group), 0)) for group in outputs.groups])
    by_group = np.tile(weights / weights.sum(), (n, 1))
    member = np.eye(len(outputs.class_names))[outputs.class_of_group[outputs.groups]]
    return Prediction(outputs.class_names, by_group @ member, outputs.groups, by_group)


def _identity(predictor: Predictor, test: MeasuredSet) -> EvaluationIdentity:
    card = predictor.card
    return EvaluationIdentity(
        card["experiment"],
        card["train_set"],
        test.name,
        predictor.family,
        card["architecture"]["name"],
        card["seed"],
    )


def _scopes(laboratories: np.ndarray) -> list[str]:
    """All of several laboratories, and each of them."""
    each = sorted(set(laboratories))
    return each if len(each) == 1 else [TOGETHER, *each]


def _asked(predictor: Predictor, patterns: Sequence[LabelledMeasurement]) -> tuple[np.ndarray, list[str]]:
    """Probabilities of the outputs, float32 (n, n_outputs), and why a pattern could not be asked ("")."""
    raw = np.full((len(patterns), len(predictor.outputs)), 1 / len(predictor.outputs), np.float32)
    reasons = []
    for i, pattern in enumerate(patterns):
        try:
            raw[i] = predictor.outputs_of_measured(as_trained(predictor, pattern.measurement))[0]
            reasons.append("")
        except XtinctError as error:
            reasons.append(str(error))
    return raw, reasons


def _records(
    found: Prediction, outputs: Outputs, truth: TrueSymmetry, rows: np.ndarray, confidence: float
) -> list[dict]:
    part = TrueSymmetry([truth.numbers[i] for i in rows], [truth.systems[i] for i in rows])
    records = level_records(found.groups, found.group_probabilities[rows], part, confidence)
    for record in records:
        if record["target"] == "extinction_class" and found.calibration is not None and record["n"]:
            record |= _sets(found, outputs, part, rows, confidence)
    return records


def _sets(
    found: Prediction, outputs: Outputs, truth: TrueSymmetry, rows: np.ndarray, confidence: float
) -> dict[str, float]:
    """`held` and `set_size` over the samples whose group is known; a class of no output is not held."""
    known = [i for i, number in enumerate(truth.numbers) if number is not None]
    sets = found.class_sets(COVERAGE)[rows[known]]
    labels = outputs.class_of_group[[int(truth.numbers[i]) for i in known]]
    held = (labels >= 0) & sets[np.arange(len(labels)), labels]
    return share("held", held, confidence) | {"set_size": float(sets.sum(axis=1).mean())}


def _predictions(family: str, patterns: Sequence[LabelledMeasurement], found: Prediction) -> pa.Table:
    """PREDICTIONS of the patterns whose space group is known and of the model's family."""
    name_of = class_name_of_groups(family)
    rows = [i for i, pattern in enumerate(patterns) if pattern.label.number in name_of]
    classes, groups = (rank(p[rows], 5) for p in (found.class_probabilities, found.group_probabilities))
    numbers = [int(patterns[i].label.number) for i in rows]
    symbols = np.array(found.class_symbols, dtype=object)
    columns = [
        [patterns[i].pattern_id for i in rows],
        np.array(numbers, dtype=np.int16),
        [name_of[number] for number in numbers],
        [list(row) for row in symbols[classes]],
        list(np.take_along_axis(found.class_probabilities[rows], classes, axis=1).astype(np.float32)),
        list(found.groups[groups].astype(np.int16)),
        list(np.take_along_axis(found.group_probabilities[rows], groups, axis=1).astype(np.float32)),
    ]
    return pa.table(columns, schema=PREDICTIONS)

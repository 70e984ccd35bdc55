"""Judging a trained model on line-list files."""

import hashlib
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from xtinct.ceiling.hypotheses import Window
from xtinct.errors import XtinctError
from xtinct.evaluation.evaluation_records import Evaluation, EvaluationIdentity
from xtinct.evaluation.methods import ModelFolder
from xtinct.evaluation.speed import LARGE_BATCH, speeds
from xtinct.evaluation.test_sets import LabelledSamples, TestSet
from xtinct.files.writing import write_csv
from xtinct.learning.device import describe
from xtinct.learning.predictor import Predictor
from xtinct.linelists.line_lists import LineLists, numbers_of_crystals
from xtinct.scores.calibration import COVERAGES, prediction_sets, reliability, set_threshold
from xtinct.scores.metrics import abstention_curve, average, label_table, share

#: Tables beside the records of an evaluation: `<test set>.<table>.csv`.
TABLES = ("reliability", "labels", "sets", "abstention", "confusion")
#: Shares of the answers that are kept in the abstention curve.
KEPT = (1.0, 0.99, 0.98, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)


def evaluate_model(
    model: ModelFolder,
    test: TestSet,
    output_json: str | Path,
    output_parquet: str | Path,
    speed: Mapping[str, float | None] | None = None,
) -> list[dict]:
    """Evaluate a model folder on the samples of a test set and return the metrics records.

    Written are `output_json`, one record per target (extinction class and space group, and the crystal
    system for a model that was trained on it),
    `output_parquet`, the predictions (schema.PREDICTIONS), and beside them the TABLES, see
    `evaluation_tables`. `speed`: `speed.speeds` of this model, where they are known; None: measured here.

    The records are those of `evaluation_records.Evaluation`. Within a class the groups are ranked by the
    model's training frequencies. Intervals have cells as the units (`metrics.share`): samples of one lattice
    tend to fail together, and `n_cells` says how many lattices there are. `n_unseen` counts the samples of a
    class that the model never saw in training; they are part of n. Probabilities are calibrated with the
    temperature of the model's card.
    XtinctError if the model was trained for another instrument, and for files that it was trained on
    unless the split leaves the training samples out.
    """
    predictor = model.predictor()
    predictor.require_instrument(test.optics)
    if test.split in (None, "train"):
        _refuse_training_files(predictor.card, test.paths)
    evaluation = _evaluate(model, predictor, test, speed)
    records = evaluation.write(output_json, output_parquet)
    tables = evaluation_tables(evaluation, predictor, _of_true_classes(predictor, test))
    for name in TABLES:
        rows = [{**asdict(evaluation.identity), **row} for row in tables[name]]
        write_csv(table_path(output_json, name), rows)
    return records


def _evaluate(
    model: ModelFolder, predictor: Predictor, test: TestSet, speed: Mapping[str, float | None] | None
) -> Evaluation:
    started = time.perf_counter()
    ids, groups, raw, lines = _judge(predictor, test)
    seconds = time.perf_counter() - started
    samples = LabelledSamples(ids, groups, test.cells())
    more = {
        "split": test.split or "all",
        "trained_target": predictor.outputs.target,
        "n_cells": len(np.unique(samples.lattices)),
        "n_unseen": int(np.isin(groups, _unseen_groups(predictor.card)).sum()),
        "temperature": predictor.temperature,
        "seconds": round(seconds, 3),
        "device": describe(predictor.device, predictor.precision),
        "training_digest": predictor.card["training_digest"],
        **(speed or speeds(model, lines)),
    }
    prior = predictor.training_prior
    return Evaluation(
        identity_of(predictor, test),
        samples,
        predictor.interpret(raw, prior=prior),
        predictor.interpret(raw, prior=prior, calibrated=False),
        Window.of_instrument(predictor.instrument),
        test.confidence,
        more,
    )


def _refuse_training_files(card: Mapping, paths: Sequence[str | Path]) -> None:
    """XtinctError for the first of `paths` that is a stored training set of the model, whatever its name."""
    data = card.get("training", {}).get("data", {})
    trained = {digest for files in data.values() if isinstance(files, list) for digest in files}
    for path in paths if trained else ():
        with Path(path).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() in trained:
                raise XtinctError(
                    f"{path}: the model was trained on part of it; evaluate its test split alone"
                )


def table_path(output_json: str | Path, table: str) -> Path:
    """Where a table of the evaluation `output_json` stands."""
    return Path(output_json).with_suffix(f".{table}.csv")


def identity_of(predictor: Predictor, test: TestSet) -> EvaluationIdentity:
    """What tells the evaluation of a model on a test set from others."""
    card = predictor.card
    model = card["architecture"]["name"]
    return EvaluationIdentity(
        card["experiment"], card["train_set"], test.name, predictor.family, model, card["seed"]
    )  # fmt: skip


def _unseen_groups(card: Mapping) -> list[int]:
    """Space groups of the outputs that the model never saw in training."""
    unseen = [output["members"] for output in card["outputs"] if output["symbol"] in card["unseen_outputs"]]
    return sorted({group for members in unseen for group in members})


def _judge(predictor: Predictor, test: TestSet) -> tuple[list[str], np.ndarray, np.ndarray, LineLists | None]:
    """Ids, space groups (n,), output probabilities (n, n_outputs), and lines of some samples."""
    ids: list[str] = []
    groups, raw, lines = [np.empty(0, np.int16)], [np.empty((0, len(predictor.outputs)), np.float32)], None
    for samples, sample_ids in test.parts(predictor.family):
        ids += sample_ids
        groups.append(samples.groups)
        raw.append(predictor.outputs_of_lines(samples.lines))
        lines = lines or samples.lines.slice(0, LARGE_BATCH)
    return ids, np.concatenate(groups), np.concatenate(raw), lines


def _of_true_classes(predictor: Predictor, test: TestSet) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of the true classes in the validation part of the files, and which are of one crystal.

    float64 (m,) and int64 (m,); empty unless the test part is judged.
    """
    if test.split != "test":
        return np.empty(0), np.empty(0, np.int64)
    watched = TestSet(test.name, test.paths, test.instrument, "validation", test.confidence)
    _, groups, raw, _ = _judge(predictor, watched)
    by_class = predictor.interpret(raw, prior=predictor.training_prior).class_probabilities
    own = by_class[np.arange(len(groups)), predictor.outputs.class_of_group[groups]]
    return own, numbers_of_crystals(groups, watched.cells())


def evaluation_tables(
    evaluation: Evaluation, predictor: Predictor, true_class: tuple[np.ndarray, np.ndarray]
) -> dict[str, list[dict]]:
    """Rows of the TABLES. `target` is what is named.

    `true_class`: of the validation part of the test set the probabilities of the true classes, float (m,),
    and which samples are of one crystal, int (m,).

    reliability  accuracy of the first choice by its probability, `calibrated` (with the temperature)
                 and not: `calibration.reliability`
    labels       recall, precision and F1 of every class and group, and what it is mistaken for:
                 `metrics.label_table`
    sets         sets of extinction classes of a stated `coverage`: the share that holds the true class
                 (`held`), their mean `size`, the share with one class (`single`) and with none (`empty`:
                 unlike the calibration samples, or undecided). `calibrated_on`: training (samples like
                 those of training; the promise holds for a test set of the same law) or validation (the
                 validation part of the test set itself, `n_calibration` samples)
    abstention   accuracy and risk when the least certain are left out: `metrics.abstention_curve`
    confusion    cells of the confusion matrix of crystal systems: `count` samples of the `true` label that
                 were said to be of the `predicted` one; of classes and groups the predictions hold them
    """
    tables: dict[str, list[dict]] = {name: [] for name in TABLES}
    if not len(evaluation.samples):
        return tables
    for target in evaluation.targets:
        for name, rows in _tables_of(evaluation, target).items():
            tables[name] += [{"target": target, **row} for row in rows]
    if "crystal_system" in evaluation.targets:
        choices = evaluation.choices("crystal_system", evaluation.found)
        pairs = Counter(zip(choices.labels.tolist(), choices.first.tolist(), strict=True))
        tables["confusion"] = [
            {"target": "crystal_system", "true": choices.names[t], "predicted": choices.names[p], "count": n}
            for (t, p), n in sorted(pairs.items())
        ]
    tables["sets"] = _sets(evaluation, predictor, true_class)
    return tables


def _tables_of(evaluation: Evaluation, target: str) -> dict[str, list[dict]]:
    confidence, cells = evaluation.confidence, evaluation.samples.lattices
    choices = evaluation.choices(target, evaluation.found)
    raw = evaluation.choices(target, evaluation.uncalibrated)
    right = choices.first == choices.labels
    return {
        "reliability": [
            {"calibrated": calibrated, **row}
            for calibrated, p in ((True, choices.probabilities), (False, raw.probabilities))
            for row in reliability(p, choices.labels, confidence=confidence, cells=cells)
        ],
        "labels": label_table(
            choices.names, choices.first, choices.labels, confidence, class_of=choices.class_of, cells=cells
        ),
        "abstention": abstention_curve(choices.probabilities.max(axis=1), right, KEPT, confidence, cells),
    }


def _sets(
    evaluation: Evaluation, predictor: Predictor, true_class: tuple[np.ndarray, np.ndarray]
) -> list[dict]:
    calibrations = []
    if predictor.calibration is not None:
        thresholds = [predictor.calibration.threshold(coverage) for coverage in COVERAGES]
        calibrations.append(("training", predictor.calibration.n, thresholds))
    own, crystals = true_class
    if len(own):
        thresholds = [set_threshold(own, coverage, crystals) for coverage in COVERAGES]
        calibrations.append(("validation", len(own), thresholds))
    rows = []
    for calibrated_on, n_calibration, thresholds in calibrations:
        for coverage, threshold in zip(COVERAGES, thresholds, strict=True):
            row = {"calibrated_on": calibrated_on, "n_calibration": n_calibration, "coverage": coverage}
            rows.append(row | {"n": len(evaluation.samples)} | set_measures(evaluation, threshold))
    return rows


def set_measures(evaluation: Evaluation, threshold: float) -> dict[str, float]:
    """Of the sets of classes at least as probable as `threshold`: `held`, `size`, `single` and `empty`.

    As in `evaluation_tables`, with intervals.
    """
    sets = prediction_sets(evaluation.found.class_probabilities, threshold)
    labels = evaluation.class_of_group[evaluation.samples.groups]
    confidence, lattices = evaluation.confidence, evaluation.samples.lattices
    held = (labels >= 0) & sets[np.arange(len(labels)), labels]
    size = sets.sum(axis=1)
    measures = share("held", held, confidence, lattices)
    measures |= average("size", size, confidence, lattices, most=sets.shape[1])
    for name, classes in (("single", 1), ("empty", 0)):
        measures |= share(name, size == classes, confidence, lattices)
    return measures

"""Judging a trained model on line-list files."""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from xtinct.ceiling.hypotheses import Window
from xtinct.ceiling.single_patterns import pattern_ceilings
from xtinct.errors import XtinctError
from xtinct.evaluation.speed import LARGE_BATCH, speeds
from xtinct.evaluation.test_sets import numbered, read_cells, read_parts
from xtinct.files.parquet import write_parquet
from xtinct.files.schema import PREDICTIONS
from xtinct.files.writing import write_csv, write_json
from xtinct.learning.device import describe
from xtinct.learning.prediction import Prediction, Predictor
from xtinct.linelists.line_lists import LineLists
from xtinct.patterns.instrument import Instrument
from xtinct.scores.calibration import (
    COVERAGES,
    calibration_error_interval,
    expected_calibration_error,
    log_loss,
    prediction_sets,
    reliability,
    set_threshold,
)
from xtinct.scores.metrics import (
    abstention_curve,
    average,
    in_top_k,
    label_table,
    macro_averages,
    rank,
    share,
)
from xtinct.scores.outputs import class_name_of_groups
from xtinct.symmetry.families import family_of

KS = (1, 2, 3, 4, 5)
TARGETS = ("extinction_class", "spacegroup")
#: Tables beside the records of an evaluation: `<test set>.<table>.csv`.
TABLES = ("reliability", "labels", "sets", "abstention")
#: Shares of the answers that are kept in the abstention curve.
KEPT = (1.0, 0.99, 0.98, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)


def evaluate_model(
    *,
    model_dir: str | Path,
    dataset_paths: Sequence[str | Path],
    test_name: str,
    instrument: Mapping,
    output_json: str | Path,
    output_parquet: str | Path,
    split: str | None = "test",
    device: str = "auto",
    precision: str = "auto",
    threads: int = 1,
    confidence: float = 0.95,
) -> list[dict]:
    """Evaluate a model folder on the samples of `split` (None: all) and return the metrics records.

    `dataset_paths`: line lists of each family that the model tells apart. Written are `output_json`,
    one record per target (extinction class and space group), `output_parquet`, the predictions
    (schema.PREDICTIONS), and beside them the TABLES, see `evaluation_tables`.

    Fractions, not percentages; None where there is no sample. `ceiling1` to `ceiling5` are those of
    exactly these samples: the means of `xtinct.ceiling.single_patterns.pattern_ceilings` over their lattices
    within the instrument's range, with the frequencies of their groups as the prior. Within a class
    the groups are ranked by the model's training frequencies. `within_class` is the share of samples
    of which the class is right and the group wrong, which is no error of the model, `across_class`
    the share of which the class is wrong. `_low` and `_high` are intervals of the stated `confidence` with
    cells as the units (`metrics.share`): samples of one lattice tend to fail together, and `n_cells`
    says how many lattices there are. `n_unseen` counts the samples of a class that the model
    never saw in training; they are part of n. Probabilities are calibrated with the temperature of
    the model's card; `ece_raw` and `log_loss_raw` are those without.
    XtinctError if the model was trained for another instrument, and for files that it was trained on
    unless `split` leaves the training samples out.
    """
    predictor = Predictor(model_dir, device=device, precision=precision, threads=threads)
    predictor.require_instrument(Instrument.from_config(instrument))
    if split in (None, "train"):
        _refuse_training_files(predictor.card, dataset_paths)
    started = time.perf_counter()
    ids, groups, raw, lines = _judge(predictor, dataset_paths, split)
    seconds = time.perf_counter() - started
    found = predictor.interpret(raw, prior=predictor.training_prior)
    before = predictor.interpret(raw, prior=predictor.training_prior, calibrated=False)
    rows = _prediction_tables(ids, groups, found, predictor.family)
    write_parquet(output_parquet, rows, PREDICTIONS)

    keys = record_keys(predictor, test_name)
    cells = read_cells(dataset_paths, split)
    lattices = numbered(cells)
    unseen = {
        g
        for o in predictor.card["outputs"]
        if o["symbol"] in predictor.card["unseen_outputs"]
        for g in o["members"]
    }
    common = {
        **keys,
        "split": split or "all",
        "trained_target": predictor.outputs.target,
        "n": len(groups),
        "n_cells": len(np.unique(lattices)),
        "n_unseen": int(np.isin(groups, sorted(unseen)).sum()),
        "confidence": confidence,
        "temperature": predictor.temperature,
        "seconds": round(seconds, 3),
        "device": describe(predictor.device, predictor.precision),
        "training_digest": predictor.card["training_digest"],
        **speeds(model_dir, lines, precision=precision, threads=threads),
    }
    window = Window.of_instrument(predictor.instrument)
    records = []
    for target in TARGETS:
        _, probabilities, labels = of_target(target, predictor, found, groups)
        metrics = _metrics(probabilities, labels, lattices, confidence)
        if len(groups):
            _, probabilities_before, _ = of_target(target, predictor, before, groups)
            metrics |= _calibration("_raw", probabilities_before, labels, lattices, confidence)
            metrics |= class_errors(target, predictor, probabilities, labels, groups, lattices, confidence)
            ceilings = ceilings_of(groups, cells, window, target)
            metrics |= {f"ceiling{k}": float(ceilings[k].mean()) for k in KS}
        records.append({**common, "target": target, **metrics})
    write_json(output_json, records)

    true_class = np.empty(0)
    if split == "test":
        _, watched, raw, _ = _judge(predictor, dataset_paths, "validation")
        by_class = predictor.interpret(raw, prior=predictor.training_prior).class_probabilities
        true_class = by_class[np.arange(len(watched)), predictor.outputs.class_of_group[watched]]
    tables = evaluation_tables(predictor, groups, lattices, found, before, true_class, confidence)
    for name in TABLES:
        rows = [{**keys, **row} for row in tables[name]]
        write_csv(table_path(output_json, name), rows)
    return records


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


def record_keys(predictor: Predictor, test_name: str) -> dict[str, str | int]:
    """What tells one evaluation from another; the first columns of every table."""
    card = predictor.card
    return {
        "experiment": card["experiment"],
        "train_set": card["train_set"],
        "test_set": test_name,
        "family": predictor.family,
        "model": card["architecture"]["name"],
        "seed": card["seed"],
    }


def _judge(
    predictor: Predictor, paths: Sequence[str | Path], split: str | None
) -> tuple[list[str], np.ndarray, np.ndarray, LineLists | None]:
    """Ids, space groups (n,), output probabilities (n, n_outputs) of a split, and lines of some samples."""
    ids: list[str] = []
    groups, raw, lines = [np.empty(0, np.int16)], [np.empty((0, len(predictor.outputs)), np.float32)], None
    for samples, sample_ids in read_parts(paths, predictor.family, split):
        ids += sample_ids
        groups.append(samples.groups)
        raw.append(predictor.outputs_of_lines(samples.lines))
        lines = lines or samples.lines.slice(0, LARGE_BATCH)
    return ids, np.concatenate(groups), np.concatenate(raw), lines


def ceilings_of(groups: np.ndarray, cells: np.ndarray, window: Window, target: str) -> dict[int, np.ndarray]:
    """`pattern_ceilings` of samples that may be of several families, which their metric tells apart."""
    families = np.array([family_of(int(number)) for number in groups])
    joined = {k: np.empty(len(groups)) for k in KS}
    for family in np.unique(families):
        rows = np.flatnonzero(families == family)
        found = pattern_ceilings(str(family), groups[rows], cells[rows], window, target=target, ks=KS)
        for k in KS:
            joined[k][rows] = found[k]
    return joined


def of_target(
    target: str, predictor: Predictor, found: Prediction, groups: np.ndarray
) -> tuple[list, np.ndarray, np.ndarray]:
    """(names of the labels, their probabilities (n, m), true label int64 (n,) of samples of `groups`)."""
    if target == "extinction_class":
        labels = predictor.outputs.class_of_group[groups]
        return predictor.class_symbols, found.class_probabilities, labels
    return list(found.groups), found.group_probabilities, np.searchsorted(found.groups, groups)


def class_errors(
    target: str,
    predictor: Predictor,
    probabilities: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    lattices: np.ndarray,
    confidence: float,
) -> dict[str, float]:
    """`within_class` and `across_class` with their intervals: errors by whether the class is right."""
    first = rank(probabilities, 1)[:, 0]
    classes = first
    if target == "spacegroup":
        classes = predictor.outputs.class_of_group[predictor.outputs.groups[first]]
    same = classes == predictor.outputs.class_of_group[groups]
    return share("within_class", same & (first != labels), confidence, lattices) | share(
        "across_class", ~same, confidence, lattices
    )


def _metrics(
    probabilities: np.ndarray, labels: np.ndarray, lattices: np.ndarray, confidence: float
) -> dict[str, float | None]:
    """Top-k with intervals, macro averages and calibration of n samples; the keys of a record's metrics."""
    n = len(labels)
    if n == 0:
        shares = [f"top{k}" for k in KS] + ["within_class", "across_class"]
        shares += [f"macro_{name}" for name in ("precision", "recall", "f1")] + ["ece", "ece_raw"]
        keys = [name + end for name in shares for end in ("", "_low", "_high")]
        return dict.fromkeys([*keys, *(f"ceiling{k}" for k in KS), "log_loss", "log_loss_raw"])
    metrics: dict[str, float | None] = {}
    for k in KS:
        metrics |= share(f"top{k}", in_top_k(probabilities, labels, k), confidence, lattices)
    metrics |= macro_averages(rank(probabilities, 1)[:, 0], labels, confidence, lattices)
    return metrics | _calibration("", probabilities, labels, lattices, confidence)


def _calibration(
    end: str, probabilities: np.ndarray, labels: np.ndarray, lattices: np.ndarray, confidence: float
) -> dict[str, float]:
    """`ece` with its interval and `log_loss`, with `end` after these names."""
    low, high = calibration_error_interval(probabilities, labels, confidence=confidence, cells=lattices)
    return {
        f"ece{end}": expected_calibration_error(probabilities, labels),
        f"ece{end}_low": low,
        f"ece{end}_high": high,
        f"log_loss{end}": log_loss(probabilities, labels),
    }


def evaluation_tables(
    predictor: Predictor,
    groups: np.ndarray,
    lattices: np.ndarray,
    found: Prediction,
    before: Prediction,
    true_class: np.ndarray,
    confidence: float,
) -> dict[str, list[dict]]:
    """Rows of the TABLES for samples of space groups `groups` (n,), predicted with and without temperature.

    `lattices` int (n,): which samples share one. `true_class` (m,): probabilities of the true classes in
    the validation part of the test set. `_low` and `_high` are intervals with lattices as the units
    (`metrics.share`), `target` is what is named.

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
    """
    tables: dict[str, list[dict]] = {name: [] for name in TABLES}
    if not len(groups):
        return tables
    for target in TARGETS:
        names, probabilities, labels = of_target(target, predictor, found, groups)
        _, uncalibrated, _ = of_target(target, predictor, before, groups)
        for calibrated, p in ((True, probabilities), (False, uncalibrated)):
            rows = reliability(p, labels, confidence=confidence, cells=lattices)
            tables["reliability"] += [{"target": target, "calibrated": calibrated, **row} for row in rows]
        first = rank(probabilities, 1)[:, 0]
        class_of = np.arange(len(names))
        if target == "spacegroup":
            class_of = predictor.outputs.class_of_group[np.asarray(names)]
        rows = label_table(names, first, labels, confidence, class_of=class_of, cells=lattices)
        tables["labels"] += [{"target": target, **row} for row in rows]
        rows = abstention_curve(probabilities.max(axis=1), first == labels, KEPT, confidence, lattices)
        tables["abstention"] += [{"target": target, **row} for row in rows]
    labels = predictor.outputs.class_of_group[groups]
    calibrations = []
    if predictor.calibration is not None:
        thresholds = [predictor.calibration.threshold(coverage) for coverage in COVERAGES]
        calibrations.append(("training", predictor.calibration.n, thresholds))
    if len(true_class):
        thresholds = [set_threshold(true_class, coverage) for coverage in COVERAGES]
        calibrations.append(("validation", len(true_class), thresholds))
    for calibrated_on, n_calibration, thresholds in calibrations:
        for coverage, threshold in zip(COVERAGES, thresholds, strict=True):
            row = {"calibrated_on": calibrated_on, "n_calibration": n_calibration, "coverage": coverage}
            sets = prediction_sets(found.class_probabilities, threshold)
            row |= {"n": len(labels)} | set_measures(sets, labels, lattices, confidence)
            tables["sets"].append(row)
    return tables


def set_measures(
    sets: np.ndarray, labels: np.ndarray, lattices: np.ndarray, confidence: float
) -> dict[str, float]:
    """Of sets bool (n, m) and true labels (n,), with intervals: `held`, `size`, `single` and `empty`.

    As in `evaluation_tables`; `lattices` int (n,) are the units of the intervals.
    """
    held = (labels >= 0) & sets[np.arange(len(labels)), labels]
    size = sets.sum(axis=1)
    measures = share("held", held, confidence, lattices) | average("size", size, confidence, lattices)
    for name, classes in (("single", 1), ("empty", 0)):
        measures |= share(name, size == classes, confidence, lattices)
    return measures


def _prediction_tables(
    ids: list[str], numbers_of_all: np.ndarray, found: Prediction, scope: str
) -> Iterator[pa.Table]:
    name_of = class_name_of_groups(scope)
    symbols = np.array(found.class_symbols, dtype=object)
    for first in range(0, len(ids), 4096):
        part = slice(first, first + 4096)
        by_class, by_group = found.class_probabilities[part], found.group_probabilities[part]
        classes, groups = rank(by_class, 5), rank(by_group, 5)
        numbers = numbers_of_all[part]
        yield pa.table(
            [
                ids[part],
                numbers.astype(np.int16),
                [name_of[int(number)] for number in numbers],
                [list(row) for row in symbols[classes]],
                list(np.take_along_axis(by_class, classes, axis=1).astype(np.float32)),
                list(found.groups[groups].astype(np.int16)),
                list(np.take_along_axis(by_group, groups, axis=1).astype(np.float32)),
            ],
            schema=PREDICTIONS,
        )

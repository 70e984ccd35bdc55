"""Judging a trained model on a line-list file."""

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xtinct.diffraction.instrument import Instrument
from xtinct.errors import XtinctError
from xtinct.learning.card import write_text
from xtinct.learning.device import describe
from xtinct.learning.metrics import calibration, macro_averages, rank, top_k_right, wilson_interval
from xtinct.learning.prediction import Prediction, Predictor
from xtinct.learning.streams import read_lines
from xtinct.limits.hypotheses import Window
from xtinct.limits.patterns import pattern_ceilings
from xtinct.parquet import open_parquet, write_parquet
from xtinct.schema import CELL, PREDICTIONS
from xtinct.symmetry.classes import class_symbol

KS = (1, 2, 3, 4, 5)
TARGETS = ("extinction_class", "spacegroup")


def evaluate_model(
    *,
    model_dir: str | Path,
    dataset_path: str | Path,
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

    One record per target, extinction class and space group, is written to `output_json`, the
    predictions (schema.PREDICTIONS) to `output_parquet`. Fractions, not percentages; None where
    there is no sample. `ceiling1` to `ceiling5` are those of exactly these samples: the means of
    `xtinct.limits.patterns.pattern_ceilings` over their lattices within the instrument's range, with
    the frequencies of their groups as the prior. Within a class the groups are ranked by the model's
    training frequencies. `n_unseen` counts the samples of a class that the model never saw in
    training; they are part of n.
    XtinctError if the model was trained for another instrument.
    """
    predictor = Predictor(model_dir, device=device, precision=precision, threads=threads)
    predictor.require_instrument(Instrument.from_config(instrument))
    if split is None and predictor.card["train_set"] == test_name:
        raise XtinctError(f"{test_name}: the model was trained on part of it; evaluate its test split alone")
    started = time.perf_counter()
    ids, groups, parts = [], [], []
    for samples, sample_ids in read_lines(dataset_path, family=predictor.family, split=split):
        parts.append(predictor.from_lines(samples.lines, prior=predictor.training_prior))
        groups.append(samples.groups)
        ids += sample_ids
    seconds = time.perf_counter() - started
    numbers = np.concatenate(groups) if groups else np.empty(0, np.int16)
    symbols = np.array([class_symbol(int(number)) for number in numbers], dtype=object)
    write_parquet(output_parquet, _prediction_tables(ids, groups, parts), PREDICTIONS)

    card = predictor.card
    unseen_groups = {
        g for o in card["outputs"] if o["symbol"] in card["unseen_outputs"] for g in o["members"]
    }
    common = {
        "experiment": card["experiment"],
        "train_set": card["train_set"],
        "test_set": test_name,
        "split": split or "all",
        "trained_target": card["target"],
        "family": card["family"],
        "model": card["architecture"]["name"],
        "seed": card["seed"],
        "n": len(numbers),
        "n_unseen": int(np.isin(numbers, sorted(unseen_groups)).sum()),
        "confidence": confidence,
        "seconds": round(seconds, 3),
        "device": describe(predictor.device, predictor.precision),
        "training_digest": card["training_digest"],
    }
    cells = _cells(dataset_path, split)
    window = Window.of_instrument(predictor.instrument)
    records = []
    for target in TARGETS:
        if target == "extinction_class":
            names = predictor.class_symbols
            column = {symbol: i for i, symbol in enumerate(names)}
            labels = np.array([column.get(symbol, -1) for symbol in symbols], dtype=np.int64)
            probabilities = [part.class_probabilities for part in parts]
        else:
            names = list(predictor.outputs.groups)
            labels = np.searchsorted(predictor.outputs.groups, numbers)
            probabilities = [part.group_probabilities for part in parts]
        joined = np.concatenate(probabilities) if parts else np.empty((0, len(names)))
        metrics = _metrics(joined, labels, confidence)
        if len(numbers):
            ceilings = pattern_ceilings(predictor.family, numbers, cells, window, target=target, ks=KS)
            metrics |= {f"ceiling{k}": float(ceilings[k].mean()) for k in KS}
        records.append({**common, "target": target, **metrics})
    write_text(Path(output_json), json.dumps(records, indent=2, sort_keys=True) + "\n")
    return records


def _cells(path: str | Path, split: str | None) -> np.ndarray:
    """Cells float64 (n, 6) of the samples that `read_lines` gives, in its order."""
    with open_parquet(path) as file:
        table = file.read(columns=[*CELL, "split"])
    if split is not None:
        table = table.filter(pc.equal(table["split"], split))
    return np.stack([table[name].to_numpy() for name in CELL], axis=1)


def _metrics(probabilities: np.ndarray, labels: np.ndarray, confidence: float) -> dict[str, float | None]:
    """Top-k with intervals, macro averages and calibration of n samples; the keys of a record's metrics."""
    n = len(labels)
    keys = [f"{name}{k}{end}" for k in KS for name, end in (("top", ""), ("top", "_low"), ("top", "_high"))]
    if n == 0:
        keys += [f"ceiling{k}" for k in KS] + [
            "macro_precision",
            "macro_recall",
            "macro_f1",
            "ece",
            "log_loss",
        ]
        return dict.fromkeys(keys)
    metrics: dict[str, float | None] = {}
    for k in KS:
        right = top_k_right(probabilities, labels, k)
        low, high = wilson_interval(right, n, confidence)
        metrics |= {f"top{k}": right / n, f"top{k}_low": low, f"top{k}_high": high}
    metrics |= macro_averages(rank(probabilities, 1)[:, 0], labels)
    return metrics | calibration(probabilities, labels)


def _prediction_tables(
    ids: list[str], groups: list[np.ndarray], parts: list[Prediction]
) -> Iterator[pa.Table]:
    first = 0
    for numbers, part in zip(groups, parts, strict=True):
        n = len(numbers)
        classes, ranked_groups = rank(part.class_probabilities, 5), rank(part.group_probabilities, 5)
        symbols = np.array(part.class_symbols, dtype=object)
        yield pa.table(
            [
                ids[first : first + n],
                numbers.astype(np.int16),
                [class_symbol(int(number)) for number in numbers],
                [list(row) for row in symbols[classes]],
                list(np.take_along_axis(part.class_probabilities, classes, axis=1).astype(np.float32)),
                list(part.groups[ranked_groups].astype(np.int16)),
                list(np.take_along_axis(part.group_probabilities, ranked_groups, axis=1).astype(np.float32)),
            ],
            schema=PREDICTIONS,
        )
        first += n

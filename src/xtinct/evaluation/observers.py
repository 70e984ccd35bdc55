"""Judging the observer, alone and together with a trained model, on a line-list file."""

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xtinct.ceiling.hypotheses import Window
from xtinct.ceiling.single_patterns import pattern_ceilings
from xtinct.files.parquet import open_parquet, write_parquet
from xtinct.files.schema import CELL, PREDICTIONS
from xtinct.files.writing import write_json
from xtinct.lattices.cells import LONGEST, SHORTEST
from xtinct.learning.device import describe
from xtinct.learning.prediction import Predictor
from xtinct.linelists.line_tables import line_lists
from xtinct.observer.exact.exact_observer import Observer, hybrid
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.rendering import render
from xtinct.scores.calibration import expected_calibration_error, log_loss
from xtinct.scores.metrics import macro_averages, proportion, rank, top_k_right
from xtinct.symmetry.classes import class_symbol, extinction_classes
from xtinct.symmetry.families import MONOCLINIC

KS = (1, 2, 3, 4, 5)


def evaluate_observer(
    *,
    dataset_path: str | Path,
    family: str,
    test_name: str,
    law: str,
    samples: int,
    instrument: Mapping,
    output_json: str | Path,
    output_parquet: str | Path,
    model_dir: str | Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    lengths: tuple[float, float] | None = None,
    confidence: float = 0.95,
) -> list[dict]:
    """Evaluate the observer on test samples of one family; return the metrics records.

    dataset_path  line lists (schema.LINES); `samples` of the test split are taken, spread evenly
    law           intensity law: uniform | physical
    model_dir     a trained model of the family: the records are those of the product of both
                  (`xtinct.observer.exact.exact_observer.hybrid`), else of the observer alone
    device        of the model: auto | cpu | cuda; precision: auto | bfloat16 | float32
    lengths       range of axes that the test lattices were drawn from, angstrom; None: not known

    Writes records to `output_json`, one per target, with the keys of a trained model's, and the
    predictions (schema.PREDICTIONS) to `output_parquet`. Groups are alike for the observer.
    `found` is the share of patterns whose lattice was found, `found_low` and `found_high` its Wilson
    interval; `seconds` are of all patterns together. `ceiling1` to `ceiling5` are those of exactly these
    samples, with the frequencies of their groups as the prior.
    """
    with open_parquet(dataset_path) as file:
        table = file.read(columns=["sample_id", "spacegroup_number", "split", *CELL, "d_star", "intensity"])
    table = table.filter(pc.equal(table["split"], "test"))
    n = min(samples, len(table))
    table = table.take((np.arange(n) * len(table) + len(table) // 2) // max(1, n))
    numbers = table["spacegroup_number"].to_numpy().astype(np.int64)
    cells = np.stack([table[name].to_numpy() for name in CELL], axis=1)
    machine = Instrument.from_config(instrument)
    patterns = render(line_lists(table), machine) if n else np.empty((0, machine.points), np.float32)

    # Reduced monoclinic axes may leave the range that the cells were drawn from.
    known = lengths is not None and family != MONOCLINIC
    observer = Observer(machine, family, law, lengths=lengths if known else (SHORTEST, LONGEST))
    predictor = None if model_dir is None else Predictor(model_dir, device=device, precision=precision)
    started = time.perf_counter()
    by_group, found = observer.group_probabilities(patterns)
    name = "observer" if predictor is None else "hybrid"
    if predictor is not None:
        predictor.require_instrument(machine)
        prior = predictor.training_prior or dict.fromkeys(observer.groups.tolist(), 1.0)
        shares = np.array([prior.get(int(group), 0.0) for group in observer.groups])
        if n:
            network = predictor.from_patterns(patterns, prior=predictor.training_prior).group_probabilities
            by_group = hybrid(by_group, found, network, shares)
    seconds = time.perf_counter() - started

    classes = extinction_classes(family)
    of_class = np.array([[g in c.members for c in classes] for g in observer.groups], dtype=float)
    by_class = np.einsum("ng,gc->nc", by_group, of_class)
    symbols = [c.symbol for c in classes]
    write_parquet(
        output_parquet,
        [_predictions(table, numbers, symbols, by_class, observer.groups, by_group)],
        PREDICTIONS,
    )
    common = {
        "experiment": name,
        "train_set": name,
        "test_set": test_name,
        "split": "test",
        "family": family,
        "model": name,
        "seed": 0,
        "n": n,
        "n_unseen": 0,
        **(proportion("found", int(found.sum()), n, confidence) if n else {"found": None}),
        "confidence": confidence,
        "seconds": round(seconds, 3),
        "device": "cpu" if predictor is None else describe(predictor.device, predictor.precision),
    }
    labels_of = {
        "extinction_class": np.array([symbols.index(class_symbol(int(g))) for g in numbers], dtype=np.int64),
        "spacegroup": np.searchsorted(observer.groups, numbers),
    }
    window = Window.of_instrument(machine)
    records = []
    for target, probabilities in (("extinction_class", by_class), ("spacegroup", by_group)):
        metrics: dict[str, float | None] = dict.fromkeys(
            f"{key}{k}" for key in ("top", "ceiling") for k in KS
        )
        labels = labels_of[target]
        if n:
            for k in KS:
                metrics |= proportion(f"top{k}", top_k_right(probabilities, labels, k), n, confidence)
            metrics |= macro_averages(rank(probabilities, 1)[:, 0], labels, confidence)
            metrics["ece"] = expected_calibration_error(probabilities, labels)
            metrics["log_loss"] = log_loss(probabilities, labels)
            ceilings = pattern_ceilings(family, numbers, cells, window, target=target, ks=KS)
            metrics |= {f"ceiling{k}": float(ceilings[k].mean()) for k in KS}
        records.append({**common, "target": target, **metrics})
    write_json(output_json, records)
    return records


def _predictions(
    table: pa.Table,
    numbers: np.ndarray,
    symbols: list[str],
    by_class: np.ndarray,
    groups: np.ndarray,
    by_group: np.ndarray,
) -> pa.Table:
    classes, ranked = rank(by_class, 5), rank(by_group, 5)
    names = np.array(symbols, dtype=object)
    columns = [
        table["sample_id"].combine_chunks(),
        numbers.astype(np.int16),
        [class_symbol(int(number)) for number in numbers],
        [list(row) for row in names[classes]],
        list(np.take_along_axis(by_class, classes, axis=1).astype(np.float32)),
        list(groups[ranked].astype(np.int16)),
        list(np.take_along_axis(by_group, ranked, axis=1).astype(np.float32)),
    ]
    return pa.table(columns, schema=PREDICTIONS)

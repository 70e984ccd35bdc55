"""What the figures of one model need beyond its scores: a map of its last features, what decides in trees,
and its errors by descriptors of the crystals and by the size of the crystallites.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import torch
from torch import nn

from xtinct.errors import XtinctError
from xtinct.evaluation.methods import ModelFolder
from xtinct.evaluation.networks import identity_of
from xtinct.evaluation.test_sets import TestSet
from xtinct.extras import naming_extra
from xtinct.files.parquet import open_parquet
from xtinct.files.writing import write_csv
from xtinct.generators.evidence import QUANTITIES, crystal_quantities
from xtinct.learning.device import reproducible
from xtinct.learning.models.extratrees import ExtraTrees
from xtinct.learning.predictor import Predictor
from xtinct.linelists.line_lists import LabelledLines
from xtinct.patterns.conditions import Conditions
from xtinct.patterns.variation import Variation
from xtinct.randomness import stream_key
from xtinct.scores.metrics import share
from xtinct.symmetry.families import crystal_system

#: Tables of the figures beside the records of an evaluation: `<test set>.<table>.csv`.
TABLES = ("features", "descriptors")
#: Samples of the map of features, from all over the test set.
MAPPED = 500
#: What is left of a feature space before t-SNE, as scikit-learn advises.
_COMPONENTS = 50
#: Descriptors of crystals that errors are counted by: those of Schopmans et al. 2023.
DESCRIPTORS = ("volume", "sites", "packing_factor")
#: Bins of a descriptor, each with equally many crystals as far as its values allow.
_BINS = 12
#: Layers whose input can be the last features.
_READING = (nn.Linear, nn.Conv1d)


@contextmanager
def _last_input(model: nn.Module) -> Iterator[list[torch.Tensor]]:
    """A list that holds what the last layer with weights of a forward pass was given."""
    seen: list[torch.Tensor] = []

    def note(_: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        seen[:] = [given[0].detach()]

    hooks = [m.register_forward_pre_hook(note) for m in model.modules() if isinstance(m, _READING)]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def last_features(model: nn.Module, patterns: torch.Tensor) -> np.ndarray:
    """What the last layer with weights reads of patterns (n, points), float32 (n, features).

    Of a model without such a layer, as trees are, its answers themselves. The model has to be in
    evaluation mode.
    """
    with torch.no_grad(), _last_input(model) as seen:
        answers = model(patterns).float()
    features = seen[0] if seen else answers
    return features.reshape(len(patterns), -1).float().cpu().numpy()


def feature_map(features: np.ndarray) -> np.ndarray:
    """t-SNE (van der Maaten and Hinton 2008) of features (n, m) by scikit-learn, float64 (n, 2).

    From 50 principal components where there are more, with a perplexity of 30 or a third of the samples.
    Equal features give equal maps. XtinctError for fewer than 10 samples.
    """
    if len(features) < 10:
        raise XtinctError(f"a map of features needs 10 samples, there are {len(features)}")
    with naming_extra():
        from sklearn.decomposition import PCA
        from sklearn.manifold import TSNE
    values = features.astype(np.float64)
    if values.shape[1] > _COMPONENTS:
        values = PCA(min(_COMPONENTS, len(values)), random_state=0).fit_transform(values)
    if not np.ptp(values, axis=0).any():
        # A model that answers everything alike: every sample is one point.
        return np.zeros((len(values), 2))
    perplexity = min(30.0, len(values) / 3)
    return TSNE(2, perplexity=perplexity, init="pca", random_state=0, n_jobs=1).fit_transform(values)


def feature_rows(predictor: Predictor, test: TestSet) -> list[dict[str, Any]]:
    """Up to MAPPED samples of the test set: x, y of the map, crystal_system, label, predicted, right.

    No row where the test set has fewer than 10 samples.
    """
    samples, lines = test.spread(predictor.family, MAPPED)
    if len(samples) < 10:
        return []
    model, parts = predictor.model, []
    with reproducible(predictor.threads):
        for first in range(0, len(lines), 128):
            patterns = predictor.render(lines.slice(first, min(first + 128, len(lines))))
            parts.append(last_features(model, patterns))
    places = feature_map(np.concatenate(parts))
    outputs = predictor.outputs
    found = predictor.outputs_of_lines(lines).argmax(axis=1)
    labels = outputs.output_of_group[samples.groups]
    return [
        {
            "x": f"{x:.3f}",
            "y": f"{y:.3f}",
            "crystal_system": crystal_system(int(group)),
            "label": outputs.symbols[label],
            "predicted": outputs.symbols[answer],
            "right": bool(label == answer),
        }
        for (x, y), group, label, answer in zip(places, samples.groups, labels, found, strict=True)
    ]


def importance_rows(predictor: Predictor, width: float = 0.2) -> list[dict[str, str]]:
    """How much each range of `width` degrees 2theta decides in trees: two_theta_low, _high, importance.

    XtinctError for another model.
    """
    if not isinstance(predictor.model, ExtraTrees):
        raise XtinctError("importances are those of trees, and the model has none")
    instrument = predictor.instrument
    angles = np.linspace(instrument.two_theta_min, instrument.two_theta_max, instrument.points)
    count = max(1, round((angles[-1] - angles[0]) / width))
    values = predictor.model.importances.cpu().numpy().astype(np.float64)
    sums, edges = np.histogram(angles, count, weights=values)
    return [
        {"two_theta_low": f"{low:.4f}", "two_theta_high": f"{high:.4f}", "importance": f"{value:.6g}"}
        for low, high, value in zip(edges[:-1], edges[1:], sums, strict=True)
    ]


def descriptor_rows(
    right: np.ndarray,
    crystals: Sequence[Mapping[str, float]],
    confidence: float,
    lattices: np.ndarray | None = None,
) -> list[dict[str, Any]]:
    """Right and wrong answers by DESCRIPTORS of the crystals, one row for each descriptor and bin.

    right      which of the n answers are right, bool (n,)
    crystals   DESCRIPTORS of the n crystals
    lattices   which samples share a lattice, int (n,), as in `metrics.share`; None: none do

    Keys: quantity, unit, low, high (ends of the bin), n, right, and `error`, the share that is wrong, with
    its interval. Bins hold equally many crystals where their values differ.
    """
    rows: list[dict[str, Any]] = []
    for name in DESCRIPTORS if len(right) else ():
        values = np.array([crystal[name] for crystal in crystals])
        head = {"quantity": name, "unit": QUANTITIES[name]}
        rows += [head | row for row in _binned(values, right, confidence, lattices)]
    return rows


def size_rows(predictor: Predictor, test: TestSet) -> list[dict[str, Any]]:
    """Rows as of `descriptor_rows` by the size of the crystallites, for a model that was trained on several.

    Test samples have the one instrument of the configuration. So each is measured once more, with a size
    from the range of the training's `variation` and everything else as configured; a right answer is one
    to that pattern. No row where no size varied in training.
    """
    law = predictor.card.get("training", {}).get("data", {}).get("variation") or {}
    if "crystallite_size" not in law:
        return []
    sizes = Variation.from_config({"crystallite_size": law["crystallite_size"]})
    key = stream_key(0, "crystallite-size", test.name, predictor.family)
    values, right, cells, first = [np.empty(0)], [np.empty(0, bool)], [np.empty((0, 6))], 0
    for samples, _ in test.parts(predictor.family):
        conditions = sizes.draw(key, first, len(samples.groups))
        first += len(samples.groups)
        values.append(conditions.crystallite_size)
        right.append(_right(predictor, samples, conditions))
        cells.append(samples.cells)
    if not first:
        return []
    head = {"quantity": "crystallite_size", "unit": "angstrom"}
    lattices = np.unique(np.concatenate(cells), axis=0, return_inverse=True)[1].reshape(-1)
    binned = _binned(np.concatenate(values), np.concatenate(right), test.confidence, lattices)
    return [head | row for row in binned]


def _binned(
    values: np.ndarray, right: np.ndarray, confidence: float, lattices: np.ndarray | None = None
) -> list[dict[str, Any]]:
    """Bins of equally many of the n > 0 values, float (n,), as far as they allow, each with its answers."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, _BINS + 1)))
    bin_of = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, max(len(edges) - 2, 0))
    rows = []
    for b in range(max(len(edges) - 1, 1)):
        inside = right[bin_of == b]
        of_bin = None if lattices is None else lattices[bin_of == b]
        rows.append(
            {
                "low": f"{edges[b]:.6g}",
                "high": f"{edges[min(b + 1, len(edges) - 1)]:.6g}",
                "n": len(inside),
                "right": int(inside.sum()),
                **share("error", ~inside, confidence, of_bin),
            }
        )
    return rows


def write_portrait(
    model: ModelFolder, test: TestSet, features_out: str | Path, structures: str | Path | None = None
) -> None:
    """Write the tables of TABLES for a model on a test set, beside each other.

    features_out   `<test set>.features.csv`
    structures     table of STRUCTURES that the samples are of; None where they are of no crystal: then
                   there is no row of its descriptors
    """
    predictor = model.predictor()
    predictor.require_instrument(test.optics)
    identity = asdict(identity_of(predictor, test)) | {"target": predictor.outputs.target}
    features = Path(features_out)
    write_csv(features, [identity | row for row in feature_rows(predictor, test)])
    rows = size_rows(predictor, test)
    if structures is not None:
        ids, right, lattices = _answers(predictor, test)
        origins = _origins(test)
        described = crystal_quantities(structures, set(origins.values()))
        missing = next((origin for origin in origins.values() if origin not in described), None)
        if missing is not None:
            raise XtinctError(f"{structures}: no structure {missing!r}, which a sample is of")
        crystals = [described[origins[sample]] for sample in ids]
        rows += descriptor_rows(right, crystals, test.confidence, lattices)
    name = f"{features.name.removesuffix('.features.csv')}.descriptors.csv"
    write_csv(features.with_name(name), [identity | row for row in rows])


def write_importances(model: ModelFolder, out: str | Path) -> None:
    """Write `importance_rows` of a model with trees."""
    predictor = model.predictor()
    card = predictor.card
    identity = {"experiment": card["experiment"], "family": predictor.family, "seed": card["seed"]}
    write_csv(out, [identity | row for row in importance_rows(predictor)])


def _answers(predictor: Predictor, test: TestSet) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Ids, which first answers of the model's own outputs are right, bool (n,), and lattices, int (n,)."""
    ids: list[str] = []
    right = [np.empty(0, bool)]
    for samples, sample_ids in test.parts(predictor.family):
        ids += sample_ids
        right.append(_right(predictor, samples))
    return ids, np.concatenate(right), np.unique(test.cells(), axis=0, return_inverse=True)[1].reshape(-1)


def _right(predictor: Predictor, samples: LabelledLines, conditions: Conditions | None = None) -> np.ndarray:
    """Which first answers of the model's own outputs are right, bool (n,)."""
    found = predictor.outputs_of_lines(samples.lines, conditions=conditions).argmax(axis=1)
    return found == predictor.outputs.output_of_group[samples.groups]


def _origins(test: TestSet) -> dict[str, str]:
    """Sample id -> id of the structure that a sample of the test set is of."""
    found: dict[str, str] = {}
    for path in test.paths:
        with open_parquet(path) as file:
            table = file.read(columns=["sample_id", "origin", "split"])
        if test.split is not None:
            table = table.filter(pc.equal(table["split"], test.split))
        found |= dict(zip(table["sample_id"].to_pylist(), table["origin"].to_pylist(), strict=True))
    return found

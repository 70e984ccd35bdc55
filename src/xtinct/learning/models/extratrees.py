"""Extremely randomised trees (Geurts et al. 2006), grown by scikit-learn and answered by torch.

The grown trees are tensors, so that a model's folder holds nothing that can be executed, and whatever asks
a network can ask them.
"""

import numpy as np
import torch
from torch import nn

from xtinct.errors import XtinctError
from xtinct.extras import naming_extra
from xtinct.patterns.instrument import Instrument

#: Name -> type of the values of the trees, one after the other.
_TENSORS = {
    "feature": torch.int32,
    "threshold": torch.float64,
    "left": torch.int32,
    "right": torch.int32,
    "roots": torch.int64,
    "first_entry": torch.int64,
    "entry_output": torch.int64,
    "entry_share": torch.float32,
    "importances": torch.float32,
}
#: Share of an answer that is spread evenly, so that logarithms are finite.
_EVEN = 1e-4


class ExtraTrees(nn.Module):
    """`trees` trees, each grown on all patterns until its leaves hold `min_leaf` patterns or one output.

    A model that is fitted at once: training calls `fit` in place of steps along a gradient. The answer is the
    mean over the trees of the shares of the outputs in the leaf that a pattern falls into.

    importances   float32 (points,), how much each point of the pattern decides (mean decrease of the Gini
                  impurity), sum 1: a curve over the instrument's 2theta
    """

    def __init__(self, instrument: Instrument, n_outputs: int, trees: int = 100, min_leaf: int = 1) -> None:
        super().__init__()
        if trees < 1 or min_leaf < 1:
            raise XtinctError(f"model 'extratrees': trees {trees} and min_leaf {min_leaf} must be at least 1")
        self.points, self.n_outputs = instrument.points, n_outputs
        self.trees, self.min_leaf = trees, min_leaf
        for name, kind in _TENSORS.items():
            self.register_buffer(name, torch.zeros(0, dtype=kind))

    @property
    def fitted_values(self) -> int:
        """Number of values that the training has set: features, thresholds and shares of leaves."""
        inner = int((self.left >= 0).sum())
        return 2 * inner + len(self.entry_share)

    def fit(self, patterns: np.ndarray, labels: np.ndarray, seed: int) -> None:
        """Grow the trees on patterns float32 (n, points) with outputs int (n,)."""
        with naming_extra():
            from sklearn.ensemble import ExtraTreesClassifier
        grown = ExtraTreesClassifier(
            self.trees, min_samples_leaf=self.min_leaf, random_state=seed % 2**32, n_jobs=1
        )
        grown.fit(patterns, labels)
        parts: dict[str, list[np.ndarray]] = {name: [] for name in _TENSORS}
        nodes = entries = 0
        for estimator in grown.estimators_:
            tree = estimator.tree_
            shares = tree.value[:, 0] / tree.value[:, 0].sum(axis=1, keepdims=True)
            shares[tree.children_left >= 0] = 0
            node, column = np.nonzero(shares)
            counts = np.bincount(node, minlength=tree.node_count)
            parts["roots"].append([nodes])
            parts["feature"].append(tree.feature)
            parts["threshold"].append(tree.threshold)
            for name, children in (("left", tree.children_left), ("right", tree.children_right)):
                parts[name].append(np.where(children >= 0, children + nodes, -1))
            parts["first_entry"].append(entries + np.cumsum(counts) - counts)
            parts["entry_output"].append(grown.classes_[column])
            parts["entry_share"].append(shares[node, column])
            nodes, entries = nodes + tree.node_count, entries + len(node)
        parts["first_entry"].append([entries])
        parts["importances"].append(grown.feature_importances_)
        for name, kind in _TENSORS.items():
            setattr(
                self, name, torch.from_numpy(np.concatenate(parts[name])).to(getattr(self, name).device, kind)
            )

    def forward(self, pattern: torch.Tensor) -> torch.Tensor:
        """Patterns float32 (n, points) to logarithms of probabilities (n, n_outputs); equal before `fit`."""
        shares = torch.zeros(len(pattern), self.n_outputs, device=pattern.device)
        if len(self.roots):
            leaves = self._leaves(pattern)
            first = self.first_entry[leaves].flatten()
            count = self.first_entry[leaves + 1].flatten() - first
            row = torch.arange(len(pattern), device=pattern.device).repeat_interleave(len(self.roots))
            ends = count.cumsum(0)
            entry = torch.arange(int(ends[-1]), device=pattern.device)
            entry += (first - (ends - count)).repeat_interleave(count)
            place = row.repeat_interleave(count), self.entry_output[entry]
            shares.index_put_(place, self.entry_share[entry] / len(self.roots), accumulate=True)
        return torch.log((1 - _EVEN) * shares + _EVEN / self.n_outputs)

    def _leaves(self, pattern: torch.Tensor) -> torch.Tensor:
        """Leaf of every pattern in every tree, int64 (n, trees)."""
        node = self.roots.expand(len(pattern), -1)
        while True:
            left = self.left[node].long()
            inner = left >= 0
            if not inner.any():
                return node
            value = pattern.gather(1, self.feature[node].long().clamp_min(0)).double()
            child = torch.where(value <= self.threshold[node], left, self.right[node].long())
            node = torch.where(inner, child, node)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *arguments) -> None:
        # How large the trees are is known only once they have grown.
        for name in _TENSORS:
            if prefix + name in state_dict:
                setattr(self, name, torch.empty_like(state_dict[prefix + name]))
        super()._load_from_state_dict(state_dict, prefix, *arguments)

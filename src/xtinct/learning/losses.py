"""What a training minimises, and remedies against groups that are rare in it."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import nn

from xtinct.scores.outputs import Outputs

#: Logits (n, n_outputs) and labels (n,) to the sum of the losses of n patterns.
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

#: Names of the losses.
LOSSES = ("cross-entropy", "focal", "logit-adjusted")


def output_log_prior(outputs: Outputs, group_counts: Mapping[int, float] | None) -> torch.Tensor:
    """Logarithms of the outputs' shares of the training samples, float32 (n_outputs,).

    group_counts   samples of each space group; None: all groups are equally frequent

    An output without any sample counts as one, so that its logarithm is finite.
    """
    counts = np.zeros(len(outputs))
    for group in outputs.groups:
        weight = 1.0 if group_counts is None else float(group_counts.get(int(group), 0.0))
        counts[outputs.output_of_group[group]] += weight
    counts = np.maximum(counts, 1.0)
    return torch.from_numpy(np.log(counts / counts.sum()).astype(np.float32))


def make_loss(name: str, focusing: float, log_prior: torch.Tensor) -> Loss:
    """One of LOSSES, summed over patterns.

    cross-entropy   -log p, with p the probability of the true output
    focal           -(1 - p)^focusing log p (Lin et al. 2017): what is known counts less
    logit-adjusted  cross-entropy of the logits plus `log_prior` (Menon et al. 2021, equation 10): the logits
                    are those of a test set on which every output is equally frequent
    """
    if name == "focal":

        def focal(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            right = logits.log_softmax(dim=1).gather(1, labels[:, None])[:, 0]
            # A probability that rounds to 1 would give a power of zero, whose gradient is not finite
            # for a focusing below 1.
            missing = -torch.expm1(right.clamp_max(-1e-7))
            return -(missing**focusing * right).sum()

        return focal
    shift = log_prior if name == "logit-adjusted" else None

    def cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        scores = logits if shift is None else logits + shift.to(logits.device)
        return nn.functional.cross_entropy(scores, labels, reduction="sum")

    return cross_entropy

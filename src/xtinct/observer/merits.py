"""Figures of merit of an indexed list of lines."""

import numpy as np

from xtinct.indexing.cells import figure_of_merit as m20
from xtinct.observer.profile import true_angle
from xtinct.observer.sets import lines_of

__all__ = ["f20", "m20"]


def f20(family: str, metric: np.ndarray, q: np.ndarray, wavelength: float) -> float:
    """F20 of Smith and Snyder (1979, J. Appl. Cryst. 12, 60) over the first 20 lines, or all if fewer.

    N / (<|d 2theta|> N_possible): `q`, 1/d^2 of observed lines (n,), ascending; 0 without lines.
    """
    q = q[:20]
    own = lines_of(family, metric, 1e-9, float(q[-1]) * (1 + 1e-3)) if len(q) else None
    if own is None or not len(own):
        return 0.0
    possible, observed = true_angle(own.forms @ metric, wavelength), true_angle(q, wavelength)
    off = np.abs(observed[:, None] - possible).min(axis=1).mean()
    return float(len(q) / (max(off, 1e-9) * len(possible)))

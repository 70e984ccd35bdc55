"""Figures of merit of an indexed list of lines."""

from typing import NamedTuple

import numpy as np

from xtinct.observer.indexing.candidates import Candidate
from xtinct.observer.indexing.likelihood import CODES, KINDS, all_at, angle_of, distinct, lines_of
from xtinct.observer.peaks.peak_search import Peaks
from xtinct.symmetry.families import FAMILIES

#: Lines that the figures are taken over.
_LINES = 20


class Merit(NamedTuple):
    """Figures of merit over the first lines that a lattice explains, at most 20."""

    m20: float  # de Wolff 1968, J. Appl. Cryst. 1, 108
    f20: float  # Smith and Snyder 1979, J. Appl. Cryst. 12, 60
    lines: int  # lines they are taken over
    possible: int  # different lines that the lattice could show up to the last of them
    mean_error: float  # degree


def merit(candidate: Candidate, peaks: Peaks) -> Merit:
    """The figures of merit of a candidate on the peaks that it explains, shift taken off.

    M20 = Q20 / (2 <|dQ|> N20) and F20 = 20 / (<|d2theta|> N20), over fewer lines if there are fewer; N is
    the number of lines that lattice and centring let show. 0 if no line is explained.
    """
    rows = candidate.rows[candidate.explained][:_LINES]
    if not len(rows):
        return Merit(0.0, 0.0, 0, 0, np.inf)
    two_theta = np.ascontiguousarray(peaks.two_theta[rows], dtype=np.float64)
    q, _ = all_at(two_theta, candidate.shift, peaks.wavelength)
    hkl, possible, many = lines_of(
        candidate.metric @ FAMILIES[candidate.family].general,
        float(q[-1]) * 1.01 + 1e-4,
        KINDS[candidate.family],
    )
    kept, _ = distinct(hkl, possible, many, CODES[candidate.centring])
    possible = possible[kept]
    off = np.abs(q[:, None] - possible)
    nearest = off.argmin(axis=1)
    # The last line counts among the possible ones, though it may lie a little below its calculated place.
    count = max(int((possible <= q[-1]).sum()), int(nearest[-1]) + 1)
    angles = np.array([angle_of(x, peaks.wavelength) for x in possible[nearest]])
    error = float(np.abs(two_theta - candidate.shift - angles).mean())
    mean = max(float(off.min(axis=1).mean()), 1e-12)
    return Merit(
        float(q[-1]) / (2.0 * mean * count), len(rows) / (max(error, 1e-9) * count), len(rows), count, error
    )

"""Two phases: a lattice that explains part of the lines exactly, and another that explains the rest.

A single lattice of low symmetry explains the lines of any two phases, badly. Where no single lattice is
convincing, every line is allowed to be foreign: what a lattice of high symmetry then explains, and what
another explains of the rest, is held against the best single one.
"""

from dataclasses import dataclass, replace

import numpy as np

from xtinct.observer.candidates import Candidate, Limits, candidates
from xtinct.observer.judging import shown_lines
from xtinct.observer.peaks import Peaks
from xtinct.observer.profile import q_of, true_angle
from xtinct.observer.sets import lines_of

#: Probability for every line to be of the other phase; a single lattice above this score is convincing.
_OTHER, _CONVINCING = 0.4, 14.0
#: Fewest lines of a pattern, of the first phase, and of the second.
_LINES, _FIRST, _SECOND = 10, 6, 4
#: Prior against a second phase (natural logarithm), and what a pair must be better than a single lattice by.
_PENALTY, _CLEARLY = 4.0, 6.0
#: Lattices that are tried as the first phase.
_TRIED = 4


@dataclass(frozen=True)
class Pair:
    """Two lattices, the first with more of the intensity, and the score of both together."""

    first: Candidate
    second: Candidate
    score: float


def pair_of(peaks: Peaks, families: tuple[str, ...], single: float) -> Pair | None:
    """The two lattices that explain the peaks clearly better than one of score `single`, or None."""
    if single > _CONVINCING or len(peaks) < _LINES:
        return None
    best = None
    for first in candidates(peaks, families, limits=Limits(doubt=_OTHER))[:_TRIED]:
        near = explained(first, peaks)
        if near.sum() < _FIRST or (~near).sum() < _SECOND:
            continue
        own = [c for c in candidates(_part(peaks, near), (first.family,)) if _alike(c, first)]
        rest = candidates(_part(peaks, ~near), families)
        if not own or not rest:
            continue
        score = own[0].score + rest[0].score - _PENALTY
        if score > single + _CLEARLY and (best is None or score > best.score):
            best = Pair(replace(first, score=score), replace(rest[0], score=score), score)
    if best is None:
        return None
    shares = [float(peaks.area[explained(c, peaks)].sum()) for c in (best.first, best.second)]
    return best if shares[0] >= shares[1] else Pair(best.second, best.first, best.score)


def explained(lattice: Candidate, peaks: Peaks) -> np.ndarray:
    """bool (n,): peaks at the lattice's lines."""
    q_max = float(q_of(min(float(peaks.two_theta[-1]) + 1.0, 170.0), peaks.wavelength))
    own = lines_of(lattice.family, lattice.metric, 1e-9, q_max)
    q = (own.forms @ lattice.metric)[shown_lines(own, lattice.centring)]
    lines = true_angle(q, peaks.wavelength) + lattice.shift
    if not len(lines):
        return np.zeros(len(peaks), dtype=bool)
    far = np.abs(peaks.two_theta[:, None] - lines).min(axis=1)
    return far < np.maximum(3 * np.hypot(peaks.error, 0.01), 0.25 * peaks.fwhm)


def _alike(one: Candidate, other: Candidate) -> bool:
    return bool(abs(one.volume / other.volume - 1) < 0.01)


def _part(peaks: Peaks, kept: np.ndarray) -> Peaks:
    names = ("two_theta", "error", "area", "area_error", "fwhm", "gap")
    return replace(peaks, **{name: getattr(peaks, name)[kept] for name in names})

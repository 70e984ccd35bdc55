"""Two phases: what a lattice leaves of the lines may be explained by another."""

from dataclasses import replace

import numpy as np

from xtinct.observer.fitting.line_sets import lines_of, shown_lines
from xtinct.observer.indexing.candidates import Candidate, candidates
from xtinct.observer.peaks.peak_search import Peaks
from xtinct.observer.peaks.peak_shapes import q_of, true_angle
from xtinct.symmetry.families import FAMILIES

#: Fewest lines that a second phase is seen by, their share of the intensity, and the score of its lattice:
#: random lists reach 3 at most.
_LINES, _SHARE, _SCORE = 4, 0.03, 8.0
_SIMPLE = tuple(name for name, family in FAMILIES.items() if not family.free_angles)


def second_phase(left: np.ndarray, peaks: Peaks, families: tuple[str, ...]) -> Candidate | None:
    """The lattice that explains the peaks which another leaves (bool (n,)), None where none clearly does."""
    if left.sum() < _LINES or peaks.area[left].sum() < _SHARE * peaks.area.sum():
        return None
    # What a first phase leaves is too little for lattices of many free numbers.
    found = candidates(_part(peaks, left), tuple(f for f in families if f in _SIMPLE))
    return found[0] if found and found[0].score > _SCORE else None


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


def _part(peaks: Peaks, kept: np.ndarray) -> Peaks:
    names = ("two_theta", "error", "area", "area_error", "fwhm", "gap")
    return replace(peaks, **{name: getattr(peaks, name)[kept] for name in names})

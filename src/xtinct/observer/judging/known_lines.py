"""Lines of known structures that a pattern is too noisy to show.

A class is judged as if the heights of its lines were random, so a line that is not seen speaks against the
classes that allow it. A known structure says itself how strong its lines are: those of CsI that break the I
centring need Cs+ and I- to scatter differently, and both have 54 electrons.
"""

from typing import NamedTuple

import numpy as np

from xtinct.lattices.bravais import reduced, same
from xtinct.lattices.metric import cell_of
from xtinct.observer.fitting.pawley import LatticeFit
from xtinct.observer.judging.pattern_evidence import Heights
from xtinct.observer.peaks.peak_search import error_share
from xtinct.symmetry.families import family_of
from xtinct.symmetry.operations import centring

#: Areas below this many standard errors are not seen.
_SEEN = 3.0
#: Distance up to which a line of the structure is one of the fit: degree, and in widths.
_NEAR = 0.06, 0.5


class KnownLines(NamedTuple):
    """Lines of a known structure that may be the sample.

    number       its space group; cell, float64 (6,), conventional, as refined on the pattern
    probability  that it, or a structure of the same lattice and group like it, is the sample
    d_star       float64 (m,), 1/angstrom; intensity, (m,), up to a factor
    """

    number: int
    cell: np.ndarray
    probability: float
    d_star: np.ndarray
    intensity: np.ndarray


def of_lattice(known: KnownLines, fit: LatticeFit) -> bool:
    """Whether a structure has the lattice of a fit, on the same axes or others."""
    if family_of(known.number) != fit.family or not np.isfinite(known.cell).all():
        return False
    letter = centring(known.number)
    return same(reduced(known.cell, letter), reduced(cell_of(fit.family, fit.metric), letter))


def too_weak(known: KnownLines, fit: LatticeFit, heights: Heights) -> np.ndarray:
    """bool (m,): lines of a fit that are too weak to be seen, if the sample is a known structure.

    The intensities of the structure's lines, each at the nearest line of the fit, are scaled to all areas.
    """
    apart = np.abs(np.sqrt(fit.q)[:, None] - known.d_star)
    at = apart.argmin(axis=0)
    reach = np.maximum(_NEAR[0] * error_share(heights.fwhm), _NEAR[1] * heights.fwhm)
    # From degrees of 2theta to 1/d.
    reach *= np.cos(np.radians(heights.angle / 2)) * np.radians(1.0) / fit.wavelength
    own = apart[at, np.arange(len(at))] < reach[at]
    intensity = np.bincount(at[own], known.intensity[own], minlength=len(apart))
    area = intensity * heights.area.sum() / max(float(intensity.sum()), 1e-300)
    return area * np.sqrt(np.diagonal(heights.precision)) < _SEEN

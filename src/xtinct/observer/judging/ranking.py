"""How probable a list of peaks is under a lattice: positions, heights, and lines that are missing.

Every allowed line of the lattice shows as a peak where its height, by the law of intensities around the local
mean, exceeds what can be seen; peaks that no line accounts for are spurious, few and mostly weak. The absence
sets of the lattice's family are summed over. A sublattice leaves peaks unexplained, a superlattice expects
lines that are absent: both are charged in one currency.

The evidence of whole-pattern fits does not serve for this: it counts the misfit of the strongest profiles,
which more lines always mend. On measured patterns it ranks lattices worse than peaks do, at every weight.
"""

import math
from dataclasses import dataclass

import numpy as np

from xtinct.compiling import njit
from xtinct.errors import XtinctError
from xtinct.lattices.metric import volume_of_metric
from xtinct.observer.fitting.line_sets import absence_sets, centring_of, lines_of
from xtinct.observer.judging.pattern_evidence import INTENSITY_MEANS, INTENSITY_WEIGHTS, lorentz_polarization
from xtinct.observer.peaks.gridded import within
from xtinct.observer.peaks.peak_search import error_share
from xtinct.observer.peaks.peak_shapes import q_of, true_angle
from xtinct.radiation.anodes import ANODES
from xtinct.symmetry.families import FAMILIES

#: Peaks that are judged, from the lowest angle; lines of a lattice that can be compared at most.
_PEAKS, _LINES = 40, 900
#: Error of a position besides its own, degree, and as a share of the width.
_SYSTEMATIC, _OF_WIDTH = 0.015, 0.05
#: Spurious peaks expected in a pattern, and their law of heights as shares of the strongest peak.
_SPURIOUS = 3.0
_SPURIOUS_MEANS = np.array([0.01, 0.05, 0.2])
#: A line within this many widths of a peak may hide in it.
_HIDDEN = 1.5
#: Area over its error, and share of the strongest peak's, from which a line is seen.
_SEEN, _LEAST = 5.0, 0.006
#: Degrees over which the mean intensity, and over which the noise, is local; for copper and longer
#: wavelengths, as the angles below: shorter ones bring all lines to lower angles.
_LOCAL, _NOISE = 8.0, 15.0
#: log(prior range / error) of a parameter of the metric.
_PARAMETER = 3.5
#: Degrees below the first peak and above the last one where lines are expected, and the lowest of them.
_BELOW, _ABOVE, _LOWEST = 3.0, 0.5, 2.0


@dataclass(frozen=True)
class PeakEvidence:
    """What the peaks say of a lattice.

    value       log p(peaks | lattice), nats; comparable between lattices for the same peaks
    centring    letter of the centring of the best absence set
    symbol      extinction symbol of the most probable class by the peaks alone
    missing     lines of the best set that should have been seen, weighted by the probability of it
    spurious    peaks that the best set leaves unexplained
    """

    value: float
    centring: str
    symbol: str
    missing: float
    spurious: int


def peak_evidence(peaks, family: str, metric: np.ndarray, shift: float = 0.0) -> PeakEvidence | None:
    """Evidence of `peaks` (a `Peaks`) for a lattice; None if its lines are too many or few.

    family, metric   the lattice; shift: observed minus true 2theta, degree
    XtinctError without any peak.
    """
    n = min(len(peaks.two_theta), _PEAKS)
    if not n:
        raise XtinctError("no peaks: nothing to judge a lattice by")
    at, area = np.asarray(peaks.two_theta)[:n], np.asarray(peaks.area)[:n]
    fwhm, noise = np.asarray(peaks.fwhm)[:n], np.asarray(peaks.area_error)[:n]
    scale = min(1.0, peaks.wavelength / ANODES["Cu"].alpha1)
    low, high = max(at[0] - _BELOW * scale, _LOWEST * scale), at[-1] + _ABOVE * scale
    wavelength = peaks.wavelength
    q_low, q_high = (float(q_of(angle - shift, wavelength)) for angle in (low, high))
    own = FAMILIES[family]
    if volume_of_metric(metric @ own.general) * q_high**1.5 * 4 * math.pi / 3 / own.order > 2 * _LINES:
        return None
    lines = lines_of(family, metric, q_low, q_high)
    if not 2 <= len(lines) <= _LINES:
        return None
    centre = true_angle(lines.forms @ np.asarray(metric), wavelength)
    geometry = lines.multiplicity * lorentz_polarization(centre)
    centre = centre + shift
    systematic = _SYSTEMATIC * error_share(fwhm)
    error = np.sqrt(np.asarray(peaks.error)[:n] ** 2 + systematic**2 + (_OF_WIDTH * fwhm) ** 2)
    distance = np.abs(at[:, None] - centre)
    strongest = float(area.max())
    around = distance < _NOISE * scale
    quietest = np.where(around, noise[:, None], np.inf).min(axis=0)
    quietest = np.where(np.isfinite(quietest), quietest, noise.min())
    sets = absence_sets(lines)
    # Local mean of every set: the intensity of the peaks around, over what its lines would show of it.
    shown = np.exp(-0.5 * ((centre[:, None] - at) / (_LOCAL * scale)) ** 2) @ area
    near = np.exp(-0.5 * ((centre[:, None] - centre) / (_LOCAL * scale)) ** 2)
    expected = (sets.allowed * geometry) @ near
    mean = np.maximum(shown / np.maximum(expected, 1e-9), 1e-4 * strongest / geometry.max()) * geometry
    spurious_means = _SPURIOUS_MEANS * strongest
    chance = (
        np.mean(np.exp(-area[:, None] / spurious_means) / spurious_means, axis=1) * _SPURIOUS / (high - low)
    )
    # Nobody has looked for a line in a gap.
    hidden = (distance < _HIDDEN * fwhm[:, None]).any(axis=0) | within(peaks.gaps, centre)
    value, missing, unexplained = _judge(
        sets.allowed,
        mean,
        at[:, None] - centre,
        (area, error, chance),
        (np.maximum(_SEEN * quietest, _LEAST * strongest), hidden),
        (INTENSITY_WEIGHTS, INTENSITY_MEANS),
    )
    share = sets.share.sum(axis=1) / sets.share.sum()
    of_set = value + np.log(share)
    best = int(np.argmax(of_set))
    top = of_set[best]
    by_group = np.exp(value - top) @ sets.share
    by_class = np.bincount(sets.class_of, weights=by_group, minlength=len(sets.symbols))
    return PeakEvidence(
        value=float(top + math.log(np.exp(of_set - top).sum())) - _PARAMETER * len(metric),
        centring=centring_of(lines, sets.allowed[best]),
        symbol=sets.symbols[int(np.argmax(by_class))],
        missing=float(missing[best]),
        spurious=int(unexplained[best]),
    )


@njit(cache=True)
def _judge(allowed, mean, offset, peaks, lines, law):
    """(log probability, expected missing lines, spurious peaks) of every absence set, float64 (n_sets,)."""
    area, error, chance = peaks
    limit, hidden = lines
    weights, means = law
    n_sets, m = allowed.shape
    value, missing = np.zeros(n_sets), np.zeros(n_sets)
    spurious = np.zeros(n_sets)
    for s in range(n_sets):
        for j in range(m):
            if allowed[s, j] and not hidden[j]:
                unseen = 0.0
                for k in range(weights.size):
                    unseen += weights[k] * -math.expm1(-limit[j] / (mean[s, j] * means[k]))
                missing[s] += 1.0 - unseen
                value[s] += math.log(max(unseen, 0.02))
        for i in range(area.size):
            density = 0.0
            for j in range(m):
                z = offset[i, j] / error[i]
                if allowed[s, j] and abs(z) < 6.0:
                    height = 0.0
                    for k in range(weights.size):
                        scale = mean[s, j] * means[k]
                        height += weights[k] / scale * math.exp(-area[i] / scale)
                    density += height * math.exp(-0.5 * z * z) / (error[i] * 2.5066282746310002)
            if density < chance[i]:
                spurious[s] += 1.0
            value[s] += math.log(chance[i] + density)
    return value, missing, spurious

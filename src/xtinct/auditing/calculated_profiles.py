"""Whether a profile was counted or calculated: counting makes turning points, a calculation does not.

Of white noise two of three inner points are turning points (Bienayme 1874; Kendall and Stuart, The Advanced
Theory of Statistics, vol. 3, 45.18), whatever its size; of a sum of peaks there are two for each peak that
is seen. So no scale of the intensities is needed, and patterns whose noise was made small by long counting,
or smooth by interpolation, keep more of them than any profile has.
"""

import numpy as np

#: Share of white noise's turning points below which a profile is calculated: for certain, and if it is also
#: smooth in its peaks, where fourth differences are this share of second ones (1 for white noise).
_CERTAIN, _FEW, _SMOOTH = 0.1, 0.26, 0.5
#: Share of the highest point from which on points belong to peaks.
_PEAKS = 0.005
#: Fewest changes from point to point that can be judged.
_FEWEST = 20


def turning_share(intensity: np.ndarray) -> float:
    """Turning points of a profile float64 (n,) over those of white noise: 1 for counts, near 0 for a curve.

    Runs of equal points, which rounding makes, count as one point.
    """
    steps = np.diff(intensity)
    steps = steps[steps != 0]
    if len(steps) < _FEWEST:
        return 0.0
    return 1.5 * float(np.mean(steps[1:] * steps[:-1] < 0))


def is_calculated(intensity: np.ndarray) -> bool:
    """Whether a profile float64 (n,) has no counting noise at all."""
    turning = turning_share(intensity)
    return turning < _CERTAIN or (turning < _FEW and _roughness(intensity) < _SMOOTH)


def _roughness(intensity: np.ndarray) -> float:
    """Scatter of fourth over second differences in the peaks, each in units of white noise's."""
    second = np.convolve(intensity, [1, -2, 1], "valid")[1:-1] / np.sqrt(6)
    fourth = np.convolve(intensity, [1, -4, 6, -4, 1], "valid") / np.sqrt(70)
    inside = intensity[2:-2] > _PEAKS * intensity.max()
    if not inside.any():
        return 0.0
    scatter = np.median(np.abs(second[inside]))
    return float(np.median(np.abs(fourth[inside])) / scatter) if scatter > 0 else 0.0

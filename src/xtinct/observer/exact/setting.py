"""What a pattern itself says of the zero and the width of the instrument that measured it."""

from dataclasses import replace

import numpy as np

from xtinct.observer.exact.observed_lines import ObservedLines, noise_of
from xtinct.patterns.instrument import FWHM_PER_SIGMA, Instrument

#: Largest shift of the zero that is looked for, and within which pairs of lines agree, degree.
LARGEST_ZERO, _AGREE = 0.25, 2e-4
#: Shifts that are tried at most.
_TRIED = 6
#: Height over noise of a peak that tells the width.
_STRONG = 50.0


def shifted(instrument: Instrument, zero: float) -> Instrument:
    """The instrument with true angles where those of `instrument` are larger by `zero`, degree."""
    return replace(
        instrument,
        two_theta_min=instrument.two_theta_min - zero,
        two_theta_max=instrument.two_theta_max - zero,
    )


def zeros(lines: ObservedLines) -> tuple[np.ndarray, np.ndarray]:
    """(shifts of the zero float64 (n,), degree, pairs of lines int64 (n,)) that make lines orders of others.

    The shift on which most pairs agree is the first; where it is 0 within the error, it is written as 0.

    Of a line and its second or third order the shift follows (Dong, Wu and Chen 1999, J. Appl. Cryst. 32,
    850); shifts on which several pairs agree are seldom by chance.
    """
    angle = np.radians(lines.two_theta[lines.clean])
    found = []
    for ratio in (2.0, 3.0, 1.5):
        first, second = angle[:, None], angle[None, :]
        zero = np.zeros((len(angle), len(angle)))
        for _ in range(4):  # Newton's method on sin of the order = ratio x sin of the line
            value = np.sin((second - zero) / 2) - ratio * np.sin((first - zero) / 2)
            slope = -np.cos((second - zero) / 2) / 2 + ratio * np.cos((first - zero) / 2) / 2
            zero = np.clip(zero - value / np.where(np.abs(slope) < 1e-3, np.inf, slope), -0.1, 0.1)
        found.append(np.degrees(zero[np.abs(value) < 1e-9]))
    zero = np.sort(np.concatenate(found))
    zero = zero[np.abs(zero) <= LARGEST_ZERO]
    exact = max(_AGREE / 10, 5 * float(np.median(lines.error[lines.clean]))) if lines.clean.any() else _AGREE
    shifts: list[float] = []
    pairs: list[int] = []
    while len(zero) and len(shifts) < _TRIED:
        count = np.searchsorted(zero, zero + _AGREE) - np.arange(len(zero))
        best = int(np.argmax(count - np.abs(zero)))  # the smaller shift of two on which as many agree
        shift = float(np.median(zero[best : best + count[best]]))
        shifts.append(shift if abs(shift) > exact else 0.0)
        pairs.append(int(count[best]))
        zero = zero[np.abs(zero - shift) > _AGREE]
    return np.array(shifts), np.array(pairs, dtype=np.int64)


def fwhm_of(pattern: np.ndarray, instrument: Instrument) -> float:
    """Width (FWHM, degree) of the narrowest strong peaks of a pattern float64 (points,); NaN without any.

    The second derivative of the logarithm of Gaussian peaks of one variance v is -1/v where one stands
    alone, and nearer to zero wherever several add up: the steepest points tell the width.
    """
    y = np.asarray(pattern, dtype=np.float64)
    noise = noise_of(y)
    half = max(2, round(instrument.sigma / instrument.step))
    offset = np.arange(-half, half + 1)
    tops = np.flatnonzero((y[1:-1] >= y[:-2]) & (y[1:-1] > y[2:])) + 1
    tops = tops[(tops >= half) & (tops < len(y) - half) & (y[tops] > _STRONG * noise)]
    tops = tops[(y[tops[:, None] + offset] > 0).all(axis=1)]
    if not len(tops):
        return float("nan")
    design = np.stack([np.ones_like(offset), offset, offset**2], axis=1).astype(np.float64)
    bend, error = np.empty(len(tops)), np.empty(len(tops))
    for i, top in enumerate(tops):
        near = y[top + offset]
        # The error of a logarithm is that of the height over the height.
        covariance = np.linalg.inv((design * near[:, None]).T @ (design * near[:, None]))
        bend[i] = (covariance @ (design.T @ (near**2 * np.log(near))))[2]
        error[i] = noise * np.sqrt(covariance[2, 2])
    steepest = (bend + 2 * error).min()
    alone = np.abs(bend - steepest) < 3 * error
    variance = -0.5 / np.average(bend[alone], weights=error[alone] ** -2) if steepest < 0 else np.nan
    return float(np.sqrt(variance) * instrument.step * FWHM_PER_SIGMA)

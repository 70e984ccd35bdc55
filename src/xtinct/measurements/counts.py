"""What intensities are: logarithms and square roots of counts, and counts of varying times, told apart."""

import numpy as np

from xtinct.errors import XtinctError
from xtinct.measurements.records import Scan

#: What programs write in place of counts, and how the counts come back.
_BACK = {
    "logarithms to base 10": (lambda y: 10.0**y, lambda n: n * np.log(10.0), "10**I"),
    "natural logarithms": (np.exp, lambda n: n, "exp(I)"),
    "square roots": (np.square, lambda n: 2 * np.sqrt(n), "I**2"),
}
#: Most decimals that are told apart.
_DECIMALS = 6
#: Only counts that rounding leaves this exact are looked at, and those of single quanta say nothing.
_EXACT, _FEWEST_COUNTS = 0.1, 1.5
#: So many different counts, and this share of all, are whole. Of 514 measured patterns the logarithms and
#: roots of counts have .99 or more; the patterns themselves, brought to maxima of 5, 9 and 100, .30 at most.
_DIFFERENT, _WHOLE = 20, 0.98
#: Logarithms above this are none.
_LARGEST_LOGARITHM = 30.0
#: Points that share an exposure in the mean: times of day have none in common.
_SHARED_EXPOSURE = 10
#: Points of the straight lines on either side of a join, of the background there, and least jump in standard
#: errors.
_LINE, _BACKGROUND, _JUMP = 16, 100, 4.5
#: Least factor (logarithm), how far that of the background may be from it, and what share of the jump lies
#: between two points: the flank of a peak takes several, and the background behind a peak is what it was.
_LEAST, _APART, _SHARP = np.log(1.4), 0.35, (0.4, 1.8)
#: The background jumps so many times as much as nine in ten neighbouring windows of the pattern do, for which
#: the second number is the least. Of 449 measured patterns none reaches 3.3 times.
_UNUSUAL, _SCATTER = 4.0, 0.05


def refuse_transformed(name: str, intensity: np.ndarray) -> None:
    """XtinctError if float64 (n,) `intensity` holds logarithms or square roots of whole counts.

    Peaks of a logarithm are wide, and weak lines as high as strong ones, so an answer would be wrong. Only
    whole counts can be told: rates and normalised intensities give no whole numbers. Nothing above zero, as
    logarithms of what was normalised are, is refused too.
    """
    if len(intensity) and intensity.max() <= 0 and intensity.min() < 0:
        raise XtinctError(
            f"{name}: no intensity is above zero ({intensity.min():g} to {intensity.max():g}); save the "
            "counts themselves, no logarithms and no differences"
        )
    # Whole numbers have whole squares and powers in any case.
    broken = intensity[(intensity > 0) & (intensity != np.round(intensity))]
    if len(broken) <= len(intensity) / 2:
        return
    rounded = (np.abs(broken - np.round(broken, d)).max() < 1e-9 for d in range(_DECIMALS))
    places = (d for d, exact in enumerate(rounded) if exact)
    half = 0.5 * 10.0 ** -next(places, _DECIMALS) + 1e-9
    for what, (back, slope, formula) in _BACK.items():
        counts = back(broken[broken < _LARGEST_LOGARITHM] if "log" in what else broken)
        error = slope(counts) * half
        seen = (error < _EXACT) & (counts > _FEWEST_COUNTS)
        counts, error = counts[seen], error[seen]
        if len(np.unique(np.round(counts))) < _DIFFERENT:
            continue
        if np.mean(np.abs(counts - np.round(counts)) <= error + 1e-9) > _WHOLE:
            raise XtinctError(
                f"{name}: the intensities are {what} of counts ({formula} gives whole numbers); save the "
                "counts themselves"
            )


def divide_by_exposure(scan: Scan, exposure: np.ndarray, what: str) -> bool:
    """Bring the counts of a scan to one exposure where it varies from point to point; whether it did.

    exposure  float64 (n,): counting times in seconds, or counts of a monitor; `what` names it for the note

    Intensities become those of the median exposure, with the uncertainties of the counts. A column whose
    values hardly ever come twice, as the time of day, is no exposure, and rates are no counts.
    """
    y = scan.y
    if y is None or exposure.shape != y.shape or not (np.isfinite(exposure) & (exposure > 0)).all():
        return False
    values = np.unique(exposure)
    if len(values) == 1 or len(values) > max(2, len(y) / _SHARED_EXPOSURE) or (y != np.round(y)).any():
        return False
    scale = float(np.median(exposure)) / exposure
    if scan.sigma is None:
        scan.sigma = np.sqrt(np.maximum(y, 1.0)) * scale
    else:
        scan.sigma = scan.sigma * scale
    scan.y = y * scale
    scan.notes.append(f"counts were divided by their {what} ({values[0]:g} to {values[-1]:g})")
    return True


def joined_at(intensity: np.ndarray) -> tuple[int, float] | None:
    """Where float64 (n,) `intensity` jumps and stays: index of the first point behind, factor; else None.

    Ranges of different counting times that were joined as they are look so. A jump is told from a peak by
    its background, so among crowded peaks it is not seen.
    """
    n, k = len(intensity), np.arange(_LINE) - (_LINE - 1) / 2
    if n < 6 * _BACKGROUND:
        return None
    mean = np.convolve(intensity, np.ones(_LINE), "valid") / _LINE
    slope = np.convolve(intensity, k[::-1], "valid") / (k @ k)
    squares = np.convolve(np.square(intensity), np.ones(_LINE), "valid") - _LINE * mean**2
    variance = np.maximum(squares - slope**2 * (k @ k), 0.0) / (_LINE - 2)
    at = np.arange(_BACKGROUND, n - _BACKGROUND + 1)
    before = mean[at - _LINE] + slope[at - _LINE] * _LINE / 2
    behind = mean[at] - slope[at] * _LINE / 2
    error = np.sqrt((1 / _LINE + _LINE**2 / 4 / (k @ k)) * (variance[at - _LINE] + variance[at]))
    jump = behind - before
    possible = (before > 0) & (behind > 0) & (np.abs(jump) > _JUMP * error)
    factor = np.log(np.where(possible, behind, 1.0) / np.where(possible, before, 1.0))
    possible &= np.abs(factor) > _LEAST
    share = (intensity[at] - intensity[at - 1])[possible] / jump[possible]
    found = np.flatnonzero(possible)[(share > _SHARP[0]) & (share < _SHARP[1])]
    if not len(found):
        return None
    every = np.arange(_BACKGROUND, n - _BACKGROUND + 1, _BACKGROUND // 4)
    usual = np.abs(_background_jumps(intensity, every))
    best, most = None, _UNUSUAL
    for i in found[np.argsort(-np.abs(jump / np.maximum(error, 1e-300))[found], kind="stable")[:5]]:
        own = float(_background_jumps(intensity, at[i : i + 1])[0])
        others = usual[np.abs(every - at[i]) > 2 * _BACKGROUND]
        unusual = abs(own) / max(float(np.quantile(others, 0.9)), _SCATTER)
        if abs(own) > _LEAST and abs(own - factor[i]) < _APART and unusual > most:
            best, most = (int(at[i]), float(np.exp(own))), unusual
    return best


def _background_jumps(intensity: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Logarithms (m,) of the background behind points `at` over that before; 0 where one is not positive."""
    windows = np.lib.stride_tricks.sliding_window_view(intensity, _BACKGROUND)
    low = [np.quantile(windows[i], 0.25, axis=1) for i in (at, at - _BACKGROUND)]
    above = (low[0] > 0) & (low[1] > 0)
    return np.log(np.where(above, low[0], 1.0) / np.where(above, low[1], 1.0))

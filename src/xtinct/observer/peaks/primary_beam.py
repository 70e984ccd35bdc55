"""Where the primary beam ends in a pattern: neither its flank nor the edge of a beam stop is a line."""

import numpy as np
from scipy.ndimage import uniform_filter1d

#: 2theta, degree at the wavelength of copper, below which the beam is highest, and where its flank ends.
_HIGHEST, _REACH = 5.0, 7.0
_COPPER = 1.5406
#: Range, degree at copper's wavelength, over which the flank is looked at, and its least fall there.
_OVER, _FALL = 0.3, 0.15
#: Without a stop the flank falls to less than this share of its height; a rise above its lowest point by the
#: second factor is where a line begins.
_DEEP, _RISE = 0.3, 1.3
#: Before a beam stop all is below this share of the height, and the edge is steeper than the flank so often.
_STOPPED, _STEEPER = 0.3, 4.0


def end_of_beam(two_theta: np.ndarray, intensity: np.ndarray, wavelength: float) -> int:
    """Index of the first point (n,) that the primary beam leaves to the specimen; 0 where none is seen.

    two_theta ascending, degrees; wavelength in angstrom. The flank begins at the first point, or behind the
    edge of a beam stop, and falls steeply over more than the width of a line.
    """
    scale = wavelength / _COPPER
    near = two_theta < _REACH * scale
    n = int(near.sum())
    if n < 20 or n == len(two_theta) or two_theta[0] >= _HIGHEST * scale:
        return 0
    over = max(2, round(_OVER * scale / float(np.median(np.diff(two_theta[:n])))))
    smooth = uniform_filter1d(intensity, max(1, over // 3))[:n]
    first = int(np.argmax(smooth[two_theta[:n] < _HIGHEST * scale]))
    stopped = first > over // 3
    if stopped and not _is_edge(intensity[:n], first):
        return 0
    flank = smooth[first:]
    lowest = np.minimum.accumulate(flank)
    rises = np.flatnonzero(flank > _RISE * np.maximum(lowest, 0.0))
    end = int(rises[0]) if len(rises) else len(flank)
    fall = 1 - flank[over:end] / np.maximum(flank[: max(0, end - over)], 1e-300)
    flat = np.flatnonzero(fall < _FALL)
    last = int(flat[0]) if len(flat) else max(0, end - 1)
    if stopped:
        return first + last
    return last if last >= over and flank[last] <= _DEEP * flank[0] else 0


def _is_edge(intensity: np.ndarray, top: int) -> bool:
    """Whether the intensity (n,) jumps to its height about point `top`, and falls from there slowly."""
    height = intensity[top]
    left = np.flatnonzero(intensity[:top] < _STOPPED * height)
    right = np.flatnonzero(intensity[top:] < 0.5 * height)
    if not len(left) or not len(right) or (intensity[: left[-1]] > _STOPPED * height).any():
        return False
    jump = top - left[-1]
    return bool(right[0] > _STEEPER * jump)

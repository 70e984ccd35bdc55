"""Patterns as laboratories process them, made of raw ones: for `evaluate.py --processed NAME`."""

import numpy as np
from pybaselines import Baseline
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d
from scipy.signal import savgol_filter

#: Degrees of 2theta that a routine scan covers.
_ROUTINE = (5.0, 65.0)


def routine(two_theta, intensity):
    """Cut to a routine scan."""
    inside = (two_theta >= _ROUTINE[0]) & (two_theta <= _ROUTINE[1])
    return two_theta[inside], intensity[inside]


def smoothed(two_theta, intensity):
    """A routine scan, smoothed over 15 points, resampled to 0.02 degrees, scaled to 10,000 and rounded."""
    angle, y = resampled(*routine(two_theta, savgol_filter(intensity, 15, 2)), 0.02)
    return angle, rounded(y - min(y.min(), 0.0))


def subtracted(two_theta, intensity):
    """Smoothed over 11 points, without its background, nothing below zero, scaled to 10,000 and rounded."""
    y = savgol_filter(intensity, 11, 2)
    background = Baseline(two_theta).asls(y, lam=1e6 * (len(y) / 4000) ** 4, p=0.001)[0]
    return two_theta, rounded(np.clip(y - background, 0.0, None))


def blurred(two_theta, intensity):
    """Smoothed by a Gaussian of 2.5 points, resampled to 0.015 degrees, the highest point 1."""
    angle, y = resampled(two_theta, gaussian_filter1d(intensity, 2.5), 0.015)
    return angle, y / y.max()


def resampled(two_theta, intensity, step):
    """On multiples of a step, by a cubic spline."""
    grid = np.arange(np.ceil(two_theta[0] / step) * step, two_theta[-1], step)
    return grid, CubicSpline(two_theta, intensity)(grid)


def rounded(intensity):
    """Whole numbers up to 10,000."""
    return np.round(intensity / intensity.max() * 1e4)


PROCESSED = {one.__name__: one for one in (routine, smoothed, subtracted, blurred)}

"""Measured patterns: reading them, taking off their background, bringing them to a model's grid."""

from pathlib import Path

import numpy as np

from xtinct.diffraction.instrument import Instrument
from xtinct.errors import XtinctError

#: Half-width of the widest thing that is taken for a peak and not for background, degree.
PEAK_HALF_WIDTH = 1.0


def read_pattern(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Columns 2theta (degrees) and intensity of a text file; lines that begin with #, ! or ; are comments."""
    if not Path(path).is_file():
        raise XtinctError(f"{path}: no such file")
    try:
        columns = np.loadtxt(path, comments=["#", "!", ";"], usecols=(0, 1), ndmin=2, unpack=True)
    except OSError as error:
        raise XtinctError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:
        raise XtinctError(f"{path}: expected two columns of numbers ({str(error).splitlines()[0]})") from None
    return columns[0], columns[1]


def checked_pattern(
    two_theta: np.ndarray, intensity: np.ndarray, wavelength: float
) -> tuple[np.ndarray, np.ndarray]:
    """The pattern as float64 (n,) arrays, negative intensities set to 0; XtinctError if it is none."""
    two_theta = np.asarray(two_theta, dtype=np.float64)
    intensity = np.asarray(intensity, dtype=np.float64)
    if two_theta.ndim != 1 or two_theta.shape != intensity.shape:
        raise XtinctError(
            f"pattern: two_theta {two_theta.shape} and intensity {intensity.shape} must be (n,)"
        )
    if len(two_theta) < 2:
        raise XtinctError(f"pattern: {len(two_theta)} points, expected at least 2")
    if not (np.isfinite(two_theta).all() and np.isfinite(intensity).all() and (np.diff(two_theta) > 0).all()):
        raise XtinctError("pattern: two_theta must ascend, and all values must be finite")
    if not (0 < wavelength < np.inf and two_theta[0] >= 0 and two_theta[-1] < 180):
        raise XtinctError(
            f"pattern: wavelength {wavelength} angstrom, two_theta {two_theta[0]}-{two_theta[-1]} degrees"
        )
    if not (intensity > 0).any():
        raise XtinctError("pattern: intensities must be somewhere positive")
    return two_theta, np.clip(intensity, 0.0, None)


def without_background(two_theta: np.ndarray, intensity: np.ndarray) -> np.ndarray:
    """`intensity` (n,) less what varies slowly over `two_theta` (n,), degree; nowhere negative.

    SNIP (Ryan et al. 1988, Nucl. Instrum. Methods B 34, 396) with windows that narrow from
    PEAK_HALF_WIDTH (Morhac et al. 1997, Nucl. Instrum. Methods A 401, 113), on a regular grid of the
    pattern's mean step. Noise above the background stays.
    """
    grid = np.linspace(two_theta[0], two_theta[-1], len(two_theta))
    y = np.interp(grid, two_theta, intensity)
    y = np.log(np.log(np.sqrt(y + 1) + 1) + 1)
    for half in range(max(1, round(PEAK_HALF_WIDTH / (grid[1] - grid[0]))), 0, -1):
        padded = np.pad(y, half, mode="edge")
        y = np.minimum(y, (padded[: -2 * half] + padded[2 * half :]) / 2)
    background = (np.exp(np.exp(y) - 1) - 1) ** 2 - 1
    return np.clip(intensity - np.interp(two_theta, grid, background), 0.0, None)


def on_grid(
    two_theta: np.ndarray,
    intensity: np.ndarray,
    wavelength: float,
    instrument: Instrument,
    *,
    fill_missing: bool = False,
) -> np.ndarray:
    """The pattern on the instrument's grid, float32 (points,): each point the mean of its neighbourhood.

    Points are carried over by equal sin(theta) / wavelength, and intensities by the ratio of the
    Lorentz(-polarisation) factors at the two angles. A pattern that does not cover the grid is an
    XtinctError if more than a peak's width is missing; what is missing is zero, as if no line were
    there, which `fill_missing` allows for any part of the range.
    """
    step = instrument.step
    edges = np.concatenate([instrument.two_theta - step / 2, [instrument.two_theta_max + step / 2]])
    sine = np.sin(np.radians(edges / 2)) * (wavelength / instrument.wavelength)
    reached = np.degrees(2 * np.arcsin(np.minimum(sine, 1.0)))
    low, high = reached[:-1], reached[1:]
    covered = (sine[1:] < 1) & (high > two_theta[0]) & (low < two_theta[-1])
    # A peak's width at either end may be missing: no line that is cut there could be read anyway.
    slack = instrument.resolution + step
    reaches = sine[-1] < 1 and low[0] >= two_theta[0] - slack and high[-1] <= two_theta[-1] + slack
    if not reaches and not fill_missing:
        needed = f"{max(0.0, reached[0]):.2f}-" + (f"{reached[-1]:.2f}" if sine[-1] < 1 else "over 180")
        raise XtinctError(
            f"pattern: {two_theta[0]:g}-{two_theta[-1]:g} degrees at {wavelength:g} angstrom, but the model "
            f"needs {needed} degrees at that wavelength; what is missing can be filled with zeros on demand"
        )
    if not covered.any():
        raise XtinctError(
            f"pattern: {two_theta[0]:g}-{two_theta[-1]:g} degrees at {wavelength:g} angstrom has nothing of "
            "the range that the model looks at"
        )
    area = np.concatenate([[0.0], np.cumsum(np.diff(two_theta) * (intensity[1:] + intensity[:-1]) / 2)])
    pattern = np.zeros(instrument.points)
    # Integrals between points of the measurement: the integral of a line is a parabola.
    integral = _integral(np.clip(reached, two_theta[0], two_theta[-1]), two_theta, intensity, area)
    width = np.clip(high, two_theta[0], two_theta[-1]) - np.clip(low, two_theta[0], two_theta[-1])
    inside = covered & (width > 0)
    pattern[inside] = np.diff(integral)[inside] / width[inside]
    theta_model = np.radians(instrument.two_theta[inside] / 2)
    theta_measured = np.radians((low + high)[inside] / 4)
    pattern[inside] *= _lorentz(theta_model, instrument) / _lorentz(theta_measured, instrument)
    return pattern.astype(np.float32)


def _integral(x: np.ndarray, two_theta: np.ndarray, intensity: np.ndarray, area: np.ndarray) -> np.ndarray:
    i = np.clip(np.searchsorted(two_theta, x, side="right") - 1, 0, len(two_theta) - 2)
    t = x - two_theta[i]
    slope = (intensity[i + 1] - intensity[i]) / (two_theta[i + 1] - two_theta[i])
    return area[i] + t * (intensity[i] + slope * t / 2)


def _lorentz(theta: np.ndarray, instrument: Instrument) -> np.ndarray:
    factor = 1 / (np.sin(2 * theta) * np.sin(theta))
    if instrument.lorentz == "lorentz-polarisation":
        factor = factor * (1 + np.cos(2 * theta) ** 2) / 2
    return factor

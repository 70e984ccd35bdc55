"""Measurements whose crystal is known: rutile with its own counts, and what can be wrong with a pattern."""

import numpy as np

from xtinct.auditing.pattern_sets import LabelledMeasurement, PatternLabel
from xtinct.measurements import Measurement, radiation_of

CELL = np.array([4.594, 4.594, 2.958, 90.0, 90.0, 90.0])
#: Lines of rutile, P 42/m n m (136): 2theta for Cu K-alpha1 follows from the cell.
HKL = [(1, 1, 0), (1, 0, 1), (2, 0, 0), (1, 1, 1), (2, 1, 0), (2, 1, 1), (2, 2, 0), (0, 0, 2), (3, 1, 0)]
HKL += [(3, 0, 1), (1, 1, 2), (3, 1, 1), (3, 2, 0), (2, 0, 2)]
HEIGHTS = [100, 45, 8, 20, 6, 55, 16, 8, 8, 20, 10, 3, 2, 3]
#: angstrom, Cu K-alpha1.
WAVELENGTH = 1.540598


def profile(cell=CELL, hkl=HKL, heights=HEIGHTS, fwhm=0.12):
    """2theta (n,), degrees, and a profile (n,) without noise: 100 at the highest line, background 1."""
    x = np.arange(15.0, 80.0, 0.02)
    y = np.ones(len(x))
    for index, height in zip(hkl, heights, strict=True):
        d_star = np.linalg.norm(np.array(index) / np.array(cell[:3]))
        centre = 2 * np.degrees(np.arcsin(d_star * WAVELENGTH / 2))
        y += height * np.exp(-4 * np.log(2) * ((x - centre) / fwhm) ** 2)
    return x, y


def counted(y, scale=100.0, seed=1):
    """Poisson counts of a profile, `scale` counts for each unit."""
    return np.random.default_rng(seed).poisson(scale * y).astype(np.float64)


def pattern(name, y, label=None, **about):
    x, _ = profile()
    measurement = Measurement(x, y, None, radiation_of(WAVELENGTH), name=name)
    label = PatternLabel(136, "tetragonal", CELL, "TiO2", 1, "test") if label is None else label
    return LabelledMeasurement(f"set:{name}", "here", measurement, label, **about)

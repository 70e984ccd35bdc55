"""Powder patterns with Poisson noise whose lattice, heights and profile are known."""

from dataclasses import dataclass

import numpy as np

from xtinct.lattices.metric import form_metric
from xtinct.observer.fitting.line_sets import lines_of
from xtinct.observer.peaks.peak_shapes import Profile, doublet, true_angle


@dataclass(frozen=True)
class Tube:
    wavelength: float = 1.540593
    second: float | None = 1.544427
    ratio: float = 0.5


@dataclass(frozen=True)
class Counted:
    """A pattern with Poisson noise on a known background."""

    two_theta: np.ndarray
    intensity: np.ndarray
    background: np.ndarray
    radiation: Tube
    narrowest: float = 0.03

    @property
    def occupied(self):
        return np.zeros(len(self.two_theta), dtype=bool)  # the background is the true one

    def variance(self, fitted, misfit):
        return np.maximum(fitted, 1.0) + (misfit * np.maximum(fitted - self.background, 0.0)) ** 2


def shape_of(z, fwhm, eta):
    """Pseudo-Voigt of unit area; eta is the Lorentzian's share of the height."""
    u = (2 * z / fwhm) ** 2
    area = fwhm / 2 * (eta * np.pi + (1 - eta) * np.sqrt(np.pi / np.log(2)))
    return (eta / (1 + u) + (1 - eta) * np.exp(-np.log(2) * u)) / area


def simulated(family, cell, areas, profile, seed=0, tube=None, background=40.0, foreign=()):
    """(measurement, metric, lines): lines within 12-70 degrees with areas `areas(lines, rng)`."""
    rng = np.random.default_rng(seed)
    tube = tube or Tube()
    metric = form_metric(family, np.array([cell], dtype=np.float64))[0]
    low, high = (4 * np.sin(np.radians(x / 2)) ** 2 / tube.wavelength**2 for x in (11.7, 70.3))
    lines = lines_of(family, metric, low, high)
    area = areas(lines, rng)
    t = np.arange(12.0, 70.0, 0.02)
    y = np.full(len(t), background)
    true = true_angle(lines.forms @ metric, tube.wavelength)
    placed = doublet(true, tube, profile)
    everything = [
        *zip(placed.first, placed.second, true, area, strict=True),
        *((a, a, a, h) for a, h in foreign),
    ]
    for first, second, at, height in everything:
        tangent = np.tan(np.radians(at / 2))
        fwhm = np.sqrt(profile.W + profile.V * tangent + profile.U * tangent**2)
        ratio = placed.ratio
        both = shape_of(t - first, fwhm, profile.eta0) + ratio * shape_of(t - second, fwhm, profile.eta0)
        y = y + height * both / (1 + ratio)
    counted = rng.poisson(y).astype(np.float64)
    return Counted(t, counted, np.full(len(t), background), tube), metric, lines, area


TRUE = Profile(zero=0.03, displacement=0.05, W=0.012, U=0.01, eta0=0.4)


def random_areas(lines, rng):
    return 300.0 * rng.exponential(size=len(lines))

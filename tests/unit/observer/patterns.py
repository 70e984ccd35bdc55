"""Simulated measurements of known crystals, made without the observer's own code."""

import numpy as np
from pymatgen.analysis.diffraction.xrd import XRDCalculator
from pymatgen.core import Lattice, Structure

K_ALPHA = 1.540593, 1.544427


def yttria() -> Structure:
    """Y2O3, Ia-3, a = 10.604 angstrom."""
    return Structure.from_spacegroup(
        "Ia-3",
        Lattice.cubic(10.604),
        ["Y", "Y", "O"],
        [[0.25, 0.25, 0.25], [0.9673, 0, 0.25], [0.3907, 0.152, 0.3804]],
    )


def rock_salt() -> Structure:
    """NaCl, Fm-3m, a = 5.64 angstrom."""
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def caesium_chloride() -> Structure:
    """CsCl, Pm-3m, a = 4.123 angstrom."""
    sites = [[0, 0, 0], [0.5, 0.5, 0.5]]
    return Structure.from_spacegroup("Pm-3m", Lattice.cubic(4.123), ["Cs", "Cl"], sites)


def rutile() -> Structure:
    """TiO2, P4_2/mnm."""
    return Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]
    )


def pattern(
    structure: Structure,
    *,
    height: float = 10_000.0,
    background: float = 60.0,
    fwhm: float = 0.12,
    eta: float = 0.4,
    shift: float = 0.03,
    doublet: bool = True,
    k_alpha: tuple[float, float] = K_ALPHA,
    noise: bool = True,
    seed: int = 0,
    step: float = 0.02,
    low: float = 10.0,
    high: float = 90.0,
) -> tuple[np.ndarray, np.ndarray]:
    """2theta and counts: pseudo-Voigt peaks at pymatgen's lines over a falling background."""
    two_theta = np.arange(low, high, step)
    y = np.zeros_like(two_theta)
    for wavelength, weight in zip(k_alpha, (1.0, 0.5 if doublet else 0.0), strict=True):
        if not weight:
            continue
        lines = XRDCalculator(wavelength).get_pattern(structure, two_theta_range=(5, high + 5), scaled=False)
        for angle, intensity in zip(lines.x, lines.y, strict=True):
            u = ((two_theta - angle - shift) / (fwhm / 2)) ** 2
            y += weight * intensity * (eta / (1 + u) + (1 - eta) * np.exp(-np.log(2) * u))
    y = height * y / y.max() + background * (1 + 3 * np.exp(-two_theta / 15))
    if noise:
        y = np.random.default_rng(seed).poisson(y).astype(float)
    return two_theta, y

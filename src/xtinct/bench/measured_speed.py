"""Speed of patterns as laboratories measure them, with every imperfection on, against plain numpy."""

from collections.abc import Iterable

import numpy as np

from xtinct.bench.cases import Case
from xtinct.lattices.distributions import LatticeSpec
from xtinct.learning.loading import Batch, Loader
from xtinct.learning.streams import MixedStream, UlbdStream
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.pattern_transform import PatternTransform
from xtinct.patterns.rendering import render
from xtinct.patterns.variation import Variation
from xtinct.symmetry.families import MONOCLINIC, ORTHORHOMBIC, TETRAGONAL

#: A diffractometer with a doublet and a graphite monochromator.
LABORATORY = Instrument(
    wavelength=1.5405929,
    two_theta_min=5.0,
    two_theta_max=90.0,
    points=8192,
    lorentz="lorentz-polarisation",
    fwhm=0.1,
    further_wavelengths=((1.5444274, 0.5),),
    monochromator=26.6,
    profile="pseudo-voigt",
    eta=0.5,
)
#: Everything that varies from one laboratory to the next, in the ranges of public collections.
EVERYTHING = {
    "fwhm": [0.06, 0.35],
    "microstrain": [0.0, 0.001],
    "crystallite_size": [300, 5000],
    "eta": [0.1, 1.0],
    "asymmetry": [0.0, 0.03],
    "zero_shift": [-0.06, 0.06],
    "displacement": [-0.12, 0.12],
    "log_background": [0.003, 0.4],
    "hump": [0.01, 0.2],
    "hump_two_theta": [12, 35],
    "hump_fwhm": [5, 15],
    "air_scatter": [0, 2],
    "air_decay": [3, 8],
    "counts": [50, 100_000],
    "impurity_lines": [0, 3],
    "impurity_intensity": [0.01, 0.1],
    "impurity_d_star": [0.15, 0.9],
    "foreign_phase": [0.005, 0.12],
    "k_beta": [0.005, 0.02],
    "tungsten": [0.005, 0.02],
    "start": [5, 12],
    "end": [75, 90],
    "d_scale": [0.98, 1.02],
    "strain": [-0.005, 0.005],
    "b_iso": [-0.4, 1.5],
    "texture": [0.5, 1.6],
    "shares": {
        **{"asymmetry": 0.7, "hump": 0.3, "air_scatter": 0.5, "foreign_phase": 0.35, "texture": 0.5},
        **{"k_beta": 0.15, "tungsten": 0.08, "impurity_lines": 0.25, "start": 0.25, "end": 0.2},
    },
}
_D_STAR_MAX = 0.96
_PATTERNS = 256
_BASELINE_PATTERNS = 4


def measured_loader(law: dict | None = None) -> Loader:
    """Lattices of three families, physical intensities, measured under `law` (None: everything)."""
    streams = [
        UlbdStream(
            family=family,
            spec=LatticeSpec("continuous", (4.0, 12.0), (90.0, 110.0), count=1),
            d_star_max=_D_STAR_MAX,
            intensities="physical",
            seed=1,
            role="bench",
        )
        for family in (TETRAGONAL, ORTHORHOMBIC, MONOCLINIC)
    ]
    return Loader(
        MixedStream(streams, [1, 1, 1]), Variation.from_config(EVERYTHING if law is None else law), 7
    )


def plain_patterns(batch: Batch, rng: np.random.Generator) -> np.ndarray:
    """Patterns (n, points) of a batch by numpy: each peak over the whole grid, background, noise.

    Without axial divergence, ghosts, foreign phases and changes of the samples.
    """
    x, patterns = LABORATORY.two_theta, []
    scaled = 2.0 * (x - x[0]) / (x[-1] - x[0]) - 1.0
    polarisation, conditions = np.cos(np.radians(LABORATORY.monochromator)) ** 2, batch.conditions
    for i in range(len(batch)):
        d_star, intensity = batch.lines[i]
        u, w = np.degrees(4 * conditions.microstrain[i]), conditions.caglioti[i, 2]
        pattern = np.zeros_like(x)
        for wavelength, share in LABORATORY.wavelengths:
            theta = np.arcsin(np.minimum(0.5 * wavelength * d_star, 1.0))
            for angle, area in zip(theta, share * intensity, strict=True):
                if not 0 < angle < np.radians(80.0):
                    continue
                area *= 1 + polarisation * np.cos(2 * angle) ** 2
                area /= np.sin(2 * angle) * np.sin(angle)
                fwhm = np.sqrt((u * np.tan(angle)) ** 2 + w)
                t = ((x - np.degrees(2 * angle)) / fwhm) ** 2
                eta = conditions.eta[i]
                shape = eta * 2 / np.pi / (1 + 4 * t) + (1 - eta) * np.sqrt(4 * np.log(2) / np.pi) * np.exp(
                    -4 * np.log(2) * t
                )
                pattern += area / fwhm * shape
        pattern /= pattern.max()
        pattern += np.maximum(np.polynomial.chebyshev.chebval(scaled, conditions.background[i]), 0)
        patterns.append(rng.poisson(conditions.counts[i] * pattern) / conditions.counts[i])
    return np.array(patterns)


def measured_cases() -> Iterable[Case]:
    """Measured-like patterns from lattices to what a network sees, everything on."""
    loader, transform = measured_loader(), PatternTransform(background="snip", values="root")
    out = np.zeros((_PATTERNS, LABORATORY.points), np.float32)
    rng = np.random.default_rng(1)
    few = loader.take(0, _BASELINE_PATTERNS)

    def baseline() -> int:
        return len(plain_patterns(few, rng))

    def ours() -> int:
        batch = loader.take(0, _PATTERNS)
        transform(render(batch.lines, LABORATORY, out, batch.conditions), LABORATORY)
        return _PATTERNS

    yield Case(
        "measured-like patterns, everything on", "each peak over the grid, in numpy", baseline, ours, 5
    )

"""What counts, widths and range of a pattern allow at best, its cell and its group being known."""

from collections.abc import Mapping

import numpy as np

from xtinct.auditing.label_fits import LabelFit
from xtinct.ceiling.counted_patterns import (
    CountedCeiling,
    CountedPattern,
    HeightLaw,
    Trials,
    counted_ceiling,
)
from xtinct.ceiling.extinction import Weight
from xtinct.observer.judging.pattern_evidence import (
    INTENSITY_MEANS,
    INTENSITY_WEIGHTS,
    lorentz_polarization,
)
from xtinct.observer.peaks.peak_shapes import shapes
from xtinct.observer.peaks.radiation_found import Found

#: The law of heights of real crystals that the observer judges by.
LAW = HeightLaw(INTENSITY_WEIGHTS, INTENSITY_MEANS)
#: Degrees over which the mean intensity is local.
_LOCAL = 8.0
#: Noise that does not grow with the intensity is that of at most so many counts at the highest point.
_MOST_COUNTS = 1e6


def counting_ceiling(
    found: Found,
    told: LabelFit,
    number: int,
    trials: Trials | None = None,
    prior: Mapping[int, Weight] | None = None,
) -> CountedCeiling:
    """How often an ideal judge names class and group `number` of patterns counted like this one.

    `told`: the fit of the label's cell to it. `prior`: weight of every group of the family, as the judge
    takes it; None: all alike. XtinctError where no line of the cell is in the range.
    """
    pattern = counted_like(found, told)
    cell = told.fit.cell()[0]
    return counted_ceiling(
        told.fit.family, number, cell, pattern, LAW, prior=prior, trials=trials or Trials()
    )


def counted_like(found: Found, told: LabelFit) -> CountedPattern:
    """How a pattern was counted: in units in which the variance of a point is its mean.

    Intensity y has the variance gain y + floor. So (y + floor / gain) / gain are counts of Poisson's law.
    """
    fit, measured = told.fit, found.measured
    noise, highest = measured.noise, float(measured.intensity.max())
    gain = max(noise.gain, highest / _MOST_COUNTS, 1e-300)
    angle = measured.two_theta
    shape = shapes(angle, fit.profile, measured.narrowest)
    m = len(fit.lines)
    centre, area = fit.angle[:m], fit.area[:m]
    geometry = fit.lines.multiplicity * lorentz_polarization(np.clip(centre, 1.0, 175.0))
    near = np.exp(-0.5 * ((angle[:, None] - centre) / _LOCAL) ** 2)
    # Of a cell the lines nearest to an angle say its mean, however far they are.
    near /= np.maximum(near.max(axis=1, keepdims=True), 1e-300)
    mean = (near @ area) / np.maximum(near @ geometry, 1e-300)
    rays = measured.radiation
    return CountedPattern(
        two_theta=angle,
        background=np.maximum(measured.background, 0.0) / gain + max(noise.floor, 0.0) / gain**2,
        fwhm=shape.fwhm,
        lorentzian=shape.eta,
        height=mean / (gain * measured.step),
        wavelength=float(rays.wavelength),
        second=float(rays.second or 0.0),
        ratio=float(rays.ratio or 0.0),
    )

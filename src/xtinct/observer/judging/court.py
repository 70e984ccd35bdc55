"""Candidate lattices held against the whole pattern, over one range and with one idea of the noise."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from xtinct.ceiling.extinction import Weight
from xtinct.errors import XtinctError
from xtinct.lattices.bravais import reduced_of
from xtinct.lattices.metric import volume_of_metric
from xtinct.observer.fitting.line_sets import centring_of, lines_of
from xtinct.observer.fitting.pawley import FitSettings, LatticeFit, fit_lattice
from xtinct.observer.indexing.candidates import Candidate
from xtinct.observer.judging.lattice_classes import ClassPosterior, class_posterior
from xtinct.observer.judging.ranking import PeakEvidence, peak_evidence
from xtinct.observer.peaks.peak_search import error_share
from xtinct.observer.peaks.peak_shapes import Profile, q_of, shift, true_angle
from xtinct.observer.peaks.radiation_found import Found
from xtinct.symmetry.families import FAMILIES

#: Peaks that the range holds at most, degrees after the last, and most lines of a lattice in it.
_PEAKS, _BEYOND, _LINES = 40, 1.0, 230
#: Distance from every line of the lattice beyond which a peak is foreign: degree, and in widths.
_FOREIGN = 0.06, 0.65
#: Foreign lines that are expected, and their law of areas as shares of the strongest line.
_EXPECTED, _FOREIGN_MEANS = 3.0, np.array([0.01, 0.05, 0.2])
#: Logarithm of the prior range of a number of the metric over its error.
_PARAMETER = 8.0
#: Share of a line's height by which profiles are wrong, where lattices are compared: what better profiles of
#: strong lines would gain is not evidence for a lattice that splits them.
_MISFIT = 0.1
#: Widths within which residuals are correlated.
_CORRELATED = 2.0


def all_alike(family: str) -> None:
    """All groups of a family are alike."""


@dataclass(frozen=True)
class Judged:
    """A candidate with what the whole pattern says of it.

    candidate   its metric refined along the pattern
    fit         over the common range; posterior, of its classes
    evidence    log p(pattern | lattice), foreign lines and the numbers of the metric charged
    listed      what the list of peaks says of the lattice, None where it has too few or too many lines
    foreign     number of lines that are not the lattice's; strong, of those among the ten highest peaks
    left        share of the peaks' area, within the range, that is not the lattice's
    centring    most probable by the classes; reduced, float64 (6,), Niggli cell of that lattice
    """

    candidate: Candidate
    fit: LatticeFit
    posterior: ClassPosterior
    evidence: float
    listed: PeakEvidence | None
    foreign: int
    strong: int
    left: float
    centring: str
    reduced: np.ndarray


@dataclass(frozen=True)
class Court:
    """What all candidates of a pattern are judged by: the range, the variance of its points, and the prior.

    prior_of  weights of the space groups of a family; None: all of them alike
    """

    found: Found
    low: float
    high: float
    variance: np.ndarray
    prior_of: Callable[[str], Mapping[int, Weight] | None]

    @classmethod
    def of(
        cls,
        found: Found,
        candidates: list[Candidate],
        prior_of: Callable[[str], Mapping[int, Weight] | None] = all_alike,
    ) -> "Court":
        """The range up to the 40th peak, or to where the largest candidate has too many lines."""
        pattern, peaks = found.measured, found.peaks
        low, high = float(pattern.two_theta[0]), float(pattern.two_theta[-1])
        if len(peaks) >= 25:
            high = min(high, float(peaks.two_theta[min(_PEAKS, len(peaks)) - 1]) + _BEYOND)
        least = float(peaks.two_theta[min(12, len(peaks)) - 1]) + _BEYOND
        wavelength = pattern.radiation.wavelength
        for candidate in candidates:
            # 4 pi / 3 q^(3/2) V hkl lie within q; as many of them are one line as the lattice is symmetric.
            size = volume_of_metric(candidate.metric @ FAMILIES[candidate.family].general)
            density = 4 * math.pi / 3 * size / FAMILIES[candidate.family].order
            q = (_LINES / density) ** (2 / 3)
            high = min(high, max(least, float(true_angle(np.array([q]), wavelength)[0])))
        return cls(found, low, high, _variance(found), prior_of)

    def judge(self, candidate: Candidate) -> Judged | None:
        """The candidate judged; None where its lines do not suit the range."""
        found = self.found
        peaks, pattern = found.peaks, found.measured
        profile = peaks.profile._replace(zero=candidate.shift, displacement=0.0)
        settings = FitSettings(
            refine=("zero", "displacement"), steps=4, range=(self.low, self.high), variance=self.variance
        )
        metric = candidate.metric
        try:
            foreign = self._foreign(candidate, metric, profile)
            for steps in (4, 1):
                settings = replace(settings, steps=steps)
                fit = fit_lattice(
                    pattern, candidate.family, metric, profile, foreign=foreign, settings=settings
                )
                metric, profile = fit.metric, fit.profile
                if steps == 4:
                    foreign = self._foreign(candidate, metric, profile)
        except (XtinctError, np.linalg.LinAlgError, ValueError):
            return None
        posterior = class_posterior(fit, self.prior_of(fit.family))
        evidence = (
            posterior.whole_evidence(fit, self.inflation) - self._charge(fit) - _PARAMETER * len(metric)
        )
        letter = centring_of(fit.lines, posterior.allowed(posterior.symbols[0]))
        strong = np.sort(np.argsort(-peaks.area, kind="stable")[:10])
        away = self._away(candidate, metric, profile)
        area = np.where(peaks.two_theta < self.high, peaks.area, 0.0)
        return Judged(
            replace(candidate, metric=metric, shift=profile.zero),
            fit,
            posterior,
            evidence,
            peak_evidence(peaks, candidate.family, metric, profile.zero),
            len(foreign),
            int(away[strong].sum()),
            float(area[away].sum() / max(float(area.sum()), 1e-300)),
            letter,
            reduced_of(candidate.family, metric, letter),
        )

    def left_over(self, one: Judged) -> np.ndarray:
        """bool (n,): peaks that are far from every line of a judged lattice, as its fit places them."""
        return self._away(one.candidate, one.fit.metric, one.fit.profile)

    def _away(self, candidate: Candidate, metric: np.ndarray, profile: Profile) -> np.ndarray:
        """bool (n,): peaks that are far from every line of the lattice."""
        peaks = self.found.peaks
        q_max = float(q_of(min(self.found.measured.two_theta[-1], 170.0), peaks.wavelength))
        own = lines_of(candidate.family, metric, 1e-9, q_max)
        lines = true_angle(own.forms @ metric, peaks.wavelength)
        lines = np.sort(lines + shift(lines, profile))
        if not len(lines):
            return np.ones(len(peaks), dtype=bool)
        right = np.clip(np.searchsorted(lines, peaks.two_theta), 1, max(1, len(lines) - 1))
        right = np.minimum(right, len(lines) - 1)
        near = np.minimum(
            np.abs(peaks.two_theta - lines[right]), np.abs(peaks.two_theta - lines[np.maximum(right - 1, 0)])
        )
        return near > np.maximum(_FOREIGN[0] * error_share(peaks.fwhm), _FOREIGN[1] * peaks.fwhm)

    def _charge(self, fit: LatticeFit) -> float:
        """What the prior of foreign lines costs: so few are expected, anywhere, and most of them weak.

        Each is integrated over its place and its area, whose errors are those of the peak.
        """
        peaks = self.found.peaks
        own = np.abs(fit.foreign[:, None] - peaks.two_theta).argmin(axis=1)
        span = float(fit.two_theta[-1] - fit.two_theta[0])
        place = _EXPECTED * math.sqrt(2 * math.pi) * peaks.error[own] / span
        means = _FOREIGN_MEANS * float(fit.area.max(initial=1e-300))
        area = np.maximum(fit.area[len(fit.lines) :], 0.0)[:, None]
        height = np.mean(np.exp(-area / means) / means, axis=1)
        height *= math.sqrt(2 * math.pi) * peaks.area_error[own]
        return -float(np.log(np.minimum(place, 1.0) * np.minimum(height, 1.0)).sum())

    @cached_property
    def inflation(self) -> float:
        """Variance of the mean of correlated residuals over that of independent ones, 1 or more.

        Of the residuals of the peaks fitted one by one, so that no lattice has a say in it: the sum of their
        covariances over a peak (Newey and West 1987, Econometrica 55, 703).
        """
        pattern, fit = self.found.measured, self.found.fit
        first = int(np.searchsorted(pattern.two_theta, self.found.fit_start))
        z = fit.residual / np.sqrt(self.variance[first : first + len(fit.residual)])
        z = z[: int(np.searchsorted(pattern.two_theta, self.high)) - first]
        lags = min(max(2, round(_CORRELATED * pattern.width / pattern.step)), len(z) - 1)
        total = float(z @ z)
        for lag in range(1, lags + 1):
            total += 2 * (1 - lag / (lags + 1)) * float(z[lag:] @ z[:-lag])
        return max(1.0, total / len(z))

    def _foreign(self, candidate: Candidate, metric: np.ndarray, profile: Profile) -> np.ndarray:
        peaks = self.found.peaks
        away = self._away(candidate, metric, profile) & (peaks.two_theta < self.high)
        return peaks.two_theta[away]


def _variance(found: Found) -> np.ndarray:
    """Variance (n,) of all points: noise and misfit of the fitted peaks, larger where they leave more."""
    pattern, fit = found.measured, found.fit
    smooth = np.convolve(np.pad(pattern.intensity, 3, mode="edge"), np.full(7, 1 / 7), "valid")
    first = int(np.searchsorted(pattern.two_theta, found.fit_start))
    height = np.maximum(smooth, pattern.background)
    height[first : first + len(fit.fitted)] = fit.fitted
    variance = pattern.variance(height, _MISFIT)
    own = variance[first : first + len(fit.residual)]
    square = fit.residual**2 / own
    half = max(3, round(8 * pattern.width / pattern.step))
    local = np.convolve(np.pad(square, half, mode="edge"), np.full(2 * half + 1, 1 / (2 * half + 1)), "valid")
    own *= np.maximum(local, 1.0)
    return variance

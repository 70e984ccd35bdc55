"""What a pattern shows before any lattice: its peaks, and the wavelengths that it was measured with."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from xtinct.observer.peaks.gridded import Measured, measured
from xtinct.observer.peaks.peak_fit import PeakFit
from xtinct.observer.peaks.peak_search import BEGIN, Peaks, find_peaks
from xtinct.observer.peaks.primary_beam import end_of_beam
from xtinct.radiation.anodes import ALPHA_RATIO, ANODES
from xtinct.radiation.tubes import Radiation, doublet_of

#: A peak must lower chi^2 by this, and other wavelengths the sum by this share, and by so much.
_PEAK_COST, _CLEARLY, _LEAST = 10.0, 0.1, 100.0
#: The sum's drop that suffices where most strong peaks have companions as those of a doublet.
_PAIRED = 20.0
#: Relative difference within which a wavelength is that of an anode.
_SAME = 1e-3
#: Peaks that are looked at for their K-alpha2 lines.
_STRONGEST = 6
#: Area of a K-alpha2 line over that of K-alpha1, between which a companion is taken for one; and peaks that
#: are needed to say so.
_SHARES, _PAIRS = (0.25, 0.8), 6


@dataclass(frozen=True)
class Found:
    """A pattern with its peaks.

    measured   the pattern; its radiation is the one that explains it best
    peaks      those that stand out; fit, of all of them, None where there are none
    notes      what was found instead of what was told, one sentence each
    beam       2theta, degrees, below which the primary beam was left out; None where it is not seen
    """

    measured: Measured
    peaks: Peaks
    fit: PeakFit | None
    notes: tuple[str, ...] = ()
    beam: float | None = None

    @property
    def fit_start(self) -> float:
        """2theta of the first point of `fit`, degrees."""
        return float(self.measured.two_theta[0] + BEGIN * self.measured.width)


def find(
    two_theta: np.ndarray, intensity: np.ndarray, radiation: Radiation, sigma: np.ndarray | None = None
) -> Found:
    """The peaks of a pattern (n,), with the radiation that is told or with one that fits it clearly better.

    A tube that is not monochromatised shows each line twice, and people call such a measurement 1.5406:
    the doublet is tried beside a single wavelength, and a single one beside a doublet. Positions in d or Q
    whose wavelength nobody told are held against the doublets of all tubes that they look like.
    """
    begin = end_of_beam(two_theta, intensity, radiation.wavelength)
    beam = float(two_theta[begin]) if begin else None
    sigma = None if sigma is None else sigma[begin:]
    pattern = measured(two_theta[begin:], intensity[begin:], radiation, sigma)
    told = _found(pattern)
    best, note = told, None
    width = float(np.median(told[1].fwhm)) if len(told[1]) else None
    for other, text in _alternatives(radiation):
        if radiation.nominal and not _paired(told, other):
            continue
        # Background and noise are those of the points: the wavelengths agree to a thousandth.
        tried = _found(replace(pattern, radiation=other), width)
        before, cost = _costs(best, tried)
        margin = before - cost
        least = _PAIRED if _paired(told, other) else max(_CLEARLY * before, _LEAST)
        if margin > least and not _companions(tried, radiation):
            best, note = tried, text
    if note is None:
        note = next((doubled for d in _doublets(radiation) if (doubled := _unasked(told, d))), None)
    return Found(*best, notes=(note,) if note else (), beam=beam)


def _found(pattern: Measured, width: float | None = None) -> tuple[Measured, Peaks, PeakFit | None]:
    return pattern, *find_peaks(pattern, width)


def _costs(*found: tuple[Measured, Peaks, PeakFit | None]) -> list[float]:
    """chi^2 of the peaks and what they cost, over the points that all of the fits have.

    A search goes on to the end of the pattern only where it finds few peaks, and all begin at one point.
    """
    points = min((len(fit.residual) for _, _, fit in found if fit is not None), default=0)
    return [np.inf if fit is None else _cost(measured, fit, points) for measured, _, fit in found]


def _cost(measured: Measured, fit: PeakFit, points: int) -> float:
    """The same of one fit, over its first points."""
    if points == len(fit.residual):
        return fit.chi2 + _PEAK_COST * len(fit.two_theta)
    first = np.searchsorted(measured.two_theta, measured.two_theta[0] + BEGIN * measured.width)
    end = measured.two_theta[first + points - 1]
    chi2 = float(np.sum(fit.residual[:points] ** 2 / fit.variance[:points]))
    return chi2 + _PEAK_COST * int(np.count_nonzero(fit.two_theta <= end))


def _unasked(found: tuple[Measured, Peaks, PeakFit | None], doublet: Radiation) -> str | None:
    """What to say where one wavelength was told and taken, and yet most peaks look like doublets."""
    if not _paired(found, doublet):
        return None
    return (
        "Most strong lines have a companion, about half as strong, where the K-alpha2 line of "
        f"{doublet.anode} lies: unless the beam was monochromatic, tell the doublet "
        f"(--wavelength {doublet.anode}Ka)."
    )


def _paired(found: tuple[Measured, Peaks, PeakFit | None], doublet: Radiation) -> bool:
    """Whether most strong peaks, found as single ones, have companions as the lines of a doublet would."""
    enough = found[2] is not None and len(found[2].two_theta) >= _PAIRS
    return enough and _companions(found, doublet, _SHARES)


def _companions(
    found: tuple[Measured, Peaks, PeakFit | None],
    told: Radiation,
    shares: tuple[float, float] = (0.0, np.inf),
) -> bool:
    """Whether the strongest peaks, found as single ones, have K-alpha2 lines beside them.

    Lines that are such K-alpha2 lines are not asked for theirs.

    shares  least and largest area of such a line over that of its peak
    """
    fit, peaks = found[2], found[1]
    if not told.ratio or fit is None or not len(peaks):
        return False
    sine = np.sin(np.radians(fit.two_theta / 2)) * told.second / told.wavelength
    second = 2 * np.degrees(np.arcsin(np.minimum(sine, 1.0)))
    width = float(np.median(peaks.fwhm))
    weaker = fit.area < fit.area[:, None]
    is_second = (weaker & (np.abs(fit.two_theta - second[:, None]) < 0.5 * width)).any(axis=0)
    resolved = np.flatnonzero((second - fit.two_theta > width) & ~is_second)
    strongest = resolved[np.argsort(-fit.area[resolved], kind="stable")[:_STRONGEST]]
    place = np.array([np.abs(fit.two_theta - second[j]).argmin() for j in strongest], dtype=np.int64)
    near = np.abs(fit.two_theta[place] - second[strongest]) < 0.5 * width
    share = fit.area[place] / np.maximum(fit.area[strongest], 1e-300)
    return (near & (share >= shares[0]) & (share <= shares[1])).sum() > len(near) / 2


def _alternatives(radiation: Radiation) -> Iterator[tuple[Radiation, str]]:
    if radiation.ratio:
        yield (
            Radiation(radiation.wavelength, anode=radiation.anode),
            f"The peaks are single, so {radiation.wavelength:.5g} angstrom alone was taken, not the doublet.",
        )
        return
    for doublet in _doublets(radiation):
        text = (
            f"The peaks are doublets of {doublet.anode} K-alpha: {doublet.wavelength:.5g} and "
            f"{doublet.second:.5g} angstrom were taken, not one wavelength."
        )
        if radiation.nominal:
            text = (
                f"The peaks are doublets, as those of {doublet.anode} K-alpha, and were taken as such: tell "
                f"the wavelength of the tube (--wavelength {doublet.anode}Ka)."
            )
        yield doublet, text


def _doublets(radiation: Radiation) -> Iterator[Radiation]:
    """The doublets whose first line is the one wavelength that is told; none beside a doublet.

    Of a nominal wavelength those of all tubes, brought to it: ratios of wavelengths make pairs in d and Q.
    """
    if radiation.ratio:
        return
    for anode, lines in ANODES.items():
        if radiation.nominal:
            second = radiation.wavelength * lines.alpha2 / lines.alpha1
            yield replace(radiation, second=second, ratio=ALPHA_RATIO, anode=anode)
        elif abs(radiation.wavelength / lines.alpha1 - 1) < _SAME:
            yield doublet_of(anode)

"""Lattices ranked by the peaks of simulated patterns: against sub- and superlattices."""

from types import SimpleNamespace

import numpy as np
import pytest

from xtinct.errors import XtinctError
from xtinct.lattices.metric import form_metric
from xtinct.observer.fitting.line_sets import lines_of
from xtinct.observer.judging.pattern_evidence import INTENSITY_MEANS, INTENSITY_WEIGHTS, lorentz_polarization
from xtinct.observer.judging.ranking import peak_evidence
from xtinct.observer.peaks.peak_shapes import Profile, true_angle
from xtinct.symmetry.absences import absent


def peaks_of(family, cell, number, seed, spurious=0):
    """Peaks of a group's lines, heights by the law of intensities, positions 0.02 degrees off at random."""
    rng = np.random.default_rng(seed)
    metric = form_metric(family, np.array([cell], dtype=np.float64))[0]
    lines = lines_of(family, metric, 0.005, 0.6)
    allowed = np.zeros(len(lines), dtype=bool)
    np.logical_or.at(allowed, lines.owner, ~absent(number, lines.hkl))
    at = true_angle(lines.forms @ metric, 1.540593)
    kind = rng.choice(4, size=len(lines), p=INTENSITY_WEIGHTS / INTENSITY_WEIGHTS.sum())
    area = rng.exponential(size=len(lines)) * INTENSITY_MEANS[kind]
    area *= lines.multiplicity * lorentz_polarization(at) * allowed
    area = 100.0 * area / area.max()
    seen = area > 0.7
    at = np.append(at[seen] + 0.02 * rng.normal(size=seen.sum()), rng.uniform(20, 70, spurious))
    area = np.append(area[seen], np.full(spurious, 1.5))
    order = np.argsort(at)
    n = len(at)
    return metric, SimpleNamespace(
        two_theta=at[order],
        error=np.full(n, 0.005),
        area=area[order],
        area_error=np.full(n, 0.12),
        fwhm=np.full(n, 0.12),
        wavelength=1.540593,
        profile=Profile(),
        gaps=(),
    )


CASES = [
    ("orthorhombic", (5.3, 6.6, 8.2, 90, 90, 90), 62),
    ("tetragonal", (4.6, 4.6, 6.4, 90, 90, 90), 136),
    ("cubic", (10.4, 10.4, 10.4, 90, 90, 90), 206),
    ("trigonal-hexagonal", (5.0, 5.0, 17.1, 90, 90, 120), 167),
]


@pytest.mark.parametrize(("family", "cell", "number"), CASES)
def test_the_lattice_is_preferred_to_its_sub_and_superlattices(family, cell, number):
    won = 0
    for seed in range(5):
        metric, peaks = peaks_of(family, cell, number, seed, spurious=1)
        own = peak_evidence(peaks, family, metric).value
        others = []
        for axis in range(len(metric)):
            for factor in (0.25, 4.0):
                other = metric.copy()
                other[axis] *= factor
                found = peak_evidence(peaks, family, other)
                others.append(found.value if found else -np.inf)
        won += own > max(others)
    assert won >= 4


def test_centring_and_shift_are_seen():
    metric, peaks = peaks_of("cubic", (5.43, 5.43, 5.43, 90, 90, 90), 227, 1)
    found = peak_evidence(peaks, "cubic", metric)
    assert found.centring == "F"
    assert found.spurious == 0
    moved = SimpleNamespace(**{**vars(peaks), "two_theta": peaks.two_theta + 0.1})
    assert (
        peak_evidence(moved, "cubic", metric, shift=0.1).value
        > peak_evidence(moved, "cubic", metric).value + 10
    )


def test_a_short_wavelength_says_the_same():
    metric, peaks = peaks_of("cubic", (24.0, 24.0, 24.0, 90, 90, 90), 195, 1)
    copper = peak_evidence(peaks, "cubic", metric)
    wavelength = 0.4
    share = wavelength / peaks.wavelength
    sine = share * np.sin(np.radians(peaks.two_theta / 2))
    short = {"two_theta": 2 * np.degrees(np.arcsin(sine)), "wavelength": wavelength}
    short |= {name: getattr(peaks, name) * share for name in ("error", "fwhm")}
    found = peak_evidence(SimpleNamespace(**{**vars(peaks), **short}), "cubic", metric)
    assert short["two_theta"][0] < 2.0
    assert found.spurious == 0
    assert found.symbol == copper.symbol
    assert found.missing == pytest.approx(copper.missing, abs=1.0)


def test_what_cannot_be_judged_is_said():
    metric, peaks = peaks_of("cubic", (5.43, 5.43, 5.43, 90, 90, 90), 227, 1)
    assert peak_evidence(peaks, "cubic", metric / 1e4) is None
    nothing = SimpleNamespace(**{**vars(peaks), "two_theta": np.zeros(0)})
    with pytest.raises(XtinctError, match="no peaks"):
        peak_evidence(nothing, "cubic", metric)

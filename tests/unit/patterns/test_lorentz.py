"""One Lorentz-polarisation factor, with the monochromator, wherever one is needed."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from xtinct.ceiling.hypotheses import Hypotheses
from xtinct.ceiling.measured_lines import MeasurementModel, resolution_elements
from xtinct.linelists.line_lists import LineLists
from xtinct.measurements.preparation import on_grid
from xtinct.observer.exact.exact_classes import UNIFORM, evidence
from xtinct.observer.exact.line_fit import Decomposition
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.lorentz import geometric_factor
from xtinct.patterns.rendering import render
from xtinct.patterns.rendering_torch import Renderer
from xtinct.report.example_patterns import _visible

COPPER = Instrument(1.5406, 5.0, 90.0, 4096, "lorentz-polarisation", 0.2)
#: The graphite example of config/README.md.
GRAPHITE = replace(COPPER, monochromator=26.4)


def formula(two_theta, monochromator=None):
    """ITC vol. C (2004), 6.2.5: 1 / (sin 2theta sin theta), times (1 + A cos^2 2theta) with polarisation."""
    x = np.radians(two_theta)
    a = np.cos(np.radians(monochromator)) ** 2 if monochromator is not None else 0.0
    return (1 + a * np.cos(x) ** 2) / (np.sin(x) * np.sin(x / 2))


def test_the_factor_is_that_of_the_printed_table():
    """Cullity and Stock, Elements of X-ray Diffraction: (1 + cos^2 2theta) / (sin^2 theta cos theta)."""
    theta = np.radians([10.0, 30.0, 45.0])
    expected = np.array([63.41, 5.774, 2.828])
    for xp, array in ((np, theta), (torch, torch.from_numpy(theta))):
        found = geometric_factor(xp.sin(array), xp.cos(array), COPPER.polarisation)
        assert 2 * np.asarray(found) == pytest.approx(expected, rel=1e-3)
    assert GRAPHITE.polarisation == pytest.approx(0.80230, abs=1e-5)
    assert replace(COPPER, lorentz="lorentz").polarisation == 0


@pytest.mark.parametrize("instrument", [COPPER, GRAPHITE, replace(COPPER, lorentz="lorentz")])
def test_patterns_of_both_renderers_have_it(instrument):
    two_theta = np.array([20.0, 50.0, 85.0])
    d_star = 2 * np.sin(np.radians(two_theta / 2)) / 1.5406
    lines = LineLists(np.array([0, 3]), d_star, np.ones(3, dtype=np.float32))
    angle = None if instrument.lorentz == "lorentz" else instrument.monochromator
    expected = formula(two_theta, angle)
    for pattern in (render(lines, instrument)[0], Renderer(instrument)(lines)[0].numpy()):
        area = [pattern[abs(instrument.two_theta - x) < 1].astype(float).sum() for x in two_theta]
        assert np.array(area) / area[0] == pytest.approx(expected / expected[0], rel=1e-4)


@pytest.mark.parametrize(("wavelength", "was_off"), [(1.2, 0.034), (0.7093, 0.076)])
def test_a_measurement_at_another_wavelength_keeps_the_monochromator(wavelength, was_off):
    """A flat pattern comes out as the ratio of the factors at the two angles."""
    measured = np.linspace(1.0, 100.0, 20000)
    found = on_grid(measured, np.ones(len(measured)), wavelength, GRAPHITE, fill_missing=True)
    sine = np.sin(np.radians(GRAPHITE.two_theta / 2)) * wavelength / 1.5406
    there = np.degrees(2 * np.arcsin(sine))
    expected = formula(GRAPHITE.two_theta, 26.4) / formula(there, 26.4)
    assert found[20:] == pytest.approx(expected[20:], rel=2e-4)
    without = formula(GRAPHITE.two_theta, 0.0) / formula(there, 0.0)
    assert abs(without / expected - 1).max() == pytest.approx(was_off, abs=0.001)


def test_ceilings_of_a_measurement_have_it():
    """The smallest detected sum of an element goes as 1 / factor."""
    cell = np.array([6.0, 6, 6, 90, 90, 90])
    hypotheses = Hypotheses("cubic", 0.92, 6.0, (90.0, 90.0))
    thresholds = {}
    for angle in (0.0, 26.4):
        instrument = replace(COPPER, monochromator=angle)
        measurement = MeasurementModel.of_instrument(instrument, 0.1)
        assert measurement.monochromator == angle
        single = replace(measurement, width=0.0)
        thresholds[angle] = resolution_elements(hypotheses, cell, single)[1]
    n = np.unique((np.indices((8, 8, 8)) ** 2).sum(axis=0))[1:]
    two_theta = np.degrees(2 * np.arcsin(np.sqrt(n) * 1.5406 / 12, where=n < 60, out=np.full(len(n), np.nan)))
    two_theta = two_theta[(two_theta > 5) & (two_theta < 90)][: len(thresholds[0.0])]
    ratio = formula(two_theta, 0.0) / formula(two_theta, 26.4)
    assert thresholds[26.4] / thresholds[0.0] == pytest.approx(ratio / ratio[0], rel=1e-9)


def test_the_evidence_of_absences_has_it():
    """What an unseen line says goes as its error over the height that the factor lets expect."""
    two_theta = np.array([25.0, 40.0, 88.0])
    height = formula(two_theta, 26.4) * np.array([1.0, 0.0, 0.0])
    found = Decomposition(
        two_theta=two_theta,
        forms=np.arange(3),
        line=np.arange(3),
        height=height,
        error=np.full(3, 1e-4),
        covariance=np.diag(np.full(3, 1e-8)),
        local=np.ones(3),
        residual=0.0,
        points=4096,
    )
    weak = evidence(found, GRAPHITE, UNIFORM).weak
    expected = 1 / formula(two_theta, 26.4)
    assert weak / weak[0] == pytest.approx(expected / expected[0], rel=1e-6)


def test_patterns_of_the_report_have_it():
    d_star = 2 * np.sin(np.radians(np.array([25.0, 80.0]) / 2)) / 1.5406
    (_, first), (_, second) = _visible(d_star, np.array([1.0, 5.0]), GRAPHITE)
    factor = formula(np.array([25.0, 80.0]), 26.4)
    assert second / first == pytest.approx(5 * factor[1] / factor[0], abs=1e-3)

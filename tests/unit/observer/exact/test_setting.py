"""Patterns of another zero, width or wavelength than the instrument's, and families that are excluded."""

from dataclasses import replace

import numpy as np
import pytest

from xtinct.api import DEFAULT_INSTRUMENT
from xtinct.linelists.line_lists import LineLists
from xtinct.linelists.ulbd_lines import UlbdLines
from xtinct.observer.exact.exact_observer import Observer
from xtinct.observer.exact.observed_lines import find_lines
from xtinct.observer.exact.setting import fwhm_of, shifted, zeros
from xtinct.patterns.rendering import render

#: Published cells (Wyckoff, Crystal Structures, 1963).
CRYSTALS = {
    "halite": ("cubic", 225, [5.6402, 5.6402, 5.6402, 90, 90, 90], "F - - -"),
    "rutile": ("tetragonal", 136, [4.5937, 4.5937, 2.9587, 90, 90, 90], "P - n -"),
}


def lines_of(name):
    family, number, cell, _ = CRYSTALS[name]
    lines = UlbdLines(family, 0.95, 6.0)
    return lines.draw(np.array([number]), np.array([cell], dtype=float), np.array([1], np.uint64))


def pattern(name, instrument):
    return render(lines_of(name), instrument)[0].astype(float)


def observer(*families):
    """An observer for whom only some families are possible."""
    ranges = {"cubic": (195, 231), "tetragonal": (75, 143), "triclinic": (1, 3)}
    return Observer(DEFAULT_INSTRUMENT, prior={g: 1 for f in families for g in range(*ranges[f])})


@pytest.mark.parametrize("name", CRYSTALS)
@pytest.mark.parametrize("zero", [0.03, -0.1])
def test_a_shifted_zero_is_refined(name, zero):
    family, _, cell, symbol = CRYSTALS[name]
    y = pattern(name, shifted(DEFAULT_INSTRUMENT, zero))
    answer = observer(family, "triclinic").predict(y)[0]
    assert answer.family == family
    assert answer.lattice.zero == pytest.approx(zero, abs=1e-6)
    assert answer.lattice.cell == pytest.approx(cell, rel=1e-6)
    assert answer.classes[0][1] == symbol
    # Lines are given at their true angles.
    expected = lines_of(name).d_star[0]
    assert 2 * np.sin(np.radians(answer.lines.two_theta[0] / 2)) == pytest.approx(1.5406 * expected, rel=1e-6)


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_another_width_is_measured(factor):
    instrument = replace(DEFAULT_INSTRUMENT, fwhm=factor * DEFAULT_INSTRUMENT.fwhm)
    answer = observer("tetragonal").predict(pattern("rutile", instrument))[0]
    assert answer.classes[0][1] == "P - n -"
    assert answer.lattice.fwhm == pytest.approx(instrument.fwhm, rel=1e-6)
    assert answer.lattice.zero == 0


def test_the_instrument_as_it_is_stays():
    answer = observer("cubic").predict(pattern("halite", DEFAULT_INSTRUMENT))[0]
    assert (answer.lattice.zero, answer.lattice.fwhm) == (0, DEFAULT_INSTRUMENT.fwhm)


def test_a_doublet_is_no_triclinic_crystal():
    d_star, intensity = lines_of("rutile")[0]
    second = d_star * 1.5405929 / 1.5444274  # K-alpha2, read with the wavelength of K-alpha1
    order = np.argsort(both := np.concatenate([d_star, second]), kind="stable")
    heights = np.concatenate([intensity, 0.5 * intensity])[order]
    y = render(LineLists(np.array([0, len(both)]), both[order], heights), DEFAULT_INSTRUMENT)[0]
    answer = observer("cubic", "triclinic").predict(y)[0]
    assert answer.lattice is None
    # The prior: 36 + 2 groups, all alike.
    assert dict(answer.groups)[1] == pytest.approx(1 / 38)
    assert dict(answer.groups)[225] == pytest.approx(1 / 38)
    assert dict(answer.groups)[62] == 0


def test_too_few_lines_for_the_parameters_are_no_lattice():
    """Silicon shows 8 lines; monoclinic cells explain any 4 of them and more by chance."""
    cell = np.array([[5.4309] * 3 + [90.0] * 3])
    lines = UlbdLines("cubic", 0.95, 6.0).draw(np.array([227]), cell, np.array([1], np.uint64))
    y = render(lines, shifted(DEFAULT_INSTRUMENT, 0.03))[0]
    answer = Observer(DEFAULT_INSTRUMENT, "monoclinic").predict(y)[0]
    assert answer.lattice is None


def test_pairs_of_orders_tell_the_shift():
    lines = find_lines(pattern("rutile", shifted(DEFAULT_INSTRUMENT, 0.07)), DEFAULT_INSTRUMENT)
    shift, pairs = zeros(lines)
    assert shift[0] == pytest.approx(0.07, abs=1e-4)
    assert pairs[0] == max(pairs) > 1


def test_the_width_is_that_of_single_peaks_whatever_overlaps():
    two_theta = np.array([20.0, 20.15, 20.25, 35.0, 35.12, 60.0])
    d_star = 2 * np.sin(np.radians(two_theta / 2)) / DEFAULT_INSTRUMENT.wavelength
    lines = LineLists(np.array([0, 6]), d_star, np.array([1.0, 1.0, 1.0, 1.0, 0.7, 1.0], np.float32))
    wide = replace(DEFAULT_INSTRUMENT, fwhm=0.3)
    y = render(lines, wide)[0].astype(float)
    assert fwhm_of(y, DEFAULT_INSTRUMENT) == pytest.approx(0.3, rel=1e-5)
    noisy = y + 1e-3 * np.random.default_rng(0).standard_normal(len(y))
    assert fwhm_of(noisy, DEFAULT_INSTRUMENT) == pytest.approx(0.3, rel=0.05)
    assert np.isnan(fwhm_of(np.ones(100), DEFAULT_INSTRUMENT))


def test_a_nearly_cubic_cell_does_not_imitate_a_shift():
    """The 12 lines of a shifted cubic pattern, each split as a nearly cubic monoclinic cell allows."""
    cell = np.array([[6.485] * 3 + [90.0] * 3])
    lines = UlbdLines("cubic", 0.95, 7.0).draw(np.array([220]), cell, np.array([1], np.uint64))
    y = render(lines, shifted(DEFAULT_INSTRUMENT, 0.03))[0]
    answer = Observer(DEFAULT_INSTRUMENT, "monoclinic").predict(y)[0]
    assert answer.lattice is None or answer.lattice.zero == pytest.approx(0.03, abs=1e-6)

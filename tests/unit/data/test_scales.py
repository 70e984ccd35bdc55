"""Patterns and lines on other axes, against Bragg's law."""

import math
from dataclasses import replace

import numpy as np
import pytest

from xtinct.data import AXES, LABELS, Labels, LineView, PatternAxis, Patterns, from_d_star, to_d_star
from xtinct.errors import XtinctError
from xtinct.learning.loading import Batch
from xtinct.linelists.line_lists import LineLists
from xtinct.patterns.instrument import Instrument
from xtinct.symmetry.families import space_groups

WAVELENGTH = 1.5406
OPTICS = Instrument(
    wavelength=WAVELENGTH, two_theta_min=5, two_theta_max=90, points=8192, lorentz="lorentz", fwhm=0.1
)
#: Silicon, a = 5.43102 angstrom: d of 111 and its 2theta for Cu K-alpha1, as tabulated (NIST SRM 640).
D_111, TWO_THETA_111 = 5.43102 / math.sqrt(3), 28.441


def one_line(d):
    lines = LineLists(np.array([0, 1]), np.array([1 / d]), np.ones(1, np.float32))
    return Batch(lines, np.array([227], np.int16), None)


def test_silicon_111_stands_where_the_tables_say():
    where = {
        "2theta": TWO_THETA_111,
        "d": D_111,
        "Q": 2 * math.pi / D_111,
        "log Q": math.log(2 * math.pi / D_111),
    }
    for axis, position in where.items():
        assert from_d_star(axis, 1 / D_111, WAVELENGTH) == pytest.approx(position, abs=2e-3)
        assert to_d_star(axis, from_d_star(axis, 1 / D_111, WAVELENGTH), WAVELENGTH) == pytest.approx(
            1 / D_111
        )
        ((position_of_line, _),) = LineView(OPTICS, PatternAxis(axis))(one_line(D_111))
        assert position_of_line.item() == pytest.approx(position, abs=2e-3)
        view = Patterns(OPTICS, PatternAxis(axis, points=4096))
        (pattern,) = view(one_line(D_111))
        step = view.abscissa[1] - view.abscissa[0]
        assert abs(view.abscissa[pattern.argmax()] - position) < step + 2e-3


@pytest.mark.parametrize("axis", AXES)
def test_the_ends_are_those_of_the_instrument_and_whatever_lies_beyond_is_cut(axis):
    low, high = PatternAxis(axis).ends(OPTICS)
    ends = sorted(from_d_star(axis, to_d_star("2theta", np.array([5, 90]), WAVELENGTH), WAVELENGTH))
    np.testing.assert_allclose([low, high], ends, rtol=1e-12)
    # 1/d of lines at 4, 5.001, 89.99 and 91 degrees, and one that no angle reaches.
    d_star = np.append(to_d_star("2theta", np.array([4, 5.001, 89.99, 91]), WAVELENGTH), 1.4)
    lines = LineLists(np.array([0, 5]), d_star, np.array([9, 1, 2, 9, 9], np.float32))
    ((position, intensity),) = LineView(OPTICS, PatternAxis(axis))(Batch(lines, np.array([1]), None))
    expected = from_d_star(axis, to_d_star("2theta", np.array([5.001, 89.99]), WAVELENGTH), WAVELENGTH)
    order = np.argsort(expected)
    np.testing.assert_allclose(position, expected[order], rtol=1e-6)
    np.testing.assert_allclose(intensity, np.array([0.5, 1])[order])
    with pytest.raises(XtinctError, match=f"axis {axis}: .* which the instrument measures"):
        Patterns(OPTICS, PatternAxis(axis, low=low - 0.1 * (high - low)))
    with pytest.raises(XtinctError, match="expected an ascending finite range"):
        Patterns(OPTICS, PatternAxis(axis, low=high, high=low))


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("points", [20000, 300])
def test_a_pattern_that_rises_with_2theta_reads_2theta_at_every_point(axis, points):
    view = Patterns(OPTICS, PatternAxis(axis, points=points))
    found = view._means @ OPTICS.two_theta
    wanted = from_d_star("2theta", to_d_star(axis, view.abscissa, WAVELENGTH), WAVELENGTH)
    # The mean of an interval differs from its middle by the curvature; at the ends half of it is cut.
    widths = np.abs(np.gradient(wanted))
    assert (abs(found - wanted) <= 0.02 * widths + 1e-9)[1:-1].all() or points == 300
    assert (abs(found - wanted) <= 0.5 * widths + 1e-9).all()
    np.testing.assert_allclose(view._means.sum(axis=1), 1, rtol=1e-12)


def test_coarse_points_keep_the_area_of_a_narrow_peak():
    fine, coarse = (Patterns(OPTICS, PatternAxis("2theta", points=points)) for points in (8192, 101))
    areas = [
        float(view(one_line(D_111))[0].sum() * (view.abscissa[1] - view.abscissa[0]))
        for view in (fine, coarse)
    ]
    assert areas[1] == pytest.approx(areas[0], rel=0.01)


def test_an_axis_that_ends_at_zero_degrees_has_no_largest_d():
    optics = Instrument(WAVELENGTH, 0, 90, 1000, "lorentz", 0.1)
    with pytest.raises(XtinctError, match="finite range"):
        Patterns(optics, PatternAxis("d"))
    assert Patterns(optics, PatternAxis("d", low=2, high=10)).abscissa[-1] == 10


def test_the_instrument_s_own_points_are_known_on_every_processor():
    # Whether sine and arcsine give the angle back to the last digit depends on the processor.
    for last in np.linspace(60, 140, 81):
        optics = replace(OPTICS, two_theta_max=float(last), wavelength=1.0)
        assert PatternAxis().ends(optics) == (5, last)
        assert PatternAxis().is_own(optics)
        assert not PatternAxis(points=4096).is_own(optics)


def test_unknown_axes_and_too_few_points_are_refused():
    with pytest.raises(XtinctError, match="axis 'q': expected one of 2theta, d, Q, log Q"):
        PatternAxis("q")
    with pytest.raises(XtinctError, match="1 points"):
        PatternAxis(points=1)


def test_labels_of_all_230_groups():
    numbers = np.arange(1, 231)
    labels = Labels("all", LABELS)(numbers)
    assert [label["spacegroup_number"] for label in labels] == numbers.tolist()
    sizes = {name: len({label[name] for label in labels}) for name in LABELS}
    assert sizes == {
        "extinction_class": 97, "spacegroup": 230, "crystal_system": 7, "family": 6, "spacegroup_number": 230
    }  # fmt: skip
    names = Labels("all", "family")
    assert {names.names()[label] for label in names(np.array(space_groups("cubic")))} == {"cubic"}

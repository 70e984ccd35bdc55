"""Cells and classes of patterns whose crystal is known."""

import numpy as np
import pytest

import xtinct
from xtinct.api import DEFAULT_INSTRUMENT
from xtinct.ceiling.hypotheses import Window
from xtinct.ceiling.single_patterns import possible_groups
from xtinct.errors import XtinctError
from xtinct.lattices.cells import figure_of_merit, standard_axes
from xtinct.lattices.metric import form_metric
from xtinct.linelists.line_lists import LineLists
from xtinct.linelists.ulbd_lines import UlbdLines
from xtinct.observer.exact.exact_observer import Observer, hybrid
from xtinct.observer.exact.observed_lines import find_lines
from xtinct.observer.exact.readings import Reading
from xtinct.observer.exact.search import SearchLines, search
from xtinct.patterns.rendering import render

#: Published cells (Wyckoff, Crystal Structures, 1963; quartz: Levien et al. 1980; monazite: Ni et al. 1995).
CRYSTALS = {
    "halite": (225, [5.6402, 5.6402, 5.6402, 90, 90, 90], "F - - -"),
    "silicon": (227, [5.4309, 5.4309, 5.4309, 90, 90, 90], "F d - -"),
    "rutile": (136, [4.5937, 4.5937, 2.9587, 90, 90, 90], "P - n -"),
    "quartz": (152, [4.916, 4.916, 5.4054, 90, 90, 120], "P 31(62) - -"),
    "forsterite": (62, [10.207, 5.980, 4.756, 90, 90, 90], "P n a -"),
    "monazite": (14, [6.7902, 7.0203, 6.4674, 90, 103.38, 90], "P 1 21/c 1"),
}


def pattern(name, seed=0):
    number, cell, _ = CRYSTALS[name]
    return xtinct.ulbd_patterns(number, [cell], 1, seed)


def classes_of(observer, name, family, metric):
    """Probabilities of the classes of a pattern, with its lattice given."""
    reading = Reading.of(pattern(name)[0].astype(float), observer.instrument)
    return observer.finder.judge.judge(reading, family, metric).posterior.classes


def lengths(cell):
    return np.sort(cell[:3])


@pytest.mark.parametrize("name", CRYSTALS)
def test_a_published_cell_and_its_class_are_found_without_knowing_the_family(name):
    number, cell, symbol = CRYSTALS[name]
    answer = Observer(DEFAULT_INSTRUMENT).predict(pattern(name))[0]
    assert answer.lattice is not None
    assert lengths(answer.lattice.cell) == pytest.approx(lengths(np.array(cell)), rel=1e-5)
    family, first, probability = answer.classes[0]
    assert family == answer.family
    assert first == symbol
    assert probability > 0.99
    best = answer.groups[0][1]
    assert number in [group for group, p in answer.groups if p > 0.99 * best]
    assert sum(p for _, p in answer.groups) == pytest.approx(1)
    assert answer.lattice.merit > 1000
    assert answer.hkl[answer.lines.clean].any(axis=1).all()


def test_the_groups_that_share_the_probability_are_those_the_lines_leave_possible():
    number, cell, _ = CRYSTALS["rutile"]
    answer = Observer(DEFAULT_INSTRUMENT, "tetragonal").predict(pattern("rutile"))[0]
    drawn = UlbdLines("tetragonal", 0.93, 5.0).draw(
        np.array([number]), np.array([cell]), np.array([1], np.uint64)
    )
    window = Window.of_instrument(DEFAULT_INSTRUMENT)
    left = possible_groups("tetragonal", drawn.d_star, np.array(cell, dtype=float), window)
    assert {group for group, p in answer.groups if p > 0.05} == set(left.exact)


def test_a_pattern_may_have_any_scale():
    observer = Observer(DEFAULT_INSTRUMENT, "tetragonal")
    found = [observer.predict(factor * pattern("rutile").astype(np.float64))[0] for factor in (1e-3, 7e4)]
    assert [g for g, _ in found[0].groups] == [g for g, _ in found[1].groups]
    assert [p for _, p in found[0].groups] == pytest.approx([p for _, p in found[1].groups], abs=1e-6)


def test_names_of_axes_do_not_matter():
    observer = Observer(DEFAULT_INSTRUMENT, "orthorhombic")
    # Pnma and its setting Pbnm (a b c -> c a b) put the same lines at the same angles.
    answer = observer.predict(pattern("forsterite"))[0]
    metric = form_metric("orthorhombic", answer.lattice.cell[None])[0]
    classes = [
        classes_of(observer, "forsterite", "orthorhombic", metric[list(order)])
        for order in ((0, 1, 2), (2, 0, 1))
    ]
    assert classes[0] == pytest.approx(classes[1], abs=1e-9)


def test_all_monoclinic_cell_choices_are_one():
    observer = Observer(DEFAULT_INSTRUMENT, "monoclinic")
    a, b, c, ac = form_metric("monoclinic", np.array([CRYSTALS["monazite"][1]], dtype=float))[0]
    other = np.array([a, b, a + c + ac, 2 * a + ac])  # c* -> a* + c*: another basis of the plane
    for metric in (np.array([a, b, c, ac]), other):
        classes = classes_of(observer, "monazite", "monoclinic", standard_axes("monoclinic", metric))
        assert classes.max() > 0.99


def test_one_line_of_another_phase_does_not_hide_the_lattice():
    q = np.array([3.0, 8.0, 11.0, 16.0, 19.0, 24.0, 27.0, 32.0, 35.0, 40.0]) / 5.4309**2  # silicon
    with_impurity = np.sort(np.append(q, 9.37 / 5.4309**2))
    tolerance = 1e-5 * with_impurity
    assert search("cubic", SearchLines.of(with_impurity, tolerance))[:0] == []
    cells = search("cubic", SearchLines.of(with_impurity, tolerance, missed=1))
    assert any(abs(cell.cell[0] / 5.4309 - 1) < 1e-5 for cell in cells)


def test_a_missing_line_changes_no_cell():
    number, cell, _ = CRYSTALS["quartz"]
    drawn = UlbdLines("trigonal-hexagonal", 0.93, 6.0).draw(
        np.array([number]), np.array([cell]), np.array([1], np.uint64)
    )
    q = np.delete(drawn.d_star**2, [1, 4])
    best = search("trigonal-hexagonal", SearchLines.of(q, 1e-5 * q))[0]
    assert best.cell[[0, 2]] == pytest.approx([cell[0], cell[2]], rel=1e-5)


def test_one_exact_line_of_a_superstructure_is_no_impurity():
    """100 to 210 of a primitive cubic cell of 3 angstrom, and 111 of the cell of twice its axis."""
    q = np.array([3, 4, 8, 12, 16, 20]) / 6.0**2
    best = search("cubic", SearchLines.of(q, 1e-5 * q, missed=1))[0]
    assert best.cell[0] == pytest.approx(6.0, rel=1e-5)
    assert best.missed == 0


def test_positions_are_found_far_below_the_grid_step_and_weak_lines_beside_strong_ones():
    two_theta = np.array([20.0, 20.5, 35.123, 60.0])
    d_star = 2 * np.sin(np.radians(two_theta / 2)) / DEFAULT_INSTRUMENT.wavelength
    lines = LineLists(np.array([0, 4]), d_star, np.array([1.0, 3e-4, 0.5, 0.02], np.float32))
    found = find_lines(render(lines, DEFAULT_INSTRUMENT)[0], DEFAULT_INSTRUMENT)
    assert found.two_theta == pytest.approx(two_theta, abs=1e-3)
    assert found.two_theta[[0, 2, 3]] == pytest.approx(two_theta[[0, 2, 3]], abs=1e-5)


def test_figure_of_merit_of_a_published_list():
    # Cubic, a = 4: 20 lines displaced by 1e-5 in 1/d^2; N20 counts possible N = h2 + k2 + l2 up to the 20th.
    possible = [n for n in range(1, 30) if n not in (7, 15, 23, 28)][:20]
    q = np.array(possible) / 16 + 1e-5 * np.tile([1, -1], 10)
    n_20 = len([n for n in possible if n / 16 <= q[-1] + 1e-4])
    merit = figure_of_merit("cubic", np.array([1 / 16]), q)
    assert merit == pytest.approx(q[-1] / (2 * 1e-5 * n_20), rel=1e-3)


def test_the_product_divides_the_prior_of_the_network_out():
    observer = np.array([[0.5, 0.5], [0.5, 0.5]])
    network = np.array([[0.9, 0.1], [0.2, 0.8]])
    joined = hybrid(observer, np.array([True, False]), network, np.array([9.0, 1.0]))
    # The network said no more than its prior, so the observer's answer stands; without lattice the network's.
    assert joined == pytest.approx(np.array([[0.5, 0.5], [0.2, 0.8]]))


def test_what_no_lattice_explains_is_answered_with_the_prior():
    """Lines at irregular places are nobody's crystal."""
    d_star = np.array([0.2113, 0.3271, 0.3877, 0.4639, 0.5531, 0.6047, 0.7103, 0.7919])
    lines = LineLists(np.array([0, 8]), d_star, np.linspace(0.3, 1.0, 8).astype(np.float32))
    observer = Observer(DEFAULT_INSTRUMENT, "cubic", prior={225: 3, 221: 1})
    (probabilities,), found = observer.group_probabilities(render(lines, DEFAULT_INSTRUMENT))
    assert not found[0]
    said = {int(g): p for g, p in zip(observer.groups, probabilities, strict=True) if p}
    assert said == pytest.approx({221: 0.25, 225: 0.75})


def test_unsuitable_input_is_refused():
    with pytest.raises(XtinctError, match="shape"):
        Observer(DEFAULT_INSTRUMENT).predict(np.ones((1, 10)))
    with pytest.raises(XtinctError, match="somewhere positive"):
        Observer(DEFAULT_INSTRUMENT).predict(np.zeros((1, 8192)))
    with pytest.raises(XtinctError, match="crystal family"):
        Observer(DEFAULT_INSTRUMENT, "rhombic")

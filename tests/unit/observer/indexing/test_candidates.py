"""Lattices of peak lists: exact lists of every Bravais lattice, noise, lists of lines, relations."""

from dataclasses import replace

import gemmi
import numpy as np
import pytest

from xtinct.errors import XtinctError
from xtinct.lattices import bravais
from xtinct.observer.indexing.candidates import NOTHING, Limits, candidates, once, used_lines
from xtinct.observer.indexing.merit import merit
from xtinct.observer.indexing.trees import LONGEST
from xtinct.observer.peaks import peak_lists
from xtinct.symmetry.families import FAMILIES

#: One cell of each Bravais lattice and a space group without other absences (ITA 2016).
KNOWN = {
    "cP": ("P m -3 m", (7.31, 7.31, 7.31, 90, 90, 90)),
    "cI": ("I m -3 m", (9.17, 9.17, 9.17, 90, 90, 90)),
    "cF": ("F m -3 m", (8.39, 8.39, 8.39, 90, 90, 90)),
    "tP": ("P 4/m m m", (6.13, 6.13, 9.41, 90, 90, 90)),
    "tI": ("I 4/m m m", (5.77, 5.77, 13.7, 90, 90, 90)),
    "hP": ("P 6/m m m", (7.03, 7.03, 8.87, 90, 90, 120)),
    "hR": ("R -3 m :H", (8.11, 8.11, 13.7, 90, 90, 120)),
    "oP": ("P m m m", (5.12, 7.43, 9.07, 90, 90, 90)),
    "oC": ("C m m m", (8.31, 11.2, 6.17, 90, 90, 90)),
    "oI": ("I m m m", (6.41, 8.72, 10.9, 90, 90, 90)),
    "oF": ("F m m m", (9.31, 11.9, 14.7, 90, 90, 90)),
    "mP": ("P 1 2/m 1", (6.23, 7.91, 8.87, 90, 103.7, 90)),
    "mC": ("C 1 2/m 1", (11.3, 7.17, 8.03, 90, 107.1, 90)),
    "aP": ("P -1", (5.41, 6.83, 8.07, 83.2, 76.4, 71.9)),
}
#: The families of few free numbers: their searches take a tenth of the time of the others.
QUICK = ("cubic", "tetragonal", "trigonal-hexagonal", "orthorhombic")


#: Cells of 8,000 to 9,600 cubic angstrom, and space groups of them.
LARGE = {
    "orthorhombic": ("P n m a", (24.14, 12.93, 26.97, 90, 90, 90)),
    "monoclinic": ("P 1 21/c 1", (27.2, 18.51, 19.99, 90, 103.1, 90)),
    "triclinic": ("P -1", (16.47, 18.37, 29.94, 84.7, 86.9, 80.7)),
}


def listed(name: str, cell: tuple[float, ...], most: int = 40, least: float = 1.0) -> np.ndarray:
    """d of the first lines of a cell by gemmi, the longest first, down to `least` angstrom."""
    group, cell = gemmi.SpaceGroup(name), gemmi.UnitCell(*cell)
    hkl = gemmi.make_miller_array(cell, group, least, 50.0)
    d = np.unique(np.round([cell.calculate_d(list(map(int, row))) for row in hkl], 7))[::-1]
    return d[:most]


@pytest.mark.parametrize("name", KNOWN)
def test_exact_list_of_every_bravais_lattice_is_indexed(name):
    group, cell = KNOWN[name]
    found = candidates(
        peak_lists.from_d(listed(group, cell)), QUICK if name[0] in "ctho" else tuple(FAMILIES)
    )
    best = found[0]
    truth = bravais.reduced(np.array(cell, dtype=float), group[0])
    assert best.bravais == name
    assert bravais.same(best.reduced, truth, 0.001, 0.1)  # Niggli cells by gemmi
    assert best.score > NOTHING
    assert best.explained.all()
    assert abs(best.shift) < 0.01
    assert merit(best, peak_lists.from_d(listed(group, cell))).m20 > 100


def test_lines_in_a_gap_are_not_missed():
    """What was not measured speaks against no lattice."""
    group, cell = KNOWN["cF"]
    d = listed(group, cell)
    seen = peak_lists.from_d(np.delete(d, slice(4, 9)))
    area = np.where(np.arange(len(seen)) % 5, 1.0, 0.01)  # weak lines are found too
    seen = replace(seen, area=area, area_error=area / 30)
    angles = peak_lists.from_d(d).two_theta
    gap = (float(angles[3] + angles[4]) / 2, float(angles[8] + angles[9]) / 2)
    missed = candidates(seen, ["cubic"])[0]
    spared = candidates(replace(seen, gaps=(gap,)), ["cubic"])[0]
    assert spared.bravais == missed.bravais == "cF"
    assert spared.score > missed.score + 1


def test_shifted_list_with_foreign_and_missing_lines():
    group, cell = KNOWN["mP"]
    peaks = peak_lists.from_d(listed(group, cell))
    rng = np.random.default_rng(5)
    kept = np.sort(rng.permutation(30)[4:])
    two_theta = np.concatenate([peaks.two_theta[kept] + 0.07 + rng.normal(0, 0.008, 26), [17.3, 26.1]])
    best = candidates(peak_lists.from_two_theta(two_theta, peaks.wavelength))[0]
    assert bravais.same(best.reduced, bravais.reduced(np.array(cell, dtype=float)), 0.005, 0.3)
    assert best.shift == pytest.approx(0.07, abs=0.02)
    assert best.bravais == "mP"


@pytest.mark.parametrize("family", LARGE)
def test_large_cell_is_found(family):
    group, cell = LARGE[family]
    # Every fourth line is not seen.
    d = np.delete(listed(group, cell, 40, 5.0), slice(2, None, 4))
    best = candidates(peak_lists.from_d(d), (family,))[0]
    assert bravais.same(best.reduced, bravais.reduced(np.array(cell, dtype=float)), 0.002, 0.2)
    assert best.explained.all()


@pytest.mark.parametrize("family", LARGE)
def test_sharp_lines_of_a_short_wavelength_are_told_apart(family):
    group, cell = LARGE[family]
    d = np.delete(listed(group, cell, 40, 5.0), slice(2, None, 4))
    exact = peak_lists.from_d(d, wavelength=0.4).two_theta
    two_theta = exact + np.random.default_rng(3).normal(0, 0.0005, len(exact))
    n = len(two_theta)
    peaks = replace(
        peak_lists.from_two_theta(two_theta, 0.4), error=np.full(n, 0.0005), fwhm=np.full(n, 0.015)
    )
    best = candidates(peaks, (family,))[0]
    assert bravais.same(best.reduced, bravais.reduced(np.array(cell, dtype=float)), 0.002, 0.2)
    assert best.explained.all()
    assert abs(best.shift) < 0.002


def test_a_line_far_below_the_others_is_doubtful_and_one_of_many_is_not():
    few = used_lines(peak_lists.from_d(np.append(17.0, listed(*KNOWN["oP"]))), Limits())
    many = used_lines(peak_lists.from_d(listed(*LARGE["triclinic"], 30, 5.0)), Limits())
    assert few.every.foreign[0] >= 0.4
    assert (few.every.foreign[1:] < 0.1).all()
    assert (many.every.foreign < 0.1).all()


def test_no_relative_of_a_candidate_is_longer_than_what_the_search_tries():
    long = listed("P 6/m m m", (5.2, 5.2, 70.0, 90, 90, 120), 30)
    found = candidates(peak_lists.from_d(long), ("trigonal-hexagonal",))
    assert 60 < max(one.reduced[:3].max() for one in found) <= LONGEST


def test_a_cell_is_judged_once_whatever_its_centring():
    group, cell = KNOWN["oP"]
    found = candidates(peak_lists.from_d(listed(group, cell)), QUICK)
    short = once(found, 30)
    assert short[0] is found[0]
    assert len(short) == 30
    own = [(one.family, np.sort(one.metric)) for one in short]
    for i, (family, metric) in enumerate(own):
        assert not any(family == f and np.allclose(metric, m, rtol=1e-4, atol=0) for f, m in own[:i])
    # Nothing else is lost: each of the best has its cell among those kept.
    for one in found[:30]:
        assert any(one.family == f and np.allclose(np.sort(one.metric), m, rtol=5e-3) for f, m in own)
    # There were cells of several centrings.
    assert short[-1] is not found[29]


def test_order_of_lines_and_unit_do_not_matter():
    group, cell = KNOWN["oP"]
    d = listed(group, cell)
    first = candidates(peak_lists.from_d(d), QUICK)[0]
    for peaks in (
        peak_lists.from_d(d[::-1]),
        peak_lists.from_two_theta(
            2 * np.degrees(np.arcsin(peak_lists.WAVELENGTH / 2 / d)), peak_lists.WAVELENGTH
        ),
    ):
        other = candidates(peaks, QUICK)[0]
        assert other.family == first.family
        assert other.metric == pytest.approx(first.metric, rel=1e-9)
        assert other.score == pytest.approx(first.score, abs=1e-6)


def test_random_lists_have_no_lattice():
    rng = np.random.default_rng(11)
    for n in (6, 12, 25):
        two_theta = np.sort(rng.uniform(12, 70, n))
        found = candidates(peak_lists.from_two_theta(two_theta, peak_lists.WAVELENGTH), QUICK)
        assert not found or found[0].score < NOTHING


def test_too_few_lines_have_no_lattice():
    assert candidates(peak_lists.from_d(np.array([3.0, 2.0]))) == []


@pytest.mark.parametrize(
    ("d", "named"),
    [
        ([3.0, -1.0], "row 2"),
        ([3.0, np.nan], "row 2"),
        ([0.5], "0.5 angstrom in row 1"),
        ([], "at least one"),
    ],
)
def test_bad_lists_are_refused_by_row(d, named):
    with pytest.raises(XtinctError, match=named):
        peak_lists.from_d(np.array(d))


def test_errors_of_d_become_errors_of_angle():
    # By Bragg's law, numerically.
    d, error = 3.1, 0.004
    angle = [2 * np.degrees(np.arcsin(peak_lists.WAVELENGTH / 2 / x)) for x in (d - error, d + error)]
    peaks = peak_lists.from_d(np.array([d]), peak_lists.ListedLines(error=error))
    assert peaks.error[0] == pytest.approx((angle[0] - angle[1]) / 2, rel=1e-4)

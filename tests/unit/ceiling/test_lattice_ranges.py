"""Ceilings of lattice distributions: special lattices, windows and their limits."""

import math
from fractions import Fraction

import numpy as np
import pytest

from xtinct.ceiling.extinction import CeilingQuestion, ceilings
from xtinct.ceiling.hypotheses import Hypotheses, Window
from xtinct.ceiling.lattice_ranges import lattice_ceiling, sampled_cells
from xtinct.errors import XtinctError
from xtinct.lattices.distributions import LatticeSpec
from xtinct.patterns.instrument import Instrument
from xtinct.symmetry.classes import class_symbol, extinction_classes, setting_classes
from xtinct.symmetry.families import FAMILIES, space_groups

WINDOW = Window.of_instrument(
    Instrument(
        wavelength=1.5406, two_theta_min=5.0, two_theta_max=90.0, points=8192, lorentz="lorentz", fwhm=0.23548
    )
)
ANGLES = {"monoclinic": (90.0, 120.0), "triclinic": (70.0, 110.0)}


def continuous(family, low=8.0, high=11.0):
    return LatticeSpec("continuous", (low, high), ANGLES.get(family, (90.0, 90.0)), count=1)


@pytest.mark.parametrize("family", FAMILIES)
def test_generic_lattices_lose_nothing(family):
    result = lattice_ceiling(family, continuous(family), WINDOW, samples=40)
    assert result.ceilings == ceilings(family)
    assert result.merged == ()
    assert set(result.standard_errors.values()) == {0.0}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_window_without_lines_leaves_the_prior(family):
    result = lattice_ceiling(
        family, continuous(family), Window(0.0, 0.01), question=CeilingQuestion(ks=(1, 3)), samples=5
    )
    n = len(space_groups(family))
    assert result.ceilings == {1: Fraction(1, n), 3: Fraction(min(3, n), n)}


def test_special_lattices_of_the_seed_paper_mesh():
    """Tetragonal 5-15 angstrom in steps of 0.05: classes coincide only where c/a is a simple fraction."""
    result = lattice_ceiling("tetragonal", LatticeSpec("mesh", (5.0, 15.0), step=0.05), WINDOW)
    assert result.exact
    assert (result.n_lattices, len(result.merged)) == (39_800, 255)
    for lattice in result.merged:
        ratio = Fraction(round(lattice.cell[2] * 100), round(lattice.cell[0] * 100))
        assert max(ratio.numerator, ratio.denominator) <= 7
    assert result.ceilings[1] < ceilings("tetragonal")[1]


def test_only_one_special_lattice_in_the_hexagonal_mesh():
    result = lattice_ceiling("trigonal-hexagonal", LatticeSpec("mesh", (10.0, 15.0), step=0.5), WINDOW)
    (lattice,) = result.merged
    assert lattice.cell[:3] == (14.0, 14.0, 10.5)


def test_cubic_cells_that_separate_all_classes():
    """With Cu K alpha 1 and 5-90 degrees: from the cell that shows N = 21 to the one that loses N = 1."""
    result = lattice_ceiling("cubic", LatticeSpec("continuous", (3.0, 20.0), count=1), WINDOW)
    smallest, largest = math.sqrt(21) / WINDOW.d_star_max, 1 / WINDOW.d_star_min
    assert (smallest, largest) == (pytest.approx(4.993, abs=1e-3), pytest.approx(17.66, abs=1e-2))
    lost = sum(lattice.share for lattice in result.merged)
    assert lost == pytest.approx((smallest - 3 + 20 - largest) / 17)
    assert all(not smallest < lattice.cell[0] < largest for lattice in result.merged)
    assert {pair for lattice in result.merged if lattice.cell[0] > largest for pair in lattice.pairs} >= {
        ("P - - -", "P 21(42) - -")
    }


def test_exact_integration_over_cubic_cells_agrees_with_sampling():
    spec = LatticeSpec("continuous", (3.0, 8.0), count=1)
    exact = lattice_ceiling("cubic", spec, WINDOW).ceilings
    hypotheses = Hypotheses("cubic", WINDOW.d_star_max, 8.0)
    cells = spec.cells("cubic", 1, np.arange(4000))
    signatures = hypotheses.signatures(cells, WINDOW)
    won = (
        np.array([sum(1 for _ in set(row.tolist())) for row in signatures]) / 36
    )  # one right group per line set
    assert abs(won.mean() - exact[1]) < 4 * won.std() / math.sqrt(len(won))


def test_pseudo_cubic_metrics_merge_tetragonal_classes():
    """a = c exactly: 00l: l = 2n is hidden by h00, so that 42 screws and no screws look alike."""
    hypotheses = Hypotheses("tetragonal", WINDOW.d_star_max, 9.0)
    cubic = np.array([[9.0, 9.0, 9.0, 90.0, 90.0, 90.0]])
    (row,) = hypotheses.signatures(cubic, WINDOW)
    of_class = dict(zip(hypotheses.symbols, row.tolist(), strict=True))
    assert of_class["P - - -"] == of_class["P 42 - -"]
    assert of_class["P - - -"] != of_class["P 42 21 -"]
    near = cubic * [1, 1, 1.001, 1, 1, 1]
    assert len(set(hypotheses.signatures(near, WINDOW)[0].tolist())) == 31


def test_labelled_hypotheses_are_the_settings_of_ita():
    """Orthorhombic absence sets on an indexed cell with unnamed axes: the 111 extinction symbols."""
    hypotheses = Hypotheses("orthorhombic", WINDOW.d_star_max, 8.0)
    assert len(hypotheses.symbols) == len(setting_classes("orthorhombic")) == 111
    assert (hypotheses.share.sum(axis=0) == 6).all()
    assert set(hypotheses.symbols) == {cls.symbol for cls in extinction_classes("orthorhombic")}


@pytest.mark.parametrize("samples", [12, 100, 1000])
def test_samples_of_a_mesh_are_spread_over_it_and_every_lattice_counts_alike(samples):
    """The mesh is in lexical order: its first lattices have the shortest a alone."""
    spec = LatticeSpec("mesh", (5.0, 15.0), step=0.1)
    cells = sampled_cells("tetragonal", spec, 3, samples)
    assert len(np.unique(cells, axis=0)) == samples
    for axis in (0, 2):
        assert abs(cells[:, axis].mean() - 9.95) < 6 / np.sqrt(12 * samples)
        assert cells[:, axis].std() == pytest.approx(10 / np.sqrt(12), rel=0.2)
    few = LatticeSpec("mesh", (10.0, 12.0), step=0.5)
    cells, times = np.unique(sampled_cells("tetragonal", few, 3, samples), axis=0, return_counts=True)
    assert len(cells) == min(samples, 12)
    assert np.ptp(times) <= 1
    one = LatticeSpec("mesh", (5.0, 6.0), step=1.0)
    assert (sampled_cells("cubic", one, 3, samples)[:, :3] == 5).all()


def test_sampled_meshes_come_with_an_error():
    spec = LatticeSpec("mesh", (5.0, 12.0), step=0.1)
    result = lattice_ceiling("orthorhombic", spec, WINDOW, samples=50)
    assert not result.exact
    assert result.n_lattices == 50
    assert 0 <= ceilings("orthorhombic")[1] - result.ceilings[1] < 0.02


@pytest.mark.parametrize("step", [0.012, 1 / 3])
def test_a_mesh_whose_lines_do_not_compare_exactly_is_sampled(step):
    """Lengths are multiples of 0.004 angstrom, of which the longest holds 3750, or of a billionth."""
    narrow = Window(0.1, 0.35)
    fine = lattice_ceiling("cubic", LatticeSpec("mesh", (5.0, 15.0), step=step), narrow, samples=800)
    whole = lattice_ceiling("cubic", LatticeSpec("continuous", (5.0, 15.0), count=1), narrow)
    assert not fine.exact
    assert float(fine.ceilings[1]) == pytest.approx(float(whole.ceilings[1]), abs=0.02)
    assert lattice_ceiling("cubic", LatticeSpec("mesh", (5.0, 15.0), step=0.05), narrow).exact


def test_targets_and_priors_are_those_of_the_ceilings():
    spec = continuous("trigonal-hexagonal")
    prior = {number: number - 100 for number in space_groups("trigonal-hexagonal")}
    for target in ("crystal_system", "laue_class", "extinction_class"):
        result = lattice_ceiling(
            "trigonal-hexagonal",
            spec,
            WINDOW,
            question=CeilingQuestion(target=target, prior=prior),
            samples=5,
        )
        assert result.ceilings == ceilings("trigonal-hexagonal", target, prior=prior)


def test_windows_are_checked():
    with pytest.raises(XtinctError, match="window"):
        Window(1.0, 0.5)
    hypotheses = Hypotheses("cubic", 0.5, 10.0)
    with pytest.raises(XtinctError, match="prepared"):
        hypotheses.signatures(np.array([[5.0, 5, 5, 90, 90, 90]]), Window(0.0, 0.9))


def test_hypotheses_name_the_classes_that_short_reach_merges():
    hypotheses = Hypotheses("monoclinic", 0.15, 6.0)
    assert any(" = " in symbol for symbol in hypotheses.symbols)
    assert class_symbol(3) in " = ".join(hypotheses.symbols)


def test_the_ceiling_of_a_logarithmic_range_is_the_mean_of_its_two_octaves():
    """Lengths of 3-6 and of 6-12 angstrom are equally probable when their logarithms are uniform."""
    window = Window(0.0, 0.35)
    whole, short, long = (
        lattice_ceiling(
            "cubic",
            LatticeSpec("continuous", lengths, spacing="log", count=1),
            window,
            question=CeilingQuestion(ks=(1,)),
        ).ceilings[1]
        for lengths in ((3.0, 12.0), (3.0, 6.0), (6.0, 12.0))
    )
    assert long > short + 0.05, "more lines within reach"
    assert whole == pytest.approx((short + long) / 2, rel=1e-9)

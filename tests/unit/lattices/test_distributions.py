"""Lattices: the reciprocal metric against the direct one, and the distributions' symmetries."""

import numpy as np
import pytest

from xtinct.errors import XtinctError
from xtinct.lattices.conventional import conventional_cell, conventional_cell_errors
from xtinct.lattices.distributions import LatticeSpec
from xtinct.lattices.metric import reciprocal_metric
from xtinct.symmetry.families import FAMILIES

ANGLES = {"monoclinic": (90.0, 120.0), "triclinic": (70.0, 110.0)}


def spec(family: str, **changes) -> LatticeSpec:
    settings = {
        "kind": "continuous",
        "lengths": (5, 15),
        "angles": ANGLES.get(family, (90, 90)),
        "count": 500,
    }
    return LatticeSpec(**{**settings, **changes})


def direct_metric(cell: np.ndarray) -> np.ndarray:
    """Metric tensor of the direct basis (ITA 2016, equation 1.5.1.8)."""
    cosines = np.cos(np.radians(cell[3:]))
    matrix = np.array([[1, cosines[2], cosines[1]], [cosines[2], 1, cosines[0]], [cosines[1], cosines[0], 1]])
    return matrix * np.outer(cell[:3], cell[:3])


@pytest.mark.parametrize("family", FAMILIES)
def test_reciprocal_metric_inverts_the_direct_metric(family):
    cells = spec(family).cells(family, seed=3, indices=np.arange(50))
    for cell, (g11, g22, g33, g23, g13, g12) in zip(cells, reciprocal_metric(cells), strict=True):
        reciprocal = np.array([[g11, g12, g13], [g12, g22, g23], [g13, g23, g33]])
        np.testing.assert_allclose(reciprocal @ direct_metric(cell), np.eye(3), atol=1e-12)


def test_metric_equalities_are_exact():
    a = 7.123456789
    hexagonal = reciprocal_metric(np.array([[a, a, 11.7, 90, 90, 120]]))[0]
    assert hexagonal[0] == hexagonal[1] == 2 * hexagonal[5]
    assert hexagonal[3] == hexagonal[4] == 0
    assert (reciprocal_metric(np.array([[a, a, a, 90, 90, 90]]))[0, 3:] == 0).all()


@pytest.mark.parametrize(
    "cell",
    [
        (0, 5, 5, 90, 90, 90),
        (np.nan, 5, 5, 90, 90, 90),
        (5, 5, -5, 90, 90, 90),
        (5, 5, 5, 90, 90, 0),
        (5, 5, 5, 60, 60, 130),
        (np.inf, 5, 5, 90, 90, 90),
    ],
)
def test_impossible_cells_are_refused(cell):
    with pytest.raises(XtinctError, match="cell"):
        reciprocal_metric(np.array([cell]))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("spacing", ["uniform", "log"])
def test_cells_belong_to_the_family_and_the_range(family, spacing):
    cells = spec(family, spacing=spacing).cells(family, seed=1, indices=np.arange(500))
    assert conventional_cell_errors(family, cells).max() == 0
    assert cells[:, :3].min() >= 5
    assert cells[:, :3].max() < 15
    if family in ANGLES:
        free = cells[:, 4] if family == "monoclinic" else cells[:, 3:]
        assert free.min() >= ANGLES[family][0]
        assert free.max() < ANGLES[family][1]


@pytest.mark.parametrize("family", ["orthorhombic", "monoclinic", "triclinic"])
def test_axes_follow_the_same_law(family):
    # Kolmogorov-Smirnov distance of two samples of 4000 exceeds 0.043 with probability 1e-3; sorted
    # axes would give more than 0.3.
    lengths = spec(family, count=4000).cells(family, seed=5, indices=np.arange(4000))[:, :3]
    grid = np.linspace(5, 15, 200)
    distribution = (lengths[:, :, None] < grid).mean(axis=0)
    assert np.abs(distribution - (grid - 5) / 10).max() < 0.035
    assert abs(np.corrcoef(lengths.T)[np.triu_indices(3, 1)]).max() < 0.06


def test_log_spacing_has_its_median_at_the_geometric_mean():
    lengths = spec("cubic", spacing="log").cells("cubic", 5, np.arange(4000))[:, 0]
    assert np.median(lengths) == pytest.approx((5 * 15) ** 0.5, rel=0.03)


def test_a_lattice_depends_on_seed_family_and_index_only():
    family, lattices = "tetragonal", spec("tetragonal")
    all_at_once = lattices.cells(family, 7, np.arange(100))
    one_by_one = np.concatenate([lattices.cells(family, 7, np.array([i])) for i in range(100)])
    np.testing.assert_array_equal(all_at_once, one_by_one)
    np.testing.assert_array_equal(lattices.cells(family, 7, np.arange(99, -1, -1)), all_at_once[::-1])
    assert not np.isclose(all_at_once, lattices.cells(family, 8, np.arange(100)))[:, 0].any()
    assert len(np.unique(all_at_once[:, 0])) == 100


@pytest.mark.parametrize(
    ("family", "lengths", "step", "expected"),
    [
        # Wang et al. 2025: 200 cubic and 39,800 tetragonal lattices of 5-15 angstrom in steps of
        # 0.05, 90 hexagonal ones of 10-15 in steps of 0.5.
        ("cubic", (5, 15), 0.05, 200),
        ("tetragonal", (5, 15), 0.05, 39_800),
        ("trigonal-hexagonal", (10, 15), 0.5, 90),
        ("orthorhombic", (5, 7), 0.5, 24),
    ],
)
def test_published_meshes(family, lengths, step, expected):
    mesh = LatticeSpec(kind="mesh", lengths=lengths, step=step)
    assert mesh.n_lattices(family) == expected
    cells = mesh.cells(family, 0, np.arange(expected))
    assert len(np.unique(cells, axis=0)) == expected
    grid = np.arange(lengths[0] / step, lengths[1] / step - 0.5)
    np.testing.assert_allclose(np.unique(cells[:, :3]), grid * step, rtol=1e-12)
    if family != "cubic":
        assert (cells[:, 0] != cells[:, 2]).all()
        # The mesh is symmetric: exchanging the free axes gives a lattice of the mesh.
        exchanged = cells[:, [2, 2, 0] if family != "orthorhombic" else [2, 1, 0]]
        assert {tuple(row) for row in exchanged} == {tuple(row) for row in cells[:, :3]}


def test_conventional_cell_removes_printed_rounding():
    cell = np.array([4.05001, 4.04999, 4.05, 90.0001, 89.9999, 90])
    cubic = conventional_cell("cubic", cell)
    assert cubic[0] == cubic[1] == cubic[2] == pytest.approx(4.05)
    assert (cubic[3:] == 90).all()
    cell = np.array([4.0, 5.0, 6.0, 90.0001, 97.5, 90])
    np.testing.assert_array_equal(conventional_cell("monoclinic", cell), [4, 5, 6, 90, 97.5, 90])


@pytest.mark.parametrize(
    ("changes", "family", "message"),
    [
        ({"kind": "grid"}, "cubic", "kind 'grid'"),
        ({"spacing": "linear"}, "cubic", "spacing 'linear'"),
        ({"lengths": (10, 5)}, "cubic", "lengths"),
        ({"lengths": (float("nan"), 5)}, "cubic", "lengths"),
        ({"count": 0}, "cubic", "count"),
        ({"count": 10**30}, "cubic", "count"),
        ({"kind": "mesh", "step": 1e-12}, "cubic", r"step 1e-12 angstrom makes .* lengths"),
        ({"kind": "mesh", "step": 0.0}, "cubic", "step"),
        ({"kind": "mesh", "step": 0.5}, "triclinic", "kind: continuous"),
        ({"angles": (70, 125)}, "triclinic", "angles"),
        ({"angles": (40, 110)}, "triclinic", "angles"),
        ({}, "rhombic", "family"),
    ],
)
def test_specifications_that_make_no_sense_are_refused(changes, family, message):
    with pytest.raises(XtinctError, match=message):
        spec("cubic", **changes).n_lattices(family)

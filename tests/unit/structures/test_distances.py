"""Close pairs against all pairs, and filled cells against the same rules written with numpy."""

import gemmi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xtinct.structures.crystal import RejectedError
from xtinct.structures.distances import cell_heights, close_pairs, smallest_height
from xtinct.structures.filling import SPECIAL_POSITION_RADIUS, fill_cell
from xtinct.structures.groups import settings_numbered


def every_pair(frac, basis, radius):
    """The definition: each pair once, the nearest image by rounding."""
    found = []
    for i in range(len(frac)):
        for j in range(i + 1, len(frac)):
            u, v, w = frac[j] - frac[i]
            u, v, w = u - np.floor(u + 0.5), v - np.floor(v + 0.5), w - np.floor(w + 0.5)
            square = 0.0
            for k in range(3):
                d = u * basis[0, k] + v * basis[1, k] + w * basis[2, k]
                square += d * d
            if square < radius * radius:
                found.append((i, j, np.sqrt(square)))
    return found


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 70),
    st.sampled_from([0.05, 0.3, 1.5, 4.0, 30.0]),
    st.sampled_from([1.0, 0.02, 1e-9, 0.0]),
    st.sampled_from([0.0, 3.0, 1e6]),
)
def test_the_sweep_finds_every_pair(seed, n, radius, spread, shift):
    rng = np.random.default_rng(seed)
    cell = [*rng.uniform(3, 25, 3), *rng.uniform(70, 110, 3)]
    basis = np.array(gemmi.UnitCell(*cell).orth.mat.tolist()).T
    # Sites around few places, some at a face: clusters, exact copies, pairs across the faces.
    places = np.vstack([rng.uniform(0, 1, (4, 3)), np.zeros((1, 3)), np.ones((1, 3))])
    frac = places[rng.integers(0, 6, n)] + spread * rng.uniform(-0.5, 0.5, (n, 3))
    frac += np.round(shift * rng.uniform(-1, 1, (n, 3)))
    first, second, distance = close_pairs(frac, basis, radius)
    found = list(zip(first.tolist(), second.tolist(), distance.tolist(), strict=True))
    assert found == every_pair(frac, basis, radius)


def test_the_smallest_height_is_that_of_the_inverse_basis():
    for cell in ([3, 20, 7, 80, 95, 119], [5, 5, 5, 90, 90, 90], [4, 4, 30, 90, 90, 120]):
        basis = np.array(gemmi.UnitCell(*cell).orth.mat.tolist()).T
        assert smallest_height(basis) == pytest.approx(cell_heights(basis).min(), rel=1e-12)


def filled_by_numpy(frac, operations, basis):
    """Images of each site; those near a special position are moved onto it and counted once."""
    rotations, translations = operations.rotations_in_cell, operations.translations_in_cell
    positions, sources = [], []
    for i, site in enumerate(frac):
        images, moved = rotations @ site + translations, False
        while True:
            shift = images - site
            shift -= np.round(shift)
            same = np.linalg.norm(shift @ basis, axis=1) < SPECIAL_POSITION_RADIUS
            mean = shift[same].mean(axis=0)
            if np.count_nonzero(same) < 2 or (moved and np.abs(mean).max() < 1e-9):
                break
            site = site + mean
            images, moved = rotations @ site + translations, True
        if moved:
            kept = []
            while len(images):
                kept.append(images[0])
                shift = images - images[0]
                shift -= np.round(shift)
                images = images[np.linalg.norm(shift @ basis, axis=1) >= SPECIAL_POSITION_RADIUS]
            images = np.array(kept)
        positions.append(images)
        sources += [i] * len(images)
    return np.concatenate(positions), np.array(sources)


@pytest.mark.parametrize("number", [2, 14, 62, 88, 148, 166, 194, 205, 227, 230])
def test_cells_are_filled_as_numpy_fills_them(number):
    """To the last bit: 40 sites of each kind, general, on and near special positions, of every setting."""
    rng = np.random.default_rng(number)
    for setting in settings_numbered(number):
        operations = setting.operations()
        hexagonal = 143 <= number <= 194 and setting.ext != "R"
        basis = np.array(gemmi.UnitCell(9, 9, 9, 90, 90, 120 if hexagonal else 90).orth.mat.tolist()).T
        special = rng.choice([0, 0.125, 0.25, 1 / 3, 0.5, 2 / 3, 0.75], (40, 3))
        frac = np.vstack([rng.uniform(-1, 2, (40, 3)), special, special + rng.normal(0, 0.003, (40, 3))])
        positions, sources = fill_cell(frac, operations, basis, 100_000)
        expected, listed = filled_by_numpy(frac, operations, basis)
        np.testing.assert_array_equal(sources, listed)
        np.testing.assert_array_equal(positions, expected)


def test_too_many_sites_are_refused_before_memory_is_taken():
    (setting,) = settings_numbered(229)
    frac = np.random.default_rng(1).uniform(0, 1, (50, 3))
    with pytest.raises(RejectedError, match="more than 1000 sites"):
        fill_cell(frac, setting.operations(), 9 * np.eye(3), 1000)

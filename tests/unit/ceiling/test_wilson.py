"""Wilson statistics against structure factors of random structures, and what they cannot decide."""

import numpy as np
import pytest
from scipy import integrate, stats

from xtinct.ceiling.extinction import CeilingQuestion
from xtinct.ceiling.measured_lines import MeasurementModel
from xtinct.ceiling.wilson import degrees_of_freedom, wilson_estimate
from xtinct.lattices.distributions import LatticeSpec
from xtinct.lattices.metric import quadratic_forms
from xtinct.randomness import stream_key, uniform
from xtinct.symmetry.absences import absent
from xtinct.symmetry.families import family_of
from xtinct.symmetry.operations import operations
from xtinct.symmetry.reflection_conditions import box

PERFECT = MeasurementModel(1.5406, 5.0, 90.0, width=0.0, threshold=0.0)
SPECS = {
    "cubic": LatticeSpec("continuous", (6.0, 9.0), count=1),
    "trigonal-hexagonal": LatticeSpec("continuous", (6.0, 8.0), count=1),
    "tetragonal": LatticeSpec("continuous", (6.0, 8.0), count=1),
    "orthorhombic": LatticeSpec("continuous", (6.0, 8.0), count=1),
}


@pytest.mark.parametrize("number", [1, 2, 4, 19, 79, 99, 122, 143, 147, 150, 167, 205, 215])
def test_intensities_of_random_structures(number):
    """Mean |G| nu and variance 2 |G|^2 nu of the intensity of a line, over structures of random atoms."""
    family = family_of(number)
    hkl = box(3)
    hkl = hkl[hkl.any(axis=1)]
    forms, line = np.unique(quadratic_forms(family, hkl), axis=0, return_inverse=True)
    line = line.reshape(-1)
    # Forms whose reflections all lie inside the box.
    wide = box(7)
    inside = (abs(wide) <= 3).all(axis=1)
    outside = {tuple(f) for f in quadratic_forms(family, wide[~inside])}
    whole = np.array([tuple(f) not in outside for f in forms])
    group = operations(number)
    size, atoms, structures = len(group), 40, 100
    key = stream_key(0, "random structures", number)
    intensities = np.empty((structures, len(forms)))
    for s in range(structures):
        positions = np.array(
            [[uniform(key, (s * atoms + a) * 3 + i) for i in range(3)] for a in range(atoms)]
        )
        points = (
            positions @ group.rotations.transpose(0, 2, 1).astype(float) + (group.translations / 24)[:, None]
        )
        half = hkl[: len(hkl) // 2]  # -hkl has the same intensity
        factors = np.exp(2j * np.pi * half @ points.reshape(-1, 3).T).sum(axis=1)
        squared = np.concatenate([abs(factors) ** 2, (abs(factors) ** 2)[::-1]])
        intensities[s] = np.bincount(line, weights=squared, minlength=len(forms)) / (size * atoms)
    nu = degrees_of_freedom(family, number, forms, 3)
    lawful = np.zeros(len(forms), dtype=bool)
    lawful[line[~absent(number, hkl)]] = True
    assert ((nu > 0) == lawful)[whole].all()
    checked = whole & lawful
    # Both members of a Friedel pair are in the box, a line list counts the sum of all hkl.
    mean, variance = intensities[:, checked].mean(axis=0), intensities[:, checked].var(axis=0, ddof=1)
    expected = size * nu[checked]
    scatter = np.sqrt(2 * size**2 * nu[checked] / structures)
    assert (abs(mean - expected) < 5 * scatter).all()
    # Forty atoms are not yet Wilson's limit: the variance of a line is off by a few per cent.
    ratio = variance / (2 * size**2 * nu[checked])
    scatter = np.sqrt((2 + 12 / nu[checked]) / structures)  # of a sample variance of chi2_nu
    assert abs(np.mean(ratio) - 1) < 0.1 + 4 * np.sqrt(np.sum(scatter**2)) / len(ratio)


def test_one_line_of_a_triclinic_lattice_integrated():
    """P 1 against P -1 on a rhombohedral metric: 100, 010 and 001 in one line, nu = 6 and 3."""
    spec = LatticeSpec("continuous", (5.0, 5.0), (80.0, 80.0), count=1)
    one_line = MeasurementModel(1.5406, 17.5, 19.0, width=0.0, threshold=0.0)
    estimate = wilson_estimate(
        "triclinic", spec, one_line, question=CeilingQuestion(ks=(1,)), lattices=100, draws=40
    )
    acentric, centric = stats.chi2(6, scale=1), stats.chi2(3, scale=2)
    expected, _ = integrate.quad(lambda x: max(acentric.pdf(x), centric.pdf(x)) / 2, 0, 80, limit=200)
    assert abs(estimate.accuracies[1] - expected) < 4 * estimate.standard_errors[1]
    assert estimate.extinction[1] == 0.5


ENANTIOMORPHIC = {
    "cubic": {(212, 213)},
    "tetragonal": {(76, 78), (91, 95), (92, 96)},
    "trigonal-hexagonal": {
        (144, 145),
        (151, 153),
        (152, 154),
        (169, 170),
        (171, 172),
        (178, 179),
        (180, 181),
    },
    "orthorhombic": set(),
}
# The special pairs with the same operations up to a shift of their axes (ITA 2016, section 1.6.4.6.1).
SPECIAL = {"cubic": {(197, 199)}, "orthorhombic": {(23, 24)}}


@pytest.mark.parametrize("family", SPECS)
def test_only_enantiomorphic_and_special_pairs_stay_undecided(family):
    estimate = wilson_estimate(family, SPECS[family], PERFECT, lattices=4, draws=4)
    never = {(a, b) for a, b, accuracy in estimate.pairs if abs(accuracy - 0.5) < 1e-9}
    assert never == ENANTIOMORPHIC[family] | SPECIAL.get(family, set())
    for k, accuracy in estimate.accuracies.items():
        assert accuracy >= estimate.extinction[k] - 3 * estimate.standard_errors[k] - 1e-9
    assert estimate.accuracies[1] > estimate.extinction[1] + 0.1


def test_a_mesh_is_sampled_all_over_and_may_have_fewer_lattices():
    """Cells of 5 angstrom lose classes at the end of the range; a mesh up to 15 has few of them."""
    question = CeilingQuestion(ks=(1,))
    mesh = LatticeSpec("mesh", (4.0, 15.0), step=0.1)
    found = wilson_estimate("cubic", mesh, PERFECT, question=question, lattices=8, draws=1)
    small = LatticeSpec("mesh", (4.0, 4.8), step=0.1)
    least = wilson_estimate("cubic", small, PERFECT, question=question, lattices=8, draws=1)
    assert found.extinction[1] > least.extinction[1] + 0.02
    again = wilson_estimate("cubic", small, PERFECT, question=question, lattices=16, draws=1)
    assert again.extinction[1] == pytest.approx(least.extinction[1])


def test_without_lines_there_is_only_the_prior():
    blind = MeasurementModel(1.5406, 1.0, 2.0, width=0.0, threshold=0.0)
    estimate = wilson_estimate(
        "cubic", SPECS["cubic"], blind, question=CeilingQuestion(ks=(1,)), lattices=2, draws=1
    )
    assert estimate.accuracies[1] == pytest.approx(1 / 36)

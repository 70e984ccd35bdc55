"""Classes of simulated patterns: absent lines recognised, calibration, what decides."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from simulated_patterns import TRUE, simulated

from xtinct.ceiling.priors import frequencies
from xtinct.observer.fitting.line_sets import absence_sets, lines_of
from xtinct.observer.fitting.pawley import FitSettings, fit_lattice
from xtinct.observer.judging.known_lines import KnownLines
from xtinct.observer.judging.lattice_classes import class_posterior
from xtinct.observer.judging.pattern_evidence import INTENSITY_MEANS, INTENSITY_WEIGHTS, lorentz_polarization
from xtinct.observer.peaks.gridded import measured
from xtinct.observer.peaks.peak_shapes import true_angle
from xtinct.symmetry.absences import absent
from xtinct.symmetry.classes import extinction_classes, relabellings
from xtinct.symmetry.families import FAMILIES, family_of, space_groups

CELLS = {
    "cubic": (8.1, 8.1, 8.1, 90, 90, 90),
    "tetragonal": (6.2, 6.2, 8.7, 90, 90, 90),
    "trigonal-hexagonal": (6.4, 6.4, 9.5, 90, 90, 120),
    "orthorhombic": (5.3, 6.6, 8.2, 90, 90, 90),
    "monoclinic": (6.1, 7.2, 5.3, 90, 103, 90),
}


def of_group(number, counts):
    """Areas of the lines of a group: drawn by the law of intensities around `counts`, absent ones 0."""

    def areas(lines, rng):
        allowed = np.zeros(len(lines), dtype=bool)
        np.logical_or.at(allowed, lines.owner, ~absent(number, lines.hkl))
        weight = INTENSITY_WEIGHTS / INTENSITY_WEIGHTS.sum()
        height = rng.exponential(size=len(lines)) * INTENSITY_MEANS[rng.choice(4, size=len(lines), p=weight)]
        q = lines.forms @ METRIC_OF[lines.family]
        geometry = lines.multiplicity * lorentz_polarization(true_angle(q, 1.540593))
        return counts * height * allowed * geometry / geometry.mean()

    return areas


def metric_of(family):
    from xtinct.lattices.metric import form_metric

    return form_metric(family, np.array([CELLS[family]], dtype=np.float64))[0]


N_CALIBRATED = 120

METRIC_OF = {family: metric_of(family) for family in CELLS}


def counted(family, areas, seed):
    """(measurement, metric) with the background that is found: far tails of strong lines are part of it."""
    true, metric, _, _ = simulated(family, CELLS[family], areas, TRUE, seed)
    return measured(true.two_theta, true.intensity, true.radiation), metric


def posterior_of(number, counts, seed, prior=None):
    family = family_of(number)
    m, metric = counted(family, of_group(number, counts), seed)
    fit = fit_lattice(m, family, metric, TRUE, settings=FitSettings(misfit=0.0, steps=6))
    return class_posterior(fit, prior), fit


@pytest.mark.parametrize("number", [14, 62, 194, 167, 141, 227, 205, 36])
def test_the_class_is_recognised_where_counts_are_high(number):
    for seed in range(3):
        posterior, _ = posterior_of(number, 1000.0, 10 * number + seed)
        assert posterior.symbols[0] == posterior.class_of(number)
    assert posterior.probability.sum() == pytest.approx(1.0)
    assert posterior.group_probability.sum() == pytest.approx(1.0)
    for symbol, probability in zip(posterior.symbols, posterior.probability, strict=True):
        members = np.isin(posterior.groups, posterior.members(symbol))
        assert posterior.group_probability[members].sum() == pytest.approx(probability)


def test_names_of_the_axes_do_not_matter():
    """Pnma and its other settings are one class: permuted axes give the same probabilities."""
    a, b, c = CELLS["orthorhombic"][:3]
    m, metric, _, _ = simulated("orthorhombic", (a, b, c, 90, 90, 90), of_group(62, 3000.0), TRUE, 9)
    found = []
    for order in ([0, 1, 2], [2, 0, 1], [1, 0, 2]):
        fit = fit_lattice(m, "orthorhombic", metric[order], TRUE, settings=FitSettings(misfit=0.0, steps=5))
        posterior = class_posterior(fit)
        found.append((posterior.symbols[0], posterior.probability[0]))
    assert [symbol for symbol, _ in found] == [found[0][0]] * 3
    assert np.allclose([p for _, p in found], found[0][1], atol=0.02)


def test_every_class_of_every_family_has_its_sets():
    for family in FAMILIES:
        cell = np.array([CELLS.get(family, (5.1, 6.2, 7.3, 83, 97, 106))], dtype=np.float64)
        from xtinct.lattices.metric import form_metric

        lines = lines_of(family, form_metric(family, cell)[0], 1e-9, 0.5)
        sets = absence_sets(lines)
        assert list(sets.groups) == list(space_groups(family))
        assert np.allclose(sets.share.sum(axis=0), 1.0)
        assert len(sets.symbols) == len(extinction_classes(family))
        # Against the absences themselves, on every naming of the axes.
        for cls in extinction_classes(family)[::5]:
            expected = Counter()
            for matrix in relabellings(family):
                allowed = np.zeros(len(lines), dtype=bool)
                np.logical_or.at(allowed, lines.owner, ~absent(cls.members[0], lines.hkl @ matrix))
                expected[allowed.tobytes()] += 1
            column = sets.share[:, list(sets.groups).index(cls.members[0])]
            for row in np.flatnonzero(column):
                share = expected[sets.allowed[row].tobytes()] / expected.total()
                assert column[row] == pytest.approx(share)


def test_multiplicities_count_every_reflection():
    lines = lines_of("cubic", np.array([1 / 64.0]), 1e-9, 0.9)
    by_form = dict(zip(lines.forms[:, 0].astype(int), lines.multiplicity, strict=True))
    assert [by_form[n] for n in (1, 2, 3, 4, 5, 6, 9, 14)] == [6, 12, 8, 6, 24, 24, 30, 48]
    assert (lines.representative()[:3] == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]).all()


def test_a_prior_is_heard_but_rules_nothing_out():
    alike, _ = posterior_of(62, 300.0, 1)
    table, _ = posterior_of(62, 300.0, 1, frequencies("mp", "orthorhombic"))
    of_62 = [p.group_probability[list(p.groups).index(62)] for p in (alike, table)]
    assert of_62[1] > of_62[0]
    only, _ = posterior_of(62, 300.0, 1, {16: 1})  # forbids many lines, where 16 forbids none
    place = dict(zip(only.groups, only.group_probability, strict=True))
    assert 0 < place[62] < of_62[0]
    assert place[16] > alike.group_probability[list(alike.groups).index(16)]


def test_the_lines_that_decide_are_those_in_which_classes_differ():
    posterior, _ = posterior_of(14, 1000.0, 3)
    rival = posterior.class_of(4)  # 21 alone: h0l of l = 2n + 1 would be there
    lines = posterior.deciding(rival, against=posterior.class_of(14))
    assert lines
    for line in lines:
        assert not line.allowed
        assert all(h[1] == 0 and h[2] % 2 for h in line.hkl)
    assert sum(line.decibans for line in lines) > 20
    assert abs(lines[0].decibans) == max(abs(line.decibans) for line in lines)
    assert posterior.deciding(posterior.class_of(14), against=rival)[0].decibans == -lines[0].decibans


def test_one_forbidden_line_may_be_foreign_and_many_are_not():
    """Injected faults: strong lines h0l of l = 2n + 1 in a pattern of P 21/c."""
    family, number = "monoclinic", 14
    probability = []
    for faults in (0, 1, 8):

        def areas(lines, rng, faults=faults):
            area = of_group(number, 1000.0)(lines, rng)
            hkl = lines.representative()
            forbidden = np.flatnonzero((hkl[:, 1] == 0) & (hkl[:, 2] % 2 == 1))
            area[forbidden[:faults]] = 1000.0
            return area

        m, metric = counted(family, areas, 3)
        fit = fit_lattice(m, family, metric, TRUE, settings=FitSettings(misfit=0.0, steps=6))
        posterior = class_posterior(fit)
        probability.append(posterior.probability[posterior.rank(number) - 1])
    assert probability[0] > 0.5
    assert probability[1] > 0.1
    assert probability[2] < 1e-6


@pytest.mark.slow
def test_probabilities_are_calibrated():
    """Groups drawn evenly, heights by the law: the best class is right as often as it is said to be."""
    rng = np.random.default_rng(11)
    best, right = [], []
    for seed in range(N_CALIBRATED):
        family = list(CELLS)[seed % 5]
        number = int(rng.choice(space_groups(family)))
        counts = float(10.0 ** rng.uniform(1.5, 3.7))
        posterior, _ = posterior_of(number, counts, 1000 + seed)
        best.append(posterior.probability[0])
        right.append(posterior.symbols[0] == posterior.class_of(number))
    best, right = np.array(best), np.array(right)
    error = np.sqrt(np.sum(best * (1 - best))) / len(best)
    assert abs(best.mean() - right.mean()) < 2.5 * error + 0.03
    assert right[best > 0.9].mean() > 0.85


def test_a_foreign_line_counts_as_much_as_it_lowers_chi2():
    """The logarithm of a likelihood ratio of normal noise is half the difference of chi^2."""
    family, cell = "cubic", CELLS["cubic"]
    m, metric, _, _ = simulated(family, cell, of_group(221, 400.0), TRUE, 5)
    grid = m.two_theta
    extra = 300.0 * np.exp(-4 * np.log(2) * ((grid - 27.9) / 0.12) ** 2)
    m = replace(m, intensity=m.intensity + extra)
    settings = FitSettings(misfit=0.0, steps=0, refine=(), metric=False, variance=m.intensity + 25.0)
    fit = fit_lattice(m, family, metric, TRUE, settings=settings)
    known = fit_lattice(m, family, metric, TRUE, foreign=[27.9], settings=settings)
    drop = 0.5 * ((fit.residual**2 / fit.variance).sum() - (known.residual**2 / known.variance).sum())
    assert drop > 100
    # So the evidence of a lattice does not sink with a line of something else in the pattern.
    for inflation in (1.0, 4.0):
        alone = class_posterior(fit).whole_evidence(fit, inflation)
        both = class_posterior(known).whole_evidence(known, inflation)
        assert both - alone == pytest.approx(drop / inflation, rel=0.05)


def test_weak_lines_of_a_known_structure_do_not_speak_against_it():
    """As those of CsI, whose lines with h + k + l odd need two ions to scatter differently."""
    posterior, fit = posterior_of(229, 20_000.0, 1)
    assert posterior.symbols[0] == "I - - -"
    odd = ~posterior.allowed("I - - -")
    strong = np.maximum(fit.area[: len(odd)], 0.0)
    cell, d_star = np.array(CELLS["cubic"], dtype=np.float64), np.sqrt(fit.q)

    def factors(share, *probability, number=221, cell=cell, obeying=0.0):
        intensity = np.where(odd, share * strong.max(), strong)
        known = [KnownLines(number, cell, p, d_star, intensity) for p in probability or (0.8,)]
        known.append(KnownLines(229, cell, obeying, d_star, intensity))
        return posterior.by_known(fit, known, {221: 0.8, 229: 0.1}, 0.5)

    weak = factors(1e-5)
    own = posterior.groups == 221
    assert weak[own] > 20
    assert (weak[~own] == 1.0).all()
    # By the probability that the sample is this structure, if it has the group.
    assert factors(1e-5, 0.6)[own] - 1 == pytest.approx((weak[own] - 1) * 3 / 4)
    assert factors(1e-5, 0.4, 0.2)[own] - 1 == pytest.approx((weak[own] - 1) * 3 / 4)
    # Structures that are less probable than not do not answer, nor a distorted copy of one that is known.
    assert (factors(1e-5, 0.4) == 1.0).all()
    assert (factors(1e-5, 0.6, obeying=0.2) == 1.0).all()
    assert (factors(1e-5, 0.6, obeying=0.05)[own] > 1.0).all()
    # Its lines would be seen; the group forbids what the pattern does not show; another lattice.
    assert (factors(0.1) == 1.0).all()
    assert (factors(1e-5, number=229) == 1.0).all()
    assert (factors(1e-5, cell=cell * [1.2, 1.2, 1.2, 1, 1, 1]) == 1.0).all()


def test_one_line_that_would_be_seen_is_enough_against_a_known_structure():
    posterior, fit = posterior_of(229, 20_000.0, 1)
    odd = np.flatnonzero(~posterior.allowed("I - - -"))
    intensity = np.maximum(fit.area[: len(fit.lines)], 0.0)
    intensity[odd] = 0.0
    cell = np.array(CELLS["cubic"], dtype=np.float64)

    def factors():
        known = KnownLines(221, cell, 0.8, np.sqrt(fit.q), intensity)
        return posterior.by_known(fit, [known], {221: 0.8}, 0.5)

    assert factors().max() > 20
    intensity[odd[0]] = 0.1 * intensity.max()
    assert (factors() == 1.0).all()

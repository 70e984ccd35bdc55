"""Ceilings of lattices and measurements against posteriors enumerated without any of their code.

Absences come from gemmi, line positions from exact fractions, distributions from closed formulas.
"""

import math
from collections import defaultdict
from fractions import Fraction
from functools import lru_cache
from itertools import permutations, product

import gemmi
import numpy as np
import pytest

from xtinct.ceiling.extinction import CeilingQuestion
from xtinct.ceiling.hypotheses import Window
from xtinct.ceiling.lattice_ranges import lattice_ceiling
from xtinct.ceiling.measured_lines import MeasurementModel, measurement_ceiling
from xtinct.lattices.distributions import LatticeSpec

NUMBERS = {
    "cubic": range(195, 231),
    "tetragonal": range(75, 143),
    "trigonal-hexagonal": range(143, 195),
    "orthorhombic": range(16, 75),
}


@lru_cache
def gemmi_operations(number):
    for symbol in (f"{number}:2", f"{number}:H", str(number)):
        group = gemmi.find_spacegroup_by_name(symbol)
        if group is not None and group.number == number:
            return group.operations()
    raise AssertionError(number)


def squared_reciprocal_length(family, cell, hkl):
    h, k, m = hkl
    a, b, c = cell
    if family == "trigonal-hexagonal":
        return Fraction(4, 3) * (h * h + h * k + k * k) / a**2 + m * m / c**2
    return h * h / a**2 + k * k / b**2 + m * m / c**2


def line_set(family, number, cell, window):
    reach = int(max(cell) * Fraction(str(window.d_star_max))) + 1
    low, high = (Fraction(str(d)) ** 2 for d in (window.d_star_min, window.d_star_max))
    found = set()
    operations = gemmi_operations(number)
    for hkl in product(range(-reach, reach + 1), repeat=3):
        q = squared_reciprocal_length(family, cell, hkl)
        if any(hkl) and low <= q <= high and q not in found and not operations.is_systematically_absent(hkl):
            found.add(q)
    return frozenset(found)


def mesh_cells(family, lengths):
    lengths = [Fraction(str(x)) for x in lengths]
    if family == "cubic":
        return [(a, a, a) for a in lengths]
    if family == "orthorhombic":
        return list(permutations(lengths, 3))
    return [(a, a, c) for a, c in permutations(lengths, 2)]


@pytest.mark.parametrize(
    ("family", "low", "high", "step", "window"),
    [
        # a = 5 with P and a = 10 with I a - - show one and the same line: classes meet across lattices.
        ("cubic", 5, 15, 5, Window(0.15, 0.21)),
        ("cubic", 4, 7, 1, Window(0.0, 0.6)),
        ("tetragonal", 3, 6, 1.5, Window(0.1, 0.7)),
        ("tetragonal", 3, 6, 1, Window(0.2, 0.5)),
        ("trigonal-hexagonal", 3.5, 5, 0.5, Window(0.0, 0.9)),
        ("trigonal-hexagonal", 2.8, 4.2, 0.7, Window(0.3, 0.8)),
        ("orthorhombic", 2, 5, 1, Window(0.0, 0.8)),
        ("orthorhombic", 3, 6, 1, Window(0.3, 0.5)),
    ],
)
def test_mesh_ceilings_are_the_enumerated_sums_over_line_sets(family, low, high, step, window):
    spec = LatticeSpec("mesh", (low, high), step=step)
    lengths = np.round(np.arange(low, high - 1e-9, step), 9)
    cells = mesh_cells(family, lengths.tolist())
    joint = defaultdict(lambda: defaultdict(Fraction))
    share = Fraction(1, len(cells) * len(NUMBERS[family]))
    for cell in cells:
        for number in NUMBERS[family]:
            joint[line_set(family, number, cell, window)][number] += share
    ks = (1, 2, 3, 5)
    expected = {k: sum(sum(sorted(p.values())[-k:]) for p in joint.values()) for k in ks}
    result = lattice_ceiling(family, spec, window, question=CeilingQuestion(ks=ks))
    assert result.exact
    assert result.ceilings == expected


def irwin_hall_density(n, x):
    terms = ((-1) ** j * math.comb(n, j) * max(x - j, 0.0) ** (n - 1) for j in range(n + 1) if x > j)
    return sum(terms) / math.factorial(n - 1)


def irwin_hall_below(n, x):
    if n == 0:
        return 1.0
    terms = ((-1) ** j * math.comb(n, j) * max(x - j, 0.0) ** n for j in range(n + 1))
    return min(1.0, sum(terms) / math.factorial(n))


def cubic_lines(number, a, measurement):
    """N = h2 + k2 + l2 of the lines in range, and 2theta."""
    low, high = (
        2 * math.sin(math.radians(t / 2)) for t in (measurement.two_theta_min, measurement.two_theta_max)
    )
    reach = int(high * a / measurement.wavelength) + 1
    operations = gemmi_operations(number)
    lines = set()
    for hkl in product(range(reach + 1), repeat=3):
        n = sum(i * i for i in hkl)
        d_star = math.sqrt(n) / a * measurement.wavelength
        if n and low <= d_star <= high:
            # All reflections of a line, not only those with positive indices.
            images = {
                tuple(s * i for s, i in zip(sign, order, strict=True))
                for order in permutations(hkl)
                for sign in product((1, -1), repeat=3)
            }
            if not all(operations.is_systematically_absent(image) for image in images):
                lines.add(n)
    return lines


def lorentz(two_theta):
    theta = math.radians(two_theta / 2)
    return 1 / (math.sin(theta) ** 2 * math.cos(theta))


def test_detection_of_single_lines_enumerated():
    """Every way in which the lines of small cubic cells can be seen or missed."""
    a = 4.1
    measurement = MeasurementModel(1.5406, 10.0, 60.0, width=0.0, threshold=0.2, uses="detection")
    present = {number: cubic_lines(number, a, measurement) for number in NUMBERS["cubic"]}
    every = sorted(set.union(*present.values()))
    two_theta = {n: 2 * math.degrees(math.asin(1.5406 * math.sqrt(n) / (2 * a))) for n in every}
    seen = {n: max(0.0, 1 - 0.2 * lorentz(two_theta[every[0]]) / lorentz(two_theta[n])) for n in every}
    expected = dict.fromkeys((1, 2, 3), 0.0)
    for pattern in product((False, True), repeat=len(every)):
        posterior = []
        for lines in present.values():
            p = 1 / len(present)
            for n, visible in zip(every, pattern, strict=True):
                p_seen = seen[n] if n in lines else 0.0
                p *= p_seen if visible else 1 - p_seen
            posterior.append(p)
        for k in expected:
            expected[k] += sum(sorted(posterior)[-k:])
    spec = LatticeSpec("continuous", (a, a), count=1)
    result = measurement_ceiling(
        "cubic", spec, measurement, question=CeilingQuestion(ks=(1, 2, 3)), lattices=300, draws=10
    )
    for k, value in expected.items():
        assert 0 < result.standard_errors[k] < 0.003
        assert abs(result.ceilings[k] - value) < 4 * result.standard_errors[k]


@pytest.mark.parametrize("threshold", [0.0, 0.4])
def test_sum_of_intensities_in_one_element_integrated(threshold):
    """One resolution element over the whole range: the sum of intensities is all there is to see."""
    a = 4.1
    measurement = MeasurementModel(1.5406, 20.0, 50.0, width=40.0, threshold=threshold)
    present = {number: cubic_lines(number, a, measurement) for number in NUMBERS["cubic"]}
    counts = [len(lines) for lines in present.values()]
    assert len(set(counts)) > 2
    every = sorted(set.union(*present.values()))
    angles = [2 * math.degrees(math.asin(1.5406 * math.sqrt(n) / (2 * a))) for n in every]
    mean = sum(map(lorentz, angles)) / len(angles)
    least = threshold * lorentz(angles[0]) / mean
    prior = 1 / len(counts)
    s = np.linspace(least, max(counts), 40001)[1:]
    densities = {
        n: np.array([irwin_hall_density(n, x) for x in s]) if n else np.zeros_like(s) for n in set(counts)
    }
    table = np.sort(np.array([prior * densities[n] for n in counts]), axis=0)
    missed = sorted(prior * irwin_hall_below(n, least) if least or not n else 0.0 for n in counts)
    spec = LatticeSpec("continuous", (a, a), count=1)
    result = measurement_ceiling(
        "cubic", spec, measurement, question=CeilingQuestion(ks=(1, 3)), lattices=300, draws=10
    )
    for k in (1, 3):
        expected = np.trapezoid(table[-k:].sum(axis=0), s) + sum(missed[-k:])
        assert 0 < result.standard_errors[k] < 0.003
        assert abs(result.ceilings[k] - expected) < 4 * result.standard_errors[k] + 1e-4

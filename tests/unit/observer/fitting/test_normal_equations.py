"""Normal equations of a whole-pattern fit: the same bytes wherever their arrays lie."""

import random

import numpy as np
import pytest

from xtinct.observer.fitting.normal_equations import hats, normal_equations
from xtinct.observer.peaks.peak_shapes import Columns


@pytest.mark.parametrize("points", [40, 300, 1000])
def test_sums_do_not_depend_on_where_in_memory_the_arrays_lie(points):
    """With fast mathematics a loop that writes and sums is compiled twice, for arrays near and far apart."""
    chance, rng = random.Random(1), np.random.default_rng(5)
    start = np.sort(rng.integers(0, points - 20, 6))
    values, weight, data = rng.random((1, 6, 20)), rng.random(points), rng.normal(size=points)
    background = hats(points, 4)
    found = set()
    for _ in range(4000):
        between = [bytearray(chance.randint(1, 2000)) for _ in range(chance.randint(0, 40))]
        lines = Columns(values.copy(), start, np.full(6, 20))
        arrays = weight.copy(), data.copy()
        del between[::2]
        normal, right, _ = normal_equations(lines, background, *arrays)
        found.add(normal.tobytes() + right.tobytes())
    assert len(found) == 1

"""Sorting of reflections by 1/d^2 and the rule that says which of them are one line."""

import numpy as np

from xtinct.compiling import njit

#: hkl whose 1/d^2 differ by less than this, relative, are one line of a lattice. Equal d agree to
#: 1e-15 after rounding; the closest unequal lines of a published-scale mesh (cells of up to 300
#: steps) differ by 3e-8.
EQUAL_D = 1e-10


@njit(cache=True)
def ascending(values, n, largest, order, bounds):
    """Write the indices that sort values[:n] ascending to order[:n].

    Bucket sort: the reflections of a lattice are uniform in 1/d^3, so buckets of equal width in
    1/d^3 hold about one each, and one insertion pass finishes. Several times faster than a
    comparison sort.

    values   float64, 1/d^2 in (0, largest]
    order    int32 (>= n,), written
    bounds   int32 (>= n + 1,), scratch
    """
    if n == 0:
        return
    scale = 1.0 / largest
    for i in range(n + 1):
        bounds[i] = 0
    for i in range(n):
        x = values[i] * scale
        bounds[min(n - 1, int(x * np.sqrt(x) * n)) + 1] += 1
    for i in range(n):
        bounds[i + 1] += bounds[i]
    for i in range(n):
        x = values[i] * scale
        bucket = min(n - 1, int(x * np.sqrt(x) * n))
        order[bounds[bucket]] = i
        bounds[bucket] += 1
    for i in range(1, n):
        index = order[i]
        value = values[index]
        j = i
        while j > 0 and values[order[j - 1]] > value:
            order[j] = order[j - 1]
            j -= 1
        order[j] = index

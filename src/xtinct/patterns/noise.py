"""Counting noise: Poisson numbers as a pure function of (key, point).

Below SMALL_MEAN by inversion of the distribution; above it by its Cornish-Fisher expansion about the
normal distribution, which there is off by one count at most (probability below 1e-2).
"""

import math

import numpy as np

from xtinct.compiling import njit
from xtinct.randomness import bits, normal, subkey, uniform

SMALL_MEAN = 20.0


@njit(cache=True)
def poisson(mean, key, counter):
    """Poisson number (as a float) of the given mean, a function of key (uint64) and counter alone."""
    if mean < SMALL_MEAN:
        u = uniform(key, counter)
        k, term = 0.0, math.exp(-mean)
        total = term
        while u >= total and k < 10.0 * SMALL_MEAN:
            k += 1.0
            term *= mean / k
            total += term
        return k
    z, root = normal(key, counter), math.sqrt(mean)
    return max(
        0.0, math.floor(mean + root * z + (z * z - 1.0) / 6.0 + z * (1.0 - z * z) / (72.0 * root) + 0.5)
    )


@njit(cache=True, nogil=True)
def add_counting_noise(row, counts, key):
    """Turn row (highest point 1) into Poisson numbers of mean counts * row, over counts."""
    for i in range(row.size):
        row[i] = poisson(counts * row[i], key, i) / counts


@njit(cache=True, nogil=True)
def line_keys(offsets, d_star, intensity, out):
    """Keys uint64 (n,) of noise that depends on a sample's own lines alone, in stored precision.

    So a sample has the same noise in whatever batch, order or process it is rendered. d_star and
    intensity are float32 (m,).
    """
    position, height = d_star.view(np.int32), intensity.view(np.int32)
    for i in range(out.size):
        key = np.uint64(offsets[i + 1] - offsets[i])
        for j in range(offsets[i], offsets[i + 1]):
            key = bits(subkey(key, np.uint64(position[j])), np.uint64(height[j]))
        out[i] = key

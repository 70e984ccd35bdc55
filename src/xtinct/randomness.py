"""Counter-based random numbers.

Every draw is a pure function of a key and a counter, so a sample is the same whichever
process, shard or order computes it. A key is made once per sample from readable labels
(`stream_key`); the compiled functions then hash (key, counter) with the finaliser of
SplitMix64 (Steele, Lea and Flood, OOPSLA 2014, doi:10.1145/2714064.2660195), which passes
BigCrush on counters.
"""

import hashlib
import math

import numpy as np
from numba import uint64

from xtinct.compiling import njit

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def stream_key(seed: int, *labels: str | int) -> np.uint64:
    """64-bit key of the stream named by `seed` and `labels`.

    Labels are hashed with their types and separators, so ("a", 12) and ("a1", 2) differ.
    """
    text = "\x1f".join(f"{type(label).__name__}:{label}" for label in (int(seed), *labels))
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


def spread_over(size: int, count: int, start: int = 0) -> np.ndarray:
    """`count` of the numbers below `size`, int64 (count,), from all over it, which is no draw at all.

    None comes again before all have come. Even steps may fall in with a period of what the numbers stand for;
    steps of the golden section do not.
    """
    stride = next(s for s in range(int(size * 0.6180339887), size + 1) if math.gcd(s, size) == 1)
    return np.array([(start + i) * stride % size for i in range(count)], dtype=np.int64)


@njit(inline="always", cache=True)
def _mix(x):
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(cache=True)
def subkey(key, counter):
    """Key of the sub-stream number `counter` (uint64) of the stream `key` (uint64)."""
    return _mix(_mix(uint64(key) + (uint64(counter) + uint64(1)) * _GOLDEN) ^ _GOLDEN)


@njit(cache=True)
def bits(key, counter):
    """64 random bits for (key, counter)."""
    return _mix(uint64(key) + (uint64(counter) + uint64(1)) * _GOLDEN)


@njit(cache=True)
def uniform(key, counter):
    """Uniform draw in [0, 1) with 53 random bits."""
    return float(bits(key, counter) >> uint64(11)) * (1.0 / 9007199254740992.0)


@njit(cache=True)
def uniform_open(key, counter):
    """Uniform draw in (0, 1): never 0, so that its logarithm is finite."""
    return (float(bits(key, counter) >> uint64(12)) + 0.5) * (1.0 / 4503599627370496.0)


@njit(cache=True)
def normal(key, counter):
    """Standard normal draw (Box and Muller 1958); uses counters 2n and 2n + 1."""
    radius = math.sqrt(-2.0 * math.log(uniform_open(key, uint64(2) * uint64(counter))))
    return radius * math.cos(2.0 * math.pi * uniform(key, uint64(2) * uint64(counter) + uint64(1)))


@njit(cache=True)
def integer(key, counter, n):
    """Integer in [0, n) (bias below n / 2**53)."""
    return int(uniform(key, counter) * n)


@njit(cache=True)
def subkeys(key, first, out):
    """Fill `out` (uint64) with the keys of sub-streams first, first + 1, ..."""
    for i in range(out.size):
        out[i] = subkey(key, uint64(first) + uint64(i))

"""The counting noise of `patterns.noise` in torch: the same numbers from the same keys."""

import math

import torch

from xtinct.patterns.noise import SMALL_MEAN


def _signed(x: int) -> int:
    return x - (1 << 64) if x >= 1 << 63 else x


_GOLDEN = _signed(0x9E3779B97F4A7C15)
_FACTORS = (_signed(0xBF58476D1CE4E5B9), _signed(0x94D049BB133111EB))


def _shift(x: torch.Tensor, count: int) -> torch.Tensor:
    """Logical shift to the right of 64 bits held as int64."""
    return (x >> count) & ((1 << (64 - count)) - 1)


def _bits(key: torch.Tensor, counter: torch.Tensor) -> torch.Tensor:
    """`randomness.bits` of keys and counters held as int64."""
    x = key + (counter + 1) * _GOLDEN
    x = (x ^ _shift(x, 30)) * _FACTORS[0]
    x = (x ^ _shift(x, 27)) * _FACTORS[1]
    return x ^ _shift(x, 31)


def _uniform(key: torch.Tensor, counter: torch.Tensor) -> torch.Tensor:
    return _shift(_bits(key, counter), 11).double() / 2.0**53


def _normal(key: torch.Tensor, counter: torch.Tensor) -> torch.Tensor:
    open_ = (_shift(_bits(key, 2 * counter), 12).double() + 0.5) / 2.0**52
    return torch.sqrt(-2 * torch.log(open_)) * torch.cos(2 * math.pi * _uniform(key, 2 * counter + 1))


def counting_noise(pattern: torch.Tensor, counts: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """Poisson numbers of mean counts x pattern, over counts.

    pattern  float64 (n, points), highest point 1
    counts   float64 (n,); inf: no noise
    keys     int64 (n,), the bits of the uint64 keys
    """
    finite = torch.isfinite(counts)[:, None]
    scale = torch.where(finite, counts[:, None], 1.0)
    mean, key = scale * pattern, keys[:, None]
    counter = torch.arange(pattern.shape[1], device=pattern.device)[None, :]
    z, root = _normal(key, counter), torch.sqrt(mean.clamp_min(1.0))
    skewness = (z * z - 1) / 6 + z * (1 - z * z) / (72 * root)
    large = torch.floor(mean + root * z + skewness + 0.5).clamp_min(0)
    small = _small(mean.clamp_max(SMALL_MEAN), _uniform(key, counter))
    noisy = torch.where(mean < SMALL_MEAN, small, large) / scale
    return torch.where(finite, noisy, pattern)


def _small(mean: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """Numbers of mean up to SMALL_MEAN by inversion of the distribution at u."""
    number, term = torch.zeros_like(mean), torch.exp(-mean)
    total = term.clone()
    for k in range(1, int(10 * SMALL_MEAN)):
        above = u >= total
        if not above.any():
            break
        number = number + above
        term = term * mean / k
        total = total + term
    return number

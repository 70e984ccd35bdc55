"""Banded symmetric positive definite systems: peaks are coupled to their neighbours only."""

import math

from xtinct.compiling import njit


@njit(cache=True)
def cholesky(band):
    """In place L of a banded matrix: band[j, k] = A[j, j - k]."""
    n, width = band.shape
    for j in range(n):
        for k in range(min(width - 1, j), -1, -1):
            i = j - k
            total = band[j, k]
            for m in range(k + 1, min(width - 1, j) + 1):
                if m - k < width:
                    total -= band[j, m] * band[i, m - k]
            if k == 0:
                band[j, 0] = math.sqrt(max(total, 1e-300))
            else:
                band[j, k] = total / band[i, 0]


@njit(cache=True)
def solve(band, x):
    """In place solution of A x = b with the factor of `cholesky`."""
    n, width = band.shape
    for j in range(n):
        total = x[j]
        for k in range(1, min(width - 1, j) + 1):
            total -= band[j, k] * x[j - k]
        x[j] = total / band[j, 0]
    for j in range(n - 1, -1, -1):
        x[j] /= band[j, 0]
        for k in range(1, min(width - 1, j) + 1):
            x[j - k] -= band[j, k] * x[j]

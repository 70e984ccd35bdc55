"""Evidence of heights that are integrated out, against brute-force numerical integration."""

from itertools import pairwise

import numpy as np
import pytest

from xtinct.observer.judging.pattern_evidence import INTENSITY_MEANS, INTENSITY_WEIGHTS, clumps, log_evidence


def brute_force(P, b, expected, points):
    """log of the integral on a logarithmic grid."""
    n = len(b)
    x = np.geomspace(1e-9, 80.0, points)
    width = np.gradient(np.log(x)) * x
    density = [
        (INTENSITY_WEIGHTS * np.exp(-x[:, None] / m) / m).sum(axis=1)
        for m in np.outer(expected, INTENSITY_MEANS)
    ]
    with np.errstate(divide="ignore"):
        logs = [np.log(d * width) for d in density]
    grid = np.stack([g.ravel() for g in np.meshgrid(*[x] * n, indexing="ij")], axis=1)
    prior = sum(g.ravel() for g in np.meshgrid(*logs, indexing="ij"))
    exponent = grid @ b - 0.5 * np.einsum("ij,jk,ik->i", grid, P, grid) + prior
    top = exponent.max()
    return top + np.log(np.exp(exponent - top).sum())


@pytest.mark.parametrize(
    ("lines", "points", "tolerance"), [(1, 20_000, 2e-3), (2, 1500, 0.03), (3, 140, 0.08)]
)
def test_expectation_propagation_agrees_with_integration(lines, points, tolerance):
    rng = np.random.default_rng(lines)
    for _ in range(3):
        A = 0.3 * rng.normal(size=(lines, lines)) + 1.0
        P = A @ A.T * 10.0 ** rng.uniform(-1, 1) + 0.3 * np.eye(lines)
        b = P @ rng.exponential(size=lines) + np.linalg.cholesky(P) @ rng.normal(size=lines)
        expected = 10.0 ** rng.uniform(-2.5, 0.5, lines)
        mix = np.zeros((2, lines, len(INTENSITY_WEIGHTS)))
        mix[0], mix[1] = INTENSITY_WEIGHTS, np.outer(expected, INTENSITY_MEANS)
        assert log_evidence(P, b, mix, 12) == pytest.approx(
            brute_force(P, b, expected, points), abs=tolerance
        )


@pytest.mark.parametrize("expected", [1e-9, 1e-5, 1.0, 1e5])
@pytest.mark.parametrize("height", [-30.0, -1.0, 0.0, 3.0, 300.0])
def test_no_scale_loses_the_numbers(expected, height):
    """A law far below or above the noise: the evidence of one line stays within its bounds."""
    mix = np.zeros((2, 1, 4))
    mix[0], mix[1] = INTENSITY_WEIGHTS, expected * INTENSITY_MEANS
    value = log_evidence(np.eye(1), np.array([height]), mix, 12)
    best = 0.5 * max(height, 0.0) ** 2  # of the likelihood, over the likelihood of no line
    assert np.isfinite(value)
    assert value <= best + 1e-9
    if expected == 1e-9:
        assert value == pytest.approx(0.0, abs=1e-4)  # lines that weak change nothing


def test_clumps_hold_every_line_once_and_no_more_than_can_be_integrated():
    rng = np.random.default_rng(0)
    angle = np.sort(rng.uniform(10, 40, 300))
    parts = clumps(angle, np.full(300, 0.12))
    assert (np.concatenate(parts) == np.arange(300)).all()
    assert max(map(len, parts)) <= 12
    ends = [angle[p[0]] - angle[q[-1]] for q, p in pairwise(parts)]
    assert min(ends) > 0

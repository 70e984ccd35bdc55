"""How probable a pattern is when only some lines of a lattice may be there, their heights unknown.

The likelihood of the heights x is exp(b x - x P x / 2), from the normal equations of a whole-pattern fit.
Heights of allowed lines follow the law of intensities (a mixture of exponentials around the local mean,
measured on crystal structures); they are integrated out by expectation propagation (Minka 2001; Rasmussen and
Williams 2006, section 3.6) with all covariances of lines that overlap. Forbidden lines are zero, but for a
foreign line that may stand there by chance.
"""

import math
from dataclasses import dataclass

import numpy as np

from xtinct.compiling import assign, njit
from xtinct.observer.fitting.pawley import LatticeFit
from xtinct.observer.peaks.peak_shapes import shapes
from xtinct.patterns.lorentz import UNPOLARISED, geometric_factor

#: Law of intensities: weights of the exponentials, and their means in units of the local mean. Fitted to the
#: 136,529 allowed lines up to 72 degrees (Cu K-alpha) of 1,587 structures of the Materials Project.
INTENSITY_WEIGHTS = np.array([0.357, 0.437, 0.171, 0.035])
INTENSITY_MEANS = np.array([2.37, 0.546, 0.0334, 0.0004])
#: Law of foreign lines: weights, and means as a share of the strongest line. High ones are charged more.
FOREIGN_WEIGHTS = np.array([1.0])
FOREIGN_MEANS = np.array([0.03])
#: Foreign lines expected in a pattern besides those that are seen.
_UNSEEN_FOREIGN = 0.2
#: Heights are not quite independent and profiles not quite right: at its word, the evidence is too sure of a
#: class. Chosen on 200 simulated patterns (said .94, right .935) and 55 measured ones (said .84, right .80).
_SHARPNESS = 0.75
#: Degrees over which the mean intensity is local, and the misfit.
_LOCAL, _MISFIT = 8.0, 2.0
#: Widths between lines that are taken as independent, and most lines of a clump.
_GAP, _MOST = 1.3, 12
_LEVEL = 0.1
_SWEEPS = 12


@dataclass(frozen=True)
class Law:
    """Priors of heights: own and foreign lines, and the probability of a foreign line in a clump.

    weights, means                  float64 (K,): of allowed lines, means in units of the local mean
    foreign_weights, foreign_means  float64 (L,): of foreign lines, means as share of the strongest line
    foreign                         foreign lines expected besides those that are seen
    sharpness                       power of the evidence that classes are judged by
    """

    weights: np.ndarray
    means: np.ndarray
    foreign_weights: np.ndarray
    foreign_means: np.ndarray
    foreign: float
    sharpness: float = _SHARPNESS


LAW = Law(INTENSITY_WEIGHTS, INTENSITY_MEANS, FOREIGN_WEIGHTS, FOREIGN_MEANS, _UNSEEN_FOREIGN)


@dataclass(frozen=True)
class Heights:
    """What a pattern says of the heights of the lattice's lines; ascending in angle, float64 (m,) each.

    precision, right  (m, m) and (m,): the likelihood is exp(right x - x precision x / 2), background
                      integrated out, foreign lines held at what they were fitted
    area              fitted
    expected          multiplicity times Lorentz-polarization factor times local mean
    geometry          multiplicity times Lorentz-polarization factor
    angle, fwhm       degree
    chance            probability that a foreign line stands by chance where a line of the lattice is expected
    strongest         largest area
    foreign           logarithm of the likelihood of the foreign lines as fitted, over that of no line at all
    """

    precision: np.ndarray
    right: np.ndarray
    area: np.ndarray
    expected: np.ndarray
    geometry: np.ndarray
    angle: np.ndarray
    fwhm: np.ndarray
    chance: float
    strongest: float
    foreign: float = 0.0


def lorentz_polarization(two_theta: np.ndarray) -> np.ndarray:
    """Lorentz-polarisation factor of 2theta, degree, without a monochromator, which a file rarely tells."""
    theta = np.radians(two_theta / 2.0)
    return geometric_factor(np.sin(theta), np.cos(theta), UNPOLARISED)


def heights_of(
    fit: LatticeFit, law: Law = LAW, narrowest: float = 0.03, inflation: float | None = None
) -> Heights:
    """What the fit says of the heights.

    inflation  of the variance of all points, the same for whatever is compared; None: errors are widened by
               the local misfit of this fit where that exceeds the noise
    """
    m, f = len(fit.lines), len(fit.foreign)
    N, right = fit.normal, fit.right
    X, background = N[: m + f, m + f :], N[m + f :, m + f :]
    solved = np.linalg.solve(background, np.column_stack([X.T, right[m + f :]]))
    P = N[: m + f, : m + f] - X @ solved[:, :-1]
    b = right[: m + f] - X @ solved[:, -1]
    if inflation is None:
        factor = np.sqrt(_local_misfit(fit, fit.centre))
    else:
        factor = np.full(m + f, math.sqrt(inflation))
    P = P / np.outer(factor, factor)
    # Neighbours' factors vary slowly: a line's own factor serves for its cross terms too.
    b = b / factor**2
    other = fit.area[m:]
    of_foreign = float(b[m:] @ other - 0.5 * other @ P[m:, m:] @ other)
    b = b[:m] - P[:m, m:] @ other
    P = P[:m, :m]
    angle = fit.angle[:m]
    area = fit.area[:m]
    geometry = fit.lines.multiplicity * lorentz_polarization(np.clip(angle, 1.0, 175.0))
    near = np.exp(-0.5 * ((angle[:, None] - angle) / _LOCAL) ** 2)
    # Where no line has a height, all are expected to be no higher than their errors.
    shown = area if area.max() > 0 else 1 / np.sqrt(np.maximum(np.diagonal(P), 1e-300))
    scale = (near @ shown) / (near @ geometry)
    scale = np.maximum(scale, 1e-3 * max(scale.max(), 1e-300))
    fwhm = shapes(angle, fit.profile, narrowest).fwhm
    span = float(fit.two_theta[-1] - fit.two_theta[0])
    chance = min(0.2, (law.foreign + f) * 1.2 * float(np.median(fwhm)) / span)
    highest = max(float(fit.area.max()), float(shown.max()))
    return Heights(P, b, area, scale * geometry, geometry, angle, fwhm, chance, highest, of_foreign)


def _local_misfit(fit: LatticeFit, at: np.ndarray) -> np.ndarray:
    """Mean of residual^2 / variance around the angles `at`, at least 1."""
    half = max(3, round(_MISFIT / fit.step))
    z = np.pad(fit.residual**2 / fit.variance, half, mode="edge")
    total = np.concatenate([[0.0], np.cumsum(z)])
    mean = (total[2 * half + 1 :] - total[: -2 * half - 1]) / (2 * half + 1)
    return np.maximum(1.0, np.interp(at, fit.two_theta, mean))


def clumps(angle: np.ndarray, fwhm: np.ndarray) -> list[np.ndarray]:
    """Runs of lines that overlap, as indices; runs of more than _MOST lines are cut at their widest gap."""
    cut = np.flatnonzero(np.diff(angle) > _GAP * fwhm[1:]) + 1
    waiting = np.split(np.arange(len(angle)), cut)[::-1]
    found = []
    while waiting:
        part = waiting.pop()
        if len(part) <= _MOST:
            found.append(part)
            continue
        gap = np.diff(angle[part])
        at = 3 + int(np.argmax(gap[2:-2]))
        waiting += [part[at:], part[:at]]
    return found


@dataclass(frozen=True)
class SetEvidence:
    """log p(pattern | absence set), relative to no line at all.

    total    float64 (n_sets,); by_clump float64 (n_sets, n_clumps), which sum up to it but for a constant
    clumps   indices of the lines of every clump
    """

    total: np.ndarray
    by_clump: np.ndarray
    clumps: list[np.ndarray]


def set_evidence(heights: Heights, allowed: np.ndarray, law: Law = LAW) -> SetEvidence:
    """Evidence of every absence set `allowed` bool (n_sets, m)."""
    P, b, x = heights.precision, heights.right, heights.area
    angle = heights.angle
    parts = clumps(angle, heights.fwhm)
    label = np.empty(len(x), dtype=np.int64)
    for number, part in enumerate(parts):
        label[part] = number
    # The lines that are left share the intensity of those that are forbidden: their mean is higher.
    middle = np.array([angle[part].mean() for part in parts])
    near = np.exp(-0.5 * ((middle[:, None] - angle) / _LOCAL) ** 2)
    left = np.maximum(near @ (allowed * heights.geometry).T, 1e-12)
    level = np.log((near @ heights.geometry)[:, None] / left)
    level = np.round(np.clip(level, 0.0, math.log(8.0)) / _LEVEL)
    # Neighbours outside a clump are held at their fitted heights: the cross terms count once, not twice.
    constant = 0.5 * float(x @ (P * (label[:, None] != label)) @ x)
    by_clump = np.zeros((len(allowed), len(parts)))
    words = np.random.default_rng(0).integers(1, 2**62, size=_MOST + 1, dtype=np.int64)
    for number, part in enumerate(parts):
        inside = P[np.ix_(part, part)].copy()
        own = b[part] - P[part] @ x + inside @ x[part]
        inside[np.diag_indices(len(part))] += 1e-9 * max(float(np.diagonal(inside).max()), 1e-300)
        # Sets that are alike on this clump, by a sum that overflows on purpose.
        key = (
            allowed[:, part].astype(np.int64) @ words[: len(part)]
            + level[number].astype(np.int64) * words[-1]
        )
        _, first, kind = np.unique(key, return_index=True, return_inverse=True)
        z = _clump_evidence(
            inside,
            own,
            heights.expected[part],
            np.ascontiguousarray(allowed[np.ix_(first, part)]),
            np.exp(_LEVEL * level[number, first]),
            (heights.chance, heights.strongest),
            (law.weights, law.means, law.foreign_weights, law.foreign_means),
        )
        by_clump[:, number] = z[kind.reshape(-1)]
    return SetEvidence(constant + by_clump.sum(axis=1), by_clump, parts)


@njit(cache=True)
def _clump_evidence(P, b, expected, allowed, level, foreign, law):
    """Evidence float64 (k,) of one clump for every row of `allowed` bool (k, n) and its level (k,)."""
    weights, means, foreign_weights, foreign_means = law
    chance, strongest = foreign
    n = b.size
    out = np.zeros(len(allowed))
    most = max(weights.size, foreign_weights.size)
    for k in range(len(allowed)):
        mix, index, number = np.zeros((2, n, most)), np.empty(n, np.int64), 0
        for j in range(n):
            if allowed[k, j]:
                index[number] = j
                number += 1
                _write_mixture(weights, means, expected[j] * level[k], mix, j)
            else:
                _write_mixture(foreign_weights, foreign_means, strongest, mix, j)
        z = 0.0
        if number:
            sub, side, part = np.empty((number, number)), np.empty(number), np.empty((2, number, most))
            for i in range(number):
                side[i] = b[index[i]]
                for which in range(2):
                    assign(part[which, i], mix[which, index[i]])
                for j in range(number):
                    sub[i, j] = P[index[i], index[j]]
            z = log_evidence(sub, side, part, _SWEEPS)
        if number < n and chance > 0.0:
            other = math.log(chance) + log_evidence(P, b, mix, _SWEEPS)
            z += math.log1p(-chance)
            top = max(z, other)
            z = top + math.log(math.exp(z - top) + math.exp(other - top))
        out[k] = z if math.isfinite(z) else -1e6
    return out


@njit(cache=True)
def _write_mixture(weights, means, factor, mix, j):
    for k in range(weights.size):
        mix[0, j, k], mix[1, j, k] = weights[k], means[k] * factor


@njit(cache=True)
def _half_normal(a):
    """Of a standard normal z above -a: (a^2 / 2 + log of its probability, mean of z + a, variance of z).

    Far below 0 all three come from the asymptotic series: differences of large numbers would be lost.
    """
    if a > -20.0:
        log_p = math.log(0.5 * math.erfc(-a / math.sqrt(2.0)))
        ratio = math.exp(-0.5 * a * a - 0.9189385332046727 - log_p)
        return 0.5 * a * a + log_p, a + ratio, 1.0 - ratio * (ratio + a)
    x = 1.0 / (a * a)
    tail = 1.0 - x * (1.0 - x * (3.0 - 15.0 * x))
    mean = (1.0 - x * (2.0 - x * (10.0 - 74.0 * x))) / -a
    return math.log(tail) - math.log(-a) - 0.9189385332046727, mean, x * (1.0 - x * (6.0 - 50.0 * x))


@njit(cache=True)
def _tilted(mean, variance, weights, means):
    """log of the integral, mean and variance of a normal law times a mixture of exponentials on x > 0."""
    sd = math.sqrt(variance)
    K = 0
    while weights.size > K and weights[K] > 0.0:
        K += 1
    top = -1e300
    logs, firsts, seconds = np.empty(K), np.empty(K), np.empty(K)
    for k in range(K):
        scale = means[k]
        log_p, above, spread = _half_normal((mean - variance / scale) / sd)
        logs[k] = math.log(weights[k] / scale) - 0.5 * mean * mean / variance + log_p
        firsts[k] = sd * above
        seconds[k] = variance * (max(spread, 1e-14) + above * above)
        top = max(top, logs[k])
    total, first, second = 0.0, 0.0, 0.0
    for k in range(K):
        w = math.exp(logs[k] - top)
        total += w
        first += w * firsts[k]
        second += w * seconds[k]
    first /= total
    return top + math.log(total), first, max(second / total - first * first, 1e-6 * first * first, 1e-300)


@njit(cache=True)
def log_evidence(P, b, mix, sweeps):
    """log of the integral of exp(b x - x P x / 2) times the priors of x > 0, by expectation propagation.

    P float64 (n, n), b (n,); mix float64 (2, n, K): weights and means of the exponentials of each x (weights
    of 0 end a shorter mixture). Exact for n = 1.
    """
    n = b.size
    gamma, beta = np.empty(n), np.empty(n)
    for j in range(n):
        mean = 0.0
        for k in range(mix.shape[2]):
            mean += mix[0, j, k] * mix[1, j, k]
        gamma[j] = 1.0 / (mean * mean)
        beta[j] = 0.5 / mean
    M = P.copy()
    for _ in range(sweeps):
        for j in range(n):
            M[j, j] = P[j, j] + gamma[j]
        S = np.linalg.inv(M)
        change = 0.0
        for j in range(n):
            mean = 0.0
            for k in range(n):
                mean += S[j, k] * (b[k] + beta[k])
            variance = max(S[j, j], 1e-300)
            cavity = 1.0 / variance - gamma[j]
            if cavity < 1e-10 / variance:
                cavity = 1e-10 / variance
            centre = (mean / variance - beta[j]) / cavity
            _, first, second = _tilted(centre, 1.0 / cavity, mix[0, j], mix[1, j])
            new_gamma = max(1.0 / second - cavity, 1e-8 * cavity)
            new_beta = first * (new_gamma + cavity) - centre * cavity
            damp = 1.0 if n == 1 else 0.7
            step = damp * (new_gamma - gamma[j])
            change = max(change, abs(step) / (gamma[j] + cavity))
            gamma[j] += step
            beta[j] += damp * (new_beta - beta[j])
            f = step / (1.0 + step * S[j, j])
            column = S[:, j].copy()
            for a in range(n):
                for c in range(n):
                    S[a, c] -= f * column[a] * column[c]
        if change < 1e-4:
            break
    for j in range(n):
        M[j, j] = P[j, j] + gamma[j]
    S = np.linalg.inv(M)
    _, log_det = np.linalg.slogdet(M)
    out = 0.5 * n * math.log(2.0 * math.pi) - 0.5 * log_det
    for j in range(n):
        mean = 0.0
        for k in range(n):
            mean += S[j, k] * (b[k] + beta[k])
        out += 0.5 * mean * (b[j] + beta[j])
        variance = max(S[j, j], 1e-300)
        cavity = 1.0 / variance - gamma[j]
        if cavity < 1e-10 / variance:
            cavity = 1e-10 / variance
        centre = (mean / variance - beta[j]) / cavity
        log_z, _, _ = _tilted(centre, 1.0 / cavity, mix[0, j], mix[1, j])
        out += log_z + 0.5 * math.log(1.0 + gamma[j] / cavity)
        out -= 0.5 * ((centre * cavity + beta[j]) ** 2 / (cavity + gamma[j]) - centre * centre * cavity)
    return out

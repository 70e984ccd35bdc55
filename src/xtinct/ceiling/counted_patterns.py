"""Ceiling of one counted pattern: what its counts, its widths and its range leave of the extinction laws.

The judge knows the cell, the shape and width of every line, the background, the mean intensity at every angle
and the law that heights scatter by: each allowed line has `height` times multiplicity times the
Lorentz-polarisation factor times a random number from a mixture of exponentials. What a space group forbids,
the lines around share. Counts of a point follow Poisson's law, taken as a normal one of known variance.

A pattern is drawn for the group that the label says, and the judge computes the posterior of every absence
set:

    P(set | counts) ~ P(set) integral of p(counts | heights) p(heights | set)

The integral is taken clump by clump of overlapping lines. For one line it is known in closed form; for
several it is estimated without bias by sequential importance sampling: the normal likelihood is written as a
product of one-dimensional ones (Cholesky), each line is drawn from its factor times its law, and the factors'
integrals are multiplied (the simulator of Geweke, Hajivassiliou and Keane, with exponential laws).

The ceiling is how often the judge's first k answers then hold the label, ties shared. It is that of an ideal
judge under the prior, not of one who knows the frequencies of a test set. Real judges also have to find the
cell, and meet foreign lines, texture and misfit.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from xtinct.ceiling.extinction import Weight, checked_ks, k_largest, labels
from xtinct.ceiling.hypotheses import Hypotheses
from xtinct.ceiling.measured_lines import times
from xtinct.compiling import njit
from xtinct.errors import XtinctError
from xtinct.lattices.conventional import free_angle_range
from xtinct.lattices.metric import form_metric
from xtinct.linelists.ordering import EQUAL_D
from xtinct.patterns.lorentz import UNPOLARISED, geometric_factor
from xtinct.randomness import normal, stream_key, subkey, uniform, uniform_open

#: Lines that are looked at, the lowest of the cell: what decides stands there.
_LINES = 250
#: Orders of reflection along an axis that are looked at.
_ORDERS = 30
#: Widths between lines that are taken as independent, and most lines of a clump.
_GAP, _MOST = 1.5, 12
#: Widths to which a line is followed.
_REACH = 4.0
#: Degrees over which lines share the intensity of those that are forbidden; steps of its logarithm, and most.
_LOCAL, _LEVEL, _RAISED = 8.0, 0.1, math.log(8.0)


@dataclass(frozen=True)
class CountedPattern:
    """How a pattern was counted; arrays float64 (n,) belong to its points.

    two_theta   equidistant, degree
    background  counts of a point without lines
    fwhm        of lines there, degree; lorentzian, share of their pseudo-Voigt profile's height
    height      counts of a line (both of a doublet) over multiplicity times Lorentz-polarisation factor: mean
                of all lines of the cell, whether allowed or not
    wavelength  angstrom; second and ratio, of the second line of a doublet; ratio 0 without
    """

    two_theta: np.ndarray
    background: np.ndarray
    fwhm: np.ndarray
    lorentzian: np.ndarray
    height: np.ndarray
    wavelength: float
    second: float = 0.0
    ratio: float = 0.0


@dataclass(frozen=True)
class HeightLaw:
    """A mixture of exponentials: shares (K,) that add up to 1, and means (K,) in units of the local mean."""

    shares: np.ndarray
    means: np.ndarray


@dataclass(frozen=True)
class Trials:
    """How many patterns are drawn of a group, and how many samples an integral over several lines takes."""

    patterns: int = 200
    samples: int = 16
    seed: int = 0


_TRIALS = Trials()


@dataclass(frozen=True)
class CountedCeiling:
    """How often the ideal judge is right.

    right   target ("extinction_class", "spacegroup") -> k -> share of the drawn patterns
    said    the same: what the judge's first k answers were said to be worth, on average. Over all groups in
            turn, as frequent as in the prior, it is `right`; for one group it need not be
    trials  number of patterns drawn
    lines   of the cell that were looked at
    """

    right: dict[str, dict[int, float]]
    said: dict[str, dict[int, float]]
    trials: int
    lines: int


def counted_ceiling(
    family: str,
    number: int,
    cell: np.ndarray,
    pattern: CountedPattern,
    law: HeightLaw,
    *,
    ks: Iterable[int] = (1, 2, 3, 4, 5),
    prior: Mapping[int, Weight] | None = None,
    trials: Trials = _TRIALS,
) -> CountedCeiling:
    """What a pattern counted like `pattern` shows at best of the space group `number` on its cell (6,).

    `family`: of the group and of the conventional cell in its standard setting. `prior`: weight of every
    group of the family; None: all alike. XtinctError where no line of the cell is in the range.
    """
    ks = checked_ks(ks)
    lines = _lines_of(family, np.asarray(cell, dtype=np.float64), pattern)
    hypotheses = lines.hypotheses
    own = int(hypotheses.set_of_group[number - hypotheses.groups[0]])
    likelihood = np.zeros((trials.patterns, len(lines.expected)))
    key = stream_key(trials.seed, "counted pattern", family, int(number))
    for at, part in enumerate(_clumps(lines)):
        expected, kind = np.unique(lines.expected[:, part], axis=0, return_inverse=True)
        kind = kind.reshape(-1)
        shown, points = _shown(lines, part, pattern)
        likelihood += _clump_likelihoods(
            shown,
            np.ascontiguousarray(pattern.background[points]),
            expected,
            (int(kind[own]), trials.patterns, trials.samples, np.uint64(subkey(key, at))),
            (np.asarray(law.shares, dtype=np.float64), np.asarray(law.means, dtype=np.float64)),
        )[:, kind]
    weight = np.exp(likelihood - likelihood.max(axis=1, keepdims=True))
    right, said = {}, {}
    for target in ("extinction_class", "spacegroup"):
        joint, names, total = hypotheses.joint(target, prior)
        posterior = times(weight, (joint / total).astype(np.float64))
        mine = names.index(_label(hypotheses, target, number))
        right[target] = _held(posterior, mine, ks)
        won = k_largest(posterior / posterior.sum(axis=1, keepdims=True), ks)
        said[target] = {k: float(value.mean()) for k, value in won.items()}
    return CountedCeiling(right, said, trials.patterns, len(lines.angle))


def _label(hypotheses: Hypotheses, target: str, number: int) -> object:
    return labels(hypotheses.family, target)[number]


def _held(posterior: np.ndarray, mine: int, ks: tuple[int, ...]) -> dict[int, float]:
    """Share of the rows (n, n_labels) whose k largest hold the column `mine`; equal ones share places."""
    own = posterior[:, mine, None]
    before = (posterior > own * (1 + 1e-9)).sum(axis=1)
    equal = (abs(posterior - own) <= own * 1e-9).sum(axis=1)
    return {k: float(np.clip((k - before) / equal, 0.0, 1.0).mean()) for k in ks}


@dataclass(frozen=True)
class _Lines:
    """The lines of a cell within a pattern, ascending in angle.

    angle, fwhm, lorentzian   float64 (m,)
    expected  float64 (n_sets, m): mean counts of every line under each absence set; 0 of a forbidden line
    """

    hypotheses: Hypotheses
    angle: np.ndarray
    fwhm: np.ndarray
    lorentzian: np.ndarray
    expected: np.ndarray


def _lines_of(family: str, cell: np.ndarray, pattern: CountedPattern) -> _Lines:
    ends = 2 * np.sin(np.radians(pattern.two_theta[[0, -1]] / 2)) / pattern.wavelength
    reach = min(float(ends[1]), _ORDERS / float(cell[:3].max()))
    hypotheses = Hypotheses(family, reach, float(cell[:3].max()), free_angle_range(family, cell[None]))
    q = hypotheses.lines.forms @ form_metric(family, cell[None])[0]
    order = np.argsort(q, kind="stable")
    inside = (q >= ends[0] ** 2) & (q <= reach**2) & hypotheses.allowed.any(axis=0)
    order = order[inside[order]]
    if not len(order):
        raise XtinctError(f"no line of the cell lies between 1/d = {ends[0]:.3g} and {reach:.3g} 1/angstrom")
    starts = np.flatnonzero(np.concatenate([[True], np.diff(q[order]) > EQUAL_D * q[order][1:]]))
    first, last = starts[:_LINES], [*starts, len(order)][min(_LINES, len(starts))]
    order, q_line = order[:last], q[order[first]]
    angle = 2 * np.degrees(np.arcsin(np.minimum(np.sqrt(q_line) * pattern.wavelength / 2, 1.0)))
    theta = np.radians(angle / 2)
    factor = geometric_factor(np.sin(theta), np.cos(theta), UNPOLARISED)
    multiplicity = hypotheses.lines.multiplicity[order].astype(np.float64)
    geometry = np.add.reduceat(hypotheses.allowed[:, order] * multiplicity, first, axis=1) * factor
    every = np.add.reduceat(multiplicity, first) * factor
    near = np.exp(-0.5 * ((angle[:, None] - angle) / _LOCAL) ** 2)
    level = np.log((near @ every)[:, None] / np.maximum(near @ geometry.T, 1e-12 * every.max()))
    level = _LEVEL * np.round(np.clip(level, 0.0, _RAISED) / _LEVEL)
    at = [np.interp(angle, pattern.two_theta, x) for x in (pattern.fwhm, pattern.lorentzian, pattern.height)]
    return _Lines(hypotheses, angle, at[0], at[1], geometry * np.exp(level.T) * at[2])


def _clumps(lines: _Lines) -> list[np.ndarray]:
    """Runs of overlapping lines on which some sets differ; long ones are cut at their widest gaps."""
    cut = np.flatnonzero(np.diff(lines.angle) > _GAP * lines.fwhm[1:]) + 1
    waiting = np.split(np.arange(len(lines.angle)), cut)[::-1]
    found = []
    while waiting:
        part = waiting.pop()
        if len(part) > _MOST:
            at = 3 + int(np.argmax(np.diff(lines.angle[part])[2:-2]))
            waiting += [part[at:], part[:at]]
        elif (allowed := lines.expected[:, part] > 0).any(axis=0).sum() > allowed.all(axis=0).sum():
            found.append(part)
    return found


def _shown(lines: _Lines, part: np.ndarray, pattern: CountedPattern) -> tuple[np.ndarray, slice]:
    """(float64 (len(part), k): share of each line's counts in every point; the k points)."""
    grid = pattern.two_theta
    step = float(grid[1] - grid[0])
    centres = [lines.angle[part]]
    if pattern.ratio:
        sine = np.sin(np.radians(centres[0] / 2)) * pattern.second / pattern.wavelength
        centres.append(2 * np.degrees(np.arcsin(np.minimum(sine, 1.0))))
    width = lines.fwhm[part]
    low = np.searchsorted(grid, (centres[0] - _REACH * width).min())
    high = np.searchsorted(grid, (centres[-1] + _REACH * width).max())
    points = slice(min(int(low), len(grid) - 1), max(int(high), int(low) + 1))
    eta = lines.lorentzian[part][:, None]
    area = width[:, None] / 2 * (eta * math.pi + (1 - eta) * math.sqrt(math.pi / math.log(2)))
    shape = np.zeros((len(part), len(grid[points])))
    for centre, share in zip(centres, (1.0, pattern.ratio), strict=False):
        u = ((grid[points] - centre[:, None]) / (width[:, None] / 2)) ** 2
        profile = eta / (1 + u) + (1 - eta) * np.exp(-math.log(2) * u)
        shape += share / (1 + pattern.ratio) * step * profile / area
    return shape, points


@njit(cache=True)
def _clump_likelihoods(shown, background, expected, drawn, law):
    """Log-likelihoods float64 (n_patterns, n_kinds), relative to no line, of patterns drawn of one kind.

    shown float64 (m, k), background (k,); expected (n_kinds, m); drawn: the true kind, patterns, samples and
    key; law: shares and means of the exponentials
    """
    truth, patterns, samples, key = drawn
    m, k = shown.shape
    n_kinds = len(expected)
    out = np.zeros((patterns, n_kinds))
    index = np.empty(m, np.int64)
    for d in range(patterns):
        stream = subkey(key, np.uint64(d))
        level = background.copy()
        for j in range(m):
            if expected[truth, j] > 0.0:
                height = _drawn_height(expected[truth, j], law, subkey(stream, np.uint64(j)))
                for p in range(k):
                    level[p] += height * shown[j, p]
        noise = subkey(stream, np.uint64(m))
        precision, right = np.zeros((m, m)), np.zeros(m)
        for p in range(k):
            variance = max(level[p], 1e-3)
            seen = level[p] - background[p] + math.sqrt(variance) * normal(noise, np.uint64(p))
            for i in range(m):
                right[i] += shown[i, p] * seen / variance
                for j in range(i + 1):
                    precision[i, j] += shown[i, p] * shown[j, p] / variance
        walk = subkey(stream, np.uint64(m + 1))
        for x in range(n_kinds):
            n = 0
            for j in range(m):
                if expected[x, j] > 0.0:
                    index[n] = j
                    n += 1
            if n:
                lower, about = _factored(precision, right, index[:n])
                means = expected[x][index[:n]]
                out[d, x] = _log_integral(lower, about, means, law, (1 if n == 1 else samples, walk))
    return out


@njit(cache=True)
def _drawn_height(expected, law, key):
    """A height of the law, its mean `expected`."""
    shares, means = law
    u, total = uniform(key, np.uint64(0)), 0.0
    for c in range(shares.size):
        total += shares[c]
        if u < total or c == shares.size - 1:
            return -expected * means[c] * math.log(uniform_open(key, np.uint64(1)))
    return 0.0


@njit(cache=True)
def _factored(precision, right, index):
    """(L, c) with exp(b x - x P x / 2) = exp(c c / 2 - |L' x - c|^2 / 2) for the rows `index` of P and b.

    L float64 (n, n) is lower; a little is added to the diagonal, so that lines at one angle have one, too.
    """
    n = index.size
    lower, about = np.zeros((n, n)), np.zeros(n)
    for i in range(n):
        for j in range(i + 1):
            value = precision[index[i], index[j]]
            if i == j:
                value *= 1.0 + 1e-9
            for c in range(j):
                value -= lower[i, c] * lower[j, c]
            if i == j:
                lower[i, i] = math.sqrt(max(value, 1e-12 * precision[index[i], index[i]], 1e-300))
            else:
                lower[i, j] = value / lower[j, j]
        value = right[index[i]]
        for c in range(i):
            value -= lower[i, c] * about[c]
        about[i] = value / lower[i, i]
    return lower, about


@njit(cache=True)
def _log_integral(lower, about, expected, law, walk):
    """log of the integral over heights x > 0 of exp(c c / 2 - |L' x - c|^2 / 2) times their laws.

    lower, about as of `_factored`; expected (n,), means of the laws; walk: samples and key
    """
    samples, key = walk
    n = about.size
    square = 0.0
    for i in range(n):
        square += about[i] * about[i]
    height = np.empty(n)
    logs = np.empty(samples)
    top = -np.inf
    for s in range(samples):
        stream = subkey(key, np.uint64(s))
        total = 0.0
        for step in range(n):
            i = n - 1 - step
            centre = about[i]
            for j in range(i + 1, n):
                centre -= lower[j, i] * height[j]
            last = step == n - 1
            part, height[i] = _one_line(lower[i, i], centre, expected[i], law, (subkey(stream, i), not last))
            total += part
        logs[s] = total
        top = max(top, total)
    mean = 0.0
    for s in range(samples):
        mean += math.exp(logs[s] - top)
    return 0.5 * square + top + math.log(mean / samples)


@njit(cache=True)
def _one_line(slope, centre, expected, law, drawing):
    """(log of the integral of exp(-(slope x - centre)^2 / 2) times the law over x > 0, an x of it)."""
    shares, means = law
    key, draws = drawing
    logs = np.empty(shares.size)
    top = -np.inf
    for c in range(shares.size):
        scale = expected * means[c]
        logs[c] = (
            math.log(shares[c] / (scale * slope))
            - 0.5 * centre * centre
            + _log_tail(centre - 1.0 / (scale * slope))
        )
        top = max(top, logs[c])
    total = 0.0
    for c in range(shares.size):
        total += math.exp(logs[c] - top)
    height = 0.0
    if draws:
        u, below = uniform(key, np.uint64(0)) * total, 0.0
        chosen = shares.size - 1
        for c in range(shares.size):
            below += math.exp(logs[c] - top)
            if u < below:
                chosen = c
                break
        height = _above_zero(centre - 1.0 / (expected * means[chosen] * slope), key) / slope
    return top + math.log(total), height


@njit(cache=True)
def _log_tail(a):
    """log of the integral over t > 0 of exp(a t - t^2 / 2)."""
    if a > -25.0:
        return 0.5 * a * a + math.log(0.5 * math.erfc(-a / math.sqrt(2.0))) + 0.9189385332046727
    x = 1.0 / (a * a)
    return math.log(1.0 - x * (1.0 - x * (3.0 - 15.0 * x))) - math.log(-a)


@njit(cache=True)
def _above_zero(a, key):
    """A draw of t > 0 with density exp(a t - t^2 / 2) (Robert 1995, Stat. Comput. 5, 121)."""
    counter = np.uint64(1)
    if a >= 0.0:
        while True:
            t = a + normal(key, counter)
            counter += np.uint64(1)
            if t > 0.0:
                return t
    rate = 0.5 * (math.sqrt(a * a + 4.0) - a)
    while True:
        t = -math.log(uniform_open(key, np.uint64(2) * counter)) / rate
        off = t - a - rate
        if uniform(key, np.uint64(2) * counter + np.uint64(1)) < math.exp(-0.5 * off * off):
            return t
        counter += np.uint64(1)

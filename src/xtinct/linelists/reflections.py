"""Structure factors of all reflections of a crystal, the compiled part of `structure_factors`.

F(hkl) = sum over atoms of occupancy f(s) exp(2 pi i h.x). Phases come from one-dimensional tables
along each axis, so no sine is evaluated per reflection. With A = occupancy exp(2 pi i (hx + ky)) of an
atom, F(h, k, l) and F(h, k, -l) are P + iQ and P - iQ of P = sum A cos(2 pi l z) and
Q = sum A sin(2 pi l z): one pass over the atoms for two reflections.
"""

import math
from typing import NamedTuple

import numpy as np

from xtinct.compiling import njit
from xtinct.simd import add_scaled, load, store, zeros

#: Centrings as the translations of their lattice beside the identity, in units of 1 / the first
#: column: F, I, A, B, C, and R in any setting and on any axes.
CENTRINGS = (
    np.array([[2, 1, 1, 0], [2, 1, 0, 1], [2, 0, 1, 1]]),
    np.array([[2, 1, 1, 1]]),
    np.array([[2, 0, 1, 1]]),
    np.array([[2, 1, 0, 1]]),
    np.array([[2, 1, 1, 0]]),
    np.array([[3, 1, 1, 1], [3, 2, 2, 2]]),
    np.array([[3, 1, 1, 2], [3, 2, 2, 1]]),
    np.array([[3, 1, 2, 1], [3, 2, 1, 2]]),
    np.array([[3, 2, 1, 1], [3, 1, 2, 2]]),
)
#: Atoms further from the translated place than this, in fractions of an axis, are other atoms. Ten
#: decimals are written; a displacement of this size moves a phase by less than 1e-7.
_SAME_PLACE = 2.5e-10

_LANES = 8


class Sphere(NamedTuple):
    """Part of reciprocal space that is asked for.

    g           float64 (3, 3), reciprocal metric
    limit       largest 1/d^2, 1/angstrom^2
    hm, km, lm  largest |h|, |k|, |l| in it
    """

    g: np.ndarray
    limit: float
    hm: int
    km: int
    lm: int


class Contents(NamedTuple):
    """Atoms of a cell, sorted by species.

    x, weight     float64 (n, 3) and (n,)
    starts        int64 (species + 1,), where each species begins
    translations  of `reduce_to_primitive`: other reflections are absent and left out
    """

    x: np.ndarray
    weight: np.ndarray
    starts: np.ndarray
    translations: np.ndarray


class Amplitudes(NamedTuple):
    """Scattering amplitudes: float64 (species, intervals, 4), cubics over intervals of s^2 of `width`."""

    cubics: np.ndarray
    width: float


class Texture(NamedTuple):
    """Preferred orientation.

    axis  float64 (3,): hkl . axis is the component of hkl in the preferred direction, 1/angstrom
    r     of March and Dollase, 1 for a random powder
    """

    axis: np.ndarray
    r: float


class _Waves(NamedTuple):
    """Real and imaginary parts."""

    re: np.ndarray
    im: np.ndarray


@njit(cache=True)
def _span(a, b, c, low, high):
    """First and last integer x in [low, high] with a x^2 + b x + c <= 0; first > last if there is none."""
    root = b * b - 4.0 * a * c
    if root < 0.0:
        return 1, 0
    root = math.sqrt(root)
    first = math.ceil((-b - root) / (2.0 * a) - 1e-9)
    last = math.floor((-b + root) / (2.0 * a) + 1e-9)
    return max(low, int(first)), min(high, int(last))


@njit(cache=True)
def _k_span(g, h, limit, km):
    """k that some l brings within the sphere, for this h: the quadratic form minimised over l."""
    a = g[1, 1] - g[1, 2] * g[1, 2] / g[2, 2]
    b = 2.0 * h * (g[0, 1] - g[0, 2] * g[1, 2] / g[2, 2])
    c = h * h * (g[0, 0] - g[0, 2] * g[0, 2] / g[2, 2]) - limit
    first, last = _span(a, b, c, -km, km)
    return (max(first, 0) if h == 0 else first), last


@njit(cache=True)
def _l_span(g, h, k, limit, lm):
    """l within the sphere for this h and k, in the half h > 0, or h = 0 and k > 0, or h = k = 0 and l > 0."""
    b = 2.0 * (h * g[0, 2] + k * g[1, 2])
    c = h * h * g[0, 0] + k * k * g[1, 1] + 2.0 * h * k * g[0, 1] - limit
    first, last = _span(g[2, 2], b, c, -lm, lm)
    return (max(first, 1) if h == 0 and k == 0 else first), last


@njit(cache=True)
def count_reflections(sphere):
    """Reflections of the half sphere."""
    g, limit, hm, km, lm = sphere
    count = 0
    for h in range(hm + 1):
        k0, k1 = _k_span(g, h, limit, km)
        for k in range(k0, k1 + 1):
            l0, l1 = _l_span(g, h, k, limit, lm)
            count += max(0, l1 - l0 + 1)
    return count


@njit(cache=True)
def _image(x, j, last, translation):
    """Atom of j + 1 to last - 1 at the place of atom j + translation, or -1."""
    for other in range(j + 1, last):
        apart = 0.0
        for axis in range(3):
            d = x[other, axis] - x[j, axis] - translation[1 + axis] / translation[0]
            apart = max(apart, abs(d - round(d)))
        if apart < _SAME_PLACE:
            return other
    return -1


@njit(cache=True)
def _has_translations(x, weight, starts, translations, dropped):
    """Whether the lattice translations map the crystal onto itself; marks all but one atom of an orbit."""
    dropped[:] = False
    for species in range(starts.size - 1):
        for j in range(starts[species], starts[species + 1]):
            if dropped[j]:
                continue
            for t in range(len(translations)):
                other = _image(x, j, starts[species + 1], translations[t])
                if other < 0 or dropped[other] or weight[other] != weight[j]:
                    return False
                dropped[other] = True
    return True


@njit(cache=True)
def reduce_to_primitive(x, weight, starts, centrings):
    """Keep one atom of each orbit of the centring, with the weight of all, in place.

    x (n, 3) and weight (n,) are sorted by species, which begin at `starts`. Returns the translations
    int64 (m, 4) as in CENTRINGS, none if the lattice is primitive. A centred crystal then costs a
    half to a sixteenth.
    """
    dropped = np.empty(weight.size, np.bool_)
    for translations in centrings:
        order = len(translations) + 1
        # An atom of the first species without an image rules the centring out at once.
        if not _has_translations(x, weight, starts, translations, dropped):
            continue
        kept, begin = 0, starts[0]
        for species in range(starts.size - 1):
            end = starts[species + 1]
            for j in range(begin, end):
                if not dropped[j]:
                    x[kept], weight[kept] = x[j], order * weight[j]
                    kept += 1
            begin, starts[species + 1] = end, kept
        return translations
    return centrings[0][:0]


@njit(cache=True)
def _powers(x, last, first_re, out_re, out_im):
    """first_re exp(2 pi i m x) for m = 0 to last: rows m, columns the atoms."""
    n = x.size
    turn_re, turn_im = np.empty(n), np.empty(n)
    for j in range(n):
        turn_re[j], turn_im[j] = math.cos(2.0 * math.pi * x[j]), math.sin(2.0 * math.pi * x[j])
        out_re[0, j], out_im[0, j] = first_re[j], 0.0
    for m in range(1, last + 1):
        re, im = out_re[m - 1], out_im[m - 1]
        to_re, to_im = out_re[m], out_im[m]
        for j in range(n):
            to_re[j] = re[j] * turn_re[j] - im[j] * turn_im[j]
            to_im[j] = re[j] * turn_im[j] + im[j] * turn_re[j]


@njit(cache=True)
def _sums(a, along_l, first, last, blocks, sums, at):
    """P and Q of the atoms first to last - 1 for l = 0, 1, ... in blocks of vectors.

    The cosines and sines along l are (blocks, n, lanes). Writes rows Re P, Im P, Re Q, Im Q of `sums`
    (4, >= blocks x lanes) from flat index `at` on.
    """
    a_re, a_im, cos_l, sin_l = a.re, a.im, along_l.re, along_l.im
    n, row = a_re.size, sums.shape[-1]
    for block in range(blocks):
        p_re, p_im, q_re, q_im = zeros(sums), zeros(sums), zeros(sums), zeros(sums)
        table = (block * n + first) * _LANES
        for j in range(first, last):
            c, s = load(cos_l, table), load(sin_l, table)
            p_re = add_scaled(p_re, a_re[j], c)
            p_im = add_scaled(p_im, a_im[j], c)
            q_re = add_scaled(q_re, a_re[j], s)
            q_im = add_scaled(q_im, a_im[j], s)
            table += _LANES
        to = at + block * _LANES
        store(sums, to, p_re)
        store(sums, to + row, p_im)
        store(sums, to + 2 * row, q_re)
        store(sums, to + 3 * row, q_im)


@njit(cache=True)
def _allowed(h, k, l, translations):  # noqa: E741
    for t in translations:  # noqa: SIM110 (numba has no generators)
        if (h * t[1] + k * t[2] + l * t[3]) % t[0] != 0:
            return False
    return True


@njit(cache=True)
def march_dollase(cosine, r):
    """Density of crystallites whose preferred direction stands at an angle of `cosine` to the scattering
    vector, relative to a random powder's (W. A. Dollase, J. Appl. Cryst. 19, 267-272, 1986)."""
    square = cosine * cosine
    return (r * r * square + (1.0 - square) / r) ** -1.5


@njit(cache=True)
def reflections(sphere, contents, amplitudes, texture, d_star2, intensity):
    """Write 1/d^2 and |F|^2 of the half sphere to d_star2 and intensity; returns how many entries.

    Where l is orthogonal to h and k, hkl and hk-l share one entry with the sum of both.
    """
    g, limit, hm, km, lm = sphere
    x, weight, starts, translations = contents
    cubics, width = amplitudes
    axis, r = texture
    n, n_species = weight.size, starts.size - 1
    lanes = (lm // _LANES + 1) * _LANES
    h_re, h_im = np.empty((hm + 1, n)), np.empty((hm + 1, n))
    k_re, k_im = np.empty((km + 1, n)), np.empty((km + 1, n))
    l_re, l_im = np.empty((lanes, n)), np.empty((lanes, n))
    ones = np.ones(n)
    _powers(x[:, 0].copy(), hm, weight, h_re, h_im)
    _powers(x[:, 1].copy(), km, ones, k_re, k_im)
    _powers(x[:, 2].copy(), lanes - 1, ones, l_re, l_im)
    cos_l, sin_l = np.empty(lanes * n), np.empty(lanes * n)
    for l in range(lanes):  # noqa: E741
        to = l // _LANES * n * _LANES + l % _LANES
        for j in range(n):
            cos_l[to + j * _LANES], sin_l[to + j * _LANES] = l_re[l, j], l_im[l, j]
    a_re, a_im = np.empty(n), np.empty(n)
    a, along_l = _Waves(a_re, a_im), _Waves(cos_l, sin_l)
    sums = np.empty((n_species, 4, lanes))
    paired = g[0, 2] == 0.0 and g[1, 2] == 0.0
    per_interval, intervals = 0.25 / width, cubics.shape[1]
    count = 0
    for h in range(hm + 1):
        k0, k1 = _k_span(g, h, limit, km)
        for k in range(k0, k1 + 1):
            l0, l1 = _l_span(g, h, k, limit, lm)
            if l1 < l0 or not (
                _allowed(h, k, 0, translations)
                or _allowed(h, k, 1, translations)
                or _allowed(h, k, 2, translations)
            ):
                continue
            sign = 1.0 if k >= 0 else -1.0
            hr, hi, kr, ki = h_re[h], h_im[h], k_re[abs(k)], k_im[abs(k)]
            for j in range(n):
                a_re[j] = hr[j] * kr[j] - sign * hi[j] * ki[j]
                a_im[j] = hi[j] * kr[j] + sign * hr[j] * ki[j]
            blocks = max(abs(l0), abs(l1)) // _LANES + 1
            for species in range(n_species):
                at = species * 4 * lanes
                _sums(a, along_l, starts[species], starts[species + 1], blocks, sums, at)
            b1 = 2.0 * (h * g[0, 2] + k * g[1, 2])
            c1 = h * h * g[0, 0] + k * k * g[1, 1] + 2.0 * h * k * g[0, 1]
            for l in range(max(l0, 0) if paired else l0, l1 + 1):  # noqa: E741
                both = paired and l > 0 and l0 < 0
                here = _allowed(h, k, l, translations)
                there = both and _allowed(h, k, -l, translations)
                if not (here or there):
                    continue
                d2 = (g[2, 2] * l + b1) * l + c1
                s2 = d2 * per_interval
                interval = min(intervals - 1, int(s2))
                t = s2 - interval
                p_re, p_im, q_re, q_im = 0.0, 0.0, 0.0, 0.0
                m = abs(l)
                for species in range(n_species):
                    cubic, p = cubics[species, interval], sums[species]
                    f = cubic[0] + t * (cubic[1] + t * (cubic[2] + t * cubic[3]))
                    p_re += f * p[0, m]
                    p_im += f * p[1, m]
                    q_re += f * p[2, m]
                    q_im += f * p[3, m]
                if l < 0:
                    q_re, q_im = -q_re, -q_im
                total = 0.0
                share, other = 1.0, 1.0
                if r != 1.0:
                    in_plane, along = h * axis[0] + k * axis[1], l * axis[2]
                    share = march_dollase((in_plane + along) / math.sqrt(d2), r)
                    other = march_dollase((in_plane - along) / math.sqrt(d2), r)
                if here:
                    total += share * ((p_re - q_im) ** 2 + (p_im + q_re) ** 2)
                if there:
                    total += other * ((p_re + q_im) ** 2 + (p_im - q_re) ** 2)
                d_star2[count], intensity[count] = d2, total
                count += 1
    return count

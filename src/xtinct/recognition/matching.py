"""Structures held against measured peaks: their cells refined axis by axis, then the agreement measured.

The lines of a structure get hkl in its conventional cell. The free parameters of its metric and a common
shift of the pattern are fitted to the peaks that each line is nearest to and as strong as, from several
ratios of the axes; the database's cell, enlarged by the scale of the screening, is the prior.
"""

import math
from typing import NamedTuple

import numpy as np

from xtinct.compiling import assign, njit
from xtinct.observer.peaks.gridded import in_gap
from xtinct.recognition.known_structures import FIRST, UNIT, Table
from xtinct.recognition.screening import BIN, MEAN_SHIFT
from xtinct.recognition.targets import Targets

#: Free parameters of the metric of each family, in the order of FAMILIES.
FREE = np.array([1, 2, 2, 3, 4, 6])
_CUBIC, _TETRAGONAL, _HEXAGONAL, _ORTHORHOMBIC, _MONOCLINIC, _TRICLINIC = range(6)
#: Standard deviation of a length of the database over the measured one, after the common scale; of the shift,
#: degree.
_STRAIN, _SHIFT = 0.012, 0.05
#: Steps of the refinement, and the window (share of 1/d) that it ends with and adds at its beginning.
_STEPS, _WINDOW, _WIDER = 7, 0.0012, 0.011
#: Axis ratios that a refinement begins with: the metric parameter changed by this share; angles, by radian.
_START, _ANGLE = 0.036, 0.026
#: Relative departure from the nearest hkl above which a line has none.
_MISFIT = 1e-3
#: Peaks, from the strongest down, that must be explained.
_STRONGEST = 40
#: Prior and scatter (natural logarithm) of the texture that intensities are corrected by.
_TEXTURE, _SCATTER = 0.7, 0.5

#: What `match` measures of each structure, in order.
MEASURES = (
    "cosine",  # of smeared root intensities, smearing of a third of the peaks' width
    "broad",  # the same, smeared twice as far
    "fourth",  # of fourth roots, which texture changes less
    "textured",  # mean of the first two after correction of texture
    "evidence",  # log-likelihood ratio of the positions of the strongest peaks over chance
    "explained",  # share of the peaks' root areas that have a line
    "seen",  # share of the lines' root intensities that have a peak
    "missing",  # log-likelihood of the lines that should be seen and are not
    "strain",  # root mean square departure of the metric from the prior, in its standard deviations
    "scale",  # ln of 1/d measured over the database's
    "shift",  # of the pattern, degree
    "lines",  # lines that a search could tell apart
    "hits",  # of them with a peak
    "residual",  # root mean square distance of these, degree
    "spread",  # mean departure of their ln(intensity) from the common scale
    "ten",  # share of the ten strongest peaks that have a line
    "free",  # free parameters of the metric
    "unindexed",  # share of lines without hkl in the cell
    "texture",  # size of the texture correction
    "scale_of_area",  # ln of the peaks' areas over the lines' intensities
)
_N = len(MEASURES)
_AT = {name: i for i, name in enumerate(MEASURES)}
_EVIDENCE, _EXPLAINED, _TEN = _AT["evidence"], _AT["explained"], _AT["ten"]
_COSINE, _BROAD, _FOURTH, _TEXTURED = _AT["cosine"], _AT["broad"], _AT["fourth"], _AT["textured"]
_SEEN, _MISSING, _LINES_AT, _HITS = _AT["seen"], _AT["missing"], _AT["lines"], _AT["hits"]
_RESIDUAL, _SPREAD, _TEXTURE_AT, _AREA = _AT["residual"], _AT["spread"], _AT["texture"], _AT["scale_of_area"]
_STRAIN_AT, _SCALE, _SHIFT_AT, _FREE_AT, _UNINDEXED = (
    _AT["strain"],
    _AT["scale"],
    _AT["shift"],
    _AT["free"],
    _AT["unindexed"],
)


class Matched(NamedTuple):
    """Of each structure (n,): MEASURES float64 (n, k), and its refined metric float64 (n, 6), then zeros."""

    measures: np.ndarray
    metric: np.ndarray

    def __getitem__(self, name):
        """Column of a measure by its name."""
        if isinstance(name, str):
            return self.measures[:, _AT[name]]
        return tuple.__getitem__(self, name)


class _Peaks(NamedTuple):
    """Targets for the kernels, with ln(area + 0.01), root and fourth root of the open area."""

    two_theta: np.ndarray
    error: np.ndarray
    area: np.ndarray
    area_error: np.ndarray
    fwhm: np.ndarray
    open: np.ndarray
    log: np.ndarray
    root: np.ndarray
    fourth: np.ndarray
    wavelength: float
    first: float
    last: float
    gaps: np.ndarray
    width: float


class _Lines(NamedTuple):
    """Lines of a structure (m,): 1/d^2 under the common scale, intensity over the largest, forms of hkl.

    metric is the structure's under that scale; rest, what the forms leave of 1/d^2 (rounding).
    """

    q: np.ndarray
    intensity: np.ndarray
    forms: np.ndarray
    metric: np.ndarray
    rest: np.ndarray
    unindexed: float


def match(table: Table, targets: Targets, rows: np.ndarray, shift: np.ndarray) -> Matched:
    """Refine and measure structures (rows int64 (n,)) at the scales of the screening (bins, (n,))."""
    rows = np.asarray(rows, dtype=np.int64)
    scale = np.exp(np.asarray(shift, dtype=np.float64) * BIN)
    measures, metric = np.zeros((len(rows), _N)), np.zeros((len(rows), 6))
    lists = (table.offsets, table.place, table.strength, table.families, table.cells)
    _match(rows, scale, lists, _peaks(targets), measures, metric)
    return Matched(measures, metric)


def predicted(table: Table, targets: Targets, row: int, metric: np.ndarray, scale: float, shift: float):
    """Angles (degrees) and intensities float64 (m,) of a structure's lines with a refined metric (6,).

    scale  1/d measured over the database's; shift of the pattern, degree
    """
    lists = (table.offsets, table.place, table.strength, table.families, table.cells)
    return _predicted(int(row), math.exp(scale), lists, _peaks(targets), np.asarray(metric), shift)


def _peaks(targets: Targets) -> _Peaks:
    left = targets.area * targets.open
    return _Peaks(
        targets.two_theta,
        targets.error,
        targets.area,
        targets.area_error,
        targets.fwhm,
        targets.open,
        np.log(left + 0.01),
        np.sqrt(left),
        left**0.25,
        targets.wavelength,
        targets.first,
        targets.last,
        targets.gaps,
        float(np.median(targets.fwhm)),
    )


@njit(cache=True)
def _form(family, h, k, l, out):  # noqa: E741
    """Integers that the metric (`lattices.metric.form_metric`) is multiplied with."""
    if family == _CUBIC:
        out[0] = h * h + k * k + l * l
    elif family == _TETRAGONAL:
        out[0], out[1] = h * h + k * k, l * l
    elif family == _HEXAGONAL:
        out[0], out[1] = h * h + h * k + k * k, l * l
    else:
        out[0], out[1], out[2] = h * h, k * k, l * l
        if family == _MONOCLINIC:
            out[3] = h * l
        elif family == _TRICLINIC:
            out[3], out[4], out[5] = k * l, h * l, h * k


@njit(cache=True)
def _metric_of(family, cell, out):
    """Metric of a conventional cell (6,)."""
    ca, cb, cg = np.cos(np.radians(cell[3])), np.cos(np.radians(cell[4])), np.cos(np.radians(cell[5]))
    a, b, c = cell[0], cell[1], cell[2]
    square = 1 - ca * ca - cb * cb - cg * cg + 2 * ca * cb * cg
    g11, g22, g33 = (
        (1 - ca * ca) / (square * a * a),
        (1 - cb * cb) / (square * b * b),
        (1 - cg * cg) / (square * c * c),
    )
    out[0] = g11
    if family in (_TETRAGONAL, _HEXAGONAL):
        out[1] = g33
    elif family >= _ORTHORHOMBIC:
        out[1], out[2] = g22, g33
        if family == _MONOCLINIC:
            out[3] = 2 * (ca * cg - cb) / (square * a * c)
        elif family == _TRICLINIC:
            out[3] = 2 * (cb * cg - ca) / (square * b * c)
            out[4] = 2 * (ca * cg - cb) / (square * a * c)
            out[5] = 2 * (ca * cb - cg) / (square * a * b)


@njit(cache=True)
def _index(family, cell, metric, q, forms, misfit):
    """Forms (n, p) of the hkl that lie nearest to lines at q (n,), ascending, and how far off these are."""
    free = forms.shape[1]
    n = q.size
    reach = q[n - 1] * 1.002
    root = np.sqrt(reach)
    h_most, k_most, l_most = int(root * cell[0]) + 1, int(root * cell[1]) + 1, int(root * cell[2]) + 1
    misfit[:] = 1e9
    form = np.zeros(6)
    for h in range(h_most + 1):
        for k in range(-k_most if family == _TRICLINIC else 0, k_most + 1):
            if family <= _HEXAGONAL and k > h:
                break
            for l in range(-l_most if family >= _MONOCLINIC else 0, l_most + 1):  # noqa: E741
                _form(family, h, k, l, form)
                at = 0.0
                for p in range(free):
                    at += form[p] * metric[p]
                if at > reach or at <= 0:
                    continue
                right = np.searchsorted(q, at)
                for i in range(max(0, right - 1), min(n, right + 1)):
                    off = abs(q[i] - at)
                    if off < misfit[i]:
                        misfit[i] = off
                        for p in range(free):
                            forms[i, p] = form[p]
    for i in range(n):
        misfit[i] /= q[i]


@njit(cache=True)
def _lines_of(row, scale, lists, peaks):
    """Lines of a structure that the pattern can show."""
    offsets, place, strength, families, cells = lists
    first = 2 * np.sin(np.radians(max(peaks.first - 0.3, 0.3) / 2)) / peaks.wavelength
    last = 2 * np.sin(np.radians(peaks.last / 2)) / peaks.wavelength
    a, b = offsets[row], offsets[row + 1]
    q, intensity = np.empty(b - a), np.empty(b - a)
    n = 0
    for i in range(a, b):
        d_star = FIRST * np.exp(place[i] * UNIT) * scale
        if first <= d_star <= last:
            q[n], intensity[n] = d_star * d_star, (strength[i] / 255.0) ** 2
            n += 1
    q, intensity = q[:n], intensity[:n]
    family = families[row]
    free = FREE[family]
    forms, metric, misfit = np.zeros((n, free)), np.zeros(6), np.empty(n)
    if n == 0:
        return _Lines(q, intensity, forms, metric, q.copy(), 1.0)
    strongest = 0.0
    for i in range(n):
        strongest = max(strongest, intensity[i])
    intensity /= strongest
    _metric_of(family, cells[row], metric)
    metric *= scale * scale
    _index(family, cells[row] / scale, metric, q, forms, misfit)
    rest = np.empty(n)
    bad = 0
    for i in range(n):
        at = 0.0
        for p in range(free):
            at += forms[i, p] * metric[p]
        rest[i] = q[i] - at
        bad += misfit[i] > _MISFIT
    return _Lines(q, intensity, forms, metric, rest, bad / n)


@njit(cache=True)
def _places(lines, metric, shift, wavelength, out):
    """Angles of the lines, degrees."""
    rest, forms = lines.rest, lines.forms
    for i in range(out.size):
        q = rest[i]
        for p in range(forms.shape[1]):
            q += forms[i, p] * metric[p]
        out[i] = 2 * np.degrees(np.arcsin(min(0.5 * wavelength * np.sqrt(max(q, 1e-6)), 0.9999))) + shift


@njit(cache=True)
def _deviations(family, metric, out):
    """Standard deviations of the metric's parameters under the prior."""
    for p in range(FREE[family]):
        if p < 3 or family <= _HEXAGONAL:
            out[p] = 2 * _STRAIN * metric[p]
        elif family == _MONOCLINIC:
            out[p] = 4 * _STRAIN * np.sqrt(metric[0] * metric[2])
        else:
            i, j = (1, 2) if p == 3 else ((0, 2) if p == 4 else (0, 1))
            out[p] = 4 * _STRAIN * np.sqrt(metric[i] * metric[j])


@njit(cache=True)
def _starts(family):
    """Changes (n, 6) of the metric that refinements begin with: shares of lengths, radians of an angle."""
    if family == _CUBIC:
        return np.zeros((1, 6))
    if family <= _HEXAGONAL:
        out = np.zeros((5, 6))
        for i, e in enumerate((_START, -_START, 2 * _START, -2 * _START)):
            out[i + 1, 0], out[i + 1, 1] = -e / 3, e
        return out
    out = np.zeros((7 if family == _ORTHORHOMBIC else 9, 6))
    i = 1
    for p in range(3):
        for e in (-_START, _START):
            for q in range(3):
                out[i, q] = e if q == p else -e / 3
            i += 1
    if family > _ORTHORHOMBIC:
        at = 3 if family == _MONOCLINIC else 5
        out[7, at], out[8, at] = _ANGLE, -_ANGLE
    return out


@njit(cache=True)
def _begin(family, lines, change, out):
    """The metric changed by a start."""
    for p in range(FREE[family]):
        out[p] = lines.metric[p]
        if p < 3:
            out[p] *= 1 + change[p]
        elif change[p] != 0:
            other = 2 if family == _MONOCLINIC else 1
            out[p] += 2 * change[p] * np.sqrt(lines.metric[0] * lines.metric[other])


@njit(cache=True)
def _refine(family, lines, peaks, metric, deviations, place):
    """Fit `metric` to the peaks in place, and return the shift of the pattern, degree."""
    free = FREE[family]
    n = lines.q.size
    shift = MEAN_SHIFT
    square, gradient, slope = np.empty((free + 1, free + 1)), np.empty(free + 1), np.empty(free + 1)
    logs = np.log(lines.intensity + 0.01)
    weights = np.sqrt(lines.intensity)
    forms, found, errors, areas = lines.forms, peaks.two_theta, peaks.error, peaks.log
    for step in range(_STEPS):
        _places(lines, metric, shift, peaks.wavelength, place)
        window = _WIDER * (1 - step / (_STEPS - 1)) + _WINDOW
        square[:] = 0
        for p in range(free):
            square[p, p] = 1.0
            gradient[p] = (lines.metric[p] - metric[p]) / deviations[p]
        square[free, free] = 1.0
        gradient[free] = (MEAN_SHIFT - shift) / _SHIFT
        for i in range(n):
            if place[i] < peaks.first or place[i] > peaks.last:
                continue
            half = np.radians(place[i] / 2)
            limit = min(max(0.1, np.degrees(2 * np.tan(half) * window)), 1.2)
            best, likeness = _nearest(found, areas, place[i], limit, logs[i])
            if best < 0:
                continue
            variance = 0.03**2 + errors[best] ** 2 + (limit / 4) ** 2
            weight = weights[i] * likeness / variance
            miss = found[best] - place[i]
            sine = np.sin(np.radians((place[i] - shift) / 2))
            per_q = np.degrees(peaks.wavelength**2 / (4 * sine * np.sqrt(1 - sine * sine)))
            for p in range(free):
                slope[p] = per_q * forms[i, p] * deviations[p]
            slope[free] = _SHIFT
            for p in range(free + 1):
                gradient[p] += weight * slope[p] * miss
                for r in range(free + 1):
                    square[p, r] += weight * slope[p] * slope[r]
        change = np.linalg.solve(square, gradient)
        for p in range(free):
            metric[p] += change[p] * deviations[p]
        shift += change[free] * _SHIFT
    _places(lines, metric, shift, peaks.wavelength, place)
    return shift


@njit(cache=True)
def _nearest(found, areas, place, limit, log):
    """The peak within `limit` that is nearest and most alike in height, and that likeness; -1 for none.

    found, areas  float64 (n,): places of the peaks, ascending, and logarithms of their areas
    """
    best, likeness = -1, 0.0
    for k in range(np.searchsorted(found, place - limit), found.size):
        off = found[k] - place
        if off >= limit:
            break
        ratio = areas[k] - log
        score = (1 - (off / limit) ** 2) / (1 + ratio * ratio / 4)
        if score > likeness:
            best, likeness = k, score
    return best, likeness


@njit(cache=True)
def _overlap(first, a, second, b, width):
    total = 0.0
    start = 0
    for i in range(first.size):
        while start < second.size and second[start] < first[i] - 4 * width:
            start += 1
        j = start
        while j < second.size and second[j] < first[i] + 4 * width:
            total += a[i] * b[j] * np.exp(-((first[i] - second[j]) ** 2) / (4 * width * width))
            j += 1
    return total


@njit(cache=True)
def _cosine(first, a, second, b, width, square=-1.0):
    """Cosine of two lists of lines, smeared by Gaussians of standard deviation `width`.

    square  that of the first list's length, where it is known
    """
    square = _overlap(first, a, first, a, width) if square < 0 else square
    norm = square * _overlap(second, b, second, b, width)
    return _overlap(first, a, second, b, width) / np.sqrt(norm + 1e-30)


@njit(cache=True)
def _squares(peaks):
    """Squared lengths of the smeared peaks, narrow and broad: the same for every structure."""
    width = np.sqrt(0.035**2 + (0.2 * peaks.width) ** 2)
    places, root = peaks.two_theta, peaks.root
    return _overlap(places, root, places, root, width), _overlap(places, root, places, root, 2 * width)


@njit(cache=True)
def _cosines(peaks, root, place, intensity, squares):
    """The cosine of root intensities, narrow and broad; `squares` of the peaks (`_squares`)."""
    width = np.sqrt(0.035**2 + (0.2 * peaks.width) ** 2)
    roots = np.sqrt(intensity)
    return (
        _cosine(peaks.two_theta, root, place, roots, width, squares[0]),
        _cosine(peaks.two_theta, root, place, roots, 2 * width, squares[1]),
    )


@njit(cache=True)
def _visible(lines, peaks, place):
    """Order of the lines by place, those in the pattern and in no gap of it alone."""
    order = np.argsort(place)
    n = 0
    for i in order:
        if peaks.first < place[i] < peaks.last and not in_gap(peaks.gaps, place[i]):
            order[n] = i
            n += 1
    return order[:n]


@njit(cache=True)
def _merged(place, intensity, share, apart):
    """Lines nearer than `apart` as one: places, intensities, and `share` (n, 3), weighted by intensity."""
    n = -1
    places, intensities, shares = np.empty(place.size), np.empty(place.size), np.empty((place.size, 3))
    for i in range(place.size):
        if n >= 0 and place[i] - places[n] < apart:
            total = intensities[n] + intensity[i]
            places[n] = (places[n] * intensities[n] + place[i] * intensity[i]) / total
            for p in range(3):
                shares[n, p] = (shares[n, p] * intensities[n] + share[i, p] * intensity[i]) / total
            intensities[n] = total
        else:
            n += 1
            places[n], intensities[n] = place[i], intensity[i]
            assign(shares[n], share[i])
    return places[: n + 1], intensities[: n + 1], shares[: n + 1]


@njit(cache=True)
def _directions(family, lines, metric, order):
    """Share of each reciprocal axis in the 1/d^2 of lines (n, 3): the squared cosine of the angle to it."""
    out = np.zeros((order.size, 3))
    for r in range(order.size):
        i = order[r]
        q = lines.q[i]
        if family in (_TETRAGONAL, _HEXAGONAL):
            out[r, 0] = min(lines.forms[i, 1] * metric[1] / q, 1.0)
        elif family >= _ORTHORHOMBIC:
            for p in range(3):
                out[r, p] = min(lines.forms[i, p] * metric[p] / q, 1.0)
    return out


@njit(cache=True)
def _texture(logs, share, hit, scale):
    """Coefficients (3,) of the texture that brings the lines' intensities nearest to the peaks' areas.

    ln(area / intensity) is linear in the squared cosines of the angles to the axes: the second order of the
    distribution of directions, as far as the symmetry allows it, under a Gaussian prior.
    """
    square, gradient, mean = np.zeros((3, 3)), np.zeros(3), np.zeros(3)
    n = 0
    for i in range(hit.size):
        if hit[i] >= 0:
            for p in range(3):
                mean[p] += share[i, p]
            n += 1
    if n < 3:
        return np.zeros(3)
    for p in range(3):
        mean[p] /= n
        square[p, p] = 1 / _TEXTURE**2
    for i in range(hit.size):
        if hit[i] >= 0:
            ratio = min(max(logs[i] - scale, -2.0), 2.0)
            for p in range(3):
                gradient[p] += (share[i, p] - mean[p]) * ratio / _SCATTER**2
                for r in range(3):
                    square[p, r] += (share[i, p] - mean[p]) * (share[i, r] - mean[r]) / _SCATTER**2
    return np.linalg.solve(square, gradient)


@njit(cache=True)
def _closest(sorted_places, place):
    """Index of the nearest of some ascending places."""
    right = np.searchsorted(sorted_places, place)
    if right == 0:
        return 0
    if right == sorted_places.size or place - sorted_places[right - 1] < sorted_places[right] - place:
        return right - 1
    return right


@njit(cache=True)
def _evidence(peaks, place, out):
    """Evidence of positions, share of areas and of the ten strongest peaks explained, by lines at `place`."""
    order = np.argsort(-peaks.root)
    evidence, explained, total, ten, looked = 0.0, 0.0, 0.0, 0.0, 0
    span = peaks.last - peaks.first
    for rank in range(order.size):
        j = order[rank]
        if peaks.root[j] <= 0:
            break
        x = peaks.two_theta[j]
        near = np.searchsorted(place, x + 8) - np.searchsorted(place, x - 8)
        width = min(x + 8, peaks.last) - max(x - 8, peaks.first)
        density = max(near / max(width, 1e-3), 0.5 / span)
        off = abs(place[_closest(place, x)] - x)
        sigma = np.sqrt(0.02**2 + peaks.error[j] ** 2 + (0.1 * peaks.fwhm[j]) ** 2)
        right = 2 / np.sqrt(2 * np.pi) / sigma * np.exp(-off * off / (2 * sigma * sigma))
        chance = 2 * density * np.exp(-2 * density * off)
        foreign = 0.03 + 0.25 / (1 + peaks.area[j] / 0.02)
        if rank < _STRONGEST and peaks.open[j] > 0.5:
            evidence += np.log(foreign + (1 - foreign) * min(right / chance, 200.0))
        hit = off < max(0.06, 0.5 * peaks.fwhm[j])
        total += peaks.root[j]
        explained += peaks.root[j] * hit
        if rank < 10:
            looked += 1
            ten += hit
    out[_EVIDENCE], out[_EXPLAINED], out[_TEN] = evidence, explained / total, ten / max(looked, 1)


@njit(cache=True)
def _median(values):
    """Median of some values (n,), which are sorted in place."""
    n = values.size
    for i in range(1, n):
        value, j = values[i], i
        while j > 0 and values[j - 1] > value:
            values[j] = values[j - 1]
            j -= 1
        values[j] = value
    return 0.5 * (values[(n - 1) // 2] + values[n // 2])


@njit(cache=True)
def _measure(family, lines, peaks, metric, place, squares, out):
    """Agreement of refined lines with the peaks, into `out` (MEASURES)."""
    order = _visible(lines, peaks, place)
    if order.size == 0:
        return
    shown, intensity = place[order], lines.intensity[order]
    share = _directions(family, lines, metric, order)
    places, intensities, shares = _merged(shown, intensity, share, 0.5 * peaks.width)
    n = places.size
    hit, logs = np.empty(n, np.int64), np.zeros(n)
    found, offs, seen, total = 0, 0.0, 0.0, 0.0
    ratios = np.empty(n)
    for i in range(n):
        j = _closest(peaks.two_theta, places[i])
        off = abs(peaks.two_theta[j] - places[i])
        hit[i] = -1
        if off < max(0.06, 0.5 * peaks.fwhm[j]):
            # What other phases explain says nothing of this line, and is nothing that it explains.
            intensities[i] *= max(peaks.open[j], 1e-6)
            hit[i] = j
            logs[i] = np.log(max(peaks.area[j] * peaks.open[j], 1e-4) / max(intensities[i], 1e-6))
            ratios[found] = logs[i]
            found += 1
            offs += off * off
            seen += np.sqrt(intensities[i])
        total += np.sqrt(intensities[i])
    scale = _median(ratios[:found].copy()) if found else 0.0
    spread = 0.0
    for i in range(found):
        spread += min(abs(ratios[i] - scale), 3.0)
    missing = 0.0
    for i in range(n):
        if hit[i] < 0:
            j = _closest(peaks.two_theta, places[i])
            excess = intensities[i] * np.exp(scale) / max(5 * peaks.area_error[j], 1e-4)
            if excess > 1:
                missing -= min(np.log(excess), 3.0)
    coefficients = _texture(logs, shares, hit, scale)
    out[_COSINE], out[_BROAD] = _cosines(peaks, peaks.root, places, intensities, squares)
    width = np.sqrt(0.035**2 + (0.2 * peaks.width) ** 2)
    out[_FOURTH] = _cosine(peaks.two_theta, peaks.fourth, places, intensities**0.25, width)
    corrected = np.empty(n)
    for i in range(n):
        power = 0.0
        for p in range(3):
            power += coefficients[p] * shares[i, p]
        corrected[i] = intensities[i] * np.exp(min(max(power, -3.0), 3.0))
    narrow, broad = _cosines(peaks, peaks.root, places, corrected, squares)
    out[_TEXTURED] = 0.5 * (narrow + broad)
    out[_TEXTURE_AT] = np.sqrt((coefficients**2).sum())
    _evidence(peaks, places, out)
    out[_SEEN], out[_MISSING] = seen / max(total, 1e-9), missing
    out[_LINES_AT], out[_HITS] = n, found
    out[_RESIDUAL], out[_SPREAD] = np.sqrt(offs / max(found, 1)), spread / max(found, 1)
    out[_AREA] = scale


@njit(cache=True)
def _match(rows, scales, lists, peaks, measures, metrics):
    place = np.empty(256)
    squares = _squares(peaks)
    deviations, metric = np.empty(6), np.zeros(6)
    for r in range(rows.size):
        family = lists[3][rows[r]]
        free = FREE[family]
        lines = _lines_of(rows[r], scales[r], lists, peaks)
        if lines.q.size == 0:
            continue
        _deviations(family, lines.metric, deviations)
        at = place[: lines.q.size]
        best, chosen = -1e9, 0.0
        for start in _starts(family):
            metric[:] = 0
            _begin(family, lines, start, metric)
            shift = _refine(family, lines, peaks, metric, deviations, at)
            order = _visible(lines, peaks, at)
            if order.size == 0:
                continue
            strain = 0.0
            for p in range(free):
                strain += ((metric[p] - lines.metric[p]) / deviations[p]) ** 2
            strain = np.sqrt(strain / free)
            narrow, broad = _cosines(peaks, peaks.root, at[order], lines.intensity[order], squares)
            value = narrow + broad - 0.03 * strain * strain
            if value > best:
                best, chosen = value, shift
                assign(metrics[r], metric)
                measures[r, _STRAIN_AT] = strain
        if best < -1e8:
            continue
        _places(lines, metrics[r], chosen, peaks.wavelength, at)
        _measure(family, lines, peaks, metrics[r], at, squares, measures[r])
        measures[r, _SCALE], measures[r, _SHIFT_AT] = np.log(scales[r]), chosen
        measures[r, _FREE_AT], measures[r, _UNINDEXED] = free, lines.unindexed


@njit(cache=True)
def _predicted(row, scale, lists, peaks, metric, shift):
    lines = _lines_of(row, scale, lists, peaks)
    place = np.empty(lines.q.size)
    _places(lines, metric, shift, peaks.wavelength, place)
    order = _visible(lines, peaks, place)
    return place[order], lines.intensity[order]


#: Cosine of root intensities from which two structures have the same lines.
_SAME = 0.95


def same_lines(
    targets: Targets, first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]
) -> bool:
    """Whether two lists of lines (angles, intensities) look alike at the widths of the peaks."""
    width = math.hypot(0.035, 0.2 * float(np.median(targets.fwhm)))
    roots = np.sqrt(first[1]), np.sqrt(second[1])
    return bool(_cosine(first[0], roots[0], second[0], roots[1], width) > _SAME)

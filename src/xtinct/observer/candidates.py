"""From a peak list to lattices, the most likely first."""

import itertools
from dataclasses import dataclass, field

import numpy as np

from xtinct.indexing.cells import cell_of
from xtinct.observer import trees
from xtinct.observer.lattices import (
    CENTRINGS,
    GENERAL,
    POINTS,
    RANK,
    bravais,
    lifted,
    neighbours,
    reduced_of,
    same,
    volume,
)
from xtinct.observer.likelihood import (
    CODES,
    KINDS,
    Found,
    Prior,
    angle_of,
    distinct,
    line_scores,
    lines_of,
    q_of,
    refined,
    slope_of,
)
from xtinct.observer.peaks import Peaks
from xtinct.symmetry.families import FAMILIES

#: Orders of the point groups of lattices: how many hkl have one line.
_ORDER = {
    "cubic": 48.0,
    "trigonal-hexagonal": 24.0,
    "tetragonal": 16.0,
    "orthorhombic": 8.0,
    "monoclinic": 4.0,
    "triclinic": 2.0,
}


@dataclass(frozen=True)
class Limits:
    """What the search takes for possible, and how far it goes."""

    prior: Prior = Prior(0.04, 0.05)  # shift of the list, degree
    searched: int = 20  # lines that the search uses
    ranked: int = 40  # lines that rank the lattices
    kept: int = 60  # lattices of a family that are refined
    parameter_cost: float = 3.5  # log-likelihood that each free number of a metric must earn
    largest: dict[str, float] = field(
        default_factory=lambda: {
            "cubic": 12000.0,
            "trigonal-hexagonal": 10000.0,
            "tetragonal": 10000.0,
            "orthorhombic": 6000.0,
            "monoclinic": 4000.0,
            "triclinic": 2000.0,
        }
    )  # volume of the conventional cell, angstrom^3


@dataclass(frozen=True)
class Candidate:
    """A lattice that explains the peaks."""

    family: str
    metric: np.ndarray  # float64 (p,), of `xtinct.diffraction.lines.form_metric`
    centring: str
    shift: float  # degree, observed less true
    score: float  # log-likelihood ratio over chance, less the costs of parameters
    explained: np.ndarray  # bool (n,), used peaks that it explains
    reduced: np.ndarray  # float64 (6,), Niggli cell of the primitive lattice

    @property
    def bravais(self) -> str:
        """Bravais lattice (aP ... cF)."""
        return bravais(self.family, self.centring)

    @property
    def cell(self) -> np.ndarray:
        """Conventional cell float64 (6,)."""
        return cell_of(self.family, self.metric)

    @property
    def volume(self) -> float:
        """Volume of the primitive cell, angstrom^3."""
        return volume(self.metric @ GENERAL[self.family]) / POINTS[self.centring]


@dataclass(frozen=True)
class _Lines:
    """The lines used: those of the search, and all that rank."""

    searched: Found
    ranked: Found
    rows: np.ndarray  # int64 (n,), rows of the peaks that rank


def used_lines(peaks: Peaks, limits: Limits) -> _Lines:
    """The peaks that index: how well they are placed and how probably each is foreign."""
    area = peaks.area / peaks.area.max()
    certainty = peaks.area / peaks.area_error
    near = np.abs(peaks.two_theta[:, None] - peaks.two_theta) < 12.0
    local = area / np.max(np.where(near, area, 0.0), axis=1)
    foreign = np.where(certainty < 6, 0.35, np.where(certainty < 10, 0.15, 0.05))
    foreign = np.where((local < 0.015) & (foreign < 0.3), 0.3, foreign)
    foreign = np.where((local < 0.01) & (foreign < 0.6), 0.6, foreign)
    foreign = np.where((local > 0.15) & (certainty > 8), 0.03, foreign)
    foreign = np.where(peaks.two_theta < 6.0, np.maximum(foreign, 0.4), foreign)
    blended = np.where(peaks.gap < 1.3 * peaks.fwhm, 0.012, 0.0)
    error = np.sqrt(peaks.error**2 + 0.012**2 + blended**2 + (0.05 * peaks.fwhm) ** 2)

    def chosen(most: int) -> np.ndarray:
        rows = np.flatnonzero(foreign < 0.34)
        if len(rows) < most:
            doubtful = np.flatnonzero((foreign >= 0.34) & (foreign < (0.65 if len(rows) < 10 else 0.5)))
            rows = np.sort(np.concatenate([rows, doubtful[: most - len(rows)]]))
        return rows[:most]

    def found(rows: np.ndarray) -> Found:
        return Found(
            peaks.two_theta[rows].astype(np.float64),
            error[rows],
            foreign[rows],
            area[rows],
            5.0 * peaks.area_error[rows] / peaks.area.max(),
            peaks.wavelength,
        )

    few, many = chosen(limits.searched), chosen(limits.ranked)
    many = np.union1d(few, many)
    return _Lines(found(few), found(many), many)


def _at(found: Found, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """1/d^2 (n,) and its change per degree (n,) of lines at a shift."""
    theta = found.two_theta - shift
    q = np.array([q_of(x, found.wavelength) for x in theta])
    return q, np.array([slope_of(x, found.wavelength) for x in theta])


def _search(family: str, found: Found, limits: Limits) -> list[np.ndarray]:
    """General metrics (6,) of the family that the lines of a shifted list suggest."""
    q, slope = _at(found, limits.prior.shift)
    sure = np.flatnonzero(found.foreign < 0.3)
    if len(sure) < 4:
        sure = np.arange(len(q))
    smallest = 10.0 if _ORDER[family] > 8 else 30.0
    kind = {"triclinic": 0, "monoclinic": 1}.get(family, 2)
    test = trees.test_of(
        (q, slope, found.foreign),
        trees.Window(0.06, 0.03, limits.prior.spread),
        GENERAL[family],
        kind,
        _ORDER[family],
        (smallest, limits.largest[family]),
    )
    kept = trees.kept(limits.kept, -3.0 if family == "cubic" else 0.0)
    _SEARCHES[family](q, sure, test, kept)
    count = int(kept.count[0])
    order = np.argsort(-kept.score[:count])
    return list(kept.metric[order])


def _cubic(q, sure, test, kept):
    trees.one_number(q[sure[:10]], np.arange(1.0, 49.0), test, kept)


def _uniaxial(hexagonal):
    forms = {
        (h * h + k * k + (h * k if hexagonal else 0), l * l)
        for h in range(5)
        for k in range(h + 1)
        for l in range(7)  # noqa: E741
        if h or k or l
    }
    forms = np.array(sorted(x for x in forms if sum(x) <= 40), dtype=np.float64)

    def search(q, sure, test, kept):
        trees.two_numbers(q[sure[:10]], forms, hexagonal, test, kept)

    return search


def _orthorhombic(q, sure, test, kept):
    trees.three_numbers(q[sure[:8]], _SQUARES, _FIRST, test, kept)


def _monoclinic(q, sure, test, kept):
    base = q[sure[:10]]
    axes = np.concatenate([base, base[:7] / 4])
    zone = trees.zones(axes, q, test.fine)
    trees.zone_and_row(axes, zone[:600], q[sure[:12]], test, kept)
    trees.row_by_row(q[sure[:6]], _PAIRS, _SECOND, _THIRD, test, kept)


def _triclinic(q, sure, test, kept):
    base = q[sure[:12]]
    axes = np.concatenate([base, base[:5] / 4])
    zone = trees.zones(axes, q, test.fine)
    trees.three_zones(axes, zone, 24, test, kept, 1000000)


_SQUARES, _FIRST = trees.squares_of(4, 4)
_HK = [(1, 0), (2, 0), (0, 1), (0, 2), (1, 1), (2, 1), (1, 2)]
_PAIRS = np.array(
    [(a, b) for a, b in itertools.product(_HK, _HK) if a[0] ** 2 * b[1] ** 2 != a[1] ** 2 * b[0] ** 2],
    dtype=np.float64,
)
_SECOND = np.array([(0, 1), (0, 2), (1, 1), (2, 1), (1, 2)], dtype=np.int64)
_THIRD = np.array(
    [(1, 0, 1), (1, 1, 1), (2, 0, 1), (1, 0, 2), (2, 1, 1), (1, 1, 2), (1, 2, 1)], dtype=np.int64
)
_SEARCHES = {
    "cubic": _cubic,
    "tetragonal": _uniaxial(False),
    "trigonal-hexagonal": _uniaxial(True),
    "orthorhombic": _orthorhombic,
    "monoclinic": _monoclinic,
    "triclinic": _triclinic,
}
_WIDTHS = np.array([0.05, 0.03, 0.02, 0.0, 0.0])
_FINAL = np.array([0.02, 0.0])


def _scored(family, metric, shift, lines: _Lines, limits: Limits, widths=_WIDTHS) -> list[Candidate]:
    """The refined lattice of a metric, in the centrings that score best."""
    general, kind = GENERAL[family], KINDS[family]
    found = lines.searched
    n = found.two_theta.size
    metric, shift = refined(
        np.asarray(metric, dtype=np.float64), general, kind, 0, found, n, shift, limits.prior, widths
    )
    if not np.isfinite(shift):
        return []
    best = None
    for centring in CENTRINGS[family]:
        one, moved = metric, shift
        if centring != "P":
            one, moved = refined(
                metric, general, kind, CODES[centring], found, n, shift, limits.prior, _FINAL
            )
            if not np.isfinite(moved):
                continue
        total, far = _total(family, one, centring, moved, found)
        if total is not None and (best is None or total > best[0]):
            best = total, one, centring, moved, far
    if best is None:
        return []
    total, one, centring, moved, far = best
    try:
        cell = reduced_of(family, one, centring)
    except (RuntimeError, ValueError):
        return []
    total -= limits.parameter_cost * len(one)
    return [
        Candidate(family, one, centring, float(moved), float(total), np.abs(far) < 3.0 * found.error, cell)
    ]


def _total(family, metric, centring, shift, found: Found):
    q_max = q_of(float(found.two_theta[-1]) - shift + 1.0, found.wavelength)
    hkl, q, many = lines_of(metric @ GENERAL[family], q_max, KINDS[family])
    kept, _ = distinct(hkl, q, many, CODES[centring])
    if len(kept) < 2:
        return None, None
    angles = np.array([angle_of(x, found.wavelength) for x in q[kept]])
    score, distance = line_scores(angles, found, shift)
    return float(score.sum()), distance


def candidates(
    peaks: Peaks, families: tuple[str, ...] = tuple(FAMILIES), *, limits: Limits | None = None
) -> list[Candidate]:
    """Different lattices that explain the peaks, the most likely first."""
    limits = limits or Limits()
    if len(peaks) < 3:
        return []
    lines = used_lines(peaks, limits)
    if lines.searched.two_theta.size < 3:
        return []
    pool: list[Candidate] = []
    for family in families:
        for metric in _search(family, lines.searched, limits):
            pool += _scored(family, _own(family, metric), limits.prior.shift, lines, limits)
    pool = _different(pool)
    pool = _different(pool + _lifts(pool[:40], families, lines, limits))
    return pool


def _lifts(
    pool: list[Candidate], families: tuple[str, ...], lines: _Lines, limits: Limits
) -> list[Candidate]:
    """The candidates in the higher symmetries that they nearly have."""
    result, tried = [], []
    for one in pool:
        for tolerance in (0.03, 0.1, 0.2):
            high = lifted(one.reduced, tolerance)
            if high is None or high.family not in families or RANK[high.family] >= RANK[one.family]:
                continue
            if any(f == high.family and np.allclose(m, high.metric, rtol=2e-3) for f, m in tried):
                continue
            tried.append((high.family, high.metric))
            result += _scored(high.family, high.metric, one.shift, lines, limits)
    return result


def _own(family: str, general: np.ndarray) -> np.ndarray:
    """Metric (p,) of the family from a general one (6,)."""
    columns = {
        "cubic": [0],
        "tetragonal": [0, 2],
        "trigonal-hexagonal": [0, 2],
        "orthorhombic": [0, 1, 2],
        "monoclinic": [0, 1, 2, 4],
        "triclinic": range(6),
    }
    return general[list(columns[family])]


def _different(pool: list[Candidate]) -> list[Candidate]:
    """The pool, best first, without lattices that are the same in the same family."""
    result: list[Candidate] = []
    for one in sorted(pool, key=lambda c: -c.score):
        if any(
            one.family == other.family
            and abs(one.volume / other.volume - 1.0) < 0.01
            and same(one.reduced, other.reduced, 0.004, 0.3)
            for other in result
        ):
            continue
        result.append(one)
    return result
